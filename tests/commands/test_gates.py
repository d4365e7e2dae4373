"""Gates: exit code 3 unless the verdict is met; and a verb's last line names what it wrote."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bundles import members_of, write_frames

from dge_ray.commands import gates, sample, verify
from dge_ray.commands.evaluate import decisive
from dge_ray.errors import InputError

Run = Callable[..., tuple[int, str, str]]
SCORE = {"value": 0.8, "interval": [0.75, 0.85]}


def test_a_gate_is_in_the_result_the_exit_code_and_the_last_lines() -> None:
    met, failed = gates.gated({"page": "/x/a b.html"}, "pass", True), gates.gated({}, "pass", False)
    assert (gates.exit_code({}), gates.exit_code(met), gates.exit_code(failed)) == (0, 0, 3)
    assert gates.ending(met) == ["gate=pass: met", "Report: file:///x/a%20b.html"]
    assert sample.lines({"members": 2, "rows_per_member": 10, "out": "/x/b"})[-1] == "Written: file:///x/b"
    assert gates.ending({"file": "s3://b/x"}) == ["Written: s3://b/x"] and "gate" not in gates.gated({}, None, False)


@pytest.mark.parametrize(
    ("text", "met"),
    [("auc >= 0.75", True), ("auc>=0.76", False), ("auc <= 0.85", True), ("auc <= 0.8", False), ("auc >= -1e3", True)],
)
def test_the_whole_interval_must_be_there(text: str, met: bool) -> None:
    gate = gates.read_threshold(text, ["auc"])
    assert gate is not None and gate.met(SCORE) is met and not gate.met(None)
    assert gate.met({"value": gate.number, "interval": None}), "without an interval the score itself"


def test_real_rows_decide_where_there_are_some() -> None:
    own = {"value": 0, "interval": [0, 0]}
    assert decisive({"dge": own, "real": SCORE}) is SCORE and decisive({"dge": own}) is own and decisive(None) is None


@pytest.mark.parametrize("text", ["auc", "auc > 1", "auc >= x", "acu >= 0.5", "auc >= 1e"])
def test_what_is_no_gate_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^gate: got "):
        gates.read_threshold(text, ["auc"])


def test_a_bundle_with_faults_fails_the_gate(tmp_path: Path, run: Run) -> None:
    write_frames(tmp_path / "b", members_of(2, 30), "y")
    code, out, _ = run("verify", str(tmp_path / "b"))
    assert code == 1 and "gate" not in out
    code, out, _ = run("verify", str(tmp_path / "b"), "gate=clean")
    assert code == 3 and out.strip().endswith("gate=clean: not met")
    with pytest.raises(InputError, match=r"^gate: got no_copies without a real table"):
        verify.verify(str(tmp_path / "b"), {"gate": "no_copies"})
