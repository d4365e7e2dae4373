"""The examples in docstrings give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "dge_ray").rglob("*.py"))
    if ">>> " in path.read_text()
]


# Modules whose examples fit generators on Ray: seconds of work.
STUDIES = {"dge_ray.commands.api.study": ("tune", "open_study"), "dge_ray.commands.evaluate": ("evaluate",)}


@pytest.mark.parametrize("name", [name for name in MODULES if name not in STUDIES])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert tried and not failed


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("name", sorted(STUDIES))
def test_examples_of_studies(name: str, cluster: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one order, in a folder of their own: the second reads what the first has made."""
    monkeypatch.chdir(tmp_path)
    module = import_module(name)
    runner = doctest.DocTestRunner()
    for object_name in STUDIES[name]:
        (found,) = doctest.DocTestFinder(recurse=False).find(getattr(module, object_name), globs=vars(module))
        assert found.examples and not runner.run(found).failed
