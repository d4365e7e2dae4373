"""Every row of the collection of public reports, by its number there: a table of the same kind, drawn here, ends as it
should, through `dge-ray check` and what follows it. (`test_reported_files.py` holds them to be of all rows.)"""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.peoples_tables import AGE, AMOUNTS, RNG, N, Y, as_text, checked, checked_csv, csv_of, german

from dge_ray.commands.check import check
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.phrases import without
from dge_ray.publishing.disclosure import check_identifiers
from dge_ray.publishing.leaving import leaving
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table import TableCodec, infer_schema, load_table

DAYS = [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in RNG.integers(0, 1500, N)]
CARDS = RNG.integers(10**15, 10**16, N).tolist()


def prepared(source: Path, *words: str) -> Prepared:
    keys = ["generator=copula", f"storage={source.parent}", "study=s", "target=y"]
    return prepare(read_config(str(source), [*keys, *words]))


def rows_of(found: Prepared) -> pa.Table:
    return pa.concat_tables(found.parts.values())


def drawn(found: Prepared) -> pa.Table:
    """Rows as any generator gives them: each measured column anywhere within its bounds."""
    rng, rows = np.random.default_rng(3), rows_of(found)
    columns = TableCodec(found.schema).encode(rows)
    for column in found.schema.modelled:
        if column.minimum is not None and column.maximum is not None:
            columns[column.name] = rng.uniform(column.minimum, column.maximum, rows.num_rows)
    return TableCodec(found.schema).decode(columns, seed=0)


