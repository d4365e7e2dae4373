"""Rows that were made elsewhere, as a generator: nothing is learnt, and they come in the order in which they lie.

So K tables of any tool are the members of a study. What is asked beyond their rows is refused.
"""

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dge_ray.errors import InputError
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count, refuse_text
from dge_ray.generators.fitting.base import BaseGenerator, FitOptions
from dge_ray.generators.tables.reading import MadeTables
from dge_ray.generators.tables.settings import TablesSettings
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.digest import data_digest
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.check import check_table
from dge_ray.table.schema.table_schema import TableSchema, arrow_schema

ROWS = "rows.parquet"


class Tables(BaseGenerator[TablesSettings, pa.Table]):
    """One table of a folder of them."""

    name = "tables"
    abilities = TablesSettings.abilities
    no_warm_start = "its rows are taken as they are"
    keeps_history = False

    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> pa.Table:
        """The table's rows; of the real `table` nothing is looked at."""
        refuse_text(schema)
        return MadeTables(self.settings.path).read(self.settings.member, schema, seed=options.seed).rows

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._state()[1].num_rows

    def rows(self, start: int, n: int) -> pa.Table:
        """The rows from `start` on, `n` of them or as many as there are.

        Raises:
            InputError: there are none from there on.
        """
        _, rows = self._state()
        if start >= rows.num_rows:
            raise InputError("volume", f"more than {start:,} rows", f"at most {rows.num_rows:,}: the table has no more")
        return rows.slice(start, n)

    def sample(self, n: int, *, seed: int) -> pa.Table:
        """`n` of the rows, each at most once, in a random order.

        Raises:
            InputError: n < 1, or more than there are.
        """
        _, rows = self._state()
        check_count(n)
        if n > rows.num_rows:
            raise InputError("n", f"{n:,} rows", f"at most {rows.num_rows:,}: the table has no more")
        return rows.take(numpy_generator(seed, Purpose.SHARD).permutation(rows.num_rows)[:n]).combine_chunks()

    def save(self, path: Path) -> None:
        """Write the rows as Parquet, and what `BaseGenerator.save` writes."""
        Path(path).mkdir(parents=True, exist_ok=True)
        pq.write_table(self._state()[1], Path(path) / ROWS, compression="zstd")
        super().save(path)

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> Self:
        generator = super().load(path, device=device)
        schema, wanted = generator._state()
        try:
            rows = pq.read_table(Path(path) / ROWS).cast(wanted.schema)
        except (pa.ArrowException, OSError, ValueError):
            raise InputError("checkpoint", f"no rows, or damaged ones, in {path}", "an undamaged checkpoint") from None
        if check_table(rows, schema) or _digest(rows).tolist() != generator._kept:
            raise InputError(
                "checkpoint", f"rows that do not match generator.json in {path}", "an undamaged checkpoint"
            )
        generator._fitted = schema, rows
        return generator

    def _files(self, model: pa.Table) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"rows_sha256": _digest(model)}, {"rows": model.num_rows}

    def _restored(self, saved: Checkpoint, device: str) -> pa.Table:
        self._kept: list[int] = saved.arrays["rows_sha256"].tolist()
        return arrow_schema(saved.schema).empty_table()


def _digest(rows: pa.Table) -> np.ndarray:
    """What tells these rows from others, as the weights of other generators do: uint8 (32,)."""
    return np.frombuffer(hashlib.sha256(data_digest(rows).encode()).digest(), np.uint8)
