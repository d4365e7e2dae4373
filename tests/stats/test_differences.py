"""Differences to the baselines: their variances by brute force, their coverage on members whose law is known."""

import numpy as np
import pytest

from dge_ray.stats.comparison.differences import PROCEDURE, THESE_MODELS, Fits, difference, ensembles_difference
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import contributions, metric_value

RNG = np.random.default_rng(11)
K, ROWS = 6, 400


WAVE = np.sin(np.arange(ROWS))  # the direction in which a member errs in all rows
ALONG, ANEW = 0.25 * float((WAVE**2).mean()), 0.25  # variances along it, and anew in each row


def drawn(members: int, along: np.ndarray | None = None) -> np.ndarray:
    """Predictions of a truth whose best one is 0. Shape: along (members,) or None -> (members, ROWS, 1)."""
    direction = 0.5 * RNG.normal(size=members) if along is None else along
    return (direction[:, None] * WAVE + 0.5 * RNG.normal(size=(members, ROWS)))[..., None]


@pytest.mark.parametrize("how", ["mean", "ensemble", "first_member", "grouped"])
def test_the_value_is_the_difference_of_the_metrics(how: str) -> None:
    y = RNG.normal(size=ROWS)
    members, fits = drawn(K), drawn(5)
    rival = fits[0] if how == "grouped" else ensemble_mean(fits)
    other = metric_value("mae", rival, y) if how != "mean" else np.mean([metric_value("mae", f, y) for f in fits])
    found = difference(members, Fits(how, fits), y, "mae")
    assert found.value == pytest.approx(metric_value("mae", ensemble_mean(members), y) - other)
    assert found.lo < found.value < found.hi and found.target == PROCEDURE


def test_two_members_tell_of_these_models_alone() -> None:
    y = RNG.normal(size=ROWS)
    found = difference(drawn(2), Fits("mean", drawn(1)), y, "mae")
    assert found.target == THESE_MODELS and ensembles_difference(drawn(2), drawn(2), y, "mae").target == found.target


EXCESS = {  # of the mean squared error over the truth's own, in expectation
    "naive ensemble": ALONG + ANEW / 4,
    "real": ALONG + ANEW,
    "real ensemble": (ALONG + ANEW) / 5,
    "constant": 0.0,
}


@pytest.mark.parametrize("method", EXCESS)
def test_new_members_fits_and_rows_are_held(method: str) -> None:
    """300 replicates: .92 is 2.4 Monte Carlo errors below .95."""
    truth, held = (ALONG + ANEW) / K - EXCESS[method], 0
    for _ in range(300):
        y, along = RNG.normal(size=ROWS), 0.5 * RNG.normal(size=K)
        members = drawn(K, along)
        seeds = np.concatenate([members[:1], drawn(3, np.repeat(along[:1], 3))])
        fits = {
            "naive ensemble": Fits("first_member", seeds),
            "real": Fits("mean", drawn(5)),
            "real ensemble": Fits("ensemble", drawn(5)),
            "constant": Fits("mean", np.zeros((1, ROWS, 1))),
        }
        found = difference(members, fits[method], y, "mse")
        held += found.lo <= truth <= found.hi
    assert held / 300 >= 0.92


def test_a_baseline_on_a_members_rows_shares_that_member() -> None:
    """var(J) / K + var(L) - 2 cov(J, L) / K, written out; J and L by leaving out."""
    y = RNG.normal(size=ROWS)
    members = drawn(K)
    loss = contributions("squared_error", members, y).mean(axis=1)
    whole = contributions("squared_error", ensemble_mean(members), y).mean()
    left = [contributions("squared_error", ensemble_mean(np.delete(members, k, 0)), y).mean() for k in range(K)]
    pseudo = K * whole - (K - 1) * np.array(left)
    cov = np.cov(pseudo, loss)
    expected = cov[0, 0] / K + cov[1, 1] - 2 * cov[0, 1] / K
    from dge_ray.stats.comparison import differences as module
    from dge_ray.stats.intervals import Source

    by_row = contributions("squared_error", members, y)
    full = contributions("squared_error", ensemble_mean(members), y)
    without = np.stack([contributions("squared_error", ensemble_mean(np.delete(members, k, 0)), y) for k in range(K)])
    source = module._with_a_member(K * full - (K - 1) * without, by_row, Source(0.0, 0.0, 1.0))
    assert source.variance == pytest.approx(expected)


def test_members_on_both_sides_cancel() -> None:
    """One model on all members' rows that predicts as their mean does: no difference, however much members vary."""
    y = RNG.normal(size=ROWS)
    members = drawn(8)
    group = np.arange(8) % 4
    joint = np.stack([ensemble_mean(members), *(ensemble_mean(members[group != g]) for g in range(4))])
    found = difference(members, Fits("grouped", joint), y, "rmse")
    assert (found.value, found.lo, found.hi) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("metric", ["recall", "accuracy"])
def test_models_that_decide_alike_are_not_known_to_be_equal(metric: str) -> None:
    """No row on which they differ: the interval has the width that one more row could give, and shrinks with rows."""
    widths = []
    for rows in (40, 4000):
        y = (np.arange(rows) % 4 == 0).astype(int)
        p = np.tile(np.where(y[:, None] == np.arange(2), 0.9, 0.1), (4, 1, 1))
        found = difference(p, Fits("mean", p[:1] * 0.8 + 0.1), y, metric)
        assert found.value == 0 and found.lo == -found.hi < 0
        widths.append(found.hi - found.lo)
    assert 0.02 * widths[0] > widths[1] > 0
