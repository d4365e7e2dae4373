"""Progress as JSON lines, and the status file read from another shell."""

import io
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

import dge_ray.commands.status as status
from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.study.records.files import LOCK
from dge_ray.study.records.status import StatusFile
from dge_ray.study.terminal.log import JsonProgress

COUNTS: dict[str, Any] = {
    "fits_done": 2,
    "fits_wanted": 8,
    "rows_drawn": 2_000,
    "rows_waiting": 0,
    "members_ready": 3,
    "epochs": {0: {"epoch": 4}},
    "failure": None,
}


def test_every_line_is_an_object_with_study_member_and_volume() -> None:
    stream = io.StringIO()
    progress = JsonProgress("adult", stream)
    progress.say("warning: no good")
    progress.status(COUNTS)
    progress.status(COUNTS)  # too soon after the last one
    progress.event({"event": "fit done", "at": 0.0, "kind": "member", "member": 1, "volume": 50})
    progress.event({"event": "failed", "at": 0.0, "message": "member 2 could not be fitted"})
    logger = logging.getLogger("dge_ray.test")
    with progress.logged():
        logger.warning("%d rows", 3, extra={"member": 2, "shard": 4})
    logger.warning("no longer among them")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["study"] for line in lines} == {"adult"} and all("time" in line for line in lines)
    assert [(line["level"], line["event"]) for line in lines] == [
        ("warning", "said"),
        ("info", "status"),
        ("info", "fit done"),
        ("error", "failed"),
        ("warning", "log"),
    ]
    assert lines[0]["message"] == "no good"
    assert lines[1]["fits_done"] == 2 and lines[1]["seconds_left"] is None and "epochs" not in lines[1]
    assert (lines[2]["member"], lines[2]["volume"], lines[2]["time"]) == (1, 50, "1970-01-01T00:00:00.000+00:00")
    assert (lines[4]["member"], lines[4]["shard"], lines[4]["message"]) == (2, 4, "3 rows")


def test_secrets_are_masked_in_every_line() -> None:
    stream = io.StringIO()
    progress = JsonProgress("adult", stream)
    progress.say("cannot read https://me:hunter2@host/x")
    progress.event({"event": "failed", "at": 0.0, "message": "s3://b/x?secret_key=hunter2"})
    lines = stream.getvalue().splitlines()
    assert "hunter2" not in stream.getvalue() and all(json.loads(line)["study"] == "adult" for line in lines)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study's folder with one of two members fitted and two fits done."""
    folder = Folder.open(tmp_path / "storage" / "mine")
    folder.write_json("identity.json", {})
    folder.write_json("members/000/member.json", {})
    folder.write_json("members/001/generator/generator.json", {})
    folder.write_json("predictions/a.parquet", {})
    folder.write_json("baselines/b.parquet", {})
    return tmp_path / "storage" / "mine"


def found(study: Path, **options: Any) -> dict[str, Any]:
    return status.status("mine", {"storage": str(study.parent)}, **options)


def test_the_state_follows_from_lock_and_report(study: Path) -> None:
    assert found(study)["state"] == "unfinished"
    (study / "report.json").write_text("{}")
    assert found(study)["state"] == "finished"
    (study / LOCK).write_text("1")
    assert found(study, sleep=lambda _: None)["state"] == "left"
    beats = iter(range(2, 10))
    assert found(study, sleep=lambda _: (study / LOCK).write_text(str(next(beats))) and None)["state"] == "running"
    assert found(study, sleep=lambda _: (study / LOCK).unlink(missing_ok=True))["state"] == "finished"


def test_counts_come_from_the_files_and_what_the_driver_wrote(study: Path) -> None:
    plain = found(study)
    assert (plain["members_fitted"], plain["fits_on_disk"], plain["rows_drawn"]) == (1, 2, None)
    assert "downstream fits on disk: 2" in status.lines(plain)
    writer = StatusFile(Folder.open(study))
    writer.put(2, COUNTS, 90.0)
    writer.put(3, COUNTS, 80.0)  # too soon
    (study / LOCK).write_text("1")
    beats = iter(range(2, 10))
    running = found(study, sleep=lambda _: (study / LOCK).write_text(str(next(beats))) and None)
    assert (running["members"], running["fits_wanted"], running["seconds_left"]) == (2, 8, 90.0)
    assert 0 <= running["seconds_ago"] < time.time()
    lines = status.lines(running)
    assert any("in whole shards: 2,000" in line and "the report counts those" in line for line in lines)
    assert "members fitted: 1 of 2" in lines and "about 90 s left in this stage" in lines


def test_a_storage_that_fails_does_not_stop_the_study(study: Path) -> None:
    folder = Folder.open(study / "identity.json")  # a file: nothing can be written below it
    StatusFile(folder).put(2, COUNTS, None)


def test_bad_input_is_one_line(study: Path) -> None:
    with pytest.raises(InputError, match=r"^study: got 'other'; takes a study's folder, or one of mine"):
        status.status("other", {"storage": str(study.parent)})
    with pytest.raises(InputError, match=r"^volume: got an unknown key"):
        status.status("mine", {"volume": 3})
