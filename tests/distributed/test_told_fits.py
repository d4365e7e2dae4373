"""What a study says of fits that went otherwise than asked: settings that small samples have no rows for, and which
learner, member and volume a failure was of.
"""

from pathlib import Path

import pytest
from ray.exceptions import RayError

from dge_ray.commands.tune import run_study
from dge_ray.distributed.worker import _named
from dge_ray.errors import StudyError
from dge_ray.storage import Folder
from dge_ray.study.read_config import read_config
from dge_ray.study.records.costs import cut_settings
from dge_ray.study.records.predictions import Job, cut_file
from dge_ray.study.terminal.progress import Progress

SMALL = ["generator=copula", "members=1", "ratios=0.25", "tracking=false", "workers=1"]


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Job("member", 3, 1500), "member 3, volume 1,500"),
        (Job("ensemble", 0, 1500, 2), "member 0, volume 1,500, seed 2"),
        (Job("concatenated", 2, 10, 4), "members 2 to 5, volume 10"),
        (Job("real"), "real rows"),
        (Job("raw"), "raw rows"),
    ],
)
def test_a_fit_that_fails_is_named(job: Job, words: str) -> None:
    job = Job(job.kind, job.member, job.volume, job.index, "mine")
    for error in (ValueError("specified nu is infeasible\nand more"), RuntimeError("boom"), StudyError("not finite")):
        with pytest.raises(StudyError) as told, _named(job, alone=True):
            raise error
        assert str(told.value).startswith(f"a downstream fit failed: learner mine, {words}: ")
        assert str(error).splitlines()[0] in str(told.value) and "\n" not in str(told.value)


def test_the_end_of_another_worker_is_no_failed_fit() -> None:
    """Train starts the group again: it must see what was raised."""
    for alone, error in ((False, RuntimeError("connection closed by peer")), (True, RayError("gone"))):
        with pytest.raises(type(error)) as told, _named(Job("real"), alone=alone):
            raise error
        assert told.value is error


def test_cut_settings_are_one_line_a_learner(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    jobs = [Job("member", k, m) for m in (87, 348, 700) for k in range(2)]
    assert cut_settings(folder, "knn", jobs) is None
    for job in jobs[:4]:
        note = {"settings": [f"n_neighbors 500 cut to {job.volume}"], "rows": job.volume}
        folder.write_json(cut_file("knn", job), note)
    line = cut_settings(folder, "knn", jobs)
    assert line is not None and line.startswith(
        "learner knn: settings did not fit the rows of 4 of 6 fits (87 to 348 rows)"
    )
    assert "n_neighbors 500 cut to 87 at 87 rows" in line and "\n" not in line
    assert cut_settings(folder, "linear", jobs) is None


@pytest.mark.slow
@pytest.mark.ray
def test_a_study_says_both(cluster: object, tmp_path: Path) -> None:
    said: list[str] = []
    progress = Progress()
    progress.say = said.append  # type: ignore[method-assign]
    words = [*SMALL, f"storage={tmp_path}", "learner=knn", "learner.n_neighbors=300"]
    report = run_study(read_config("breast_cancer", words), progress)
    [line] = [text for text in report["warnings"] if "settings did not fit" in text]
    assert "n_neighbors 300 cut to" in line and said.count(f"warning: {line}") == 1
    words = [*SMALL, f"storage={tmp_path}", "study=fails", "learner=sklearn.svm.NuSVC"]
    words += ["learner.nu=0.95", "learner.probability=true"]
    with pytest.raises(
        StudyError, match=r"learner sklearn\.svm\.NuSVC-\w+, (member \d, volume \d+|real rows): ValueError"
    ):
        run_study(read_config("breast_cancer", words), Progress())
