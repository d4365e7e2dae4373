"""The worst-case law against the bound that it is the minimum of."""

import numpy as np
import pytest

from dge_ray.errors import InputError
from dge_ray.stats.volume.volume_law import least_bound


def test_the_worst_case_law_is_the_minimum_of_its_bound() -> None:
    """Against a fine grid of volumes: the bound with U m TV, and the one with U sqrt(m) H."""
    scale, exponent, loss, distance = 3.0, 0.6, 2.0, 0.05
    m = np.geomspace(0.1, 1e6, 400_001)
    linear = m[np.argmin(scale * m**-exponent + loss * distance * m)]
    root = m[np.argmin(scale * m**-exponent + loss * distance / 2**0.5 * np.sqrt(m))]
    assert least_bound(scale, exponent, loss, distance) == pytest.approx(max(linear, root), rel=1e-3)
    assert least_bound(scale, exponent, loss, distance / 2) > least_bound(scale, exponent, loss, distance)
    with pytest.raises(InputError, match=r"distance: got 0\.0"):
        least_bound(scale, exponent, loss, 0.0)
