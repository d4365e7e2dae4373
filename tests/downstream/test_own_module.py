"""Estimators of the user's own modules: taken of PYTHONPATH with a warning, else refused, and on a cluster."""

import importlib
import sys
from pathlib import Path

import pytest

from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.downstream import check_learner
from dge_ray.errors import InputError

CODE = "from sklearn.naive_bayes import GaussianNB\n\nclass Mine(GaussianNB):\n    pass\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in a folder that can be imported from."""
    (tmp_path / "my_own_learners.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "my_own_learners", raising=False)
    return "my_own_learners.Mine"


def test_on_pythonpath_it_is_taken_with_one_warning(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"/nowhere:{tmp_path}")
    with pytest.warns(UserWarning) as told:
        check_learner(module, {"var_smoothing": 1e-8}, "binary")
    [line] = [str(one.message) for one in told]
    assert module in line and str(tmp_path) in line and "\n" not in line


@pytest.mark.parametrize("path", [None, "", ":", "/nowhere"])
def test_a_folder_that_nobody_named_is_not_searched(
    path: str | None, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be imported all the same: it is the working folder, say, or that of a script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    with pytest.raises(InputError, match="no installed package"):
        check_learner(module, {}, "binary")
    assert "my_own_learners" not in sys.modules, "nothing was imported"


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "__main__.Mine", "subprocess.Popen", "sklearn.no.Such"])
def test_the_standard_library_and_main_are_refused_whatever_the_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for top in ("os", "subprocess", "__main__"):
        (tmp_path / f"{top}.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InputError):
        check_learner(name, {}, "binary")


def test_on_a_cluster_it_is_refused(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    refuse_on_cluster([module])
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    refuse_on_cluster(["linear", "sklearn.svm.SVC"])
    with pytest.raises(InputError, match="nodes do not have") as told:
        refuse_on_cluster([module])
    assert told.value.field == "learner"
