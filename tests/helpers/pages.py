"""A page read with html.parser: tags must close in order; attributes and text are kept."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Balance(HTMLParser):
    """Fails where tags do not close in order; collects the attributes and the text, a term being no break in it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self._joins = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._joins |= tag == "abbr"
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()
        self._joins |= tag == "abbr"

    def handle_data(self, data: str) -> None:
        if self._joins and self.text:
            self.text[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)
        self._joins = False


def parse(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def unexplained(page: str) -> str:
    """The page without what stands behind its terms."""
    return re.sub("</?abbr[^>]*>", "", page)
