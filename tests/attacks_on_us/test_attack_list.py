"""The list of attacks in README.md names tests that are there, and that the default suite or `-m slow` runs."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = [
    line
    for line in (HERE / "README.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "| tests |" not in line
]


def named(row: str) -> list[tuple[Path, list[str]]]:
    """Each file of a row's last cell and the tests named after it."""
    parts = [part for part in row.split("|")[-2].split("; ") if part.strip()]
    found = []
    for part in parts:
        link = re.search(r"\[[^]]+\]\(([^)]+)\): ", part)
        assert link is not None, part
        found.append((HERE / link[1], re.findall(r"`(\w+)`", part[link.end() :])))
    return found


def test_all_that_was_found_is_on_the_list() -> None:
    assert len(ROWS) == 21  # ten of privacy, five of security, six of operations: lines are added, none leaves


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_has_tests_that_are_there(row: str) -> None:
    files = named(row)
    assert files and all(names for _, names in files)
    for file, names in files:
        functions = [
            node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
        ]
        assert set(names) <= {one.name for one in functions if one.name.startswith("test_")}, file
        skipped = {one.name for one in functions for mark in one.decorator_list if "skip" in ast.unparse(mark)}
        assert not skipped & set(names), file
