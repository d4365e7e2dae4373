"""The three sentences: each kind of answer says what the JSON says, and numbers are as people write them."""

import re
from typing import Any

import pytest
from helpers import fake_study

from dge_ray.report.summary import summary_lines
from dge_ray.report.words.answer import answer_sentences, closing_lines, headline, rounded

UNTOLD = {
    "told": False,
    "excess": [0.0, 0.089],
    "what_would_tell": "about 2,700 validation rows; about 10,000 test rows",
    "verdict": "not told apart",
    "difference": [9.85e-17, -0.026, 0.06],
}


def said(**answer: Any) -> list[str]:
    report = fake_study.report()
    report["answer"] |= answer
    return [text for _, text in answer_sentences(report)]


def test_what_is_told() -> None:
    members, rows, trust = said()
    assert (
        members.startswith("4. The error is known to be within 0.00") and "at 50% of its CPU time (3.5 min)" in members
    )
    assert rows == "104,192 from each, 4x the 26,048 real rows the generators saw."
    assert trust.startswith("Not as a replacement of real rows: worse than the best model on real rows (real rows)")


def test_what_is_not_told_says_what_would_tell() -> None:
    members, rows, trust = said(**UNTOLD)
    assert "the smallest safe choice" in members and "up to 0.089 (log loss) may be lost" in members
    assert rows.endswith(
        "The 6,512 validation rows cannot tell which volume is best; about 2,700 validation rows would."
    )
    assert trust.startswith("Not known, it may be better or worse: not told apart from the best model")
    assert "log loss 0.000 (-0.026 to +0.060; below 0 is better)" in trust
    assert re.search(r"; about 10,000 test rows in all would tell \([\d,]+ now\)\.$", trust)


@pytest.mark.parametrize(("verdict", "begins"), [("better", "Yes: better than"), ("same", "Yes: as good as the best")])
def test_what_may_be_trusted(verdict: str, begins: str) -> None:
    assert said(verdict=verdict)[2].startswith(begins)


def test_raw_rows_alone() -> None:
    assert said(volume=0)[1] == "The 26,048 raw rows, and no synthetic ones."


def test_the_last_five_lines_of_a_terminal_are_the_answer() -> None:
    report = fake_study.report() | {"page": "/studies/a b/report.html"}
    lines = summary_lines(report)
    assert lines[0].startswith("warnings: 1") and lines[-5:] == closing_lines(report)
    assert [line.partition(":")[0] for line in lines[-5:-2]] == [
        "How many generators",
        "How many rows",
        "Can I trust it",
    ]
    assert lines[-2] == "Report: file:///studies/a%20b/report.html"
    assert lines[-1] == "Next: dge-ray utility adult; dge-ray publish adult out=bundle"
    report["config"]["storage"], report["page"] = "s3://bucket/x y", "s3://bucket/x y/adult/report.html"
    assert "'storage=s3://bucket/x y'" in closing_lines(report)[-1] and "Report: s3://" in closing_lines(report)[-2]


def test_an_older_report_has_no_answer() -> None:
    report = fake_study.report()
    del report["answer"]
    assert (answer_sentences(report), closing_lines(report), headline(report)) == ([], [], "")


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [
        (9.85e-17, (-0.01, 0.02), "0.000"),
        (1.13e-08, None, "0.00000001"),
        (-0.00004, (-0.02, 0.01), "0.000"),
        (18120.4, None, "18,120"),
        (0.0, None, "0"),
        (float("nan"), None, "–"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_leaves(value: float, interval: Any, shown: str) -> None:
    assert rounded(value, interval) == shown
