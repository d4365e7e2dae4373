"""The loop around a fit: stopping, the budget, resuming, losses that blow up. A fit of one number stands for all."""

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from helpers.fit_cases import Cut, cut_at, every_round, resumed_bit_for_bit
from helpers.generator_cases import mixed_schema, mixed_table

from dge_ray.distributed.keeper import FolderKeeper
from dge_ray.errors import StudyError
from dge_ray.generators.fitting.rounds import RoundsPlan, run_rounds
from dge_ray.generators.registry import make_generator
from dge_ray.storage import Folder
from dge_ray.table import infer_schema


class Walk:
    """Weights that take a random step a round; scores are given."""

    def __init__(self, rate: float = 1.0, scores: list[float] | None = None, blow_up: tuple[float, ...] = ()) -> None:
        self.rate, self.scores, self.blow_up = rate, scores, blow_up
        self.random = torch.Generator().manual_seed(3)
        self.weights = torch.zeros(4)
        self.kept = torch.zeros(4)
        self.done = 0
        self.planned: list[int] = []

    def run(self, done: int, rounds: int) -> float:
        assert done == self.done
        self.planned.append(rounds)
        self.done += 1
        self.weights += self.rate * torch.randn(4, generator=self.random)
        return math.nan if self.rate in self.blow_up and self.done == 3 else float(self.weights.sum())

    def score(self) -> float | None:
        return None if self.scores is None else self.scores[self.done - 1]

    def keep(self) -> None:
        self.kept = self.weights.clone()

    def finish(self) -> None:
        self.weights = self.kept

    def state(self) -> dict[str, torch.Tensor]:
        return {
            "weights": self.weights,
            "kept": self.kept,
            "done": torch.tensor(self.done),
            "random": self.random.get_state(),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.weights, self.kept, self.done = state["weights"], state["kept"], int(state["done"])
        self.random.set_state(state["random"])


def run(walk: Walk, plan: RoundsPlan, **more: Any) -> list[dict[str, Any]]:
    return run_rounds(lambda rate: walk, plan, identity="x", **more)


def test_the_best_round_is_what_stays() -> None:
    walk = Walk(scores=[3, 1, 2, 2, 2, 2, 0])
    history = run(walk, RoundsPlan(7, patience=3))
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5]  # three rounds after the second
    other = Walk()
    other.run(0, 7)
    other.run(1, 7)
    assert torch.equal(walk.weights, other.weights)


def test_without_held_out_rows_all_rounds_run_and_the_last_stays() -> None:
    walk = Walk()
    assert len(run(walk, RoundsPlan(4, patience=1))) == 4
    assert torch.equal(walk.weights, walk.kept)


def test_a_loss_that_blows_up_is_tried_once_more_at_a_lower_rate() -> None:
    walks: list[Walk] = []

    def begin(rate: float) -> Walk:
        walks.append(Walk(rate, blow_up=(1.0,)))
        return walks[-1]

    history = run_rounds(begin, RoundsPlan(5, patience=9), identity="x")
    assert [walk.rate for walk in walks] == [1.0, 0.2]
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5]
    assert [record.get("restarted", False) for record in history] == [True, False, False, False, False]
    with pytest.raises(StudyError, match=r"round 3.*lower generator\.lr"):
        run_rounds(lambda rate: Walk(rate, blow_up=(1.0, 0.2)), RoundsPlan(5, patience=9), identity="x")


