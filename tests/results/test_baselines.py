"""Baselines at a chosen volume: which one the headline is about, what is said of each, and the constant by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.small_study import small_prepared, small_table
from sklearn.metrics import log_loss

from dge_ray.results.baselines import (
    RIVALS,
    Baselines,
    best_real,
    compare,
    constant_predictions,
    read_baselines,
    real_learners,
    worse_than_constant,
)
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.predictions import bootstrapped_rows, learner_seed, write_predictions

MEMBERS, VOLUME = 4, 100


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    place = tmp_path_factory.mktemp("baselines")
    small_table(place)
    return small_prepared(place, "members=4")


def guess(y: np.ndarray, right: float, fits: int = 1) -> np.ndarray:
    """Fits that give the true class this probability, a little more or less each. Shape: -> (fits, rows, 2)."""
    own = np.clip(right + 0.01 * np.arange(fits)[:, None], 0.01, 0.99) * np.ones(len(y))
    return np.where(np.arange(2) == y[:, None], own[..., None], 1 - own[..., None])


def made(prepared: Prepared, **right: float) -> Baselines:
    parts = {part: prepared.truth(part) for part in ("validation", "test")}
    return Baselines(*({name: guess(y, p, 3) for name, p in right.items()} for y in parts.values()))


@pytest.mark.parametrize("best", RIVALS)
def test_the_best_on_validation_is_the_headlines(prepared: Prepared, best: str) -> None:
    rights = {**dict.fromkeys((*RIVALS, "real_all"), 0.6), best: 0.8}
    found = best_real(prepared, made(prepared, **rights), prepared.truth("validation"))
    assert found["chosen"] == best and set(found["validation"]) == set(RIVALS)
    assert found["method"] == ("real_all" if best == "real" else best)  # the same learner with all the rows


def test_the_constant_is_the_class_shares(prepared: Prepared) -> None:
    y = prepared.truth("train")
    assert constant_predictions(prepared)["test"][0] == pytest.approx([np.mean(y == 0), np.mean(y == 1)])


def test_every_method_is_read_compared_and_told_if_it_is_worse_than_nothing(prepared: Prepared, tmp_path: Path) -> None:
    folder, (arm,) = Folder.open(str(tmp_path)), prepared.arms
    truth = {part: prepared.truth(part) for part in ("validation", "test")}
    members = {part: guess(y, 0.3, MEMBERS) for part, y in truth.items()}  # worse than any constant
    jobs = prepared.own_baselines(MEMBERS, VOLUME)
    assert len({learner_seed(0, job) for job in jobs}) == len(jobs)
    for job in jobs:
        values = {part: guess(y, 0.9)[0] for part, y in truth.items()}
        write_predictions(folder, arm.label, job, values, prepared.schema.classes)
    baselines = read_baselines(prepared, folder, arm.label, members, [VOLUME], {})
    shapes = {name: len(fits) for name, fits in baselines.test.items()}
    assert shapes == {
        "naive_ensemble": 4,
        "naive_concatenated": 5,  # and without each of four groups
        "constant": 1,
        "simple": 1,
        "real": 5,
        "real_all": 5,
        "real_ensemble": 4,
    }
    report = compare(prepared, members["test"], baselines, truth["test"])
    assert report["difference_target"] == "new members, fits and rows"
    assert report["test"]["real"]["log_loss"] == pytest.approx(-np.log(0.9))
    constant = constant_predictions(prepared)["test"]
    assert report["test"]["constant"]["log_loss"] == pytest.approx(log_loss(truth["test"], constant))
    value, low, high = report["test_differences"]["real"]["log_loss"]
    assert value == pytest.approx(report["test"]["dge"]["log_loss"] - report["test"]["real"]["log_loss"])
    assert low <= value <= high and low > 0
    (line,) = worse_than_constant({**report, "learner": "boosting"}, "log_loss")
    assert line.startswith("boosting on synthetic rows does worse than a constant prediction: log_loss ")
    few = compare(prepared, members["test"][:2], baselines, truth["test"])
    assert few["difference_target"] == "these fitted models, new rows"


def test_an_ensembles_rows_are_drawn_anew_for_each_fit(prepared: Prepared) -> None:
    first, second = (job for job in prepared.own_baselines(2, VOLUME) if job.kind == "real_ensemble")
    drawn = bootstrapped_rows(0, first, 500)
    assert np.array_equal(drawn, bootstrapped_rows(0, first, 500)) and drawn.min() >= 0 and drawn.max() < 500
    assert not np.array_equal(drawn, bootstrapped_rows(0, second, 500))
    assert not np.array_equal(drawn, bootstrapped_rows(1, first, 500))
    assert not np.array_equal(drawn, bootstrapped_rows(0, replace(first, index=7), 500))
    assert 0.55 < len(np.unique(drawn)) / 500 < 0.72  # 1 - 1/e of the rows, 3 standard errors are .04


def test_models_on_real_rows_are_of_the_learner_that_does_best_there_on_validation(tmp_path: Path) -> None:
    """`real` and the ensemble are chosen apart; `real_all`, which has no rows left to choose on, follows `real`."""
    small_table(tmp_path)
    two = small_prepared(tmp_path, "members=3", "learner=[linear,tree]")
    folder = Folder.open(str(tmp_path / "made"))
    truth = {part: two.truth(part) for part in ("validation", "test")}
    right = {("linear", "real"): 0.6, ("tree", "real"): 0.8, ("linear", "real_ensemble"): 0.7}
    for label in ("linear", "tree"):
        for job in two.own_baselines(3, VOLUME):
            values = {part: guess(y, right.get((label, job.kind), 0.55))[0] for part, y in truth.items()}
            write_predictions(folder, label, job, values, two.schema.classes)
    found = real_learners(two, folder, 3)
    assert found == {"real": "tree", "real_all": "tree", "real_ensemble": "linear"}
    members = {part: guess(y, 0.5, 3) for part, y in truth.items()}
    read = read_baselines(two, folder, "linear", members, [VOLUME], found)
    y = truth["test"]
    assert [float(read.test[method][0][0, y[0]]) for method in found] == pytest.approx(
        [0.8, 0.7, 0.55]
    )  # real, the ensemble, all
    one = small_prepared(tmp_path, "members=3")
    assert real_learners(one, folder, 3) == {}
    kinds = {job.kind for job in two.first_baselines(two.arms[0], 3, [VOLUME])}
    assert kinds == {"real", "real_all", "real_ensemble"}, "the naive ones are of the learner that is chosen"
    assert one.first_baselines(one.arms[0], 3, [VOLUME]) == one.baselines(one.arms[0], 3, [VOLUME])
