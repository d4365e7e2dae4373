"""Synthetic tables that somebody else made: a folder of them, each read as one that the real table could have been."""

import warnings
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.tables.spelled import as_numbers, recoded, row_numbers, without_missing_words
from dge_ray.storage import Folder
from dge_ray.table.arrow.arrow_types import arrow_type, is_string, is_temporal, pc, plain, value_type
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.filling import rounded
from dge_ray.table.reading.load import ENDINGS, read_table, typed_table
from dge_ray.table.reading.options import ReadTable
from dge_ray.table.schema.table_schema import CODED, Column, Kind, TableSchema
from dge_ray.table.source import plain_nulls
from dge_ray.table.types import RepairWarning

FIELD = "generator.path"
BUNDLE, MEMBER = "bundle.json", "member="  # what a bundle has, and its members' folders begin with
TAKES = "a folder with a .parquet or .csv file, or a folder of them, for each member; one such file; or a bundle"
TABLE_ENDINGS = (*ENDINGS, ".parquet", ".xlsx")


@dataclass(frozen=True)
class MadeTable:
    """One table, in the schema's columns and types. `moved`: by column, how many values lay beyond its bounds."""

    rows: pa.Table
    moved: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundTable:
    """One table as it was found: encoded, and by column how many values no real row could have: those of no known
    category and missing ones where no real one is missing (both encoded as missing), and those beyond the bounds."""

    columns: Columns
    strange: dict[str, int]


class MadeTables:
    """The tables of a folder, by their sorted names; or the one of a file.

    Raises:
        InputError: no folder or file, or no table in it.
    """

    def __init__(self, path: str | None) -> None:
        place = checked_path(path)
        if (one := _as_file(place)) is not None:
            self.folder, self._files = one[0], {one[1]: [one[1]]}
            return
        self.folder = Folder.open(place, FIELD)
        self.folder.check_readable(FIELD)
        bundle, files = self.folder.exists(BUNDLE), {}
        for file in self.folder.files():
            name, _, rest = file.partition("/")
            hidden = any(step.startswith(".") for step in file.split("/"))
            if hidden or "/" in rest or not file.lower().endswith(TABLE_ENDINGS):
                continue
            if not bundle or (rest and name.startswith(MEMBER)):
                files.setdefault(name, []).append(file)
        self._files: dict[str, list[str]] = files
        if not self._files:
            state = "without a table" if self.folder.exists() else "which is not there"
            raise InputError(FIELD, f"{self.folder}, {state}", TAKES)

    @property
    def names(self) -> list[str]:
        return list(self._files)

    def read(self, index: int, schema: TableSchema, *, seed: int, spare: Collection[str] | None = None) -> MadeTable:
        """Table `index`, checked and in the schema's columns, order and types.

        Numbers and times are rounded to the real table's precision and moved within its bounds; constants are filled
        in, and identifiers are surrogates of `seed`. `spare`: other columns that it may have; None: any.

        Raises:
            InputError: no such table, one that cannot be read or without rows, a column that is missing or unknown,
                values that are none of a column's kind or categories, or missing ones where the real column has none.
        """
        if not 0 <= index < len(self._files):
            got = f"member {index}, and {self.folder} has {len(self._files)} tables"
            raise InputError("members", got, f"at most {len(self._files)} members")
        columns, _ = self._columns(index, schema, spare)
        moved = beyond_bounds(columns, schema)
        return MadeTable(TableCodec(schema).decode(columns, seed=seed, as_they_are=True), moved)

    def find(self, index: int, schema: TableSchema) -> FoundTable:
        """Table `index` as it is, to be judged: what no real row could have is counted, and neither refused nor moved.
        Numbers and times are rounded to the real table's precision.

        Raises:
            InputError: as `read`, but for single values that are unknown or missing.
        """
        columns, strange = self._columns(index, schema, (), refuse=False)
        for column in schema.varying:
            if column.kind not in CODED:
                columns[column.name] = rounded(column, columns[column.name])
        counts = Counter(strange) + Counter(beyond_bounds(columns, schema))
        return FoundTable(columns, {name: count for name, count in counts.items() if count})

    def _columns(
        self, index: int, schema: TableSchema, spare: Collection[str] | None, *, refuse: bool = True
    ) -> tuple[Columns, Counter[str]]:
        """A table's modelled columns, and how many values of each are unknown or missing against the schema; with
        `refuse` none may be."""
        strange = Counter[str]()
        noted = None if refuse else strange
        name = self.names[index]
        parts = [_read_one(str(self.folder / file), file, schema, spare, noted) for file in self._files[name]]
        return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}, strange


def beyond_bounds(columns: Columns, schema: TableSchema) -> dict[str, int]:
    """How many values of each measured column lie beyond the real table's bounds, where some do."""
    beyond = {}
    for column in schema.varying:
        if column.kind in CODED:
            continue
        low, high = _bounds(column)
        if count := int(((columns[column.name] < low) | (columns[column.name] > high)).sum()):
            beyond[column.name] = count
    return beyond


def _as_file(place: str) -> tuple[Folder, str] | None:
    """The folder and the name of a file of a table; None for what is none."""
    path, question, query = place.partition("?") if "://" in place else (place, "", "")
    if not path.lower().endswith(TABLE_ENDINGS):
        return None
    above, _, name = path.rpartition("/")
    folder = Folder.open((above or ("/" if path.startswith("/") else ".")) + question + query, FIELD)
    folder.check_readable(FIELD)
    info = folder.filesystem.get_file_info(folder.place(name))
    return (folder, name) if info.is_file else None


