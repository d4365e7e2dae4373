"""How CSV files are read, by the ways in which people's own were not: each against what is written in the file."""

import gzip
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv

from dge_ray.errors import InputError
from dge_ray.table import infer_schema
from dge_ray.table.reading.load import load_table, read_table
from dge_ray.table.reading.options import Reading

INPUTS = Path(__file__).parents[3] / "shared" / "reports" / "inputs"
reported = pytest.mark.skipif(not INPUTS.exists(), reason="the shared inputs are not there")


def source(folder: Path, text: str | bytes, name: str = "t.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def read(folder: Path, text: str | bytes, name: str = "t.csv", **said: Any) -> dict[str, list]:
    return read_table(source(folder, text, name), Reading(**said)).table.to_pydict()


def refusal(place: str, **said: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_table(place, Reading(**said))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def heard(place: str) -> tuple[pa.Table, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return load_table(place), [str(w.message) for w in caught]


# What was reported


@reported
def test_semicolons_and_decimal_commas() -> None:
    table, told = heard(str(INPUTS / "02_decimal_comma.csv"))
    assert [str(table.schema.field(name).type) for name in ("age", "income", "rate")] == ["int64", "double", "double"]
    assert table["income"][:2].to_pylist() == [28114.96, 23519.53]
    assert told == ["02_decimal_comma.csv: read with csv.delimiter=';', csv.decimal=','"]


@reported
def test_latin_1_in_cells_and_in_names() -> None:
    table, told = heard(str(INPUTS / "03b_latin1_header.csv"))
    assert table.column_names[0] == "Größe" and len(told) == 1
    assert told[0].startswith("03b_latin1_header.csv: read with csv.encoding=cp1252; the encoding is a guess")
    assert load_table(str(INPUTS / "03_latin1.csv"))["city"][:3].to_pylist() == ["Århus", "Münster", "Münster"]


@reported
@pytest.mark.parametrize("name", ["31c_comment.csv", "31g.tsv", "31i.txt", "31h_spaces.csv"])
def test_comments_tabs_and_blanks(name: str) -> None:
    table = load_table(str(INPUTS / name))
    assert table.column_names == ["age", "income", "segment", "y"] and table.num_rows == 400
    assert table["age"][:2].to_pylist() == [61, 70] and set(table["y"].to_pylist()) == {"yes", "no"}


@reported
def test_columns_without_a_name_are_read_as_they_are() -> None:
    index = load_table(str(INPUTS / "12_unnamed_index.csv"))
    assert index.column_names[0] == "" and index.column(0)[:3].to_pylist() == [0, 1, 2]
    trailing = load_table(str(INPUTS / "12c_trailing_all.csv"))
    assert trailing.column_names[-1] == "" and trailing.column(4).null_count == trailing.num_rows


@reported
def test_a_folder_of_parquet_files_whose_types_differ_in_width() -> None:
    table = load_table(str(INPUTS / "20e_folder"))
    assert str(table["k"].type) == "double" and table.num_rows == 240


# Delimiters, lines above, names


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, sign: str) -> None:
    expected = {"a": ["1", None], "b,c;d\te|f": ["x", "y,;z"]}
    head = sign.join(["a", '"b,c;d\te|f"'])
    assert read(tmp_path, f'{head}\n1{sign}x\n{sign}"y,;z"\n') == expected
    assert read(tmp_path, f'{head}\n1{sign}x\n{sign}"y,;z"\n', delimiter=sign) == expected


def test_a_semicolon_with_commas_in_a_name_and_in_every_cell(tmp_path: Path) -> None:
    assert read(tmp_path, "name;income, gross\nx;1,5\ny;2,5\n") == {"name": ["x", "y"], "income, gross": ["1,5", "2,5"]}
    assert list(read(tmp_path, "a;b\n1,5;2,5\n3,5;4,5\n")) == ["a", "b"]
    assert read(tmp_path, "1,5;2,5\n3,5;4,5\n5,5;6,5\n") == {
        "column_1": ["1,5", "3,5", "5,5"],
        "column_2": ["2,5", "4,5", "6,5"],
    }


@pytest.mark.parametrize(
    "above",
    [
        "sep=,\n",
        '"sep=,"\n',
        "\n\n",
        "Sales of the year\n\n",
        "Sales, by region; 2020\nprinted 2020-01-01\n",
        "Sales of the year,,\n,,\n" + "Units,,\n",
        "# exported 2024\n",
        "# exported by a, b and c\n# rows: 2\n",
        "\ufeff",
    ],
)
def test_lines_above_the_table(tmp_path: Path, above: str) -> None:
    assert read(tmp_path, f"{above}a,b,c\n1,x,2\n3,y,4\n5,z,6\n") == {
        "a": ["1", "3", "5"],
        "b": ["x", "y", "z"],
        "c": ["2", "4", "6"],
    }


def test_a_header_says_where_it_is(tmp_path: Path) -> None:
    text = "x,y\n1,2\na,b\n3,4\n"
    assert read(tmp_path, text, header=3) == {"a": ["3"], "b": ["4"]}
    assert read(tmp_path, text, header="none") == {"column_1": ["x", "1", "a", "3"], "column_2": ["y", "2", "b", "4"]}
    assert "csv.header: got 30" in refusal(source(tmp_path, text), header=30)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,2.5,virginica\n", False),
        ("39,Private,2020-01-01\n50,State,2021-01-01\n", False),
        ("low,yes\nhigh,no\nlow,no\nlow,yes\n", False),
        ("age,job\n39,Private\n50,State\n", True),
        ("country,2019,2020,2021\nDE,1,2,3\nFR,4,5,6\n", True),
        ("country,2020\nDE,83\nFR,67\n", True),
        ("0,1,2\n0.5,0.1,x\n0.7,0.2,y\n", True),
        (",0\n0,0.5\n1,0.7\n", True),
        ("No,1.10,2020-01-01\n1,2,3\n4,5,6\n", True),
        ("name,city\nAnn,Ulm\nBob,Graz\n", True),
        ("a,b\n", True),
        ("a,b\n?,1\n?,2\n", True),
    ],
)
def test_names_or_none(tmp_path: Path, text: str, named: bool) -> None:
    found = read_table(source(tmp_path, text))
    assert found.dialect is not None and found.dialect.header == (1 if named else None)
    assert found.table.num_rows == text.count("\n") - named


