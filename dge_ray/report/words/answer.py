"""A study's answer in three sentences: how many generators, how many rows, and can the result be trusted."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dge_ray.phrases import advice, duration, finite, number, ratio_text, shell_word
from dge_ray.report.words.study import base_rows, method_names
from dge_ray.stats.metrics.losses import higher_is_better, label

USES = {
    "train": "to fit generators",
    "raw": "raw, beside the synthetic ones",
    "stopping": "to stop them",
    "validation": "to choose on",
    "test": "to report on",
}
QUESTIONS = ("How many generators?", "How many rows?", "Can I trust it?")


def answered(report: Mapping) -> Mapping:
    """The answer of report.json; empty in those of earlier versions."""
    return report.get("answer") or {}


def answer_sentences(report: Mapping) -> list[tuple[str, str]]:
    """(question, answer) of each of QUESTIONS; empty where the report has no answer."""
    if not answered(report):
        return []
    return list(zip(QUESTIONS, (_generators(report), _rows(report), _trust(report)), strict=True))


def headline(report: Mapping) -> str:
    """The answer in one line, for a heading or a run's description; empty where there is none."""
    answer = answered(report)
    if not answer:
        return ""
    if not answer["volume"]:
        return f"Use the raw rows alone: {_verdict(report)}"
    known = "" if answer["told"] else ", the smallest safe choice"
    members = answer["members"]
    what = f"{number(members)} generator{'s' if members > 1 else ''} with {number(answer['volume'])} rows each"
    return f"Use {what}{known}: {_verdict(report)}"


def parts_sentence(rows: Mapping[str, int], folds: int = 1) -> str:
    """What each part of a table's rows is for. With folds, train and stopping are of one of them, and rows to choose on
    are those of all.

    >>> parts_sentence({"train": 60, "stopping": 10, "validation": 10, "test": 20})
    '100 rows: 60 (60 %) to fit generators, 10 (10 %) to stop them, 10 (10 %) to choose on, 20 (20 %) to report on'
    """
    every = sum(rows.values()) if folds == 1 else rows["validation"] + rows.get("test", 0)
    said = [
        f"{number(rows[part])} ({rows[part] / every:.0%}) {use}".replace("%)", " %)")
        for part, use in USES.items()
        if rows.get(part)
    ]
    of = "" if folds == 1 else f"; in each of {folds} folds those to fit and stop are of the others"
    return f"{number(every)} rows: {', '.join(said)}{of}" if every else "no rows"


def about_line(report: Mapping) -> str:
    """The table, its rows and its target with its base rate."""
    data = report.get("data") or {}
    base, task, target = data.get("base") or {}, str(data.get("task")), data.get("target")
    rate = ""
    if base and task == "regression":
        rate = f"; mean {rounded(base.get('mean'))}, standard deviation {rounded(base.get('sd'))}"
    elif base:
        shares = sorted(base.items(), key=lambda one: -one[1])
        rate = "; " + ", ".join(f"{name} {share:.1%}".replace("%", " %") for name, share in shares[:4])
        rate += f" and {len(shares) - 4} more" if len(shares) > 4 else ""
    folds = int((report.get("folds") or {}).get("folds", 1))
    return f"Target {target} ({task}{rate}). {parts_sentence(data.get('rows') or {}, folds)}."


def _generators(report: Mapping) -> str:
    answer = answered(report)
    if not answer["volume"]:
        return "None: no volume of synthetic rows beside the raw ones is known to do better."
    best, own = answer["best"], answer["price_cpu_s"]
    units = label(str(report.get("metric")))
    tried = f"{number(best['members'])} with {number(best['volume'])} rows each"
    price = f"{duration(own)} of CPU time"
    if answer["told"]:
        if own >= best["price_cpu_s"]:
            return f"{answer['members']}: the best tried, at {price}."
        return (
            f"{answer['members']}. The error is known to be within {rounded(answer['margin'])} ({units}) of the best "
            f"tried, {tried}, at {_share(own, best['price_cpu_s'])} of its CPU time ({duration(own)})."
        )
    against = (
        "the best of those tried"
        if (answer["members"], answer["volume"]) == (best["members"], best["volume"])
        else tried
    )
    lost = f"up to {rounded(answer['excess'][1])} ({units}) may be lost, against {against}"
    return (
        f"{answer['members']}, the smallest safe choice, at {price}: {lost}; under {rounded(answer['margin'])} would "
        "not matter."
    )


