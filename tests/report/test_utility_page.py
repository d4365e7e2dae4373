"""The utility report's words, on a whole report that is committed (Abalone): every cell says something, once."""

import copy
import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from helpers.pages import parse, unexplained

from dge_ray.report.utility_page import render_page, utility_lines

REPORT = Path(__file__).parents[2] / "experiments" / "utility2023" / "abalone.expected.json"


MARKS = ["tie", "separable", "certain", "kept", "turned"]


@pytest.fixture
def report() -> dict[str, Any]:
    return json.loads(REPORT.read_text())


def cells(page: str) -> list[str]:
    return [unescape(part.split("</td>")[0]) for part in page.split("<td>")[1:]]


def test_no_cell_is_empty_and_nothing_stands_there_twice(report: dict[str, Any]) -> None:
    """U is the size of synthetic - real, so one column holds both; a decided pipeline has a dash for what would."""
    page = render_page(report, "")
    parse(page)
    assert all(cells(page)) and "–" in cells(page)
    heads = [part.split("</th>")[0] for part in unexplained(page).split("<th scope='col'>")[1:]]
    assert "synthetic - real" in heads and "U" not in heads and "U is its size" in page
    undecided = copy.deepcopy(report)
    one = undecided["utility"]["mlp"][report["loss"]]
    one |= {"verdict": "UNDECIDED", "rows_needed": 9000, "members_needed": None, "both_needed": [2000, 20]}
    assert "9,000 test rows" in cells(render_page(undecided, ""))


def test_a_chi_square_below_0_is_called_noise(report: dict[str, Any]) -> None:
    assert "(noise about 0)" not in " ".join(utility_lines(report))
    report["ingredients"]["overlap"]["mean"]["chi2_real"] = -0.0123
    assert "chi-square -0.0123 (noise about 0)" in " ".join(utility_lines(report))
    page = render_page(report, "")
    assert any(cell.startswith("-0.0123 (noise about 0); ") for cell in cells(page))
    assert "below 0 it is noise about 0" in page


def test_tau_has_its_interval_on_the_terminal(report: dict[str, Any]) -> None:
    report["ranking"] |= {"kendall": 0.3333, "kendall_interval": [-0.3333, 1.0]}
    assert any(line.endswith("tau 0.3333 (-0.3333 to 1.000)") for line in utility_lines(report)), utility_lines(report)
    report["ranking"]["kendall_interval"] = None
    assert any(line.endswith("tau 0.3333") for line in utility_lines(report))


def test_the_order_of_a_pair_says_the_most_that_is_known(report: dict[str, Any]) -> None:
    """A tie first, then what is certified, then what both intervals say, then the estimates alone."""
    none = {"tie": False, "separable": False, "certain": False, "consistent": True}
    marks = [{"tie": True}, {"separable": True, "certain": True}, {"certain": True}, {}, {"consistent": False}]
    pair = report["ranking"]["pairs"][0]
    report["ranking"]["pairs"] = [{**pair, **none, **mark} for mark in marks]
    shown = [cell for cell in cells(render_page(report, "")) if cell in MARKS]
    assert shown == MARKS
