"""The names of a study's files stand in `study/` alone."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "dge_ray"
# Rooms with files of their own: a bundle's, a private study's, a saved generator's, a logged model's.
OWN = {
    "bundle": {"schema.json", "estimates.json"},
    "commands/verify.py": {"schema.json"},  # a bundle's
    "commands/sample.py": {"schema.json"},
    "commands/publish.py": {"schema.json"},
    "estimators/synthesizer_files.py": {"schema.json"},  # a saved synthesizer's
    "inference/pooling.py": {"estimates.json"},
    "skops_files.py": {"schema.json"},  # of a skops archive
    "tracking/scoring.py": {"schema.json"},
}
NAMES = (
    r"(identity|schema|lock|status|report|utility|attacks|estimates|untracked|member|sampling)\.json"
    r"|config\.yaml|surface\.parquet|(report|utility|attacks)\.html|fit\.safetensors"
)
FOLDERS = r"(members|shards|predictions|baselines|costs|models|dropped|figures|utility|estimates)/.*|privacy/plan\.json"
NAME = re.compile(rf"({NAMES}|{FOLDERS})")


def literals(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each string that is a value of a program: no docstring, no sentence; `{}` for what is put in."""
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def spelled_out(files: Mapping[str, str]) -> list[str]:
    found = []
    for path, source in files.items():
        allowed = OWN.get(path, OWN.get(path.split("/")[0], set()))
        for line, text in literals(source):
            if " " not in text and NAME.fullmatch(text) and text not in allowed:
                found.append(f"{path}:{line} {text}")
    return sorted(found)


def test_no_other_room_spells_out_a_study_file() -> None:
    files = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}
    assert spelled_out({path: text for path, text in files.items() if not path.startswith("study/")}) == []
    assert len(spelled_out(files)) > 20


def test_that_check_can_fail() -> None:
    files = {
        "results/a.py": 'f"members/{k:03d}/member.json"\n"""The report.json of a study."""\n"report.json"\n',
        "bundle/b.py": '"schema.json"\n"report.json"\n"member=000/part-00000.parquet"\n',
    }
    assert spelled_out(files) == ["bundle/b.py:2 report.json", "results/a.py:1 members/{}/member.json",
                                  "results/a.py:3 report.json"]  # fmt: skip
