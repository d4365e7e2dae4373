"""A study's page begins with its answer: in this order, in few words, and what follows is folded. Its SVG follows the
page's colours, refers to nothing outside, and is the same for the same report."""

import re

import pytest
from helpers import fake_study
from helpers.fake_pages import fidelity
from helpers.pages import parse, unexplained

from dge_ray.report.answer_parts import answer_parts
from dge_ray.report.fidelity_parts import fidelity_parts, fidelity_tile
from dge_ray.report.figures.answer import answer_figure
from dge_ray.report.figures.axes import svg_text
from dge_ray.report.figures.laws import learning_curve_figure
from dge_ray.report.shell.page import Drawing, Heading, Table
from dge_ray.report.study_page import render_html

FOLD = "<details class='fold'>"
ORDER = (
    "Target income",
    "How many generators?",
    "Can I trust it?",
    "usefulness",
    "fidelity",
    "privacy",
    "looks like an identifier",
    "<svg",
    "Against what else could be done",
    "What could not be told",
    "Use it",
)


@pytest.fixture
def report() -> dict:
    report = fake_study.report()
    volumes = report["volumes"]
    curve = [[0.01 - 0.001 * at, 0.0, 0.02] for at in range(len(volumes))]
    report["answer"]["curves"] = {"volumes": volumes, "of": [{"members": k, "differences": curve} for k in (4, 1)]}
    report["answer"] |= {"told": False, "verdict": "not told apart", "what_would_tell": "100 rows; 200 test rows"}
    report["margins"], report["data"]["base"] = {"log_loss": 0.006}, {"no": 0.76, "yes": 0.24}
    return report


def test_the_answer_comes_first_and_the_rest_is_folded(report: dict) -> None:
    first, _, rest = render_html(report, {"error_by_volume": b"png"}).partition(FOLD)
    body = unexplained(first.partition("<main>")[2])
    places = [body.find(words) for words in ORDER]
    assert -1 not in places and places == sorted(places)
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", first, flags=re.DOTALL).split()
    assert len(words) <= 900
    assert (
        "no 76.0 %, yes 24.0 %" in first
        and "100 rows would tell" in first
        and "200 test rows in all would tell" in first
    )
    assert "image/png" not in first and "image/png" in rest and "Reflection point" in rest and "Versions" in rest
    assert not re.search(r"\d[eE][-+]\d", " ".join(words)), "no number with an exponent"
    parse(first + "</main></body></html>")


def test_an_older_report_has_its_verdict_and_nothing_folded(report: dict) -> None:
    del report["answer"]
    page = render_html(report, {})
    assert FOLD not in page and "<p class='verdict'>Use 8 <abbr" in page and answer_parts(report, None, None) == []


def test_tiles_tell_what_other_verbs_found(report: dict) -> None:
    utility = {"ingredients": {"overlap": {"mean": {"c2st": 0.612}}}}
    page = render_html(report, {}, None, utility)
    assert "<b>0.61</b>" in page and "not measured" not in page
    report["privacy"] = {"epsilon": 3.0, "delta": 1e-5, "models": "each", "spent": 1.0, "mechanisms": 2}
    report["privacy"] |= {"planned_members": 4, "noise_multiplier": 1.0, "marginals_multiplier": 1.0, "uncovered": []}
    assert "ε 3" in render_html(report, {})


def test_the_drawing_follows_the_page(report: dict) -> None:
    figure = answer_figure(report)
    assert figure is not None
    svg = svg_text(figure)
    again = answer_figure(report)
    assert again is not None and svg == svg_text(again)
    assert svg.startswith("<svg") and "currentColor" in svg and "#000000" not in svg and "<metadata" not in svg
    assert "4 generators" in svg and "one generator" in svg and "http" not in svg
    report["answer"]["volume"] = 0
    assert answer_figure(report) is None


def test_a_hostile_name_is_text(report: dict) -> None:
    report["data"]["target"] = report["study"] = "<script>alert(1)</script>"
    page = render_html(report, {})
    assert "<script" not in page and "&lt;script&gt;" in page


def test_fidelity_is_told_beside_what_two_real_parts_differ_by(report: dict) -> None:
    assert fidelity_parts(report) == [] and fidelity_tile(report) is None
    report["fidelity"] = fidelity()
    heading, drawing, table = fidelity_parts(report)
    assert isinstance(heading, Heading) and isinstance(drawing, Drawing) and isinstance(table, Table)
    assert "2019-03-04" in drawing.svg and "http" not in drawing.svg
    assert [list(row[1:]) for row in table.rows[:2]] == [["0.03", "0.01"]] * 2
    page = render_html(report, {"fidelity": "<svg></svg>"})
    assert "<b>AUC 0.61</b>" in page and "two real parts: 0.50" in page and "<svg></svg>" not in page
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page.partition(FOLD)[0], flags=re.DOTALL).split()
    assert len(words) <= 900


def test_a_law_has_a_figure_only_where_it_is_identified() -> None:
    law = {"status": "fitted", "metric": "log_loss", "volumes": [10, 20, 40], "curve": [0.3, 0.28, 0.27]}
    law["floor"] = [0.26, 0.25, 0.27]
    assert learning_curve_figure({"learning_curve": law}) is not None
    assert learning_curve_figure({"learning_curve": {**law, "status": "unidentified"}}) is None
