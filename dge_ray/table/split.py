"""Real rows into train, stopping, validation, test and perhaps raw: stratified at random, in whole groups, in the order
of time, or by the user's column."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.phrases import or_key
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.arrow.arrow_types import pc, plain
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema
from dge_ray.table.source import check_column_name, counted_rows
from dge_ray.table.units import Units

MIN_TRAIN_ROWS = 20
MIN_ROWS = 5  # of validation and of test each
MOST_CLASSES = 20  # that a message names
STRATA = 10  # target-quantile groups in regression
_LABELS = ["train", "validation", "test", "raw"]
_TEST, _VALIDATION = 0, 1  # indices of the SPLIT streams


@dataclass(frozen=True)
class Split:
    """Row indices (int64, ascending) of the parts. `train` holds the n rows that generators are fitted on.

    `raw`: real rows that learners may see and generators do not, as the split column says; empty where it names none.
    """

    train: np.ndarray
    stopping: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    raw: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def parts(self) -> Iterator[tuple[str, np.ndarray]]:
        yield from (("train", self.train), ("stopping", self.stopping))
        if len(self.raw):
            yield "raw", self.raw
        yield from (("validation", self.validation), ("test", self.test))

    def tables(self, table: pa.Table) -> dict[str, pa.Table]:
        """The parts of a table by name."""
        return {name: table.take(pa.array(rows)) for name, rows in self.parts()}

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each part has."""
        return {name: len(rows) for name, rows in self.parts()}


def take_split_column(table: pa.Table, name: str | None) -> tuple[pa.Table, np.ndarray | None]:
    """The table without its split column, and that column's values, shape (rows,), for `split_table`.

    Raises:
        InputError: no such column, values other than train, validation, test and raw, or no train or test rows.
    """
    if name is None:
        return table, None
    check_column_name("split_column", name, table.column_names)
    values = plain(table[name])
    counted = {str(v["values"].as_py()): v["counts"].as_py() for v in pc.value_counts(values)}
    for value, count in counted.items():
        if value not in _LABELS:
            shown = "missing values" if value == "None" else f"the value '{value}'"
            raise InputError(f"split_column '{name}'", f"{shown} in {counted_rows(count)}", nearest(value, _LABELS))
    for value in ("train", "test"):
        if value not in counted:
            raise InputError(
                f"split_column '{name}'", f"no row with '{value}'", "train and test, validation and raw at will"
            )
    return table.drop_columns([name]), np.array(values.to_pylist(), dtype=str)


def split_table(
    table: pa.Table,
    schema: TableSchema,
    *,
    seed: int,
    labels: np.ndarray | None = None,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.15,
    stopping_fraction: float = 0.1,
    stratified: bool = True,
    units: Units | None = None,
) -> Split:
    """The split, a pure function of the table's target, the seed, the labels and the fractions.

    Each fraction is of the rows left: test of all rows, validation of those not in test, stopping of those in neither.
    Parts are stratified by class, or by target decile in regression; every class gets at least one row in every part.
    Without `stratified` a row's part depends on its place and on the number of rows alone, and no class is counted.
    `labels`: the split column's values, from `take_split_column`; validation is carved from train where it is absent,
    `raw` is what is named so. `units`: rows that stay together, from `read_units`; then the fractions hold as nearly as
    whole units allow, and in the order of time the parts are train, stopping, validation, test.

    Raises:
        InputError: a fraction outside (0, 1), too few rows or units, a class too rare to be in every part, or labels
            that tear a group.
    """
    fractions = {"test": test_fraction, "validation": validation_fraction, "stopping": stopping_fraction}
    for name, fraction in fractions.items():
        if not 0.0 < fraction < 1.0:
            raise InputError(f"{name}_fraction", repr(fraction), "a number between 0 and 1, such as 0.15")
    strata = strata_of(table, schema) if stratified else np.zeros(table.num_rows, dtype=np.int64)
    if labels is not None and (len(labels) != table.num_rows or not np.isin(labels, _LABELS).all()):
        raise ValueError("labels are not those of this table's split column")
    given = _given(labels)
    if stratified:
        _check_classes(strata, schema, labels)

    left: np.ndarray = given["train"] if given else np.arange(table.num_rows)
    if units is not None:
        if labels is not None:
            units.check_labels(labels)
        units.check_count(left, 4 - len(given.keys() & {"test", "validation"}))
    classification = bool(schema.classes) and stratified
    parts: dict[str, np.ndarray] = {}
    for name, reserve, purpose, index in (
        ("test", 3 - ("validation" in given), Purpose.SPLIT, _TEST),
        ("validation", 2, Purpose.SPLIT, _VALIDATION),
        ("stopping", 1, Purpose.STOPPING, 0),
    ):
        if name in given:
            parts[name] = given[name]
            continue
        rng = numpy_generator(seed, purpose, index=index)
        if units is not None:
            parts[name] = units.carve(left, strata[left], fractions[name], reserve, rng)
        else:
            parts[name] = carve(left, strata[left], fractions[name], reserve if classification else 0, rng)
        left = np.setdiff1d(left, parts[name], assume_unique=True)
    if "raw" in given:
        parts["raw"] = given["raw"]
    split = Split(train=left, **parts)
    _check_rows(split, table.num_rows)
    if units is not None and classification:
        _check_parts(split, strata, schema, units)
    return split


