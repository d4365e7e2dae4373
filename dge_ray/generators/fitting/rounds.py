"""The loop around every fit with weights: rounds, early stopping, a time budget, resuming, and losses that blow up."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from dge_ray.errors import StudyError
from dge_ray.generators.base import Keeper, Progress

LOWER_RATE = 0.2  # the learning rate of the second try, as a share of the first
PROBE_SHARE = 0.05  # of a budget: how long the speed is measured before the rounds are planned


class RoundsFit(Protocol):
    """The moving parts of one fit. Rounds are equal amounts of steps: an epoch, or a fixed number."""

    def run(self, done: int, rounds: int) -> float | None:
        """The next round, `done` of `rounds` being behind it; gives its mean loss, None where that is not told."""
        ...

    def score(self) -> float | None:
        """The loss on held-out rows of what would be sampled from now; None where there are none."""
        ...

    def keep(self) -> None:
        """Remember what would be sampled from now as the best so far."""
        ...

    def finish(self) -> None:
        """Put what was kept last in place."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that the next rounds depend on, random streams included."""
        ...

    def restore(self, state: dict[str, torch.Tensor]) -> None: ...


@dataclass(frozen=True)
class RoundsPlan:
    """How many rounds at most, after how many without a better score to stop, and in how much time."""

    rounds: int
    patience: int
    budget_seconds: float | None = None


@dataclass
class Course:
    """Where a fit is."""

    rounds: int
    done: int = 0
    best: float = math.inf
    best_round: int = 0
    rate: float = 1.0
    seconds: float = 0.0

    def record(self, loss: float | None, score: float | None) -> dict[str, Any]:
        """What is told of the round that just ended.

        Raises:
            Diverged: its loss is no number.
        """
        if (loss is not None and not math.isfinite(loss)) or (score is not None and math.isnan(score)):
            raise Diverged(f"the loss became {loss} in round {self.done}")
        record = {"epoch": self.done, "epochs": self.rounds, "train": loss, "heldout": score}
        return record | {"seconds": self.seconds}

    def improves(self, score: float | None) -> bool:
        """Whether that round is the best so far, which is then noted."""
        better = score is None or score < self.best
        if better:
            self.best, self.best_round = math.inf if score is None else score, self.done
        return better

    def is_over(self, patience: int) -> bool:
        """Whether the best round lies too far back."""
        return self.done - self.best_round >= patience


class Diverged(ArithmeticError):
    """The loss is no number any more."""


def run_rounds(
    begin: Callable[[float], RoundsFit],
    plan: RoundsPlan,
    *,
    identity: str,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
) -> list[dict[str, Any]]:
    """Run a fit to its end; gives a record a round.

    `begin(rate)` makes the fit at its start, with `rate` times its learning rate: once, and again at a fifth if the
    loss stops being a number. `keeper` holds the state between rounds; what it holds of a fit of the same `identity`
    is gone on with, to the same weights bit for bit (on CPU, at one thread count).

    Records: `epoch` (rounds done), `epochs` (planned), `train` and `heldout` losses (None: not told, or no rows held
    out), `seconds` since the start, and `restarted` in the first after a loss that blew up.

    Raises:
        StudyError: the loss blew up at the lower rate too.
    """
    try:
        return _run(begin, plan, 1.0, identity, progress, keeper)
    except Diverged:
        if keeper is not None:
            keeper.clear()
    try:
        return _run(begin, plan, LOWER_RATE, identity, progress, keeper)
    except Diverged as error:
        raise StudyError(f"{error}, at a fifth of the learning rate too: lower generator.lr") from None


def _run(
    begin: Callable[[float], RoundsFit],
    plan: RoundsPlan,
    rate: float,
    identity: str,
    progress: Progress | None,
    keeper: Keeper | None,
) -> list[dict[str, Any]]:
    kept = None if keeper is None else _read(keeper, identity)
    course = Course(plan.rounds, rate=rate) if kept is None else Course(**kept[1]["course"])
    fit = begin(course.rate)
    history: list[dict[str, Any]] = [] if kept is None else kept[1]["history"]
    if kept is not None:
        fit.restore(kept[0])
    restarted = rate != 1.0 and not history
    before, started = course.seconds, time.perf_counter()
    while course.done < course.rounds:
        loss = fit.run(course.done, course.rounds)
        course.done += 1
        score = fit.score()
        course.seconds = before + time.perf_counter() - started
        record = course.record(loss, score)
        if restarted:
            record["restarted"], restarted = True, False
        history.append(record)
        if progress is not None:
            progress(record)
        if course.improves(score):
            fit.keep()
        elif course.is_over(plan.patience):
            break
        if plan.budget_seconds is not None:
            _fit_budget(course, plan.budget_seconds)
        if keeper is not None and keeper.due() and course.done < course.rounds:
            facts = {"identity": identity, "course": vars(course), "history": history}
            keeper.write(pack(fit.state(), facts))
    fit.finish()
    if keeper is not None:
        keeper.clear()
    return history


def _fit_budget(course: Course, budget: float) -> None:
    """Cut the rounds to what the budget allows, so that the learning rate still comes down to its end.

    Planned anew after each round, and only ever downwards; what is planned is part of the state, so that a resumed fit
    has the same rates.
    """
    if course.seconds < PROBE_SHARE * budget and course.done < course.rounds:
        return
    possible = int(budget / (course.seconds / course.done))
    course.rounds = max(course.done, min(course.rounds, possible))


def fingerprint(parts: Iterable[Any]) -> str:
    """A digest of JSON values and bytes, by which a kept state knows its fit."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=str).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def pack(tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> bytes:
    """Tensors and JSON values as bytes that `unpack` reads."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save_tensors(ready, metadata={"facts": json.dumps(facts)})


def unpack(data: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """What `pack` packed; None if it is half a file, or not one of ours."""
    try:
        length = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["facts"])
        return load_tensors(data), facts
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None


def _read(keeper: Keeper, identity: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The state that is kept, if it is whole and of this fit."""
    data = keeper.read()
    kept = None if data is None else unpack(data)
    return kept if kept is not None and kept[1]["identity"] == identity else None
