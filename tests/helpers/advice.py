"""Every `key=value` that messages advise while tests run, and whether a shell and the command line take it so.

Heard: what an InputError takes, what the command line prints on standard error, and each word that
`dge_ray.phrases.advice` makes. Words in capitals (COLUMN, NAME) and three dots are to be filled in, and no advice yet.
"""

import re
import subprocess
from collections.abc import Iterable

from dge_ray import phrases
from dge_ray.commands.verbs import VERBS
from dge_ray.errors import InputError, InputErrors
from dge_ray.options import input_errors, parse_words

KEYS = sorted({name for verb in VERBS.values() for name in verb.keys.model_fields}, key=len, reverse=True)
# A key and its value as one word of a shell: a substitution; or pieces in quotes and pieces without.
_BARE = r"[^\s'\";()|&<>$`\\]"
WORD = re.compile(
    rf"""(?<![\w.'"=$-])(?:(?P<printf>"\$\(printf '(?:{"|".join(KEYS)})[.=][^']*'\)")"""
    rf"""|(?P<word>'(?:{"|".join(KEYS)})[.=][^']*'(?:"[^"]*"|'[^']*'|{_BARE})*"""
    rf"""|(?:{"|".join(KEYS)})(?:\.{_BARE}*?)?={_BARE}+))"""
)
OPEN = re.compile(r"\b(COLUMN|DIR|FILE|KIND|NAME|NUMBER|SETTING|STUDY|TABLE|TERM|VALUE)\b|\.\.\.|\ba, maximum: b\b")
heard: set[str] = set()
made: dict[str, str] = {}  # the shell's word by what it stands for


def listen() -> None:
    """From now on every InputError and every advice is heard."""
    init, shell_word = InputError.__init__, phrases.shell_word

    def hearing(self: InputError, field: str, got: str, takes: str) -> None:
        heard.add(str(takes))
        init(self, field, got, takes)

    def making(text: str) -> str:
        made[text] = word = shell_word(text)
        return word

    InputError.__init__ = hearing  # type: ignore[method-assign]
    phrases.shell_word = making


def advised(texts: Iterable[str]) -> list[str]:
    """The words in some texts that can be pasted."""
    words = [found["printf"] or found["word"].rstrip(",.:") for text in texts for found in WORD.finditer(text)]
    return sorted({word for word in words if not OPEN.search(word) and not word.endswith("=")})


def pasted(words: list[str]) -> list[str]:
    """What a POSIX shell makes of each word, each of which must be one."""
    script = "".join(f"set -- {word}\nprintf '%s\\0%s\\0' $# \"$1\"\n" for word in words)
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    cells = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert set(cells[::2]) <= {"1"}, [word for word, count in zip(words, cells[::2], strict=True) if count != "1"]
    return cells[1::2]


def fault(word: str) -> str | None:
    """Why no verb takes a word as a shell gives it; None where one does."""
    key = re.split(r"[.=]", word, maxsplit=1)[0]
    faults = []
    for verb in VERBS.values():
        if key not in verb.keys.model_fields:
            continue
        try:
            verb.keys.model_validate({"source": "t.csv", **parse_words([word], verb.keys)})
        except InputErrors as error:
            faults.append(str(error))
        except ValueError as error:
            lines = [str(one) for one in input_errors(error, verb.keys) if one.field.split(".")[0] == key]  # type: ignore
            if not lines:  # other keys of the verb are missing
                return None
            faults += lines
        else:
            return None
    return "; ".join(faults) or f"{key}: no verb's key"


def faults() -> list[str]:
    """What is wrong with the advice that was heard, a line each."""
    words, texts = advised(heard), sorted(made)
    found = [f"{text!r} was advised as {made[text]}" for text in _differ(texts)]
    return found + [f"{word}: {why}" for word in pasted(words) if (why := fault(word))]


def _differ(texts: list[str]) -> list[str]:
    return [text for text, shell in zip(texts, pasted([made[t] for t in texts]), strict=True) if text != shell]
