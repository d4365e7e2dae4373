"""Terms in a page's texts: the first of each has its meaning behind it, for mouse, keyboard and screen reader."""

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from dge_ray.phrases import visible


class Terms:
    """Of one page. `meanings`: by term; a term stands for its plural too, in whatever case it is written."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self._left = {term.lower(): text for term, text in meanings.items()}
        words = "|".join(map(re.escape, sorted(self._left, key=len, reverse=True)))
        self._pattern = re.compile(rf"(?<![\w-])({words})(?=s?(?![\w-]))", re.IGNORECASE) if words else None

    def __call__(self, text: object) -> Markup:
        """The text, escaped, with its terms that have not been met before explained."""
        shown = visible(str(text))
        if self._pattern is None:
            return escape(shown)
        parts, at = list[Markup](), 0
        for found in self._pattern.finditer(shown):
            meaning = self._left.pop(found[1].lower(), None)
            if meaning is not None:
                parts += [escape(shown[at : found.start()]), _ABBR.format(meaning, found[1])]
                at = found.end()
        return Markup("").join([*parts, escape(shown[at:])])


_ABBR = Markup("<abbr title='{}' tabindex='0'>{}</abbr>")
