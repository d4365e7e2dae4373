"""`dge-ray track`: what MLflow lacks of a study is sent."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dge_ray.commands.verbs import StudyKeys
from dge_ray.errors import StudyError
from dge_ray.options import Say, to_stderr
from dge_ray.results.assemble import write_page
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.identity import tracking_id
from dge_ray.tracking.study import close, log_end, log_fits, log_left_over, log_start
from dge_ray.tracking.tracker import Tracker


def track(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Send MLflow whatever it lacks of a study: after a server's failure, or to another server. Nothing goes twice.

    Needs the study's folder alone. Gives the study, the run's id, and where it is.

    Raises:
        InputError: an unknown key, no such study, or a server that does not answer.
        StudyError: the study is running (it tracks itself), or the server went away meanwhile.
    """
    opened = OpenStudy.find(study, StudyKeys.read(options).storage, writes=True)
    folder, config, schema, identity = opened.folder, opened.config, opened.schema, opened.identity
    with opened.locked(say), tempfile.TemporaryDirectory(prefix="dge-ray-") as scratch:
        report = opened.report or None
        tracker = Tracker.open(opened.name, tracking_id(identity, opened.name), metric=config.metric)
        try:
            if report is None:
                tracker.log_config(config.model_dump(mode="json"))
                log_left_over(tracker, folder)
                log_fits(tracker, folder)
            else:
                rows, columns = report["data"]["rows"], len(schema.columns)
                log_start(tracker, folder, config, digest=identity["data"], rows=rows, columns=columns)
                log_end(
                    tracker,
                    folder,
                    config,
                    schema,
                    report,
                    say,
                    scratch=Path(scratch),
                    told=lambda: write_page(folder, report, opened.surface),
                )
        finally:
            left = close(tracker, folder, "KILLED" if report is None else "FINISHED")
    if left:
        raise StudyError(f"MLflow still lacks {left} records of {opened.name}: run the same command again")
    return {"study": opened.name, "run": tracker.run_id, "experiment": tracker.experiment_id, "uri": tracker.uri}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    return [f"study {result['study']}: run {result['run']} in {result['uri']}"]
