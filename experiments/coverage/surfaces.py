"""Simulated surfaces whose true R(K, m) is known in closed form.

Regression, with rows x = (x_1 .. x_16) of independent standard normals and truth y = noise of variance 1. Member k at
volume m predicts

    B_m . x  +  G_km . x  +  h_km(x)

B_m is the bias of volume m, the same for every member (given one real table). G_km is the member's own error in the
16 directions, h_km its roughness, a fresh number a row. Both have two parts, as members have in practice: what the
learner gets wrong because it saw m synthetic rows only, a running mean over *nested* prefixes (covariance between
volumes = the variance at the larger), and what the generator itself gets wrong, one draw a member for all volumes,
which the learner follows the closer the more rows it sees. Rows are shared by all members and volumes. Hence

    R(K, m) = 1 + |B_m|^2 + v(m) / K        (mean squared error)
"""

from dataclasses import dataclass

import numpy as np

RATIOS = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
VOLUMES = (RATIOS * 1000).astype(np.int64)
DIRECTIONS = 16
NAMES = ("sharp", "mild", "plateau", "edge")
ROUGH = 0.4  # share of the members' variance that is roughness
FLOOR = 0.1  # length of the bias common to all volumes (its square is 1 % of the noise)


def _length(name: str, ratios: np.ndarray) -> np.ndarray:
    """The part of |B_m| that changes with the volume, in the noise's standard deviations."""
    step = np.log2(ratios)  # -2 .. 5
    return {
        "sharp": 0.20 * (step - 1.0),
        "mild": 0.06 * (step - 1.0),
        "plateau": 0.20 * 2.0 ** (-(step + 2) / 2) + 0.01 * np.maximum(step - 2, 0),
        "edge": np.sqrt(0.03 * (6.0 - step)),
        "flat": 0.0 * step,
        "early": 0.12 * (step - np.log2(5)),
        "late": 0.12 * (step - np.log2(14)),
    }[name]


def _fit(ratios: np.ndarray) -> np.ndarray:
    """A member's variance from its m rows; decreasing in m."""
    return 0.15 / ratios**0.7


def _follow(ratios: np.ndarray) -> np.ndarray:
    """How far the learner follows the generator's own error."""
    return np.sqrt(0.06 * ratios / (1 + ratios))


@dataclass(frozen=True)
class Surface:
    """One of the four shapes at some ratios, `flat` (no bias at all: members' variance alone), or `early` and `late`:
    least bias at ratios 5 and 14, which no grid of powers of two has."""

    name: str
    ratios: tuple[float, ...] = tuple(RATIOS)

    def risk(self, members: int, at: np.ndarray | None = None) -> np.ndarray:
        """The true mean squared error of `members` members, at the ratios or at others. Shape: -> (V,)."""
        ratios = np.array(self.ratios) if at is None else at
        variance = _fit(ratios) + _follow(ratios) ** 2
        return 1.0 + FLOOR**2 + _length(self.name, ratios) ** 2 + variance / members

    def best(self, members: int) -> int:
        """Place of the true reflection point among the ratios."""
        return int(np.argmin(self.risk(members)))

    def draw(self, members: int, rows: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Fresh members and fresh rows: predictions (members, V, rows, 1) and y (rows,)."""
        x = generator.standard_normal((rows, DIRECTIONS))
        bias = np.zeros((len(self.ratios), DIRECTIONS))
        bias[:, 0], bias[:, 1] = FLOOR, _length(self.name, np.array(self.ratios))
        own = self._nested(generator, (members, DIRECTIONS)) * np.sqrt((1 - ROUGH) / DIRECTIONS)  # (V, K, J)
        predictions = np.einsum("mkj,nj->kmn", bias[:, None] + own, x, optimize=True)
        predictions += (self._nested(generator, (members, rows)) * np.sqrt(ROUGH)).swapaxes(0, 1)
        return predictions[..., None], generator.standard_normal(rows)

    def _nested(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Unit-scale member errors at the volumes: variance _fit + _follow^2. Shape: -> (V, *shape)."""
        ratios = np.array(self.ratios)
        fit = _fit(ratios)
        increments = np.sqrt(fit - np.r_[fit[1:], 0.0])  # from the largest volume back: independent increments
        steps = generator.standard_normal((len(fit), *shape)) * increments[:, None, None]
        fitted = np.cumsum(steps[::-1], axis=0)[::-1]
        return fitted + _follow(ratios)[:, None, None] * generator.standard_normal(shape)
