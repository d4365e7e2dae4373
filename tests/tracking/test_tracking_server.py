"""How a tracking database comes to be."""

import os
import sqlite3
from pathlib import Path

import pytest

from dge_ray.tracking.server import set_up
from dge_ray.tracking.tracker import Tracker


def test_a_database_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    uri, cut_off = f"sqlite:///{tmp_path}/runs.db", True

    def connect(uri: str) -> list[tuple]:
        with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
            # As MLflow's migrations: a second run over a file that was cut off here fails.
            if not database.execute("SELECT * FROM sqlite_master").fetchall():
                database.execute("CREATE TABLE metrics (key TEXT)")
                if cut_off:
                    raise KeyboardInterrupt
                database.execute("ALTER TABLE metrics ADD COLUMN step INTEGER")
            return database.execute("SELECT step FROM metrics").fetchall()

    with pytest.raises(KeyboardInterrupt):
        set_up(uri, connect)
    assert not (tmp_path / "runs.db").exists()
    cut_off = False
    assert set_up(uri, connect) == []
    assert set_up(uri, connect) == []  # not set up anew
    assert [path.name for path in tmp_path.iterdir()] == ["runs.db"]


def test_a_database_and_its_artifacts_are_for_their_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    try:
        tracker = Tracker.open("adult", "abc", uri="sqlite:///runs.db")
        (tmp_path / "page").write_text("names of columns")
        tracker.log_artifacts(tmp_path, ["page"])
        tracker.close()
    finally:
        os.umask(before)
    (tmp_path / "page").unlink()
    assert [path.name for path in tmp_path.rglob("page")] == ["page"]
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
