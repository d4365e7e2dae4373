"""A study in Python: what its object gives is what its files hold, and nothing heavy is imported for its name."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.finished_study import finished_study
from matplotlib.figure import Figure

import dge_ray
from dge_ray import DGEClassifier, DGERegressor, InputError, Study
from dge_ray.commands.api.guest import as_it_was
from dge_ray.study.opened import OpenStudy

MEMBERS = 3


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    return finished_study(tmp_path_factory.mktemp("finished"), MEMBERS)


@pytest.fixture(scope="module")
def study(opened: OpenStudy) -> Study:
    return dge_ray.open_study(opened.folder.path)


def test_it_is_opened_by_name_and_says_its_answer(opened: OpenStudy, study: Study) -> None:
    place, name = str(Path(opened.folder.path).parent), Path(opened.folder.path).name
    assert dge_ray.open_study(name, storage=place).answer == study.answer == study.report["answer"]
    assert repr(study).startswith(f"<study s in {opened.folder}: Use ") and study.page.startswith("file:///")
    html = study._repr_html_()
    assert "Can I trust it?" in html and study.page in html and "<script" not in html
    with pytest.raises(InputError, match=r"^study"):
        dge_ray.open_study(place)


def test_surface_and_predictions_are_the_files(study: Study) -> None:
    assert {"members", "volume", "metric", "value", "se"} <= set(study.surface.columns)
    test = study.predictions()
    assert test.shape[:2] == (MEMBERS, 2) and np.allclose(test.sum(axis=-1), 1)
    assert study.predictions("validation").shape[2] == study.report["data"]["rows"]["validation"]
    with pytest.raises(InputError, match=r"^split: got 'tset'; takes .*test"):
        study.predictions("tset")


def test_the_model_is_the_recommended_ensemble(study: Study) -> None:
    rows = study.opened.prepared.parts["test"].to_pandas()
    said = study.model().predict(rows.drop(columns="y"))
    at = study.report["volumes"].index(study.answer["volume"])
    mean = study.predictions()[: study.answer["members"], at].mean(axis=0, dtype=np.float64)
    assert np.allclose(said["proba_yes"], mean[:, 1], atol=1e-6)


def test_rows_of_a_member_are_a_prefix(study: Study) -> None:
    ten, five = study.sample(10, member=1), study.sample(5, member=1)
    pd.testing.assert_frame_equal(ten.head(5), five)
    assert len(study.sample(7)) == 7 and list(ten.columns) == ["a", "b", "y"]
    for keys in ({"n": 0}, {"n": 5, "member": MEMBERS}):
        with pytest.raises(InputError):
            study.sample(**keys)


def test_figures_are_drawn_where_they_are_told(study: Study) -> None:
    ax = Figure().subplots()
    assert study.plot.volume(ax) is ax and len(ax.lines) >= 2
    for draw in (study.plot.volume, study.plot.members, study.plot.surface):
        assert draw().figure is not None
    assert len(study.plot.fidelity(rows=50).axes) == 3
    with pytest.raises(InputError, match=r"^columns"):
        study.plot.fidelity(["x"])
    with pytest.raises(InputError, match=r"^metric"):
        study.plot.surface(metric="rmse")


def test_an_estimator_starts_from_it(study: Study) -> None:
    one, other = study.estimator(), DGEClassifier.from_study(study.opened.folder.path)
    assert isinstance(one, DGEClassifier) and repr(one) == repr(other)
    assert (one.n_members, one.n_synthetic) == (study.answer["members"], study.answer["volume"])
    assert one.generator == "copula" and type(one.estimator).__name__ == "LogisticRegression"
    with pytest.raises(InputError, match=r"^study: got one of binary; takes one of regression"):
        DGERegressor.from_study(study.opened.folder.path)


def test_the_process_is_as_it_was(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KEPT", "1")
    before = dict(os.environ), sys.excepthook, sys.stdout, random.getstate(), np.random.get_state()[1].tolist()
    with pytest.raises(RuntimeError), as_it_was():
        os.environ.update({"NEW": "1", "KEPT": "2"})
        sys.excepthook = print
        print("a library's note", random.random(), np.random.random())
        raise RuntimeError
    after = dict(os.environ), sys.excepthook, sys.stdout, random.getstate(), np.random.get_state()[1].tolist()
    assert before == after and capsys.readouterr().out == ""


def test_names_alone_import_nothing_heavy() -> None:
    code = "import sys, dge_ray; assert 'open_study' in dir(dge_ray); assert not {'ray', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (Path(dge_ray.__file__).parent / "py.typed").exists()
