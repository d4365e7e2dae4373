"""A page's parts: every text that they hold is text on the page, and the page refers to nothing outside."""

from pathlib import Path

import pytest
from helpers.pages import parse

from dge_ray.report.figures.catalogue import FIGURES, pictures
from dge_ray.report.shell import page as pages
from dge_ray.report.shell.page import (
    Answers,
    Cards,
    Drawing,
    Fold,
    Folded,
    Glossary,
    Heading,
    Items,
    Markdown,
    Pairs,
    Paragraph,
    Part,
    Picture,
    Table,
    TableCell,
    render,
)
from dge_ray.report.shell.terms import Terms

HOSTILE = "<script>alert('x')</script>\"&{{ 7 * 7 }}"
EVERY_PART: list[Part] = [
    Heading(HOSTILE),
    Paragraph(HOSTILE),
    Items([HOSTILE], warning=True),
    Cards([(HOSTILE, HOSTILE, HOSTILE)]),
    Picture(b"png", alt=HOSTILE, title=HOSTILE, caption=HOSTILE),
    Drawing("<svg></svg>", alt=HOSTILE, title=HOSTILE, caption=HOSTILE),
    Answers([(HOSTILE, HOSTILE)]),
    Fold(HOSTILE, [Paragraph(HOSTILE)]),
    Table([HOSTILE, HOSTILE], [[HOSTILE, TableCell(HOSTILE, HOSTILE, HOSTILE)], [HOSTILE, HOSTILE]], HOSTILE, shown=1),
    Table([HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]], HOSTILE, numbers=True, strong=HOSTILE),
    Pairs([(HOSTILE, HOSTILE), (HOSTILE, None)]),
    Glossary({HOSTILE: HOSTILE}),
    Folded(HOSTILE, HOSTILE),
    Markdown(HOSTILE),
    Markdown(f"- **{HOSTILE}**\n- `{HOSTILE}`\n\n```{HOSTILE}\n{HOSTILE}\n```"),
]


@pytest.mark.parametrize("part", EVERY_PART, ids=lambda part: part.kind)
def test_a_parts_texts_are_text(part: Part) -> None:
    page = render(HOSTILE, HOSTILE, HOSTILE, [part])
    assert "<script" not in page and "49" not in page.split("</style>")[1]
    parsed = parse(page)
    assert not any("script" in tag or name.startswith("on") for tag, name, _ in parsed.attributes)
    plain = parse(render("a", "b", "c", []))
    assert HOSTILE in "".join(parsed.text) and len(parsed.text) > len(plain.text)


def test_every_kind_of_part_is_tried() -> None:
    assert {type(part) for part in EVERY_PART} == set(Part.__args__)


def test_markdown_has_what_the_card_uses_and_nothing_that_refers_outside() -> None:
    text = Markdown("**A** `b<c`, *d*\n\n- one\n- two\n\n```python\nx = 1 < 2\n```").html
    assert "<strong>A</strong> <code>b&lt;c</code>, <em>d</em>" in text
    assert "<li>one</li>" in text and "x = 1 &lt; 2" in text
    for source in (
        "[a](https://example.org)",
        "![a](https://example.org/a.png)",
        "<https://example.org>",
        "<b onclick='x'>a</b>",
        "[a]: https://example.org\n\n[a]",
    ):
        tags = {tag for tag, _, _ in parse(Markdown(source).html).attributes}
        assert not tags & {"a", "img", "b"} and "href" not in Markdown(source).html, source


def test_the_look_refers_to_nothing_outside() -> None:
    folder = Path(pages.__file__).parent
    look, template = (folder / "style.css").read_text(), (folder / "page.html.j2").read_text()
    assert "url(" not in look and "@import" not in look and "http" not in look + template
    assert template.count("safe }}") == 2, "Markdown and drawings alone give HTML"


def test_figures_have_one_list_and_names_of_their_own() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names) and all(figure.title and figure.caption for figure in FIGURES)
    shown = list(pictures({names[1]: b"1", "members_by_column": b"2"}))
    assert shown[0].title == FIGURES[1].title and shown[0].caption == FIGURES[1].caption
    assert shown[1].title == "members by column" and not shown[1].caption


def test_the_first_of_a_term_has_its_meaning_behind_it() -> None:
    parts: list[Part] = [Paragraph("Log loss, AUCs and AUC <b>."), Heading("AUC"), Table(["AUC"], [["log loss"]])]
    page = render("a", "b", "", parts, {"AUC": HOSTILE, "log loss": "in nats", "loss": "never of its own"})
    explained = [(name, value) for tag, name, value in parse(page).attributes if tag == "abbr" and name == "title"]
    assert explained == [("title", "in nats"), ("title", HOSTILE)]
    assert (
        "<abbr title='in nats' tabindex='0'>Log loss</abbr>, <abbr" in page and "AUC</abbr>s and AUC &lt;b&gt;" in page
    )
    assert Terms({})("AUC") == "AUC" and Terms({"AUC": "x"})("AUCtion x-AUC") == "AUCtion x-AUC"


def test_contents_lead_to_every_heading() -> None:
    page = parse(render("a", "b", "", [Heading("one"), Paragraph("x"), Heading("two"), Fold("three", [Heading("in")])]))
    ids = [value for tag, name, value in page.attributes if tag == "h2" and name == "id"]
    assert [value for tag, name, value in page.attributes if tag == "a"] == [f"#{value}" for value in ids]
    assert len(ids) == 2