def _rows(report: Mapping) -> str:
    answer, n = answered(report), base_rows(report)
    if not answer["volume"]:
        return f"The {number(n)} raw rows, and no synthetic ones."
    ratio = ratio_text(answer["volume"], n)
    text = f"{number(answer['volume'])} from each, {ratio} the {number(n)} real rows the generators saw."
    if answer["told"]:
        return text
    would = str(answer["what_would_tell"]).partition("; ")[0]
    return f"{text} The {_now(report, 'validation')} validation rows cannot tell which volume is best; {would} would."


def _trust(report: Mapping) -> str:
    said = {"better": "Yes", "same": "Yes", "worse": "Not as a replacement of real rows"}
    answer = answered(report)
    text = f"{said.get(answer['verdict'], 'Not known, it may be better or worse')}: {_verdict(report)}"
    if answer["verdict"] != "not told apart":
        return text
    would = str(answer["what_would_tell"]).rpartition("; ")[2]
    now = f" in all would tell ({_now(report, 'test')} now)" if would.endswith(" test rows") else " would tell"
    return f"{text[:-1]}; {would}{now}."


def _now(report: Mapping, part: str) -> str:
    """How many rows a part has."""
    return number(((report.get("data") or {}).get("rows") or {}).get(part))


def _verdict(report: Mapping) -> str:
    """The comparison with the best model on real rows, on test."""
    answer, metric = answered(report), str(report.get("metric"))
    word = {"same": "as good as"}.get(answer["verdict"], answer["verdict"])
    link = {"better": " than", "worse": " than", "not told apart": " from"}.get(answer["verdict"], "")
    difference, *interval = answer["difference"]
    name = method_names(report).get(answer["against"], answer["against"])
    shown = f"{rounded(difference, interval, signed=True)} ({rounded(interval[0], interval, signed=True)} to "
    side = "above" if higher_is_better(metric) else "below"
    shown += f"{rounded(interval[1], interval, signed=True)}; {side} 0 is better)"
    return f"{word}{link} the best model on real rows ({name}), {label(metric)} {shown}."


def rounded(value: Any, interval: Any = None, *, signed: bool = False) -> str:
    """A number to the digits that its interval leaves it: two of the interval's width, or of its own; no exponents.

    >>> rounded(0.019612, (-0.0005, 0.0496), signed=True), rounded(9.85e-17, (-0.01, 0.02)), rounded(1234.6)
    ('+0.020', '0.000', '1,235')
    """
    if not finite(value):
        return number(value)
    ends = [end for end in interval or () if finite(end)]
    size = max(ends) - min(ends) if len(ends) == 2 and max(ends) > min(ends) else abs(float(value))
    digits = min(max(1 - math.floor(math.log10(size)), 0), 8) if size > 0 else 0
    shown = f"{float(value):,.{digits}f}"
    nothing = not shown.strip("-0.,")
    return shown.lstrip("-") if nothing else f"{float(value):{'+' if signed else ''},.{digits}f}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def next_commands(report: Mapping) -> list[str]:
    """What to type next, to be pasted into a shell."""
    storage = str((report.get("config") or {}).get("storage") or "./studies")
    place = "" if storage == "./studies" else " " + advice("storage", storage)
    study, answer = shell_word(str(report.get("study"))), answered(report)
    volume = f" volume={answer['volume']}" if report.get("privacy") and answer else ""
    return [f"dge-ray utility {study}{place}", f"dge-ray publish {study} out=bundle{volume}{place}"]


def closing_lines(report: Mapping) -> list[str]:
    """The last lines on a terminal: the three sentences, where the page is, what comes next."""
    if not answered(report):
        return []
    lines = [f"{question.rstrip('?')}: {text}" for question, text in answer_sentences(report)]
    if page := report.get("page"):
        model = f" · model in MLflow: {report['model']}" if report.get("model") else ""
        lines.append(f"Report: {link(page)}{model}")
    return [*lines, "Next: " + "; ".join(next_commands(report))]


def link(place: str) -> str:
    """A file of this machine as what terminals make a link of; another place as it is."""
    return Path(place).as_uri() if Path(place).is_absolute() else place
