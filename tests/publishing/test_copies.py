"""Copies of rare real rows, against a search by brute force; rows' numbers, against equality of rows."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.publishing.copies import MOST_BY_CHANCE, Copies, Matches, RealRows
from dge_ray.table import infer_schema
from dge_ray.table.hashes import row_hashes


def _copies(real: pa.Table, rows: pa.Table, **kinds: Any) -> Copies:
    schema = infer_schema(real, overrides=kinds)
    known = RealRows(real, schema)
    return known.copies(Matches(known.once, schema).of(rows), rows.num_rows)


ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.5, None]), st.sampled_from(["a", "b", None]), st.integers(0, 2)),
    min_size=3,
    max_size=40,
)


def _table(rows: list[tuple]) -> pa.Table:
    types = (pa.float64(), pa.string(), pa.int64())
    columns = zip(*rows, strict=True)
    return pa.table({n: pa.array(v, t) for n, v, t in zip("xyz", columns, types, strict=True)})


ALL = _table([(x, y, z) for x in (0.0, 1.5, None) for y in ("a", "b", None) for z in range(3)])


@settings(deadline=None)  # the machine may be busy
@given(rows=ROWS)
def test_rows_are_equal_where_their_numbers_are(rows: list[tuple]) -> None:
    hashes = row_hashes(_table(rows), infer_schema(ALL))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (hashes[i] == hashes[j]) == (one == other)  # 0.0 == -0.0, None == None


def test_numbers_do_not_fall_together() -> None:
    grid = np.arange(300)
    table = pa.table({"a": np.repeat(grid, 300), "b": np.tile(grid, 300) / 4})
    assert len(np.unique(row_hashes(table, infer_schema(table)))) == 90_000


@settings(deadline=None)  # the machine may be busy
@given(real=ROWS, rows=ROWS)
def test_against_brute_force(real: list[tuple], rows: list[tuple]) -> None:
    real = [*real, *zip(*(ALL[n].to_pylist() for n in "xyz"), strict=True)]  # so that every kind of value is there
    counts = Counter(real)
    once = {row for row, count in counts.items() if count == 1}
    alone = [row for row in rows if row in once]
    rare = 0
    for row in alone:
        chance = len(rows) * len(once)
        for at in range(3):
            seen = Counter(other[at] for other in real)
            times = list(seen.values())
            fresh = min(1, 2 * (times.count(2) + 1) / max(times.count(1), 1))
            chance *= (fresh if seen[row[at]] == 1 else seen[row[at]]) / len(real)
        rare += chance < MOST_BY_CHANCE
    assert _copies(_table(real), _table(rows)) == Copies(len(alone), rare)


def test_copies_on_a_table_of_few_discrete_columns_are_harmless() -> None:
    rng = np.random.default_rng(0)
    draw = lambda n: pa.table({c: rng.integers(0, 5, n) for c in "abcd"})  # noqa: E731
    found = _copies(draw(500), draw(2_000))
    assert found.unique > 100 and found.rare == 0


def test_copies_of_continuous_rows_are_not() -> None:
    rng = np.random.default_rng(0)
    real = pa.table({c: rng.normal(size=500) for c in "abcd"})
    fresh = pa.table({c: rng.normal(size=2_000) for c in "abcd"})
    assert _copies(real, fresh) == Copies(0, 0)
    assert _copies(real, pa.concat_tables([fresh, real.slice(0, 3), real.slice(0, 1)])) == Copies(4, 4)


def test_an_outlier_among_common_rows_is_rare() -> None:
    """999 people of 3 x 3 kinds, and one whose values nobody else has."""
    rng = np.random.default_rng(0)
    real = pa.table({c: np.append(rng.integers(0, 3, 999), 90 + i) for i, c in enumerate("abc")})
    assert _copies(real, real.slice(900)) == Copies(1, 1)


def test_constants_and_identifiers_do_not_count_and_types_may_differ() -> None:
    at = range(60)
    real = pa.table({"k": [1] * 60, "id": [f"p{i}" for i in at], "x": [i / 7 for i in at], "y": at})
    schema = infer_schema(real, overrides={"id": "identifier", "y": "integer"})
    rows = real.slice(5, 2).set_column(1, "id", pa.array(["synthetic-0", "synthetic-1"]))
    known = RealRows(real.set_column(3, "y", pa.array(range(60), pa.int32())), schema)
    assert known.copies(Matches(known.once, schema).of(rows), 2) == Copies(2, 2)


def test_text_is_compared_too() -> None:
    texts = [f"a rather long text about the matter number {i}" for i in range(60)]
    real = pa.table({"t": pa.array([*texts, None]), "y": [i % 2 for i in range(61)]})
    assert _copies(real, real.slice(58), t="text").unique == 3
    other = real.slice(58).set_column(0, "t", pa.array(["", "b", None]))
    assert _copies(real, other, t="text").unique == 1


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_no_row_that_occurs_once(rows: int) -> None:
    real = pa.table({"a": [1, 1, 2, 2], "b": [0, 0, 1, 1]})
    assert _copies(real, real.slice(0, rows)) == Copies(0, 0)
