"""Identities between columns: oracles that are built in, tables of independent noise, rows that keep what was found.

What may be found by chance: `relations/chance.py` asks for a chance below 1e-12 a candidate, and 100 tables of 15
columns have some 10^5: none is expected to be found.
"""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.table import Kind, TableCodec, TableSchema, check_schema, check_table, infer_schema
from dge_ray.table.filling import bounds_of, fill, settled, solved, value_of
from dge_ray.table.kept import with_identities
from dge_ray.table.relations.find import find_identities
from dge_ray.table.schema.identities import Identity, in_order, in_words

N = 400


def base(n: int = N, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    word = rng.choice(list("abcdefgh"), n)
    return {
        "money": rng.gamma(2, 1000, n).round(2),
        "change": rng.normal(0, 50, n).round(1),
        "real": rng.normal(size=n),
        "count": rng.integers(0, 100, n),
        "few": rng.integers(1, 9, n),
        "word": word,
        "town": np.array([{"a": "X", "b": "Y", "c": "Z"}.get(w, "W") for w in word]),
        "y": rng.normal(size=n),
    }


def found(columns: dict[str, Any], target: str | None = "y") -> tuple[tuple[str, ...], TableSchema, pa.Table]:
    table = pa.table(columns)
    schema, _ = with_identities(infer_schema(table, target=target), table)
    assert check_schema(schema) == []
    assert TableSchema.from_json(schema.to_json()) == schema
    return tuple(in_words(identity) for identity in schema.identities), schema, table


def only(*names: str, **more: Any) -> dict[str, Any]:
    columns = base()
    return {**{name: columns[name] for name in names}, **more, "y": columns["y"]}


b = base()
parts = np.random.default_rng(1).dirichlet([1, 1, 1], N) * 100
start = 1_600_000_000_000_000 + np.random.default_rng(2).integers(0, 10**7, N) * 1_000_000
lasted = np.random.default_rng(3).integers(1, 500_000, N)


def stamps(counts: np.ndarray) -> pa.Array:
    return pa.array(counts).cast(pa.timestamp("us"))


CASES = {
    "sum": (only("money", "change", total=np.round(b["money"] + b["change"], 2)), ["'total' = 'money' + 'change'"]),
    "sum that stands first": (
        {"total": np.round(b["money"] + b["change"], 2), **only("money", "change")},
        ["'total' = 'money' + 'change'"],
    ),
    "difference": (
        only("money", "change", net=np.round(b["money"] - b["change"], 2)),
        ["'money' = 'change' + 'net'"],
    ),
    "sum of three": (
        only("count", "few", third=lasted % 50, all=b["count"] + b["few"] + lasted % 50),
        ["'all' = 'count' + 'few' + 'third'"],
    ),
    "duplicate": (only("real", again=b["real"]), ["'again' = 'real'"]),
    "multiple": (only("real", inches=b["real"] * 2.54), ["'inches' = 2.54 'real'"]),
    "affine": (only("change", f=np.round(b["change"] * 1.8 + 32, 2)), ["'f' = 1.8 'change' + 32"]),
    "rounded": (
        only(grams=np.round(b["money"] * 100).astype(int), kg=np.round(b["money"] / 10, 1)),
        ["'kg' = 0.001 'grams'"],
    ),
    "shares of a hundred": (
        only(p=parts[:, 0].round(1), q=parts[:, 1].round(1), r=parts[:, 2].round(1)),
        ["'r' = -'p' - 'q' + 100"],
    ),
    "product": (
        only("money", "few", amount=np.round(b["money"] * b["few"], 2)),
        ["'amount' = 'money' x 'few'"],
    ),
    "rate": (
        only("count", "few", rate=np.round(100 * b["count"] / b["few"], 1)),
        ["'rate' = 100 'count' / 'few'"],
    ),
    "float32": (
        only(a=b["real"].astype("f4"), b=b["change"].astype("f4"), s=b["real"].astype("f4") + b["change"].astype("f4")),
        ["'s' = 'a' + 'b'"],
    ),
    "times": (
        only(start=stamps(start), seconds=lasted, end=stamps(start + 1_000_000 * lasted)),
        ["'end' = 'start' + 1e+06 'seconds'"],
    ),
    "category to category": (only("word", "town"), ["'town' is told by 'word'"]),
    "category to number": (
        only("word", rank=np.array([ord(w) - 90 for w in b["word"]])),
        ["'rank' is told by 'word'"],
    ),
    "a unit more or not": (only("count", more=b["count"] + lasted % 2), []),
    "noise": (only("money", "change", "real", "count", "few", "word"), []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_built_in_is_found(name: str) -> None:
    columns, words = CASES[name]
    assert list(found(columns)[0]) == words


@pytest.mark.parametrize("name", [name for name, (_, words) in CASES.items() if words])
def test_rows_of_independent_columns_come_to_keep_it(name: str) -> None:
    """Every modelled column permuted by itself: what a generator that learnt nothing but marginals would draw."""
    _, schema, table = found(CASES[name][0])
    rng = np.random.default_rng(5)
    codec = TableCodec(schema)
    columns = {c.name: rng.permutation(codec.encode(table)[c.name]) for c in schema.modelled}
    made = codec.decode(columns, seed=0)
    assert check_table(made, schema) == []
    again = codec.encode(made)
    for identity in schema.identities:
        value, column = value_of(identity, again), schema[identity.column]
        if column.kind is Kind.CATEGORICAL:
            assert (value == again[column.name]).all()
            continue
        # Kept to the column's own precision, and to that of float32 where it is stored so.
        unit = 10.0**-column.decimals if column.decimals is not None else 1e-6 * np.abs(value).max()
        assert (np.abs(value - again[column.name]) <= 0.5001 * unit * column.step).mean() >= 0.999


def noise(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    n = (40, 100, 400, 2000)[seed % 4]
    kinds = [
        lambda: rng.normal(size=n),
        lambda: rng.integers(0, 2, n),
        lambda: rng.integers(0, 50, n),
        lambda: rng.choice(list("abc"), n, p=[0.9, 0.07, 0.03]),
        lambda: rng.choice([f"v{i}" for i in range(20)], n),
        lambda: rng.exponential(size=n).round(2),
        lambda: (rng.random(n) < 0.03) * rng.random(n).round(1),
        lambda: np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n).round(1)),
    ]
    return {f"c{i}": kinds[(i + seed) % len(kinds)]() for i in range(15)}


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 108), marks=pytest.mark.slow)], ids=["few", "all"])
def test_nothing_is_found_in_tables_of_independent_noise(seeds: range) -> None:
    spent = 0.0
    for seed in seeds:
        table = pa.table(noise(seed))
        schema = infer_schema(table)
        columns = TableCodec(schema).encode(table)
        began = time.process_time()
        assert find_identities(columns, schema) == ()
        spent += time.process_time() - began
    assert spent < 0.2 * len(seeds)  # CPU-seconds; a tenth of it where nothing else runs


