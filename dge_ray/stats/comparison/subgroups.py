"""Groups of few real rows, and what each method risks there.

Groups are made on the training rows, as van Breugel et al. do (`dge.md` 5): of a column with fewer than 20 values, the
rarest one that at least 0.5 % of the rows have; of others the two tails of a tenth; each no larger than a fifth. They
are read on test rows.

A group is small by construction, so its intervals must be honest with ten rows: the losses are bounded ones (Brier) or
squared errors, intervals are over members and rows with Hall's correction for skewness (`intervals`), and a group with
fewer than 10 rows, or fewer than 10 outside its commonest class, is counted but has no interval: of a rare outcome
that few rows have, a mean loss over the others says nothing (such intervals held .08 to .65). `clear` says that a
difference is not 0 with all groups looked at together (Bonferroni); single intervals hold one by one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dge_ray.stats.ensemble.combine import ensemble_mean, leave_one_out_means
from dge_ray.stats.intervals import FEWEST_MEMBERS, interval, over_fits, over_rows
from dge_ray.stats.metrics.by_row import brier, squared_error
from dge_ray.stats.twoway import pseudo_values

FEW_VALUES, LEAST_SHARE, LARGEST_SHARE, TAIL = 20, 0.005, 0.2, 0.1
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Group:
    """A group's name, its share of the training rows, and which test rows are in it (N,) bool."""

    name: str
    share: float
    rows: np.ndarray


def find_groups(
    train: Mapping[str, np.ndarray],
    test: Mapping[str, np.ndarray],
    names: Mapping[str, list[str]],
    *,
    written: Mapping[str, Callable[[float], str]] | None = None,
) -> list[Group]:
    """The groups, the smallest first.

    Args:
        train, test: a column's values by name: codes (integers, below 0 for missing) or numbers (NaN for missing).
        names: the categories of a coded column by code; a column that is not here is one of numbers.
        written: of columns whose numbers stand for something else, dates say, how one of them is written.
    """
    groups = []
    for column, values in train.items():
        known = values >= 0 if column in names else np.isfinite(values)
        write = (written or {}).get(column)
        present, counts = np.unique(values[known], return_counts=True)
        if len(present) < 2:
            continue
        if column in names or len(present) < FEW_VALUES:
            shares = counts / len(values)
            enough = np.flatnonzero(shares >= LEAST_SHARE)
            if len(enough) == 0:
                continue
            rarest = enough[np.argmin(shares[enough])]
            word = names[column][int(present[rarest])] if column in names else _text(float(present[rarest]), write, "g")
            groups.append(Group(f"{column} = {word}", float(shares[rarest]), test[column] == present[rarest]))
            continue
        low, high = np.quantile(values[known], [TAIL, 1 - TAIL])
        for word, of_train, of_test in (
            (f"{column} <= {_text(low, write)}", values <= low, test[column] <= low),
            (f"{column} >= {_text(high, write)}", values >= high, test[column] >= high),
        ):
            groups.append(Group(word, float(of_train.mean()), of_test))
    return sorted((g for g in groups if g.share <= LARGEST_SHARE), key=lambda g: (g.share, g.name))


def _text(value: float, write: Callable[[float], str] | None, form: str = ".4g") -> str:
    return f"{value:{form}}" if write is None else write(float(value))


def subgroup_risks(
    groups: list[Group],
    members: np.ndarray,
    others: Mapping[str, np.ndarray],
    y: np.ndarray,
    *,
    level: float = 0.95,
) -> list[dict]:
    """Brier score or mean squared error of the ensemble in each group, and its differences to other predictions.

    Args:
        members: (K, N, C) on test rows.
        others: (N, C) predictions by name (naive ensemble, real rows); "naive_single", the mean over the one-member
            models, is added.
        y: (N,).

    Returns:
        For each group: name, share, rows, risk (value, lo, hi) and differences {method: (value, lo, hi)}, ensemble less
        method, with None for ends that few rows do not allow, and clear {method: bool}.
    """
    count, loss = max(len(groups), 1), squared_error if members.shape[2] == 1 else brier
    limits = (0.0, np.inf if members.shape[2] == 1 else 2.0)
    single = loss(members, y)  # (K, N)
    mine = loss(ensemble_mean(members), y)
    without = loss(leave_one_out_means(members), y) if len(members) >= FEWEST_MEMBERS else None
    out = []
    for group in groups:
        at = group.rows
        n = int(at.sum())
        row: dict = {"group": group.name, "share": group.share, "rows": n}
        if n == 0:
            out.append(row)
            continue
        pseudo = None if without is None else pseudo_values(mine[at], without[:, at])
        told = n >= FEWEST_ROWS and (members.shape[2] == 1 or n - np.bincount(y[at]).max() >= FEWEST_ROWS)
        row["risk"] = _interval(mine[at], pseudo, level, limits) if told else [float(mine[at].mean()), None, None]
        differences, clear = {}, {}
        for name in ("naive_single", *others):
            member_losses = single[:, at]
            theirs = member_losses.mean(axis=0) if name == "naive_single" else loss(others[name], y)[at]
            moved = None
            if pseudo is not None:  # a one-member model's own part is its own loss; other methods have none in members
                moved = pseudo - (member_losses if name == "naive_single" else theirs)
            apart = mine[at] - theirs
            differences[name] = _interval(apart, moved, level) if told else [float(apart.mean()), None, None]
            _, low, high = _interval(apart, moved, 1 - (1 - level) / count) if told else (0.0, 0.0, 0.0)
            clear[name] = not low <= 0 <= high
        out.append(row | {"differences": differences, "clear": clear})
    return out


def _interval(
    full: np.ndarray, pseudo: np.ndarray | None, level: float, limits: tuple[float, float] = (-np.inf, np.inf)
) -> list[float]:
    """[value, lo, hi]. Shape: full (n,), pseudo (K, n)."""
    rows = over_rows(full)
    others = [] if pseudo is None else [over_fits(pseudo, rows)]
    value = float(full.mean())
    return [value, *interval(value, rows, others, level=level, limits=limits)]
