"""What was typed and what it means: words and YAML in which a text is taken as it stands, whatever YAML makes of it.

A column may be named No, null, 1.10 or 2020-01-01. So the type of a key decides: where it takes a text, or a list of
texts, the spelling counts; everything else is read as YAML.
"""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

Reading = Literal["text", "texts", "text or list", "yaml"]


# Lists of texts


def texts_in(text: str) -> list[str]:
    """`a,b`, with or without brackets around, is a list. An item in quotes of either kind may hold commas, brackets and
    blanks at its ends; a quote of that kind in it is doubled.

    >>> texts_in("[a, c[0]]"), texts_in('"a, b",c'), texts_in("it's"), texts_in("[]")
    (['a', 'c[0]'], ['a, b', 'c'], ["it's"], [])
    """
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        stripped = stripped[1:-1]
    items, rest = [], stripped
    while rest:
        rest = rest.lstrip()
        quoted = _quoted(rest)
        if quoted is None:
            item, _, rest = rest.partition(",")
            items += [item.strip()] if item.strip() else []
        else:
            items.append(quoted[0])
            rest = quoted[1]
    return items


def _quoted(text: str) -> tuple[str, str] | None:
    """The item in quotes that a text begins with, and what is behind its comma; None where it begins with no such."""
    quote = text[:1]
    if quote not in ("'", '"'):
        return None
    at = 1
    while (end := text.find(quote, at)) >= 0:
        if text[end : end + 2] == 2 * quote:
            at = end + 2
            continue
        behind = text[end + 1 :].lstrip()
        if behind and not behind.startswith(","):
            return None
        return text[1:end].replace(2 * quote, quote), behind[1:]
    return None


# YAML


class _Loader(yaml.SafeLoader):
    """Plain values alone. Aliases make a few lines stand for more than any memory holds, and nothing here needs one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None:
            name = f"{'*' if isinstance(event, yaml.AliasEvent) else '&'}{event.anchor[:40]}"
            raise yaml.MarkedYAMLError(problem=f"{name}, an anchor or alias, which is not taken here")
        return super().compose_node(parent, index)


class Plain(str):
    """A scalar without quotes, as it is spelled. `meaning`: what YAML makes of it; `fault`: why it makes nothing."""

    meaning: Any
    fault: str | None


class _SpellingLoader(_Loader):
    """Scalars without quotes keep their spelling."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.style is not None:
            return super().construct_object(node, deep)
        plain = Plain(node.value)
        plain.meaning, plain.fault = None, None
        try:
            plain.meaning = super().construct_object(node, deep)
        except ValueError as error:  # 2020-13-45 is no date, and may be a name
            plain.fault = str(error)
        return plain


def plain_yaml(text: str | bytes) -> Any:
    """The content of a YAML text, as `yaml.safe_load` gives it.

    Raises:
        yaml.YAMLError: no YAML, an anchor or alias, a value that its type cannot have (2020-13-45), nested too deeply.
    """
    return _loaded(text, _Loader)


def spelled_yaml(text: str | bytes) -> Any:
    """As `plain_yaml`, with scalars without quotes as `Plain`, for `settled`."""
    return _loaded(text, _SpellingLoader)


class _Dumper(yaml.SafeDumper):
    """Line breaks of Unicode as escapes: within single quotes they would be read as blanks."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if set(data) & set("\x85\u2028\u2029\ufeff") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def dumped(value: Any) -> str:
    """Plain values as YAML, in their order; `spelled_yaml` and `plain_yaml` give every text back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _loaded(text: str | bytes, loader: type[_Loader]) -> Any:
    try:
        return yaml.load(text, loader)
    except (ValueError, RecursionError, OverflowError) as error:  # UnicodeDecodeError is a ValueError
        raise yaml.YAMLError(str(error).partition("\n")[0] if str(error) else type(error).__name__) from None


def settled(value: Any, model: type[BaseModel] | None = None, reading: Reading = "yaml") -> Any:
    """What `spelled_yaml` gave, with every spelling replaced: by its text where the model's key takes one, else by what
    it means. Names in mappings are texts. A text key without a value, or with null, has none.

    Raises:
        yaml.YAMLError: a value that its type cannot have.
    """
    if isinstance(value, Mapping):
        fields = {str(key): _field(model, str(key)) for key in value}
        return {str(key): settled(inner, *fields[str(key)]) for key, inner in value.items()}
    if isinstance(value, list):
        items: Reading = "text" if reading == "texts" else "yaml"
        return [str(item) if items == "text" and isinstance(item, Plain) else settled(item) for item in value]
    if not isinstance(value, Plain):
        return value
    if reading != "yaml" and (value.fault is not None or value.meaning is not None):
        return str(value)
    if value.fault is not None:
        raise yaml.YAMLError(value.fault)
    return value.meaning


def reading_of(model: type[BaseModel] | None, path: list[str]) -> Reading:
    """How the word of a dotted key is read."""
    reading: Reading = "yaml"
    for step in path:
        model, reading = _field(model, step)
    return reading


def _field(model: type[BaseModel] | None, key: str) -> tuple[type[BaseModel] | None, Reading]:
    """The model within a key's value, if there is one, and how its text is read."""
    for name, field in (model.model_fields if model is not None else {}).items():
        other = [name for item in field.metadata for name in getattr(item, "names", ())]
        if key in (field.alias or name, *other):
            return inner_model(field.annotation), _reading(field.annotation)
    return None, "yaml"


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model among a field's types, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := inner_model(argument))), None)


def _reading(annotation: Any) -> Reading:
    kinds = {_kind(one) for one in _alternatives(annotation)} - {"none"}
    if kinds == {"texts"}:
        return "texts"
    if kinds == {"text", "list"}:
        return "text or list"
    return "text" if kinds == {"text"} else "yaml"


def _kind(annotation: Any) -> str:
    if annotation is type(None):
        return "none"
    if annotation is str:
        return "text"
    if get_origin(annotation) is list:
        return "list"
    items = get_args(annotation)
    if get_origin(annotation) is tuple and len(items) == 2 and items[1] is ... and _reading(items[0]) == "text":
        return "texts"
    return "other"


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [one for argument in get_args(annotation) for one in _alternatives(argument)]
    return [annotation]
