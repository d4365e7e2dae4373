"""report.html: one self-contained page from report.json and the figures. No script, no outside resource.

Everything that comes from data or configuration is escaped. Writing the file is the caller's job.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from dge_ray.phrases import NOTHING, duration, finite, interval_text, number, ratio_text
from dge_ray.report.findings_words import FINDINGS_CAPTIONS, SHOWN_GROUPS, findings_rows, group_cells
from dge_ray.report.learner_words import LEARNER_CAPTIONS, learner_cells, weight_cells
from dge_ray.report.style import STYLE
from dge_ray.report.summary import summary_lines
from dge_ray.report.words import (
    GLOSSARY,
    base_rows,
    comparison,
    lineage_rows,
    meaning,
    members_rows,
    method_names,
    train_rows,
    verdict,
)
from dge_ray.stats.comparison.baselines import METHODS
from dge_ray.stats.metrics.losses import direction, label

__all__ = ["render_html", "summary_lines", "verdict"]

CAPTIONS = {
    "error_by_volume": (
        "Error against volume",
        "Each line is an ensemble of K members; the shade is ±1.96 standard errors of a cell. Read the lowest point of "
        "the darkest line: the vertical line marks it, the vertical band is its interval. Left is the validation split "
        "on which the volume was chosen, with a smooth curve through the darkest line and, dotted, the band that holds "
        "all of the curve at once; right the test split, on which it is reported; the dashed line is the same learner "
        "trained on the real rows.",
    ),
    "error_by_members": (
        "Error against members",
        "What more members bring at the chosen volume. For the Brier score and the squared error the law R(∞) + s²/K "
        "is exact: the distance from the last point to the dotted line is all that more members could still gain.",
    ),
    "surface": (
        "The surface",
        "The error of every ensemble size K at every volume m on validation; yellow is better. The frame is the "
        "reflection point's column. Hatched volumes were given up early, because they could not become the best.",
    ),
    "test_comparison": (
        "Test comparison",
        "Points are values on the untouched test rows. A bar is the 95 % interval of the paired difference to DGE: "
        "where it does not touch the vertical line, the method differs from DGE.",
    ),
    **(FINDINGS_CAPTIONS | LEARNER_CAPTIONS),
}


def render_html(report: Mapping, figures: Mapping[str, bytes]) -> str:
    """The page. `report` follows the contract of report.json; parts that are missing are left out of the page."""
    study = f"{report.get('study', 'study')}"
    body = [
        f"<p class='soft'>dge_ray study</p><h1>{escape(study)}</h1>",
        f"<p class='verdict'>{escape(verdict(report))}</p>",
        _cards(report),
        _warnings(report),
        "<h2>Figures</h2>",
        *(figure_part(name, png) for name, png in figures.items()),
        "<h2>Test metrics</h2>",
        _test_table(report),
        "<h2>Differences to DGE</h2>",
        _difference_table(report),
        _titled("Weights of the synthetic rows", weight_cells(report)),
        _titled("Learners", learner_cells(report)),
        _group_table(report),
        "<h2>Reflection point</h2>",
        pairs_part(_reflection_rows(report)),
        "<h2>Members</h2>",
        pairs_part(members_rows(report)),
        *(f"<h2>{title}</h2>{pairs_part(rows)}" for title, rows in findings_rows(report).items()),
        _titled("Groups of few rows", group_cells(report)),
        "<h2>Data</h2>",
        pairs_part(_data_rows(report)),
        "<h2>Cost</h2>",
        pairs_part(_cost_rows(report)),
        "<h2>Versions and configuration</h2>",
        pairs_part([("seed", number(report.get("seed"))), *(report.get("versions") or {}).items()]),
        _details("Resolved configuration", report.get("config")),
        _details("Columns", report.get("schema") or (report.get("data") or {}).get("columns")),
        _details("Law in the number of members", report.get("klaw")),
        "<h2>Words</h2><dl>",
        *(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in GLOSSARY.items()),
        "</dl>",
    ]
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<link rel='icon' href='data:,'>\n"  # else a browser asks the server for /favicon.ico and logs its absence
        f"<title>{escape(study)} · dge_ray</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _warnings(report: Mapping) -> str:
    items = "".join(f"<li>{escape(str(text))}</li>" for text in report.get("warnings") or [])
    return f"<div class='warn'><ul>{items}</ul></div>" if items else ""


def _cards(report: Mapping) -> str:
    point, n, trained = report.get("reflection_point") or {}, base_rows(report), number(train_rows(report))
    metric = str(report.get("metric", "risk"))
    real = ((report.get("test") or {}).get("real") or {}).get(metric)
    cards = [
        (
            "reflection point",
            ratio_text(point.get("volume"), n),
            f"{number(point.get('volume'))} rows a member; {interval_text(point.get('interval'))}",
        ),
        ("status", str(point.get("status", NOTHING)).replace("_", " "), meaning(report)),
        ("members", number(point.get("members", report.get("members"))), f"{report.get('generator')} generators"),
        (
            f"test {label(metric)}",
            number(point.get("risk")),
            f"{interval_text(point.get('risk_interval'))}; {direction(metric)}",
        ),
        (f"real rows' {label(metric)}", number(real), f"{report.get('learner')} on {trained} real rows"),
    ]
    inner = "".join(
        f"<div class='card'><span>{escape(title)}</span><b>{escape(value)}</b><small>{escape(note)}</small></div>"
        for title, value, note in cards
    )
    return f"<div class='cards'>{inner}</div>"


def figure_part(name: str, png: bytes) -> str:
    """A figure with its title and caption; the image is in it."""
    title, caption = CAPTIONS.get(name, (name.replace("_", " "), ""))
    data = base64.b64encode(png).decode()
    return (
        f"<figure><h3>{escape(title)}</h3><img alt='{escape(title)}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _metrics(report: Mapping) -> list[str]:
    """All metrics of the test table, the selection metric first."""
    found: dict[str, None] = {}
    for method in METHODS:
        found.update(dict.fromkeys((report.get("test") or {}).get(method) or {}))
    chosen = report.get("metric")
    return sorted(found, key=lambda name: name != chosen)


def _table(header: Sequence[str], rows: Iterable[str], caption: str = "") -> str:
    cells = "".join(f"<th scope='col'{' class=n' if at else ''}>{escape(text)}</th>" for at, text in enumerate(header))
    note = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f"<div class='scroll'><table>{note}<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _test_table(report: Mapping) -> str:
    metrics, test = _metrics(report), report.get("test") or {}
    rows = []
    for method, name in method_names(report).items():
        if test.get(method):
            cells = "".join(f"<td class='n'>{escape(number(test[method].get(metric)))}</td>" for metric in metrics)
            rows.append(f"<tr{' class=dge' if method == 'dge' else ''}><th scope='row'>{escape(name)}</th>{cells}</tr>")
    if not rows:
        return "<p class='soft'>No test metrics.</p>"
    header = ["method", *(f"{label(metric)} {'↑' if 'higher' in direction(metric) else '↓'}" for metric in metrics)]
    return _table(
        header, rows, "On real rows that nothing was fitted or chosen on. ↑ higher is better, ↓ lower is better."
    )


def _difference_table(report: Mapping) -> str:
    metrics, rows = _metrics(report), []
    for method, name in method_names(report).items():
        cells, any_there = "", False
        for metric in metrics:
            found = comparison(report, method, metric)
            any_there = any_there or found is not None
            if found is None:
                cells += f"<td class='n'>{NOTHING}</td>"
                continue
            word, (difference, lo, hi) = found
            cells += (
                f"<td class='n'><span class='{word}' title='DGE is {word}'>{number(difference, signed=True)}</span>"
                f"<br><small>{interval_text((lo, hi), signed=True)}</small></td>"
            )
        if any_there:
            rows.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    if not rows:
        return "<p class='soft'>No paired differences.</p>"
    caption = (
        "DGE minus the method on the same test rows, with its paired 95 % interval. ▲ DGE is better, ▼ DGE is worse, "
        "= the interval holds 0. Beating naive single in a convex loss proves nothing: averaging never loses there."
    )
    return _table(["against", *(label(metric) for metric in metrics)], rows, caption)


def _group_table(report: Mapping) -> str:
    """Every approach in each of the disjoint groups of members, where there are several."""
    found = report.get("groups") or {}
    if not found:
        return ""
    metrics = sorted(next(iter(found["methods"].values())), key=lambda name: name != report.get("metric"))
    rows = []
    for method, by_metric in found["methods"].items():
        found_by = [by_metric[metric] for metric in metrics]
        cells = "".join(
            f"<td class='n'>{number(one['mean'])}<br><small>± {number(one['sd'])}</small></td>" for one in found_by
        )
        name = method.replace("dge_", "DGE, K = ").replace("_", " ")
        rows.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    caption = (
        f"Mean and standard deviation over {found['groups']} disjoint groups of {found['size']} members, on the same "
        "test rows: what new generators and learner seeds would change, not what other real rows would."
    )
    return "<h2>Groups of members</h2>" + _table(["approach", *map(label, metrics)], rows, caption)


def _titled(title: str, cells: tuple[list[str], list[list[str]], str]) -> str:
    header, lines, caption = cells
    if not lines:
        return ""
    rows = [
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(f'<td class=n>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, *cells in lines
    ]
    page, rest = f"<h2>{title}</h2>" + _table(header, rows[:SHOWN_GROUPS], caption), rows[SHOWN_GROUPS:]
    folded = f"<details><summary>{len(rest)} more</summary>{_table(header, rest)}</details>"
    return page + folded if rest else page


def pairs_part(rows: Iterable[tuple[str, Any]]) -> str:
    """A table of names and values."""
    lines = "".join(
        f"<tr><th scope='row'>{escape(str(name))}</th><td>{escape(NOTHING if value is None else str(value))}</td></tr>"
        for name, value in rows
    )
    return f"<div class='scroll'><table><tbody>{lines}</tbody></table></div>"


def _reflection_rows(report: Mapping) -> list[tuple[str, str]]:
    point, n = report.get("reflection_point") or {}, base_rows(report)
    rows = [
        ("volume", f"{number(point.get('volume'))} rows a member ({ratio_text(point.get('volume'), n)})"),
        ("interval", interval_text(point.get("interval"))),
        ("status", f"{point.get('status')}: {meaning(report)}"),
        ("members", number(point.get("members", report.get("members")))),
        ("risk on test", f"{number(point.get('risk'))} ({interval_text(point.get('risk_interval'))})"),
    ]
    if finite(point.get("smallest_within_one_se")):
        smallest = point["smallest_within_one_se"]
        rows.append(
            ("smallest volume within one paired standard error", f"{number(smallest)} ({ratio_text(smallest, n)})")
        )
    for key, name in (
        ("rows_needed", "validation rows that would decide"),
        ("members_needed", "members that would decide"),
    ):
        if finite(point.get(key)):
            rows.append((name, number(point[key])))
    if point.get("advice"):
        rows.append(("advice", str(point["advice"])))
    volumes = report.get("volumes") or []
    rows.append(("volumes tried", ", ".join(f"{number(v)} ({ratio_text(v, n)})" for v in volumes) or NOTHING))
    return rows


def _data_rows(report: Mapping) -> list[tuple[str, Any]]:
    data = report.get("data") or {}
    return [
        *((f"{part} rows", number(count)) for part, count in (data.get("rows") or {}).items()),
        *lineage_rows(report.get("synthetic_input") or {}),
        ("target", data.get("target")),
        ("task", data.get("task")),
        ("SHA-256", data.get("sha256")),
    ]


def _cost_rows(report: Mapping) -> list[tuple[str, Any]]:
    cost = report.get("cost") or {}
    return [
        ("synthetic rows used, up to the largest volume", number(cost.get("rows_generated"))),
        ("synthetic rows drawn", "more, since shards are drawn whole: `dge-ray status` counts those of the last run"),
        ("downstream fits", number(cost.get("downstream_fits"))),
        *((f"CPU time, {name}", duration(seconds)) for name, seconds in (cost.get("cpu_seconds") or {}).items()),
        ("wall time", duration(cost.get("wall_seconds"))),
    ]


def _details(title: str, content: Any) -> str:
    if not content:
        return ""
    text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str, ensure_ascii=False)
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
