"""What attacks found, in plain words with the bound: a leak, or how large a one would not have been seen."""

from collections.abc import Iterator, Mapping

from dge_ray.phrases import finite, interval_text, number
from dge_ray.stats.leakage.attacks import leak_found

EACH_ALONE = "Each of these holds at 95 % by itself: of many, one may be chance."
CAN_BE_TOLD = "rows that the generators saw can be told from others"


def attack_verdict(one: Mapping) -> str:
    """Of one membership attack, as attacks.json has it; empty where its interval is not there."""
    if len(one.get("auc_interval") or []) != 2:
        return ""
    upper = max(0.5, one["auc_interval"][1])
    if one.get("name") == "blind":
        if _leaks(one):
            differ = "train and test differ: their rows are told apart without a look at any released row"
            return f"{differ} ({_auc(one)}); the other attacks find that too"
        return f"train and test look alike; a difference up to AUC {number(upper)} would not have been seen"
    if _leaks(one):
        return f"leak found: {CAN_BE_TOLD} ({_auc(one)}){_incompatible(one)}"
    if one["auc_interval"][1] < 0.5:
        return (
            f"no leak found: rows of train score lower than those of test ({_auc(one)}), so they follow different laws"
        )
    return f"no leak found; a leak up to AUC {number(upper)} would not have been seen"


def canary_verdict(one: Mapping) -> str:
    """Of one attack's ranking of the planted rows."""
    if _leaks(one):
        return f"leak found: planted rows can be told from their twins ({_auc(one)}){_incompatible(one)}"
    return f"no leak found; a leak up to AUC {number(max(0.5, one['auc_interval'][1]))} would not have been seen"


def attribute_verdict(one: Mapping) -> str:
    """Of one column that was guessed."""
    _, lower, upper = one["leak"]
    if finite(lower) and lower > 0:
        gap = f"{number(one['leak'][0], signed=True)}, {interval_text(one['leak'][1:], signed=True)}"
        return f"leak found: guessed better for rows that the generators saw ({gap} in {one['measure']})"
    return f"no leak found; a gain up to {number(max(0.0, upper) if finite(upper) else upper)} would not have been seen"


def nearest_verdict(near: Mapping) -> str:
    """Of how near the released rows lie to train's and test's."""
    lower, upper = near["interval"]
    if lower > 0.5:
        share = f"{near['closer']:.1%}, {lower:.1%} to {upper:.1%}, where 50 % are without copying"
        return f"leak found: released rows are nearer to train than to test ({share})"
    return f"no leak found; a share up to {max(0.5, upper):.1%} would not have been seen"


def verdicts(report: Mapping) -> Iterator[tuple[str, str]]:
    """Every attack's name and verdict."""
    for one in report["attacks"]:
        yield one["name"], attack_verdict(one)
    for one in (report.get("canaries") or {}).get("ranked") or []:
        yield f"canaries by {one['name']}", canary_verdict(one)
    for one in report.get("attributes") or []:
        yield f"{one['column']} guessed", attribute_verdict(one)
    if report.get("nearest"):
        yield "nearest real row", nearest_verdict(report["nearest"])


def overall_verdict(report: Mapping) -> str:
    """All attacks in a sentence or two."""
    found = [name for name, text in verdicts(report) if text.startswith("leak found")]
    looked = [one for one in report["attacks"] if one["name"] != "blind"]
    ranked = [*looked, *((report.get("canaries") or {}).get("ranked") or [])]
    bound = max((one["epsilon_at_least"] for one in ranked), default=0.0)
    if found:
        text = f"Leak found by {', '.join(found)}"
        if leaking := [one for one in looked if _leaks(one)]:
            most = max(leaking, key=lambda one: one["auc"])
            text += f": {CAN_BE_TOLD} ({_auc(most)} by {most['name']})"
        text += f"; no epsilon below {number(bound)} is compatible with this." if bound > 0 else "."
    else:
        text = "No leak found"
        if looked:
            upper = max(0.5, *(one["auc_interval"][1] for one in looked))
            text += f"; a leak up to AUC {number(upper)} would not have been seen"
        text += ". Better attacks may find more."
    if any(one["name"] == "blind" and _leaks(one) for one in report["attacks"]):
        text += " Train and test differ in themselves (blind), so some of what is found may be that."
    private = report.get("privacy")
    if private and bound > private["epsilon"]:
        text += f" That is more than the ledger's epsilon of {number(private['epsilon'])} allows: it does not hold."
    return text


def attacked(report: Mapping) -> str:
    """What was attacked, so that a reader sees whether it is what he has."""
    against, rows = report["against"], report["rows"]
    return (
        f"{against['members']} members of {number(against['volume'])} rows ({against['generator']}); "
        f"{number(rows['seen'])} rows of train among {number(rows['unseen'])} of test, {number(rows['auxiliary'])} "
        "auxiliary rows"
    )


def _leaks(one: Mapping) -> bool:
    return leak_found(one["auc_interval"], one.get("epsilon_at_least") or 0.0)


def _auc(one: Mapping) -> str:
    return f"AUC {number(one['auc'])}, {interval_text(one['auc_interval'])}"


def _incompatible(one: Mapping) -> str:
    value = one.get("epsilon_at_least") or 0.0
    return f"; no epsilon below {number(value)} is compatible with this" if value > 0 else ""
