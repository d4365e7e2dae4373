"""Calls, claims and the noise floor against exact designs, t intervals of scipy, and the promised behaviour."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from dge_ray.errors import InputError
from dge_ray.stats import twoway
from dge_ray.stats.volume import volumes
from dge_ray.stats.volume.curve_shape import CurveShape, curve_shape, first_within, noise_floor, rise_of

VOLUMES = np.array([250, 500, 1000, 2000, 4000, 8000])
BIAS = {
    "rises": [0.9, 0.5, 0.0, 0.5, 0.9, 1.3],
    "falls": [1.4, 1.2, 1.0, 0.8, 0.6, 0.3],
    "flat": [1.4, 0.8, 0.02, 0.01, 0.0, 0.01],
    "dips": [1.4, 0.0, 0.8, 0.8, 0.8, 0.8],
}


def shape(name: str, members: int = 4, rows: int = 400, noise: float = 0.05, **options) -> CurveShape:
    """Regression members with a constant bias a volume: R(K, m) = 1 + bias^2 + noise^2 / K."""
    generator = np.random.default_rng(0)
    y = generator.standard_normal(rows)
    own = noise * generator.standard_normal((members, len(VOLUMES), rows))
    own += noise * generator.standard_normal((members, 1, 1))
    p = (np.array(BIAS[name])[:, None] + own)[..., None]
    return curve_shape(p, y, task="regression", volumes=VOLUMES, tolerance=0.02, **options)


def test_the_calls() -> None:
    rises = shape("rises")
    assert (rises.call, rises.rise_over, rises.plateau_from) == ("rise", 1000, None)
    assert rises.rise is not None and rises.rise[1] > 0.3  # sqrt(1 + 1.69) - 1 = .64
    assert rises.enough_from == 1000, "beyond the least volume there is nothing to gain, though much to lose"
    falls = shape("falls")
    assert (falls.call, falls.enough_from, falls.plateau_from) == ("falls", None, None)
    assert falls.rise is not None and falls.rise[2] < 0
    flat = shape("flat")
    assert (flat.call, flat.plateau_from, flat.enough_from) == ("plateau", 1000, 1000)
    dips = shape("dips")  # a rise to a plateau is a rise
    assert (dips.call, dips.rise_over, dips.plateau_from) == ("rise", 500, 1000)
    assert shape("flat", rows=40, noise=0.6).call == "undecided"


def test_the_rise_over_one_volume_is_a_paired_t_test() -> None:
    """Two volumes, one member: nothing to be simultaneous over."""
    generator = np.random.default_rng(1)
    y, p = generator.standard_normal(200), generator.standard_normal((1, 2, 200, 1))
    found = curve_shape(p, y, task="regression", volumes=VOLUMES[:2], metric="mae", draws=200_000)
    losses = np.abs(p[0, :, :, 0] - y)
    expected = ttest_rel(losses[1], losses[0]).confidence_interval(0.95)
    assert found.rise is not None
    assert found.rise[2] == pytest.approx(expected.high)
    assert found.rise[1] == pytest.approx(expected.low, abs=0.01 * (expected.high - expected.low))  # drawn, and normal
    assert found.band is None


def known(values: list[float], deviation: float) -> volumes.VolumeRisks:
    """Independent errors of one size, over rows; of 10^6 rows, so t is normal."""
    width = len(values)
    nothing = np.zeros((width, width))
    spread = twoway.TwoWay(deviation**2 * np.eye(width), nothing, nothing, 1, 10**6)
    return volumes.VolumeRisks(np.array(values), spread, np.arange(width), 1)


def test_claims_stop_at_the_first_proof_that_fails() -> None:
    reach = 1.6449 * 0.01 * np.sqrt(2)  # of a one-sided test of a difference
    values = [0.5, 0.0, 0.1, 0.0, 0.0]
    assert first_within(known(values, 0.01), 1.01 * reach) == 3
    assert first_within(known(values, 0.01), 0.99 * reach) == 4, "the last place: no claim"
    assert first_within(known(values, 0.01), 0.1 + 1.01 * reach) == 1
    assert first_within(known([0.0, 0.5, 0.5], 0.01), 0.1, sides=1) == 0, "a loss is no gain"
    assert first_within(known([0.0, 0.5, 0.5], 0.01), 0.1, sides=2) == 1


def test_the_rise_is_simultaneous_below_and_single_above() -> None:
    """Independent errors: the lower multiple is the .975 quantile of a maximum of five correlated normals."""
    generator = np.random.default_rng(0)
    (value, lo, hi), best = rise_of(known([0.3, 0.2, 0.2, 0.2, 0.2, 0.4], 0.01), seed=0, draws=100_000)
    errors = generator.standard_normal((100_000, 6))
    largest = ((errors[:, [5]] - errors[:, :5]) / np.sqrt(2)).max(axis=1)
    assert (value, best) == (pytest.approx(0.2), 1)
    assert (value - lo) / (0.01 * np.sqrt(2)) == pytest.approx(np.quantile(largest, 0.975), rel=0.01)
    assert (hi - value) / (0.01 * np.sqrt(2)) == pytest.approx(1.96, abs=0.001)


def test_the_noise_floor_halves_with_the_rows_it_asks_for() -> None:
    floor = noise_floor(known([0.3, 0.2, 0.25], 0.01), VOLUMES[:3])
    assert floor is not None
    assert floor.difference == pytest.approx(1.96 * 0.01 * np.sqrt(2), rel=1e-3)
    assert (floor.volumes, floor.rows) == ((500, 1000), 10**6)
    assert (floor.rows_for_half, floor.members_for_half) == (4 * 10**6, None)
    more = noise_floor(known([0.3, 0.2, 0.25], 0.005), VOLUMES[:3])  # four times the rows halve the deviations
    assert more is not None and more.difference == pytest.approx(floor.difference / 2)


def test_members_that_vary_alike_on_all_rows_ask_for_members() -> None:
    spread = twoway.TwoWay(1e-8 * np.eye(3), 1e-4 * np.eye(3), np.zeros((3, 3)), 4, 10**4)
    floor = noise_floor(volumes.VolumeRisks(np.array([0.3, 0.2, 0.25]), spread, np.arange(3), 4), VOLUMES[:3])
    assert floor is not None
    assert (floor.rows_for_half, floor.members_for_half) == (None, 17)  # 16 and what the rows leave


def test_differences_hold_the_reflection_point_at_nothing() -> None:
    found = shape("rises")
    at = found.differences[2]
    assert (at.volume, at.value, at.lo, at.hi) == (1000, 0, 0, 0)
    assert all(one.lo > 0 for one in found.differences if one.volume != 1000)


def test_a_metric_to_be_maximised_keeps_its_units_in_the_band() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 500)
    noise = np.array([6.0, 3.0, 1.0, 3.0, 6.0])
    p = 1 / (1 + np.exp(-(y + noise[:, None] * generator.standard_normal((4, 5, 500)))))
    found = curve_shape(np.stack([1 - p, p], axis=-1), y, task="binary", volumes=VOLUMES[:5], metric="auc")
    assert found.band is not None and found.rise is not None
    assert found.call == "rise" and 0.5 < max(found.band.value) < 1
    assert all(lo <= v <= hi for lo, v, hi in zip(found.band.lo, found.band.value, found.band.hi, strict=True))


def test_equal_volumes_are_flat_and_have_no_noise_floor() -> None:
    y = np.random.default_rng(0).standard_normal(50)
    p = np.repeat(np.random.default_rng(1).standard_normal((3, 1, 50, 1)), 6, axis=1)
    found = curve_shape(p, y, task="regression", volumes=VOLUMES)
    assert (found.call, found.plateau_from, found.noise_floor) == ("plateau", 250, None)
    alone = curve_shape(p[:, :1], y, task="regression", volumes=VOLUMES[:1])
    assert (alone.call, alone.rise, alone.band) == ("undecided", None, None)
    with pytest.raises(InputError, match=r"level: got 0\.3"):
        shape("flat", level=0.3)
