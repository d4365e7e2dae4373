"""The options of a verb: `key=value` words, or a mapping in Python, read once against the keys that the verb declares.

A verb's keys are a subclass of `Options`. The description of a key says what it takes, and is the text of its error
message, of `--help` and of the table in commands/README.md.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo

from dge_ray.errors import InputError, InputErrors, nearest
from dge_ray.masking import mask
from dge_ray.spelling import Reading, inner_model, plain_yaml, reading_of, settled, spelled_yaml, texts_in

Say = Callable[[str], None]
PART = ("name", "settings")  # keys of a generator or learner, which are spelled generator=NAME, generator.SETTING=VALUE


def to_stderr(line: str) -> None:
    """Print a line of progress on standard error, secrets masked."""
    print(mask(line), file=sys.stderr)


# Types of keys


def _not_truth(value: Any) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("no number")
    return value


def as_text(value: Any) -> Any:
    """A text; also what YAML took for a number, a date or a truth value."""
    if isinstance(value, dict | list | tuple | None) or not str(value).strip():
        raise ValueError("no text")
    return str(value)


def _as_place(value: Any) -> Any:
    return str(value) if isinstance(value, PurePath) else value


def listed(value: Any) -> Any:
    """`a,b` is a list (`texts_in`), as is a single value."""
    if isinstance(value, str):
        return texts_in(value)
    return list(value) if isinstance(value, list | tuple | set) else [value]


def yaml_list(value: Any) -> Any:
    """As `listed`, each part of a text read as YAML."""
    if not isinstance(value, str):
        return listed(value)
    try:
        return [plain_yaml(item) for item in listed(value)]
    except yaml.YAMLError:
        raise ValueError("no YAML") from None


def _names(value: Any) -> Any:
    return [as_text(item) for item in listed(value)]


def part(value: Any) -> Any:
    """`generator=copula` is short for `generator.name=copula`; the other keys are its settings."""
    if isinstance(value, str):
        return {"name": value, "settings": {}}
    if isinstance(value, Mapping) and "settings" not in value:
        return {
            **({"name": value["name"]} if "name" in value else {}),
            "settings": {k: v for k, v in value.items() if k != "name"},
        }
    if isinstance(value, Mapping):  # a study's own config.yaml, with settings on top
        inner = value["settings"] if isinstance(value["settings"], Mapping) else {}
        stray = {k: v for k, v in value.items() if k not in PART}
        return {"settings": {**inner, **stray}} | ({"name": value["name"]} if "name" in value else {})
    return value


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, BeforeValidator(_not_truth), Field(allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, BeforeValidator(as_text)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Place = Annotated[str, BeforeValidator(_as_place), Field(min_length=1)]


@dataclass(frozen=True)
class Also:
    """Other names of a key that are accepted, in its type: `Annotated[Whole, Also("K")]`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


class Options(BaseModel):
    """The keys of a verb. A subclass declares each once: its type, default and description."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _spelled: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, options: Mapping[str, Any] | None = None) -> Self:
        """The checked options.

        Raises:
            InputError: a key that is unknown, missing, has a bad value, or is given under two names.
            InputErrors: several of these, a line each.
        """
        names = {other: name for name, field in cls.model_fields.items() for other in also(field)}
        values: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for key, value in nest(options or {}).items():
            name = names.get(key, key)
            if name in values:
                raise InputError(key, f"{value!r} and {spelled[name]}={values[name]!r}", "one of the two")
            values[name], spelled[name] = value, key
        try:
            result = cls.model_validate(values)
        except ValidationError as error:
            faults = input_errors(error, cls, spelled)
            raise (faults[0] if len(faults) == 1 else InputErrors(faults)) from None
        result._spelled = spelled
        return result

    def spelled(self, name: str) -> str:
        """The name under which a key was given, for error messages."""
        return self._spelled.get(name, name)

    def given(self, name: str) -> bool:
        """Whether the key was given, even as its default."""
        return name in self._spelled

    def check_range(self, name: str, least: int, most: int) -> None:
        """Raises InputError if the key, a whole number or None, is out of bounds that only its verb knows."""
        value = getattr(self, name)
        if value is not None and not least <= value <= most:
            to = f" to {most}" if most < 2**31 else ""
            raise InputError(self.spelled(name), repr(value), f"a whole number from {least}{to}")


def also(field: FieldInfo) -> tuple[str, ...]:
    """The other names of a key."""
    return tuple(name for item in field.metadata if isinstance(item, Also) for name in item.names)


# Words


def parse_words(words: Sequence[str], model: type[BaseModel] | None = None) -> dict[str, Any]:
    """`key=value` words as a nested dict; dotted keys reach in. Where the model's key takes a text, or a list of texts,
    the value is what was typed, and None where that is nothing; else it is read as YAML.

    Raises:
        InputErrors: words that are not key=value.
    """
    nested: dict[str, Any] = {}
    errors = []
    for word in words:
        key, equals, text = _cut(word)
        if not equals or not key:
            errors.append(InputError(word, "a word without '='", "key=value"))
            continue
        path = _path(key)
        _set(nested, path, _value(text, reading_of(model, path)))
    if errors:
        raise InputErrors(errors)
    return nested


def _cut(word: str) -> tuple[str, str, str]:
    """Key, `=` and value. A column's name may hold `=`: of `columns.a=b=integer` the kind, or `{...}`, is the value."""
    if word.startswith("columns."):
        found = re.fullmatch(r"(.+)(=)(\w*)|(.+?)(=)(\{.*\})", word, re.DOTALL)
        if found is not None:
            key, equals, text = (part for part in found.groups() if part is not None)
            return key, equals, text
    return word.partition("=")


