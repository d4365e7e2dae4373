"""Texts cut into words and signs, and put together again."""

import re
from collections.abc import Iterable

_PIECE = re.compile(r"<[^<>\s][^<>]{0,60}>|\w+(?:['’]\w+)*|[^\w\s]")  # a markup tag, a word, a sign
_BEFORE = re.compile(r" (?=[.,!?;:%)\]}…])")
_BEHIND = re.compile(r"(?<=[(\[{$#]) ")


def pieces(text: str) -> list[str]:
    """Words and signs of a text, in lower case.

    >>> pieces("It's GOOD,<br />really!")
    ["it's", 'good', ',', '<br />', 'really', '!']
    """
    return _PIECE.findall(text.lower())


def joined(words: Iterable[str]) -> str:
    """Words and signs as a text: signs that close stand at the word before them.

    >>> joined(["it's", 'good', ',', '(', 'really', ')', '!'])
    "it's good, (really)!"
    """
    return _BEHIND.sub("", _BEFORE.sub("", " ".join(words)))
