"""Nearest real rows of synthetic rows: evidence of copying, never a proof of its absence.

Arguments are columns by name as in fidelity.py: integer codes for categories (-1: missing), floats for measured values
(nan: missing). Distances are Euclidean; a measured column counts by its difference over the range of the reference
rows, a category by 1 where it differs; a missing value is .87 to 1 away from a present one.
"""

from collections.abc import Mapping

import numpy as np

BLOCK_CELLS = 1 << 24  # distances held at once
DECIMALS = 12  # of a squared distance; what differs by less is a tie (sums in another order differ by 1e-14)


def unit_points(*tables: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Each table's rows as points (n, p) with this module's distances; ranges are those of the last table."""
    parts: list[list[np.ndarray]] = [[] for _ in tables]
    for name, reference in tables[-1].items():
        columns = [table[name] for table in tables]
        if reference.dtype.kind == "f":
            present = reference[~np.isnan(reference)]
            low, span = (present.min(), np.ptp(present)) if len(present) else (0.0, 0.0)
            for part, values in zip(parts, columns, strict=True):
                missing = np.isnan(values)
                scaled = np.where(missing, 0.5, (values - low) / (span or 1.0))
                # Half a range and this apart: a missing value is 1 away from either end, less from the middle.
                part += [scaled[:, None], np.where(missing, 0.75**0.5, 0.0)[:, None]]
        else:
            size = max(int(values.max(initial=-1)) for values in columns) + 2
            for part, values in zip(parts, columns, strict=True):
                part.append(np.eye(size)[values + 1] / 2**0.5)
    return [np.concatenate(part, axis=1) for part in parts]


def nearest_squared(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distance (n,) of each point (n, p) to the nearest of the others (m, p), in bounded memory."""
    norms = (others**2).sum(1)
    block = max(1, BLOCK_CELLS // len(others))
    nearest = np.empty(len(points))
    for start in range(0, len(points), block):
        part = points[start : start + block]
        squared = norms - 2 * (part @ others.T)
        nearest[start : start + block] = squared.min(1) + (part**2).sum(1)
    return np.round(np.maximum(nearest, 0), DECIMALS)


def closer_share(
    synthetic: Mapping[str, np.ndarray], train: Mapping[str, np.ndarray], holdout: Mapping[str, np.ndarray]
) -> float:
    """Share of synthetic rows that are nearer to train than to as many held-out rows; ties count half.

    .5 is what rows have that know nothing of train. One-sided: more than that is evidence of copying, .5 is no evidence
    of privacy.

    Raises:
        ValueError: train and holdout differ in size, which would decide the comparison.
    """
    rows = [len(next(iter(columns.values()))) for columns in (train, holdout)]
    if rows[0] != rows[1]:
        raise ValueError(f"train has {rows[0]} rows, holdout {rows[1]}: they must be as many")
    points, far, near = unit_points(synthetic, holdout, train)
    to_train, to_holdout = nearest_squared(points, near), nearest_squared(points, far)
    return float(np.mean((to_train < to_holdout) + 0.5 * (to_train == to_holdout)))


def copy_share(synthetic: Mapping[str, np.ndarray], train: Mapping[str, np.ndarray]) -> float:
    """Share of synthetic rows that equal a training row in every column."""
    known = set(_row_bytes(train))
    return float(np.mean([row in known for row in _row_bytes(synthetic)]))


def _row_bytes(columns: Mapping[str, np.ndarray]) -> list[bytes]:
    """Each row as bytes; -0.0 is 0.0 and every nan is alike."""
    plain = [
        np.where(np.isnan(v), np.nan, v + 0.0) if v.dtype.kind == "f" else v.astype(float) for v in columns.values()
    ]
    matrix = np.ascontiguousarray(np.stack(plain, axis=1))
    return [row.tobytes() for row in matrix]
