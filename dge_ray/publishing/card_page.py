"""index.html: a bundle's card as one self-contained page with figures."""

from collections.abc import Mapping

from dge_ray.phrases import number
from dge_ray.publishing.card import About, sections
from dge_ray.report.figures.catalogue import pictures
from dge_ray.report.shell.page import Heading, Markdown, Pairs, Paragraph, Part, render

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
    parts: list[Part] = [Pairs(rows)]
    for title, text in sections(about).items():
        parts += [Heading(title), Markdown(text)]
    parts += [Heading("Figures"), Paragraph(MEMBERS_CAPTION, soft=True), *pictures(figures)]
    return render("dge_ray bundle", about.name, about.description, parts)
