"""A study's folder: opened, told apart from another study of the same name, and read back."""

import platform
from importlib.metadata import version
from typing import Any

import yaml

from dge_ray.errors import InputError, InputErrors
from dge_ray.generators.checkpoint import check_format
from dge_ray.masking import mask
from dge_ray.privacy.key import read_key, write_key
from dge_ray.spelling import plain_yaml
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig, as_yaml
from dge_ray.study.keys.choices import STUDY_NAME
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import make_config
from dge_ray.study.records.files import (
    CONFIG,
    IDENTITY,
    LOCK,
    PILOT,
    PILOT_IDENTITY,
    PILOTS,
    SCHEMA,
    generator_folder,
)
from dge_ray.study.records.identity import BEFORE, first_difference
from dge_ray.table.schema.table_schema import TableSchema

BUNDLE = "bundle.json"  # a bundle's facts: a folder with them and without an identity is no study


def study_folder(storage: str, name: str) -> Folder:
    return Folder.open(storage) / name


def check_storage(config: StudyConfig) -> None:
    """Whether a study can be written where it is to be: before anything is read.

    Raises:
        InputError: it cannot.
    """
    folder = study_folder(config.storage, str(config.study))
    if folder.is_local:
        folder.check_readable()
        folder.check_writable()
    else:
        Folder.open(config.storage).check_writable()


def check_folder(prepared: Prepared, *, pilot: bool = False) -> Folder:
    """The study's folder, absent, empty, or this study's own. Nothing is written.

    `pilot`: a pilot of generator=auto may lie there, without a study yet.

    Raises:
        InputError: the folder is damaged or holds something else, or the storage cannot be read.
    """
    folder = study_folder(prepared.config.storage, prepared.name)
    folder.check_readable()
    if folder.exists(IDENTITY):
        _check_same(folder, folder.read_json(IDENTITY), prepared.identity())
        _check_formats(folder, len(prepared.config.generators))
        return folder
    names = {name for name in folder.list() if name not in (LOCK, "privacy")}
    pilots = names & {PILOT, PILOTS}
    if pilots and not pilot:
        takes = "generator=auto, which goes on with it, or another name (study=NAME)"
        raise InputError("generator", f"a generator's name, and {folder} has a pilot that chooses one", takes)
    if names - pilots:
        raise InputError(
            str(folder), "files, but no study (no identity.json)", "an empty or absent folder, or study=NAME"
        )
    return folder


def claim_folder(prepared: Prepared, folder: Folder, *, pilot: bool = False) -> None:
    """Write what says whose folder this is: identity.json, schema.json, config.yaml, and a private study's key. Under
    the study's lock.

    Raises:
        InputError: another study took the name since `check_folder`.
    """
    check_folder(prepared, pilot=pilot)
    if prepared.key is not None and read_key(folder) is None:  # first: what is written below depends on it
        write_key(folder, prepared.key)
    if not folder.exists(IDENTITY):
        folder.write_json(IDENTITY, prepared.identity())
    folder.write_bytes(SCHEMA, prepared.schema.to_json().encode())
    folder.write_bytes(CONFIG, as_yaml(resolved(prepared)).encode())


def resolved(prepared: Prepared) -> StudyConfig:
    """The configuration with what was left open filled in, and secrets masked: it is kept and logged."""
    config = prepared.config
    masked: dict[str, Any] = {"source": mask(config.source), "storage": mask(config.storage)}
    masked["pretrained"] = tuple(mask(place) for place in config.pretrained)
    return config.model_copy(update={"shard_rows": prepared.shard_rows, "metric": prepared.metric, **masked})


def _check_same(folder: Folder, kept: dict[str, Any], now: dict[str, Any]) -> None:
    field = first_difference(kept, now)
    if field is None:
        return
    kept = {**BEFORE, **kept}
    if field not in kept:
        raise InputError(str(folder / IDENTITY), f"no {field}", "a study's own file")
    raise InputError(
        "study",
        f"{folder.path.rpartition('/')[2]!r}, which exists with another {field} "
        f"({_short(kept[field])}, not {_short(now[field])})",
        "another name (study=NAME), or the same data and settings; members, ratios and learner may change",
    )


def _check_formats(folder: Folder, kinds: int) -> None:
    """Whether members to come are of the same law as those that are there; the kinds of generator take turns."""
    for member in range(kinds):
        place = folder / generator_folder(member)
        if place.exists("generator.json"):
            check_format(place.read_json("generator.json"), place)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "..."


def find_study(study: str, storage: str, *, pilot: bool = False) -> Folder:
    """A study by its folder, or by its name under the storage; with `pilot` also one whose pilot has not ended.

    Raises:
        InputError: there is none, or none yet, it is a bundle, or the storage cannot be read.
    """
    kept, itself = Folder.open(storage), Folder.open(study, "study")
    kept.check_readable()
    if STUDY_NAME.fullmatch(study) and (kept / study).exists(IDENTITY):
        return kept / study
    itself.check_readable("study")
    if itself.exists(IDENTITY):
        return itself
    for place in [kept / study, itself] if STUDY_NAME.fullmatch(study) else [itself]:
        if has_pilot(place):
            if pilot:
                return place
            got = f"{place}, of which there is a pilot alone, as yet"
            raise InputError("study", got, "a study that has begun: `dge-ray status` tells how far its pilot is")
    if itself.exists(BUNDLE):
        got = f"{itself}, a bundle, which holds no real row: what is to be known of real rows is not certified by it"
        raise InputError("study", got, "a study; its publisher has it")
    known = [name for name in kept.list() if (kept / name).exists(IDENTITY)]
    raise InputError("study", repr(study), f"a study's folder, or one of {', '.join(known) or 'none'} in {kept}")


def has_pilot(folder: Folder) -> bool:
    """Whether a pilot of generator=auto was begun there, and no study yet."""
    return not folder.exists(IDENTITY) and (folder.exists(PILOT_IDENTITY) or folder.exists(PILOT))


def read_study_config(folder: Folder) -> StudyConfig:
    """The resolved configuration of a study.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return make_config(plain_yaml(folder.read_bytes(CONFIG)))
    except (FileNotFoundError, yaml.YAMLError, InputErrors, TypeError):
        raise InputError(str(folder / CONFIG), "a missing or damaged file", "the study's resolved YAML") from None


def read_schema(folder: Folder) -> TableSchema:
    """The schema of a study.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return TableSchema.from_json(folder.read_bytes(SCHEMA).decode())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise InputError(str(folder / SCHEMA), "a missing or damaged file", "the study's schema") from None


def versions() -> dict[str, str]:
    return {name: version(name.replace("_", "-")) for name in ("dge_ray", "ray", "torch", "mlflow")} | {
        "scikit-learn": version("scikit-learn"),
        "python": platform.python_version(),
    }
