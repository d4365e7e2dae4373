"""Shape and trend error: against scipy's KS statistic, a hand-made contingency table, and their bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp

from dge_ray.stats.utility.fidelity import (
    column_errors,
    ks_distance,
    pair_errors,
    shape_error,
    total_variation,
    trend_error,
)

floats = arrays(np.float64, st.integers(1, 40), elements=st.integers(-5, 5).map(float))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's p-value of tiny samples, which is not used
@given(floats, floats)
def test_ks_is_scipys(a: np.ndarray, b: np.ndarray) -> None:
    assert ks_distance(a, b) == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=1e-12)


def test_total_variation_counts_missing_as_a_level() -> None:
    assert total_variation(np.array([0, 1, -1, -1]), np.array([0, 1, 1, 1])) == 0.5


def test_columns_by_hand() -> None:
    real = {"x": np.array([0.0, 1.0, 2.0, np.nan]), "c": np.array([0, 0, 1, 1], dtype=np.int32)}
    fake = {"x": np.array([0.0, 1.0, 2.0, 2.0]), "c": np.array([0, 1, 1, 1], dtype=np.int32)}
    # x: distribution functions at 1 are 2/3 and 1/2, a difference of 1/6, less than the missing share's 1/4
    assert column_errors(real, fake) == {"x": pytest.approx(0.25), "c": pytest.approx(0.25)}
    assert shape_error(real, fake) == pytest.approx(0.25)


def test_pairs_by_hand() -> None:
    """Two categories: one of four rows moves to another cell. Two numbers: correlation 1 against -1, an error of 1."""
    a, b = np.array([0, 0, 1, 1], dtype=np.int32), np.array([0, 1, 0, 1], dtype=np.int32)
    assert pair_errors({"a": a, "b": b}, {"a": a, "b": np.array([0, 1, 0, 0])}) == {("a", "b"): 0.25}
    x = np.arange(10.0)
    assert trend_error({"x": x, "y": x}, {"x": x, "y": -x}) == pytest.approx(1.0)


def test_mixed_pairs_cut_at_the_real_deciles() -> None:
    """Real: c is whether x is above its median. Synthetic: c independent of x, so half the mass is elsewhere."""
    x = np.arange(1_000.0)
    real = {"x": x, "c": (x >= 500).astype(np.int32)}
    fake = {"x": x, "c": (x % 2).astype(np.int32)}
    assert trend_error(real, fake) == pytest.approx(0.5, abs=0.01)


@given(floats, st.integers(0, 2**31))
def test_identical_tables_have_no_error(x: np.ndarray, seed: int) -> None:
    columns = {"x": x, "c": np.random.default_rng(seed).integers(-1, 3, len(x)).astype(np.int32)}
    assert shape_error(columns, columns) == 0 and trend_error(columns, columns) == 0
