"""Fitting several members on one device as one program.

Each keeps its own random streams and its own early stopping. On a GPU eight members then cost little more than one; on
the CPU it gives the same, and saves nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from dge_ray.generators.autoregressive.network import POOL_ROWS, Windows
from dge_ray.generators.autoregressive.stacked import StackedNetwork
from dge_ray.generators.autoregressive.training import TokenFit
from dge_ray.generators.fitting.descent import Descent
from dge_ray.generators.fitting.replay import stage
from dge_ray.generators.fitting.rounds import Course, Diverged, RoundsPlan

MemberProgress = Callable[[int, dict[str, Any]], None]
"""Called after each epoch with a member's place among those fitted together, and its record."""


class StackedFit:
    """Members' fits at their starts, run on as one. They must have the same shapes: of tokens, batches and networks.

    Each round draws every member's rows and dropout windows from that member's own streams, and leaves the average of
    its weights with it: what is looked at, kept and put in place at the end is its own `TokenFit`'s.
    """

    def __init__(self, fits: Sequence[TokenFit], *, weight_decay: float) -> None:
        self.fits, first = fits, fits[0]
        self.network = StackedNetwork([fit.network for fit in fits])
        self.tokens = torch.stack([fit.tokens for fit in fits])  # (k, d, rows)
        self.pool = torch.cat([fit.dropout.pool for fit in fits])
        self.batch_size, self.steps_per_epoch = first.batch_size, first.steps_per_epoch
        k, columns, _ = self.tokens.shape
        shape, device = (self.steps_per_epoch, columns - 1, 2, k), self.tokens.device
        self.rows = torch.zeros(self.steps_per_epoch, k, self.batch_size, dtype=torch.int64, device=device)
        self.places = torch.zeros(shape, dtype=torch.int64, device=device)
        self.descent = Descent(
            self.network.flat,
            self.network.flat_gradient,
            self._lose,
            steps=self.steps_per_epoch,
            weight_decay=weight_decay,
            losses=(k,),
        )

    def run(self, done: int, rounds: int) -> list[float]:
        """One epoch of all members; their mean losses."""
        drawn = [fit.draw_epoch() for fit in self.fits]
        stage(self.rows, torch.stack([rows for rows, _ in drawn], 1))
        stage(self.places, torch.stack([at + k * POOL_ROWS for k, (_, at) in enumerate(drawn)], -1))
        self.descent.plan(*self.fits[0].plan_epoch(rounds))  # the same for all
        for _ in range(self.steps_per_epoch):
            self.descent.step()
        for fit, average in zip(self.fits, self.descent.average, strict=True):
            fit.descent.average.copy_(average)
        return self.descent.mean_losses().tolist()

    def _lose(self, at: torch.Tensor) -> torch.Tensor:
        rows = self.rows.index_select(0, at).squeeze(0)[:, None].expand(-1, self.tokens.shape[1], -1)
        windows = Windows(self.pool, self.places.index_select(0, at).squeeze(0), self.batch_size)
        losses = self.network.loss_and_gradients(self.tokens.gather(2, rows).long(), windows)
        if self.fits[0].smooth is not None:
            self.fits[0].smooth(self.network.flat_gradient)
        return losses


def run_together(
    fits: Sequence[TokenFit], plan: RoundsPlan, *, weight_decay: float, progress: MemberProgress | None = None
) -> list[list[dict[str, Any]] | None]:
    """Run members' fits to their ends; gives each one's records (rounds.py), None where the loss blew up.

    A member that stops early keeps its place in the program, and its kept weights. `seconds` count from the start of
    all.
    """
    together, started = StackedFit(fits, weight_decay=weight_decay), time.perf_counter()
    courses = [Course(plan.rounds) for _ in fits]
    histories: list[list[dict[str, Any]] | None] = [[] for _ in fits]
    running = set(range(len(fits)))
    for done in range(plan.rounds):
        losses = together.run(done, plan.rounds)
        for k in sorted(running):
            course, history, score = courses[k], histories[k], fits[k].score()
            course.done, course.seconds = done + 1, time.perf_counter() - started
            try:
                record = course.record(losses[k], score)
            except Diverged:
                histories[k], history = None, None
                running.discard(k)
            if history is None:
                continue
            history.append(record)
            if progress is not None:
                progress(k, record)
            if course.improves(score):
                fits[k].keep()
            elif course.is_over(plan.patience):
                running.discard(k)
        if not running:
            break
    for fit in fits:
        fit.finish()
    return histories
