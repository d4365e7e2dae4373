"""Learners by name: what is refused, in which words, and what draws a warning."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from helpers.learner_cases import sample, schema

from dge_ray.downstream import check_learner, make_learner
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.installed import is_installed, objection
from dge_ray.errors import InputError
from dge_ray.table.schema.table_schema import TableSchema


@pytest.mark.parametrize(
    ("name", "given_settings", "task", "field", "words"),
    [
        ("bosting", {}, "binary", "learner", "did you mean 'boosting'"),
        ("ridge", {}, "binary", "learner", "'linear' here"),
        ("logistic", {}, "regression", "learner", "'linear' here"),
        ("sklearn.ensemble.NoSuch", {}, "binary", "learner", "cannot be imported"),
        ("no_such_package.Thing", {}, "binary", "learner", "no installed package"),
        ("os.system", {}, "binary", "learner", "no installed package"),
        ("builtins.eval", {}, "binary", "learner", "no installed package"),
        ("subprocess.Popen", {}, "binary", "learner", "no installed package"),
        (".os.system", {}, "binary", "learner", "no installed package"),
        ("sklearn.os.system", {}, "binary", "learner", "cannot be imported"),
        ("antigravity.Thing", {}, "binary", "learner", "no installed package"),
        ("this.Zen", {}, "binary", "learner", "no installed package"),
        ("idlelib.pyshell.Thing", {}, "binary", "learner", "no installed package"),
        ("test.regrtest.Thing", {}, "binary", "learner", "no installed package"),
        ("__main__.Thing", {}, "binary", "learner", "takes a learner's name"),
        ("mlflow.__main__.X", {}, "binary", "learner", "a command line"),
        ("pytest.__main__.Thing", {}, "binary", "learner", "a command line"),
        ("dge_ray.__main__.Thing", {}, "binary", "learner", "a command line"),
        ("sklearn.__main__.tree.Thing", {}, "binary", "learner", "a command line"),
        ("dge_ray.cli.main", {}, "binary", "learner", "not a class"),
        ("sklearn.metrics.log_loss", {}, "binary", "learner", "not a class"),
        ("collections.OrderedDict", {}, "binary", "learner", "no installed package"),
        ("pandas.DataFrame", {}, "binary", "learner", "not a scikit-learn estimator"),
        ("sklearn.preprocessing.StandardScaler", {}, "binary", "learner", "not a scikit-learn estimator"),
        ("sklearn.cluster.KMeans", {}, "binary", "learner", "neither a classifier nor a regressor"),
        ("sklearn.ensemble.VotingClassifier", {}, "binary", "learner", "arguments have defaults"),
        ("sklearn.ensemble.ExtraTreesClassifier", {}, "regression", "learner", "a regressor"),
        ("sklearn.ensemble.ExtraTreesRegressor", {}, "multiclass", "learner", "a classifier"),
        ("sklearn.svm.SVC", {}, "binary", "learner", "predict_proba"),
        ("boosting", {"max_itr": 5}, "binary", "learner.max_itr", "did you mean 'max_iter'"),
        ("boosting", {"max_iter": -1}, "binary", "learner.max_iter", "[1, inf)"),
        ("boosting", {"max_iter": "many"}, "regression", "learner.max_iter", "an int"),
        ("forest", {"random_state": 1}, "binary", "learner.random_state", "nothing"),
        ("boosting", {"categorical_features": [0]}, "binary", "learner.categorical_features", "schema"),
        ("boosting_tuned", {"candidats": 3}, "binary", "learner.candidats", "did you mean 'candidates'"),
        ("boosting_tuned", {"folds": 1}, "binary", "learner.folds", "a whole number from 2"),
        ("boosting_tuned", {"search_rows": 1e4}, "binary", "learner.search_rows", "a whole number from 100"),
        ("boosting_stopped", {"max_itr": 5}, "binary", "learner.max_itr", "did you mean 'max_iter'"),
        ("torch_mlp", {"hiden": [3]}, "binary", "learner.hiden", "did you mean 'hidden'"),
        ("torch_mlp", {"hidden": 64}, "binary", "learner.hidden", "[128, 128]"),
        ("torch_mlp", {"hidden": []}, "binary", "learner.hidden", "[128, 128]"),
        ("torch_mlp", {"dropout": 1.0}, "binary", "learner.dropout", "below 1"),
        ("torch_mlp", {"epochs": 1.5}, "binary", "learner.epochs", "whole number"),
        ("torch_mlp", {"learning_rate": "fast"}, "binary", "learner.learning_rate", "above 0"),
    ],
)
def test_refusals(name: str, given_settings: dict[str, Any], task: str, field: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_learner(name, given_settings, task)
    assert caught.value.field == field
    assert words in str(caught.value) and "\n" not in str(caught.value)


RUNS = {
    "a main": "class Mine: ...\ndef main(): (TOUCH)\nmain()\n",
    "an exit": "import sys\nclass Mine: ...\nsys.exit((TOUCH))\n",
    "a raise": "class Mine: ...\nTOUCH\nraise SystemExit(0)\n",
    "inside a try": "class Mine: ...\ntry:\n    TOUCH; main()\nexcept NameError: pass\n",
    "no such class": "TOUCH\n",
}


def test_what_lies_among_the_installed_packages_is_not_looked_for_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """To find what is installed in editable mode takes reading all distributions, a second."""
    monkeypatch.setattr("dge_ray.downstream.installed._editable", lambda top: pytest.fail(top))
    is_installed.cache_clear()
    assert is_installed("sklearn")
    is_installed.cache_clear()


def test_an_environment_laid_over_another_has_the_packages_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a .pth file or PYTHONPATH: no folder that the interpreter names is the one that they lie in."""
    own = str(tmp_path / "site-packages")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"purelib": own, "platlib": own})
    monkeypatch.setattr("site.getsitepackages", lambda: [own])
    monkeypatch.setattr("site.getusersitepackages", lambda: own)
    monkeypatch.setattr("dge_ray.downstream.installed._editable", lambda top: [])
    is_installed.cache_clear()
    try:
        assert is_installed("sklearn") and is_installed("scipy")
        check_learner("boosting", {}, "binary")
        (tmp_path / "mine.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        assert not is_installed("mine")
    finally:
        is_installed.cache_clear()


@pytest.mark.parametrize("where", ["tool.py", "tool/__init__.py", "tool/part.py"])
@pytest.mark.parametrize("case", RUNS)
def test_a_module_that_runs_when_imported_is_not_imported(
    case: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites, file = tmp_path / "sites", tmp_path / "sites" / where
    file.parent.mkdir(parents=True)
    file.write_text(RUNS[case].replace("TOUCH", f"open({str(tmp_path / 'run')!r}, 'w')"))
    monkeypatch.setattr("dge_ray.downstream.installed._sites", lambda: [str(sites)])
    monkeypatch.syspath_prepend(sites)
    is_installed.cache_clear()
    objection.cache_clear()
    module = where.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    with pytest.raises(InputError, match="cannot be imported"):
        check_learner(f"{module}.Mine", {}, "binary")
    assert not (tmp_path / "run").exists()
    is_installed.cache_clear()
    objection.cache_clear()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.ensemble", "ExtraTreesClassifier"),
        ("sklearn.ensemble._forest", "ExtraTreesClassifier"),
        ("sklearn.experimental", "whatever_it_makes"),
        ("torch.nn", "Linear"),
        ("transformers", "PreTrainedModel"),
        ("dge_ray.estimators.ensemble", "DGEClassifier"),
        ("statsmodels.api", "OLS"),
    ],
)
def test_nothing_speaks_against_modules_that_define(module: str, name: str) -> None:
    why = objection(module, name)
    assert why is None or (name == "whatever_it_makes" and "no 'whatever" in why)


