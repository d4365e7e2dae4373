"""Tables that Python holds as the sources of studies: kept in the storage, for a study reads its table again."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from dge_ray.options import nest
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import study_folder
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import IDENTITY
from dge_ray.table import data_digest
from dge_ray.table.reading.python_objects import arrow_table
from dge_ray.table.source import check_types, takes_type

SOURCES = "sources"  # below the storage: a Parquet file a table, named by its digest
NAME = "table"  # of a study of a table without one


@contextmanager
def config_of(source: Any, options: Mapping[str, Any] | None, *, keep: bool) -> Iterator[StudyConfig]:
    """The configuration of a study of a source: its name, or a table (`arrow_table`).

    A table is written below the storage, with `keep`, and stays there if the study has begun when the block ends;
    otherwise it lies in a temporary folder as long as the block lasts.

    Raises:
        InputError: as `read_config`, no table, or one with a column that no study takes and that is not dropped.
    """
    if isinstance(source, str | os.PathLike):
        yield read_config(os.fspath(source), options or {})
        return
    keys = {"study": NAME, **nest(options or {})}
    table = _kept(arrow_table(source), read_config(f"{NAME}.parquet", keys))
    name = f"{data_digest(table)[:16]}.parquet"
    if not keep:
        with tempfile.TemporaryDirectory(prefix="dge-ray-") as place:
            Folder.open(place).write_table(name, table)
            yield read_config(os.path.join(place, name), keys)
        return
    config = read_config(name, keys)
    folder = Folder.open(config.storage) / SOURCES
    fresh = not folder.exists(name)
    if fresh:
        folder.write_table(name, table)
    try:
        yield config.model_copy(update={"source": str(folder / name)})
    finally:
        if fresh and not study_folder(config.storage, str(config.study)).exists(IDENTITY):
            folder.delete(name)
            if not folder.list():
                Folder.open(config.storage).delete(SOURCES)


def _kept(table: pa.Table, config: StudyConfig) -> pa.Table:
    """The table without what is in dropped columns of types that no study takes: not all of these can be kept."""
    odd = [place for place, field in enumerate(table.schema) if not takes_type(field.type)]
    for place in odd:
        if table.column_names[place] in config.unwanted:
            table = table.set_column(place, table.column_names[place], pa.nulls(table.num_rows))
    check_types(table)
    return table
