"""A saved synthesizer: a folder with the generator's own files, schema.json and synthesizer.json.

Whoever reads one distrusts it: every file is named with its sha256 in synthesizer.json, which is written last, and
nothing is unpickled or run.
"""

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dge_ray.bundle.checksums import sha256
from dge_ray.bundle.opening import MOST_JSON, check_regular, read_file, refuse
from dge_ray.errors import InputError
from dge_ray.estimators.fitted_table import FittedTable
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import generator_class
from dge_ray.storage import Folder
from dge_ray.table.arrow.dtypes import from_json_values, to_json_values
from dge_ray.table.schema.check import check_schema, check_table
from dge_ray.table.schema.table_schema import TableSchema
from dge_ray.table.strict_json import strict_json

FILE, SCHEMA, GENERATOR = "synthesizer.json", "schema.json", "generator"
FORMAT = 1
TAKES = "a folder that Synthesizer.save has written"


def _versions() -> dict[str, str]:
    packages = ("dge-ray", "numpy", "pandas", "pyarrow", *(["torch"] if "torch" in sys.modules else []))
    return {"python": python_version(), **{name: version(name) for name in packages}}


class Saved(BaseModel):
    """synthesizer.json. `fitted`: the name of the generator in the folder; `rows`: of the real table; `dtypes`: of its
    frame; `files`: the sha256 of every other file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = FORMAT
    versions: dict[str, str] = Field(default_factory=_versions)
    generator: str
    generator_settings: dict[str, Any]
    seed: int
    keys: dict[str, Any]
    fitted: str = ""
    rows: int = Field(default=1, ge=1)
    dtypes: list[dict[str, Any]] = []
    files: dict[str, str] = {}


def write_saved(path: str | os.PathLike[str], saved: Saved, table: FittedTable, generator: Generator) -> None:
    """Write the folder; one that a synthesizer was saved to before is written anew.

    Raises:
        InputError: the folder has other files, or cannot be written to.
    """
    folder = Folder.open(os.fspath(path), "folder")
    folder.check_writable("folder")
    if folder.files() and not folder.exists(FILE):
        raise InputError("folder", f"{folder}, which has other files", "an empty folder, or one that is not there")
    for name in (FILE, SCHEMA, GENERATOR):  # FILE first: what is left of an old one is none
        folder.delete(name)
    with tempfile.TemporaryDirectory(prefix="dge-ray-") as scratch:
        generator.save(Path(scratch))
        folder.upload(Path(scratch), GENERATOR)
    folder.write_bytes(SCHEMA, table.schema.to_json().encode())
    sums = {name: sha256(folder, name) for name in folder.files()}
    facts = {"fitted": generator.name, "rows": table.rows, "dtypes": to_json_values(table.dtypes), "files": sums}
    folder.write_json(FILE, saved.model_copy(update=facts).model_dump(mode="json"))


def read_saved(path: str | os.PathLike[str]) -> tuple[Saved, FittedTable, Generator]:
    """What `write_saved` wrote.

    Raises:
        InputError: no such folder, or a file in it that is missing, damaged or at odds with the others.
    """
    folder = Folder.open(os.fspath(path), "folder")
    folder.check_readable("folder")
    if not folder.exists(FILE):
        raise InputError("folder", f"{folder}, without {FILE}", TAKES)
    saved = _record(folder)
    _check_files(folder, saved)
    schema = _schema(folder)
    table = FittedTable(schema, _dtypes(folder, saved, schema), saved.rows)
    kind = generator_class(saved.fitted)
    with folder.downloaded(GENERATOR) as local:
        try:
            generator = kind.load(local)
            faults = check_table(generator.sample(1, seed=0), schema)
        except InputError:
            raise
        except Exception as error:  # any way in which files that somebody made up fail to be a generator
            refuse(folder, GENERATOR, f"a damaged generator ({type(error).__name__})", TAKES)
    if faults:
        refuse(folder, GENERATOR, f"a generator of another table ({faults[0]})", f"one of {SCHEMA}")
    return saved, table, generator


def _record(folder: Folder) -> Saved:
    try:
        raw = strict_json(read_file(folder, FILE, MOST_JSON))
    except (ValueError, RecursionError):
        refuse(folder, FILE, "damaged", "JSON that Synthesizer.save has written")
    if isinstance(raw, dict) and raw.get("format") != FORMAT:
        refuse(folder, FILE, f"format {raw.get('format')!r}"[:80], f"format {FORMAT}")
    try:
        return Saved.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))[:80] or "no object"
        refuse(folder, FILE, f"{where}: {fault['msg']}", "what Synthesizer.save has written")


def _check_files(folder: Folder, saved: Saved) -> None:
    found = [name for name in folder.files() if name != FILE]
    for name in (SCHEMA, *saved.files):
        if name not in found or name not in saved.files:
            refuse(folder, name, "not there" if name not in found else "not named", f"every file that {FILE} names")
    for name in found:
        if name not in saved.files:
            refuse(folder, name, "a file too many", f"the files that {FILE} names")
        check_regular(folder, name)
        if sha256(folder, name) != saved.files[name]:
            refuse(folder, name, "changed since it was saved", f"the sha256 that {FILE} tells")


def _schema(folder: Folder) -> TableSchema:
    content = read_file(folder, SCHEMA, MOST_JSON)
    try:
        strict_json(content)
        schema = TableSchema.from_json(content.decode())
        faults = check_schema(schema)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        refuse(folder, SCHEMA, "no table's schema", "what Synthesizer.save has written")
    if faults:
        refuse(folder, SCHEMA, faults[0], "a schema that a table can have")
    return schema


def _dtypes(folder: Folder, saved: Saved, schema: TableSchema) -> pd.Series:
    try:
        dtypes = from_json_values(saved.dtypes)
    except Exception:  # pandas fails in many ways on what names no dtype
        refuse(folder, FILE, "dtypes that are none", "what Synthesizer.save has written")
    if [str(label) for label in dtypes.index] != schema.names:
        refuse(folder, FILE, "dtypes of other columns", f"those of {SCHEMA}")
    return dtypes
