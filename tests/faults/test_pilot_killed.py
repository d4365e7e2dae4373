"""A driver that is killed in the pilot of generator=auto: what is finished stays, and the study comes out the same."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.fault_processes import looks
from helpers.fault_study import (
    PATIENCE,
    StudyProcess,
    differences,
    finished,
    half_written,
    results,
    settle,
    undisturbed,
)

from dge_ray.storage import Folder

WORDS = ["target=y", "members=4", "ratios=0.5,1,2,4,8", "learner=linear", "tracking=false", "workers=1"]
FITS = 6  # two members of trees, the autoregressor, and trees with a boosted target


def _table(place: Path) -> None:
    """Large enough for a fit of the autoregressor to take seconds: it must not end with the kill."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 4))
    y = np.where(rng.random(6000) < 1 / (1 + np.exp(-2 * x[:, 0])), "yes", "no")
    pd.DataFrame({**{f"x{j}": x[:, j] for j in range(4)}, "y": y}).to_parquet(place / "t.parquet", index=False)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[StudyProcess]:
    """A study whose driver is gone by SIGKILL when two of its pilot's fits had ended, and some had not."""
    _table(tmp_path)
    running = StudyProcess(tmp_path, WORDS, table="t.parquet")
    try:
        for _ in looks(PATIENCE, every=0.05):
            if len(_ended(running.study)) >= 2 or running.is_over:
                break
        assert not running.is_over, running.said
        os.kill(running.pid, signal.SIGKILL)
        settle()
        yield running
    finally:
        running.close()


def _ended(study: Path) -> list[str]:
    """The pilot's fits whose predictions are written, which are written last."""
    return sorted(path.parent.parent.name for path in study.glob("pilot/*/predictions/*.parquet"))


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_a_kill_in_the_pilot(killed: StudyProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    study = killed.study
    ended = _ended(study)
    assert 2 <= len(ended) < FITS and not (study / "pilot.json").exists() and not (study / "identity.json").exists()
    assert half_written(study) == []
    before = {name: finished(study / "pilot" / name) for name in ended}
    again = StudyProcess(study.parents[1], WORDS, table="t.parquet")
    kept: dict[str, dict] = {}
    try:
        for _ in looks(PATIENCE, every=0.05):  # while the pilot's files are there
            if (study / "pilot.json").exists() or again.is_over:
                break
            kept = {name: finished(study / "pilot" / name) for name in ended} or kept
        report = again.finish()
        assert f"pilot: {len(ended)} fits were done before" in again.said
    finally:
        again.close()
    for name in ended:  # nothing that had ended was written again
        assert before[name].items() <= kept[name].items(), name
    assert report["pilot"]["fits"] == FITS and report["cost"]["cpu_seconds"]["pilot"] > 0
    other_folder = tmp_path_factory.mktemp("undisturbed")
    _table(other_folder)
    other = undisturbed(other_folder, WORDS, table="t.parquet")
    assert results(study) and differences(study, other) == []
    pilots = [Folder.open(place).read_json("pilot.json") for place in (study, other)]
    for pilot in pilots:  # which hold seconds, too
        pilot.pop("cpu_seconds")
        for row in pilot["candidates"]:
            row.pop("cpu_seconds")
    assert pilots[0] == pilots[1]
