"""Text is UTF-8 whatever the locale says: every call of the package that opens text names its encoding."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dge_ray"


def unnamed(source: str) -> Iterator[int]:
    """Lines of calls that read or write text in the locale's encoding."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        called = ast.unparse(node.func)
        if called.startswith("distribution("):  # importlib.metadata's own, which is UTF-8
            continue
        if called.endswith((".read_text", ".write_text")):
            yield node.lineno
        elif called == "open" or called.endswith(".NamedTemporaryFile"):
            mode = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
            if not mode or "b" not in ast.unparse(mode[0]):
                yield node.lineno


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_text_file_names_its_encoding(path: Path) -> None:
    assert list(unnamed(path.read_text(encoding="utf-8"))) == []


def test_the_check_can_fail() -> None:
    bad = "Path(p).read_text()\nopen(p)\nopen(p, 'w')\nq.write_text(t)\n"
    assert list(unnamed(bad)) == [1, 2, 3, 4]
    assert list(unnamed("open(p, 'rb')\nq.read_text(encoding='utf-8')\n")) == []


def test_a_study_yaml_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("source: daten.csv\ntarget: größe\n", encoding="utf-8")
    code = "from dge_ray.study.read_config import read_config; print(ascii(read_config('s.yaml').target))"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, r"'gr\xf6\xdfe'"), done.stderr[-500:]
