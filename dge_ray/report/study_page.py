"""report.html from report.json and the figures. Writing the file is the caller's job."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dge_ray.phrases import NOTHING, interval_text, number, ratio_text
from dge_ray.report.answer_parts import answer_parts
from dge_ray.report.figures.catalogue import pictures
from dge_ray.report.shell.page import (
    Cards,
    Fold,
    Folded,
    Glossary,
    Heading,
    Items,
    Pairs,
    Paragraph,
    Part,
    Table,
    render,
)
from dge_ray.report.study_tables import (
    cost_rows,
    data_rows,
    difference_table,
    members_table,
    metrics_table,
    reflection_rows,
)
from dge_ray.report.words.attack import EACH_ALONE, attacked, overall_verdict, verdicts
from dge_ray.report.words.classes import beside_accuracy, calibration_cells
from dge_ray.report.words.findings import SHOWN_GROUPS, findings_rows, group_cells
from dge_ray.report.words.glossary import GLOSSARY, terms
from dge_ray.report.words.learners import learner_cells, stacking_cells, weight_cells
from dge_ray.report.words.pilot import pilot_cells
from dge_ray.report.words.study import base_rows, meaning, members_rows, train_rows, verdict
from dge_ray.stats.metrics.losses import direction, label

FIRST = ("answer", "fidelity")  # figures that stand before the details


def render_html(
    report: Mapping, figures: Mapping[str, bytes | str], attacks: Mapping | None = None, utility: Mapping | None = None
) -> str:
    """The page: the answer, and the details folded behind it. `report` follows the contract of report.json; parts that
    are missing are left out of the page, and of a report without an answer nothing is folded.

    `figures`: PNG or SVG by name. `attacks`, `utility`: what attacks.json and utility.json hold, where they are there.
    """
    first = answer_parts(report, attacks, utility)
    details = _details(report, {name: one for name, one in figures.items() if not first or name not in FIRST}, attacks)
    parts = [*first, Heading("Details"), *_folds(details)] if first else [_cards(report), *details]
    return render("dge_ray study", f"{report.get('study', 'study')}", "" if first else verdict(report), parts, terms())


def _folds(parts: Sequence[Part]) -> list[Part]:
    """Each heading with what is under it, folded."""
    folds: list[tuple[str, list[Part]]] = []
    for part in parts:
        if isinstance(part, Heading):
            folds.append((part.text, []))
        else:
            folds[-1][1].append(part)
    return [Fold(title, inner) for title, inner in folds]


def _details(report: Mapping, figures: Mapping[str, bytes | str], attacks: Mapping | None) -> list[Part]:
    """Everything that a study says, section by section, each after its heading."""
    warnings = [str(text) for text in report.get("warnings") or []]
    versions = (report.get("versions") or {}).items()
    parts: list[Part] = [
        *([Heading("Warnings"), Items(warnings, warning=True)] if warnings else []),
        Heading("Figures"),
        *pictures(figures),
        Heading("Test metrics"),
        metrics_table(report),
        Heading("Differences to DGE"),
        difference_table(report),
        *_titled("Weights of the synthetic rows", weight_cells(report)),
        *_titled("Learners", learner_cells(report)),
        *members_table(report),
        Heading("Reflection point"),
        Pairs(reflection_rows(report)),
        *_titled("Pilot", pilot_cells(report)),
        Heading("Members"),
        Pairs(members_rows(report)),
        *_titled("Weights of the families", stacking_cells(report)),
    ]
    for title, rows in findings_rows(report).items():
        parts += [Heading(title), Pairs(rows)]
    parts += [
        *_titled("Calibration by class", calibration_cells(report)),
        *_titled("Groups of few rows", group_cells(report)),
        *_attacks(attacks),
        Heading("Data"),
        Pairs(data_rows(report)),
        Heading("Cost"),
        Pairs(cost_rows(report)),
        Heading("Versions and configuration"),
        Pairs([("seed", number(report.get("seed"))), *versions]),
        *_folded("Resolved configuration", report.get("config")),
        *_folded("Columns", report.get("schema") or (report.get("data") or {}).get("columns")),
        *_folded("Law in the number of members", report.get("klaw")),
        Heading("Words"),
        Glossary(GLOSSARY),
    ]
    return parts


def _attacks(attacks: Mapping | None) -> list[Part]:
    """What attacks on the study's rows found."""
    if not attacks:
        return []
    return [
        Heading("Attacks"),
        Paragraph(overall_verdict(attacks)),
        Items([f"{name}: {text}" for name, text in verdicts(attacks)]),
        Paragraph(f"{attacked(attacks)}. {EACH_ALONE} More is in attacks.html.", soft=True),
    ]


def _cards(report: Mapping) -> Cards:
    point, n, trained = report.get("reflection_point") or {}, base_rows(report), number(train_rows(report))
    metric = str(report.get("metric", "risk"))
    real = ((report.get("test") or {}).get("real") or {}).get(metric)
    learner = (report.get("real_learners") or {}).get("real", report.get("learner"))
    return Cards(
        [
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
                f"{interval_text(point.get('risk_interval'))}; "
                + "; ".join(filter(None, [beside_accuracy(report, metric), direction(metric)])),
            ),
            (f"real rows' {label(metric)}", number(real), f"{learner} on {trained} real rows"),
        ]
    )


def _titled(title: str, cells: tuple[list[str], list[list[str]], str]) -> list[Part]:
    """A table under its title, the rows beyond the first few folded away; nothing where it has no rows."""
    header, rows, caption = cells
    return [Heading(title), Table(header, rows, caption, numbers=True, shown=SHOWN_GROUPS)] if rows else []


def _folded(title: str, content: Mapping | Sequence[Any] | str | None) -> list[Part]:
    if not content:
        return []
    text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str, ensure_ascii=False)
    return [Folded(title, text)]
