"""How far members differ in what they predict: the mean over pairs of members, with an interval."""

import numpy as np
from scipy.stats import t as student


def disagreement(members: np.ndarray, *, task: str, level: float = 0.95) -> tuple[float, float, float]:
    """Mean pairwise disagreement of members' predictions, with an interval for members of this kind on these rows.

    Classification: the share of rows whose most probable class differs between two members. Regression: the root mean
    squared difference of two members' predictions, in the target's units. A U-statistic of degree 2 over members;
    interval by the jackknife over members with t of K - 1 degrees (Arvesen 1969), cut at 0 and 1
    for shares, on logs for squares.
    Two members have one pair and no interval: it is then all that is possible.

    Shape: (K, N, C) -> mean, lower, upper.

    Raises:
        ValueError: fewer than two members.
    """
    count = len(members)
    if count < 2:
        raise ValueError(f"{count} member: at least two are needed")
    pairs = _squares(members) if task == "regression" else _different(members)
    total = pairs.sum()
    full = total / (count * (count - 1))
    most = np.inf if task == "regression" else 1.0
    if count == 2:
        return _unit(full, task), 0.0, most
    left = (total - 2 * pairs.sum(axis=1)) / ((count - 1) * (count - 2))
    if (
        task == "regression" and full > 0
    ):  # mean squares are skewed: on their own scale 8 members cover .91, on logs .93
        half = _half(np.log(left), level)
        return _unit(full, task), _unit(full * np.exp(-half), task), _unit(full * np.exp(half), task)
    half = _half(left, level)
    return _unit(full, task), _unit(max(full - half, 0.0), task), _unit(min(full + half, most), task)


def _half(left: np.ndarray, level: float) -> float:
    """Half the length of the interval, from the estimates (K,) with one member left out each."""
    count = len(left)
    variance = (count - 1) / count * ((left - left.mean()) ** 2).sum()
    return float(student.ppf((1 + level) / 2, count - 1) * np.sqrt(variance))


def _unit(value: float, task: str) -> float:
    return float(np.sqrt(value)) if task == "regression" else float(value)


def _different(members: np.ndarray) -> np.ndarray:
    """Each pair's share of rows with different classes, (K, K), zeros on the diagonal."""
    classes = members.argmax(axis=2)
    same = sum((hit := (classes == c).astype(np.float64)) @ hit.T for c in range(members.shape[2]))
    return 1 - np.asarray(same) / members.shape[1]


def _squares(members: np.ndarray) -> np.ndarray:
    """Each pair's mean squared difference, (K, K)."""
    values = members[:, :, 0].astype(np.float64)
    values = values - values.mean(axis=0)  # differences do not change, and small ones are not lost in large values
    gram = values @ values.T / values.shape[1]
    squares = np.diag(gram)
    return np.maximum(squares[:, None] + squares - 2 * gram, 0) * (1 - np.eye(len(values)))
