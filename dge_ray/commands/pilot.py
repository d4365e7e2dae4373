"""The pilot of generator=auto: a few members of each candidate are fitted, and validation chooses among them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from dge_ray.commands.arm_search import FIRST_MEMBERS
from dge_ray.distributed.demand import Demand
from dge_ray.distributed.pilot import run_pilot
from dge_ray.distributed.worker import fits_together
from dge_ray.report.words.pilot import pilot_line
from dge_ray.storage import Folder
from dge_ray.study.arms import Arm
from dge_ray.study.config import StudyConfig
from dge_ray.study.downstream_spec import DownstreamSpec, downstream_of
from dge_ray.study.folder import check_folder
from dge_ray.study.pilot.candidates import (
    CANDIDATES,
    MEMBERS,
    MOST_SHARE,
    PREFERRED,
    PilotPlan,
    plan_pilot,
)
from dge_ray.study.pilot.choice import judge
from dge_ray.study.pilot.record import adopt, claim_pilot, with_choice
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.costs import drawn_shards, job_seconds, member_seconds
from dge_ray.study.records.files import PILOT, PILOT_PLAN, PILOTS, PREDICTIONS, pilot_folder
from dge_ray.study.records.predictions import Job, read_predictions
from dge_ray.study.terminal.interrupt import insistent

Fit = tuple[str, int]
"""The name of a candidate with one generator, and a member of it."""


def least_members(config: StudyConfig) -> int:
    """The members that a study has at least."""
    return min(FIRST_MEMBERS, config.max_members) if config.members == "auto" else config.members


def pilot_plan(prepared: Prepared) -> PilotPlan:
    """What the pilot of this study fits."""
    return plan_pilot(prepared, least_members(prepared.config))


def without_pilot(given: StudyConfig, config: StudyConfig) -> dict[str, Any]:
    """Which generator a study has that was not given one, where no pilot chooses it, and why; otherwise nothing."""
    if not given.undecided or config.undecided:
        return {}
    why = "this study was begun with it"
    if config.private:
        why = "a choice on the rows would spend privacy that is not counted"
    elif config.pretrained:
        why = "saved generators are of one kind"
    return {"named": config.generator_name, "why": why}


def pilot_to_do(prepared: Prepared, folder: Folder) -> dict[str, Any]:
    """What `tune` would do about generator=auto: the pilot that it would run, or what one has `chosen`.

    `fits`, of `volume` rows: each a generator and a learner. `seconds`, `price`: CPU-seconds of the pilot and of the
    study with it, as predicted. `share`: what the `unkept` fits are of the `planned_fits` of the
    study or of its price, whichever is larger.
    """
    if folder.exists(PILOT):
        return {"chosen": folder.read_json(PILOT)["chosen"]}
    return _planned(pilot_plan(prepared))


def pilot_under_way(folder: Folder) -> dict[str, Any]:
    """How far a pilot is, of a study that has not begun: `chosen`, or its `candidates`, its `fits` and those `done`."""
    if folder.exists(PILOT):
        return {"chosen": folder.read_json(PILOT)["chosen"]}
    plan = folder.read_json(PILOT_PLAN) if folder.exists(PILOT_PLAN) else {"candidates": [], "fits": None}
    fits = [name for name in folder.list(PILOTS) if folder.list(f"{PILOTS}/{name}/{PREDICTIONS}")]
    return {"candidates": plan["candidates"], "fits": plan["fits"], "done": len(fits)}


def _planned(plan: PilotPlan) -> dict[str, Any]:
    return {
        "candidates": [one.name for one in plan.candidates],
        "left_out": list(plan.left_out),
        "members": MEMBERS,
        "volume": plan.volume,
        "fits": len(plan.fits),
        "unkept": len(plan.unkept),
        "planned_fits": plan.planned,
        "seconds": plan.seconds,
        "price": plan.price,
        "share": plan.share,
        "most": MOST_SHARE,
    }


def piloted(prepared: Prepared, folder: Folder, demand: Demand, say: Callable[[str], None]) -> Prepared:
    """A study's input with the generators that its pilot chooses, or has chosen before. Under the study's lock.

    Raises:
        InputError: the folder holds something else.
        StudyError: a fit failed; those that are finished stay.
    """
    if not folder.exists(PILOT):
        check_folder(prepared, pilot=True)
        claim_pilot(prepared, folder)
        plan = pilot_plan(prepared)
        folder.write_json(PILOT_PLAN, _planned(plan))
        for line in plan.left_out:
            say(f"pilot without {line}")
        specs = {fit: (pilot_spec(prepared, folder, fit, plan.volume), fit[1]) for fit in plan.fits}
        if specs:
            names = ", ".join(one.name for one in plan.candidates)
            cost = f"about {plan.seconds:,.0f} of {plan.price:,.0f} CPU-seconds as predicted"
            say(f"pilot: {names}; {len(specs)} of at least {plan.planned:,} fits, {cost}")
        with insistent():
            run_pilot(
                {f"{name}-{member}": spec for (name, member), spec in specs.items()},
                tables=prepared.parts,
                real=prepared.encoded(),
                demand=demand,
                say=say,
            )
        record = _record(prepared, plan, {fit: spec for fit, (spec, _) in specs.items()})
        folder.write_json(PILOT, record)
        say(pilot_line(record))
    return with_choice(prepared, folder)


def keep_chosen(prepared: Prepared, folder: Folder) -> None:
    """Make the fits of the pilot's choice the study's own, where a pilot has ended. Under the study's lock."""
    whole = downstream_of(prepared, folder, prepared.arms, prepared.volumes[-1])
    # Workers that do every fit together come to other bits than one alone: those fits are done anew.
    adopt(folder, least_members(prepared.config), fits=not fits_together(whole))


