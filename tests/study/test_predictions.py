"""The prediction tensor on disk: round trip, contract columns, and what is known from file names alone."""

from pathlib import Path

import numpy as np
import pytest

from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.study.records.predictions import (
    Job,
    finished,
    learner_label,
    prediction_file,
    read_predictions,
    tensor,
    write_predictions,
)

RNG = np.random.default_rng(0)


def _values(width: int) -> dict[str, np.ndarray]:
    return {"validation": RNG.random((5, width), np.float32), "test": RNG.random((7, width), np.float32)}


@pytest.mark.parametrize(("width", "classes"), [(1, ()), (2, ("no", "yes")), (3, (0, 1, 2))])
def test_round_trip(tmp_path: Path, width: int, classes: tuple) -> None:
    folder, job, values = Folder.open(tmp_path), Job("member", 3, 100), _values(width)
    write_predictions(folder, "boosting", job, values, classes)
    back = read_predictions(folder, "boosting", job, width)
    assert all(np.array_equal(back[split], values[split]) for split in values)


def test_columns_are_the_contract(tmp_path: Path) -> None:
    folder, job = Folder.open(tmp_path), Job("member", 3, 100)
    write_predictions(folder, "boosting", job, _values(2), ("no", "yes"))
    table = folder.read_table(prediction_file("boosting", job))
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("member", "int32"),
        ("volume", "int64"),
        ("learner", "string"),
        ("split", "string"),
        ("row", "int32"),
        ("class", "string"),
        ("value", "float"),
    ]
    assert set(table["class"].to_pylist()) == {"no", "yes"}


def test_regression_has_no_class(tmp_path: Path) -> None:
    folder, job = Folder.open(tmp_path), Job("member", 0, 10)
    write_predictions(folder, "ridge", job, _values(1), ())
    assert set(folder.read_table(prediction_file("ridge", job))["class"].to_pylist()) == {None}


def test_finished_and_tensor_skip_what_is_not_there(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    there = [Job("member", 0, 10), Job("member", 1, 10), Job("member", 1, 20)]
    for job in there:
        write_predictions(folder, "a", job, _values(2), ("x", "y"))
    assert finished(folder, "a", [*there, Job("member", 0, 20)]) == set(there)
    assert finished(folder, "b", there) == set()
    full = tensor(folder, "a", members=2, volumes=[10, 20], width=2, rows={"validation": 5, "test": 7})
    assert full["test"].shape == (2, 2, 7, 2)
    assert np.isnan(full["test"][0, 1]).all() and np.isfinite(full["test"][1, 1]).all()


def test_another_split_is_told(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    write_predictions(folder, "a", Job("member", 0, 10), _values(2), ("x", "y"))
    with pytest.raises(InputError, match="5 rows of validation"):
        tensor(folder, "a", members=1, volumes=[10], width=2, rows={"validation": 6, "test": 7})


def test_labels_tell_settings_apart() -> None:
    assert learner_label("forest", {}) == "forest"
    assert learner_label("forest", {"n": 1}) != learner_label("forest", {"n": 2})
    assert learner_label("forest", {"a": 1, "b": 2}) == learner_label("forest", {"b": 2, "a": 1})


def test_jobs_know_their_members_and_rows() -> None:
    assert Job("concatenated", 0, 10, 3).members == [0, 1, 2]
    assert Job("concatenated", 0, 10, 3).rows == 30
    assert Job("real").members == [] and Job("real").rows == 0
    assert Job("ensemble", 0, 10, 2).members == [0]
