"""What `dge-ray test` says in a terminal."""

from collections.abc import Mapping
from typing import Any

from dge_ray.phrases import NOTHING, interval_text, number

VERDICTS = {
    True: "rejected: the target depends on them beyond what the other features tell",
    False: "not rejected: no evidence that they tell more than the other features do",
    None: "no decision",
}


def syntest_lines(answer: Mapping[str, Any]) -> list[str]:
    """The answer as plain lines."""
    lines = [
        f"tested: {', '.join(answer['features'])}, for {answer['target']} ({answer['task']}); "
        f"{number(answer['rows'])} real rows" + (f", {answer['generator']} generator" if answer["generator"] else "")
    ]
    if answer["method"] == "gcm":
        lines.append("method: gcm, residuals of real rows; no synthetic row")
    else:
        times = NOTHING if answer["ratio"] is None else f"{answer['ratio']:.3g}x"
        volume = f"volume {number(answer['volume'])} ({times})"
        lines.append(f"method: {answer['method']}, {number(answer['replicates'])} replicates, {volume}")
    if answer.get("withheld"):
        lines.append(answer["withheld"])
        if answer["rejected"] is not None:
            lines.append(f"guarded decision: {VERDICTS[answer['rejected']]}")
    else:
        lines += _decision(answer)
    if (residual := answer.get("gcm")) is not None:
        lines.append(f"real rows by residuals (gcm): p = {number(residual['p_value'])}")
    refits = answer["refits"]
    if answer.get("withheld"):
        lines.append(f"no replicate was made; {refits['cpu_seconds']:.1f} CPU-seconds now")
    elif refits is not None:
        done = f"replicates: {refits['done']} done now, {refits['read']} read"
        lines.append(f"{done}; {refits['cpu_seconds']:.1f} CPU-seconds now")
    return [*lines, *answer["notes"]]


def _decision(answer: Mapping[str, Any]) -> list[str]:
    statistic, guard = answer["statistic"], answer.get("epsilon")
    shown = " and ".join(map(number, statistic)) if isinstance(statistic, list) else number(statistic)
    lines = [
        f"p = {number(answer['p_value'])}{_monte_carlo(answer)} at level {answer['alpha']:g}"
        f"{f', epsilon {guard:g}' if guard is not None else ''}: {VERDICTS[answer['rejected']]}",
        f"statistic {answer['statistic_name']}: {shown}" + _null(answer),
        f"type I error: {_share(answer, 'type_one')} ({answer['type_one_basis']})",
    ]
    for cell in answer.get("curve", []):
        parts = [f"p = {number(cell['p_value'])}", f"type I error {_share(cell, 'type_one')}"]
        lines.append(f"at {number(cell['volume'])} rows: {', '.join(parts)}, power {_share(cell, 'power')}")
    if (raw := answer["raw"]) is not None:
        tests = [f"{number(raw[key])} {how}" for key, how in _RAW.items() if raw.get(key) is not None]
        lines.append(f"real rows alone: statistic {number(raw['statistic'])}; p = {', '.join(tests) or NOTHING}")
    return lines


_RAW = {"p_normal": "by the normal law", "p_null_tables": "by the null tables"}


def _null(answer: Mapping[str, Any]) -> str:
    null = answer.get("null")
    if null is None:
        return ""
    return f"; under the null {number(null['mean'])} (sd {number(null['sd'])}), to exceed: {number(null['critical'])}"


def _monte_carlo(answer: Mapping[str, Any]) -> str:
    """What the number of replicates leaves open of p."""
    interval = answer.get("p_interval")
    return f" ({interval_text(interval)} by its number of replicates)" if interval else ""


def _share(cell: Mapping[str, Any], name: str) -> str:
    value = cell.get(f"{name}_error", cell.get(name))
    interval = cell.get(f"{name}_interval")
    return number(value) + (f" ({interval_text(interval)})" if interval else "")
