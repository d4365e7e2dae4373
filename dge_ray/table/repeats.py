"""Do rows come in groups that give the target away? Then rows parted at random flatter every model: it has seen the
others of the group.

Looked for on train rows, in one column after the other, by how alike the targets of two rows are: of classes the share
of pairs that agree, of a quantity the correlation of ranks, both put so that 0 is chance and 1 is equal.

**Repeats.** The values of an identifier of persons, households or days repeat, and two rows of one value are alike, as
rows of neighbouring values are not. What a quantity tells is different: neighbouring values tell nearly the same. Of
text categories, which have no neighbours, chance stands for these. Told of where the rows of values that 2 to 200 rows
have are a third of all, of at least 20 values, and are more alike by .45 and by 4 standard errors over values.

**Runs.** A measure that is nearly constant in a person names the person too. Rows beside each other in its order are
alike then, those 16 to 32 places apart are not. Told of where that difference is .5, from 256 rows on.

Of the shared example tables with their own targets none is told of (nearest: .38 and .17). Not found: groups that only
several columns together give away (by the same rule, pairs of columns would be told of in three of the ten tables),
those with fewer than two of their rows in train, and weak ones (under .45).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import CODED, MEASURED, TableSchema

MOST_ROWS = 20_000  # the first ones: a table is often in the order of its groups
FEWEST_VALUES, LARGEST_GROUP = 20, 200
SHARE = 1 / 3
REPEATS, ERRORS = 0.45, 4.0
RUNS, FEWEST_ROWS, NEAR, FAR = 0.5, 256, (1,), (16, 20, 24, 28, 32)


@dataclass(frozen=True)
class Repeats:
    """A column that gives groups away. `values`: how many repeat; 0 where it is by neighbours (runs).

    `alike`, `elsewhere`: the likeness of two rows of one value, or side by side, and of neighbouring values, or apart.
    """

    column: str
    values: int
    alike: float
    elsewhere: float


def find_repeats(train: pa.Table, schema: TableSchema) -> list[Repeats]:
    """The columns of train rows that give groups away, those whose values repeat first, the strongest first."""
    if schema.target is None:
        return []
    columns = TableCodec(schema).encode(train.slice(0, MOST_ROWS))
    likeness = _scores(columns[schema.target], coded=bool(schema.classes))
    found = []
    for column in schema.features:
        if column.kind not in CODED | MEASURED:
            continue
        values = columns[column.name].astype(np.float64)
        present = ~np.isnan(values) if column.kind in MEASURED else values >= 0
        ordered = column.kind in MEASURED
        looks = [_repeats, _runs] if ordered else [_repeats]
        for look in looks:
            one = look(column.name, values[present], likeness[present], ordered)
            if one is not None:
                found.append(one)
                break
    return sorted(found, key=lambda one: (not one.values, one.elsewhere - one.alike))


def repeats_warning(found: list[Repeats], target: str) -> list[str]:
    """A line that says so and what helps; none where nothing was found."""
    if not found:
        return []
    first, others = found[0], [f"'{one.column}'" for one in found[1:4]]
    more = f" (so {'do' if len(others) > 1 else 'does'} {', '.join(others)})" if others else ""
    if first.values:
        seen = f"rows that share one of its {first.values:,} repeated values share '{target}' too"
        keep = advice("group_column", first.column)
    else:
        seen = f"rows that are nearly equal in it share '{target}' too, as if they were of one person or day"
        keep = "group_column=COLUMN with the column that names it"
    return [
        f"column '{first.column}': {seen} (likeness {first.alike:.2f}, and {first.elsewhere:.2f} of rows "
        f"{'of other values' if first.values else 'further apart'}){more}: rows parted at random make results "
        f"optimistic, {keep} keeps a group's rows together"
    ]


def _scores(target: np.ndarray, *, coded: bool) -> np.ndarray:
    """Vectors (rows, d) whose products are likenesses: mean 0 over pairs of chance, 1 of equal rows."""
    if coded:
        one_hot = np.eye(int(target.max()) + 1)[target.astype(np.int64)]
        shares = one_hot.mean(axis=0)
        return (one_hot - shares) / np.sqrt(max(1.0 - (shares**2).sum(), 1e-12))
    _, place, counts = np.unique(target, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2)[place]
    return ((ranks - ranks.mean()) / max(ranks.std(), 1e-12))[:, None]


def _repeats(name: str, values: np.ndarray, scores: np.ndarray, ordered: bool) -> Repeats | None:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    used = (counts >= 2) & (counts <= LARGEST_GROUP)
    if used.sum() < FEWEST_VALUES or counts[used].sum() < SHARE * len(values):
        return None
    sums = np.stack([np.bincount(place, score, len(counts)) for score in scores.T], axis=1)
    own = np.bincount(place, (scores**2).sum(axis=1), len(counts))
    within = ((sums**2).sum(axis=1) - own) / np.maximum(counts * (counts - 1), 1)
    between = np.zeros(len(counts))
    if ordered:
        means, near = sums / counts[:, None], np.zeros(len(counts))
        for lag in (1, 2):
            products = (means[lag:] * means[:-lag]).sum(axis=1)
            between[lag:] += products
            between[:-lag] += products
            near[lag:] += 1
            near[:-lag] += 1
        between /= near
    weights = counts[used] / counts[used].sum()
    more = (within - between)[used]
    excess = float(weights @ more)
    error = float(np.sqrt((weights**2) @ (more - excess) ** 2))
    if excess < REPEATS or excess < ERRORS * error:
        return None
    return Repeats(name, int(used.sum()), float(weights @ within[used]), float(weights @ between[used]))


def _runs(name: str, values: np.ndarray, scores: np.ndarray, ordered: bool) -> Repeats | None:
    if not ordered or len(values) < FEWEST_ROWS or len(np.unique(values)) < len(values) / 2:
        return None
    sorted_scores = scores[np.argsort(values, kind="stable")]

    def alike(lags: tuple[int, ...]) -> float:
        return float(np.mean([(sorted_scores[lag:] * sorted_scores[:-lag]).sum(axis=1).mean() for lag in lags]))

    near, far = alike(NEAR), alike(FAR)
    return Repeats(name, 0, near, far) if near - far >= RUNS else None
