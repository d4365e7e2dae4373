"""What differential privacy asks of a study: refusals, a public schema, the plan of the noise, the ledger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.phrases import EPSILONS_ADD_UP
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.privacy.ledger import (
    LedgerEntry,
    PrivacyLedger,
    ancestors,
    before_entries,
    fit_entry,
    marginals_entry,
    refuse_over,
    spent_by,
    standing_entries,
)
from dge_ray.privacy.plan import STREAMS, Planned, PrivacyPlan, Steps, plan_privacy
from dge_ray.storage import Folder, expanded
from dge_ray.study.config import GeneratorChoice, StudyConfig
from dge_ray.study.parent import claim_parent, planned_before, refuse_beyond_plan
from dge_ray.study.records.files import PLAN, member_file
from dge_ray.table import Split, TableSchema
from dge_ray.table.public import declared_schema, read_public_schema


def private_config(config: StudyConfig) -> StudyConfig:
    """The configuration with each generator's private settings filled in.

    Raises:
        InputError: something in it cannot be had with privacy.
    """
    for field, given, takes in (
        ("pretrained", config.pretrained, "nothing: private fits begin anew"),
        ("drop_missing_target", config.drop_missing_target, "false: which rows stay would tell of them"),
        # Which part a row is in, and how many rows are synthetic, would be read off the rows and told.
        ("split_column", config.split_column is not None, "nothing: test_fraction and seed part the rows by place"),
        ("group_column", config.group_column is not None, "nothing: test_fraction and seed part the rows by place"),
        ("time_column", config.time_column is not None, "nothing: test_fraction and seed part the rows by place"),
        ("rare_classes", config.rare_classes is not None, "nothing: which classes are rare would tell of the rows"),
        ("synthetic_column", config.synthetic_column is not None, "nothing: drop=COLUMN leaves it out"),
        # Learners that saw train rows are kept and logged, and some hold them whole (downstream's `keeps_rows`).
        (
            "rows",
            config.rows == "augmented",
            "synthetic: learners may keep real rows that they see",
        ),
        ("weights", bool(config.weights), "nothing: they weigh synthetic rows beside real ones"),
        ("members_per_actor", config.members_per_actor > 1, "1: private fits are done one by one"),
    ):
        if given:
            raise InputError(field, f"{getattr(config, field)} with privacy.epsilon", takes)
    chosen = tuple(GeneratorChoice(name=n, settings=private_settings(n, s)) for n, s in config.generators)
    return config.model_copy(update={"generator": chosen[0] if len(chosen) == 1 else chosen})


def public_schema(config: StudyConfig, table: pa.Schema, target: str | None) -> TableSchema:
    """The schema by the user's word: of `privacy.schema`, or of `columns`.

    Raises:
        InputError, InputErrors: what is missing or wrong of it.
    """
    file = config.privacy.schema_file
    if file is None:
        return declared_schema(table.names, target, config.kinds)
    if config.columns:
        raise InputError("columns", "columns beside privacy.schema", "one of the two")
    at = expanded(file, "privacy.schema").absolute()
    try:
        text = at.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            "privacy.schema", f"{str(at)!r}, which cannot be read", "a file with a schema's JSON"
        ) from None
    return read_public_schema(text, table.names, target, where=repr(file))


def with_stopping(split: Split) -> Split:
    """The split of a private study: nothing is stopped early, so those rows are fitted on too."""
    train = np.sort(np.concatenate([split.train, split.stopping]))
    return Split(train, split.stopping[:0], split.validation, split.test, split.raw)


def study_steps(config: StudyConfig, n: int) -> list[Steps]:
    """The steps of the generators that members take in turn, for n train rows."""
    return [Steps(*private_steps(name, settings, n)) for name, settings in config.generators]


def study_plan(config: StudyConfig, folder: Folder, members: int, n: int) -> PrivacyPlan:
    """The plan that the study was begun with, or, of a new one, for this many members."""
    if folder.exists(PLAN):
        return PrivacyPlan.from_json(folder.read_json(PLAN))
    budget = config.privacy
    assert budget.epsilon is not None
    steps = study_steps(config, n)
    before = planned_before(config)
    return plan_privacy(budget.epsilon, budget.delta, members, n, steps, models=budget.models, before=before)


def refuse_other_streams(folder: Folder, plan: PrivacyPlan, members: int) -> None:
    """Raises InputError where one of members 0..members-1 is still to be fitted and the study's noise is made of its
    key in a way that is no more in use. Its finished members draw rows and are published as before."""
    if plan.streams == STREAMS:
        return
    models = members if plan.models == "each" else 1  # whatever draws from one model that is there needs no noise
    done = next((model for model in range(models) if not folder.exists(member_file(model))), models)
    if done < models:
        fitted = f"at most {done}, which are fitted, or " if done else ""
        got = f"{members} in a private study whose noise is of an earlier version"
        raise InputError("members", got, f"{fitted}another study (study=NAME); {EPSILONS_ADD_UP}")


def refuse_overspending(config: StudyConfig, folder: Folder) -> None:
    """Before the table is read: whether the members asked for are within the budget of a study that was begun, and can
    be fitted as those were that it has.

    Raises:
        InputError: they are not.
    """
    if not (config.private and folder.exists(PLAN)):
        return
    plan = PrivacyPlan.from_json(folder.read_json(PLAN))
    members = config.max_members if config.members == "auto" else config.members
    if config.members != "auto":  # otherwise, when it is known how many
        refuse_other_streams(folder, plan, members)
        refuse_beyond_plan(folder, plan, members)
    if members > plan.members and plan.models == "each":
        done = PrivacyLedger.open(folder, plan).entries if folder.exists(LEDGER) else []
        fits = [fit_entry(plan, k, config.generators[k % len(config.generators)][0]) for k in range(members)]
        known = {entry.what for entry in fits}
        others = [entry for entry in [*before_entries(plan), marginals_entry(plan), *done] if entry.what not in known]
        refuse_over(plan, spent_by({entry.what: entry for entry in [*others, *fits]}.values(), plan.delta))


def open_ledger(
    config: StudyConfig, folder: Folder, plan: PrivacyPlan, say: Callable[[str], None] = lambda _: None
) -> PrivacyLedger:
    """The study's ledger with all that stands in it before the first fit; under the study's lock.

    Raises:
        InputError: its parent has another child.
        StudyError: another driver works on its parent.
    """
    if not folder.exists(PLAN):
        folder.write_json(PLAN, plan.to_json())
    claim_parent(config, folder, say)
    ledger = PrivacyLedger.open(folder, plan)
    file = config.privacy.schema_file
    chosen = ["the volume", *(["the number of members"] if config.members == "auto" else [])]
    ledger.add(
        before_entries(plan)
        + standing_entries(
            schema="by the user's word, in columns.*" if file is None else f"by the user's word, in {Path(file).name}",
            constraints=bool(config.constraints),
            chosen=[*chosen, *(["the learner"] if len(config.learners) > 1 else [])],
        )
    )
    return ledger


def charge_members(ledger: PrivacyLedger, config: StudyConfig, members: int) -> None:
    """Charge the histogram and the fits of members 0..members-1, those that are not yet, before they begin.

    Raises:
        InputError: they would take the study over its budget, or be noised in another way than those that are there.
    """
    refuse_other_streams(ledger.folder, ledger.plan, members)
    refuse_beyond_plan(ledger.folder, ledger.plan, members)
    count = members if ledger.plan.models == "each" else 1
    fits = [fit_entry(ledger.plan, k, config.generators[k % len(config.generators)][0]) for k in range(count)]
    ledger.add([marginals_entry(ledger.plan), *fits])


def what_members_cost(
    config: StudyConfig, n: int, counts: tuple[int, ...] = (1, 2, 4, 8, 16), before: tuple[Planned, ...] = ()
) -> list[dict[str, Any]]:
    """The noise that the budget leaves to each fit, for so many models and for one that all members draw from, after
    what is planned `before`."""
    budget, steps = config.privacy, study_steps(config, n)
    assert budget.epsilon is not None
    plans = [plan_privacy(budget.epsilon, budget.delta, k, n, steps, models="each", before=before) for k in counts]
    rows = [{"models": "each", "members": p.members, "noise_multiplier": p.noise_multiplier} for p in plans]
    return [*rows, {"models": "one", "members": None, "noise_multiplier": plans[0].noise_multiplier}]


def privacy_section(ledger: PrivacyLedger) -> dict[str, Any]:
    """What report.json says of privacy."""
    plan = ledger.plan
    charged: list[LedgerEntry] = [entry for entry in ledger.entries if entry.cost]
    return {
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "spent": ledger.spent,
        "models": plan.models,
        "planned_members": plan.members,
        "ancestors": ancestors(plan),
        "noise_multiplier": plan.noise_multiplier,
        "marginals_multiplier": plan.marginals_multiplier,
        "mechanisms": len(charged),
        "uncovered": [f"{e.what}: {e.note}" for e in ledger.entries if e.status in ("held apart", "uncovered")],
    }
