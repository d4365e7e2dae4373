"""The curve over volumes on the page, in the terminal and in figures: every call, and what a report may lack."""

from html import unescape
from typing import Any

import pytest
from helpers import fake_study
from helpers.pages import parse

from dge_ray.report.figures.errors import error_by_volume
from dge_ray.report.figures.laws import curve_shape_figure
from dge_ray.report.study_page import render_html
from dge_ray.report.summary import summary_lines
from dge_ray.report.words.curves import call_sentence, law_sentence, noise_sentence


def report(call: str = "rise", **changed: Any) -> dict[str, Any]:
    """A fake study with a curve; its volumes are 13,024 to 416,768."""
    found = fake_study.report()
    volumes = found["volumes"]
    values = [0.01, 0.005, 0.002, 0.0, 0.004, 0.01]
    curve = {
        "call": call,
        "metric": "log_loss",
        "level": 0.95,
        "tolerance": 0.0015,
        "rise": [0.0101, 0.0042, 0.0187],
        "rise_over": volumes[3],
        "plateau_from": None,
        "enough_from": volumes[3],
        "differences": [
            {"volume": m, "value": v, "lo": v - 0.003, "hi": v + 0.003} for m, v in zip(volumes, values, strict=True)
        ],
        "noise_floor": {
            "difference": 0.00123,
            "volumes": [volumes[3], volumes[4]],
            "rows": 6512,
            "members": 8,
            "rows_for_half": 26048,
            "members_for_half": None,
        },
        "band": {"at": volumes, "value": [0.29] * 6, "lo": [0.28] * 6, "hi": [0.3] * 6, "level": 0.95},
        **changed,
    }
    law = {"volume": 38.2, "distance": 0.21, "accuracy": 0.605, "accuracy_interval": [0.58, 0.63], "exponent": 0.71}
    search = {"name": "refine", "volumes": 6, "grid": 30}
    return {**found, "curve": curve, "volume_law": law, "search": search}


@pytest.mark.parametrize(
    ("call", "changed", "said"),
    [
        ("rise", {}, "rises: at 416,768 rows the error is higher by +0.0101 (+0.0042 to +0.0187) against 104,192 rows"),
        ("rise", {"rise": [0.001, 0.0004, 0.0012]}, "which is under the tolerance"),
        ("plateau", {"plateau_from": 104192}, "flat from 104,192 rows on: no larger volume differs by 0.0015 or more"),
        ("falls", {"rise": [-0.01, -0.02, -0.004]}, "still falls at 416,768 rows: its last doubling gains"),
        ("undecided", {"rise": [0.001, -0.02, 0.03]}, "undecided: at 416,768 rows the error is +0.0010"),
    ],
)
def test_every_call_is_said_with_its_interval(call: str, changed: dict, said: str) -> None:
    found = report(call, **changed)
    assert said in call_sentence(found)
    assert len(summary_lines(found)) in range(6, 18)
    assert any(said in line for line in summary_lines(found))
    assert curve_shape_figure(found) is not None
    text = unescape(" ".join(parse(render_html(found, {})).text))
    for words in (said, "6 of the 30 volumes", "beyond it no volume gains 0.0015 or more"):
        assert words in text


def test_the_figures_are_drawn_and_explained() -> None:
    drawn = error_by_volume(report(), fake_study.surface())
    assert drawn is not None
    validation, test = drawn.axes[:2]
    name = "smooth curve, simultaneous band"
    assert name in validation.get_legend_handles_labels()[1] and name not in test.get_legend_handles_labels()[1]
    shape = curve_shape_figure(report())
    assert shape is not None and shape.axes[0].get_title() == "rise"
    assert "What the curve does" in " ".join(parse(render_html(report(), {"curve_shape": b""})).text)


def test_the_noise_floor_says_what_would_halve_it() -> None:
    floor = report()["curve"]["noise_floor"]
    assert noise_sentence(report()) == (
        "differences under 0.0012 in log loss cannot be told with 6,512 validation rows and 8 members (between 104,192 "
        "and 208,384 rows a member); half of that takes about 26,048 rows"
    )
    both = report(noise_floor={**floor, "members": 1, "members_for_half": 40})
    assert noise_sentence(both).endswith("half of that takes about 26,048 rows or 40 members")
    assert "6,512 validation rows and one member" in noise_sentence(both)
    neither = report(noise_floor={**floor, "rows_for_half": None})
    assert noise_sentence(neither).endswith("more rows and more members, four times both")
    assert noise_sentence(report()) in summary_lines(report())


def test_the_law_is_called_vacuous_where_it_is() -> None:
    found = report()
    assert law_sentence(found).startswith("at most 38 rows (a classifier tells synthetic from real rows")
    assert "vacuous here, the curve is best at 52,096 rows or more" in law_sentence(found)
    found["volume_law"] |= {"volume": 90_000.0}
    assert "order of magnitude" in law_sentence(found)
    found["volume_law"] |= {"volume": None, "distance": None, "accuracy_interval": [0.48, 0.53]}
    assert "sets no volume" in law_sentence(found)


def test_a_report_without_a_curve_says_nothing_of_it() -> None:
    bare = fake_study.report()
    assert (call_sentence(bare), noise_sentence(bare), law_sentence(bare)) == ("", "", "")
    assert "members: 8" in summary_lines(bare)
    alone = report("undecided", rise=None, rise_over=None, differences=[], noise_floor=None, band=None)
    assert curve_shape_figure(alone) is None
    parse(render_html(alone, {}))
