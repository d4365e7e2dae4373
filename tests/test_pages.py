"""The project's pages: blocks of code run, shell lines are what the verbs take, links lead somewhere.

By default all shell lines are held against the verbs' options, and what needs no Ray runs: Python, YAML and the verbs
in LIGHT. `-m slow` runs every page from its beginning to its end, each in a folder of its own.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.cluster_commands import command_faults
from helpers.page_blocks import ROOT, Block, anchors, blocks, commands, links, pages, redirected, text_of
from helpers.page_files import write_page_files
from test_layers import MAY_IMPORT

from dge_ray.commands.verbs import VERBS
from dge_ray.errors import InputError, InputErrors
from dge_ray.options import parse_words
from dge_ray.study.read_config import read_config
from dge_ray.table.reading.builtin import builtin_names

Run = Callable[..., tuple[int, str, str]]

LIGHT = {"check", "ls"}
WRITES = set(VERBS) - {*LIGHT, "verify", "status", "track"}  # verbs that end by naming what they wrote
TAKES_A_BUNDLE = {"dge_ray/inference/README.md"}  # that another page has published
NEEDS_A_STUDY = {*TAKES_A_BUNDLE, "dge_ray/evaluation/README.md", "dge_ray/tracking/README.md"}  # for its Python
COMMANDS = "dge_ray/commands/README.md"
ALL_BLOCKS = [block for page in pages() for block in blocks(page)]
RUN = [page for page in pages() if any(block.is_run for block in blocks(page))]
LIGHT_PAGES = [page for page in RUN if page not in NEEDS_A_STUDY]
CASES = [
    *(pytest.param(page, False, id=page) for page in LIGHT_PAGES),
    *(pytest.param(page, True, marks=pytest.mark.slow, id=f"{page}-whole") for page in RUN),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A folder that the pages' commands run in, one after the other, and the sources that lie in it."""
    folder = tmp_path_factory.mktemp("pages")
    write_page_files(folder)
    return {"folder": folder, "sources": {path.name for path in folder.iterdir()}}


# What a page says


def test_the_front_door_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


def test_it_installs_and_tests_as_ci_does() -> None:
    ci, front = (ROOT / ".ci" / "run").read_text(), text_of("README.md")
    for line in ("pip install -c cluster/constraints.txt -e '.[test]'", "python -m pytest -n 2"):
        assert line in front and line.replace("pip install", "pip install --quiet") in ci


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    lost = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / page).parent / name if name else ROOT / page
        place = target.resolve().relative_to(ROOT).as_posix() if target.exists() else None
        if place is None or (anchor and anchor not in anchors(place)):
            lost.append(link)
    assert lost == []


def test_that_check_can_fail() -> None:
    assert anchors("dge_ray/stats/README.md") >= {"what-each-number-means", "how-each-interval-is-made"}
    assert "no-such-heading" not in anchors("README.md")


@pytest.mark.parametrize("block", ALL_BLOCKS, ids=lambda block: block.address)
def test_a_block_says_what_it_is(block: Block) -> None:
    assert block.language in ("bash", "python", "yaml", "text"), "a block without a language is not run"
    if block.language == "text":
        assert not block.marker or block.marker.startswith("output: ")


def test_every_verb_has_its_section() -> None:
    assert [head[4:] for head in text_of(COMMANDS).splitlines() if head.startswith("### ")] == [
        f"dge-ray {verb}" for verb in sections()
    ]
    assert sorted(sections()) == sorted(VERBS)
    front = text_of("README.md")
    assert [verb for verb in VERBS if f"commands/README.md#dge-ray-{verb})" not in front] == []


def sections() -> list[str]:
    return re.findall(r"^### dge-ray (\w+)$", text_of(COMMANDS), re.M)


def test_the_rooms_and_what_they_may_import() -> None:
    rows = re.findall(
        r"^\| (?:\[(\w+)\]\(\w+/README\.md\)|(\w+)) \|.*\| ([\w, ]*) \|$", text_of("dge_ray/README.md"), re.M
    )
    table = {linked or plain: set(filter(None, allowed.split(", "))) for linked, plain, allowed in rows[1:]}
    doors = {"ground", "cli"}
    assert table == {room: allowed for room, allowed in MAY_IMPORT.items() if room not in doors}


# Shell lines against the verbs


def line_faults(words: list[str], sources: set[str]) -> list[str]:
    """What `dge-ray` would refuse of these words without looking at a table; nothing is run."""
    verb, *rest = words
    if verb not in VERBS:
        return [] if verb.startswith("-") else [f"{verb}: no such verb"]
    try:
        if verb in ("tune", "check"):
            if rest[0] in sources and rest[0].endswith(".yaml"):
                return []  # written by a line before
            config = read_config(rest[0], rest[1:])
            known = (*builtin_names(), *sources, "reviews.parquet", "t.parquet")
            fine = config.source in known or "://" in config.source or config.source.startswith("openml:")
            return [] if fine or (ROOT / rest[0]).exists() else [f"{config.source}: no such table"]
        alone = not VERBS[verb].needs_subject and "=" in rest[0]
        words = parse_words(rest[1:] if VERBS[verb].subject and not alone else rest, VERBS[verb].keys)
        VERBS[verb].keys.read(words)
    except (InputError, InputErrors) as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("page", pages())
