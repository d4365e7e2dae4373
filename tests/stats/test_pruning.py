"""Dropping of volumes against designs where the right answer is known, the early-look bias among them."""

import numpy as np
import pytest

from dge_ray.errors import InputError
from dge_ray.stats.volume.pruning import hopeless_volumes

VOLUMES = [250, 1000, 4000]


def regression(members: int, biases: list[float], noises: list[float], rows: int = 3000) -> tuple:
    generator = np.random.default_rng(0)
    own = generator.standard_normal((members, len(biases), rows)) * np.array(noises)[:, None]
    return (np.array(biases)[:, None] + own)[..., None], generator.standard_normal(rows)


def binary(members: int, blurs: list[float], rows: int = 3000) -> tuple:
    generator = np.random.default_rng(1)
    signal = generator.standard_normal(rows)
    y = (generator.random(rows) < 1 / (1 + np.exp(-2 * signal))).astype(int)
    own = 0.3 * generator.standard_normal((members, len(blurs), rows))
    p = 1 / (1 + np.exp(-2 * np.array(blurs)[:, None] * signal - own))
    return np.stack([1 - p, p], axis=-1), y


def test_a_far_worse_volume_goes_but_never_before_four_members() -> None:
    p, y = regression(4, [0.9, 0.0, 0.1], [0.1, 0.1, 0.1])
    options = {"task": "regression", "volumes": VOLUMES, "target_members": 8}
    assert hopeless_volumes(p, y, **options) == [250]
    assert hopeless_volumes(p[:3], y, **options) == []
    p[3, 0] = np.nan  # the candidate itself has three
    assert hopeless_volumes(p, y, **options) == []


def test_a_volume_that_is_worse_now_and_better_at_the_target_stays() -> None:
    """At 4 members R = 1 + 1/4 against 1 + .15; at 16 it is 1 + 1/16 against 1 + .15: the noisy one will win."""
    p, y = regression(4, [0.0, np.sqrt(0.15)], [1.0, 0.0], rows=20_000)
    options = {"task": "regression", "volumes": VOLUMES[:2]}
    assert 250 in hopeless_volumes(p, y, target_members=4, **options)
    assert hopeless_volumes(p, y, target_members=16, **options) == [1000]


def test_log_loss_needs_both_rules() -> None:
    p, y = binary(5, [0.1, 1.0, 0.9])
    assert hopeless_volumes(p, y, task="binary", volumes=VOLUMES, target_members=16) == [250]
    # a candidate whose log loss still falls fast with members is kept: its members are certain, each in its own way
    generator = np.random.default_rng(2)
    loud = 1 / (
        1 + np.exp(-2 * np.log(p[:, 0, :, 1] / p[:, 0, :, 0]) - 6 * generator.standard_normal(p[:, 0, :, 1].shape))
    )
    p[:, 0] = np.stack([1 - loud, loud], axis=-1)
    assert hopeless_volumes(p, y, task="binary", volumes=VOLUMES, target_members=16) == []


def test_equal_volumes_and_other_metrics_drop_nothing() -> None:
    p, y = binary(6, [1.0, 1.0, 1.0])
    assert hopeless_volumes(p, y, task="binary", volumes=VOLUMES, target_members=8) == []
    assert (
        hopeless_volumes(binary(6, [0.1, 1.0])[0], y, task="binary", volumes=[1, 2], target_members=8, metric="auc")
        == []
    )
    with pytest.raises(InputError, match="members: got 0"):
        hopeless_volumes(p, y, task="binary", volumes=VOLUMES, target_members=0)
