"""The risk as a smooth curve over log volume, with a band that holds the whole of it at once.

Model: the estimates R-hat at the volumes are f(log m) plus errors whose joint covariance is known (rows as estimated,
members smoothed: see `curve_errors`), and f is a straight line plus an integrated Wiener process of unknown size tau:
the prior behind the cubic smoothing spline (Wahba 1978; universal kriging: Rasmussen and Williams 2006, section 2.7).
The prior stands for the bias of smoothing, so the band needs no undersmoothing.

What is not known is averaged over, not estimated: tau under a flat prior on its size (few volumes say little of it, and
a best guess of 0 would make the curve a line with a band too narrow), and the members' variance, known from K members
only, over its t scale. The band is the mean curve plus and minus a multiple of its width at each place; the multiple is
the `level` quantile of the largest standardised distance over all places. Coverage: experiments/coverage.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from dge_ray.errors import InputError
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.volume.curve_errors import curve_errors
from dge_ray.stats.volume.volumes import VolumeRisks, root

FEWEST_VOLUMES = 4  # a line takes two of them, and tau has to be learned from the rest
SIZES, SCALES = 20, 32  # points of the two averages
PLACES = 49  # of the curve between its first and last volume
DRAWS = 4000


@dataclass(frozen=True)
class Band:
    """A curve at the volumes `at` with its simultaneous band; lower is better, as in `VolumeRisks`."""

    at: tuple[float, ...]
    value: tuple[float, ...]
    lo: tuple[float, ...]
    hi: tuple[float, ...]
    level: float


def curve_band(curve: VolumeRisks, volumes: np.ndarray, *, seed: int, level: float = 0.95) -> Band:
    """The smooth curve through the risks and the band that holds all of it with probability `level`.

    Args:
        curve: the risks of V volumes, at least 4.
        volumes: (V,) ascending.

    Raises:
        InputError: fewer than 4 volumes.
    """
    at = np.geomspace(volumes[0], volumes[-1], PLACES)
    mean, drawn = curve_draws(curve, volumes, at, seed=seed)
    apart = drawn - mean
    low, high = np.quantile(apart, [0.1587, 0.8413], axis=0)  # of one deviation each: t tails would swell a variance
    width = (high - low) / 2
    multiple = float(np.quantile(np.max(np.abs(apart) / width, axis=1), level))
    parts = (at, mean, mean - multiple * width, mean + multiple * width)
    return Band(*(tuple(float(v) for v in part) for part in parts), level=level)


def curve_draws(
    curve: VolumeRisks, volumes: np.ndarray, at: np.ndarray, *, seed: int, draws: int = DRAWS
) -> tuple[np.ndarray, np.ndarray]:
    """The curve at `at` given the risks: mean and joint draws.

    Shape: volumes (V,) ascending, at (M,) within them -> (M,), (draws, M).
    """
    if len(volumes) < FEWEST_VOLUMES:
        raise InputError("volumes", f"{len(volumes)} of them", f"{FEWEST_VOLUMES} or more for a smooth curve")
    length = np.log(volumes[-1] / volumes[0])
    x, to = np.log(volumes / volumes[0]) / length, np.log(at / volumes[0]) / length
    errors = curve_errors(curve.spread, volumes.astype(np.float64))
    generator = numpy_generator(seed, Purpose.INTERVAL, index=2)
    line = np.stack([np.ones_like(x), x], axis=1)
    apart = np.eye(len(x)) - line @ np.linalg.pinv(line)  # what no line explains
    both = np.concatenate([x, to])
    prior = _wiener(both, both)
    prior /= np.trace(apart @ prior[: len(x), : len(x)] @ apart) / (len(x) - 2)  # so tau is the size off a line
    scales = np.ones(1)
    if curve.n_members > 1:
        freedom = curve.n_members - 1
        scales = freedom / chi2.ppf((np.arange(SCALES) + 0.5) / SCALES, freedom)
    noise = _even(errors.rows + scales[:, None, None] * errors.members)  # (S, V, V), of the weights alone
    sizes = _sizes(apart, noise, curve.risks)
    smoothers, weights = _smoothers(line, to, prior, noise, sizes, curve.risks)
    fits = smoothers @ curve.risks  # (S, T, M)
    mean = np.einsum("st,stm->m", weights, fits) / len(scales)
    scale = np.arange(draws) % len(scales)
    size = (generator.random((draws, 1)) > np.cumsum(weights, axis=1)[scale]).sum(axis=1).clip(max=len(sizes) - 1)
    own = sizes[size, None] * (generator.standard_normal((draws, len(both))) @ root(prior))
    wrong = generator.standard_normal((draws, len(x))) @ root(errors.rows)
    wrong += np.sqrt(scales[scale, None]) * (generator.standard_normal((draws, len(x))) @ root(errors.members))
    drawn = own[:, len(x) :]
    simulated = own[:, : len(x)] + wrong
    for pair in np.unique(scale * len(sizes) + size):
        s, t = divmod(int(pair), len(sizes))
        rows = np.flatnonzero((scale == s) & (size == t))
        drawn[rows] += fits[s, t] - simulated[rows] @ smoothers[s, t].T
    return mean, drawn


def _even(covariance: np.ndarray) -> np.ndarray:
    """The same correlations with one variance at all volumes. Shape: (S, V, V).

    Where the risk is estimated too high its variance is too, and among strongly correlated errors weights by such
    variances pull the whole curve down, under all of its points (Peelle's puzzle): by a third of the band's half width
    in simulation.
    """
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    safe = np.sqrt(np.where(variance > 0, variance, 1.0))
    even = covariance / (safe[:, :, None] * safe[:, None, :])
    return even * variance.mean(axis=1)[:, None, None]


def _wiener(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Covariance of the integrated Wiener process on [0, 1]. Shape: (A,), (B,) -> (A, B)."""
    low, high = np.minimum(s[:, None], t), np.maximum(s[:, None], t)
    return low**2 * (3 * high - low) / 6


def _sizes(apart: np.ndarray, noise: np.ndarray, risks: np.ndarray) -> np.ndarray:
    """The sizes tau that are tried, from far below the errors to far above all that is seen. Shape: -> (T,)."""
    count = len(risks) - 2
    smallest = np.sqrt(np.trace(apart @ noise[0] @ apart) / count)
    seen = np.sqrt((apart @ risks) @ (apart @ risks) / count)
    largest = max(float(seen), float(smallest), 1e-12 * float(np.abs(risks).max()))
    return np.geomspace(0.03 * min(max(smallest, 1e-3 * largest), largest), 10 * largest, SIZES)


def _smoothers(
    line: np.ndarray, to: np.ndarray, prior: np.ndarray, noise: np.ndarray, sizes: np.ndarray, risks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The linear smoother of each (scale, size), and the sizes' weights given each scale.

    Shape: noise (S, V, V), sizes (T,) -> (S, T, M, V), (S, T).
    """
    count = len(risks)
    here, across = prior[:count, :count], prior[count:, :count]
    tiny = 1e-9 * np.trace(noise[0]) / count + 1e-14 * float(np.abs(risks).max()) ** 2
    total = sizes[:, None, None] ** 2 * here + noise[:, None] + tiny * np.eye(count)  # (S, T, V, V)
    inverse = np.linalg.inv(total)
    normal = line.T @ inverse @ line
    coefficients = np.linalg.solve(normal, line.T @ inverse)  # (S, T, 2, V)
    left = inverse @ (np.eye(count) - line @ coefficients)
    lines = np.stack([np.ones_like(to), to], axis=1)
    smoothers = lines @ coefficients + sizes[:, None, None] ** 2 * (across @ left)
    logs = -0.5 * (np.linalg.slogdet(total)[1] + np.linalg.slogdet(normal)[1] + risks @ left @ risks)
    logs = logs + np.log(sizes)  # flat in tau, on a grid that is even in log tau
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return smoothers, weights / weights.sum(axis=1, keepdims=True)
