"""What `dge-ray --help` and `dge-ray VERB --help` print, 80 columns wide, and the tables of keys of README.md."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from dge_ray.commands.verbs import GROUPS, SUBJECTS, VERBS
from dge_ray.options import PART, also
from dge_ray.spelling import inner_model

WIDTH, COLUMN = 80, 21  # of a text, and where the descriptions of keys begin

ABOUT = (
    "Deep generative ensembles: how many generators, how many synthetic rows, and",
    "can the answer be trusted? `dge-ray VERB --help` shows a verb's keys.",
)


def overview() -> list[str]:
    """The verbs by group."""
    shown = ["Usage: dge-ray VERB [key=value ...] [--json]", *ABOUT]
    for group, names in GROUPS.items():
        shown.append(f"{group}:")
        shown += [f"  {f'{name} {VERBS[name].subject}':<18}{VERBS[name].what}" for name in names]
    return [*shown, "options: --version, --install-completion, --show-completion, --help (-h)"]


def verb_help(name: str) -> list[str]:
    """A verb: what it does, two examples, and its keys with their defaults; the common ones first."""
    verb = VERBS[name]
    keys = [key for key in keys_of(verb.keys) if key.name != "source"]
    first = [key for key in keys if key.name in verb.common or not verb.common]
    rest = [key for key in keys if key not in first]
    subject = [f"{verb.subject}: {SUBJECTS[verb.subject]}"] if verb.subject else []
    return [
        f"Usage: dge-ray {' '.join([name, *filter(None, [verb.subject])])} [key=value ...] [--json]",
        "",
        f"{verb.what}{'' if verb.what.endswith('?') else '.'}",
        *verb.more,
        *subject,
        "",
        *(f"  dge-ray {example}" for example in verb.examples),
        "",
        "Keys, with their defaults:",
        *key_lines(first),
        *(["", "More keys:", *key_lines(rest)] if rest else []),
    ]


@dataclass(frozen=True)
class Key:
    """A key as help and page show it."""

    name: str
    default: str
    takes: str
    also: tuple[str, ...]


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """The keys of a model in their order, those of inner models dotted."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if prefix and key in PART:
            continue
        takes, default = field.description or "", "(required)"
        if not field.is_required():
            default = _shown(field.get_default(call_default_factory=True))
        yield Key(prefix + key, default, takes, also(field))
        inner = inner_model(field.annotation)
        if inner is not None:
            yield from keys_of(inner, f"{prefix}{key}.")


def _shown(default: Any) -> str:
    """A default as it is typed; nothing for None, which a key's description explains."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return ",".join(_shown(item) for item in default)
    if isinstance(default, BaseModel):
        return str(getattr(default, "name", ""))
    if default is None or default == {}:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def key_lines(keys: Sequence[Key]) -> list[str]:
    """The keys for a terminal: `key=default`, and what it takes beside it or below."""
    lines = []
    for key in keys:
        head = f"  {key.name}={key.default}"
        below = textwrap.wrap(_takes(key), WIDTH - COLUMN, break_long_words=False, break_on_hyphens=False)
        if len(head) < COLUMN and below:
            head = head.ljust(COLUMN) + below.pop(0)
        lines += [head, *(" " * COLUMN + line for line in below)]
    return lines


def table(model: type[BaseModel]) -> str:
    """The keys as the Markdown table of commands/README.md."""
    rows = ["| key | default | takes |", "|---|---|---|"]
    for key in keys_of(model):
        default = f"`{key.default}`" if key.default else ""
        takes = _takes(key).replace("|", "\\|")
        rows.append(f"| `{key.name}` | {default} | {takes} |")
    return "\n".join(rows)


def _takes(key: Key) -> str:
    return key.takes + (f"; also {', '.join(f'{name}=' for name in key.also)}" if key.also else "")