def test_missing_values_follow_where_they_do_in_real_rows() -> None:
    rng = np.random.default_rng(0)
    a = np.where(rng.random(N) < 0.1, np.nan, b["money"])
    words, schema, table = found(only("change", a=a, total=np.round(a + b["change"], 2)))
    assert words == ("'total' = 'change' + 'a'",) and schema.computed == {"total"}
    codec = TableCodec(schema)
    columns = {name: values[::-1] for name, values in codec.encode(table).items() if name != "total"}
    made = codec.encode(codec.decode(columns, seed=0))
    assert (np.isnan(made["total"]) == np.isnan(made["a"])).all()


def test_missing_values_of_its_own_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    total = np.where(rng.random(N) < 0.1, np.nan, np.round(b["money"] + b["change"], 2))
    _, schema, table = found(only("money", "change", total=total))
    assert schema.computed == set() and [i.modelled for i in schema.identities] == [True]
    codec = TableCodec(schema)
    columns = {name: rng.permutation(values) for name, values in codec.encode(table).items()}
    made = codec.encode(codec.decode(columns, seed=0))
    assert (np.isnan(made["total"]) == np.isnan(columns["total"])).all()
    there = ~np.isnan(made["total"])
    np.testing.assert_allclose(made["total"][there], (made["money"] + made["change"])[there], atol=1e-6)


def test_categories_whose_values_are_missing() -> None:
    """A missing category tells a value too, if all of its rows have one; a category may tell that there is none."""
    town = [None if w == "h" else t for w, t in zip(b["word"], b["town"], strict=True)]
    word = [None if w == "g" else w for w in b["word"]]
    words, schema, table = found(only(word=pa.array(word, pa.string()), town=pa.array(town, pa.string())))
    assert words == ("'town' is told by 'word'",) and schema.computed == {"town"}
    codec = TableCodec(schema)
    assert codec.decode({n: v for n, v in codec.encode(table).items() if n != "town"}, seed=0).equals(table)


def test_the_target_is_computed_only_where_a_category_tells_it() -> None:
    table = pa.table({**only("money", "change", "word"), "y": np.round(b["money"] + b["change"], 2)})
    schema, lines = with_identities(infer_schema(table, target="y"), table)
    assert schema.computed != {"y"} and "y" not in schema.computed and len(schema.computed) == 1
    assert "nothing to predict" in lines[-1]
    table = pa.table({**only("word", "money"), "y": b["town"]})
    schema, lines = with_identities(infer_schema(table, target="y"), table)
    assert schema.computed == set() and [i.column for i in schema.identities] == ["y"]
    assert schema["y"] in schema.modelled and "nothing to predict" in lines[-1]


