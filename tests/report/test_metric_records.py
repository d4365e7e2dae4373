"""A metric is one record: what is added to METRICS alone is computed, chosen on, compared, named and drawn rightly."""

import numpy as np
import pytest
from helpers import fake_study
from helpers.fake_study import draw

from dge_ray.evaluation.judging import described
from dge_ray.report.study_page import render_html
from dge_ray.report.words.study import comparison, verdict
from dge_ray.stats.comparison.baselines import metrics_of, naive_single_difference, paired_difference
from dge_ray.stats.comparison.crossed import uncrossed
from dge_ray.stats.metrics.losses import (
    LOSSES,
    METRICS,
    Metric,
    direction,
    higher_is_better,
    is_convex,
    label,
    metric_names,
)
from dge_ray.stats.volume.reflection import reflection_point
from dge_ray.stats.volume.surface import estimate_surface


@pytest.fixture
def recall(monkeypatch: pytest.MonkeyPatch) -> str:
    """The share of class 1 that is found: higher is better, not convex, without a fast form."""

    def contributions(p: np.ndarray, y: np.ndarray) -> np.ndarray:
        positive, hit = y == 1, (p.argmax(axis=-1) == 1) & (y == 1)
        value = hit.sum(axis=-1, keepdims=True) / positive.sum()
        return value + (hit - value * positive) / positive.mean()

    record = Metric(
        "recall", "recall of class 1", "classification", contributions, "zero_one", higher=True, limits=(0.0, 1.0)
    )
    monkeypatch.setitem(METRICS, "recall", record)
    return "recall"


def study() -> tuple[np.ndarray, np.ndarray]:
    """(members, volumes, rows, classes) and truth; larger volumes are better."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    scores = (2 * y - 1) * np.array([0.2, 0.6, 1.2])[None, :, None] + rng.standard_normal((5, 3, 300))
    p = 1 / (1 + np.exp(-scores))
    return np.stack([1 - p, p], axis=-1), y


def test_a_new_record_is_computed_and_chosen_on(recall: str) -> None:
    p, y = study()
    assert recall in metric_names("binary")
    expected = ((p[0, 0].argmax(axis=1) == 1) & (y == 1)).sum() / (y == 1).sum()
    assert metrics_of(p[0, 0], y, task="binary")[recall] == pytest.approx(expected)
    cells = [c for c in estimate_surface(p, y, task="binary", volumes=[10, 20, 40]) if c.metric == recall]
    assert len(cells) == 15 and all(0 <= c.value <= 1 for c in cells)
    point = reflection_point(p, y, task="binary", volumes=[10, 20, 40], metric=recall)
    assert point.volume == 40 and point.value > 0.8
    difference, low, high = paired_difference(p[0, 2], p[0, 0], y, recall, task="binary")
    assert 0 < low < difference < high
    assert np.isfinite(naive_single_difference(p[:, 2], y, recall, task="binary")).all()
    assert described(uncrossed(np.array([0.8, 1.0, 1.0])), recall)["interval"][1] == 1, "cut at the largest value"


def test_a_new_record_is_named_and_drawn(recall: str) -> None:
    report = fake_study.report()
    report["metric"] = recall
    for method, value in (("dge", 0.9), ("real", 0.8), ("naive_single", 0.85)):
        report["test"].setdefault(method, {})[recall] = value
    report["test_differences"] = {"real": {recall: [0.1, 0.05, 0.15]}, "naive_single": {recall: [0.05, 0.02, 0.08]}}
    assert (label(recall), direction(recall)) == ("recall of class 1", "higher is better")
    assert comparison(report, "real", recall) == ("better", (0.1, 0.05, 0.15))
    said = verdict(report)
    assert "the recall of class 1 is" in said and "better than training on the real rows" in said
    assert "naive single" in said  # not convex: beating it is news
    page = render_html(report, draw(report, fake_study.surface()))
    assert "recall of class 1" in page and "higher is better" in page


@pytest.mark.parametrize("metric", ["r2", "rmse", "mae"])
def test_beating_the_members_own_mean_in_a_convex_metric_is_no_news(metric: str) -> None:
    """R2 was boasted of: one table knew that it is convex, the other did not."""
    report = fake_study.report("regression")
    report["metric"] = metric
    triple = [0.05, 0.02, 0.08] if higher_is_better(metric) else [-0.05, -0.08, -0.02]
    report["test_differences"] = {"naive_single": {metric: triple}, "real": {metric: triple}}
    assert is_convex(metric) and "naive single" not in verdict(report)
    assert "better than training on the real rows" in verdict(report)


def test_records_agree_with_each_other() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name and metric.loss in LOSSES and LOSSES[metric.loss].task == metric.task
        assert metric.law is None or metric.law in LOSSES
        assert metric.limits[0] < metric.limits[1] and metric.label
        assert not metric.selectable or name in metric_names(metric.task)


@pytest.mark.parametrize("metric", [name for name, record in METRICS.items() if record.convex])
def test_convex_metrics_are_convex(metric: str) -> None:
    """The mean prediction of two is never worse than the mean of the two values."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        if METRICS[metric].task == "classification":
            p, y = rng.dirichlet(np.ones(3), (2, 20)), rng.integers(0, 3, 20)
        else:
            p, y = rng.standard_normal((2, 20, 1)), rng.standard_normal(20)
        values = METRICS[metric].contributions(p, y).mean(axis=-1)
        together = METRICS[metric].contributions(p.mean(axis=0), y).mean()
        sign = -1.0 if METRICS[metric].higher else 1.0
        assert sign * together <= sign * values.mean() + 1e-12
