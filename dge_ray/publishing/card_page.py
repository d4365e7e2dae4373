"""index.html: a bundle's card as one self-contained page with figures."""

from collections.abc import Mapping

from dge_ray.phrases import number
from dge_ray.publishing.card import About, sections
from dge_ray.report.figures.catalogue import pictures
from dge_ray.report.shell.page import Answers, Heading, Markdown, Pairs, Paragraph, Part, render
from dge_ray.report.words.answer import QUESTIONS, answer_sentences
from dge_ray.report.words.glossary import terms

FILE = "index.html"
NOT_SAID = "Its maker says nothing of how well models do that are trained on it."
TRUST = QUESTIONS[2]
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
    parts: list[Part] = [Answers(answers(about)), Pairs(rows)]
    for title, text in sections(about).items():
        parts += [Heading(title), Markdown(text)]
    parts += [Heading("Figures"), Paragraph(MEMBERS_CAPTION, soft=True), *pictures(figures)]
    return render("dge_ray bundle", about.name, about.description, parts, terms())


def answers(about: About) -> list[tuple[str, str]]:
    """What to know if nothing else is read: question and answer."""
    trust = [text for question, text in answer_sentences(about.report) if question == TRUST] if about.disclosed else []
    return [
        ("May I use it?", f"Licence: {about.facts['licence']}."),
        ("Is it private?", f"{str(about.facts['privacy']).rstrip('.')}."),
        (TRUST, trust[0] if trust else NOT_SAID),
    ]
