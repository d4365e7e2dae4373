"""Nearest real rows of synthetic rows: evidence of copying, never a proof of its absence.

Arguments are columns by name as in fidelity.py: integer codes for categories (-1: missing), floats for measured values
(nan: missing). Distances are Euclidean; a measured column counts by its difference over the range of the reference
rows, a category by 1 where it differs; a missing value is .87 to 1 away from a present one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dge_ray.stats.gaps import score_interval

BLOCK_CELLS = 1 << 22  # distances held at once: 16 MiB, so that the search for the least of them stays in cache
BLOCK_ROWS = 4096  # points that are compared with one row each at once
SURE = 1e-3  # a squared distance above which single precision, whose errors are below 1e-5, finds a nearest row
DECIMALS = 12  # of a squared distance; what differs by less is a tie (sums in another order differ by 1e-14)


def unit_points(*tables: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Each table's rows as points (n, p) with this module's distances; ranges are those of the last table."""
    parts: list[list[np.ndarray]] = [[] for _ in tables]
    for name, reference in tables[-1].items():
        columns = [table[name] for table in tables]
        if reference.dtype.kind == "f":
            present = reference[~np.isnan(reference)]
            low, span = (present.min(), np.ptp(present)) if len(present) else (0.0, 0.0)
            masks = [np.isnan(values) for values in columns]
            for part, values, missing in zip(parts, columns, masks, strict=True):
                part.append(np.where(missing, 0.5, (values - low) / (span or 1.0))[:, None])
                if any(mask.any() for mask in masks):
                    # Half a range and this apart: a missing value is 1 away from either end, less from the middle.
                    part.append(np.where(missing, 0.75**0.5, 0.0)[:, None])
        else:
            levels = np.unique(np.concatenate([np.unique(values) for values in columns]))
            for part, values in zip(parts, columns, strict=True):
                codes = np.searchsorted(levels, values)
                # Of two levels one column does: they are 1 apart.
                part.append(codes[:, None] * 1.0 if len(levels) < 3 else np.eye(len(levels))[codes] / 2**0.5)
    return [np.concatenate(part, axis=1) for part in parts]


def nearest(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance (n,) of each point (n, p) to the nearest of the others (m, p), and which one it is (n,).

    Found in single precision, in bounded memory, and its distance then computed anew in double precision; points with
    another within SURE are looked up in double precision throughout. So a point's distance is that of a row, and where
    another is nearer, then by less than 1e-5 of a square that is above SURE.
    """
    index = np.empty(len(points), np.int64)
    _search(points, others, np.arange(len(points)), index, np.float32)
    squared = _between(points, others, index)
    close = np.flatnonzero(squared < SURE)
    if len(close):
        _search(points, others, close, index, np.float64)
        squared[close] = _between(points[close], others, index[close])
    return np.round(squared, DECIMALS), index


def _search(points: np.ndarray, others: np.ndarray, which: np.ndarray, index: np.ndarray, dtype: type) -> None:
    """Write into `index` the nearest of the others of the points `which`."""
    # [-2 x, 1] . [y, |y|^2] is |x - y|^2 less |x|^2: one product a block, and nothing else to add.
    right = np.empty((others.shape[1] + 1, len(others)), dtype)
    right[:-1] = others.T
    right[-1] = (others**2).sum(1)
    block = max(1, BLOCK_CELLS // len(others))
    for start in range(0, len(which), block):
        rows = which[start : start + block]
        left = np.ones((len(rows), len(right)), dtype)
        left[:, :-1] = -2 * points[rows]
        index[rows] = (left @ right).argmin(axis=1)


def _between(points: np.ndarray, others: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Squared distance (n,) of each point to its one of the others."""
    squared = np.empty(len(points))
    for start in range(0, len(points), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        squared[part] = ((points[part] - others[index[part]]) ** 2).sum(1)
    return squared


def nearest_squared(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distance (n,) of each point (n, p) to the nearest of the others (m, p)."""
    return nearest(points, others)[0]


@dataclass(frozen=True)
class Nearness:
    """Synthetic rows' distances to train, and to as many held-out rows, which are the floor.

    `closer`: the share of synthetic rows that are nearer to train, ties half; .5 is what rows have that know nothing of
    train; `interval` its own. `train` and `holdout`: distances at the 5th percentile and the median, and the share of
    synthetic rows that equal one (`copies`). `rows`: of each side, `synthetic`: rows looked at.
    """

    closer: float
    interval: tuple[float, float]
    train: dict[str, float]
    holdout: dict[str, float]
    rows: int
    synthetic: int


def nearness(
    synthetic: Mapping[str, np.ndarray],
    train: Mapping[str, np.ndarray],
    holdout: Mapping[str, np.ndarray],
    *,
    level: float = 0.95,
) -> Nearness:
    """How much nearer synthetic rows are to train than to as many held-out rows.

    The share's interval is over real rows: one of them may draw many synthetic rows, which then all tell the same. With
    w the synthetic rows that each real row is the nearest of, it is Wilson's for (sum w)^2 / sum w^2 trials: where
    train and holdout may be exchanged, that is the variance of exchanging them.

    Raises:
        ValueError: train and holdout differ in size, which would decide the comparison.
    """
    rows = [len(next(iter(columns.values()))) for columns in (train, holdout)]
    if rows[0] != rows[1]:
        raise ValueError(f"train has {rows[0]} rows, holdout {rows[1]}: they must be as many")
    points, far, near = unit_points(synthetic, holdout, train)
    (to_train, which_train), (to_holdout, which_holdout) = nearest(points, near), nearest(points, far)
    wins = (to_train < to_holdout) + 0.5 * (to_train == to_holdout)
    weights = np.bincount(which_train, wins, rows[0]), np.bincount(which_holdout, 1 - wins, rows[1])
    m = len(points)
    closer, trials = float(wins.mean()), m**2 / float((np.concatenate(weights) ** 2).sum())
    return Nearness(
        closer=closer,
        interval=score_interval(closer, trials, level),
        train=_quantiles(to_train),
        holdout=_quantiles(to_holdout),
        rows=rows[0],
        synthetic=m,
    )


def _quantiles(squared: np.ndarray) -> dict[str, float]:
    fifth, median = np.sqrt(np.quantile(squared, [0.05, 0.5]))
    return {"fifth": float(fifth), "median": float(median), "copies": float(np.mean(squared == 0))}


def closer_share(
    synthetic: Mapping[str, np.ndarray], train: Mapping[str, np.ndarray], holdout: Mapping[str, np.ndarray]
) -> float:
    """`nearness`'s share alone: of synthetic rows that are nearer to train than to as many held-out rows."""
    return nearness(synthetic, train, holdout).closer


def copy_share(synthetic: Mapping[str, np.ndarray], train: Mapping[str, np.ndarray]) -> float:
    """Share of synthetic rows that equal a training row in every column."""
    known = set(row_bytes(train))
    return float(np.mean([row in known for row in row_bytes(synthetic)]))


def row_bytes(columns: Mapping[str, np.ndarray]) -> list[bytes]:
    """Each row as bytes; -0.0 is 0.0 and every nan is alike."""
    plain = [
        np.where(np.isnan(v), np.nan, v + 0.0) if v.dtype.kind == "f" else v.astype(float) for v in columns.values()
    ]
    matrix = np.ascontiguousarray(np.stack(plain, axis=1))
    return [row.tobytes() for row in matrix]