def test_hash_signs_that_are_no_comments(tmp_path: Path) -> None:
    assert read(tmp_path, "#,name\n1,x\n2,y\n") == {"#": ["1", "2"], "name": ["x", "y"]}
    assert read(tmp_path, "#chrom,start\nchr1,5\nchr2,7\n") == {"#chrom": ["chr1", "chr2"], "start": ["5", "7"]}
    assert read(tmp_path, "# made by x\nid,v\n#1,5\n#2,7\n") == {"id": ["#1", "#2"], "v": ["5", "7"]}
    assert read(tmp_path, "a,b\n1,2\n% 3,4\n5,6\n", comment="%") == {"a": ["1", "5"], "b": ["2", "6"]}
    assert read(tmp_path, "# x\na,b,c\n1,2,3\n# between\n4,5,6\n") == {
        "a": ["1", "4"],
        "b": ["2", "5"],
        "c": ["3", "6"],
    }


def test_row_names_and_a_delimiter_at_the_end_of_rows(tmp_path: Path) -> None:
    found = read_table(source(tmp_path, "a,b\nr1,1,2\nr2,3,4\n"))
    assert found.table.column_names == ["", "a", "b"] and "no name" in found.notes[0]
    found = read_table(source(tmp_path, "a,b\n1,2,\n3,4,\n"))
    assert found.table.to_pydict() == {"a": ["1", "3"], "b": ["2", "4"]} and "ends with a delimiter" in found.notes[0]
    assert "3 cells" in refusal(source(tmp_path, "a,b\n" + "1,2,\n" * 300 + "1,2,3\n"))
    assert "2 names in line 1 above rows of 4 cells" in refusal(source(tmp_path, "a,b\n1,2,3,4\n5,6,7,8\n"))


