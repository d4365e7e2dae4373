"""Command lines as they stand in cluster/: every `ray`, `mlflow` and `dge-ray` call is held against the real tool."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from dge_ray.commands.verbs import VERBS
from dge_ray.errors import InputError, InputErrors
from dge_ray.options import parse_words
from dge_ray.study.read_config import read_config
from dge_ray.table.reading.builtin import builtin_names
from helpers.cluster_fields import ROOT

PATHS = re.compile(r"(?<![\w/.~-])((?:cluster|experiments)/[\w./-]*[\w-])")
SECRETS = re.compile(
    r"AKIA[0-9A-Z]{12}|-----BEGIN|\b[0-9a-f]{32,}\b|(?i:password|secret|token)\s*[:=]\s*['\"]?[\w+/]{12,}"
)


def calls(text: str, tool: str) -> Iterator[list[str]]:
    """The words behind every call of a tool in a file's text, also behind `#`, in quotes, and over continued lines."""
    joined = re.sub(r"\\\n\s*#?\s*", " ", text)
    for match in re.finditer(rf"(?<![\w./-]){tool} (?=([^\n]*))", joined):
        line = re.split(r" && |; |;$| \| |`|, then |  +\(| # |  +#", match[1])[0]
        try:
            yield shlex.split(line)
        except ValueError:  # the call itself stands in quotes: it ends with them
            yield shlex.split(re.split(r"['\"]", line)[0])


def command_faults(text: str) -> list[str]:
    """What the tools would refuse, files that are not there, and what looks like a secret."""
    faults = [fault for words in calls(text, "dge-ray") for fault in study_faults(words)]
    faults += [fault for words in calls(text, "ray") for fault in ray_faults(words)]
    faults += [f"{path}: no such file" for path in PATHS.findall(text) if not (ROOT / path).exists()]
    return faults + [f"a secret? {found!r}" for found in SECRETS.findall(text)]


def study_faults(words: Sequence[str]) -> list[str]:
    """Faults of `dge-ray` with these words; nothing is run."""
    verb, *rest = words
    if verb not in VERBS:
        return [f"dge-ray {verb}: no such verb"]
    if any(word.startswith("$") for word in rest):  # "$@": the words come from whoever launches
        return []
    try:
        if verb in ("tune", "check"):
            source = read_config(rest[0], rest[1:]).source
            known = source in builtin_names() or "://" in source or rest[0].endswith(".yaml")
            return [] if known else [f"dge-ray {verb} {source}: no such table"]
        parse_words(rest if verb == "ls" else rest[1:])
    except (InputError, InputErrors) as error:
        return [f"dge-ray {shlex.join(words)}: {error}"]
    return []


def ray_faults(words: Sequence[str]) -> list[str]:
    """Faults of `ray` with these words: its command and its options, as Ray's own command line declares them."""
    from ray.scripts.scripts import cli

    command: Any = cli
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return [f"ray {shlex.join(words)}: no such command"]
        command = command.commands[rest.pop(0)]
    also = [cli.commands["start"]] if command.name == "symmetric_run" else []  # hands its options on to `ray start`
    return [f"ray {command.name} {option}: no such option" for option in unknown_options(rest, command, *also)]


def mlflow_faults(words: Sequence[str]) -> list[str]:
    """Faults of `mlflow server` with these words."""
    from mlflow.cli import cli

    if list(words[:2]) != ["mlflow", "server"]:
        return [f"{shlex.join(words)}: not `mlflow server`"]
    return [f"mlflow server {option}: no such option" for option in unknown_options(words[2:], cli.commands["server"])]


def unknown_options(words: Sequence[str], *commands: Any) -> list[str]:
    """The `--options` before a lone `--` that none of these click commands declares."""
    known = {"--help"}
    for command in commands:
        known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    own = words[: list(words).index("--")] if "--" in words else words
    return [word for word in own if word.startswith("--") and word.split("=")[0] not in known]
