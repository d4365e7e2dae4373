"""Answers held between the real rows' own: nested by brute force, and never worse than either promise."""

import numpy as np
import pytest

from dge_ray.stats.ensemble.uncertainty import conformal_sets
from dge_ray.stats.inference.guarded import guarded_conformal_sets, guarded_interval, guarded_rejection


def test_a_rejection_lies_between_the_real_rows_own() -> None:
    real, synthetic = np.random.default_rng(0).random((2, 1000))
    found = guarded_rejection(real, synthetic, 0.05, 0.1)
    assert (found >= (real <= 0.05)).all() and (found <= (real <= 0.05 + 0.1)).all()
    assert (found == np.where(synthetic <= 0.05, real <= 0.05 + 0.1, real <= 0.05)).all()


def test_an_interval_holds_the_narrow_one_and_lies_in_the_wide_one() -> None:
    rng = np.random.default_rng(1)
    middle = rng.standard_normal(500)
    wide, narrow = (middle - 2, middle + 2), (middle - 1, middle + 1)
    start = rng.normal(0, 4, 500)
    low, high = guarded_interval(wide, narrow, (start, start + rng.random(500) * 5))
    assert ((wide[0] <= low) & (low <= narrow[0]) & (narrow[1] <= high) & (high <= wide[1])).all()
    inside = guarded_interval(wide, narrow, (middle - 1.5, middle + 1.5))
    assert inside[0] == pytest.approx(middle - 1.5) and inside[1] == pytest.approx(middle + 1.5)


def test_sets_lie_between_the_real_rows_own() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(3), 400)
    y = np.array([rng.choice(3, p=row) for row in p])
    real, new = (p[:60], y[:60]), p[300:]
    small, large = (conformal_sets(*real, new, level=level) for level in (0.8, 0.9))
    for made in ((p[60:300], y[60:300]), (p[60:300], p[60:300].argmin(axis=1)), (p[60:300], p[60:300].argmax(axis=1))):
        found = guarded_conformal_sets(real, made, new, level=0.9, epsilon=0.1)
        assert (found >= small).all() and (found <= large).all()
    # real rows are too few for any set but all classes; good synthetic rows are not
    few = (p[:12], y[:12])
    assert conformal_sets(*few, new, level=0.95).all()
    assert not guarded_conformal_sets(few, (p[60:300], y[60:300]), new, level=0.95, epsilon=0.1).all()
