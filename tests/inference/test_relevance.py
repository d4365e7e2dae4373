"""The statistic against least squares by hand, and null tables against what they must keep and must lose."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.inference.relevance import FixedRelevance, Relevance
from dge_ray.inference.replicates import Null, Recipe, Stream, opened, saved, stream
from dge_ray.table import TableCodec, infer_schema


def rows(n: int = 400, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((2, n))
    return pa.table({"x": x, "z": z + x, "y": x + 0.5 * z + rng.standard_normal(n)})


def by_hand(table: pa.Table) -> float:
    data = np.column_stack([table[name].to_numpy() for name in "xzy"])
    half = len(data) // 2
    d = []
    for fitted, judged in ((data[:half], data[half:]), (data[half:], data[:half])):
        errors = []
        for columns in ([0], [0, 1]):
            design, target = (np.column_stack([np.ones(len(part)), part[:, columns]]) for part in (fitted, judged))
            errors.append(np.abs(judged[:, 2] - target @ np.linalg.lstsq(design, fitted[:, 2], rcond=None)[0]))
        d.append(errors[0] - errors[1])
    joined = np.concatenate(d)
    return float(np.sqrt(len(joined)) * joined.mean() / joined.std())


def test_the_cross_fitted_statistic() -> None:
    table = rows(401)
    schema = infer_schema(table, target="y")
    judge = Relevance(schema, ("z",), "ridge", {"alpha": 1e-9})
    assert judge(table, 0) == pytest.approx(by_hand(table), rel=1e-4)  # predictions are float32
    assert judge(table, 0) == judge(table, 0) > 2


def test_fixed_learners_judge_all_rows() -> None:
    table, other = rows(), rows(seed=1)
    schema = infer_schema(table, target="y")
    columns = TableCodec(schema).encode(table)
    judge = FixedRelevance(Relevance(schema, ("z",), "ridge", {}).fit(columns, 0), schema)
    y = other["y"].to_numpy()
    errors = []
    for names in ("x", "xz"):
        design, target = (np.column_stack([np.ones(400), *(t[n].to_numpy() for n in names)]) for t in (table, other))
        errors.append(np.abs(y - target @ np.linalg.lstsq(design, table["y"].to_numpy(), rcond=None)[0]))
    d = errors[0] - errors[1]
    assert judge(other, 0) == pytest.approx(20 * d.mean() / d.std(), rel=0.02)  # ridge's penalty of 1


@dataclass
class Redraws:
    """Completes rows: z is x and noise, y is nonsense that must not be taken."""

    def sample(self, n: int, *, seed: int, given: pa.Table) -> pa.Table:
        assert given.column_names == ["x"]
        z = given["x"].to_numpy() + np.random.default_rng(seed).standard_normal(n)
        return pa.table({"x": given["x"], "z": z, "y": np.full(n, 99.0)})


def test_a_null_table_keeps_all_but_the_tested_feature() -> None:
    table = rows(4000)
    null = Null(infer_schema(table, target="y"), ("z",), Recipe("copula", {}), {}, None)
    made = null.enforce(table, Redraws(), seed=1)
    assert made.schema == table.schema
    assert made["x"].equals(table["x"]) and made["y"].equals(table["y"]) and not made["z"].equals(table["z"])
    before, after = (np.corrcoef([t[n].to_numpy() for n in "xzy"]) for t in (table, made))
    assert after[0, 1] == pytest.approx(before[0, 1], abs=0.05)  # 3 standard errors of 1 / sqrt(4000)
    partial = [np.corrcoef([t[n].to_numpy() - t["x"].to_numpy() for n in "yz"])[0, 1] for t in (table, made)]
    assert partial[0] > 0.4 and abs(partial[1]) < 0.05


def test_streams_and_files() -> None:
    drawn = {stream(s, r, which) for s in (0, 1) for r in (0, 1, 2) for which in Stream}
    assert len(drawn) == 2 * 3 * len(Stream)

    def save(folder) -> None:
        (folder / "a").mkdir()
        (folder / "a" / "b").write_bytes(b"1")
        (folder / "c").write_bytes(b"2")

    files = saved(save)
    assert files == {"a/b": b"1", "c": b"2"}
    with opened(files) as folder:
        assert saved(lambda other: [(other / "x").write_bytes((folder / "a" / "b").read_bytes())]) == {"x": b"1"}
