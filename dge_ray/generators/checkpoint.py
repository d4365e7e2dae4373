"""A generator's files: `generator.json` and `weights.safetensors`, which names its weights by their digest."""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from dge_ray.errors import InputError
from dge_ray.phrases import one_line
from dge_ray.storage import Folder
from dge_ray.table.schema.identities import in_words
from dge_ray.table.schema.table_schema import TableSchema

FORMAT = 1
FORMATS = {"autoregressive": 2, "language": 2, "causal_lm": 2}
"""Where a generator's files are no longer of the first format: what it fitted before is of another law. (Generators of
text hold an autoregressor.)"""


@dataclass(frozen=True)
class Checkpoint:
    """What a fitted generator is: its schema, settings, arrays, and other JSON values."""

    name: str
    schema: TableSchema
    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]
    extra: dict[str, Any]


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the folder `path`. generator.json comes last, and says that the weights are whole."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.ascontiguousarray(value) for name, value in sorted(checkpoint.arrays.items())}
    weights = save_arrays(arrays)
    record = {
        "format": FORMATS.get(checkpoint.name, FORMAT),
        "generator": checkpoint.name,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "settings": checkpoint.settings,
        "extra": checkpoint.extra,
        "schema": json.loads(checkpoint.schema.to_json()),
    }
    text = json.dumps(record, indent=1, allow_nan=False)
    _write(path / "weights.safetensors", weights)
    _write(path / "generator.json", text.encode())


def read_checkpoint(path: Path, name: str) -> Checkpoint:
    """Read the folder `path`.

    Raises:
        InputError: no checkpoint there, a damaged one, or one of another generator or format.
    """
    path = Path(path)
    for file in ("generator.json", "weights.safetensors"):
        if not (path / file).is_file():  # a pipe would hold its reader up for ever
            raise InputError("checkpoint", f"no {file} in {path}", "a folder that a generator was saved to")
    try:
        record = json.loads((path / "generator.json").read_bytes())
        if record["generator"] != name:
            raise InputError("checkpoint", f"generator '{record['generator']}' in {path}", f"'{name}'")
        check_format(record, path)
        weights = (path / "weights.safetensors").read_bytes()
        if hashlib.sha256(weights).hexdigest() != record["weights_sha256"]:
            raise InputError(
                "checkpoint", f"weights that do not match generator.json in {path}", "an undamaged checkpoint"
            )
        schema = TableSchema.from_json(json.dumps(record["schema"]))
        return Checkpoint(name, schema, record["settings"], load_arrays(weights), record["extra"])
    except InputError:
        raise
    except Exception as error:  # any way in which a damaged file fails to parse
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            "checkpoint", f"a damaged checkpoint in {path} ({reason})", "an undamaged checkpoint"
        ) from error


def check_format(record: Mapping[str, Any], path: object) -> None:
    """Raises InputError unless a generator.json is of the format that this version writes."""
    name, found = record.get("generator"), record.get("format")
    current = FORMATS.get(str(name), FORMAT)
    if found != current:
        way_out = "fit it anew, a study under another name (study=NAME), or use the version that wrote it"
        raise InputError("checkpoint", f"format {found} of {name} in {path}", f"format {current}: {way_out}")


def check_columns(source: TableSchema, schema: TableSchema, path: str | Path) -> None:
    """Raises InputError unless the modelled columns have the same names, order and kinds."""
    theirs, ours = [c.name for c in source.modelled], [c.name for c in schema.modelled]
    if theirs != ours:
        if source.computed != schema.computed and set(source.names) == set(schema.names):
            got = f"a checkpoint of other identities between columns in {path} ({_identities(source)})"
            takes = f"one fitted with identities=none, here and there, or with the same ({_identities(schema)})"
            raise InputError("warm_start", got, takes)
        takes = f"one with the columns {', '.join(ours)}"
        raise InputError("warm_start", f"a checkpoint with the columns {', '.join(theirs)} in {path}", takes)
    for a, b in zip(source.modelled, schema.modelled, strict=True):
        if a.kind is not b.kind:
            raise InputError("warm_start", f"a checkpoint with '{a.name}' as {a.kind} in {path}", f"one as {b.kind}")


def _identities(schema: TableSchema) -> str:
    """What its columns are computed by."""
    return "; ".join(one_line(in_words(i)) for i in schema.kept if i.column in schema.computed) or "none"


def read_pretrained(place: str, schema: TableSchema) -> dict[str, Any]:
    """What a saved generator says of itself, its columns checked: `generator` and `weights_sha256`.

    Raises:
        InputError: no generator there, a damaged one, or one of other columns.
    """
    folder = Folder.open(place, "pretrained")
    folder.check_readable("pretrained")
    if not folder.exists("generator.json"):
        raise InputError("pretrained", f"no generator.json in {place}", "a folder that a generator was saved to")
    try:
        record = folder.read_json("generator.json")
        columns = TableSchema.from_json(json.dumps(record["schema"]))
        facts = {name: record[name] for name in ("generator", "weights_sha256")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("pretrained", f"a damaged generator.json in {place}", "an undamaged checkpoint") from error
    check_format(record, place)
    check_columns(columns, schema, place)
    return facts
