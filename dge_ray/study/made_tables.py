"""A study of tables that were made elsewhere: whether there are enough of them, and of their rows, before any work."""

from collections import Counter
from dataclasses import dataclass
from itertools import count
from math import floor
from typing import Any

from dge_ray.errors import InputError
from dge_ray.generators.registry import abilities, member_settings
from dge_ray.generators.tables.reading import FIELD, MadeTables, checked_path
from dge_ray.phrases import advice
from dge_ray.storage import Folder
from dge_ray.study.checks import ROLES
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import study_folder
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.members import fitted_members
from dge_ray.study.prepared import MADE
from dge_ray.study.records.files import IDENTITY, generator_folder
from dge_ray.table.digest import data_digest
from dge_ray.table.schema.table_schema import TableSchema

UNSEEN = (
    "tables that were made elsewhere: the report holds only if what made them has not seen this study's validation and "
    "test rows; a split_column says which these are"
)


@dataclass(frozen=True)
class Made:
    """The tables of one generator: their names, digests and rows, and how many values were moved into bounds."""

    names: tuple[str, ...]
    digests: tuple[str, ...]
    rows: tuple[int, ...]
    moved: Counter[str]


def holds_rows(config: StudyConfig) -> bool:
    """Whether some generator is tables that were made elsewhere."""
    return any(abilities(name).holds_rows for name, _ in config.generators)


def check_made(config: StudyConfig) -> None:
    """Whether the keys go with rows that are there already; no file is needed for it.

    Raises:
        InputError: one does not.
    """
    if not holds_rows(config):
        return
    for field, given, takes in (
        ("constraints", config.constraints, "none with generator=tables: rows are taken as they are"),
        ("canaries", config.canaries, "0 with generator=tables: who made the rows has not seen canaries"),
        ("pretrained", config.pretrained, "nothing with generator=tables: no weights are fitted"),
    ):
        if given:
            raise InputError(field, str(getattr(config, field)), takes)
    for name, settings in config.generators:
        if abilities(name).holds_rows and "member" in settings:
            got = repr(settings["member"])
            raise InputError("generator.member", got, "nothing in a study: its members take the tables in their order")


def settle_made(
    config: StudyConfig, schema: TableSchema, base: int
) -> tuple[StudyConfig, tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The configuration with absolute places and as many members as there are tables, if it left their number open;
    each generator's digests; and what its owner should know. `base`: the rows that ratios are multiples of.

    Raises:
        InputError: a table is at fault, or there are too few of them, or of their rows.
    """
    places = [_place(name, settings) for name, settings in config.generators]
    made = {place: _made(config, at, place, schema) for at, place in enumerate(places) if place is not None}
    limit = _most_members(config, made)
    if config.members != "auto" and config.members > limit:
        got = f"{config.members}, and the folder has {_counts(made.values())}"
        raise InputError("members", got, f"at most {limit}")
    members = min(limit, config.max_members) if config.members == "auto" else config.members
    used = [
        (made[place].rows[settings["member"]], made[place].names[settings["member"]])
        for name, settings in (member_settings(config.generators, k) for k in range(members))
        if (place := _place(name, settings)) is not None
    ]
    rows, shortest = min(used, default=(0, ""))  # none: all members are of the generators that are fitted
    ratios = _fitting_ratios(config, base, rows, shortest) if used else config.ratios
    notes = [] if config.split_column is not None else [UNSEEN]
    notes += [line for one in made.values() for line in _notes(one)]
    if ratios != config.ratios:
        notes.append(
            f"ratios up to {ratios[-1]:g}: '{shortest}' has {rows:,} rows, {rows / base:.3g} times the real ones"
        )
    choices = tuple(
        GeneratorChoice(name=name, settings=settings if place is None else {**settings, "path": place})
        for (name, settings), place in zip(config.generators, places, strict=True)
    )
    generator = choices if isinstance(config.generator, tuple) else choices[0]
    digests = tuple(() if place is None else made[place].digests for place in places)
    settled = config.model_copy(update={"generator": generator, "members": members, "ratios": ratios})
    return settled, digests, tuple(notes)


def _place(name: str, settings: dict[str, Any]) -> str | None:
    """Where a generator's tables lie, as an absolute path or URI; None of one that is fitted here."""
    if not abilities(name).holds_rows:
        return None
    return str(Folder.open(checked_path(settings.get("path")), FIELD))


def _made(config: StudyConfig, at: int, place: str, schema: TableSchema) -> Made:
    """The tables as they are now; where they are gone, those that the study's fitted members keep."""
    folder = study_folder(config.storage, str(config.study))
    if not Folder.open(place, FIELD).exists() and folder.exists(IDENTITY):
        kept = _kept(folder, config, at)
        if kept is not None:
            return kept
    tables = MadeTables(place)
    spare = {*config.unwanted, *(name for key in ROLES if (name := getattr(config, key)) is not None)}
    digests, rows, moved = [], [], Counter[str]()
    for index in range(len(tables.names)):
        one = tables.read(index, schema, seed=0, spare=spare)
        digests.append(data_digest(one.rows))
        rows.append(one.rows.num_rows)
        moved.update(one.moved)
    return Made(tuple(tables.names), tuple(digests), tuple(rows), moved)


def _kept(folder: Folder, config: StudyConfig, at: int) -> Made | None:
    """The tables of which a study's members hold copies, from the first without a gap; None if it had others."""
    chosen = folder.read_json(IDENTITY)["generator"]
    choice = chosen[at] if isinstance(chosen, list) else chosen
    digests = choice.get("settings", {}).get(MADE)
    if not digests:
        return None
    rows: list[int] = []
    for k in fitted_members(folder):
        name, settings = member_settings(config.generators, k)
        if settings == {**config.generators[at][1], "member": len(rows)} and abilities(name).holds_rows:
            rows.append(folder.read_json(f"{generator_folder(k)}/generator.json")["extra"]["rows"])
    names = tuple(f"the copy of table {index}" for index in range(len(rows)))
    return Made(names, tuple(digests), tuple(rows), Counter()) if rows else None


def _most_members(config: StudyConfig, made: dict[str, Made]) -> int:
    """The members that the tables suffice for: as many as come before the first whose table is not there."""
    for member in count():
        name, settings = member_settings(config.generators, member)
        place = _place(name, settings)
        if place is not None and settings["member"] >= len(made[place].rows):
            return member
    raise AssertionError


def _fitting_ratios(config: StudyConfig, base: int, rows: int, name: str) -> tuple[float, ...]:
    """The ratios, of those that nobody gave without the ones for which the shortest table has too few rows.

    Raises:
        InputError: one that was given is such, or all are.
    """
    fitting = tuple(ratio for ratio in config.ratios if round(ratio * base) <= rows)
    if fitting == config.ratios or (any(fitting) and "ratios" not in config.model_fields_set):
        return fitting
    most = f"{floor(rows / base * 1e6) / 1e6:.10g}"
    said = dict.fromkeys([*(f"{ratio:g}" for ratio in fitting), most])
    got = f"{max(config.ratios):g} times {base:,} rows, and '{name}' has {rows:,}"
    raise InputError("ratios", got, f"at most {rows:,} rows a member: {advice('ratios', ','.join(said))}")


def _counts(made: Any) -> str:
    return " and ".join(f"{len(one.rows)} tables" for one in made)


def _notes(made: Made) -> list[str]:
    total = sum(made.rows)
    return [
        f"of the {total:,} values of '{name}' in the tables that were made elsewhere {count:,} lie beyond the real "
        "table's bounds: moved to the nearest bound"
        for name, count in sorted(made.moved.items())
    ]
