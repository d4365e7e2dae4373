"""JSON and YAML from elsewhere: what means two things, or never ends, is refused, wherever it is read."""

import time
from pathlib import Path

import pytest
import yaml

from dge_ray.commands.estimates import _declared
from dge_ray.errors import InputError, InputErrors
from dge_ray.options import parse_words, yaml_list
from dge_ray.spelling import plain_yaml
from dge_ray.storage import Folder
from dge_ray.study.folder import read_study_config
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import CONFIG
from dge_ray.table.marks import KEY, read_mark
from dge_ray.table.strict_json import UnsoundError, strict_json

LEVELS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'x'}]" for i in range(10))
UNSOUND = ["{0}a: &x 1", "{0}a: &x [1]\nb: *x", "{0}a: {{<<: &m {{b: 1}}}}", "{0}a: 2020-13-45", "{0}" + "[" * 5000]


@pytest.mark.parametrize("text", [LEVELS, *(case.format("") for case in UNSOUND)])
def test_yaml_that_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as told:
        plain_yaml(text)
    assert "\n" not in str(told.value).strip()


def test_yaml_is_as_safe_load_gives_it() -> None:
    for text in ("a: 1\nb: [x, 2.5, null]\nc: {d: 2020-01-02}", "8", "a & b", "x*y", "a: '*x'", ""):
        assert plain_yaml(text) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError):
        plain_yaml("!!python/object/apply:os.system [true]")


def test_every_reader_of_yaml_refuses_aliases(tmp_path: Path) -> None:
    started = time.monotonic()
    file = tmp_path / "study.yaml"
    file.write_text(f"source: t.csv\n{LEVELS}")
    with pytest.raises(InputError, match=r"^source: .*an anchor or alias, which is not taken here"):
        read_config(str(file))
    (tmp_path / CONFIG).write_text(LEVELS)
    with pytest.raises(InputError, match="damaged file"):
        read_study_config(Folder.open(tmp_path))
    file.write_text(LEVELS)
    with pytest.raises(InputError, match=r"^estimands: "):
        _declared(str(file))
    nest = "[" + ", ".join(["&a [x, x]", *["*a"] * 9]) + "]"
    assert parse_words([f"ratios={nest}"]) == {"ratios": nest}  # a text: the key says what it takes
    with pytest.raises(InputErrors, match="ratios: got"):
        read_config("t.csv", [f"ratios={nest}", "target=y"])
    with pytest.raises(ValueError, match="no YAML"):
        yaml_list("&a 1, *a")
    with pytest.raises(InputErrors, match="ratios: got"):
        read_config("t.csv", {"ratios": "&a 1, *a", "target": "y"})
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '[{"b": {"a": 1, "a": 2}}]',
        '{"\\u0061": 1, "a": 2}',
        "1e999",
        "[-1e400]",
        "NaN",
        "-Infinity",
    ],
)
def test_json_that_is_refused(text: str) -> None:
    with pytest.raises(UnsoundError):
        strict_json(text)


def test_json_is_read() -> None:
    assert strict_json('{"a": [1, 2.5, "x", null, true, 1e308]}') == {"a": [1, 2.5, "x", None, True, 1e308]}


def test_a_mark_with_a_key_twice_is_damaged() -> None:
    import pyarrow as pa

    mark = b'{"bundle": "b", "member": 0, "generation": 1, "share": 0, "share": 1}'
    with pytest.raises(InputError, match="a damaged one"):
        read_mark(pa.schema([pa.field("x", pa.int64())], {KEY: mark}))