def test_shell_lines_are_what_the_verbs_take(page: str, tables: dict[str, Any]) -> None:
    sources = {*tables["sources"], "people.yaml"}
    faults = []
    for block in blocks(page):
        if block.language != "bash":
            continue
        for words in commands(block.text):
            if any("$" in word for word in words[:3]):  # a shell's variable, whose value nobody knows
                continue
            if words[0] == "dge-ray":
                faults += [f"{block.address}: {fault}" for fault in line_faults(redirected(words[1:])[0], sources)]
            elif words[0] == "python" and words[1].endswith(".py"):
                faults += [] if (ROOT / words[1]).exists() else [f"{block.address}: no {words[1]}"]
        if page.startswith("cluster/"):
            faults += command_faults(block.text)
    assert faults == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tune", "people.csv", "memebrs=3"], "memebrs"),
        (["tune", "peopel.csv"], "no such table"),
        (["publsh", "people"], "no such verb"),
        (["publish", "people", "out=bundle", "license=MIT"], "license"),
        (["select", "bundle", "learner=[tree]"], "learner"),
    ],
)
def test_those_checks_can_fail(words: list[str], told: str) -> None:
    assert told in " ".join(line_faults(words, {"people.csv"}))


# Running them


@pytest.mark.parametrize(("page", "whole"), CASES)
def test_a_page_runs(
    page: str,
    whole: bool,
    tables: dict[str, Any],
    run: Run,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tables["folder"]
    if whole:
        request.getfixturevalue("cluster")
        folder = tmp_path / "page"
        folder.mkdir()
        write_page_files(folder)
        (folder / "mlflow.db").write_bytes(request.getfixturevalue("empty_database"))
    monkeypatch.chdir(folder)
    if whole and page in TAKES_A_BUNDLE:
        publish_a_bundle(run)
    namespace: dict[str, Any] = {}
    for block in blocks(page):
        if block.is_run and (whole or is_light(block)):
            run_block(block, run, namespace)
    for block in blocks(page) if whole else ():
        if block.marker.startswith("output: "):
            check_output(block, run)


def publish_a_bundle(run: Run) -> None:
    """The bundle that the pages for receivers read, by the publishing page's first block."""
    (first, *_) = (block for block in blocks("dge_ray/publishing/README.md") if block.language == "bash")
    for words in commands(first.text):
        run_command(first, words, run)


def is_light(block: Block) -> bool:
    """Whether it is run by default: it takes a second or few, and no Ray."""
    if block.marker == "slow":
        return False
    lines = commands(block.text) if block.language == "bash" else ()
    return all(words[0] == "dge-ray" and words[1] in LIGHT for words in lines)


def run_block(block: Block, run: Run, namespace: dict[str, Any]) -> None:
    if block.language == "python":
        exec(compile(block.text, block.address, "exec"), namespace)
    elif block.language == "yaml":
        Path("page.yaml").write_text(block.text)
        read_config("page.yaml")
    else:
        for words in commands(block.text):
            run_command(block, words, run)


def run_command(block: Block, words: list[str], run: Run) -> None:
    """`dge-ray` in this process, on the Ray that is running; anything else as it stands, from the repository's root."""
    words, file = redirected(words)
    if words[0] == "dge-ray":
        code, out, err = run(*words[1:])
        assert code == 0, f"{block.address}: {shlex.join(words)}: {err}"
        if words[1] in WRITES and not {"--json", "method=gcm"} & set(words):  # gcm keeps nothing
            assert re.search(r"^(Report|Written): ", "\n".join(out.splitlines()[-2:]), re.M), shlex.join(words)
        if file is not None:
            Path(file).write_text(out)
        return
    python = {"python": sys.executable, "python3": sys.executable}
    words = [python.get(words[0], words[0]), *(str(ROOT / w) if (ROOT / w).is_file() else w for w in words[1:])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{block.address}: {done.stderr}"


def check_output(block: Block, run: Run) -> None:
    """Every line that a page shows of `dge-ray tune` begins as a line of a study's report begins today."""
    code, out, err = run("report", "people")
    assert code == 0, err
    assert [head for head in heads(block.text) if head not in heads(out)] == []


def heads(text: str) -> list[str]:
    """What lines begin with: up to a colon, a number, or the name of a study."""
    return [re.split(r":| \d|(?<=^study) ", line)[0] for line in text.splitlines()]
