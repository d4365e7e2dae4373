"""One fit and its judges, against scikit-learn's metrics on rows put together by hand; addresses; folds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bundles import members_of, write_frames
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, r2_score, roc_auc_score

from dge_ray.commands.evaluate import cross_fits
from dge_ray.commands.judging_request import read_request
from dge_ray.commands.verbs import JudgingKeys
from dge_ray.downstream import make_learner
from dge_ray.errors import InputError, StudyError
from dge_ray.evaluation.crossfit import CrossFit, MemberPart, row_folds, run_fit
from dge_ray.evaluation.judging import estimates
from dge_ray.seeds import Purpose, integer
from dge_ray.table import target_vector


@given(st.lists(st.integers(0, 3), min_size=10, max_size=60), st.integers(2, 7), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_folds_are_equal_in_every_class(codes: list[int], folds: int, member: int) -> None:
    target = np.array(codes, np.int32)
    number = row_folds(target, folds, seed=0, member=member)
    assert np.array_equal(number, row_folds(target, folds, seed=0, member=member))
    for rows in [np.ones(len(target), bool), *(target == c for c in set(codes))]:
        counts = np.bincount(number[rows], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_folds_differ_between_members_and_seeds() -> None:
    target = np.zeros(100)
    made = [row_folds(target, 5, seed=s, member=m).tolist() for s, m in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(folds) for folds in made}) == 3


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_scores_are_those_of_pooled_rows(task: str, tmp_path: Path) -> None:
    """One metric on the rows of all judges together; AUC, R2 and RMSE of it are no means of the judges' own."""
    place = write_frames(tmp_path / "bundle", members_of(4, 80, task=task), "y")
    request = read_request(str(place), JudgingKeys.read({"K": 3, "seed": 5, "out": str(tmp_path / "out")}))
    fit = request.fits("tree", {"max_depth": 3})[2]
    assert [part.member for part in fit.judges["others"]] == [3, 0]  # the next two, in turn
    columns = {k: request.columns(k) for k in fit.members}
    scores = run_fit(fit, request.schema, columns, columns[1] if 1 in columns else request.columns(1), 5)["scores"]

    train, own = fit.train[0], fit.judges["own"][0]
    seed = integer(5, Purpose.LEARNER, member=2, bits=31)
    learner = make_learner("tree", {"max_depth": 3}, request.schema, seed=seed)
    learner.fit(train.take(columns[2], request.schema, 5))
    judges = {
        "own": [own.take(columns[2], request.schema, 5)],
        "others": [columns[3], columns[0]],
        "real": [request.columns(1)],
    }
    assert {name: found["rows"] for name, found in scores.items()} == {"own": 16, "others": 160, "real": 80}
    for name, rows in judges.items():
        p = np.concatenate([learner.predict(r) for r in rows]).astype(float)
        y = np.concatenate([target_vector(r, request.schema) for r in rows])
        if task == "regression":
            oracle = {"rmse": np.sqrt(((p[:, 0] - y) ** 2).mean()), "r2": r2_score(y, p[:, 0])}
        else:
            oracle = {
                "accuracy": accuracy_score(y, p.argmax(axis=1)),
                "auc": roc_auc_score(y, p[:, 1]),
                "brier": brier_score_loss(y, p[:, 1]),
                "log_loss": log_loss(y, p / p.sum(axis=1, keepdims=True)),
            }
        for metric, value in oracle.items():
            assert scores[name][metric]["value"] == pytest.approx(value, abs=1e-6), metric  # float32 probabilities
    parts = scores["others"]["rmse" if task == "regression" else "auc"]
    assert set(parts["by_member"]) == {"3", "0"}
    assert np.mean(list(parts["by_member"].values())) == pytest.approx(parts["value"])


