"""Weights of families: against scipy's minimum of the same convex problem, closed forms, and what they must not do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.ensemble.stacking import (
    combined,
    crossfit_gain,
    family_means,
    gain_elsewhere,
    stacked_weights,
    stacking_losses,
)
from dge_ray.stats.metrics.by_row import log_loss, squared_error

SEEDS = st.integers(0, 2**32 - 1)


def _families(seed: int, task: str, families: int, rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Means of families that differ in how well they know the truth."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        truth = rng.normal(size=rows)
        noise = rng.normal(size=(families, rows)) * rng.uniform(0.2, 2, size=(families, 1))
        return (truth + noise)[..., None], truth
    truth = rng.integers(0, 3, rows)
    logits = rng.normal(size=(families, rows, 3)) * 1.5
    logits[:, np.arange(rows), truth] += rng.uniform(-0.5, 2.5, size=(families, 1))
    p = np.exp(logits)
    return p / p.sum(axis=-1, keepdims=True), truth


def _loss(means: np.ndarray, truth: np.ndarray, weights: np.ndarray, task: str) -> float:
    loss = squared_error if task == "regression" else log_loss
    return float(loss(combined(means, weights), truth).mean())


@pytest.mark.parametrize("task", ["regression", "multiclass"])
@pytest.mark.parametrize("families", [2, 3, 5])
def test_the_least_loss_is_scipys(task: str, families: int) -> None:
    """Of SLSQP on the simplex: losses within its tolerance, 1e-5, and never more."""
    for seed in range(4):
        means, truth = _families(seed, task, families)
        equal = np.full(families, 1 / families)
        weights = stacked_weights(means, truth, equal, task=task)
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
        found = minimize(
            lambda w, means=means, truth=truth: _loss(means, truth, np.maximum(w, 0) / np.maximum(w, 0).sum(), task),
            equal,
            bounds=[(0, 1)] * families,
            constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}],
            options={"maxiter": 1000, "ftol": 1e-12},
        )
        assert _loss(means, truth, weights, task) <= found.fun + 1e-5, (seed, weights, found.x)


@given(SEEDS, st.integers(1, 5), st.sampled_from(["regression", "multiclass"]))
@settings(max_examples=40, deadline=None)
def test_never_worse_than_equals_where_they_are_fitted(seed: int, families: int, task: str) -> None:
    means, truth = _families(seed, task, families, rows=25)
    shares = np.random.default_rng(seed).dirichlet(np.ones(families)) * 0.9 + 0.1 / families
    weights = stacked_weights(means, truth, shares, task=task)
    assert stacking_losses(means, truth, shares, weights, task=task).mean() >= -1e-12


def test_two_families_in_closed_form() -> None:
    """Squared error of w a + (1 - w) b: w = <b - y, b - a> / |b - a|^2, cut to [0, 1]."""
    rng = np.random.default_rng(1)
    y, a, b = rng.normal(size=(3, 40))
    wanted = float(np.clip(((b - y) @ (b - a)) / ((b - a) @ (b - a)), 0, 1))
    weights = stacked_weights(np.stack([a, b])[..., None], y, np.array([0.5, 0.5]), task="regression")
    np.testing.assert_allclose(weights, [wanted, 1 - wanted], atol=1e-9)
    flat = np.zeros((2, 5, 1))
    assert np.isfinite(stacked_weights(flat, np.zeros(5), np.array([0.3, 0.7]), task="regression")).all()


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_a_bad_family_counts_for_nothing(task: str) -> None:
    """One that errs by much everywhere; the gain is seen by folds and on other rows, with an interval above 0."""
    rng = np.random.default_rng(2)
    members, truths = [], []
    for _ in range(2):  # validation, test
        if task == "regression":
            truth = rng.normal(size=400)
            own = truth + 0.3 * rng.normal(size=(6, 400))
            own[3:] += 3
            members.append(own[..., None])
        else:
            truth = rng.integers(0, 2, 400)
            good = np.where(truth == 1, 0.85, 0.15) + 0.1 * rng.uniform(-1, 1, size=(6, 400))
            good[3:] = 1 - good[3:]
            members.append(np.stack([1 - good, good], axis=-1))
        truths.append(truth)
    families = ["good"] * 3 + ["bad"] * 3
    names, means, shares = family_means(members[0], families)
    assert names == ["good", "bad"] and shares.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(combined(means, shares), ensemble_mean(members[0]))
    weights = stacked_weights(means, truths[0], shares, task=task)
    assert weights[1] < 0.02
    folds = crossfit_gain(members[0], families, truths[0], task=task, order=rng.permutation(400))
    other = gain_elsewhere(members[0], members[1], families, (truths[0], truths[1]), task=task)
    for gain in (folds, other):
        assert gain.over_members and 0 < gain.lower < gain.value < gain.upper
    alone = gain_elsewhere(members[0][2:4], members[1][2:4], ["good", "bad"], (truths[0], truths[1]), task=task)
    assert not alone.over_members and alone.lower > 0


def test_families_alike_gain_nothing_that_is_told() -> None:
    """Members of one law under two names: in 40 tables the interval of the folds' gain is above 0 in 3 at most
    (binomial of .025, whose 99 % point is 4)."""
    told = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=150)
        members = (truth + 0.5 * rng.normal(size=(6, 150)))[..., None]
        gain = crossfit_gain(members, ["a", "b"] * 3, truth, task="regression", order=rng.permutation(150))
        told += gain.lower > 0
    assert told <= 3
