"""Fidelity on a study's page: columns as small multiples, and a table of errors, each beside train against test."""

from collections.abc import Mapping

from dge_ray.phrases import number
from dge_ray.report.figures.axes import svg_text
from dge_ray.report.figures.fidelity import FIDELITY_FIGURES, fidelity_figure
from dge_ray.report.shell.page import Drawing, Heading, Part, Table, TableCell
from dge_ray.report.words.answer import rounded


def fidelity_parts(report: Mapping) -> list[Part]:
    """Empty where the report has no fidelity: a private study's, or one of an earlier version."""
    found, figure = report.get("fidelity") or {}, fidelity_figure(report)
    if figure is None:
        return []
    (record,) = FIDELITY_FIGURES
    rows: list[list[str | TableCell]] = [
        [name, rounded(found[key]["synthetic"], (0, 0.1)), rounded(found[key]["held"], (0, 0.1))]
        for name, key in (("column error", "column_error"), ("pair error", "pair_error"))
    ]
    for pair in found["worst_pairs"][:1]:
        name = f"the worst pair: {' and '.join(pair['columns'])}"
        rows.append([name, rounded(pair["synthetic"], (0, 0.1)), rounded(pair["held"], (0, 0.1))])
    rows.append(["two-sample AUC", *(_area(found["two_sample_auc"][part]) for part in ("synthetic", "held"))])
    caption = (
        f"{number(found['rows'])} rows of each, {number(found['measured'])} columns. Train against {found['held']} "
        "rows is what two real tables of one law differ by: no closer is better."
    )
    header = ["measure", "train and synthetic", f"train and {found['held']}"]
    return [
        Heading("Fidelity"),
        Drawing(svg_text(figure, record.name), record.title, record.title, record.caption),
        Table(header, rows, caption, numbers=True),
    ]


def fidelity_tile(report: Mapping) -> tuple[str, str] | None:
    """Value and note; None where the report has none."""
    found = (report.get("fidelity") or {}).get("two_sample_auc")
    if not found:
        return None
    value, chance = (rounded(found[part][0], (0, 0.1)) for part in ("synthetic", "held"))
    return f"AUC {value}", f"of telling synthetic from real rows; two real parts: {chance}"


def _area(triple: list[float]) -> TableCell:
    value, low, high = (rounded(one, (0, 0.1)) for one in triple)
    return TableCell(value, f"{low} to {high}")
