"""CSV in the dialects of helpers/csv_cases.py, against what was written: names, cells and values, none changed."""

import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.csv_cases import Case, draw_case

from dge_ray.errors import InputError
from dge_ray.table.reading.load import load_table, read_table


def faults(case: Case, folder: Path) -> list[str]:
    """What is read otherwise than it was written; a refusal is none of these."""
    source = case.write(folder)
    read = read_table(source)
    assert read.dialect is not None
    found = []
    if read.table.column_names != case.names:
        return [f"names {read.table.column_names}"]
    if [list(row) for row in zip(*(c.to_pylist() for c in read.table.columns), strict=True)] != case.cells:
        found.append("cells")
    if case.decimal and read.dialect.decimal != case.decimal:
        found.append(f"decimal {read.dialect.decimal}")
    if case.thousands and read.dialect.thousands != case.thousands:
        found.append(f"thousands {read.dialect.thousands}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = load_table(source)
    for name, values, column in zip(case.names, case.values, table.columns, strict=True):
        if column.to_pylist() != values:
            found.append(f"values of {name}: {column.type}")
    return found


def judged(seeds: range, folder: Path) -> dict[int, list[str]]:
    """Of the seeds that are not read as written: what is, or the refusal."""
    odd: dict[int, list[str]] = {}
    for seed in seeds:
        case = draw_case(seed)
        try:
            what = faults(case, folder)
        except InputError as error:
            what = [f"refused: {error}"]
        if what:
            odd[seed] = [case.what, *what]
    return odd


def test_forty_dialects(tmp_path: Path) -> None:
    assert judged(range(40), tmp_path) == {}


@pytest.mark.slow
def test_five_hundred_dialects_are_read_as_written_and_none_is_changed(tmp_path: Path) -> None:
    odd = judged(range(1000, 1500), tmp_path)
    assert len(odd) <= 5, odd
    assert not [what for what in odd.values() if not what[1].startswith("refused")]


def test_that_a_changed_cell_is_found(tmp_path: Path) -> None:
    case = draw_case(0)
    case.cells[3][0] = "another"
    assert "cells" in faults(case, tmp_path)


def test_a_case_is_the_same_for_the_same_seed() -> None:
    assert draw_case(7) == draw_case(7) and draw_case(7) != draw_case(8)
    assert isinstance(draw_case(7).data, bytes) and pa.array(draw_case(7).values[0]).null_count < 12
