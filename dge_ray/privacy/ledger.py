"""What of a study touched train rows and what it cost: `privacy/ledger.json`, written before the rows are touched."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dge_ray.errors import InputError, StudyError
from dge_ray.generators.registry import abilities
from dge_ray.phrases import EPSILONS_ADD_UP
from dge_ray.privacy.accounting import Mechanism, epsilon
from dge_ray.privacy.plan import PrivacyPlan
from dge_ray.storage import Folder

FILE = "privacy/ledger.json"
Status = Literal["charged", "public", "held apart", "uncovered"]
ADJACENCY = (
    "zero-out: one train row's contribution replaced by nothing, the number of rows being public; its accounting is "
    "that of adding or removing a row under Poisson sampling"
)


def replacing_one(spent: float, delta: float) -> tuple[float, float]:
    """Epsilon and delta where a row is replaced by another, and not by nothing: at most those of two steps, one out and
    one in (group privacy)."""
    return 2 * spent, min(1.0, (1 + math.exp(min(spent, 700.0))) * delta)


@dataclass(frozen=True)
class LedgerEntry:
    """One thing that depends on real rows, or could: how, and what it cost. Numbers are those of `charged` ones."""

    what: str
    status: Status
    note: str = ""
    mechanism: str | None = None
    noise_multiplier: float | None = None
    sample_rate: float | None = None
    steps: int | None = None
    times: int = 1

    @property
    def cost(self) -> Mechanism | None:
        if self.status != "charged":
            return None
        assert self.noise_multiplier is not None and self.sample_rate is not None and self.steps is not None
        return Mechanism(self.noise_multiplier, self.sample_rate, self.steps * self.times)


class PrivacyLedger:
    """A study's ledger. `entries`, in the order in which they were written; `spent`, of those that are charged."""

    def __init__(self, folder: Folder, plan: PrivacyPlan, entries: Iterable[LedgerEntry], spent: float) -> None:
        self.folder, self.plan, self.entries, self.spent = folder, plan, list(entries), spent

    @classmethod
    def open(cls, folder: Folder, plan: PrivacyPlan) -> "PrivacyLedger":
        """The ledger of a study with this plan, new where there is none.

        Raises:
            InputError: the file is damaged, or is of another budget.
        """
        if not folder.exists(FILE):
            return cls(folder, plan, [], 0.0)
        raw = read_ledger(folder)
        if (raw["epsilon"], raw["delta"], raw["models"]) != (plan.epsilon, plan.delta, plan.models):
            raise InputError(str(folder / FILE), "a ledger of another budget", "this study's own")
        return cls(folder, plan, [LedgerEntry(**entry) for entry in raw["entries"]], raw["spent"])

    def add(self, entries: Sequence[LedgerEntry]) -> None:
        """Write entries down; those that are there stay as they are, and cost nothing again: a fit that is done once
        more draws from the same key, so its output is the same.

        Raises:
            InputError: together they would take the study over its budget. Nothing is written then.
            StudyError: something was charged under the same name with other numbers.
        """
        known = {entry.what: entry for entry in self.entries}
        for entry in entries:
            if entry.what in known and known[entry.what].cost != entry.cost:
                raise StudyError(f"{self.folder / FILE}: '{entry.what}' was charged with other numbers")
        new = [entry for entry in entries if entry.what not in known]
        if not new:
            return
        spent = self.spent
        if any(entry.cost for entry in new):
            spent = spent_by([*self.entries, *new], self.plan.delta)
            refuse_over(self.plan, spent)
        self.entries, self.spent = [*self.entries, *new], spent
        self.folder.write_json(FILE, self.to_json())

    def to_json(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "epsilon": plan.epsilon,
            "delta": plan.delta,
            "spent": self.spent,
            "models": plan.models,
            "members": plan.members,
            "ancestors": ancestors(plan),
            "adjacency": ADJACENCY,
            "replacing_one_row": dict(zip(("epsilon", "delta"), replacing_one(self.spent, plan.delta), strict=True)),
            "entries": [asdict(entry) for entry in self.entries],
        }


def read_ledger(folder: Folder) -> dict[str, Any]:
    """What `privacy/ledger.json` holds.

    Raises:
        InputError: it is damaged.
    """
    raw = folder.read_json(FILE)
    if not isinstance(raw, dict) or not {"epsilon", "delta", "spent", "models", "entries"} <= raw.keys():
        raise InputError(str(folder / FILE), "a damaged file", "the study's ledger")
    return raw


def spent_by(entries: Iterable[LedgerEntry], delta: float) -> float:
    """Epsilon at `delta` of all that is charged, together."""
    return epsilon([cost for entry in entries if (cost := entry.cost)], delta)


