"""Real rows, looked for in whatever a study leaves behind: tables, arrays, models, databases, JSON, pages and logs.

A real row counts as found in a file when *each* of its values in the columns looked at is among the file's numbers,
within 1e-6 (of the value, where that is above 1), in any order, type or layout. The columns are to be continuous: then
synthetic rows do not meet a real one by chance.
"""

import gzip
import io
import re
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dge_ray.downstream.store import MODEL, TRUSTED
from dge_ray.table import TableCodec, TableSchema
from dge_ray.table.features import feature_matrix

CLOSE = 1e-6
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
IMAGE = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]*")

Piece = np.ndarray | str


class RealRows:
    """Rows to look for. `measured`: their values in the continuous columns (n, d), nan where missing."""

    def __init__(self, table: pa.Table, schema: TableSchema, columns: Sequence[str], texts: Sequence[str] = ()) -> None:
        encoded = TableCodec(schema).encode(table)
        self.measured = np.stack([encoded[name].astype(np.float64) for name in columns], axis=1)
        self.features, _ = feature_matrix(encoded, schema)
        self.names = [column.name for column in schema.features]
        self.columns, self.texts = columns, texts

    def found(self, places: Iterable[Path]) -> dict[str, int]:
        """Files that hold real rows, or one of the texts, with their numbers."""
        counts = {}
        for place in places:
            for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if path.is_file() and (count := self._in_file(path)):
                    counts[str(path)] = count
        return counts

    def _in_file(self, path: Path) -> int:
        numbers, said = [np.empty(0)], 0
        for piece in pieces(path.read_bytes()):
            if isinstance(piece, str):
                said += sum(text in piece for text in self.texts)
                numbers.append(np.array(NUMBER.findall(IMAGE.sub("", piece)), np.float64))
            else:
                numbers.append(np.asarray(piece, np.float64).ravel())
        known = np.unique(np.concatenate(numbers))
        known = known[np.isfinite(known)]
        views = [self.measured, *self._as_the_model_sees_them(path)]
        return said + max(int(_held(known, rows).sum()) for rows in views)

    def _as_the_model_sees_them(self, path: Path) -> list[np.ndarray]:
        """The rows behind a saved model's own encoding: a scaled row is that row."""
        if path.name != MODEL:
            return []
        import skops.io

        model: Any = skops.io.load(path, trusted=TRUSTED)
        if not hasattr(model, "steps") or self.features.shape[1] != model[0].n_features_in_:
            return []
        rows = model[:-1].transform(self.features)
        rows = rows.toarray() if hasattr(rows, "toarray") else rows
        return [rows[:, [len(np.unique(column)) > len(rows) / 2 for column in rows.T]]]


def _held(known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether all values of each row (n, d) are among the ascending numbers."""
    if not len(known) or rows.shape[1] < 2:
        return np.zeros(len(rows), bool)
    right = np.clip(np.searchsorted(known, rows), 0, len(known) - 1)
    distance = np.minimum(np.abs(known[right] - rows), np.abs(known[np.maximum(right - 1, 0)] - rows))
    missing = np.isnan(rows)
    return ((distance <= CLOSE * np.maximum(1, np.abs(rows))) | missing).all(axis=1) & (missing.sum(axis=1) == 0)


def pieces(content: bytes) -> Iterator[Piece]:
    """All numbers and texts in a file, whatever it is; of one of no known kind, its bytes as floats too."""
    if content[:4] == b"PAR1":
        file = pq.ParquetFile(io.BytesIO(content))
        yield str(file.schema_arrow.metadata)
        for column in file.read().columns:
            yield from _column(column)
    elif content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from pieces(archive.read(name))
    elif content[:2] == b"\x1f\x8b":
        yield from pieces(gzip.decompress(content))
    elif content[:6] == b"\x93NUMPY":
        yield from _array(np.load(io.BytesIO(content), allow_pickle=False))
    elif content[:15] == b"SQLite format 3":
        yield from _database(content)
    elif len(content) > 9 and content[8:9] == b"{" and struct.unpack("<Q", content[:8])[0] < len(content):
        from safetensors.numpy import load

        yield from load(content).values()
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        return
    else:
        try:
            yield content.decode()
        except UnicodeDecodeError:
            yield content.decode("latin-1")
            for kind, size in (("<f8", 8), ("<f4", 4)):
                for offset in range(size):
                    whole = content[offset : offset + (len(content) - offset) // size * size]
                    with np.errstate(invalid="ignore"):
                        yield np.frombuffer(whole, kind).astype(np.float64)


def _column(column: pa.ChunkedArray) -> Iterator[Piece]:
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        yield column.to_numpy(zero_copy_only=False).astype(np.float64)
    else:
        yield "\n".join(map(str, column.unique().to_pylist()))


def _array(array: np.ndarray) -> Iterator[Piece]:
    if array.dtype.names:
        for name in array.dtype.names:
            yield from _array(array[name])
    elif array.dtype.kind in "fiub":
        yield array
    else:
        yield "\n".join(map(str, array.ravel().tolist()))


def _database(content: bytes) -> Iterator[Piece]:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "copy.db"
        file.write_bytes(content)
        with closing(sqlite3.connect(file)) as database:
            tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            for table in tables:
                for row in database.execute(f'select * from "{table}"'):
                    for value in row:
                        if isinstance(value, bytes):
                            yield from pieces(value)
                        elif value is not None:
                            yield str(value)
