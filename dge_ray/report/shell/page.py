"""A page as a list of parts, and the one template that makes HTML of it: `page.html.j2`, with the look of `style.css`.

A page is self-contained: no script, no outside resource; images are in it. The template escapes every text that it is
given; only `Markdown` holds HTML, made by a parser that escapes HTML in its source.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from dge_ray.phrases import NOTHING, visible
from dge_ray.report.shell.terms import Terms


@dataclass(frozen=True)
class Heading:
    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    kind: ClassVar = "paragraph"
    text: str
    soft: bool = False


@dataclass(frozen=True)
class Items:
    """A list; `warning`: in a frame."""

    kind: ClassVar = "items"
    texts: Sequence[str]
    warning: bool = False


@dataclass(frozen=True)
class Cards:
    """The numbers to see first: title, value and note of each."""

    kind: ClassVar = "cards"
    cards: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Picture:
    """A PNG with its title, which is its alternative text too, and its caption; where either is there."""

    kind: ClassVar = "picture"
    png: bytes
    alt: str
    title: str = ""
    caption: str = ""

    @property
    def data(self) -> str:
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Drawing:
    """An SVG of this package, whose colours follow the page's; `alt`: what it shows, for those who do not see it."""

    kind: ClassVar = "drawing"
    svg: str
    alt: str
    title: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Answers:
    """Questions with their answers, the first thing on a page."""

    kind: ClassVar = "answers"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Fold:
    """Parts behind their title."""

    kind: ClassVar = "fold"
    title: str
    parts: Sequence[Any]


@dataclass(frozen=True)
class TableCell:
    """A cell with a second, smaller line; `mark` is the class of the first one: better, worse, level or
    untold."""

    text: str
    small: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """`numbers`: the first cell of a row is its name, the others are numbers. `strong`: the name of the row that stands
    out. `shown`: so many rows are seen, the others folded away."""

    kind: ClassVar = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    caption: str = ""
    numbers: bool = False
    strong: str | None = None
    shown: int | None = None


@dataclass(frozen=True)
class Pairs:
    """A table of names and values."""

    kind: ClassVar = "pairs"
    rows: Iterable[tuple[str, Any]]


@dataclass(frozen=True)
class Glossary:
    """What words mean."""

    kind: ClassVar = "words"
    meanings: Mapping[str, str]


@dataclass(frozen=True)
class Folded:
    """A long text behind its title."""

    kind: ClassVar = "folded"
    title: str
    text: str


@dataclass(frozen=True)
class Markdown:
    """Paragraphs, lists, code, **strong** and *emphasis*; anything else, HTML too, is text."""

    kind: ClassVar = "markdown"
    text: str

    @property
    def html(self) -> str:
        return _markdown().render(self.text)


Part = (
    Heading
    | Paragraph
    | Items
    | Cards
    | Picture
    | Drawing
    | Answers
    | Table
    | Pairs
    | Glossary
    | Folded
    | Fold
    | Markdown
)


def render(maker: str, title: str, verdict: str, parts: Iterable[Part], words: Mapping[str, str] | None = None) -> str:
    """The page as HTML. `maker`: what made it, above the title; `verdict`: the sentence to read if only one is read;
    empty where the parts begin with the answer; `words`: the meaning of terms, which stands behind them."""
    template = _templates().get_template("page.html.j2")
    parts, terms = list(parts), Terms(words or {})
    return template.render(maker=maker, title=title, verdict=verdict, parts=parts, nothing=NOTHING, terms=terms)


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(
        loader=loader,
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """A text without characters that act unseen; `Markup` is ours."""
    return visible(value) if type(value) is str else value


@cache
def _markdown() -> MarkdownIt:
    """Without images and links: a page refers to nothing outside."""
    return MarkdownIt("zero", {"html": False}).enable(["list", "fence", "backticks", "emphasis", "escape", "entity"])
