"""The reflection point against simulated surfaces whose truth is known, exact designs, and the behaviour promised."""

import numpy as np
import pytest

from dge_ray.errors import InputError
from dge_ray.stats.twoway import TwoWay
from dge_ray.stats.volume.reflection import best_set, reflection_point, risk_interval
from dge_ray.stats.volume.volumes import VolumeRisks

VOLUMES = np.array([250, 500, 1000, 2000, 4000, 8000])
OFFSETS = {
    "interior": [0.9, 0.5, 0.0, 0.5, 0.9, 1.3],
    "falling": [1.4, 1.2, 1.0, 0.8, 0.6, 0.3],
    "flat at the end": [1.4, 1.0, 0.5, 0.02, 0.01, 0.0],
    "rising": [0.0, 0.3, 0.5, 0.7, 0.9, 1.1],
}


def study(shape: str, members: int = 4, rows: int = 400, noise: float = 0.05, seed: int = 0) -> tuple:
    """Regression members with a constant bias a volume: R(K, m) = 1 + bias^2 + noise^2 / K."""
    generator = np.random.default_rng(seed)
    y = generator.standard_normal(rows)
    own = noise * generator.standard_normal((members, len(VOLUMES), rows))
    own += noise * generator.standard_normal((members, 1, 1))
    return (np.array(OFFSETS[shape])[:, None] + own)[..., None], y


def found(shape: str, **options) -> object:
    changed = {key: options.pop(key) for key in ("members", "rows", "noise") if key in options}
    p, y = study(shape, **changed)
    return reflection_point(p, y, task="regression", volumes=VOLUMES, **options)


def test_the_four_statuses() -> None:
    inside = found("interior")
    assert (inside.status, inside.volume, inside.interval) == ("interior", 1000, (1000, 1000))
    falling = found("falling")
    assert (falling.status, falling.volume) == ("not_reached", 8000)
    assert falling.gain is not None and falling.gain[1] > 0
    assert "larger ratios" in falling.advice
    flat = found("flat at the end", tolerance=0.01)
    assert flat.status == "plateau"
    assert flat.interval[1] == 8000
    rising = found("rising")
    assert (rising.status, rising.volume) == ("undecided", 250)
    assert "smaller ratios" in rising.advice


def test_undecided_says_how_much_would_decide_and_that_does_decide() -> None:
    few = found("flat at the end", rows=40, tolerance=0.003)
    assert few.status == "undecided"
    assert few.rows_needed is not None and few.rows_needed > 40
    assert f"about {few.rows_needed} rows" in few.advice
    # the number is an estimate from 40 rows: four times it is enough with room
    assert found("flat at the end", rows=4 * few.rows_needed, tolerance=0.003).status != "undecided"


def test_the_truly_best_volume_is_not_rejected_on_a_flat_surface() -> None:
    """The hard case: all volumes equal, so quantiles of each draw's argmin miss an end of the grid far too often."""
    steps = np.arange(8)
    covariance = np.exp(-np.abs(np.subtract.outer(steps, steps)) / 4)
    root = np.linalg.cholesky(covariance)
    generator = np.random.default_rng(0)
    held, held_by_argmin = [], []
    for replicate in range(400):
        spread = TwoWay(covariance, np.zeros((8, 8)), np.zeros((8, 8)), 1, 1000)
        risks = VolumeRisks(root @ generator.standard_normal(8), spread, steps, 1)
        held.append(best_set(risks, seed=replicate, draws=1000)[-1])
        argmin = (risks.risks + risks.draws(1000, seed=replicate)).argmin(axis=1)
        held_by_argmin.append(np.quantile(argmin, 0.975) >= 7)
    assert np.mean(held) == pytest.approx(0.95, abs=0.033)  # 3 binomial standard errors
    assert np.mean(held_by_argmin) < 0.9


def test_paired_errors_pick_the_smallest_volume_within_one_of_them() -> None:
    """Volumes that differ by constants: the paired error is small, each cell's own is not."""
    point = found("flat at the end")
    assert point.smallest_within_one_se in (2000, 4000, 8000)
    alone = found("interior")
    assert alone.smallest_within_one_se == 1000


def test_same_seed_same_answer_and_any_number_of_volumes() -> None:
    assert found("interior", seed=7) == found("interior", seed=7)
    p, y = study("interior")
    single = reflection_point(p[:, :1], y, task="regression", volumes=VOLUMES[:1])
    assert (single.status, single.interval, single.gain) == ("undecided", (250, 250), None)
    assert "three ratios" in single.advice
    two = reflection_point(p[:, :2], y, task="regression", volumes=VOLUMES[:2])
    assert two.status == "not_reached"


def test_dropped_volumes_are_left_out_and_named() -> None:
    p, y = study("interior", members=5)
    p[4, 5] = np.nan
    p[:, 0] = np.nan
    point = reflection_point(p, y, task="regression", volumes=VOLUMES)
    assert point.dropped == (250, 8000)
    assert (point.volume, point.index, point.members) == (1000, 2, 5)
    p[4] = np.nan  # a member without any cell is no member
    assert reflection_point(p, y, task="regression", volumes=VOLUMES).members == 4


def test_one_member_has_an_interval_over_rows_only_and_says_so() -> None:
    point = found("interior", members=1)
    assert point.members == 1
    assert "over rows only" in point.advice
    value, low, high = risk_interval(study("interior", members=1)[0][:, 2], study("interior")[1], task="regression")
    assert low < value < high


def test_a_metric_to_be_maximised_is_maximised() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 500)
    noise = np.array([6.0, 3.0, 1.0, 3.0, 6.0])
    score = y + noise[:, None] * generator.standard_normal((4, 5, 500))
    p = 1 / (1 + np.exp(-score))
    p = np.stack([1 - p, p], axis=-1)
    point = reflection_point(p, y, task="binary", volumes=VOLUMES[:5], metric="auc")
    assert (point.volume, point.status) == (1000, "interior")
    value, low, high = risk_interval(p[:, 2], y, task="binary", metric="auc")
    assert low < value < high
    assert value == pytest.approx(point.value)
    assert reflection_point(p, y, task="binary", volumes=VOLUMES[:5]).metric == "log_loss"


def test_equal_volumes_are_all_kept() -> None:
    p, y = study("interior")
    same = np.repeat(p[:, 2:3], 6, axis=1)
    point = reflection_point(same, y, task="regression", volumes=VOLUMES)
    assert (point.interval, point.volume) == ((250, 8000), 250)
    assert point.status == "plateau" or point.status == "undecided"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.5}, "level: got 1.5"),
        ({"tolerance": -1.0}, "tolerance: got -1.0"),
        ({"metric": "auc"}, "metric: got 'auc'"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        found("interior", **options)
    p, y = study("interior")
    with pytest.raises(InputError, match="no volume that every member has finished"):
        reflection_point(np.full_like(p, np.nan), y, task="regression", volumes=VOLUMES)
