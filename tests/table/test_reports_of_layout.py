"""Rows of the collection of public reports, by their numbers there, on the layout of files and the names of columns.

A table of the same kind, drawn here, ends as it should. (`test_reported_files.py` holds the tests to be of all rows.)
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.peoples_tables import (
    AGE,
    AMOUNTS,
    PLAIN,
    RNG,
    N,
    Y,
    as_text,
    checked,
    checked_csv,
    csv_of,
    german,
    prepared,
)

from dge_ray.errors import InputError
from dge_ray.phrases import without
from dge_ray.table import load_table


def test_row_04_semicolons_and_a_decimal_comma(tmp_path: Path) -> None:
    path = csv_of(tmp_path, {"income": [german(v) for v in AMOUNTS]}, sign=";")
    found = checked(path)
    assert found.kind("income") == "numeric" and found.told("csv.delimiter=';'", "csv.decimal=','")
    with pytest.warns(UserWarning):
        assert load_table(str(path))["income"].to_pylist() == AMOUNTS


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
