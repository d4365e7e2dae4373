"""A study's learners after an upgrade, on a study of this process, without Ray: what cannot be read any more is fitted
again and logged, and nothing of it fails `dge-ray track`.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import fake_study
from helpers.small_study import small_study

from dge_ray.downstream import load_learner, make_learner
from dge_ray.errors import StudyError
from dge_ray.storage import Folder
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import REPORT, SURFACE
from dge_ray.study.records.predictions import Job, learner_seed, model_folder
from dge_ray.table import TableCodec
from dge_ray.tracking.gather import gather
from dge_ray.tracking.records import folder_digest

Run = Callable[..., tuple[int, str, str]]
VOLUME, MEMBERS = 120, 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study `s` of the learner `linear`, as if a run of it had ended."""
    place = tmp_path_factory.mktemp("upgraded")
    folder = small_study(place, MEMBERS)
    study = OpenStudy(folder)
    for k in range(MEMBERS):
        job = Job("member", k, VOLUME)
        learner = make_learner("linear", {}, study.schema, seed=learner_seed(0, job))
        learner.fit(TableCodec(study.schema).encode(study.spec().rows(k, VOLUME)))
        learner.save(Path(folder.path) / model_folder("linear", job))
    report = fake_study.report(members=MEMBERS, ratios=(0.5, 1), n=VOLUME)
    report |= {"study": "s", "learner": "linear"}
    report["answer"] |= {"members": MEMBERS, "volume": VOLUME}
    folder.write_json(REPORT, report)
    folder.write_table(SURFACE, fake_study.surface(members=MEMBERS, ratios=(0.5, 1), n=VOLUME, learner="linear"))
    return place


@pytest.fixture
def study(made: Path, run: Run, tmp_path: Path, empty_database: bytes, monkeypatch: pytest.MonkeyPatch) -> Folder:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    shutil.copytree(made / "studies", tmp_path / "studies")
    (tmp_path / "mlflow.db").write_bytes(empty_database)
    return Folder.open(tmp_path / "studies" / "s")


def models(place: Path) -> list:
    from mlflow import MlflowClient

    uri = f"sqlite:///{place / 'mlflow.db'}"
    client = MlflowClient(uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("dge_ray")
    assert experiment is not None
    return list(client.search_logged_models([experiment.experiment_id]))


def age(study: Folder, member: int) -> Path:
    """The member's learner as another scikit-learn left it: its version, and a file that this one cannot read."""
    saved = Path(study.path) / model_folder("linear", Job("member", member, VOLUME))
    described = json.loads((saved / "learner.json").read_text(encoding="utf-8"))
    described["versions"]["scikit-learn"] = "1.2.3"
    (saved / "learner.json").write_text(json.dumps(described), encoding="utf-8")
    return saved


def broken(saved: Path) -> None:
    """A file of the right form whose model lacks an attribute: it loads, and fails when it predicts."""
    import skops.io

    from dge_ray.downstream.store import TRUSTED

    model = skops.io.load(saved / "model.skops", trusted=TRUSTED)
    del model[0].transformers_[0][1][0]._fill_dtype
    skops.io.dump(model, saved / "model.skops")


CANNOT = "1 of its learners cannot be read (saved by scikit-learn 1.2.3, read by scikit-learn "


@pytest.mark.parametrize("fault", ["no archive", "fails when it predicts"])
def test_learners_that_cannot_be_read_are_fitted_again(fault: str, study: Folder, tmp_path: Path) -> None:
    opened, saved, said = OpenStudy(study), age(study, 1), list[str]()
    columns = TableCodec(opened.schema).encode(opened.spec().first_rows(0, VOLUME))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = load_learner(saved, opened.schema).predict(columns)
    if fault == "no archive":
        (saved / "model.skops").write_bytes(b"of another time")
    else:
        broken(saved)
    gather(study, opened.schema, opened.report, tmp_path / "model", said.append)
    [line] = said
    assert line.startswith(f"warning: {CANNOT}")
    assert line.endswith("they are fitted again from the study's rows")
    for place in (saved, tmp_path / "model" / "member=001"):
        again = load_learner(place, opened.schema).predict(columns)
        assert (again == before).all(), "the same rows and seed give the same learner"
    gather(study, opened.schema, opened.report, tmp_path / "second", said.append)
    assert len(said) == 1, "it is kept"
    assert folder_digest(tmp_path / "second") == folder_digest(tmp_path / "model"), "and not logged twice"


def test_without_their_rows_they_are_not(study: Folder, tmp_path: Path) -> None:
    opened = OpenStudy(study)
    (age(study, 0) / "model.skops").write_bytes(b"of another time")
    shutil.rmtree(Path(study.path) / "shards" / "member=000")
    with pytest.raises(StudyError, match=r"1 of its learners cannot be read \(saved by .* not all of the rows"):
        gather(study, opened.schema, opened.report, tmp_path / "model", print)


def test_track_goes_on(study: Folder, tmp_path: Path, run: Run) -> None:
    (age(study, 1) / "model.skops").write_bytes(b"of another time")
    code, _, err = run("track", "s")
    lines = err.strip().splitlines()
    assert (code, len(lines)) == (0, 1) and lines[0].startswith(f"warning: {CANNOT}"), err
    [model] = models(tmp_path)
    assert str(model.status) == "READY"


def test_whatever_gathering_raises_is_one_warning(
    study: Folder, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AttributeError("'SimpleImputer' object has no attribute '_fill_dtype'\nand more")

    monkeypatch.setattr("dge_ray.tracking.study.gather", fail)
    code, _, err = run("track", "s")
    lines = err.strip().splitlines()
    assert (code, len(lines)) == (0, 1), err
    assert "not logged as a model: AttributeError: 'SimpleImputer'" in lines[0] and lines[0].endswith("and more")
