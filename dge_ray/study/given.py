"""Tables that Python holds as the sources of studies: kept in the storage, for a study reads its table again."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dge_ray.options import nest
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import study_folder
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import IDENTITY
from dge_ray.table import data_digest
from dge_ray.table.reading.python_objects import arrow_table

SOURCES = "sources"  # below the storage: a Parquet file a table, named by its digest
NAME = "table"  # of a study of a table without one


@contextmanager
def config_of(source: Any, options: Mapping[str, Any] | None, *, keep: bool) -> Iterator[StudyConfig]:
    """The configuration of a study of a source: its name, or a table (`arrow_table`).

    A table is written below the storage, with `keep`, and stays there if the study has begun when the block ends;
    otherwise it lies in a temporary folder as long as the block lasts.

    Raises:
        InputError: as `read_config`, or no table.
    """
    if isinstance(source, str | os.PathLike):
        yield read_config(os.fspath(source), options or {})
        return
    table, keys = arrow_table(source), {"study": NAME, **nest(options or {})}
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
