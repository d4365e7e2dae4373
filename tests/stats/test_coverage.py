"""The coverage experiment: a small run here, the committed table against its targets, the full run when asked.

Targets: the interval holds the true reflection point in at least .93 of the replicates in each of 20 cells; on `sharp`
at 3,000 rows it is at most 3 of 8 volumes wide; mean `se` lies within 10 % of the standard deviation of the estimated
R(K, m) over replicates.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "coverage"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("claims", "surfaces", "reflection"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("reflection")


def meets_targets(row: dict, *, coverage: float, error: float) -> bool:
    narrow = row["surface"] != "sharp" or row["rows"] != 3000 or row["width"] <= 3
    return row["covered"] >= coverage and narrow and abs(row["se_over_sd"] - 1) <= error


def test_the_truth_is_the_closed_form(experiment: ModuleType) -> None:
    """Risk of fresh ensembles on fresh rows against Surface.risk, all volumes; 4 standard errors."""
    surface = experiment.Surface("mild")
    seen = []
    for replicate in range(300):
        p, y = surface.draw(4, 300, np.random.default_rng([9, replicate]))
        seen.append(((p.mean(axis=0)[..., 0] - y) ** 2).mean(axis=1))
    error = np.std(seen, axis=0) / np.sqrt(len(seen))
    assert np.all(np.abs(np.mean(seen, axis=0) - surface.risk(4)) < 4 * error)


@pytest.mark.parametrize("name", ["sharp", "plateau"])
@pytest.mark.parametrize("members", [4, 8])
def test_small_run(experiment: ModuleType, name: str, members: int) -> None:
    row = experiment.simulate(name, members, 300, 80, seed=1)
    # 80 replicates: 2 binomial standard errors below .93 are .057; a standard deviation is known to 8 %, thrice that
    assert meets_targets(row, coverage=0.873, error=0.25)


def test_the_committed_table_meets_the_targets() -> None:
    rows = json.loads((FOLDER / "results" / "reflection.json").read_text())
    assert len(rows) == 20
    assert all(row["replicates"] >= 1000 for row in rows)
    assert [row for row in rows if not meets_targets(row, coverage=0.93, error=0.10)] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_run(experiment: ModuleType) -> None:
    rows = experiment.run(replicates=1000, workers=2, seed=1)
    assert [row for row in rows if not meets_targets(row, coverage=0.93, error=0.10)] == []
