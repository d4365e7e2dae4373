"""index.html: a bundle's card as one self-contained page with figures. No script, no outside resource; all
is escaped."""

import re
from collections.abc import Mapping
from html import escape

from dge_ray.phrases import number
from dge_ray.publishing.card import About, sections
from dge_ray.report.study_page import figure_part, pairs_part
from dge_ray.report.style import STYLE

FILE = "index.html"
MEMBERS_CAPTION = (
    "Members by column, from their synthetic rows alone: a colour a member; shares of the commonest categories, or a "
    "number's quantiles (0.5 is the median)."
)


def page(about: About, figures: Mapping[str, bytes]) -> str:
    """The page; `figures`: PNG by name."""
    facts = about.facts
    rows = [
        ("members", number(facts["members"])),
        ("rows a member", number(facts["rows_per_member"])),
        ("columns", number(len(about.schema.columns))),
        ("target", f"{about.schema.target} ({about.schema.task})"),
        ("generator", facts["generator"]),
        ("privacy", facts["privacy"]),
        ("licence", facts["licence"]),
        ("bundle", facts["bundle"]),
    ]
    body = [
        f"<p class='soft'>dge_ray bundle</p><h1>{escape(about.name)}</h1>",
        f"<p class='verdict'>{escape(about.description)}</p>",
        pairs_part(rows),
        *(f"<h2>{escape(title)}</h2>{to_html(text)}" for title, text in sections(about).items()),
        f"<h2>Figures</h2><p class='soft'>{escape(MEMBERS_CAPTION)}</p>",
        *(figure_part(name, png) for name, png in figures.items()),
    ]
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n<link rel='icon' href='data:,'>\n"
        f"<title>{escape(about.name)} · dge_ray</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def to_html(text: str) -> str:
    """The card's Markdown as HTML: paragraphs, lists, blocks of code, `code` and **bold**; everything is escaped.

    >>> to_html("**A** `b<c`\\n\\n- one\\n- two")
    '<p><b>A</b> <code>b&lt;c</code></p><ul><li>one</li><li>two</li></ul>'
    """
    parts = []
    for at, block in enumerate(text.split("```")):
        if at % 2:
            parts.append(f"<pre>{escape(block.partition(chr(10))[2])}</pre>")
            continue
        for paragraph in filter(None, (one.strip() for one in block.split("\n\n"))):
            lines = paragraph.split("\n")
            if all(line.startswith("- ") for line in lines):
                parts.append(f"<ul>{''.join(f'<li>{_inline(line[2:])}</li>' for line in lines)}</ul>")
            else:
                parts.append(f"<p>{_inline(paragraph)}</p>")
    return "".join(parts)


def _inline(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text)))
