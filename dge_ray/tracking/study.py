"""What of a study goes to MLflow, from its files: at its start, and at its end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dge_ray.downstream import keeps_rows
from dge_ray.errors import StudyError
from dge_ray.phrases import finite
from dge_ray.storage import Folder
from dge_ray.study.arms import study_arms
from dge_ray.study.config import StudyConfig
from dge_ray.study.members import fitted_members
from dge_ray.study.records.files import (
    CONFIG,
    FIGURES,
    REPORT,
    REPORT_PAGE,
    SURFACE,
    TRACKED,
    UNTRACKED,
    member_file,
)
from dge_ray.study.records.jobs import fold_of
from dge_ray.table import TableSchema
from dge_ray.tracking.gather import gather
from dge_ray.tracking.model import ModelFacts
from dge_ray.tracking.records import asked_by
from dge_ray.tracking.tracker import Tracker

KEPT = {  # of the rows that a learner was fitted on, by the catalogue
    "all": "a fitted {} holds all of them",
    "some": "a fitted {} holds some of them",
    "values": "a fitted {} holds values of their columns",
    "words": "a fitted {} holds words of their texts",
    "none": "what a fitted {} learned of them is in no ledger",
    None: "what a fitted {} holds of them is not known",
}
ENSEMBLE = "model"
PAGES = [REPORT, REPORT_PAGE, CONFIG, SURFACE]

Say = Callable[[str], None]


def log_start(
    tracker: Tracker, folder: Folder, config: StudyConfig, *, digest: str, rows: Mapping[str, int], columns: int
) -> None:
    """The resolved configuration, the real table's facts, and what an earlier run could not send."""
    assert config.study is not None  # resolved
    tracker.log_config(config.model_dump(mode="json"))
    tracker.set_tags(asked_by())
    tracker.log_dataset(config.study, digest, sum(rows.values()), columns)
    log_left_over(tracker, folder)


def log_left_over(tracker: Tracker, folder: Folder) -> None:
    """The points that an earlier run of the study could not send."""
    if folder.exists(UNTRACKED):
        tracker.log_points(folder.read_json(UNTRACKED))


def log_end(
    tracker: Tracker,
    folder: Folder,
    config: StudyConfig,
    schema: TableSchema,
    report: Mapping[str, Any],
    say: Say,
    *,
    scratch: Path,
    told: Callable[[], None] = lambda: None,
) -> None:
    """The surface, the members' loss curves, the report with its pages and figures, and the ensemble as a model where
    the configuration lets it.

    Files go by way of `scratch`, which must last until the tracker is closed. `told` is called before the pages are
    sent, when the study's file says where its run is, and its model: a page that is drawn anew says it too.
    """
    tracker.log_surface(folder.read_table(SURFACE), learner=report["learner"])
    tracker.log_curves(folder.read_table(SURFACE), report)
    model = _gathered(folder, config, schema, report, say, scratch / ENSEMBLE)
    where = {"uri": tracker.uri, "run": tracker.run_id, "model": tracker.model_uri if model else None}
    folder.write_json(TRACKED, where)
    told()
    log_fits(tracker, folder)
    tracker.log_report(report)
    pages = scratch / "pages"
    for name in [page for page in PAGES if folder.exists(page)] + [f"{FIGURES}/{png}" for png in folder.list(FIGURES)]:
        file = pages / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(folder.read_bytes(name))
    tracker.log_artifacts(pages)
    if model:
        answer, metric = report.get("answer") or {}, str(report.get("metric"))
        params = {"members": answer.get("members"), "volume": answer.get("volume"), "metric": metric}
        tracker.log_model(
            scratch / ENSEMBLE,
            about=ModelFacts(
                {key: str(value) for key, value in params.items()},
                {f"model/{metric}": answer["risk"]} if finite(answer.get("risk")) else {},
            ),
        )
    tracker.flush()


def not_logged(config: StudyConfig, report: Mapping[str, Any]) -> str | None:
    """Why the ensemble of a study is not logged as a model, in a line; None where it is."""
    if config.log_model is False:
        return "log_model=false"
    if report.get("rows") != "augmented":
        return None
    if config.private:  # a study from before these were refused together
        return "its learners saw real rows, which privacy.epsilon does not cover"
    if config.log_model is True:
        return None
    names = {arm.label: arm.learner.name for arm in study_arms(config, (1,))}
    label = str(report["learner"])
    name = names.get(label, label)
    kept = KEPT[keeps_rows(name)].format(name)
    return f"its learners saw real rows (rows=augmented), and {kept}; log_model=true logs it"


def log_fits(tracker: Tracker, folder: Folder) -> None:
    """The loss curves of the members that are fitted; of a cross-fitted study those of fold 0."""
    for member in filter(lambda number: not fold_of(number), fitted_members(folder)):
        tracker.log_fit(member, folder.read_json(member_file(member))["loss"])


def _gathered(
    folder: Folder, config: StudyConfig, schema: TableSchema, report: Mapping[str, Any], say: Say, path: Path
) -> bool:
    """Whether the ensemble at the reflection point is there to be logged, and in `path`. A study is whole without it:
    where there is none, a line says so."""
    if (why := not_logged(config, report)) is not None:
        say(f"the ensemble is not logged as a model: {why}")
        return False
    try:
        gather(folder, schema, report, path, say)
    except Exception as error:  # learners are other people's code, and files of other versions
        said = str(error) if isinstance(error, StudyError) else f"{type(error).__name__}: {error}"
        say(f"warning: the ensemble is not logged as a model: {' '.join(said.split())}")
        return False
    return True


def close(tracker: Tracker, folder: Folder, status: Any) -> int:
    """End the runs; points that could not be sent are kept in the folder. Gives how many records are left."""
    left = tracker.close(status)
    if points := tracker.unsent_points():
        folder.write_json(UNTRACKED, points)
    elif not left:
        folder.delete(UNTRACKED)
    return left
