"""How the report says the laws, the uncertainty and the groups of few rows: names and values."""

from collections.abc import Mapping
from typing import Any

from dge_ray.phrases import NOTHING, beside, finite, interval_text, number
from dge_ray.report.words.classes import class_rows
from dge_ray.report.words.curves import curve_rows
from dge_ray.report.words.privacy import privacy_rows
from dge_ray.stats.metrics.losses import label
from dge_ray.stats.volume.learning_curve import FLOOR_UNKNOWN

SHOWN_GROUPS = 10  # of the table of groups; the others are folded away


def findings_rows(report: Mapping) -> dict[str, list[tuple[str, str]]]:
    """Sections by title, each name and value for people; those the report lacks are not there."""
    parts = {
        "Privacy": privacy_rows(report),
        "The curve over volumes": curve_rows(report),
        "Law in members and volume": _joint_rows(report.get("joint_law") or {}),
        "More rows, or a better generator?": _curve_rows(report.get("learning_curve") or {}),
        "Enough members?": _members_rows(report.get("klaw") or {}),
        "Classes": class_rows(report),
        "Uncertainty": _uncertainty_rows(report.get("uncertainty") or {}),
    }
    return {title: rows for title, rows in parts.items() if rows}


def group_cells(report: Mapping) -> tuple[list[str], list[list[str]], str]:
    """Header, lines and caption of the table of groups; the lines that are worth a look first: groups that differ, then
    those where the ensemble loses most against the real rows, then those too small to say."""
    lawful = "MSE" if (report.get("data") or {}).get("task") == "regression" else "Brier score"
    lines = []
    for row in sorted((r for r in report.get("subgroups") or [] if r.get("risk")), key=_interest, reverse=True):
        few = "" if _has_interval(row) else ": too few to say"
        cells = [str(row.get("group")), f"{100 * row.get('share', 0):.1f} %", number(row.get("rows")) + few]
        cells.append(_triple(row["risk"]))
        for method in ("naive_single", "naive_ensemble", "real"):
            mark = " *" if (row.get("clear") or {}).get(method) else ""
            cells.append(_triple((row.get("differences") or {}).get(method), signed=True) + mark)
        lines.append(cells)
    header = ["group", "share", "test rows", f"DGE {lawful}", "less naive single", "less naive ensemble", "less real"]
    caption = (
        "The ensemble's loss in each group, and its difference to each method on the same rows (below 0: DGE is "
        "better), with 95 % intervals over members and rows. * differs with all groups looked at together; groups that "
        "so differ from the naive ensemble or the real rows come first, then those where DGE loses most against the "
        "real rows. Beating naive single proves nothing: averaging never loses there."
    )
    return header, lines, caption


def _interest(row: Mapping) -> tuple[bool, bool, float]:
    """The order of groups, the last first."""
    clear, differences = row.get("clear") or {}, row.get("differences") or {}
    lost = (differences.get("real") or [0.0])[0]
    differs = bool(clear.get("real") or clear.get("naive_ensemble"))
    return differs, _has_interval(row), lost if finite(lost) else 0.0


def _has_interval(row: Mapping) -> bool:
    return finite((row.get("risk") or [None] * 2)[1])


def _triple(value: Any, *, signed: bool = False) -> str:
    if not value or not finite(value[0]):
        return NOTHING
    ends = f" ({interval_text(value[1:], signed=signed)})" if finite(value[1]) else ""
    return number(beside(value[0], value[1:]), signed=signed) + ends


def _cell(choice: Mapping) -> str:
    where = f"{number(choice.get('members'))} members with {number(choice.get('volume'))} rows each"
    return f"{where}, {choice.get('cpu_seconds', 0):,.0f} CPU-seconds"


def _excess(choice: Mapping) -> str:
    """How far a cell's risk is above the best one's, its three figures named."""
    value, low, high = (f"{100 * v:.2f} %" if finite(v) else NOTHING for v in choice.get("excess") or [None] * 3)
    return f"; risk above the best cell's by {value} (95 % interval {low} to {high})"


