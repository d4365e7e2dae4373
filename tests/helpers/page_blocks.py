"""The project's Markdown pages: their code blocks, links and anchors; and their shell lines held against the verbs.

A comment before a block says what is special about it:

    <!-- not run: REASON -->   no test runs it
    <!-- slow -->              `-m slow` runs it, the default run does not
    <!-- output: tune -->      what `dge-ray tune` prints
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)$")
MARKER = re.compile(r"^<!-- (not run: .+|slow|output: \w+) -->$")
RAN = ("bash", "python", "yaml")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text, and the marker before it ("" if there is none)."""

    page: str
    line: int
    language: str
    text: str
    marker: str

    @property
    def address(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.language in RAN and not self.marker.startswith("not run: ")


@cache
def pages() -> tuple[str, ...]:
    """Every README of the repository, as paths below its root."""
    found = [ROOT / "README.md"]
    for folder in ("dge_ray", "cluster", "experiments"):
        found += sorted((ROOT / folder).rglob("README*.md"))
    return tuple(path.relative_to(ROOT).as_posix() for path in found)


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text()


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    lines = text_of(page).splitlines()
    found = []
    start = None
    for at, line in enumerate(lines):
        opening = FENCE.match(line)
        if start is None and opening:
            start, language = at, opening[1]
        elif start is not None and line == "```":
            marker = MARKER.match(lines[start - 1]) if start else None
            text = "\n".join(lines[start + 1 : at]) + "\n"
            found.append(Block(page, start + 1, language, text, marker[1] if marker else ""))
            start = None
    assert start is None, f"{page}: a block that does not end"
    return tuple(found)


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: str) -> list[str]:
    """Where a page's links and pictures lead."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in a shell block; comments off, continued lines joined, `.venv/bin/` off."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line.replace(".venv/bin/", ""), posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|"):
                yield from [words] if words else []
                words = []
            else:
                words.append(word)


def redirected(words: list[str]) -> tuple[list[str], str | None]:
    """A command without its `> FILE`, and that file."""
    if len(words) > 2 and words[-2] == ">":
        return words[:-2], words[-1]
    return words, None
