"""A study's folder: opened, told apart from another study of the same name, and read back."""

import platform
from importlib.metadata import version
from typing import Any

import yaml

from dge_ray.config import StudyConfig, as_yaml, make_config
from dge_ray.errors import InputError, InputErrors
from dge_ray.prepare import Prepared, identity_digest
from dge_ray.storage import Folder
from dge_ray.table.schema import TableSchema

IDENTITY = "identity.json"


def study_folder(storage: str, name: str) -> Folder:
    return Folder.open(storage) / name


def claim_folder(prepared: Prepared) -> Folder:
    """The study's folder, new or resumed; config.yaml and schema.json written.

    Raises:
        InputError: the storage cannot be written to, the folder is damaged, or it holds another study.
    """
    Folder.open(prepared.config.storage).check_writable()
    folder = study_folder(prepared.config.storage, prepared.name)
    identity = prepared.identity()
    if folder.exists(IDENTITY):
        _check_same(folder, folder.read_json(IDENTITY), identity)
    elif folder.list():
        raise InputError(
            str(folder), "files, but no study (identity.json is missing)", "an empty or absent folder, or study=NAME"
        )
    else:
        folder.write_json(IDENTITY, identity)
    folder.write_bytes("schema.json", prepared.schema.to_json().encode())
    folder.write_bytes("config.yaml", as_yaml(resolved(prepared)).encode())
    return folder


def resolved(prepared: Prepared) -> StudyConfig:
    """The configuration with what was left open filled in."""
    return prepared.config.model_copy(update={"shard_rows": prepared.shard_rows, "metric": prepared.metric})


def _check_same(folder: Folder, old: dict[str, Any], new: dict[str, Any]) -> None:
    for field, value in new.items():
        if field not in old:
            raise InputError(f"{folder}/{IDENTITY}", f"no {field}", "a study's own file")
        if old[field] != value:
            raise InputError(
                "study",
                f"{folder.path.rpartition('/')[2]!r}, which exists with another {field} "
                f"({_short(old[field])}, not {_short(value)})",
                "another name (study=NAME), or the same data and settings; members, ratios and learner may change",
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "..."


def find_study(study: str, storage: str) -> Folder:
    """A study by its folder, or by its name under the storage.

    Raises:
        InputError: there is none.
    """
    for folder in (study_folder(storage, study) if "/" not in study else None, Folder.open(study)):
        if folder is not None and folder.exists(IDENTITY):
            return folder
    known = [name for name in Folder.open(storage).list() if study_folder(storage, name).exists(IDENTITY)]
    raise InputError("study", repr(study), f"a study's folder, or one of {', '.join(known) or 'none'} in {storage}")


def read_study_config(folder: Folder) -> StudyConfig:
    """The resolved configuration of a study.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return make_config(yaml.safe_load(folder.read_bytes("config.yaml")))
    except (FileNotFoundError, yaml.YAMLError, InputErrors, TypeError):
        raise InputError(f"{folder}/config.yaml", "a missing or damaged file", "the study's resolved YAML") from None


def read_schema(folder: Folder) -> TableSchema:
    """The schema of a study.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return TableSchema.from_json(folder.read_bytes("schema.json").decode())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder}/schema.json", "a missing or damaged file", "the study's schema") from None


def study_id(prepared: Prepared) -> str:
    """What tells this study from every other, wherever it is tracked."""
    return identity_digest({**prepared.identity(), "study": prepared.name})[:32]


def versions() -> dict[str, str]:
    return {name: version(name.replace("_", "-")) for name in ("dge_ray", "ray", "torch", "mlflow")} | {
        "scikit-learn": version("scikit-learn"),
        "python": platform.python_version(),
    }
