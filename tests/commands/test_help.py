"""Every verb's keys, as its model declares them, its help prints them, and dge_ray/commands/README.md lists them."""

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import dge_ray.commands
from dge_ray.commands.help import COLUMN, keys_of, table
from dge_ray.commands.verbs import GROUPS, VERBS

Run = Callable[..., tuple[int, str, str]]
PAGE = Path(dge_ray.commands.__file__).with_name("README.md")
COLUMNS, LINES = 80, 24


def test_the_overview_fits_a_screen(run: Run) -> None:
    for words in ([], ["--help"], ["-h"]):
        code, out, err = run(*words)
        lines = out.rstrip("\n").split("\n")
        assert (code, err) == (0, "")
        assert len(lines) <= LINES and max(map(len, lines)) <= COLUMNS
        for group, verbs in GROUPS.items():
            at = lines.index(f"{group}:")
            assert [line.split()[0] for line in lines[at + 1 : at + 1 + len(verbs)]] == list(verbs)
    assert sorted(VERBS) == sorted(verb for verbs in GROUPS.values() for verb in verbs)


def test_the_version(run: Run) -> None:
    assert run("--version")[:2] == (0, f"dge-ray {version('dge-ray')}\n")


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_shows_its_own_keys_and_fits_a_screen(run: Run, name: str) -> None:
    verb = VERBS[name]
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "") and run(name, "-h")[1] == out
    lines = out.rstrip("\n").split("\n")
    assert max(map(len, lines)) <= COLUMNS
    assert lines[0].startswith(f"Usage: dge-ray {name} {verb.subject}".rstrip())
    own = {key.name: key.default for key in keys_of(verb.keys) if key.name != "source"}
    shown = [line for line in lines if re.match(r"  [\w.]+=", line)]
    assert sorted(line.split("=")[0].strip() for line in shown) == sorted(own)
    for line in shown:
        key, _, text = line.strip().partition("=")
        assert text == own[key] or line[:COLUMN].strip() == f"{key}={own[key]}", line
    assert len(verb.examples) == 2 and all(f"  dge-ray {example}" in lines for example in verb.examples)
    # The first screen has the examples and the common keys whole; where a verb has more keys, these come below.
    first = lines.index("More keys:") - 1 if "More keys:" in lines else len(lines)
    assert first <= LINES
    assert set(verb.common) <= set(own)


@pytest.mark.parametrize("name", VERBS)
def test_the_page_has_each_verb_and_key(name: str) -> None:
    text = PAGE.read_text()
    expected = table(VERBS[name].keys)
    if name == "check":  # which takes tune's
        name = "tune"
    found = re.search(rf"<!-- keys: {name} -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert found and found[1].strip() == expected, (
        f"dge_ray/commands/README.md: put this between <!-- keys: {name} --> and <!-- end -->\n\n{expected}"
    )
    assert f"### dge-ray {name}\n" in text


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_its_function_and_its_lines(name: str) -> None:
    module = import_module(f"dge_ray.commands.{name}")
    assert callable(getattr(module, name)) and callable(module.lines)


def test_the_shell_completes_verbs_and_keys() -> None:
    def complete(words: str) -> list[str]:
        environment = {"_DGE_RAY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        command = [sys.executable, "-m", "dge_ray.cli"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert complete("dge-ray sta") == ["status"]
    assert complete("dge-ray attack study att") == ["attributes="]
