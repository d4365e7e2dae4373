"""The figures of experiments/tables: what a repaired column is worth, and kinds found again in five dialects."""

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "experiments" / "tables" / "results"
WITHIN = 0.01  # of AUC


def test_a_column_is_worth_the_same_however_it_is_written() -> None:
    rows = [row for row in json.loads((RESULTS / "harm.json").read_text()) if "case" in row]
    assert len(rows) == 16
    for row in rows:
        assert abs(row["auc"] - row["reference"]) <= WITHIN, row
        assert row["kind"] == ("datetime" if "dates" in row["case"] else "numeric")
        if row["as_text"] is not None and row["generator"] == "autoregressive":  # what it was before
            assert row["as_text"] < row["reference"] - 0.2


def test_kinds_are_found_again_in_every_dialect() -> None:
    rows = [row for row in json.loads((RESULTS / "kinds.json").read_text()) if "table" in row]
    assert len({row["table"] for row in rows}) == 11 and len(rows) == 55
    assert [row for row in rows if row["other"] or row["same"] != row["columns"] - row["digits"]] == []