def pilot_spec(prepared: Prepared, folder: Folder, fit: Fit, volume: int) -> DownstreamSpec:
    """Of a pilot's fit: as the study's own with that generator, in a folder of its own, of the first learner."""
    generators = next(one.generators for one in CANDIDATES if one.name == fit[0])
    own = replace(prepared, config=prepared.config.with_generators(generators))
    return downstream_of(own, folder / pilot_folder(*fit), [_arm(prepared)], volume)


def _arm(prepared: Prepared) -> Arm:
    """The first that learns from synthetic rows."""
    return next(arm for arm in prepared.arms if arm.synthetic)


def _record(prepared: Prepared, plan: PilotPlan, specs: dict[Fit, DownstreamSpec]) -> dict[str, Any]:
    """What pilot.json holds."""
    label = _arm(prepared).label
    seconds = {fit: _seconds(spec, fit[1], label) for fit, spec in specs.items()}
    table: list[dict[str, Any]] = [{"name": plan.candidates[0].name, "chosen": True}]
    if specs:
        values = {
            fit: read_predictions(spec.members.folder, label, _job(spec, fit[1]), prepared.width)["validation"]
            for fit, spec in specs.items()
        }
        predictions = {one.name: np.stack([values[one.fit(k)] for k in range(MEMBERS)]) for one in plan.candidates}
        table = judge(predictions, prepared.truth("validation"), metric=prepared.metric, preferred=PREFERRED)
        for row, one in zip(table, plan.candidates, strict=True):
            row["cpu_seconds"] = sum(seconds[one.fit(k)] for k in range(MEMBERS))
    chosen = next(one for one, row in zip(plan.candidates, table, strict=True) if row["chosen"])
    return {
        "chosen": chosen.name,
        "generator": [choice.model_dump(mode="json") for choice in chosen.generators],
        "candidates": table,
        "left_out": list(plan.left_out),
        "metric": prepared.metric,
        "learner": label,
        "members": MEMBERS,
        "volume": plan.volume,
        "fits": len(specs),
        "planned_fits": plan.planned,
        "predicted": {"pilot": plan.seconds, "price": plan.price},
        "cpu_seconds": sum(seconds.values()),
    }


def _job(spec: DownstreamSpec, member: int) -> Job:
    return Job("member", member, spec.volume)


def _seconds(spec: DownstreamSpec, member: int, label: str) -> float:
    """CPU-seconds of a fit, its rows and what learned from them."""
    folder = spec.members.folder
    drawn = sum(shard["cpu_seconds"] for shard in drawn_shards(folder, member))
    return member_seconds(folder, member) + drawn + (job_seconds(folder, label, _job(spec, member)) or 0.0)