def test_a_feature_that_the_target_tells_is_no_leak_unless_it_tells_it_back() -> None:
    for feature, leaks in ((b["town"], 0), (np.char.upper(b["word"]), 1)):
        table = pa.table({"feature": feature, "x": b["real"], "y": b["word"]})
        schema, lines = with_identities(infer_schema(table, target="y"), table)
        assert schema.computed == {"feature"} and len(lines) == 1 + leaks


def test_rare_values_and_near_unique_categories_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    rare = np.where(np.arange(N) < 4, "b", "a")
    keys = [f"k{i}" for i in rng.integers(0, 5 * N, N)]
    assert found({"rare": rare, "key": keys, "word": b["word"], "y": b["y"]})[0] == ()


def test_a_sum_within_its_bounds_though_its_parts_would_leave_them() -> None:
    """Parts that are 0 or large are never large together: independent draws would be, and give way."""
    rng = np.random.default_rng(0)
    one = np.where(rng.random(N) < 0.5, rng.integers(50, 100, N), 0)
    two = np.where(one > 0, 0, rng.integers(50, 100, N))
    _, schema, table = found({"one": one, "two": two, "all": one + two, "y": b["y"]})
    codec = TableCodec(schema)
    columns = {name: rng.permutation(codec.encode(table)[name]) for name in ("one", "two", "y")}
    made = codec.encode(codec.decode(columns, seed=0))
    assert made["all"].max() <= 99 and (made["one"] + made["two"] == made["all"]).all()


def test_rows_of_a_schema_keep_their_columns_when_others_are_left_out() -> None:
    _, schema, table = found(CASES["sum"][0])
    part = TableSchema((schema["total"], schema["y"]), "y", schema.task, schema.identities)
    assert part.computed == set()
    assert TableCodec(part).decode(TableCodec(part).encode(table), seed=0).equals(table.select(["total", "y"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3))))
def test_an_order_computes_each_column_once_and_after_its_own(pairs: list[tuple[str, set[str]]]) -> None:
    ordered = in_order([Identity(name, "sum", tuple(sorted(of)), (1.0,) * len(of)) for name, of in pairs])
    computed = [identity.column for identity in ordered]
    assert len(set(computed)) == len(computed)
    for at, identity in enumerate(ordered):
        assert not {*identity.of} & {*computed[at:]}
    if any(name not in of for name, of in pairs):
        assert ordered


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_filled_holds_and_is_within_bounds(data: st.DataObject) -> None:
    """Any whole numbers within the bounds of the parts of a difference, and the bounds of the difference itself."""
    _, schema, _ = found(only("count", "few", gap=b["count"] - b["few"]))
    identity = schema.identities[0]
    n = data.draw(st.integers(1, 6))
    columns = {}
    for name in identity.of:
        low, high = bounds_of(schema[name])
        values = data.draw(st.lists(st.integers(int(low), int(high)), min_size=n, max_size=n))
        columns[name] = np.array(values, dtype=np.float64)
    filled = fill(columns, schema)
    assert (filled[identity.column] == value_of(identity, filled)).all()
    for name, values in filled.items():
        assert (settled(schema[name], values) == values).all()
    for name in identity.of:
        np.testing.assert_allclose(np.asarray(solved(identity, name, filled)), filled[name], atol=1e-9)


def test_a_schema_without_identities_reads_and_writes_as_before() -> None:
    schema = infer_schema(pa.table(only("money")), target="y")
    assert "identities" not in json.loads(schema.to_json())
    assert TableSchema.from_json(schema.to_json()) == schema


BAD = {
    "no such column": Identity("none", "sum", ("money",), (1.0,)),
    "factors": Identity("total", "sum", ("money", "change"), (1.0,)),
    "not finite": Identity("total", "sum", ("money",), (float("inf"),)),
    "the target": Identity("y", "sum", ("money",), (1.0,)),
    "power": Identity("total", "product", ("money", "change"), (2.0, 1.0), 1.0),
    "codes": Identity("town", "lookup", ("word",), values=(9,) * 9),
    "too few values": Identity("town", "lookup", ("word",), values=(1, 2)),
    "itself": Identity("total", "sum", ("total",), (1.0,)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_schema_with_a_bad_identity_is_told(name: str) -> None:
    table = pa.table(only("money", "change", "word", "town", total=b["money"] + b["change"]))
    schema = infer_schema(table, target="y")
    assert check_schema(schema) == []
    assert len(check_schema(replace(schema, identities=(BAD[name],)))) == 1
