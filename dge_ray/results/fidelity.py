"""How alike synthetic rows and train rows are, beside train rows and rows that no generator saw: column by column, pair
by pair, and by a classifier that tells them apart. What is kept are shares of bins and categories, never a row."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.evaluation.two_sample import two_sample_auc
from dge_ray.phrases import number
from dge_ray.results.findings import written_date
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.utility.fidelity import column_errors, pair_errors
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import shard_file
from dge_ray.table import CODED, MEASURED, Column, Kind, TableCodec
from dge_ray.table.codec import Columns

MOST_ROWS = 2_000  # of each table: an AUC known to .02, in about two CPU-seconds
FEWEST_ROWS = 50
MOST_COLUMNS = 12  # that are shown, the target first; errors are of MOST_MEASURED
MOST_MEASURED = 30
BINS = 14
MOST_CATEGORIES = 6
FEWEST_OF_A_BIN = 5  # real rows: the share of fewer tells of few persons
WORST_PAIRS = 3
INDEX = 4  # of these streams of Purpose.UTILITY: 4 the rows, 5 and 6 the classifiers


def fidelity(prepared: Prepared, folder: Folder, members: int) -> dict[str, Any]:
    """The key `fidelity` of report.json; nothing of a private study, whose train rows speak through the ledger alone,
    where the members' first shards are gone, or with fewer than FEWEST_ROWS.

    `members`: so many members' rows, equally many of each, are set against train.
    """
    started = time.process_time()
    columns = [c for c in prepared.schema.varying if c.kind in CODED or c.kind in MEASURED]
    columns = sorted(columns, key=lambda column: column.name != prepared.schema.target)[:MOST_MEASURED]
    numbers = prepared.generators(members)
    files = [shard_file(k, 0) for k in numbers]
    if prepared.config.private or not columns or not all(folder.exists(file) for file in files):
        return {}
    names, codec = [c.name for c in columns], TableCodec(prepared.schema)
    each = -(-MOST_ROWS // len(numbers))
    made = pa.concat_tables([folder.read_table(file).slice(0, each) for file in files])
    held = "test" if "test" in prepared.parts else "validation"
    tables = {"train": prepared.parts["train"], "synthetic": made, "held": prepared.parts[held]}
    size = min(MOST_ROWS, *(table.num_rows for table in tables.values()))
    if size < FEWEST_ROWS:
        return {}
    draw = numpy_generator(prepared.config.seed, Purpose.UTILITY, index=INDEX)
    rows = {
        name: codec.encode(table.take(draw.permutation(table.num_rows)[:size]), names) for name, table in tables.items()
    }
    train, others = rows["train"], {name: rows[name] for name in ("synthetic", "held")}
    by_column = {name: column_errors(train, other) for name, other in others.items()}
    by_pair = {name: pair_errors(train, other) for name, other in others.items()}
    apart = {
        name: two_sample_auc(
            train,
            other,
            prepared.schema,
            columns,
            seed=integer(prepared.config.seed, Purpose.UTILITY, member=0, index=INDEX + 1 + at),
        )
        for at, (name, other) in enumerate(others.items())
    }
    worst = sorted(by_pair["synthetic"], key=lambda pair: -by_pair["synthetic"][pair])[:WORST_PAIRS]
    return {
        "fidelity": {
            "rows": size,
            "members": members,
            "held": held,
            "columns": [
                {**_shares(column, rows), "error": {name: errors[column.name] for name, errors in by_column.items()}}
                for column in columns[:MOST_COLUMNS]
            ],
            "measured": len(columns),
            "column_error": {name: float(np.mean(list(errors.values()))) for name, errors in by_column.items()},
            "pair_error": {name: float(np.mean(list(errors.values()) or [0.0])) for name, errors in by_pair.items()},
            "worst_pairs": [
                {"columns": list(pair), **{name: by_pair[name][pair] for name in others}} for pair in worst
            ],
            "two_sample_auc": apart,
            "cpu_seconds": time.process_time() - started,
        }
    }


def _shares(column: Column, rows: Mapping[str, Columns]) -> dict[str, Any]:
    """A column's shares in each table: of its commonest categories, or of bins between the train rows' 1st and 99th
    percentile; what is beyond them, or in a category not shown, is in the last or the nearest."""
    values = {name: table[column.name] for name, table in rows.items()}
    if column.kind in CODED:
        common = np.argsort(-np.bincount(values["train"] + 1, minlength=len(column.categories) + 1), kind="stable")
        common = common[:MOST_CATEGORIES]
        counts = {
            name: np.bincount(codes + 1, minlength=len(column.categories) + 1)[common] for name, codes in values.items()
        }
        labels = ["missing" if at == 0 else str(column.categories[at - 1]) for at in common]
        kept = np.flatnonzero(counts["train"] >= FEWEST_OF_A_BIN)
        counts, labels = {name: count[kept] for name, count in counts.items()}, [labels[at] for at in kept]
        return {"name": column.name, "labels": labels, **_of_all(counts, values)}
    edges = _edges(column, values["train"])
    counts = {name: np.histogram(np.clip(v[~np.isnan(v)], edges[0], edges[-1]), edges)[0] for name, v in values.items()}
    return {
        "name": column.name,
        "ends": [_written(column, edges[0]), _written(column, edges[-1])],
        **_of_all(counts, values),
    }


def _edges(column: Column, train: np.ndarray) -> np.ndarray:
    """Of bins of equal width; those of whole numbers hold equally many of them."""
    known = train[~np.isnan(train)]
    low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (0.0, 1.0)
    if column.kind is Kind.NUMERIC:
        return np.linspace(low, high if high > low else low + 1, BINS + 1)
    low, high = np.floor(low), np.ceil(high)
    width = max(1.0, np.ceil((high - low + 1) / BINS))
    return low - 0.5 + width * np.arange(np.ceil((high - low + 1) / width) + 1)


def _written(column: Column, edge: float) -> str:
    """An end of the axis, to three digits, so that it is nobody's value."""
    if column.kind is Kind.DATETIME:
        return written_date(column, edge)[:10]
    return number(float(f"{edge:.3g}"))


def _of_all(counts: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]) -> dict[str, Sequence[float]]:
    """Shares of all rows; of a part's real rows none where they are few."""
    shares = {}
    for name, count in counts.items():
        kept = count if name == "synthetic" else np.where(count >= FEWEST_OF_A_BIN, count, 0)
        shares[name] = (kept / len(values[name])).tolist()
    return shares
