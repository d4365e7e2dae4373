"""A study's configuration: defaults, then a YAML file, then `key=value` words; every bad field told at once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError

from dge_ray.documents import plain_yaml
from dge_ray.errors import InputError, InputErrors
from dge_ray.masking import refuse_secrets
from dge_ray.options import input_errors, nest, parse_words
from dge_ray.study.config import StudyConfig


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), str):
            merged[key] = {"name": merged[key]}
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(dict(merged[key]), value)
        else:
            merged[key] = value
    return merged


def read_config(source: str, words: Sequence[str] | Mapping[str, Any] = ()) -> StudyConfig:
    """The configuration of a study from its source (a YAML or a table) and `key=value` words, the words on top.

    A mapping {key: value} stands for words too.

    Raises:
        InputErrors: a line for every bad field.
        InputError: a YAML that cannot be read, or a URI that carries a password or a key.
    """
    refuse_secrets("source", source)
    over = nest(words) if isinstance(words, Mapping) else parse_words(words)
    if source.endswith((".yaml", ".yml")):
        base = _read_yaml(Path(source))
        base.setdefault("study", Path(source).stem)
    else:
        base = {"source": source}
    merged = _merge(base, over)
    merged.setdefault("study", source_name(str(merged.get("source", ""))))
    return make_config(merged)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = plain_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("source", f"{str(path)!r}, which is not there", "a study YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError("source", f"{str(path)!r}, which cannot be read ({first})", "a study YAML") from None
    if not isinstance(raw, dict) or "source" not in raw:
        raise InputError("source", f"{str(path)!r} without a `source`", "a study YAML with source: TABLE")
    return raw


def make_config(raw: Mapping[str, Any]) -> StudyConfig:
    """A checked configuration from a nested mapping.

    Raises:
        InputErrors: a line for every bad field.
        InputError: a URI that carries a password or a key.
    """
    try:
        config = StudyConfig.model_validate(raw)
    except ValidationError as error:
        raise InputErrors(input_errors(error, StudyConfig)) from None
    for field in ("source", "storage", "pretrained"):
        value = getattr(config, field)
        for uri in [value] if isinstance(value, str) else value:
            refuse_secrets(field, uri)
    return config


def source_name(source: str) -> str:
    """A study name made of the source's name: the file's stem, or the table's name behind `openml:`."""
    if source.startswith("openml:"):
        stem = "openml-" + source.removeprefix("openml:")
    else:
        source = source.partition("?")[0] if "://" in source else source
        stem = PurePosixPath(source.rstrip("/").replace("\\", "/")).name
        for suffix in (".gz", ".csv", ".parquet", ".pq"):
            stem = stem.removesuffix(suffix)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return name[:100] or "study"