def _joint_rows(law: Mapping) -> list[tuple[str, str]]:
    if not law:
        return []
    rows = [("R(K, m) = C + D m^-a + s²(m) / K", f"{law.get('status')}: {law.get('reason')}")]
    if not law.get("best"):
        return rows
    if law.get("status") == "fitted":  # else its parts cannot be told apart; the cells lie inside the grid all the same
        rows += [
            (f"floor C ({label(str(law.get('metric')))})", _triple(law.get("floor"))),
            ("what more rows could take off, D m^-a at the largest volume", _triple(law.get("rows"))),
            ("variance between members at the largest volume", _triple(law.get("variance"))),
            ("of it the generators' own, which no volume removes", _triple(law.get("generators"))),
        ]
    within = f"cheapest cell within {100 * law.get('epsilon', 0):g} % of it, by the upper end of the interval"
    rows += [
        ("best cell of the grid", _cell(law["best"])),
        (within, _cell(law["cheapest"]) + _excess(law["cheapest"])),
        (
            "members, and rows a member, that the cheapest cell may have (95 % interval)",
            f"{interval_text(law.get('members_range'))}; {interval_text(law.get('volume_range'))}",
        ),
    ]
    return rows


def _curve_rows(law: Mapping) -> list[tuple[str, str]]:
    if not law:
        return []
    metric = label(str(law.get("metric")))
    rows = [("error = D m^-a + C", f"{law.get('status')}: {law.get('reason')}")]
    gain = law.get("still_to_gain")
    if gain:
        not_zero = f"{number(gain[0])} (95 % interval {interval_text(gain[1:])})"
        text = not_zero if gain[1] > 0 else f"nothing that could be told from 0, and {number(gain[2])} at the most"
        rows.append((f"endlessly many rows would better the {metric} of the largest volume by", text))
    for key, name in (
        ("floor", f"floor C ({metric}), whatever the rows"),
        ("generator_gap", "floor less the real rows' error: left to a better generator or more members"),
        ("exponent", "exponent a"),
    ):
        # a flat curve's floor is known, its exponent is not; of one that still falls neither is
        known = law.get("status") == "fitted" or (key != "exponent" and law.get("reason") not in FLOOR_UNKNOWN)
        if known and law.get(key):
            rows.append((name, _triple(law[key], signed=key == "generator_gap")))
    return rows


def _members_rows(law: Mapping) -> list[tuple[str, str]]:
    if not finite(law.get("members_within")):
        return []
    bound = f"at most {number(law.get('members_within_upper'))}"
    if not finite(law.get("members_within_upper")):
        bound = f"{number(law.get('rows_of_the_rarest'))} test rows of the rarest class are too few for a bound"
    within = f"{number(law['members_within'])} ({bound})"
    rows = [(f"members within {100 * law.get('within', 0):g} % of endlessly many", within)]
    if finite(law.get("members_worth_a_minute")):
        worth = (
            f"{number(law['members_worth_a_minute'])}, at {number(law.get('cpu_seconds_a_member'))} CPU-seconds each"
        )
        rows.append(("members that take as much off for a CPU-minute", worth))
    return rows


def _uncertainty_rows(uncertainty: Mapping) -> list[tuple[str, str]]:
    rows = []
    for form, unit in (("entropy", "nats"), ("variance", "variance")):
        parts = uncertainty.get(form) or {}
        if parts:
            text = ", ".join(f"{name} {number(value)}" for name, value in parts.items())
            rows.append((f"uncertainty of a test row, mean ({unit})", text))
    if finite(uncertainty.get("epistemic_share_of_squared_error")):
        rows.append(
            ("of the squared error, members' variance", number(uncertainty["epistemic_share_of_squared_error"]))
        )
    if uncertainty.get("ece"):
        rows.append(
            (
                "expected calibration error",
                f"{_triple(uncertainty['ece'])}; plain {number(uncertainty.get('plain_ece'))}",
            )
        )
    sets = uncertainty.get("conformal") or {}
    if sets:
        many = "classes" in sets
        what = f"sets hold {number(sets['classes'])} classes" if many else f"{number(sets.get('width'))} wide"
        empty = ", so some are empty" if many and finite(sets["classes"]) and sets["classes"] < 1 else ""
        held = f"{number(sets.get('covered'))} of the other {number(sets.get('rows'))} test rows "
        held += f"have their {'class in the set' if many else 'value in the interval'}"
        between = interval_text(sets.get("covered_interval"))
        text = f"{held} (95 % interval {between}); {what} on the mean{empty}"
        kind = f"conformal {'sets of classes' if many else 'prediction intervals'} that promise {sets.get('level')}"
        rows.append((f"{kind}, calibrated on {number(sets.get('calibration_rows'))} test rows", text))
    return rows