# Quotes


def test_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n"x, ""y""","two\nlines"\n1,5" pipe\n') == {
        "a": ['x, "y"', "1"],
        "b": ["two\nlines", '5" pipe'],
    }
    assert read(tmp_path, "a,b\n'x, y',1\n'z',2\n") == {"a": ["x, y", "z"], "b": ["1", "2"]}
    assert read(tmp_path, 'a,b\n"he said \\"x, y\\" twice",1\nz,2\n') == {
        "a": ['he said "x, y" twice', "z"],
        "b": ["1", "2"],
    }
    assert read(tmp_path, "a,b\n'tis,1\nit's,2\n") == {"a": ["'tis", "it's"], "b": ["1", "2"]}
    lines = "a,b\n" + "\n".join(f'{i},"one, two\nthree, four\nfive"' for i in range(40)) + "\n"
    assert read(tmp_path, lines)["b"] == ["one, two\nthree, four\nfive"] * 40


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b,c\n1,"x,2\n3,y,4\n5,z,6\n', 2),
        ('a,b,c\n1,x,2\n3,"5 inch,4\n5,z,6\n7,"6 inch,8\n9,w,0\n', 3),
    ],
)
def test_a_quote_that_is_not_closed(tmp_path: Path, text: str, line: int) -> None:
    said = refusal(source(tmp_path, text))
    assert f"line {line}" in said and "inch" not in said


# Encodings


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("header", ["größe", "size"])
def test_encodings(tmp_path: Path, encoding: str, header: str) -> None:
    rows = [f"{i},Zürich" for i in range(20_000)]
    text = "\n".join([f"{header},city", *rows, "7,Århus", ""])
    found = read(tmp_path, text.encode(encoding))
    assert found == {header: [*map(str, range(20_000)), "7"], "city": ["Zürich"] * 20_000 + ["Århus"]}
    if encoding != "utf-8-sig":
        assert read(tmp_path, text.encode(encoding), encoding=encoding) == found


def test_what_is_only_found_at_the_end(tmp_path: Path) -> None:
    plain = b"a,b\n" + b"1,x\n" * 50_000
    assert read(tmp_path, plain + "2,Århus €\n".encode("cp1252"))["b"][-1] == "Århus €"
    assert read(tmp_path, plain + b"2,\x81\n")["b"][-1] == "\x81"  # cp1252 has no such sign, Latin-1 all
    said = refusal(source(tmp_path, plain + b"2,\xc5rhus\n"), encoding="utf-8")
    assert said.startswith("csv.encoding: got 'utf-8', which '") and "line 50,002" in said


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04" + bytes(99), "a zip or Excel file by its first bytes"),
        (b"PAR1" + bytes(99), "a Parquet file"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "a gzip file"),
        (b"a,b\n1,2\n3,\x004\n", r"a zero byte in line 3"),
        (bytes(range(1, 32)) * 20, "control characters"),
        (b"a,b\n1,2\n3\n4,5\n", "1 cell in line 3 where the others have 2"),
        (b'a,b\n"x\ny",2\n3,4\n5,Smith,6\n', "3 cells in line 5 where the others have 2"),
        (b"a,b\n" + b"1,2\n" * 99_999 + b"Smith\n", "1 cell in line 100,001"),
    ],
)
def test_what_is_no_table(tmp_path: Path, data: bytes, says: str) -> None:
    said = refusal(source(tmp_path, data))
    assert says in said and "Smith" not in said


# Numbers