def checked_path(path: str | None) -> str:
    """The path. Raises InputError where there is none."""
    if path is None:
        raise InputError(FIELD, "nothing", TAKES)
    return path


def _bounds(column: Column) -> tuple[float, float]:
    return (
        -np.inf if column.minimum is None else column.minimum,
        np.inf if column.maximum is None else column.maximum,
    )


def _read_one(
    place: str, name: str, schema: TableSchema, spare: Collection[str] | None, noted: Counter[str] | None
) -> Columns:
    """The modelled columns of one file, encoded. `noted`: see `_encoded`."""
    try:
        read = read_table(place)
    except InputError as error:
        raise InputError(FIELD, error.got if error.field == "source" else f"'{name}', {error}", error.takes) from None
    table = read.table
    if table.num_rows == 0:
        raise _fault(name, "without rows", "tables of rows")
    repeated = [column for column, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise _fault(name, f"with two columns '{repeated[0]}'", "a column once")
    known = schema.names
    table = table.drop_columns(row_numbers(table, {*known, *(spare or ())}))
    read = replace(read, table=table)
    unknown = [column for column in table.column_names if column not in known]
    if spare is not None and (odd := [column for column in unknown if column not in spare]):
        raise _fault(name, f"with a column '{odd[0]}', which the real table has not", f"its columns: {_listed(known)}")
    absent = [column.name for column in schema.varying if column.name not in table.column_names]
    if absent:
        raise _fault(name, f"without a column '{absent[0]}'", f"the real table's columns: {_listed(known)}")
    return {column.name: _encoded(name, read, column, noted) for column in schema.varying}


def _encoded(name: str, read: ReadTable, column: Column, noted: Counter[str] | None) -> np.ndarray:
    """A column's values as `TableCodec` encodes them, checked. `noted`: counts those that are unknown, or missing where
    no real one is; None: they are refused."""
    strange = 0
    raw = read.table.column(column.name)
    if column.kind in CODED:
        direct, other = _direct_codes(name, read, column)
        encoded, strange = recoded(column, plain(raw), direct)
        nulls = int((encoded < 0).sum()) - strange
        if strange and other is not None and encoded.max() < 0:
            raise other
        if strange and noted is None:
            takes = f"the real table's {len(column.categories)} categories of it"
            raise _fault(name, f"with {strange:,} values in '{column.name}' that no real row has", takes)
    else:
        values = _as_kind(name, read, column)
        encoded, nulls = _direct(name, values, column), plain_nulls(values)
    if column.kind not in CODED and (count := int(np.isinf(encoded).sum())):
        raise _fault(name, f"with {count:,} infinite values in '{column.name}'", "finite values")
    nulls = 0 if column.missing else nulls
    if nulls and noted is None:
        raise _fault(name, f"with {nulls:,} missing values in '{column.name}'", "none there: no real one is missing")
    if noted is not None:
        noted[column.name] += strange + nulls
    return encoded


def _direct(name: str, values: pa.ChunkedArray, column: Column) -> np.ndarray:
    """Values in a type that the codec reads, encoded."""
    try:
        return TableCodec(TableSchema((column,))).encode(pa.table({column.name: values}))[column.name]
    except InputError:
        raise _fault(name, f"with a column '{column.name}' of type {values.type}", f"type {column.type}") from None


def _direct_codes(name: str, read: ReadTable, column: Column) -> tuple[np.ndarray, InputError | None]:
    """The codes of values that are written as the real table's are, -1 for all others; and what is wrong with all."""
    try:
        return _direct(name, _as_kind(name, read, column), column), None
    except InputError as error:
        return np.full(read.table.num_rows, -1, np.int32), error


def _as_kind(name: str, read: ReadTable, column: Column) -> pa.ChunkedArray:
    """A column's values in a type that the codec reads: texts of numbers and dates as such."""
    values = without_missing_words(read.table.column(column.name))
    dtype, own = value_type(arrow_type(column.type)), value_type(values.type)
    if is_temporal(own) and is_temporal(dtype) and own != dtype:
        return _cast(name, values, dtype, column)
    if not is_string(own) or is_string(dtype):
        return values
    kind = column.kind
    if kind in CODED and not pa.types.is_boolean(dtype):
        kind = Kind.DATETIME if is_temporal(dtype) else Kind.INTEGER if pa.types.is_integer(dtype) else Kind.NUMERIC
    fault = f"with texts in '{column.name}' that are no values of it"
    if not is_temporal(dtype) and (numbers := as_numbers(values)) is not None:
        return numbers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)
            texts = pa.table({column.name: values})
            typed = typed_table(replace(read, table=texts), overrides={column.name: kind})
    except InputError:
        raise _fault(name, fault, f"{column.kind} values, as the real table has") from None
    found = typed.column(0)
    if plain_nulls(found) > plain_nulls(values):
        raise _fault(name, fault, f"{column.kind} values, as the real table has")
    wanted = value_type(found.type)
    return _cast(name, found, dtype, column) if is_temporal(wanted) and wanted != dtype else found


def _cast(name: str, values: pa.ChunkedArray, dtype: pa.DataType, column: Column) -> pa.ChunkedArray:
    """Times in another unit, to the one below where that is coarser."""
    try:
        return pc.cast(plain(values), dtype, safe=False)
    except pa.ArrowException:
        raise _fault(name, f"with a column '{column.name}' of type {values.type}", f"type {column.type}") from None


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _fault(name: str, fault: str, takes: str) -> InputError:
    return InputError(FIELD, f"'{name}' {fault}", takes)
