"""Fitted learners on disk: saving changes no bit, and nothing off the allowlist is written or read."""

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn
from helpers.learner_cases import NAMES, quick, sample, schema

from dge_ray.downstream import load_learner
from dge_ray.errors import StudyError
from dge_ray.table.schema.table_schema import TableSchema


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_saving_changes_no_bit(name: str, task: str, tmp_path: Path) -> None:
    table = schema(task, levels=80)  # wide enough for a sparse matrix
    learner = quick(name, table).fit(sample(table))
    learner.save(tmp_path / "learner")
    again = load_learner(tmp_path / "learner", TableSchema.from_json(table.to_json()))
    test = sample(table, seed=1)
    np.testing.assert_array_equal(again.predict(test), learner.predict(test))


def test_types_off_the_allowlist_are_neither_saved_nor_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = schema()
    learner = quick("mlp", table).fit(sample(table))  # skops 0.14 trusts trees by itself
    learner.save(tmp_path)
    for module in ("store", "learners"):
        monkeypatch.setattr(f"dge_ray.downstream.{module}.TRUSTED", ["numpy.dtype"])
    with pytest.raises(StudyError, match=r"cannot be saved safely: it holds .*AdamOptimizer"):
        learner.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(StudyError, match=r"allowlist.*AdamOptimizer"):
        load_learner(tmp_path, table)


@pytest.mark.parametrize("name", ["boosting", "torch_mlp"])
def test_damaged_and_foreign_folders(name: str, tmp_path: Path) -> None:
    table = schema()
    with pytest.raises(StudyError, match="no learner there"):
        load_learner(tmp_path, table)
    learner = quick(name, table).fit(sample(table))
    learner.save(tmp_path)
    with pytest.raises(StudyError, match="other columns or classes"):
        load_learner(tmp_path, schema("multiclass", classes=3))
    (model,) = (path for path in tmp_path.iterdir() if path.suffix != ".json")
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(StudyError, match="damaged"):
        load_learner(tmp_path, table)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".pkl", ".joblib", ".pickle", ".pt")]


def test_another_scikit_learn_draws_a_warning(tmp_path: Path) -> None:
    table = schema()
    quick("tree", table).fit(sample(table)).save(tmp_path)
    path = tmp_path / "learner.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "versions": {**described["versions"], "scikit-learn": "0.1"}}))
    with pytest.warns(UserWarning, match=r"saved by scikit-learn 0\.1"):
        load_learner(tmp_path, table)


def test_what_other_versions_saved_and_cannot_be_read_names_them(tmp_path: Path) -> None:
    """Whatever the file then raises: an archive of another form, a class that is not there any more."""
    table = schema()
    quick("tree", table).fit(sample(table)).save(tmp_path)
    path = tmp_path / "learner.json"
    described = json.loads(path.read_text())
    assert described["versions"]["scikit-learn"] == sklearn.__version__ and "skops" in described["versions"]
    for then in ({"versions": {**described["versions"], "scikit-learn": "0.1"}}, {"versions": None, "sklearn": "0.1"}):
        path.write_text(json.dumps({**described, **then}))
        model = (tmp_path / "model.skops").read_bytes()
        (tmp_path / "model.skops").write_bytes(b"PK")
        with pytest.raises(
            StudyError, match=rf"saved by scikit-learn 0\.1, read by scikit-learn {sklearn.__version__}"
        ):
            load_learner(tmp_path, table)
        (tmp_path / "model.skops").write_bytes(model)