def refuse_over(plan: PrivacyPlan, spent: float) -> None:
    """Raises InputError where `spent` is over the plan's budget."""
    if spent > plan.epsilon:
        fits = f"{plan.members} members" if plan.models == "each" else "one model"
        takes = (
            f"at most {plan.epsilon:g}: noise was planned for {fits}; take no more, or begin another study: "
            f"{EPSILONS_ADD_UP}"
        )
        raise InputError("privacy.epsilon", f"a spend of {spent:.4g} at delta {plan.delta:g}", takes)


def ancestors(plan: PrivacyPlan) -> list[str]:
    """The studies of the same table that are counted with this one, the first one first."""
    return list(dict.fromkeys(one.study for one in plan.before))


def before_entries(plan: PrivacyPlan) -> list[LedgerEntry]:
    """What these studies planned."""
    return [
        LedgerEntry(
            one.entry,
            "charged",
            f"planned there; privacy.parent counts it here (parameters of '{one.study}')",
            "Gaussian, Poisson-subsampled where the sample rate is below 1",
            one.noise_multiplier,
            one.sample_rate,
            one.steps,
            one.times,
        )
        for one in plan.before
    ]


def marginals_entry(plan: PrivacyPlan) -> LedgerEntry:
    note = "noisy counts of every column over public cells, shared by all members: tokens, bins, atoms, first shares"
    mechanism = "Gaussian" if plan.streams == 1 else "discrete Gaussian, at the cost of a Gaussian"
    return LedgerEntry("histograms of all columns", "charged", note, mechanism, plan.marginals_multiplier, 1.0, 1)


def fit_name(plan: PrivacyPlan, member: int) -> str:
    """What a member's fit is called; the one model's where all members draw from one."""
    return f"fit of member {member}" if plan.models == "each" else "fit of the one model"


def fit_entry(plan: PrivacyPlan, member: int, generator: str) -> LedgerEntry:
    """The entry of a member's fit, by a registered generator."""
    steps, way = plan.steps_of(member), abilities(generator).private
    assert way is not None
    note, noise = f"{generator}; no early stopping, no loss read", plan.noise_multiplier
    return LedgerEntry(fit_name(plan, member), "charged", note, way.mechanism, noise, steps.sample_rate, steps.steps)


def standing_entries(*, schema: str, constraints: bool, chosen: Sequence[str]) -> list[LedgerEntry]:
    """What costs nothing, and why: said in every ledger. `schema`: where it comes from; `chosen`: on validation."""
    entries = [
        LedgerEntry("schema", "public", f"{schema}; rows are made to fit it one by one"),
        LedgerEntry(
            "numbers of rows", "public", "of the table and its parts; the split depends on them and the seed alone"
        ),
        LedgerEntry(
            "rounding of the fits' noise",
            "uncovered",
            "noise on gradients is of floating point: whoever sees weights to their last bit could use its gaps "
            "(Mironov 2012). The histograms' noise is of whole numbers and has none",
        ),
        LedgerEntry("time", "uncovered", "how long anything took is not hidden and depends on the rows"),
        LedgerEntry(
            f"choice of {', '.join(chosen)}",
            "held apart",
            "made on validation rows, which no generator is fitted on; what it tells of these rows is not covered",
        ),
        LedgerEntry(
            "results on test and validation rows",
            "uncovered",
            "predictions, report.json, report.html and figures are about other people's rows; models trained on real "
            "train rows stand beside (baselines, subgroups' bounds): none of it is in what the generators release",
        ),
    ]
    if constraints:
        entries.append(LedgerEntry("constraints", "public", "the user's word; real rows are not held against them"))
    return entries


def privacy_statement(folder: Folder) -> str:
    """What may be said of the rows that a study's generators draw, in a sentence."""
    if not folder.exists(FILE):
        return "no formal privacy guarantee: the generators were fitted on the real rows without added noise"
    raw = read_ledger(folder)
    double, more = replacing_one(raw["spent"], raw["delta"])
    return (
        f"({raw['spent']:.4g}, {raw['delta']:g})-differential privacy of the real rows that the generators were fitted "
        f"on, for all members together ({raw['adjacency']}); where a row is replaced by another, "
        f"({double:.4g}, {more:.2g}) at most; {epsilons_of_others(raw)}; nothing is promised for the validation and "
        "test rows that choices were made on"
    )


def epsilons_of_others(raw: Mapping[str, Any]) -> str:
    """What a ledger says of other studies of the same table."""
    counted = ", ".join(f"'{name}'" for name in raw.get("ancestors") or [])
    return EPSILONS_ADD_UP + (f", and what {counted} planned before is counted here" if counted else "")
