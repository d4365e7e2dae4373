"""`dge-ray report`: a study's figures and page once more, from its files."""

from collections.abc import Mapping
from typing import Any

from dge_ray.commands.verbs import StudyKeys
from dge_ray.errors import InputError
from dge_ray.report.summary import summary_lines
from dge_ray.results.assemble import tracked, write_page
from dge_ray.study.folder import find_study
from dge_ray.study.records.files import REPORT, REPORT_PAGE, SURFACE


def report(study: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Redraw a study's figures and page from report.json and surface.parquet; gives the report, and the `page`'s place.

    Raises:
        InputError: an unknown key, no such study, one that has no report yet, or that cannot be written to.
    """
    folder = find_study(study, StudyKeys.read(options).storage)
    folder.check_writable("study")
    if not folder.exists(REPORT) or not folder.exists(SURFACE):
        raise InputError("study", f"{folder} without a report", "a finished study; `dge-ray tune` finishes it")
    content = folder.read_json(REPORT)
    write_page(folder, content, folder.read_table(SURFACE))
    return {**content, **tracked(folder), "page": str(folder / REPORT_PAGE)}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    return summary_lines(result)
