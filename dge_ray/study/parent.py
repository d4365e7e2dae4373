"""The parent of a private study: an earlier one of the same table, whose spending this one's epsilon covers too.

A chain, not a tree: of two children of one parent neither would count the other. So a parent notes its child in
`privacy/child.json`, under its own lock, before the child's first fit is charged.
"""

from collections.abc import Callable

from dge_ray.errors import InputError
from dge_ray.privacy.key import keyed_digest, read_key
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.privacy.ledger import fit_name, marginals_entry, read_ledger
from dge_ray.privacy.plan import Planned, PrivacyPlan, checked_delta, spent_before
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.records.files import CHILD, IDENTITY, PLAN
from dge_ray.study.records.lock import study_lock

FIELD = "privacy.parent"


def check_parent(config: StudyConfig, digest: str, key: int, n: int) -> None:
    """Whether a new study may have its parent: before anything is written.

    Args:
        digest: of the table; key: the study's own; n: train rows.

    Raises:
        InputError: there is no such study, it is not private, is of another table, has another child, or it and those
            before it leave nothing of this study's epsilon.
    """
    parent = _parent(config)
    takes = f"a private study of this table in {Folder.open(config.storage)}"
    if config.study == config.privacy.parent:
        raise InputError(FIELD, f"{config.study!r}, the study itself", takes)
    if not parent.exists(IDENTITY):
        raise InputError(FIELD, repr(config.privacy.parent), takes)
    secret = read_key(parent)
    if secret is None or not parent.exists(PLAN):
        raise InputError(FIELD, f"{config.privacy.parent!r}, which is not private, or has not begun", takes)
    if parent.read_json(IDENTITY).get("data") != keyed_digest(secret, digest):
        got = f"{config.privacy.parent!r}, a study of another table, or of other columns of it"
        raise InputError(FIELD, got, takes)
    _refuse_other_child(config, parent, key)
    total = config.privacy.epsilon
    assert total is not None
    spent_before(total, checked_delta(total, config.privacy.delta, n), planned_before(config))


def planned_before(config: StudyConfig) -> tuple[Planned, ...]:
    """What the study's parent, its parent and so on have planned; nothing without one."""
    if config.privacy.parent is None:
        return ()
    parent, name = _parent(config), config.privacy.parent
    plan = PrivacyPlan.from_json(parent.read_json(PLAN))
    return plan.planned(name) + _charged_beyond(parent, plan, name)


def _charged_beyond(parent: Folder, plan: PrivacyPlan, name: str) -> tuple[Planned, ...]:
    """Fits of members beyond the plan, which a budget may have had room for."""
    entries = read_ledger(parent)["entries"] if parent.exists(LEDGER) else []
    fits = {fit_name(plan, k) for k in range(plan.members)}
    known = {marginals_entry(plan).what, *fits, *(one.entry for one in plan.before)}
    beyond = [one for one in entries if one["status"] == "charged" and one["what"] not in known]
    return tuple(
        Planned(name, e["what"], e["noise_multiplier"], e["sample_rate"], e["steps"], e["times"]) for e in beyond
    )


def claim_parent(config: StudyConfig, folder: Folder, say: Callable[[str], None]) -> None:
    """Note in the parent whose it is, under its lock. The study's plan is written by then and its ledger is not.

    Raises:
        InputError: it has another child.
        StudyError: another driver works on the parent.
    """
    if config.privacy.parent is None or folder.exists(LEDGER):
        return
    parent, key = _parent(config), read_key(folder)
    assert key is not None  # written when the folder was claimed
    with study_lock(parent, say):
        _refuse_other_child(config, parent, key)
        if not parent.exists(CHILD):
            parent.write_json(CHILD, {"study": config.study, "mark": _mark(key)})


def refuse_beyond_plan(folder: Folder, plan: PrivacyPlan, members: int) -> None:
    """Raises InputError where a study with a child would fit more models than it planned: its child counts on that."""
    if folder.exists(CHILD) and plan.models == "each" and members > plan.members:
        got = f"{members} in a study that is the parent of {folder.read_json(CHILD)['study']!r}"
        raise InputError("members", got, f"at most {plan.members}, as planned: its child's noise counts on it")


def _refuse_other_child(config: StudyConfig, parent: Folder, key: int) -> None:
    if not parent.exists(CHILD):
        return
    child = parent.read_json(CHILD)
    if child["mark"] == _mark(key):
        return
    got = f"{config.privacy.parent!r}, which has a child already, {child['study']!r}"
    if child["study"] == config.study:
        raise InputError(FIELD, f"{got}, that was another one of this name", "it counts all the same: put it back")
    raise InputError(FIELD, got, f"{child['study']!r}, or its own child, so that all of them are counted")


def _mark(key: int) -> str:
    """What tells a study from a later one of its name."""
    return keyed_digest(key, "child")


def _parent(config: StudyConfig) -> Folder:
    return Folder.open(config.storage) / str(config.privacy.parent)
