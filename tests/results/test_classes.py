"""What is said of single classes: of members' predictions that are made up, in report.json and in words."""

import numpy as np
import pytest
from helpers import fake_study
from helpers.pages import parse

from dge_ray.report.study_page import render_html
from dge_ray.report.summary import summary_lines
from dge_ray.report.words.classes import calibration_cells, class_rows
from dge_ray.report.words.study import verdict
from dge_ray.results.classes import class_findings
from dge_ray.stats.comparison.baselines import metrics_of


def members(shares: list[float], rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four members whose probabilities lean to the truth."""
    random, classes = np.random.default_rng(seed), len(shares)
    y = random.choice(classes, rows, p=shares)
    p = random.dirichlet(np.ones(classes), (4, rows)) + 0.8 * np.eye(classes)[y]
    return p / p.sum(axis=-1, keepdims=True), y


def test_of_three_classes_each_has_its_calibration_and_a_rare_one_no_interval() -> None:
    p, y = members([0.7, 0.27, 0.03], 200)
    found = class_findings(p, y, ["a", "b", "c"], seed=0)
    assert found["base_rate"] == pytest.approx((y == 0).mean()) and found["commonest"] == "a"
    rarest = found["rarest"]
    assert (rarest["class"], rarest["rows"]) == ("c", int((y == 2).sum())) and rarest["rows"] < 10
    values = metrics_of(p.mean(axis=0), y, task="multiclass")
    assert rarest["recall"][0] == pytest.approx(values["recall"])
    assert rarest["average_precision"][0] == pytest.approx(values["average_precision"])
    assert np.isnan(rarest["average_precision"][1:]).all(), "too few rows"
    lines = {line["class"]: line for line in found["calibration"]}
    assert list(lines) == ["a", "b", "c"]
    assert lines["a"]["ece"][1] <= lines["a"]["ece"][0] <= lines["a"]["ece"][2]
    assert lines["c"]["ece"][1:] == [None, None]
    assert lines["b"]["mean_probability"] == pytest.approx(p.mean(axis=0)[:, 1].mean())


def test_of_two_classes_the_rarest_is_shown_and_one_class_has_none() -> None:
    p, y = members([0.2, 0.8], 300)
    found = class_findings(p, y, [False, True], seed=0)
    assert [line["class"] for line in found["calibration"]] == ["False"] and found["rarest"]["class"] == "False"
    assert found["rarest"]["average_precision"][1] < found["rarest"]["average_precision"][2]
    alone = class_findings(p[:, :5], np.zeros(5, int), ["a", "b"], seed=0)
    assert alone["rarest"] is None and alone["base_rate"] == 1.0


def test_the_base_rate_stands_wherever_an_accuracy_is_told() -> None:
    report = fake_study.report()
    p, y = members([0.9, 0.1], 400)
    report["classes"] = class_findings(p, y, ["no", "yes"], seed=0)
    rate = f"base rate {(y == 0).mean():.4f}"
    text = " ".join(parse(render_html(report, {})).text)
    assert f"accuracy ↑ ({rate})" in text and rate not in verdict(report), "of another metric nothing is said"
    assert not any(rate in line for line in summary_lines(report))
    report["metric"] = "accuracy"
    assert rate in verdict(report) and any(
        "risk on test: accuracy" in line and rate in line for line in summary_lines(report)
    )


def test_few_rows_are_said_to_be_too_few() -> None:
    p, y = members([0.97, 0.03], 200)
    report = {"classes": class_findings(p, y, ["no", "yes"], seed=0)}
    rows = dict(class_rows(report))
    assert rows["average precision of the rarest class"].endswith("(too few rows to say)")
    assert " to " in rows["recall of the rarest class"] and rows["base rate"].endswith("always saying no")
    _, (line,), _ = calibration_cells(report)
    assert line[0] == "yes" and line[-1].endswith("(too few rows to say)")
    assert class_rows({}) == [] and calibration_cells({})[1] == []
