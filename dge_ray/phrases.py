"""Numbers as people read them: separators and digits, ratios, intervals, durations; a dash for nothing.

And names as people may safely read them: those of columns and categories can hold whatever a file can.
"""

import json
import math
import re
import shlex
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeGuard

NOTHING = "–"
_WORD_BEGINS = re.compile(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])|(?<=[A-ZÄÖÜ])(?=[A-ZÄÖÜ][a-zäöüß])")
EPSILONS_ADD_UP = "the epsilons of several studies of one table add up (privacy.parent=STUDY counts them together)"


def finite(value: Any) -> TypeGuard[float]:
    """True for a real, finite number; False for None, nan, text and truth values."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, *, signed: bool = False) -> str:
    """A number for people: integers with thousands separators, others to 4 significant digits, a dash for nothing."""
    if not finite(value):
        return NOTHING
    sign = "+" if signed else ""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value):{sign},d}"
    if value == 0:
        return f"{0:{sign}.0f}"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        return f"{value:{sign}.3g}"
    return f"{value:{sign},.{max(0, 3 - math.floor(math.log10(size)))}f}" if size >= 1 else f"{value:{sign}.4f}"


def about(count: float) -> str:
    """A rough number: two significant digits.

    >>> about(10_129), about(57)
    ('about 10,000', 'about 57')
    """
    step = 10 ** max(math.floor(math.log10(max(count, 1))) - 1, 0)
    return f"about {round(count / step) * step:,}"


def ratio_text(volume: Any, n: Any) -> str:
    """`volume` as a multiple of the n real rows, as `2x`."""
    return f"{volume / n:.3g}x" if finite(volume) and finite(n) and n else NOTHING


def interval_text(interval: Any, *, signed: bool = False) -> str:
    """`lo to hi`, or a dash.

    >>> interval_text([1.13e-08, 0.0886])
    '0 to 0.0886'
    """
    if not isinstance(interval, Sequence) or isinstance(interval, str) or len(interval) != 2:
        return NOTHING
    if not any(finite(end) for end in interval):
        return NOTHING
    if interval[0] == interval[1]:
        return f"{number(interval[0], signed=signed)} alone"
    low, high = (beside(end, interval) for end in interval)
    return f"{number(low, signed=signed)} to {number(high, signed=signed)}"


def beside(value: Any, interval: Any) -> Any:
    """The value, or 0 where it is under a thousandth of its interval's larger end: nobody reads 1.13e-08 to 0.0886.

    >>> beside(9.85e-17, (-0.01, 0.02)), beside(0.004, (-0.01, 0.02))
    (0, 0.004)
    """
    ends = [abs(end) for end in interval or () if finite(end)]
    return 0 if finite(value) and ends and abs(value) < max(ends) / 1000 else value


def duration(seconds: Any) -> str:
    """Seconds as people say them."""
    if not finite(seconds):
        return NOTHING
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def visible(text: str) -> str:
    """Without characters that are not seen but act: control characters, and such as turn the direction of writing.

    Each becomes its escape; line breaks and tabs stay, and so do the joiners that some scripts need.

    >>> visible("a\u202eb")
    'a\\\\u202eb'
    """
    if text.isprintable():  # what acts is not; a page's pictures are long texts
        return text
    return "".join(f"\\u{ord(c):04x}" if _acts(c) else c for c in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\n\t\u200c\u200d"


def one_line(text: str) -> str:
    """In one line of visible characters."""
    return visible(" ".join(text.split()))


def escaped(text: str) -> str:
    """One line of Markdown that shows the text and does nothing: no heading, list, emphasis, link, image or HTML.

    >>> print(escaped("# <b>*1* https://x</b>"))
    \\# \\<b\\>\\*1\\* https\\://x\\</b\\>
    """
    line = re.sub(r"([\\`*_\[\]<>&!#~|$^{}]|(?<=www)\.|:(?=//)|@)", r"\\\1", one_line(text))
    return re.sub(r"^([+=:%-]|\d+(?=[.)]|$))", lambda found: _first_escaped(found[0]), line)


def _first_escaped(start: str) -> str:
    """At the start of a line `1.` is a list as `-` is, and the full stop may come behind the text. A digit cannot be
    escaped, so an entity stands for it."""
    return f"&#{ord(start[0])};{start[1:]}" if start[0].isdigit() else f"\\{start}"


def code(text: str) -> str:
    """As `escaped`, in a code span, for names."""
    line = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if not line or line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


_in_python: ContextVar[bool] = ContextVar("in_python", default=False)


@contextmanager
def spoken_in_python() -> Iterator[None]:
    """Within the block, messages about columns speak of a frame X, and not of keys that only a study has."""
    token = _in_python.set(True)
    try:
        yield
    finally:
        _in_python.reset(token)


def advice(key: str, value: str | Sequence[str]) -> str:
    r"""`key=value` as one word of a POSIX shell: what a message advises can be pasted. Several texts are a list.

    >>> print(advice("drop", ["a", "b c"]), advice("columns.Item #", "integer"), advice("target", "a\nb"))
    'drop=[a,b c]' 'columns.Item #=integer' "$(printf 'target=a\012b')"
    """
    typed = value if isinstance(value, str) else f"[{','.join(map(list_item, value))}]"
    return shell_word(f"{key}={typed}")


def shell_word(text: str) -> str:
    """A text as one word of a POSIX shell, in one line of characters that are seen."""
    if not any(map(_hides, text)):
        return shlex.quote(text)
    format_ = "".join(_octal(c) if _hides(c) or c == "'" else {"\\": r"\\", "%": "%%"}.get(c, c) for c in text)
    return f"\"$(printf '{format_}')\""


def list_item(text: str) -> str:
    """A text as an item of a list of texts: in double quotes, its own doubled, where it would be taken for more.

    >>> print(list_item("a b"), list_item("a,b"))
    a b "a,b"
    """
    if text and text == text.strip() and "," not in text and text[0] not in "'\"[":
        return text
    return '"' + text.replace('"', '""') + '"'


def _hides(character: str) -> bool:
    return _acts(character) or character in "\n\t"


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))


def without(*columns: str) -> str:
    """What leaves columns out: a study's key, to be pasted; where there is none, in words.

    >>> without("a", "b")
    "drop with 'drop=[a,b]'"
    """
    if _in_python.get():
        return "or X without " + ("it" if len(columns) == 1 else "them")
    return f"drop with {advice('drop', columns)}"


def or_set(column: str, kind: str) -> str:
    """The key that has a column taken for another kind, where there is one."""
    return "" if _in_python.get() else f" or set {advice(f'columns.{column}', kind)}"


def modelled(column: str, kind: str) -> str:
    """What has a column taken for another kind."""
    return "dtype category models it" if _in_python.get() else f"{advice(f'columns.{column}', kind)} models it"


def missing_if(column: str, values: Sequence[str], said: Mapping[str, Any]) -> str:
    """What has values of a column taken for missing ones, if that is what they stand for. `said`: of the column so far.

    >>> missing_if("age", ["-999"], {"kind": "integer"})
    "if they stand for missing ones, 'columns.age={kind: integer, null_values: [-999]}' says so"
    >>> print(missing_if("job", ["?"], {}))
    if they stand for missing ones, 'columns.job={null_values: ["?"]}' says so
    """
    if _in_python.get():
        return "if they stand for missing ones, X needs NaN there"
    listed = ", ".join(map(_in_yaml, [*said.get("null_values", ()), *values]))
    settings = [*(f"{key}: {value}" for key, value in said.items() if key != "null_values"), f"null_values: [{listed}]"]
    word = advice(f"columns.{column}", f"{{{', '.join(settings)}}}")
    return f"if they stand for missing ones, {word} says so"


def _in_yaml(value: Any) -> str:
    """A number or date as an item of a list, another text in quotes."""
    text = str(value)
    return text if re.fullmatch(r"-?\d[\d.e+: -]*", text) else json.dumps(text, ensure_ascii=False)


def or_key(word: str) -> str:
    """A study's key that settles it, where there is one."""
    return "" if _in_python.get() else f"; {word} settles it"


def words_of(name: str) -> list[str]:
    """The words of a column's name, in lower case, whatever the script.

    >>> words_of("customerID"), words_of("Last Name"), words_of("HTMLPage_2"), words_of("Фамилия")
    (['customer', 'id'], ['last', 'name'], ['html', 'page'], ['фамилия'])
    """
    return [word.lower() for word in re.findall(r"[^\W\d_]+", _WORD_BEGINS.sub(" ", name))]
