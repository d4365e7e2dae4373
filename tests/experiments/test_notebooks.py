"""The notebooks run from beginning to end in a kernel, where an event loop is running, and are committed without
outputs."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOKS = sorted((ROOT / "experiments" / "notebooks").glob("*.ipynb"))
MOST_SECONDS = 60.0  # of CPU time, of a notebook and what it starts


def test_there_are_three_without_outputs() -> None:
    assert [path.stem for path in BOOKS] == ["engineer", "publisher", "receiver"]
    for path in BOOKS:
        cells = json.loads(path.read_text())["cells"]
        assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
        for cell in cells:
            if cell["cell_type"] == "code":
                compile("".join(cell["source"]), path.name, "exec")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "the extra `notebooks` is not installed"
    nbformat, nbclient = (pytest.importorskip(name, reason=missing) for name in ("nbformat", "nbclient"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    book = nbformat.read(path, as_version=4)
    loop = nbformat.v4.new_code_cell("import asyncio\nassert asyncio.get_running_loop().is_running()")
    book.cells = [loop, *book.cells, nbformat.v4.new_code_cell(SPENT)]
    nbclient.NotebookClient(
        book, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = [out for cell in book.cells for out in cell.get("outputs", []) if out["output_type"] == "error"]
    assert said == []
    shown = [out for cell in book.cells for out in cell.get("outputs", []) if "data" in out]
    assert len(shown) >= 4, "what a study or an estimate is shows itself"
    assert float(book.cells[-1]["outputs"][-1]["text"]) < MOST_SECONDS


# The kernel's own CPU time and that of the processes that it has waited for, as Ray's are.
SPENT = """from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
print(sum(used.ru_utime + used.ru_stime for used in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN))))"""
