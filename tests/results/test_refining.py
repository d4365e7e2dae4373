"""The coarse-to-fine search as a study runs it: its rounds, a study that goes on, and (slow) one on Ray against the
same search replayed on the whole grid's predictions, which are computed in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from plain import plain_study

from dge_ray.commands.check import bill
from dge_ray.results.refining import refined_volumes
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.predictions import Job

GRID = tuple(range(100, 3100, 100))


def test_rounds_ask_for_new_volumes_only_and_are_the_same_again() -> None:
    """A study that goes on asks for the volumes of the first run, in its order: they are on disk."""
    generator = np.random.default_rng(0)
    y = generator.standard_normal(100)
    bias = 0.5 * np.abs(np.log(np.array(GRID) / 700))[:, None] + 0.05 * generator.standard_normal((3, len(GRID), 100))
    stand_in: Any = SimpleNamespace(volumes=GRID, task="regression", metric="rmse", config=SimpleNamespace(seed=0))

    def search() -> tuple[list[int], list[list[int]], list[str]]:
        rounds: list[list[int]] = []
        lines: list[str] = []

        def fit(batch: Any) -> Any:
            rounds.append(list(batch))
            return batch

        done = refined_volumes(
            cast(Prepared, stand_in),
            y,
            search=fit,
            predictions=lambda done: bias[:, np.isin(GRID, done), :, None],
            say=lines.append,
        )
        return done, rounds, lines

    done, rounds, lines = search()
    fitted = [volume for batch in rounds for volume in batch]
    assert sorted(fitted) == done and len(set(fitted)) == len(fitted) <= 12
    assert 700 in done and rounds[0] == [100, 200, 600, 1300, 3000]
    assert lines[-1] == f"looked at {len(done)} of the 30 volumes"
    assert search()[:2] == (done, rounds)


def test_the_bill_is_of_the_share_that_may_be_fitted() -> None:
    words = ["generator=copula", "learner=tree", "members=3", f"ratios={','.join(map(str, range(1, 31)))}"]
    whole, part = (bill(prepare(read_config("breast_cancer", [*words, f"search={s}"]))) for s in ("grid", "refine"))
    assert whole["downstream_fits"] - part["downstream_fits"] == 3 * (30 - 12)


@pytest.mark.slow
def test_a_study_on_ray_looks_where_the_replay_does_and_redoes_nothing(tmp_path: Path) -> None:
    words = ["breast_cancer", "generator=copula", "learner=linear", "members=3", "seed=1"]
    words.append(f"ratios={','.join(map(str, range(1, 31)))}")
    prepared = prepare(read_config(words[0], words[1:]))
    predicted = plain_study(prepared, 3, prepared.volumes)

    def validation(done: Any) -> np.ndarray:
        return np.stack([[predicted[Job("member", k, m)]["validation"] for m in done] for k in range(3)])

    expected = refined_volumes(
        prepared,
        prepared.truth("validation"),
        search=lambda batch: batch,
        predictions=validation,
        say=lambda _: None,
    )
    report = _tuned(tmp_path, *words, "search=refine")
    assert report["volumes"] == expected and len(expected) <= 12
    assert report["search"] == {"name": "refine", "volumes": len(expected), "grid": 30}

    def files() -> dict[str, int]:
        folder = tmp_path / "studies" / "breast_cancer"
        found = [p for part in ("predictions", "members", "shards") for p in (folder / part).rglob("*") if p.is_file()]
        return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}

    first = files()
    assert sum(name.startswith("predictions/") for name in first) == 3 * len(expected)
    again = _tuned(tmp_path, *words, "search=refine")
    assert files() == first and again["reflection_point"] == report["reflection_point"]
    whole = _tuned(tmp_path, *words, "search=grid")  # the same study: how it is searched is no part of it
    assert {name: time for name, time in files().items() if name in first} == first
    assert len(whole["volumes"]) == 30


def _tuned(folder: Path, *words: str) -> dict[str, Any]:
    """The report of `dge-ray tune`, run in a process of its own in `folder`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    command = [sys.executable, "-m", "dge_ray.cli", "tune", *words, "folds=1", "tracking=false", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