@pytest.mark.parametrize("shape", ["module.py", "package/__init__.py", "namespace/part.py", "sys/__init__.py"])
def test_a_file_in_the_working_directory_is_not_run(
    shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / shape
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        "from pathlib import Path\nfrom sklearn.tree import DecisionTreeClassifier as Mine\nPath('run').touch()\n"
    )
    monkeypatch.chdir(tmp_path)
    for entry in ("", str(tmp_path)):  # as `python -c` and `python -m` have the working directory on the path
        monkeypatch.syspath_prepend(entry)
    name = shape.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    with pytest.raises(InputError, match="no installed package"):
        check_learner(f"{name}.Mine", {}, "binary")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("editable", [True, False])
def test_a_package_counts_as_installed_in_editable_mode(
    editable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip leaves one: the source folder on the path, and a distribution that says so."""
    name = f"mine_{editable}".lower()
    (tmp_path / f"{name}.py").write_text("from sklearn.tree import DecisionTreeClassifier as Mine\n")
    (tmp_path / f"{name}-1.dist-info").mkdir()
    (tmp_path / f"{name}-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (tmp_path / f"{name}-1.dist-info" / "top_level.txt").write_text(name)
    if editable:
        described = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
        (tmp_path / f"{name}-1.dist-info" / "direct_url.json").write_text(json.dumps(described))
    monkeypatch.syspath_prepend(tmp_path)
    if editable:
        check_learner(f"{name}.Mine", {}, "binary")
    else:
        with pytest.raises(InputError, match="no installed package"):
            check_learner(f"{name}.Mine", {}, "binary")


def test_a_dotted_path_is_any_estimator() -> None:
    table = schema()
    path = "sklearn.ensemble.ExtraTreesClassifier"
    check_learner(path, {"n_estimators": 7}, "binary")
    learner = make_learner(path, {"n_estimators": 7}, table, seed=0).fit(sample(table))
    assert isinstance(learner, EstimatorLearner)
    assert len(learner.estimator.estimators_) == 7
    assert isinstance(learner.estimator.random_state, int)


def test_boosting_that_stops_by_itself_draws_a_warning() -> None:
    path = "sklearn.ensemble.HistGradientBoostingClassifier"
    for name, given_settings in (
        (path, {}),
        (path, {"early_stopping": "auto"}),
        ("boosting", {"early_stopping": "auto"}),
    ):
        with pytest.warns(UserWarning, match="above 10,000 rows"):
            check_learner(name, given_settings, "binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_learner(path, {"early_stopping": False}, "binary")
        check_learner("boosting", {}, "binary")


def test_a_table_to_learn_nothing_from_is_refused() -> None:
    bare = TableSchema((schema()["y"],), "y", "binary")
    with pytest.raises(InputError, match="no column to predict from"):
        make_learner("boosting", {}, bare, seed=0)
    with pytest.raises(InputError, match="target"):
        make_learner("boosting", {}, TableSchema(schema().columns), seed=0)
