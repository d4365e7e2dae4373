"""The report, checked against a made-up study whose numbers are known: what must be on the page, and what must not.

The law's curve is checked against its closed form, the page with html.parser.
"""

import copy
import re
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers import fake_study
from helpers.fake_study import draw
from helpers.pages import parse
from matplotlib.image import imread

from dge_ray.phrases import duration, interval_text, number, ratio_text
from dge_ray.report.figures.errors import law
from dge_ray.report.figures.surface_grid import grid
from dge_ray.report.study_page import render_html
from dge_ray.report.summary import summary_lines
from dge_ray.report.words.study import comparison, meaning, verdict

PNG = b"\x89PNG\r\n\x1a\n"
HOSTILE = "<script>alert('x')</script>\"&"


@pytest.fixture(scope="module")
def figures() -> dict[str, bytes]:
    return draw(fake_study.report(), fake_study.surface())


@pytest.fixture(scope="module")
def page(figures: dict[str, bytes]) -> str:
    return render_html(fake_study.report(), figures)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_figures_are_pngs_of_a_readable_size(task: str, tmp_path: Path):
    figures = draw(fake_study.report(task), fake_study.surface(task))
    assert set(figures) == {"error_by_volume", "error_by_members", "surface", "test_comparison"}
    for name, data in figures.items():
        assert data.startswith(PNG)
        (tmp_path / f"{name}.png").write_bytes(data)
        height, width, _ = imread(tmp_path / f"{name}.png").shape
        assert 600 <= width <= 1500 and 250 <= height <= 1000, (name, width, height)
        assert len(data) < 300_000


def test_figures_are_a_pure_function(figures: dict[str, bytes]):
    report, surface = fake_study.report(), fake_study.surface()
    before = copy.deepcopy(report)
    shuffled = surface.take(pa.array(np.random.default_rng(0).permutation(surface.num_rows)))
    assert figures == draw(report, shuffled)
    assert report == before


@pytest.mark.parametrize(
    ("task", "members", "ratios", "dropped"),
    [
        ("binary", 1, (1.0,), ()),
        ("regression", 1, (0.5, 1.0), ()),
        ("regression", 3, (2.0,), ()),
        ("binary", 16, (0.25, 0.5, 1, 2, 4, 8, 16, 30), (16 * 500, 30 * 500)),
    ],
)
def test_odd_shapes_are_drawn(task: str, members: int, ratios: tuple, dropped: tuple):
    report = fake_study.report(task, members=members, ratios=ratios, n=500)
    surface = fake_study.surface(task, members=members, ratios=ratios, n=500, dropped=dropped)
    figures = draw(report, surface)
    assert ("surface" in figures) == (members * len(ratios) > 1), "one cell is no map"
    assert {"error_by_volume", "error_by_members", "test_comparison"} <= set(figures)
    parse(render_html(report, figures))


def test_an_empty_surface_and_a_bare_report_still_give_a_page():
    assert draw({"study": "bare"}, fake_study.surface().slice(0, 0)) == {}
    text = " ".join(parse(render_html({"study": "bare"}, {})).text)
    assert "bare" in text
    assert 6 <= len(summary_lines({"study": "bare"})) <= 12


def test_the_grid_knows_absent_and_dropped_cells():
    report = fake_study.report(members=4, ratios=(1, 2), n=100)
    surface = fake_study.surface(members=4, ratios=(1, 2), n=100, dropped=(200,))
    cells = grid(surface, report, split="test", metric="auc")
    assert cells is not None
    assert cells.value.shape == (4, 2) and cells.volumes.tolist() == [100, 200]
    assert cells.dropped.tolist() == [[False, True]] * 4
    assert np.isfinite(cells.value).tolist() == [[True, True], [True, True], [True, False], [True, False]]
    assert cells.value[1, 0] == pytest.approx(fake_study.risk("auc", 2, 1) * 1.012, abs=1e-12)
    assert cells.row(1)[0].tolist() == cells.value[0].tolist()
    nothing = pa.array([None] * surface.num_rows, pa.float64())
    unknown = grid(surface.set_column(5, "value", nothing), report, split="test", metric="auc")
    assert unknown is not None and np.isnan(unknown.value).all()
    assert grid(surface, report, split="test", metric="rmse") is None


def test_another_learners_cells_are_left_out():
    report = fake_study.report(members=2, ratios=(1, 2))
    mine = fake_study.surface(members=2, ratios=(1, 2))
    other = fake_study.surface(members=5, ratios=(1, 2, 4), learner="another")
    assert draw(report, pa.concat_tables([mine, other])) == draw(report, mine)


def test_the_law_is_exact_for_its_own_form():
    members = np.array([1, 2, 5, 8])
    assert law(members, 0.09 + 0.02 / members) == pytest.approx((0.09, 0.02), abs=1e-15)


def test_every_value_is_on_the_page(page: str):
    report, text = fake_study.report(), " ".join(parse(page).text)
    for method, values in report["test"].items():
        for metric, value in values.items():
            assert number(value) in text, (method, metric)
    for method, values in report["test_differences"].items():
        for metric, (difference, lo, hi) in values.items():
            assert number(difference, signed=True) in text, (method, metric)
            assert interval_text((lo, hi), signed=True) in text, (method, metric)
    cost = report["cost"]
    for expected in [
        "104,192",
        "4x",
        "52,096 to 208,384",
        "interior",
        number(cost["rows_generated"]),
        "more, since shards are drawn whole: `dge-ray status` counts those of the last run",
        duration(cost["wall_seconds"]),
        *(duration(seconds) for seconds in cost["cpu_seconds"].values()),
        *(number(rows) for rows in report["data"]["rows"].values()),
        report["data"]["sha256"],
        "income",
        *report["versions"].values(),
        report["warnings"][0],
        report["reflection_point"]["advice"],
        '"epochs": 8',
        '"categorical": 8',
        "reflection point (m-hat)",
        "0.0531 (0.0487 to 0.0575)",
        "copula 4, gan 4",
        "0.4120 (0.3050 to 0.5190)",
        "age >= 18",
        "0.9870",
    ]:
        assert expected in text, expected


