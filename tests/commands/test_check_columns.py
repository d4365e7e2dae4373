"""What `dge-ray check` shows of a table's columns, counted by hand, for people and as JSON."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from dge_ray.commands.check import check

Run = Callable[..., tuple[int, str, str]]
N = 100


@pytest.fixture
def source(tmp_path: Path) -> str:
    """100 rows: an index without a name, a number with 4 marks and 2 empty cells, e-mails, towns, an empty column."""
    lines = [",dose,email,town,nothing,y"]
    for i in range(N):
        dose = "?" if i % 25 == 0 else "" if i in (3, 4) else f"{i}.5"
        lines.append(f"{i},{dose},p{i}@mail.example,{('Graz', 'Linz', 'Wels', 'Graz')[i % 4]},,{('a', 'b')[i % 2]}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "t.csv")


def test_the_columns_as_json(run: Run, source: str, tmp_path: Path) -> None:
    words = ["check", source, "target=y", "generator=copula", f"storage={tmp_path}"]
    code, out, err = run(*words, "--json")
    assert code == 0, err
    checked = json.loads(out)
    columns = {column["name"]: column for column in checked["columns"]}
    assert list(columns) == ["dose", "email", "town", "y", "", "nothing"]
    dose = columns["dose"]
    assert (dose["kind"], dose["missing"], dose["distinct"], dose["values"]) == ("numeric", 6, 94, "1.500 to 99.50")
    assert "'?' 4" in dose["repaired"] and len(dose["warnings"]) == 1 and dose["warnings"][0] in checked["warnings"]
    assert columns["town"]["values"] == "Graz 50%, Linz 25%, Wels 25%" and columns["town"]["repaired"] is None
    assert columns["email"]["kind"] == "identifier" and columns["email"]["values"] is None
    assert columns[""]["kind"] == columns["nothing"]["kind"] == "left out" and columns["nothing"]["warnings"]


def test_a_column_of_durations_has_a_range(tmp_path: Path) -> None:
    """Arrow, which gives the bounds of all other kinds, orders no durations."""
    waits = pa.array([60 * i for i in range(N)], pa.duration("s"))
    table = pa.table({"wait": waits, "x": [i % 7 / 2 for i in range(N)], "y": ["a", "b"] * (N // 2)})
    checked = check(table, {"target": "y", "generator": "copula", "storage": str(tmp_path)})
    assert checked["columns"][0]["values"] == "0:00:00 to 1:39:00"


def test_warnings_first_then_the_columns_then_the_study(run: Run, source: str, tmp_path: Path) -> None:
    code, out, err = run("check", source, "target=y", "generator=copula", f"storage={tmp_path}")
    assert code == 0 and "warning" not in err
    lines = out.splitlines()
    told = [i for i, line in enumerate(lines) if line.startswith("# warning: ")]
    assert told == list(range(len(told))) and len(told) == 4
    assert lines[len(told)].split() == ["#", "name", "kind", "missing", "distinct", "values", "repaired"]
    row = next(line for line in lines if line.startswith("# dose"))
    assert row.split()[2:5] == ["numeric", "6", "94"] and "read as numbers" in row
    assert "@mail" not in "\n".join(lines)
    shares = re.search(
        r"# 100 rows: (\d+) \((\d+) %\) to fit .*, (\d+) \((\d+) %\) to stop .*20 \(20 %\) to report", out
    )
    assert shares and shares[1] == shares[2] and shares[3] == shares[4]  # of 100 rows
    assert yaml.safe_load(out)["target"] == "y"
    (tmp_path / "again.yaml").write_text(out)
    assert run("check", str(tmp_path / "again.yaml"))[0] == 0


def test_nothing_is_counted_of_a_private_study(run: Run, source: str, tmp_path: Path) -> None:
    kinds = ["columns.dose={kind: numeric, minimum: 0, maximum: 100}", "columns.town={categories: [Graz, Linz, Wels]}"]
    words = [
        *kinds,
        "columns.y={categories: [a, b]}",
        "drop=[email,nothing,'']",
        "privacy.epsilon=3",
        "privacy.delta=1e-3",
    ]
    code, out, err = run(
        "check", source, "target=y", "generator=autoregressive", f"storage={tmp_path}", *words, "--json"
    )
    assert code == 0, err
    for column in json.loads(out)["columns"]:
        assert column["missing"] is column["distinct"] is column["values"] is None
