"""Rows of the collection of public reports, by their numbers there, on whose rows they are.

A table of the same kind, drawn here, ends as it should. (`test_reported_files.py` holds the tests to be of all rows.)
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.peoples_tables import (
    AGE,
    AMOUNTS,
    CARDS,
    RNG,
    N,
    Y,
    checked,
    checked_csv,
    csv_of,
    drawn,
    prepared,
    rows_of,
)

from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.publishing.disclosure import check_identifiers
from dge_ray.publishing.leaving import leaving
from dge_ray.table import infer_schema, load_table


def test_row_10_keys_of_whole_numbers_leave_nothing(tmp_path: Path) -> None:
    social = RNG.choice(9 * 10**8, N, replace=False) + 10**8
    columns = {"number": CARDS, "n2": social.tolist(), "customer_no": (RNG.permutation(90_000)[:N] + 10_000).tolist()}
    found = prepared(csv_of(tmp_path, columns))
    for name in columns:
        column = found.schema[name]
        assert column.kind == "identifier" and column.minimum is None and column not in found.schema.features
        assert not set(drawn(found)[name].to_pylist()) & set(columns[name])
    with pytest.raises(InputError, match="columns 'number', 'n2', 'customer_no'"):
        check_identifiers(found.schema, N, False)
    left = leaving(found.schema, found.config, rows_of(found)).schema.to_json()
    assert not any(str(value) in left for values in columns.values() for value in (min(values), max(values)))


def test_row_11_who_somebody_is_in_a_small_table(tmp_path: Path) -> None:
    small = checked_csv(tmp_path, {"email": [f"p{i}@mail.example" for i in range(45)]})
    assert small.kind("email") == "identifier" and small.told("'email'", "e-mail addresses")
    first, last = ("Anna", "Peter", "Marta", "Juan", "Emma"), [f"{a}{b}son" for a in "ABDEFG" for b in "aeiou"]
    names = [f"{first[i % 5]} {last[i // 5 % 30]}" for i in range(N)]
    found = prepared(csv_of(tmp_path, {"customer": names}))
    assert found.schema["customer"].kind == "identifier"
    kept = prepared(csv_of(tmp_path, {"customer": names}), "columns.customer=categorical")
    with pytest.raises(InputError, match="identifiers tell who a row is"):
        check_identifiers(kept.schema, N, False, rows_of(kept))
    told = checked_csv(tmp_path, {"Telefon": [f"0{i * 7919 % 10**9:09d}" for i in range(1, 41)]})
    assert told.kind("Telefon") == "identifier"


def test_row_20_rows_of_one_patient(tmp_path: Path) -> None:
    patients = np.repeat(np.arange(N // 5), 5)
    outcome = RNG.integers(0, 2, N // 5)[patients]
    text = "".join(f"{p},{w:.3f},{'st'[o]}\n" for p, w, o in zip(patients, RNG.normal(size=N), outcome, strict=True))
    (tmp_path / "t.csv").write_text(f"patient,w,y\n{text}")
    assert checked(tmp_path / "t.csv").told("'patient'", "group_column=patient")
    whole = prepared(tmp_path / "t.csv", "group_column=patient", "keep_group_column=true")
    parts = [set(part["patient"].to_pylist()) for part in whole.parts.values()]
    assert sum(map(len, parts)) == len(set().union(*parts)) == N // 5
    assert not any("rows parted at random" in line for line in whole.warnings)


def test_row_30_classes_of_few_rows(tmp_path: Path) -> None:
    labels = ["a", "b"] * (N // 2 - 2) + ["rare", "rare", "lone", "b"]
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{v},{c}\n" for v, c in zip(AMOUNTS, labels, strict=True)))
    with pytest.raises(InputError, match=r"'lone'.*'rare'|'rare'.*'lone'") as caught:
        checked(tmp_path / "t.csv")
    assert "rare_classes=" in str(caught.value)
    assert checked(tmp_path / "t.csv", "rare_classes=drop").columns["y"]["distinct"] == 2
    assert sum(checked(tmp_path / "t.csv", "rare_classes=drop").rows.values()) == N - 3


def test_row_41_nearly_nothing(tmp_path: Path) -> None:
    columns = {
        "rare": ["3.5" if row in (1, 200) else "" for row in range(N)],
        "one": [4.25 if row == 50 else "" for row in range(N)],
        "word": ["blue" if row < 2 else "" for row in range(N)],
        "same": ["EUR"] * N,
    }
    found = prepared(csv_of(tmp_path, columns))
    copula = make_generator("copula")
    copula.fit(rows_of(found), found.schema, seed=0)
    made = copula.sample(N, seed=1)
    assert made["same"].to_pylist() == ["EUR"] * N and made["rare"].null_count > 0.9 * N


def test_row_42_tails_and_zeros(tmp_path: Path) -> None:
    debt = np.where(RNG.random(N) < 0.7, 0.0, RNG.lognormal(8, 1, N))
    columns = {"debt": debt, "share": np.clip(RNG.normal(0.5, 0.6, N), 0, 1), "cauchy": RNG.standard_cauchy(N)}
    pq.write_table(pa.table({**columns, "age": AGE, "y": Y}), tmp_path / "t.parquet")
    found = prepared(tmp_path / "t.parquet")
    copula = make_generator("copula")
    copula.fit(rows_of(found), found.schema, seed=0)
    made = copula.sample(1000, seed=1)
    # 5 standard errors of a share of 1,000 rows
    assert abs(np.mean(np.array(made["debt"]) == 0) - np.mean(debt == 0)) < 5 * np.sqrt(0.25 / 1000)
    for name, values in columns.items():
        assert min(values) <= min(made[name].to_pylist()) and max(made[name].to_pylist()) <= max(values)


def test_what_held_types_nulls_and_many_columns(tmp_path: Path) -> None:
    """What the collection says of tables that were right all along. (That every type comes back is shown in
    tests/table/test_codec.py, test_round_trip_gives_the_table_back.)"""
    wide = {f"c{i}": RNG.integers(0, 9, 60) for i in range(400)}
    wide["gaps"] = pa.array([None if i else 1.5 for i in range(60)])
    wide["nullable"] = pa.array([None if i % 3 else i for i in range(60)], pa.int32())
    pq.write_table(pa.table({**wide, "y": Y[:60]}), tmp_path / "t.parquet")
    schema = infer_schema(load_table(str(tmp_path / "t.parquet")), target="y")
    assert len(schema.columns) == 403 and schema["nullable"].type == "int32" and schema["gaps"].missing