def test_the_page_stands_alone(page: str):
    parsed = parse(page)
    links = [value for _, name, value in parsed.attributes if name in ("src", "href", "srcset", "action", "data")]
    outside = [link for link in links if not (link or "").startswith(("data:", "#"))]
    assert len(links) >= 5 and not outside and len(page) < 3_000_000
    assert "<script" not in page and "@import" not in page and "url(" not in page
    assert not re.search(r"https?://", page)
    assert page.startswith("<!DOCTYPE html>") and "<meta charset='utf-8'>" in page
    assert all(value for tag, name, value in parsed.attributes if tag == "img" and name == "alt")


def test_hostile_names_are_text():
    report = fake_study.report()
    for key in ("study", "generator", "learner", "metric"):
        report[key] = f"{key}{HOSTILE}"
    report["data"]["target"] = report["data"]["sha256"] = HOSTILE
    report["warnings"] = [HOSTILE]
    report["config"] = {HOSTILE: HOSTILE, "end": "</pre></details></body>"}
    report["versions"] = {HOSTILE: HOSTILE}
    report["schema"] = [HOSTILE]
    report["reflection_point"]["status"] = report["reflection_point"]["advice"] = HOSTILE
    report["test"]["dge"][HOSTILE] = 0.5
    report["test"]["real"]["log_loss"] = HOSTILE
    page = render_html(report, {f"figure{HOSTILE}": PNG})
    assert "<script" not in page
    parsed = parse(page)
    assert not any("script" in tag or name.startswith("on") for tag, name, _ in parsed.attributes)
    assert HOSTILE in unescape(" ".join(parsed.text))


def test_nothing_known_is_a_dash_and_never_nan():
    report = fake_study.report("multiclass")
    for method in report["test"]:
        report["test"][method]["auc"] = None
        report["test"][method]["brier"] = float("nan")
    for method in report["test_differences"]:
        report["test_differences"][method]["auc"] = None
        report["test_differences"][method]["brier"] = [float("nan"), None, None]
    del report["test"]["naive_concatenated"], report["test_differences"]["naive_concatenated"]
    report["reflection_point"]["risk_interval"] = [None, None]
    page = render_html(report, draw(report, fake_study.surface("multiclass")))
    text = " ".join(parse(page).text)
    assert not re.search(r"\b(nan|None|inf)\b", text)
    assert "–" in text


def test_the_verdict_says_it_in_one_sentence():
    said = verdict(fake_study.report())
    for part in (
        "8 members",
        "104,192 synthetic rows",
        "4x",
        "52,096 to 208,384",
        "turns inside",
        "log loss",
        "0.2953",
    ):
        assert part in said
    assert "worse than training on the real rows" in said
    assert "better than the naive ensemble baseline" in said
    assert "not told apart from the naive concatenated baseline" in said
    assert "naive single" not in said, "in a convex loss that comparison proves nothing"
    assert said.count(". ") == 0 and said.endswith(".")


@pytest.mark.parametrize("status", ["interior", "plateau", "not_reached", "undecided"])
def test_every_status_has_words(status: str):
    report = fake_study.report()
    report["reflection_point"]["status"] = status
    said = {verdict(report), *summary_lines(report)}
    assert len(summary_lines(report)) in range(6, 18)
    assert not any("\n" in line for line in said)


def test_a_best_volume_inside_the_grid_is_not_said_to_lie_beyond_it():
    """The status can be `not_reached` though the least error is elsewhere: the last doubling gains."""
    report = fake_study.report()
    point = report["reflection_point"]
    point |= {"status": "not_reached", "volume": report["volumes"][-1]}
    assert "lies beyond it" in meaning(report)
    point["volume"] = report["volumes"][0]
    assert "least here" in meaning(report) and "lies beyond it" not in verdict(report)


def test_better_follows_the_metrics_direction():
    report = {
        "test_differences": {"real": {"log_loss": [-0.1, -0.2, -0.05], "auc": [-0.1, -0.2, -0.05], "r2": [0, -1, 1]}}
    }
    words = [(comparison(report, "real", metric) or ("",))[0] for metric in ("log_loss", "auc", "r2", "rmse")]
    assert words == ["better", "worse", "untold", ""]
    report["margins"] = {"r2": 1.0}
    assert (comparison(report, "real", "r2") or ("",))[0] == "level"
    report["margins"] = {"r2": 0.9}  # an interval that reaches beyond the margin does not tell
    assert (comparison(report, "real", "r2") or ("",))[0] == "untold"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.29531, "0.2953"),
        (12.3456, "12.35"),
        (123456, "123,456"),
        (104192.0, "104,192"),
        (-0.00002, "-2e-05"),
        (1.5e7 + 0.5, "1.5e+07"),
        (None, "–"),
        (float("inf"), "–"),
        (True, "–"),
        ("7", "–"),
    ],
)
def test_numbers(value: object, text: str):
    assert number(value) == text


def test_short_forms():
    assert ratio_text(500, 2000) == "0.25x" and ratio_text(1, 0) == "–"
    assert interval_text([5, 5]) == "5 alone" and interval_text([1, 2]) == "1 to 2" and interval_text(None) == "–"
    assert [duration(s) for s in (3, 300, 10_000, None)] == ["3 s", "5.0 min", "2.8 h", "–"]
