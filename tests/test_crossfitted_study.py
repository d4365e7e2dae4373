"""A cross-fitted study as an object of Python: predictions of all its folds."""

from pathlib import Path

import numpy as np
import pytest
from helpers.small_study import small_prepared, small_study

import dge_ray
from dge_ray.study.records.files import REPORT
from dge_ray.study.records.predictions import write_predictions


@pytest.mark.parametrize("report", ["test", "crossfit"])
def test_predictions_are_of_every_fold(tmp_path: Path, report: str) -> None:
    """Fold f's fit says (1 + f) / 10: each validation row is its own fold's, and test rows stand there once a fold."""
    words = ("folds=3", f"report={report}", "ratios=0.5")
    folder, prepared = small_study(tmp_path, 1, *words), small_prepared(tmp_path, *words)
    (arm,), (volume,) = prepared.arms, prepared.volumes
    for fold, job in enumerate(prepared.cell(arm, 0, volume)):
        rows = {"validation": len(prepared.held[fold]), "test": prepared.rows.get("test", 0)}
        values = {split: np.tile([1 - (1 + fold) / 10, (1 + fold) / 10], (n, 1)) for split, n in rows.items() if n}
        write_predictions(folder, arm.label, job, values, prepared.schema.classes, prepared.held[fold])
    told = {"members": 1, "volumes": [volume], "learner": arm.label, "data": {"rows": prepared.rows}}
    folder.write_json(REPORT, told)
    study = dge_ray.open_study(folder.path)
    validation, test = (study.predictions(split)[0, 0, :, 1] for split in ("validation", "test"))
    for fold, rows in enumerate(prepared.held):
        assert validation[rows] == pytest.approx((1 + fold) / 10)
    expected = validation if report == "crossfit" else np.repeat([0.1, 0.2, 0.3], prepared.rows["test"])
    assert test == pytest.approx(expected) and len(test) == len(prepared.judged_truth("test"))