@pytest.mark.parametrize(
    ("cells", "delimiter", "signs"),
    [
        (["3,5", "10,25"], ";", (",", None)),
        (["1.234,56", "7,5"], ";", (",", ".")),
        (["1,234.56", "7.5"], ";", (".", ",")),
        (["1,234", "12,345", "999"], ",", (".", ",")),
        (["0,123", "0,456"], ",", (",", None)),
        (["1,234", "2,345"], ";", (",", None)),
        (["1 234,5", "12 345,5"], ";", (",", " ")),
        (["1\u00a0234", "12\u00a0345"], ";", (".", "\u00a0")),
        (["1'234.50", "12'345.50"], ";", (".", "'")),
        (["1.234.567", "2.345.678"], ";", (",", ".")),
        (["1.234", "2.345"], ",", (".", None)),
        (["€ 1.234,50", "€ 2,50"], ";", (",", ".")),
        (["a, b", "c, d"], ";", (".", None)),
        (["555 123 456", "555 987 654"], ";", (".", None)),
        (["2020-01-01", "04.03.2020"], ";", (".", None)),
    ],
)
def test_signs_of_numbers(tmp_path: Path, cells: list[str], delimiter: str, signs: tuple) -> None:
    rows = "".join(f'"{cell}"{delimiter}x\n' for cell in cells * 5)
    dialect = read_table(source(tmp_path, f"n{delimiter}y\n{rows}")).dialect
    assert dialect is not None and (dialect.decimal, dialect.thousands) == signs


def test_signs_and_dates_are_what_is_said(tmp_path: Path) -> None:
    place = source(tmp_path, "n;d;y\n1,234;03/04/2020;x\n2,345;05/06/2020;z\n")
    with pytest.warns(UserWarning):
        months = load_table(place, Reading(decimal=".", thousands=",", dates="month_first"))
    assert months["n"].to_pylist() == [1234, 2345] and str(months["d"][0]) == "2020-03-04"
    with pytest.warns(UserWarning):
        days = load_table(place, Reading(decimal=",", dates="day_first"))
    assert days["n"].to_pylist() == [1.234, 2.345] and str(days["d"][0]) == "2020-04-03"


def test_cells_that_are_missing(tmp_path: Path) -> None:
    text = 'a,b\n-9,x\n1,""\nNA,NA\n'
    assert read(tmp_path, text) == {"a": ["-9", "1", "NA"], "b": ["x", None, "NA"]}
    assert read(tmp_path, text, null_values=("-9", "NA")) == {"a": [None, "1"], "b": ["x", None]}  # no empty row


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines(tmp_path: Path, end: str) -> None:
    for quote in ("", '"'):
        lines = ["a,b", *(f"{i},{quote}x{quote}" for i in range(200_000))]
        assert read(tmp_path, end.join(lines))["a"] == [str(i) for i in range(200_000)]


# Folders and endings


def test_a_folder_of_csv_files(tmp_path: Path) -> None:
    (tmp_path / "year=2020").mkdir()
    (tmp_path / "year=2021").mkdir()
    source(tmp_path / "year=2020", "a,b\n1,x\n")
    source(tmp_path / "year=2021", gzip.compress(b"b;a\ny;2\n", mtime=0), "u.csv.gz")
    (tmp_path / "readme.txt").write_text("about")
    table = load_table(str(tmp_path))
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", "y"], "year": [2020, 2021]}
    source(tmp_path, "a,c\n1,x\n", "v.csv")
    assert "different columns ('t.csv': column 'b')" in refusal(str(tmp_path))


def test_a_very_wide_and_a_very_long_row(tmp_path: Path) -> None:
    wide = [f"a rather long name of column {i}" for i in range(5_000)]
    found = read(tmp_path, ",".join(wide) + "\n" + ",".join(["1"] * 5_000) + "\n" + ",".join(["2"] * 5_000) + "\n")
    assert list(found) == wide and found[wide[-1]] == ["1", "2"]
    assert read(tmp_path, "a,b\n1," + "x" * 3_000_000 + "\n")["b"] == ["x" * 3_000_000]


def test_types_are_those_of_before(tmp_path: Path) -> None:
    """What Arrow's own reader makes of a plain file, and so did this project: a study of then goes on."""
    place = source(
        tmp_path, "i,f,s,b,d,t,e\n1,NA,NA,true,2020-01-01,2020-01-01 10:00:00,\n2,1.5,x,false,2020-01-02,,\n"
    )

    assert load_table(place).schema == csv.read_csv(place).schema
    assert infer_schema(load_table(place).drop_columns(["e"]), target="b").task == "binary"
