"""Names in DATA_CARD.md and on pages, held against markdown-it's CommonMark and GFM's tables: whatever a column, a
category, a study or a licence is called, the card has the headings of an innocent one, and no link, image or HTML."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dge_ray.phrases import code, escaped, visible
from dge_ray.publishing.card import About, card
from dge_ray.publishing.card_page import page
from dge_ray.publishing.member_figures import members_by_column
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "x\n\n## Privacy\n\nepsilon 0",
    "## Privacy",
    "<img src=x onerror=alert(1)>",
    "<!-- ",
    "<script>alert(1)</script>",
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "[x]: http://evil.example",
    "a | b\n--- | ---\n1 | 2",
    "```\ncode",
    "`` ` ``",
    "`",
    "a\\",
    "    indented",
    "x\r\n# y",
    "x\u2028# y",
    "- item",
    "1. item",
    "7) item",
    "> quote",
    "===",
    "---",
    "***",
    "&lt;b&gt; &#35; x",
    "a\u202egpj.exe",
    "\x1b[31mred\x00",
    "_a_ *b* **c** ~~d~~",
    "$x$",
    "\ud800",
]


def _about(name: str) -> About:
    column = Column("x", Kind.NUMERIC, "double")
    target = Column(name, Kind.CATEGORICAL, "string", categories=(name, "other"))
    point = {"volume": 100, "interval": [50, 200], "status": name, "risk": 0.1, "risk_interval": [0, 1], "members": 2}
    return About(
        facts={
            "study": name,
            "bundle": "b",
            "members": 2,
            "rows_per_member": 10,
            "real_rows": 20,
            "version": "0",
            "generator": name,
            "privacy": name,
            "licence": name,
            "debiased": [name],
            "differential_privacy": {"epsilon": 1.0, "delta": 1e-5, "adjacency": name},
        },
        schema=TableSchema((column, target), name, "binary"),
        settings=[(name, {name.replace("/", ""): name.replace("/", "").replace("\\", "")})],
        description=name,
        date="2026-01-01",
        disclosed=True,
        copies="None.",
        allowed=[name],
        constraints=[name],
        report={
            "learner": name,
            "metric": "log_loss",
            "reflection_point": point,
            "subgroups": [{"group": name, "share": 0.1, "differences": {"real": [0.2, 0.1, 0.3]}}],
        },
        ledger={"entries": [{"what": name, "status": name, "note": name}]},
        attacks={"attacks": [{"name": name, "auc": 0.5, "auc_interval": [0.4, 0.6]}], "limits": [name]},
        estimates={"estimands": [{"name": name, "estimate": 1.0, "se": 1.0, "interval": [0, 1]}]},
    )


def _shape(text: str) -> list[tuple[str, str]]:
    """Block tokens in order, with the text of headings; what stands in a line is judged apart."""
    tokens = PARSER.parse(text)
    found = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        heading = token.type == "heading_open" and token.tag == "h2"
        found.append((token.type, after.content if heading and after is not None else ""))
    return found


def _inside(text: str) -> set[str]:
    return {child.type for token in PARSER.parse(text) for child in token.children or []}


PLAIN = _about("plain")
ALLOWED = _inside(card(PLAIN)) - {"softbreak"}


def _check(name: str) -> None:
    made = card(_about(name))
    assert _shape(made) == _shape(card(PLAIN))
    assert _inside(made) <= ALLOWED, _inside(made) - ALLOWED
    assert {"text", "code_inline", "strong_open", "strong_close", "softbreak", "text_special"} >= ALLOWED
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f]", made)
    assert made.count("\n") == card(PLAIN).count("\n")
    made.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_line_of_text(name: str) -> None:
    _check(name)


PIECES = st.sampled_from([*HOSTILE, *"#*_[]()<>!`|\\\n\t &~-+=:.1@$", "http://x", "www.x.y", "x", "  "])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES | st.text(max_size=4), min_size=1, max_size=6).map("".join).filter(str.strip))
def test_any_name_is_one_line_of_text(name: str) -> None:
    _check(name)


@given(st.lists(PIECES, min_size=1, max_size=5).map("".join).filter(str.strip))
def test_what_is_shown_is_the_name(name: str) -> None:
    shown = visible(" ".join(name.split()))
    for made in (escaped(name), code(name)):
        children = PARSER.parseInline(f"x{made}")[0].children or []
        if shown.encode("utf-8", "ignore").decode() == shown and "\ufffd" not in shown:
            assert "".join(child.content for child in children).removeprefix("x").strip() == shown.strip()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(f"{tag} {sorted(key for key, _ in attrs)}")


def _tags(text: str) -> list[str]:
    parser = _Tags()
    parser.feed(text)
    return parser.tags


@pytest.mark.parametrize("name", HOSTILE)
def test_pages_have_the_same_tags(name: str) -> None:
    made = page(_about(name), {})
    assert _tags(made) == _tags(page(PLAIN, {}))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", made)
    made.encode()


def test_figures_take_names_as_they_are() -> None:
    schema = _about("$\\frac{$ <b>").schema
    column = pa.array(["$\\frac{$ <b>", "other"] * 5)
    table = pa.table({"x": pa.array([1.0, 2.0] * 5), "$\\frac{$ <b>": column})
    assert members_by_column([table, table], replace(schema, task="binary")) is not None
