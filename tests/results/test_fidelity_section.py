"""report.json's fidelity: its shares against counts by pandas, its errors against its own parts' functions; no real
value of few rows in it, nothing of a private study, and nothing where the shards are gone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.finished_study import finished_study
from sklearn.metrics import roc_auc_score

from dge_ray.evaluation.two_sample import two_sample_auc
from dge_ray.results.fidelity import BINS, _edges, _shares, fidelity
from dge_ray.study.records.files import shard_file
from dge_ray.table import Column, Kind, TableSchema


def test_a_studys_rows(tmp_path: Path) -> None:
    opened = finished_study(tmp_path)
    prepared, folder = opened.prepared, opened.folder
    found = fidelity(prepared, folder, 3)["fidelity"]
    assert found["rows"] == min(prepared.rows["test"], 192) and found["held"] == "test"
    assert [column["name"] for column in found["columns"]] == ["y", "a", "b"]
    assert found["two_sample_auc"]["held"][1] < 0.5 < found["two_sample_auc"]["held"][2]  # one law: chance
    assert all(0 <= found[key][part] < 0.3 for key in ("column_error", "pair_error") for part in ("synthetic", "held"))
    real = prepared.parts["train"].to_pandas()
    said = json.dumps(found["columns"])
    assert not any(repr(value) in said for name in ("a", "b") for value in real[name])
    again = fidelity(prepared, folder, 3)["fidelity"]
    assert {**again, "cpu_seconds": 0} == {**found, "cpu_seconds": 0}
    folder.delete(shard_file(1, 0))
    assert fidelity(prepared, folder, 3) == {} != fidelity(prepared, folder, 1), "a shard is gone"
    budget = prepared.config.privacy.model_copy(update={"epsilon": 1.0})
    secret = replace(prepared, config=prepared.config.model_copy(update={"privacy": budget}))
    assert fidelity(secret, folder, 1) == {}


def test_shares_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    codes, numbers = rng.integers(-1, 3, 400).astype(np.int32), rng.normal(size=400)
    column = Column("c", Kind.CATEGORICAL, "string", categories=("x", "y", "z"))
    shares = _shares(column, {"train": {"c": codes}, "synthetic": {"c": codes[:100]}, "held": {"c": codes}})
    counted = pd.Series(codes).map({-1: "missing", 0: "x", 1: "y", 2: "z"}).value_counts(normalize=True)
    assert dict(zip(shares["labels"], shares["train"], strict=True)) == pytest.approx(counted.to_dict())
    numeric = Column("c", Kind.NUMERIC, "double")
    found = _shares(numeric, {part: {"c": numbers} for part in ("train", "synthetic", "held")})
    assert len(found["synthetic"]) == BINS and sum(found["synthetic"]) == pytest.approx(1)
    assert all(share == 0 or share >= 5 / 400 for share in found["train"])


@pytest.mark.parametrize("most", [1, 9, 14, 40, 1000])
def test_bins_of_whole_numbers_hold_equally_many(most: int) -> None:
    edges = _edges(Column("c", Kind.INTEGER, "int64"), np.arange(most + 1.0).repeat(200))
    per_bin = np.histogram(np.arange(edges[0] + 0.5, edges[-1]), edges)[0]
    assert len(set(per_bin)) == 1 and len(per_bin) <= BINS


def test_the_classifier_is_as_good_as_the_best_one() -> None:
    """Two normals a unit apart: the best area is Phi(1 / sqrt 2) = .760; 1,200 rows know it to .02."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, (600, 1)), rng.normal(0, 1, (600, 1))
    columns = (Column("x", Kind.NUMERIC, "double"),)
    schema = TableSchema(columns, None, None)
    value, low, high = two_sample_auc({"x": first[:, 0]}, {"x": second[:, 0]}, schema, columns, seed=0)
    best = roc_auc_score(np.repeat([1, 0], 600), np.r_[first, second][:, 0])
    assert value < best + 0.01 and value > best - 0.05 and low < value < high
    same = two_sample_auc({"x": second[:300, 0]}, {"x": second[300:, 0]}, schema, columns, seed=0)
    assert same[1] < 0.5 < same[2]
