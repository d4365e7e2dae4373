"""The ensemble on real rows of a learner that stops early: a row drawn twice counts twice, and is on one side alone."""

from pathlib import Path

import numpy as np
from helpers.small_study import small_prepared, small_table

from dge_ray.distributed.worker import Fits
from dge_ray.downstream import make_learner
from dge_ray.storage import Folder
from dge_ray.study.downstream_spec import downstream_of
from dge_ray.study.records.predictions import Job, bootstrapped_rows, learner_seed, read_predictions


def test_a_row_drawn_twice_is_one_row_that_counts_twice(tmp_path: Path) -> None:
    small_table(tmp_path)
    prepared = small_prepared(tmp_path, "learner=boosting_early", "learner.max_iter=15", "members=2")
    spec, real = downstream_of(prepared, Folder.open(str(tmp_path / "s")), prepared.arms, 10), prepared.encoded()
    job, label = Job("real_ensemble", index=1, learner=prepared.arms[0].label), prepared.arms[0].label
    Fits(spec, [real]).fit(job)
    rows, times = np.unique(bootstrapped_rows(0, job, prepared.n), return_counts=True)
    assert len(rows) < prepared.n and times.max() > 1
    learner = make_learner("boosting_early", {"max_iter": 15}, prepared.schema, seed=learner_seed(0, job))
    learner.fit({n: v[rows] for n, v in real["train"].items()}, times.astype(float))  # type: ignore[call-arg]
    found = read_predictions(spec.members.folder, label, job, prepared.width)["test"]
    np.testing.assert_array_equal(found, learner.predict(real["test"]))
