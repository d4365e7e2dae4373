"""What of a study goes to MLflow, from its files: at its start, at its end, and all of it again (`dge-ray track`)."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dge_ray.errors import InputError, StudyError, nearest
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import IDENTITY, find_study, read_schema, read_study_config, tracking_id
from dge_ray.study.lock import study_lock
from dge_ray.study.predictions import Job, model_folder
from dge_ray.table import TableSchema, to_pandas
from dge_ray.tracking.scoring import FittedEnsemble
from dge_ray.tracking.tracker import Tracker

EXAMPLE_ROWS = 5
PAGES = ["report.json", "report.html", "config.yaml", "surface.parquet"]
LEFT_OVER = "untracked.json"  # points that a study could not send: nothing else holds them

Say = Callable[[str], None]


def log_start(
    tracker: Tracker, folder: Folder, config: StudyConfig, *, digest: str, rows: Mapping[str, int], columns: int
) -> None:
    """The resolved configuration, the real table's facts, and what an earlier run could not send."""
    assert config.study is not None  # resolved
    tracker.log_config(config.model_dump(mode="json"))
    tracker.log_dataset(config.study, digest, sum(rows.values()), columns)
    _log_left_over(tracker, folder)


def _log_left_over(tracker: Tracker, folder: Folder) -> None:
    if folder.exists(LEFT_OVER):
        tracker.log_points(folder.read_json(LEFT_OVER))


def log_end(
    tracker: Tracker, folder: Folder, schema: TableSchema, report: Mapping[str, Any], say: Say, *, scratch: Path
) -> None:
    """The surface, the members' loss curves, the report with its pages and figures, and the ensemble as a model.

    Files go by way of `scratch`, which must last until the tracker is closed.
    """
    tracker.log_surface(folder.read_table("surface.parquet"), learner=report["learner"])
    log_fits(tracker, folder)
    tracker.log_report(report)
    pages = scratch / "pages"
    for name in [page for page in PAGES if folder.exists(page)] + [f"figures/{png}" for png in folder.list("figures")]:
        file = pages / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(folder.read_bytes(name))
    tracker.log_artifacts(pages)
    _log_model(tracker, folder, schema, report, say, scratch / "model")
    tracker.flush()


def log_fits(tracker: Tracker, folder: Folder) -> None:
    """The loss curves of the members that are fitted."""
    for k, name in enumerate(folder.list("members")):
        if folder.exists(f"members/{name}/member.json"):
            tracker.log_fit(k, folder.read_json(f"members/{name}/member.json")["loss"])


def _log_model(
    tracker: Tracker, folder: Folder, schema: TableSchema, report: Mapping[str, Any], say: Say, path: Path
) -> None:
    """The ensemble at the reflection point, with a few synthetic rows as its example: no real row leaves."""
    volume = report["reflection_point"]["volume"]
    for k in range(report["members"]):
        name = model_folder(report["learner"], Job("member", k, volume))
        if not folder.exists(name):
            say("the ensemble is not logged as a model: its learners are too large, or need pickle")
            return
        with folder.downloaded(name) as source:
            shutil.copytree(source, path / f"member={k:03d}")
    (path / "schema.json").write_text(schema.to_json())
    rows = folder.read_table("shards/member=000/part-00000.parquet").slice(0, EXAMPLE_ROWS)
    example = to_pandas(rows.select([column.name for column in schema.features]))
    tracker.log_model(path, example, FittedEnsemble(path).predict(example))


def close(tracker: Tracker, folder: Folder, status: Any) -> int:
    """End the runs; points that could not be sent are kept in the folder. Gives how many records are left."""
    left = tracker.close(status)
    if points := tracker.unsent_points():
        folder.write_json(LEFT_OVER, points)
    elif not left:
        folder.delete(LEFT_OVER)
    return left


def track_study(study: str, options: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Send MLflow whatever it lacks of a study: after a server's failure, or to another server. Nothing goes twice.

    Needs the study's folder alone. Gives the study, the run's id, and where it is.

    Raises:
        InputError: an unknown key, no such study, or a server that does not answer.
        StudyError: the study is running (it tracks itself), or the server went away meanwhile.
    """
    for key in options:
        if key != "storage":
            raise InputError(key, "an unknown key", nearest(key, ["storage"]))
    folder = find_study(study, str(options.get("storage", "./studies")))
    config, schema, identity = read_study_config(folder), read_schema(folder), folder.read_json(IDENTITY)
    assert config.study is not None  # resolved
    with study_lock(folder, say), tempfile.TemporaryDirectory(prefix="dge-ray-") as scratch:
        report = folder.read_json("report.json") if folder.exists("report.json") else None
        tracker = Tracker.open(config.study, tracking_id(identity, config.study))
        try:
            if report is None:
                tracker.log_config(config.model_dump(mode="json"))
                _log_left_over(tracker, folder)
                log_fits(tracker, folder)
            else:
                rows, columns = report["data"]["rows"], len(schema.columns)
                log_start(tracker, folder, config, digest=identity["data"], rows=rows, columns=columns)
                log_end(tracker, folder, schema, report, say, scratch=Path(scratch))
        finally:
            left = close(tracker, folder, "KILLED" if report is None else "FINISHED")
    if left:
        raise StudyError(f"MLflow still lacks {left} records of {config.study}: run the same command again")
    return {"study": config.study, "run": tracker.run_id, "experiment": tracker.experiment_id, "uri": tracker.uri}
