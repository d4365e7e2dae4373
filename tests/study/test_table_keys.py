"""The keys of reading, as words of a command line and as a study keeps them; and what a private study makes of them."""

from pathlib import Path

import pytest

from dge_ray.errors import InputErrors
from dge_ray.study.config import StudyConfig
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import make_config, read_config, source_name
from dge_ray.table.reading.options import Reading


def reading(*words: str) -> Reading:
    return read_config("t.csv", words).reading


def test_words() -> None:
    assert reading() == Reading()
    assert reading(
        "csv.delimiter=;", "csv.decimal=,", "csv.thousands=.", "csv.encoding=Latin-1", "csv.header=3"
    ) == Reading(delimiter=";", decimal=",", thousands=".", encoding="latin-1", header=3)
    said = reading(
        "csv.delimiter=tab", "csv.decimal=comma", "csv.thousands=space", "csv.header=none", "csv.dates=day_first"
    )
    assert said == Reading(delimiter="\t", decimal=",", thousands=" ", header="none", dates="day_first")
    assert [reading(f"csv.delimiter={sign}").delimiter for sign in "|,\t:"] == ["|", ",", "\t", ":"]
    assert reading("csv.comment=#").comment == "#" and reading("csv.comment=//").comment == "//"
    assert reading("csv.null_values=[-9,unknown]").null_values == ("-9", "unknown")
    assert reading("csv.null_values=NA").null_values == ("NA",)
    assert reading("csv.encoding=utf8").encoding == "utf-8"
    assert reading("query=select 1 as a, 2 as b", "sheet=S").query == "select 1 as a, 2 as b"


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ("csv.delimiter=ab", "csv.delimiter"),
        ("csv.delimiter=§", "csv.delimiter"),
        ("csv.decimal=;", "csv.decimal"),
        ("csv.encoding=utf-9", "csv.encoding"),
        ("csv.encoding=base64", "csv.encoding"),
        ("csv.header=0.5", "csv.header"),
        ("csv.header=-1", "csv.header"),
        ("csv.dates=dmy", "csv.dates"),
        ("csv.quote=x", "csv.quote"),
    ],
)
def test_bad_words(word: str, field: str) -> None:
    with pytest.raises(InputErrors) as caught:
        reading(word)
    assert [error.field for error in caught.value.errors] == [field]


def test_a_study_keeps_them() -> None:
    config = read_config("t.csv", ["csv.delimiter=tab", "csv.null_values=NA", "csv.header=none"])
    assert make_config(config.model_dump(mode="json")).reading == config.reading
    plain = read_config("t.csv")
    assert StudyConfig.model_validate(plain.model_dump(mode="json")).reading == Reading()


def test_names_of_studies() -> None:
    assert {source_name(f"a/people{ending}") for ending in (".csv", ".tsv.bz2", ".txt.zst", ".xlsx", ".db")} == {
        "people"
    }


PRIVATE = ["privacy.epsilon=2", "privacy.delta=1e-4", "members=2", "ratios=1", "target=y", "tracking=false", "study=s"]
PRIVATE += ["columns.x={kind: numeric, minimum: 0, maximum: 9999}", "columns.y={categories: [a, b]}"]
PRIVATE += ["columns.day={type: 'date32[day]', minimum: 0, maximum: 40000}"]


def private(folder: Path, rows: list[str], *words: str) -> dict[str, list]:
    (folder / "t.csv").write_text("x;day;y\n" + "\n".join(rows) + "\n")
    prepared = prepare(read_config(str(folder / "t.csv"), [*PRIVATE, f"storage={folder}", *words]))
    parts = [prepared.parts[part].to_pylist() for part in sorted(prepared.parts)]
    return {"x": [row["x"] for part in parts for row in part], "day": [row["day"] for part in parts for row in part]}


def test_a_private_study_is_told_how_numbers_and_dates_are_written(tmp_path: Path) -> None:
    """Nothing of it is found from the values: another row's do not change what a row becomes."""
    rows = [f"1.{100 + i},5;0{1 + i % 9}/03/2020;{'ab'[i % 2]}" for i in range(200)]
    said = ("csv.decimal=,", "csv.thousands=.", "csv.dates=day_first")
    found = private(tmp_path, rows, *said)
    assert sorted(found["x"]) == [1100.5 + i for i in range(200)]
    assert {str(day)[5:7] for day in found["day"]} == {"03"}
    assert set(private(tmp_path, rows)["x"]) == {None}  # none of them is a number as it stands
    changed = private(tmp_path, ["1,234.5;3/31/2020;a", *rows[1:]], *said)
    assert sorted(found["x"])[1:] == sorted(changed["x"])[1:]


def test_the_delimiter_of_a_private_study_is_that_of_its_header(tmp_path: Path) -> None:
    rows = [f"{i},5;01.03.2020;{'ab'[i % 2]}" for i in range(200)]
    (tmp_path / "t.csv").write_text("x;day;y\n" + "\n".join(rows).replace(";", ",") + "\n")
    with pytest.raises(InputErrors, match=r"columns\.x: got no such column"):
        prepare(read_config(str(tmp_path / "t.csv"), [*PRIVATE, f"storage={tmp_path}", "csv.delimiter=|"]))
    found = private(tmp_path, rows, "csv.decimal=,", "csv.dates=day_first")
    assert sorted(found["x"])[:2] == [0.5, 1.5]
