"""A study's configuration: defaults, then a YAML file, then `key=value` words; every bad field told at once."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError

from dge_ray.errors import InputError, InputErrors
from dge_ray.masking import refuse_secrets
from dge_ray.options import input_errors, listed, nest, parse_words
from dge_ray.spelling import settled, spelled_yaml
from dge_ray.storage import expanded
from dge_ray.study.config import StudyConfig
from dge_ray.study.records.files import IDENTITY
from dge_ray.table import builtin_names
from dge_ray.table.reading.database import FILE_ENDINGS, is_database, place_database
from dge_ray.table.reading.encoding import COMPRESSIONS
from dge_ray.table.reading.load import TEXTS


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

    A mapping {key: value} stands for words too. Paths in a YAML are relative to its folder, those in words to the
    working folder.

    Raises:
        InputErrors: a line for every bad field.
        InputError: a YAML that cannot be read, or a URI that carries a password or a key.
    """
    refuse_secrets("source", source)
    over = nest(words) if isinstance(words, Mapping) else parse_words(words, StudyConfig)
    if source.endswith((".yaml", ".yml")):
        base = _read_yaml(expanded(source, "source"))
        base.setdefault("study", Path(source).stem)
    else:
        base = {"source": source}
    merged = _merge(base, over)
    merged.setdefault("study", source_name(str(merged.get("source", ""))))
    return make_config(merged)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = settled(spelled_yaml(path.read_text(encoding="utf-8")), StudyConfig)
    except FileNotFoundError:
        raise InputError("source", f"{str(path.absolute())!r}, which is not there", "a study YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError("source", f"{str(path)!r}, which cannot be read ({first})", "a study YAML") from None
    if not isinstance(raw, dict) or "source" not in raw:
        raise InputError("source", f"{str(path)!r} without a `source`", "a study YAML with source: TABLE")
    if (path.parent / IDENTITY).exists():  # a study's own file, whose paths are those of the folder it was begun in
        return raw
    return _with_paths(raw, lambda place: os.path.normpath(path.parent / place))


def placed(config: StudyConfig) -> StudyConfig:
    """The configuration with absolute paths, which says the same wherever it is kept as a YAML."""
    return StudyConfig.model_validate(_with_paths(config.model_dump(mode="json"), os.path.abspath))


def _with_paths(raw: Mapping[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """The keys with `place(path)` for every relative path of a file or folder in them."""

    def of(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [of(item) for item in value]
        return place(value) if isinstance(value, str) and value and _is_relative(value) else value

    placed = {key: of(raw[key]) for key in ("source", "storage") if key in raw}
    source = str(raw.get("source", ""))
    if source in builtin_names() or source.startswith("openml:"):
        placed["source"] = raw["source"]
    elif is_database(source):
        placed["source"] = place_database(source, place)
    if "pretrained" in raw:
        placed["pretrained"] = of(listed(raw["pretrained"]))
    if "generator" in raw:
        placed["generator"] = _generator_placed(raw["generator"], of)
    privacy = raw.get("privacy")
    if isinstance(privacy, Mapping) and "schema" in privacy:
        placed["privacy"] = {**privacy, "schema": of(privacy["schema"])}
    return {**raw, **placed}


def _generator_placed(given: Any, of: Callable[[Any], Any]) -> Any:
    """A generator, or a list of them, with the place of tables that were made elsewhere."""
    if isinstance(given, list | tuple):
        return [_generator_placed(one, of) for one in given]
    if not isinstance(given, Mapping) or given.get("name") != "tables":
        return given
    settings = given["settings"] if isinstance(given.get("settings"), Mapping) else given
    moved = {**settings, **({"path": of(settings["path"])} if "path" in settings else {})}
    return moved if settings is given else {**given, "settings": moved}


def _is_relative(path: str) -> bool:
    return "://" not in path and not path.startswith("~") and not Path(path).is_absolute()


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
        for suffix in (*COMPRESSIONS, *TEXTS, ".parquet", ".pq", ".xlsx", *FILE_ENDINGS):
            stem = stem.removesuffix(suffix)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return name[:100] or "study"
