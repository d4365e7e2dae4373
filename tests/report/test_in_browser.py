"""Every kind of page in headless Chromium: nothing is told to the console or asked of a network, nothing is wider than
the window, cut off or over another text, in both themes and three widths. Screenshots lie in the test's folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browser import CHROMIUM, CLIPPED, NO_CHROMIUM, SMALLEST, UNFOLD, WIDER, Browser, browser
from helpers.fake_pages import PAGES, study_report

from dge_ray.report.study_page import render_html

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
WIDTHS = (1400, 800, 500)
READABLE = 8.0  # pixels: the size of a figure's ticks in print, at which digits can be read on a screen


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def faults(opened: Browser) -> list[str]:
    return [*opened.told, *opened.run(WIDER), *opened.run(CLIPPED)]


def check(opened: Browser, name: str, folder: Path, widths: tuple[int, ...]) -> None:
    opened.open(PAGES[name](), folder, width=widths[0])
    found = {}
    for width in widths:
        for dark in (False, True):
            opened.look(width=width, dark=dark)
            theme = "dark" if dark else "light"
            opened.screenshot(folder / f"{name}_{width}_{theme}.png")
            found[width, theme] = faults(opened)
            assert opened.run(SMALLEST) >= READABLE, (width, opened.run(SMALLEST))
    opened.run(UNFOLD)
    for width in widths:
        opened.look(width=width)
        opened.screenshot(folder / f"{name}_{width}_unfolded.png")
        found[width, "unfolded"] = faults(opened)
    assert not any(found.values()), found


def test_a_studys_page_in_a_narrow_window(chromium: Browser, tmp_path: Path) -> None:
    chromium.open(render_html(study_report(told=False), {}), tmp_path, width=500, dark=True)
    chromium.screenshot(tmp_path / "study.png")
    assert not faults(chromium) and chromium.run(SMALLEST) >= READABLE


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_pages_in_every_window(chromium: Browser, tmp_path: Path, name: str) -> None:
    check(chromium, name, tmp_path, WIDTHS)


@pytest.mark.slow
def test_the_faults_would_be_seen(chromium: Browser, tmp_path: Path) -> None:
    """Each of them put into a page by hand."""
    svg = "<svg width='90' height='40' viewBox='0 0 90 40'>{}</svg>"
    for body, said in (
        ("<script>nothing.there()</script>", "nothing is not defined"),
        ("<img alt='' src='https://example.org/a.png'>", "https://example.org/a.png"),
        ("<p style='width:900px'>wide</p>", "wide"),
        ("<p style='width:50px;overflow:hidden;white-space:nowrap'>a text that is cut</p>", "cut off"),
        (svg.format("<text x='80' y='20'>beyond the edge</text>"), "outside its drawing"),
        (svg.format("<text x='5' y='20'>one</text><text x='8' y='22'>two</text>"), "over one another"),
    ):
        chromium.open(f"<!DOCTYPE html><html><body>{body}</body></html>", tmp_path, width=500)
        assert said in " ".join(faults(chromium)), body
    chromium.open("<!DOCTYPE html><html><body><p>plain</p></body></html>", tmp_path, width=500)
    assert not faults(chromium)


@pytest.mark.slow
def test_a_theme_is_followed(chromium: Browser, tmp_path: Path) -> None:
    chromium.open(PAGES["classification"](), tmp_path, width=800)
    ink, seen = "getComputedStyle(document.querySelector('svg text')).fill", []
    for dark in (False, True):
        chromium.look(width=800, dark=dark)
        seen.append((chromium.run(ink), chromium.run("getComputedStyle(document.body).backgroundColor")))
    assert seen[0][0] == seen[1][0].replace("232, 234, 237", "28, 31, 35") and seen[0][1] != seen[1][1]