def test_row_01_marks_of_missing_numbers(tmp_path: Path) -> None:
    marks = ("?", "None", "-", ".", "<NA>", "unknown")
    lost = set(RNG.permutation(N)[: N * 3 // 100].tolist())
    columns = {f"c{i}": [mark if row in lost else AMOUNTS[row] for row in range(N)] for i, mark in enumerate(marks)}
    found = checked_csv(tmp_path, columns)
    for name, mark in zip(columns, marks, strict=True):
        assert found.kind(name) == "numeric" and found.columns[name]["missing"] == len(lost)
        assert found.told(f"'{name}'", repr(mark), str(len(lost)), "3.00%")


def test_row_03_single_blanks_in_a_charge(tmp_path: Path) -> None:
    found = checked_csv(tmp_path, {"charges": [" " if row in (4, 90) else AMOUNTS[row] for row in range(N)]})
    assert found.kind("charges") == "numeric" and found.columns["charges"]["missing"] == 2
    assert found.told("'charges'", "' ' 2")
    assert checked(tmp_path / "t.csv", "columns.charges=numeric").kind("charges") == "numeric"


def test_row_04_semicolons_and_a_decimal_comma(tmp_path: Path) -> None:
    path = csv_of(tmp_path, {"income": [german(v) for v in AMOUNTS]}, sign=";")
    found = checked(path)
    assert found.kind("income") == "numeric" and found.told("csv.delimiter=';'", "csv.decimal=','")
    with pytest.warns(UserWarning):
        assert load_table(str(path))["income"].to_pylist() == AMOUNTS


def test_row_07_dates_as_they_are_written(tmp_path: Path) -> None:
    styles = ("%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y")
    columns = {style: [day.strftime(style) for day in DAYS] for style in styles}
    columns["mixed"] = [day.strftime(styles[1 + row % 3]) for row, day in enumerate(DAYS)]
    columns["gaps"] = [("NaT", "None", "0000-00-00")[row] if row < 3 else str(day) for row, day in enumerate(DAYS)]
    columns["timed"] = [f"{day:%m/%d/%Y} 04:05 PM" for day in DAYS]
    path = csv_of(tmp_path, columns)
    found = checked(path)
    assert {found.kind(name) for name in columns} == {"datetime"} and found.columns["gaps"]["missing"] == 3
    with pytest.warns(UserWarning):
        table = load_table(str(path))
    assert all(table[name].to_pylist() == DAYS for name in (*styles, "mixed"))
    assert table["timed"].to_pylist()[0] == dt.datetime.combine(DAYS[0], dt.time(16, 5))


def test_row_08_codes_keep_their_zeros(tmp_path: Path) -> None:
    columns = {
        "zip": [f"{RNG.integers(1000, 1040):05d}" for _ in range(N)],
        "branch": [f"{RNG.integers(0, 30):03d}" for _ in range(N)],
        "visit": [day.strftime("%d%m%Y") for day in DAYS],
    }
    path = csv_of(tmp_path, columns, quoting=2)
    found = prepared(path)
    back = TableCodec(found.schema).decode(TableCodec(found.schema).encode(rows_of(found)), seed=0)
    for name, codes in columns.items():
        assert found.schema[name].kind == "categorical" and set(back[name].to_pylist()) == set(codes)
    days = checked(path, "columns.visit=datetime", "columns.zip=integer")
    assert days.kind("visit") == "datetime" and days.kind("zip") == "integer"
    inland = [str(RNG.integers(60601, 60661)) for _ in range(N)]  # of a state without a zero: the name says it
    assert checked_csv(tmp_path, {"zip_code": inland}).kind("zip_code") == "categorical"


def test_row_09_dates_as_whole_numbers(tmp_path: Path) -> None:
    columns = {
        "day": [int(day.strftime("%Y%m%d")) for day in DAYS],
        "month": [int(day.strftime("%Y%m")) for day in DAYS],
    }
    found = prepared(csv_of(tmp_path, columns))
    assert {found.schema[name].kind for name in columns} == {"datetime"}
    made = drawn(found)
    assert all(isinstance(value, dt.date) for name in columns for value in made[name].to_pylist())


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


def test_row_12_an_index_of_pandas(tmp_path: Path) -> None:
    pd.DataFrame({"age": AGE, "x": AMOUNTS, "y": Y}).to_csv(tmp_path / "t.csv")
    _nameless_is_left_out(tmp_path / "t.csv")


def test_row_13_a_delimiter_behind_every_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(as_text({"x": AMOUNTS}).replace("\n", ",\n"))
    _nameless_is_left_out(tmp_path / "t.csv")


def _nameless_is_left_out(path: Path) -> None:
    found = checked(path)
    assert found.kind("") == "left out" and found.told("has no name: left out")
    assert prepared(path).schema.names == ["age", "x", "y"]


@pytest.mark.parametrize("name", ["No", "NO", "on", "null", "1.10", "2020-01-01", "~", "1e3"])
def test_row_14_names_that_yaml_reads(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(as_text({name: RNG.choice(["a", "b"], N).tolist(), "x": AMOUNTS}))
    assert checked(tmp_path / "t.csv", target=name).kind(name) == "categorical"
    assert checked(tmp_path / "t.csv", f"columns.{name}=categorical").kind(name) == "categorical"
    assert name not in checked(tmp_path / "t.csv", f"drop=[{name}]").columns


def test_row_15_names_with_any_sign(tmp_path: Path) -> None:
    odd = [
        "c[0]",
        "comma,name",
        " lead",
        "trail ",
        'q"uote',
        "it's",
        "new\nline",
        "a=b",
        "{k}",
        "Größe (cm)",
        "n" * 300,
    ]
    path = csv_of(tmp_path, {name: AMOUNTS for name in odd})
    found = prepared(path)
    assert found.schema.names == ["age", *odd, "y"]
    word = without(*odd[:4]).removeprefix("drop with ").strip("'")
    assert prepared(path, word).schema.names == ["age", *odd[4:], "y"]


def test_row_16_latin_1_in_the_header(tmp_path: Path) -> None:
    found = checked_csv(tmp_path, {"Größe": AMOUNTS}, encoding="latin-1")
    assert found.kind("Größe") == "numeric" and found.told("csv.encoding=cp1252")


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


def test_row_22_columns_of_nothing(tmp_path: Path) -> None:
    found = checked_csv(tmp_path, {"empty": [""] * N, "na": ["NA"] * N, "c": [7] * N, "x": AMOUNTS})
    assert found.kind("empty") == found.kind("na") == "left out" and found.kind("c") == "constant"
    assert found.told("'empty'", "left out") and found.told("'na'", "left out")


def test_row_23_infinities(tmp_path: Path) -> None:
    words = {0: "inf", 1: "-inf", 2: "1e400"}
    path = csv_of(tmp_path, {"ratio": [words.get(row, AMOUNTS[row]) for row in range(N)]})
    with pytest.raises(InputError, match=r"infinite values \(3 in 'ratio'\).*infinite=missing") as caught:
        checked(path)
    assert "\n" not in str(caught.value)
    found = checked(path, "infinite=missing")
    assert found.columns["ratio"]["missing"] == 3 and found.told("'ratio'", "3 infinite values are missing")


def test_row_24_times_durations_and_periods(tmp_path: Path) -> None:
    minutes = RNG.integers(0, 1440, N)
    texts = {"at": [f"{m // 60:02d}:{m % 60:02d}" for m in minutes], "stay": [f"{m // 60}h {m % 60}m" for m in minutes]}
    assert {checked_csv(tmp_path, texts).kind(name) for name in texts} == {"datetime"}
    frame = pd.DataFrame({"y": Y, "stay": pd.to_timedelta(minutes, unit="min")})
    frame["month"] = pd.PeriodIndex(DAYS, freq="M")
    kinds = {c["name"]: c["kind"] for c in check(frame, {"target": "y", "generator": "copula"})["columns"]}
    assert kinds["stay"] == kinds["month"] == "datetime"


def test_row_26_files_that_differ_in_width(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    for file, value in (("a", pa.int64()), ("b", pa.float64())):
        k = pa.array([1, 2, 3] * 40 if file == "a" else [1.0, None, 2.0] * 40, value)
        pq.write_table(pa.table({"k": k, "x": AMOUNTS[:120], "y": Y[:120]}), folder / f"{file}.parquet")
    found = checked(folder)
    assert (found.columns["k"]["type"], found.columns["k"]["missing"]) == ("double", 40)
    pq.write_table(pa.table({"k": ["a"] * 9, "x": AMOUNTS[:9], "y": Y[:9]}), folder / "c.parquet")
    with pytest.raises(InputError, match="'k'"):
        checked(folder)


PLAIN = as_text({"gross": AMOUNTS})
WRITTEN: dict[str, tuple[str, str]] = {
    "tabs": ("t.tsv", PLAIN.replace(",", "\t")),
    "txt": ("t.txt", PLAIN.replace(",", "|")),
    "sep": ("t.csv", "sep=;\n" + PLAIN.replace(",", ";")),
    "title": ("t.csv", "Sales of 2024\n\n" + PLAIN),
    "comment": ("t.csv", "# made by a program\n" + PLAIN),
    "comma in a name": ("t.csv", PLAIN.replace(",", ";").replace("gross", "gross, net")),
    "blanks": ("t.csv", PLAIN.replace(",", ", ")),
    "quotes behind blanks": (
        "t.csv",
        "".join(f'"{line.replace(",", chr(34) + ", " + chr(34))}"\n' for line in PLAIN.split()),
    ),
    "names again": ("t.csv", PLAIN + PLAIN.split("\n")[0] + "\n"),
    "rows of nothing": ("t.csv", PLAIN + ",,\n,,\n"),
    "an end of DOS": ("t.csv", PLAIN + "\x1a"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_row_27_ways_to_write_a_table(tmp_path: Path, how: str) -> None:
    name, text = WRITTEN[how]
    (tmp_path / name).write_text(text)
    found = checked(tmp_path / name)
    assert list(found.columns) == ["age", "gross, net" if how == "comma in a name" else "gross", "y"]
    assert [column["kind"] for column in found.columns.values()] == ["integer", "numeric", "categorical"]
    assert sum(found.rows.values()) == N


def test_row_27_a_folder_of_files_and_a_ragged_one(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    for part in ("a", "b"):
        (folder / f"{part}.csv").write_text(PLAIN)
    assert sum(checked(folder).rows.values()) == 2 * N
    (tmp_path / "t.csv").write_text(PLAIN + "12,my secret\n")
    with pytest.raises(InputError, match=rf"2 cells in line {N + 2} where the others have 3.*csv.delimiter=") as caught:
        checked(tmp_path / "t.csv")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "t.csv").write_text(PLAIN.replace(",", "~"))
    with pytest.raises(InputError, match=r"csv\.delimiter= says"):
        checked(tmp_path / "t.csv")
    assert checked(tmp_path / "t.csv", "csv.delimiter=~").kind("gross") == "numeric"


def test_row_30_classes_of_few_rows(tmp_path: Path) -> None:
    labels = ["a", "b"] * (N // 2 - 2) + ["rare", "rare", "lone", "b"]
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{v},{c}\n" for v, c in zip(AMOUNTS, labels, strict=True)))
    with pytest.raises(InputError, match=r"'lone'.*'rare'|'rare'.*'lone'") as caught:
        checked(tmp_path / "t.csv")
    assert "rare_classes=" in str(caught.value)
    assert checked(tmp_path / "t.csv", "rare_classes=drop").columns["y"]["distinct"] == 2
    assert sum(checked(tmp_path / "t.csv", "rare_classes=drop").rows.values()) == N - 3


def test_row_34_words_that_look_like_nothing(tmp_path: Path) -> None:
    words = ["NA", "ZA", "None", "nan", "null"]
    columns = {"country": [words[i] for i in RNG.integers(0, 5, N)], "score": [["NA", 5, 7][i % 3] for i in range(N)]}
    found = checked_csv(tmp_path, columns)
    assert (found.kind("country"), found.columns["country"]["distinct"]) == ("categorical", 5)
    assert (found.kind("score"), found.columns["score"]["missing"]) == ("integer", N // 3)


def test_row_35_truth_values(tmp_path: Path) -> None:
    columns = {
        "smoker": [("true", "false", "")[i % 3] for i in range(N)],
        "flag": [("TRUE", "FALSE", "NA")[i % 3] for i in range(N)],
        "tf": ["tf"[i % 2] for i in range(N)],
        "yn": ["YN"[i % 2] for i in range(N)],
        "only": [("TRUE", "-", "None")[i % 3] for i in range(N)],
    }
    found = checked_csv(tmp_path, columns)
    assert [found.kind(name) for name in columns] == ["boolean", "boolean", *["categorical"] * 3]
    assert found.columns["smoker"]["missing"] == found.columns["flag"]["missing"] == N // 3
    assert found.columns["only"]["distinct"] == 3  # one word of truth beside others is a category


def test_row_37_an_order_and_a_level_that_nobody_has(tmp_path: Path) -> None:
    grades = pd.Categorical(RNG.choice(["low", "high"], N), ["low", "mid", "high"], ordered=True)
    pd.DataFrame({"grade": grades, "x": AMOUNTS, "y": Y}).to_parquet(tmp_path / "t.parquet")
    found = prepared(tmp_path / "t.parquet")
    assert found.schema["grade"].categories == ("low", "high") and "ordered=1" in found.schema["grade"].type
    assert set(drawn(found)["grade"].to_pylist()) == {"low", "high"}


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


def test_row_53_nested_values_and_names_twice(tmp_path: Path) -> None:
    table = pa.table({"tags": [["a"]] * N, "x": AMOUNTS, "y": Y})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"column 'tags': got nested values .*drop=\[tags\]"):
        checked(tmp_path / "t.parquet")
    assert "tags" not in checked(tmp_path / "t.parquet", "drop=[tags]").columns
    with pytest.raises(InputError, match=r"column 'tags': got nested values"):
        check(table, {"target": "y", "generator": "copula"})
    assert check(table, {"target": "y", "generator": "copula", "drop": ["tags"]})["rows"]
    (tmp_path / "t.csv").write_text(PLAIN.replace("gross", "age", 1))
    with pytest.raises(InputError, match="column 'age': got a name that occurs more than once"):
        checked(tmp_path / "t.csv")


def test_row_54_censored_values(tmp_path: Path) -> None:
    values = ["<0.5" if row % 20 == 0 else "trace" if row % 50 == 1 else AMOUNTS[row] for row in range(N)]
    found = checked_csv(tmp_path, {"lab": values})
    assert found.kind("lab") == "numeric" and found.columns["lab"]["missing"] == values.count("trace")
    assert found.told("'lab'", "read as the bound '<0.5' 15", "'trace'")


def test_what_held_types_nulls_and_many_columns(tmp_path: Path) -> None:
    """What the collection says of tables that were right all along. (That every type comes back is shown in
    tests/table/test_codec.py, test_round_trip_gives_the_table_back.)"""
    wide = {f"c{i}": RNG.integers(0, 9, 60) for i in range(400)}
    wide["gaps"] = pa.array([None if i else 1.5 for i in range(60)])
    wide["nullable"] = pa.array([None if i % 3 else i for i in range(60)], pa.int32())
    pq.write_table(pa.table({**wide, "y": Y[:60]}), tmp_path / "t.parquet")
    schema = infer_schema(load_table(str(tmp_path / "t.parquet")), target="y")
    assert len(schema.columns) == 403 and schema["nullable"].type == "int32" and schema["gaps"].missing
