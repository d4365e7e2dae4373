"""What becomes of the rarest class: values against scikit-learn, influences against derivatives, intervals against
scipy and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, recall_score

from dge_ray.stats.metrics.batch import Batch
from dge_ray.stats.metrics.losses import contributions
from dge_ray.stats.metrics.metric_interval import metric_interval
from dge_ray.stats.metrics.rarest import (
    average_precision_contributions,
    base_rate,
    fast_average_precision,
    few_rows_precision,
    few_rows_recall,
    rarest_class,
    recall_contributions,
)


def made(shares: list[float], rows: int = 300, seed: int = 0, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random, classes = np.random.default_rng(seed), len(shares)
    y = random.choice(classes, rows, p=shares)
    p = random.dirichlet(np.ones(classes), rows) + 0.4 * np.eye(classes)[y]
    p /= p.sum(axis=1, keepdims=True)
    return (np.round(p, 1) if ties else p), y


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shares", [[0.9, 0.1], [0.2, 0.8], [0.5, 0.1, 0.4]], ids=["second", "first", "of three"])
def test_both_are_scikit_learns_whichever_class_is_rarest(shares: list[float], ties: bool) -> None:
    p, y = made(shares, ties=ties)
    rarest = int(np.argmin(shares))
    assert rarest_class(y) == rarest
    precision = average_precision_score(y == rarest, p[:, rarest])
    assert average_precision_contributions(p, y).mean() == pytest.approx(precision, abs=1e-12)
    assert fast_average_precision(p.T[None], y)[0] == pytest.approx(precision, abs=1e-12)
    found = recall_score(y == rarest, p.argmax(axis=1) == rarest)
    assert recall_contributions(p, y).mean() == pytest.approx(found, abs=1e-12)
    assert Batch(p.T[None], y).recall()[0] == pytest.approx(found, abs=1e-12)
    assert base_rate(y) == pytest.approx(np.bincount(y).max() / 300)


@pytest.mark.parametrize("ties", [False, True])
def test_a_rows_influence_is_its_weights_derivative_where_scores_tie_too(ties: bool) -> None:
    """Forward differences of 1e-6 err by about as much."""
    p, y = made([0.8, 0.2], ties=ties)
    got, value = average_precision_contributions(p, y), average_precision_score(y, p[:, 1])
    for row in range(0, 300, 41):
        weight = np.ones(300)
        weight[row] += 1e-6
        moved = average_precision_score(y, p[:, 1], sample_weight=weight)
        assert got[row] - value == pytest.approx((moved - value) / 1e-6 * 300, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_many_predictions_at_once_are_single_ones(rows: list[tuple[int, bool]]) -> None:
    score, y = np.array([r[0] for r in rows]) / 8, np.array([r[1] for r in rows], dtype=int)
    p = np.stack([1 - score, score], axis=1)
    both = np.stack([p, p[:, ::-1]])
    expected = [average_precision_contributions(one, y).mean() for one in both]
    np.testing.assert_allclose(fast_average_precision(both.transpose(0, 2, 1), y), expected, atol=1e-12)


def test_rows_of_one_class_have_no_rarest() -> None:
    p, y = np.full((5, 2), 0.5), np.zeros(5, int)
    assert rarest_class(y) is None
    for metric in ("average_precision", "recall"):
        assert np.isnan(contributions(metric, p, y)).all()
    batch = Batch(p.T[None], y)
    assert np.isnan([batch.recall(), batch.average_precision()]).all()
    assert few_rows_recall(0.5, y, 0.95) is None


def test_recall_of_few_rows_has_wilsons_interval_and_members_widen_it() -> None:
    y = np.array([0] * 100 + [1] * 12)
    exact = binomtest(9, 12).proportion_ci(0.95, "wilson")
    assert few_rows_recall(0.75, y, 0.95) == pytest.approx((exact.low, exact.high), abs=1e-3)  # steps of 1 / 2000
    low, high = few_rows_recall(0.75, y, 0.95, 0.01) or (1, 0)
    assert low < exact.low and high > exact.high
    assert few_rows_recall(0.75, np.array([0] * 100 + [1] * 30), 0.95) is None


def test_average_precision_of_fewer_than_ten_rows_is_too_few_to_say() -> None:
    few, enough = np.array([0] * 100 + [1] * 9), np.array([0] * 100 + [1] * 10)
    assert np.isnan(few_rows_precision(0.4, few, 0.95) or 0.0).all()
    low, high = few_rows_precision(0.4, enough, 0.95) or (1, 0)
    assert 0 < low < 0.4 < high < 1


@pytest.mark.parametrize(("base", "rows"), [(0.1, 200), (0.3, 300)], ids=["about 20 rows", "about 90 rows"])
@pytest.mark.parametrize("metric", ["average_precision", "recall"])
def test_intervals_over_rows_hold(metric: str, base: float, rows: int) -> None:
    """Given one model: of 300, the nominal .95 less 2.5 binomial standard errors (.032). The truth is read on 200,000
    rows, a twentieth of an interval's width."""
    random = np.random.default_rng(rows)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = (random.random(n) < base).astype(int)
        q = 1 / (1 + np.exp(-(random.standard_normal(n) + 1.7 * y - 1)))
        return np.stack([1 - q, q], axis=1), y

    truth = float(contributions(metric, *draw(200_000)).mean())
    held = 0
    for _ in range(300):
        p, y = draw(rows)
        low, high = metric_interval(metric, contributions(metric, p, y), y)
        held += low <= truth <= high
    assert held / 300 >= 0.918
