"""The members that leave a study with refit=all: its chosen ones, fitted again on all of its real rows.

The members that are tested have seen train alone, since what chooses and what tests must be unseen. Who gets rows or a
model afterwards loses by that: these members are of the same generators and settings, with random streams of their own,
fitted on train, stopping, validation and test rows (raw rows stay what no generator saw). A generator that stops early
cuts the rows that it stops on from these. Their learner and volume are those that were chosen. Nothing is left to test
them on, so every number of the report is of the members that were tested.

They lie in a folder of their own within the study's, laid out as one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.registry import abilities
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.arms import Arm
from dge_ray.study.config import StudyConfig
from dge_ray.study.downstream_spec import DownstreamSpec, downstream_of
from dge_ray.study.members import MemberSpec
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.costs import drawn_shards, job_seconds, member_seconds
from dge_ray.study.records.files import REFIT, REPORT
from dge_ray.study.records.predictions import Job

PARTS = ("train", "stopping", "validation", "test")


def check_refit(config: StudyConfig) -> None:
    """Raises InputError where the members of a study cannot be fitted again on all of its rows."""
    if config.refit == "none":
        return
    against = {
        "with privacy.epsilon": (config.private, "none: all of the epsilon is planned for the members that are tested"),
        "with rows=augmented": (config.rows == "augmented", "none: its models learn from the real rows themselves"),
        "with canaries": (bool(config.canaries), "none: such a study is for attacks, not for publishing"),
        "with generator=tables": (
            any(abilities(name).holds_rows for name, _ in config.generators if name != "auto"),
            "none: tables that were made elsewhere cannot be fitted again",
        ),
    }
    for what, (given, takes) in against.items():
        if given:
            raise InputError("refit", f"all {what}", takes)


def all_rows(parts: Mapping[str, pa.Table]) -> pa.Table:
    """What the members that leave are fitted on."""
    return pa.concat_tables([parts[part] for part in PARTS if part in parts])


def refitted(spec: MemberSpec) -> MemberSpec:
    """A study's members as those that leave: their folder and random streams."""
    return replace(spec, folder=spec.folder / REFIT, seed=integer(spec.seed, Purpose.REFIT))


def refit_spec(prepared: Prepared, folder: Folder, arm: Arm, volume: int) -> DownstreamSpec:
    """What is to be fitted, of the chosen arm at its volume."""
    spec = downstream_of(prepared, folder, [arm], volume)
    return replace(spec, members=refitted(spec.members))


def refit_section(spec: DownstreamSpec, members: int, rows: int) -> dict[str, Any]:
    """`refit` of report.json, once all is done."""
    folder, (label,) = spec.members.folder, spec.learners
    drawn = sum(shard["cpu_seconds"] for k in range(members) for shard in drawn_shards(folder, k))
    fitted = sum(member_seconds(folder, k) for k in range(members))
    learned = sum(job_seconds(folder, label, Job("member", k, spec.volume)) or 0.0 for k in range(members))
    return {
        "rows": rows,
        "members": members,
        "volume": spec.volume,
        "learner": label,
        "cpu_seconds": {"generators": fitted, "sampling": drawn, "downstream": learned},
    }


def leaving_members(spec: MemberSpec, config: StudyConfig, members: Iterable[int]) -> MemberSpec:
    """The members whose rows leave a study: as its configuration has it, the tested ones or those fitted again.

    Raises:
        InputError: they are to be fitted again, and are not all.
    """
    if config.refit == "none":
        return spec
    again = refitted(spec)
    if lacking := [k for k in members if not again.is_fitted(k)]:
        got = f"{spec.folder}, whose member {lacking[0]} is not fitted again on all rows"
        raise InputError("study", got, "one that `dge-ray tune` has ended with refit=all, or its own with refit=none")
    return again


def model_home(folder: Folder) -> Folder:
    """Where the fitted learners of the model lie that leaves a study: beside the members that do."""
    again = folder.exists(REPORT) and folder.read_json(REPORT).get("refit")
    return folder / REFIT if again else folder