def test_a_budget_shortens_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on 2 s a round, a budget of 20: ten rounds of the planned hundred, known from the first."""
    from dge_ray.generators.fitting import rounds

    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(rounds.time, "perf_counter", lambda: float(next(clock)))
    walk = Walk()
    history = run(walk, RoundsPlan(100, patience=100, budget_seconds=20))
    assert len(history) == 10
    assert walk.planned == [100] + [10] * 9


def cut_off(path: Path, at: int, scores: list[float] | None = None, identity: str = "x") -> None:
    """A fit that ends in the middle, its state kept after each round."""
    held = {"keeper": every_round(path), "progress": cut_at(at), "identity": identity}
    with pytest.raises(Cut):
        run_rounds(lambda rate: Walk(rate, scores), RoundsPlan(8, patience=4), **held)


@pytest.mark.parametrize("scores", [None, [5.0, 4, 3, 6, 6, 6, 6, 6]])
def test_a_cut_off_fit_goes_on_to_the_same_weights(tmp_path: Path, scores: list[float] | None) -> None:
    whole = Walk(scores=scores)
    expected = run(whole, RoundsPlan(8, patience=4))
    cut_off(tmp_path, 5, scores)
    resumed = Walk(scores=scores)
    history = run(resumed, RoundsPlan(8, patience=4), keeper=every_round(tmp_path))
    assert len(resumed.planned) == len(expected) - 4  # rounds 1 to 4 were kept
    assert torch.equal(resumed.weights, whole.weights)
    assert [r["train"] for r in history] == [r["train"] for r in expected]
    assert not (tmp_path / "fit").exists()  # a finished fit keeps nothing


def test_another_fits_state_and_a_damaged_one_are_not_gone_on_with(tmp_path: Path) -> None:
    cut_off(tmp_path, 5, identity="another")
    state = (tmp_path / "fit").read_bytes()
    for data in (state, state[:100], b"", b"not a state at all"):
        (tmp_path / "fit").write_bytes(data)
        walk = Walk()
        run(walk, RoundsPlan(8, patience=4), keeper=FolderKeeper(Folder.open(tmp_path), "fit"))
        assert len(walk.planned) == 8


def test_autoregressive_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    table = mixed_table()

    def fit(**options: Any) -> Any:
        fresh = make_generator("autoregressive", epochs=6, hidden=16, bins=16)
        return fresh.fit(table, mixed_schema(table), seed=1, **options)

    resumed_bit_for_bit(fit, tmp_path, cut=4)


TUNED = {"epochs": 3, "hidden": 16, "bins": 16, "patience": 9}


def tune(name: str, source: Path, folder: Path, **more: Any) -> bytes:
    """Fine-tune a saved fit; its weights and losses as bytes."""
    table = mixed_table()
    keeper = every_round(folder)
    tuned = make_generator(name, **TUNED)
    tuned.fit(table.slice(0, 200), mixed_schema(table), seed=2, warm_start=source, keeper=keeper, **more)
    tuned.save(folder / "out")
    texts = [{k: v for k, v in record.items() if k != "seconds"} for record in tuned.history]
    return (folder / "out" / "weights.safetensors").read_bytes() + repr(texts).encode()


@pytest.fixture(scope="module", params=["autoregressive", "vae"])
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, bytes]:
    """A generator's name, a saved fit of it, and what it comes to where fine-tuning is not cut off."""
    folder, table = tmp_path_factory.mktemp("tuned"), mixed_table()
    make_generator(request.param, **TUNED).fit(table, mixed_schema(table), seed=1).save(folder / "source")
    return request.param, folder / "source", tune(request.param, folder / "source", folder)


@pytest.mark.parametrize("cut", [1, 2, 4, 5, 7, 8, 10, 11])
def test_fine_tuning_goes_on_at_the_rate_where_it_was_cut_off(
    undisturbed: tuple[str, Path, bytes], cut: int, tmp_path: Path
) -> None:
    """Four rates of three epochs; the cut falls in the middle of one or at its end."""
    name, source, whole = undisturbed
    heard: list[int] = []

    def progress(record: dict[str, Any]) -> None:
        heard.append(record["epoch"])
        if len(heard) == cut:
            raise Cut

    with pytest.raises(Cut):
        tune(name, source, tmp_path, progress=progress)
    assert tune(name, source, tmp_path, progress=progress) == whole
    assert heard[:cut] == ([1, 2, 3] * 4)[:cut]
    # The epoch whose progress raised was not kept yet; an epoch 1 has nothing before it but the rates that are done.
    assert heard[cut:] == ([1, 2, 3] * 4)[cut - 1 :]
    assert not (tmp_path / "fit").exists()


FIT = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
import torch
from dge_ray.generators.registry import make_generator
from dge_ray.distributed.keeper import FolderKeeper
from dge_ray.storage import Folder
from dge_ray.table import infer_schema
torch.set_num_threads(1)
folder, name = Path(sys.argv[1]), sys.argv[2]
table = pq.read_table(folder / "table.parquet")
schema = infer_schema(table, target="label")
keeper = FolderKeeper(Folder.open(folder), "fit", every=0)
settings = dict(epochs=10, hidden=32, bins=16, patience=10)
say = lambda record: print(record["epoch"], flush=True)
generator = make_generator("autoregressive", **settings)
generator.fit(table, schema, seed=1, keeper=keeper, progress=say).save(folder / name)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 2])
def test_killed_in_the_middle_a_fit_goes_on_to_the_same_weights(kills: int, tmp_path: Path) -> None:
    """kill -9 after the 3rd epoch of one process, or also of the next, then to the end; against one in here."""
    pq.write_table(mixed_table(1_000).drop_columns(["key"]), tmp_path / "table.parquet")

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore", "-c", FIT, str(tmp_path), name]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    first_epochs = []
    for _ in range(kills):
        process = start("killed")
        assert process.stdout is not None
        first, *_ = [int(process.stdout.readline()) for _ in range(3)]
        first_epochs.append(first)
        process.kill()
        process.wait()
    out, _ = start("resumed").communicate(timeout=120)
    first_epochs.append(int(out.splitlines()[0]))
    assert first_epochs[0] == 1 and first_epochs[1] >= 3
    assert all(later >= first + 2 for first, later in itertools.pairwise(first_epochs))
    table = pq.read_table(tmp_path / "table.parquet")
    whole = make_generator("autoregressive", epochs=10, hidden=32, bins=16, patience=10)  # one thread here too
    whole.fit(table, infer_schema(table, target="label"), seed=1).save(tmp_path / "undisturbed")
    resumed, undisturbed = (tmp_path / name / "weights.safetensors" for name in ("resumed", "undisturbed"))
    assert resumed.read_bytes() == undisturbed.read_bytes() and not (tmp_path / "killed").exists()