def test_no_judge_shares_a_row_or_a_generator_with_training(tmp_path: Path) -> None:
    place = write_frames(tmp_path / "bundle", members_of(5, 60), "y")
    out = {"out": str(tmp_path / "out")}
    for others, k in (("rotating", 5), ("rotating", 2), ("first", 3)):
        request = read_request(str(place), JudgingKeys.read({"others": others, "K": k, **out}))
        fits = request.fits("tree", {})
        judges = [[part.member for part in fit.judges["others"]] for fit in fits]
        assert all(i not in found and len(set(found)) == k - 1 for i, found in enumerate(judges))
        if others == "rotating":  # each member judges equally often
            assert set(np.bincount(np.concatenate(judges), minlength=5)) == {k - 1}
        else:
            assert judges == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]
    request = read_request(str(place), JudgingKeys.read(out))
    folded = cross_fits(request, "tree", {}, 3)
    assert [scheme for scheme, _ in folded].count("dge") == 3
    columns = request.columns(0)
    numbered = {**columns, "x": np.arange(60.0)}
    unseen = []
    for scheme, fit in folded:
        train, judge = {p.member for p in fit.train}, {p.member for p in fit.judges["judge"]}
        if scheme == "dge":
            assert not train & judge and train | judge == set(range(5))
            unseen += sorted(judge)
            continue
        assert train == judge == ({0} if scheme == "naive" else set(range(5)))
        sides = [next(p for p in parts if p.member == 0) for parts in (fit.train, fit.judges["judge"])]
        rows = [set(side.take(numbered, request.schema, 0)["x"]) for side in sides]
        assert not rows[0] & rows[1] and rows[0] | rows[1] == set(range(60)) and len(rows[1]) == 20
    assert sorted(unseen) == list(range(5))


def test_an_address_is_of_what_matters() -> None:
    fit = CrossFit("tree", (MemberPart(0, 0, 5),), {"own": (MemberPart(0, 0, 5, True),)}, {"max_depth": 3})
    context = {"bundle": "abc", "seed": 0}
    assert fit.key(context) == replace(fit, settings={"max_depth": 3}).key(dict(context))
    others = [
        fit.key({**context, "seed": 1}),
        replace(fit, estimator="forest").key(context),
        replace(fit, settings={"max_depth": 4}).key(context),
        replace(fit, judges={"own": (MemberPart(0, 1, 5, True),)}).key(context),
        replace(fit, index=1).key(context),
    ]
    assert len({fit.key(context), *others}) == 6


def test_an_undefined_metric_is_told_and_not_made_up(tmp_path: Path) -> None:
    """A judge of one class has no AUC; accuracy has."""
    frames = members_of(3, 60)
    frames[1]["y"] = "no"
    request = read_request(
        str(write_frames(tmp_path / "b", frames, "y")), JudgingKeys.read({"K": 2, "out": str(tmp_path)})
    )
    rows = {k: request.columns(k) for k in range(3)}
    results = [run_fit(fit, request.schema, rows, None, 0) for fit in request.fits("tree", {})]
    assert results[0]["scores"]["others"]["auc"] is None
    assert estimates(results, "auc") is None and estimates(results, "accuracy") is not None


def test_a_failing_estimator_is_one_line(tmp_path: Path) -> None:
    place = write_frames(tmp_path / "bundle", members_of(2, 60), "y")
    request = read_request(str(place), JudgingKeys.read({"out": str(tmp_path / "out")}))
    fit = request.fits("sklearn.tree.DecisionTreeClassifier", {"monotonic_cst": [1]})[1]  # of one column only
    with pytest.raises(StudyError, match=r"DecisionTreeClassifier on the rows of member 1: ValueError: ") as caught:
        run_fit(fit, request.schema, {k: request.columns(k) for k in fit.members}, None, 0)
    assert "\n" not in str(caught.value)


def test_another_target_makes_another_task(tmp_path: Path) -> None:
    place = write_frames(tmp_path / "bundle", members_of(2, 60), "y")
    out = {"out": str(tmp_path / "out")}
    assert read_request(str(place), JudgingKeys.read({"target": "c", **out})).schema.task == "multiclass"
    aimed = read_request(str(place), JudgingKeys.read({"target": "z", **out}))
    assert aimed.schema.task == "regression"
    target = target_vector(aimed.columns(0), aimed.schema)
    assert np.isfinite(target).all() and len(target) < 60  # rows without one are left out
    with pytest.raises(InputError, match=r"^target: got 'w', which is no column"):
        read_request(str(place), JudgingKeys.read({"target": "w", **out}))