def strata_of(table: pa.Table, schema: TableSchema) -> np.ndarray:
    """The group of each row, shape (rows,): its class, its target decile, or one group without a target."""
    if schema.target is None:
        return np.zeros(table.num_rows, dtype=np.int64)
    target = TableCodec(schema).encode(table, [schema.target])[schema.target]
    if schema.classes:
        return target.astype(np.int64)
    ranks = np.argsort(np.argsort(target, kind="stable"), kind="stable")
    return ranks * STRATA // max(len(target), 1)


def carve(rows: np.ndarray, strata: np.ndarray, fraction: float, reserve: int, rng: np.random.Generator) -> np.ndarray:
    """About `fraction` of the rows, in proportion from each stratum (largest remainders).

    `reserve`: rows that must stay of each stratum for the parts still to come; if any, each stratum gives at least one.
    """
    _, member, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    share = sizes * fraction
    take = np.floor(share).astype(np.int64)
    short = round(len(rows) * fraction) - int(take.sum())
    take[np.argsort(take - share, kind="stable")[: max(short, 0)]] += 1
    if reserve:
        take = np.clip(take, 1, sizes - reserve)
    # One permutation, then the first `take` of each stratum in it.
    order = rng.permutation(len(rows))
    order = order[np.argsort(member[order], kind="stable")]
    position = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(rows[order[position < np.repeat(take, sizes)]])


@dataclass(frozen=True)
class Pool:
    """Rows of which each class needs some: the split column's own part, or what parts are cut from (no `name`)."""

    name: str
    rows: np.ndarray
    needed: int


def class_pools(n: int, labels: np.ndarray | None) -> list[Pool]:
    """The pools of n rows: train, stopping and what the labels do not give are cut from the same rows."""
    given = _given(labels)
    carved = 2 - ("validation" in given) - ("test" in given)
    pools = [Pool(name, rows, 1) for name, rows in given.items() if name != "train"]
    return [*pools, Pool("train" if given else "", given.get("train", np.arange(n)), 2 + carved)]


def rare_classes(table: pa.Table, schema: TableSchema, labels: np.ndarray | None) -> list[int]:
    """The codes of the classes with too few rows for a part of the split."""
    strata = strata_of(table, schema)
    short = [_counts(strata, schema, pool) < pool.needed for pool in class_pools(table.num_rows, labels)]
    return np.flatnonzero(np.logical_or.reduce(short)).tolist()


def _given(labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """The rows of the parts that the split column names."""
    parts = {} if labels is None else {name: np.flatnonzero(labels == name) for name in _LABELS}
    return {name: rows for name, rows in parts.items() if len(rows)}


def _counts(strata: np.ndarray, schema: TableSchema, pool: Pool) -> np.ndarray:
    return np.bincount(strata[pool.rows], minlength=len(schema.classes))[: len(schema.classes)]


def _check_classes(strata: np.ndarray, schema: TableSchema, labels: np.ndarray | None) -> None:
    for pool in class_pools(len(strata), labels):
        counted = _counts(strata, schema, pool)
        rare = np.flatnonzero(counted < pool.needed)
        if not len(rare):
            continue
        where = f" among the '{pool.name}' rows" if pool.name else ""
        named = ", ".join(
            f"{schema.classes[i]!r} in {counted_rows(int(counted[i]))}" for i in rare[:MOST_CLASSES].tolist()
        )
        more = f" and {len(rare) - MOST_CLASSES} more" if len(rare) > MOST_CLASSES else ""
        settled = len(schema.classes) - len(rare) > 1  # two classes are left
        takes = f"at least {pool.needed} of each class, so that every part has one"
        takes += or_key("rare_classes=merge or rare_classes=drop") if settled else ""
        got = f"class{'es' * (len(rare) > 1)} {named}{more}{where}"
        raise InputError(f"target '{schema.target}'", got, takes)


def _check_parts(split: Split, strata: np.ndarray, schema: TableSchema, units: Units) -> None:
    """Every class in every part: whole groups, and the order of time, may leave one out."""
    for name, rows in split.parts():
        counted = np.bincount(strata[rows], minlength=len(schema.classes))
        absent = [repr(label) for label, count in zip(schema.classes, counted, strict=True) if not count]
        if absent:
            classes = f"class{'es' * (len(absent) > 1)} {', '.join(absent[:MOST_CLASSES])}"
            takes = "each class in every part: other fractions, or rare classes merged or dropped"
            raise InputError(units.field, f"parts of which {name} has no row of {classes}", takes)


def _check_rows(split: Split, total: int) -> None:
    least_rows = {"train": MIN_TRAIN_ROWS, "raw": MIN_ROWS, "validation": MIN_ROWS, "test": MIN_ROWS, "stopping": 1}
    for name, rows in split.rows.items():
        least = least_rows[name]
        if rows < least:
            got = f"{total:,} rows, which leaves {rows} for {name}"
            raise InputError("table", got, f"enough rows for at least {least} in {name}")
