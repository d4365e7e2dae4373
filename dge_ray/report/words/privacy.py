"""What `check`, the summary and the report's page say of differential privacy."""

from collections.abc import Mapping, Sequence
from typing import Any

from dge_ray.phrases import EPSILONS_ADD_UP, number


def plan_lines(privacy: Mapping[str, Any]) -> list[str]:
    """`check`'s lines: the plan, and what K costs. Empty without privacy."""
    if not privacy:
        return []
    plan, steps = privacy["plan"], privacy["plan"]["steps"][0]
    fits = "one model" if plan["models"] == "one" else f"{plan['members']} models"
    return [
        f"privacy: epsilon {plan['epsilon']:g} at delta {plan['delta']:g} for {fits} and one histogram of all columns, "
        f"of which {plan['spent']:.4g} is spent",
        f"  a fit: {steps['steps']} steps, each row in a step with probability {steps['sample_rate']:.3g}, noise of "
        f"{plan['noise_multiplier']:.3g} clips; the histogram's of {plan['marginals_multiplier']:.3g} sensitivities",
        "  a fit's noise at this budget by K: " + _costs(privacy["costs"]),
        *([f"  counted with it: {_before(plan)} (privacy.parent)"] if plan.get("before") else []),
        f"  {EPSILONS_ADD_UP}",
        "  no promise for validation and test rows, nor for results on them; the study's privacy/key is secret",
    ]


def _before(plan: Mapping[str, Any]) -> str:
    return "what was planned by " + ", ".join(dict.fromkeys(one["study"] for one in plan["before"]))


def _costs(costs: Sequence[Mapping[str, Any]]) -> str:
    each = [f"{row['noise_multiplier']:.3g} for {row['members']}" for row in costs if row["models"] == "each"]
    (one,) = (row["noise_multiplier"] for row in costs if row["models"] == "one")
    return f"{', '.join(each)}; {one:.3g} with models=one, whatever K"


def privacy_rows(report: Mapping) -> list[tuple[str, str]]:
    """The page's section. Empty without privacy."""
    privacy = report.get("privacy")
    if not privacy:
        return []
    one = privacy["models"] == "one"
    return [
        ("promise", f"({privacy['epsilon']:g}, {privacy['delta']:g})-differential privacy of train rows, zero-out"),
        ("spent", f"epsilon {number(privacy['spent'])} by {privacy['mechanisms']} mechanisms, all members together"),
        (
            "models",
            "one, which all members draw from" if one else f"one a member, planned {privacy['planned_members']}",
        ),
        ("noise", f"{number(privacy['noise_multiplier'])} clips a step"),
        ("noise of the histogram", f"{number(privacy['marginals_multiplier'])} sensitivities"),
        ("other studies of this table", EPSILONS_ADD_UP),
        *([("counted with this one", ", ".join(names))] if (names := privacy.get("ancestors")) else []),
        *((f"not covered ({at})", text) for at, text in enumerate(privacy["uncovered"], 1)),
        ("everything, entry by entry", "privacy/ledger.json in the study's folder"),
    ]


def privacy_line(report: Mapping) -> str:
    """The summary's line; empty without privacy."""
    privacy = report.get("privacy")
    if not privacy:
        return ""
    return (
        f"privacy: epsilon {privacy['spent']:.4g} of {privacy['epsilon']:g} spent at delta {privacy['delta']:g}, on "
        "train rows, by all members together; results on validation and test rows, this report's, are not covered; "
        + EPSILONS_ADD_UP
    )
