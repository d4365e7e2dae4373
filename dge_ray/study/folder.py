"""A study's folder: opened, told apart from another study of the same name, and read back."""

import platform
from importlib.metadata import version
from typing import Any

import yaml

from dge_ray.errors import InputError, InputErrors
from dge_ray.masking import mask
from dge_ray.privacy.key import read_key, write_key
from dge_ray.storage import Folder
from dge_ray.study.config import STUDY_NAME, StudyConfig, as_yaml, make_config
from dge_ray.study.lock import FILE as LOCK
from dge_ray.study.prepare import Prepared, identity_digest
from dge_ray.table.schema import TableSchema

IDENTITY = "identity.json"


def study_folder(storage: str, name: str) -> Folder:
    return Folder.open(storage) / name


def check_folder(prepared: Prepared) -> Folder:
    """The study's folder, absent, empty, or this study's own. Nothing is written.

    Raises:
        InputError: the folder is damaged or holds something else, or the storage cannot be read.
    """
    folder = study_folder(prepared.config.storage, prepared.name)
    folder.check_readable()
    if folder.exists(IDENTITY):
        _check_same(folder, folder.read_json(IDENTITY), prepared.identity())
    elif [name for name in folder.list() if name not in (LOCK, "privacy")]:
        raise InputError(
            str(folder), "files, but no study (no identity.json)", "an empty or absent folder, or study=NAME"
        )
    return folder


def claim_folder(prepared: Prepared, folder: Folder) -> None:
    """Write what says whose folder this is: identity.json, schema.json, config.yaml, and a private study's key. Under
    the study's lock.

    Raises:
        InputError: another study took the name since `check_folder`.
    """
    check_folder(prepared)
    if prepared.key is not None and read_key(folder) is None:  # first: what is written below depends on it
        write_key(folder, prepared.key)
    if not folder.exists(IDENTITY):
        folder.write_json(IDENTITY, prepared.identity())
    folder.write_bytes("schema.json", prepared.schema.to_json().encode())
    folder.write_bytes("config.yaml", as_yaml(resolved(prepared)).encode())


def resolved(prepared: Prepared) -> StudyConfig:
    """The configuration with what was left open filled in, and secrets masked: it is kept and logged."""
    config = prepared.config
    masked: dict[str, Any] = {"source": mask(config.source), "storage": mask(config.storage)}
    masked["pretrained"] = tuple(mask(place) for place in config.pretrained)
    return config.model_copy(update={"shard_rows": prepared.shard_rows, "metric": prepared.metric, **masked})


def _check_same(folder: Folder, old: dict[str, Any], new: dict[str, Any]) -> None:
    old = {"privacy": None, **old}  # studies from before there was such a thing
    for field, value in new.items():
        if field not in old:
            raise InputError(str(folder / IDENTITY), f"no {field}", "a study's own file")
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
        InputError: there is none, or the storage cannot be read.
    """
    kept, itself = Folder.open(storage), Folder.open(study, "study")
    kept.check_readable()
    itself.check_readable("study")
    for folder in (kept / study if STUDY_NAME.fullmatch(study) else None, itself):
        if folder is not None and folder.exists(IDENTITY):
            return folder
    known = [name for name in kept.list() if (kept / name).exists(IDENTITY)]
    raise InputError("study", repr(study), f"a study's folder, or one of {', '.join(known) or 'none'} in {kept}")


def read_study_config(folder: Folder) -> StudyConfig:
    """The resolved configuration of a study.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return make_config(yaml.safe_load(folder.read_bytes("config.yaml")))
    except (FileNotFoundError, yaml.YAMLError, InputErrors, TypeError):
        raise InputError(
            str(folder / "config.yaml"), "a missing or damaged file", "the study's resolved YAML"
        ) from None


def read_schema(folder: Folder) -> TableSchema:
    """The schema of a study.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return TableSchema.from_json(folder.read_bytes("schema.json").decode())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise InputError(str(folder / "schema.json"), "a missing or damaged file", "the study's schema") from None


def tracking_id(identity: dict[str, Any], study: str) -> str:
    """What tells a study of this identity and name from every other, wherever it is tracked."""
    return identity_digest({**identity, "study": study})[:32]


def versions() -> dict[str, str]:
    return {name: version(name.replace("_", "-")) for name in ("dge_ray", "ray", "torch", "mlflow")} | {
        "scikit-learn": version("scikit-learn"),
        "python": platform.python_version(),
    }
