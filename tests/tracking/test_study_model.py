"""Whether a finished study's ensemble is sent as a model, and what is said where it is not."""

from pathlib import Path
from typing import Any

import pytest
from helpers import fake_study
from helpers.small_study import small_prepared, small_table

from dge_ray.report.study_page import render_html
from dge_ray.results.assemble import tracked
from dge_ray.storage import Folder
from dge_ray.study.records.files import SURFACE
from dge_ray.tracking import study
from dge_ray.tracking.study import log_end


class Sent:
    """A tracker that remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls = list[str]()
        self.uri, self.run_id, self.model_uri = "sqlite:///mlflow.db", "1", "runs:/1/model"

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.calls.append(name)


@pytest.mark.parametrize(
    ("words", "logged", "says"),
    [
        (["learner=knn"], True, None),
        (["learner=knn", "log_model=false"], False, "log_model=false"),
        (["learner=knn", "rows=augmented"], False, "a fitted knn holds all of them; log_model=true logs it"),
        (["learner=linear", "rows=augmented"], False, "real rows (rows=augmented)"),
        (["learner=linear", "rows=augmented", "log_model=true"], True, None),
    ],
)
def test_learners_of_real_rows_are_sent_on_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], logged: bool, says: str | None
) -> None:
    small_table(tmp_path)
    prepared, folder = small_prepared(tmp_path, *words), Folder.open(tmp_path / "s")
    folder.write_table(SURFACE, fake_study.surface())
    report = {**fake_study.report(), "rows": prepared.config.rows, "learner": prepared.arms[0].label}
    tracker, said, scratch = Sent(), list[str](), tmp_path / "scratch"
    scratch.mkdir()
    seen = list[dict[str, Any]]()
    monkeypatch.setattr(study, "gather", lambda *_: None)
    log_end(
        tracker,  # type: ignore[arg-type]
        folder,
        prepared.config,
        prepared.schema,
        report,
        said.append,
        scratch=scratch,
        told=lambda: seen.append(tracked(folder)),
    )
    assert ("log_model" in tracker.calls) == logged and tracker.calls[-1] == "flush" and "log_report" in tracker.calls
    assert seen == [{"model": "runs:/1/model"}] if logged else seen == [{}], "before the pages are sent"
    page = render_html({**report, **seen[0]}, {})
    assert ("mlflow.pyfunc.load_model(&quot;runs:/1/model&quot;)" in page) == logged
    assert (says is None and not said) or (len(said) == 1 and str(says) in said[0] and "not logged" in said[0])
