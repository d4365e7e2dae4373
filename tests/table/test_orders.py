"""Orders between columns: what is built in is found, noise has none, and drawn rows keep what was found."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.table import TableCodec, TableSchema, check_schema, check_table, infer_schema
from dge_ray.table.filling import fill
from dge_ray.table.kept import with_identities
from dge_ray.table.ordering import put_in_order

N = 400


def base(n: int = N, seed: int = 0) -> dict[str, Any]:
    """Columns of which one is never the smaller: money with decimals, counts, times, a chain, and noise beside."""
    rng = np.random.default_rng(seed)
    low = rng.gamma(2, 100, n).round(2)
    count = rng.integers(0, 50, n)
    start = 1_600_000_000_000_000 + rng.integers(0, 10**6, n) * 10**6
    return {
        "low": low,
        "high": (low + rng.exponential(60, n)).round(2),
        "highest": (low + 80 * rng.random(n)).round(2),
        "sold": rng.binomial(count, 0.4),
        "made": count,
        "ends": pa.array(start + rng.integers(0, 400_000, n) * 10**6).cast(pa.timestamp("us")),
        "starts": pa.array(start).cast(pa.timestamp("us")),
        "age": rng.integers(18, 90, n),
        "noise": rng.normal(200, 100, n).round(1),
        "y": rng.normal(size=n),
    }


def found(columns: dict[str, Any]) -> tuple[TableSchema, tuple[str, ...]]:
    table = pa.table(columns)
    schema, lines = with_identities(infer_schema(table, target="y"), table)
    assert check_schema(schema) == [] and TableSchema.from_json(schema.to_json()) == schema
    return schema, lines


def test_what_is_built_in_is_found() -> None:
    """A chain is told by its links; highest >= high does not hold; far ranges (times, money) are not compared."""
    schema, (line,) = found(base())
    assert schema.orders == (("high", "low"), ("highest", "low"), ("made", "sold"), ("ends", "starts"))
    assert "'high' >= 'low'; 'highest' >= 'low'; 'made' >= 'sold'; 'ends' >= 'starts' in all 400 train rows" in line
    columns = base()
    columns["most"] = columns["highest"] + columns["high"]
    columns["most"] = np.maximum(columns["high"], columns["noise"]).round(2)
    pairs = found(columns)[0].orders
    assert ("most", "high") in pairs and ("most", "noise") in pairs and ("most", "low") not in pairs
    missing = base()
    missing["sold"] = pa.array([None if i % 5 == 0 else int(v) for i, v in enumerate(missing["sold"])])
    assert ("made", "sold") in found(missing)[0].orders
    one = base()
    one["high"][7] = one["low"][7] - 1
    assert ("high", "low") not in found(one)[0].orders


def test_ranges_that_are_apart_are_not_told_nor_copies() -> None:
    rng = np.random.default_rng(0)
    far = {"a": rng.normal(100, 1, N), "b": rng.normal(0, 1, N), "y": rng.normal(size=N)}
    assert found(far)[0].orders == ()
    some = {"a": rng.normal(4.5, 1, N), "b": rng.normal(0, 1, N), "y": rng.normal(size=N)}
    assert found({**some, "b": np.minimum(some["b"], some["a"])})[0].orders == ()  # 1 in 1,000 would break it
    copy = found({"a": some["a"], "b": some["a"], "y": some["y"]})[0]
    assert copy.orders == () and len(copy.identities) == 1
    few = {name: values[:20] for name, values in base().items()}
    assert found(few)[0].orders == ()


@pytest.mark.parametrize("rows", [60, 300])
def test_noise_has_none(rows: int) -> None:
    """100 tables of 12 columns whose ranges overlap, some by little. By chance one is told with 10^-12 a pair, and
    there are 10^4 pairs."""
    for seed in range(50):
        rng = np.random.default_rng((seed, rows))
        columns = {f"n{j}": rng.normal(j / 3, 1, rows) for j in range(6)}
        columns |= {f"i{j}": rng.integers(j, 6 + 2 * j, rows) for j in range(6)}
        assert found({**columns, "y": rng.normal(size=rows)})[0].orders == ()


def _drawn(schema: TableSchema, seed: int, n: int = 200) -> dict[str, np.ndarray]:
    """Encoded rows of each column's own range, as a generator that knows no orders would draw them."""
    rng = np.random.default_rng(seed)
    columns = {}
    for column in schema.varying:
        assert column.minimum is not None and column.maximum is not None
        columns[column.name] = rng.uniform(column.minimum - 1, column.maximum + 1, n)
        if column.missing:
            columns[column.name][rng.random(n) < 0.2] = np.nan
    return columns


def _kept(schema: TableSchema, table: pa.Table) -> bool:
    columns = TableCodec(schema).encode(table)
    return all(not (columns[a] < columns[b]).any() for a, b in schema.orders)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_every_drawn_row_keeps_them(seed: int) -> None:
    """In its column's precision and bounds; columns without an order are as they were; what is held stays."""
    schema = found(base(seed=seed % 7))[0]
    columns = _drawn(schema, seed)
    table = TableCodec(schema).decode(columns, seed=0)
    assert _kept(schema, table) and check_table(table, schema) == []
    free = TableCodec(replace(schema, orders=())).decode(columns, seed=0)
    for name in ("age", "noise", "y"):
        assert table[name].equals(free[name])
    encoded = TableCodec(schema).encode(free)
    held = fill(encoded, schema, held=("low", "made", "starts"))
    for a, b in (("high", "low"), ("made", "sold"), ("ends", "starts")):
        assert not (held[a] < held[b]).any()
    for name in ("low", "made", "starts"):
        assert np.array_equal(held[name], encoded[name])


def test_two_free_columns_change_places() -> None:
    """By hand: the pair as a set is kept; beside a fixed one the other lies at the same distance on the right side."""
    schema = replace(found(base())[0], orders=(("high", "low"),))
    columns = {"high": np.array([20.0, 50.0, np.nan]), "low": np.array([30.0, 20.0, 5.0])}
    both = dict(columns)
    assert put_in_order(both, schema, ())
    np.testing.assert_array_equal(both["high"], [30, 50, np.nan])
    np.testing.assert_array_equal(both["low"], [20, 20, 5])
    one = dict(columns)
    put_in_order(one, schema, ("high",))
    assert one["low"].tolist()[1:] == [20, 5] and one["high"] is columns["high"] and one["low"].tolist()[0] <= 20
    one = dict(columns)
    put_in_order(one, schema, ("low",))
    assert one["high"][0] == 40 and one["low"] is columns["low"]
    fixed = dict(columns)
    assert not put_in_order(fixed, schema, ("low", "high")) and fixed == columns


def test_a_schema_that_somebody_wrote() -> None:
    schema = found(base())[0]
    for orders, words in (
        ((("high", "nope"),), "no measured column"),
        ((("high", "low"), ("low", "high")), "in a circle"),
        ((("low", "low"),), "in a circle"),
    ):
        (fault,) = check_schema(replace(schema, orders=orders))
        assert words in fault