def _value(text: str, reading: Reading) -> Any:
    try:
        if reading == "yaml":
            return settled(spelled_yaml(text))
        # A text or a list: a list is one whose items all stand in quotes, for any other its reader knows commas.
        items = spelled_yaml(text) if reading == "text or list" and text.lstrip().startswith("[") else []
        if items and all(type(item) is str for item in items):
            return items
    except yaml.YAMLError:
        return text
    return text or None


def nest(options: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of Python's as `parse_words` gives it: {"generator.epochs": 8} reaches in."""
    nested: dict[str, Any] = {}
    for key, value in options.items():
        _set(nested, _path(key), dict(value) if isinstance(value, Mapping) else value)
    return nested


def _path(key: str) -> list[str]:
    """Column names may hold dots, so everything behind `columns.` is one name."""
    return ["columns", key[len("columns.") :]] if key.startswith("columns.") else key.split(".")


def _set(nested: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = nested.setdefault(step, {})
        if not isinstance(inner, dict):  # generator=copula generator.shrink=0.1
            inner = nested[step] = {"name": inner}
        nested = inner
    if isinstance(nested.get(path[-1]), dict) and not isinstance(value, dict):
        nested[path[-1]]["name"] = value  # generator.epochs=8 generator=autoregressive
    else:
        nested[path[-1]] = value


# Errors


def input_errors(
    error: ValidationError, model: type[BaseModel], spelled: Mapping[str, str] | None = None
) -> list[InputError]:
    """pydantic's faults as the lines that a user reads, one a field; missing keys only where none is unknown."""
    faults = error.errors()
    if any(fault["type"] == "extra_forbidden" for fault in faults):
        faults = [fault for fault in faults if fault["type"] != "missing"]
    lines: dict[str, InputError] = {}
    for fault in faults:
        line = _input_error(fault, model, spelled or {})
        lines.setdefault(line.field, line)
    return list(lines.values())


def _input_error(fault: Any, model: type[BaseModel], spelled: Mapping[str, str]) -> InputError:
    """One fault as a line; union branches and list positions belong to their field."""
    path: list[str] = []
    takes = ""
    for at, step in enumerate(fault["loc"]):
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if step not in fields:
            if fault["type"] == "extra_forbidden" and at == len(fault["loc"]) - 1:
                return InputError(".".join([*path, step]), "an unknown key", nearest(step, sorted(fields)))
            continue
        path.append(step if path else spelled.get(step, step))
        takes = fields[step].description or ""
        inner = inner_model(fields[step].annotation)
        if inner is None:
            break
        model = inner
    if fault["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        close = get_close_matches(str(fault["input"]), choices, n=1)
        takes += f" (did you mean '{close[0]}'?)" if close else ""
    got = "nothing" if fault["type"] == "missing" else repr(fault["input"])
    return InputError(".".join(path) or "configuration", got, takes)
