"""What a pilot leaves in a study's folder: its record, by which the study goes on, and the chosen one's fits."""

from dataclasses import replace
from typing import Any

from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.study.checks import check_families
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import read_study_config
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.pilot.candidates import CANDIDATES, MEMBERS, Candidate, is_auto
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import CONFIG, IDENTITY, PILOT, PILOT_IDENTITY, PILOTS, pilot_folder
from dge_ray.study.records.identity import first_difference

OF_MEMBERS = ("members/", "shards/")  # files of a member itself, and not of what learned from its rows


def settled(config: StudyConfig, folder: Folder) -> tuple[StudyConfig, bool]:
    """The configuration with generators in place of auto, and whether a pilot chooses them: what the folder's pilot
    chose, or else, until there is a choice, the first candidate.

    Where the key `generator` is not given, a study that was begun with a generator's name keeps that one, and what may
    not be chosen by a pilot, a private study's or the saved generators' kind, is the named default.

    Raises:
        InputError: auto does not go with other keys, or the study that is there was begun with a generator's name.
    """
    check_families(config)
    if config.undecided and "generator" not in config.model_fields_set:
        folder.check_readable()
        if folder.exists(IDENTITY) and not folder.exists(PILOT):
            return config.with_generators(_begun(folder)), False
        if config.private or config.pretrained:
            return config.with_generators((GeneratorChoice(),)), False
    if not is_auto(config):
        return config, False
    folder.check_readable()
    if folder.exists(PILOT):
        return config.with_generators(_chosen(folder).generators), True
    if folder.exists(IDENTITY):
        got = f"'auto', and the study {config.study!r} was begun with a generator's name"
        raise InputError("generator", got, "that name, or another study (study=NAME)")
    return config.with_generators(CANDIDATES[0].generators), True


def with_choice(prepared: Prepared, folder: Folder) -> Prepared:
    """A study's input with the generators that its pilot chose; nothing else of it depends on them."""
    return replace(prepared, config=prepared.config.with_generators(_chosen(folder).generators))


def claim_pilot(prepared: Prepared, folder: Folder) -> None:
    """Note of what study the pilot in this folder is. Under the study's lock.

    Raises:
        InputError: one of another study is under way.
    """
    now = {field: value for field, value in prepared.identity().items() if field != "generator"}
    if not folder.exists(PILOT_IDENTITY):
        folder.write_json(PILOT_IDENTITY, now)
    elif field := first_difference(folder.read_json(PILOT_IDENTITY), now):
        got = f"{prepared.name!r}, whose pilot was begun with another {field}"
        raise InputError("study", got, "another name (study=NAME), or the same data and settings")


def adopt(folder: Folder, members: int, *, fits: bool) -> None:
    """Make the chosen candidate's fits the study's own, and delete what the pilot fitted: the record is what is left.

    Each file that says that others are whole comes after them, so that a call that is cut off is gone on with.

    Args:
        members: the study has so many, at least.
        fits: of the downstream fits too.
    """
    if not folder.exists(PILOTS):
        return
    chosen = _chosen(folder)
    for k in range(min(MEMBERS, members)):
        source = folder / pilot_folder(*chosen.fit(k))
        names = [name for name in source.files() if not name.endswith(".part")]
        if not fits:
            names = [name for name in names if name.startswith(OF_MEMBERS)]
        for name in sorted(names, key=lambda name: (name.startswith("predictions/"), name.endswith("/member.json"))):
            folder.write_bytes(name, source.read_bytes(name))
    folder.delete(PILOTS)


def pilot_section(folder: Folder) -> dict[str, Any]:
    """report.json's `pilot`: what pilot.json says, where there is one."""
    return {"pilot": folder.read_json(PILOT)} if folder.exists(PILOT) else {}


def pilot_seconds(folder: Folder) -> dict[str, float]:
    """CPU-seconds of the pilot's fits that are not the study's own; nothing where there was no comparison."""
    kept: dict[str, Any] = folder.read_json(PILOT) if folder.exists(PILOT) else {"fits": 0}
    own = sum(row.get("cpu_seconds", 0.0) for row in kept.get("candidates", []) if row["chosen"])
    return {"pilot": kept["cpu_seconds"] - own} if kept["fits"] else {}


def _begun(folder: Folder) -> tuple[GeneratorChoice, ...]:
    """The generators of a study that is there."""
    if folder.exists(CONFIG):
        kept = read_study_config(folder).generator
    else:  # a driver was killed while it wrote the study's first files
        kept = StudyConfig.model_validate(
            {"source": "", "generator": folder.read_json(IDENTITY)["generator"]}
        ).generator
    return kept if isinstance(kept, tuple) else (kept,)


def _chosen(folder: Folder) -> Candidate:
    record = folder.read_json(PILOT)
    try:
        kept = [GeneratorChoice.model_validate(one) for one in record["generator"]]
        return Candidate(str(record["chosen"]), tuple(kept))
    except (KeyError, TypeError, ValueError):
        raise InputError(str(folder / PILOT), "a damaged file", "the record of the study's pilot") from None
