"""A cross-fitted study without Ray, against a plain loop over rows: predictions, choice, baselines, and the report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pages import parse
from helpers.small_study import small_prepared, small_table
from sklearn.metrics import log_loss

from dge_ray.commands.arm_search import arm_predictions
from dge_ray.distributed.actors import fit_member
from dge_ray.distributed.worker import Fits
from dge_ray.downstream import make_learner
from dge_ray.report.study_page import render_html
from dge_ray.report.summary import summary_lines
from dge_ray.results.assemble import assemble_report, choose, nested_places, surface_table
from dge_ray.results.findings import findings
from dge_ray.results.outcomes import Outcome
from dge_ray.stats.volume.nested import nested_choice
from dge_ray.storage import Folder
from dge_ray.study.downstream_spec import downstream_of
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.jobs import FOLD
from dge_ray.study.records.predictions import Job, finished, learner_seed, read_predictions
from dge_ray.table import TableCodec

MEMBERS, FOLDS = 2, 3


def fitted(prepared: Prepared) -> tuple[Folder, Fits]:
    """The study's generators, each on its fold's rows, all rows that are wanted of them, and what learns from them."""
    folder = study_folder(prepared.config.storage, prepared.name)
    claim_folder(prepared, folder)
    spec = downstream_of(prepared, folder, prepared.arms, prepared.volumes[-1])
    for number in prepared.generators(MEMBERS):
        parts = prepared.tables[number // FOLD]
        fit_member(spec.members, number, parts["train"], parts["stopping"], device="cpu", progress=lambda record: None)
        spec.members.complete_rows(number, spec.volume)
    return folder, Fits(spec, [prepared.encoded(fold) for fold in range(FOLDS)])


def run(prepared: Prepared) -> tuple[Folder, Outcome, dict[str, np.ndarray]]:
    folder, fits = fitted(prepared)
    (arm,) = prepared.arms
    for k in range(MEMBERS):
        for m in arm.volumes:
            for job in prepared.cell(arm, k, m):
                fits.fit(job)
    truth = {split: prepared.judged_truth(split) for split in ("validation", "test")}
    predictions = arm_predictions(prepared, folder, arm, MEMBERS, arm.volumes)
    choice = choose(prepared, predictions["validation"], truth["validation"], arm.volumes)
    places = nested_places(prepared, predictions, truth["validation"], arm.volumes)
    outcome = Outcome(prepared, arm, list(arm.volumes), predictions, choice, nested=places)
    for job in prepared.baselines(arm, MEMBERS, outcome.by_fold):
        fits.fit(job)
    return folder, outcome, truth


@pytest.fixture(scope="module", params=["test", "crossfit"])
def study(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Outcome, dict[str, np.ndarray]]:
    place = tmp_path_factory.mktemp(request.param)
    small_table(place)
    words = [f"folds={FOLDS}", f"report={request.param}", f"members={MEMBERS}", "ratios=0.5,2", "shard_rows=256"]
    return run(small_prepared(place, *words))


def by_loop(prepared: Prepared, folder: Folder, k: int, m: int) -> dict[str, np.ndarray]:
    """A member's predictions of each row, by the first m rows of the generator whose fold it is in."""
    spec, codec, folds = (
        downstream_of(prepared, folder, prepared.arms, m).members,
        TableCodec(prepared.schema),
        prepared.folds,
    )
    assert folds is not None
    learners = []
    for fold in range(FOLDS):
        seed = learner_seed(prepared.config.seed, Job("member", k + fold * FOLD, m))
        learner = make_learner("linear", {}, prepared.schema, seed=seed)
        learners.append(learner.fit(codec.encode(spec.first_rows(k + fold * FOLD, m))))
    values = np.full((folds.pool.num_rows, 2), np.nan)
    for row in range(folds.pool.num_rows):
        (fold,) = (f for f, held in enumerate(folds.held) if row in held)
        values[row] = learners[fold].predict(codec.encode(folds.pool.slice(row, 1)))[0]
    test = prepared.parts.get("test")
    if test is None:
        return {"validation": values, "test": values}
    return {"validation": values, "test": np.concatenate([one.predict(codec.encode(test)) for one in learners])}


def test_a_plain_loop_predicts_the_same(study: tuple[Folder, Outcome, dict[str, np.ndarray]]) -> None:
    folder, outcome, _ = study
    for k, i in ((0, 0), (1, 1)):
        found = by_loop(outcome.prepared, folder, k, outcome.volumes[i])
        for split, values in found.items():
            np.testing.assert_allclose(outcome.predictions[split][k, i], values, atol=1e-6)


def test_members_of_different_folds_differ_and_fold_0_is_a_study_of_its_own(
    study: tuple[Folder, Outcome, dict[str, np.ndarray]],
) -> None:
    folder, outcome, _ = study
    seeds = {folder.read_json(f"members/{k:03d}{f}/member.json")["seed"] for k in range(2) for f in ("", "-1", "-2")}
    assert len(seeds) == MEMBERS * FOLDS
    table = folder.read_table("predictions/linear-member-100001-" + f"{outcome.volumes[0]:010d}-0000.parquet")
    assert set(table["member"].to_pylist()) == {1}
    rows = table.filter(np.array(table["split"]) == "validation")["row"].to_numpy()
    assert rows[::2].tolist() == outcome.prepared.held[1].tolist()


def test_baselines_are_fitted_in_each_fold_at_its_volume(study: tuple[Folder, Outcome, dict[str, np.ndarray]]) -> None:
    folder, outcome, truth = study
    prepared, label = outcome.prepared, outcome.arm.label
    baselines, codec = outcome.baselines(folder, {}), TableCodec(prepared.schema)
    for method, parts in (("real", ("train",)), ("real_all", ("train", "stopping"))):
        for fold, held in enumerate(prepared.held):
            tables = prepared.tables[fold]
            columns = [codec.encode(tables[part]) for part in parts]
            rows = {name: np.concatenate([one[name] for one in columns]) for name in columns[0]}
            job = Job(method, fold * FOLD, index=1)  # type: ignore[arg-type]
            learner = make_learner("linear", {}, prepared.schema, seed=learner_seed(0, job)).fit(rows)
            own = learner.predict(codec.encode(tables["validation"]))
            np.testing.assert_allclose(baselines.validation[method][1][held], own, atol=1e-6)
    shares = [np.mean([y == "no" for y in tables["train"]["y"].to_pylist()]) for tables in prepared.tables]
    for held, share in zip(prepared.held, shares, strict=True):
        assert baselines.validation["constant"][0][held, 0] == pytest.approx(share)
    assert {len(fits[0]) for fits in baselines.test.values()} == {len(truth["test"])}
    for fold, volume in enumerate(outcome.by_fold):
        assert finished(folder, label, [Job("concatenated", fold * FOLD, volume, MEMBERS)])


def test_each_fold_is_read_at_the_others_choice(study: tuple[Folder, Outcome, dict[str, np.ndarray]]) -> None:
    _, outcome, truth = study
    prepared, p = outcome.prepared, outcome.predictions["validation"]
    if not prepared.is_nested:
        assert outcome.by_fold == (outcome.choice.volume,) * FOLDS and outcome.nested == ()
        return
    for fold, held in enumerate(prepared.held):
        rest = np.setdiff1d(np.arange(p.shape[2]), held)
        risks = [log_loss(truth["validation"][rest], p[:, i, rest].mean(axis=0)) for i in range(len(outcome.volumes))]
        assert outcome.by_fold[fold] == outcome.volumes[int(np.argmin(risks))]
        np.testing.assert_array_equal(outcome.at_choice[:, held], p[:, int(np.argmin(risks)), held])


def test_the_report_says_what_its_numbers_are_of(study: tuple[Folder, Outcome, dict[str, np.ndarray]]) -> None:
    folder, outcome, truth = study
    prepared = outcome.prepared
    more = findings(outcome, folder, truth)
    report = assemble_report(prepared, folder, outcome, [outcome], truth, learners={}, wall_seconds=1.0, more=more)
    each = prepared.fold_count if not prepared.is_nested else 1
    losses = [  # of test rows: the mean over folds of each fold's ensemble
        log_loss(truth["test"][part], outcome.at_choice[:, part].mean(axis=0))
        for part in np.split(np.arange(len(truth["test"])), each)
    ]
    assert report["reflection_point"]["risk"] == pytest.approx(np.mean(losses))
    seen = prepared.rows["train"] + prepared.rows["stopping"]
    kept = {"folds": FOLDS, "report": prepared.config.report, "n": prepared.n, "seen": seen}
    assert report["folds"] == {**kept, "volumes": list(outcome.by_fold)}
    assert report["cost"]["downstream_fits"] == FOLDS * (2 * MEMBERS + len(prepared.own_baselines(MEMBERS, 1)))
    assert report["cost"]["rows_generated"] == FOLDS * MEMBERS * outcome.volumes[-1]
    calibrated = report["uncertainty"]["conformal"]
    assert calibrated["calibration_rows"] + calibrated["rows"] == prepared.once  # no row twice
    table = surface_table(outcome, truth)
    splits = set(table["split"].to_pylist())
    assert splits == ({"validation"} if prepared.is_nested else {"validation", "test"})
    text, page = "\n".join(summary_lines(report)), render_html(report, {})
    parse(page)
    for told in (
        f"{FOLDS} folds: every risk is of generators fitted on {prepared.n} rows",
        "usually err a little less",
    ):
        assert told in text and told in page
    assert ("risk by cross-fitting" in text) == prepared.is_nested == ("by cross-fitting" in page)


def test_the_others_choice_is_theirs_alone() -> None:
    """A fold's own rows may say what they like."""
    random = np.random.default_rng(0)
    y, held = random.normal(size=12), [np.arange(0, 12, 3), np.arange(1, 12, 3), np.arange(2, 12, 3)]
    p = np.stack([y + 0.1, y + 1.0])[None, :, :, None] * np.ones((3, 1, 1, 1))

    def places(p: np.ndarray) -> Sequence[int]:
        return nested_choice(p, y, held, task="regression", volumes=[1, 2])

    assert places(p) == (0, 0, 0)
    p[:, 0, held[1]] += 100.0
    p[:, 1, held[1]] = y[held[1]][:, None]
    assert places(p) == (1, 0, 1)


def test_a_fit_that_is_cut_off_in_one_fold_leaves_the_cell_undone(tmp_path: Path) -> None:
    small_table(tmp_path)
    prepared = small_prepared(tmp_path, f"folds={FOLDS}", "members=1", "ratios=0.5", "shard_rows=256")
    prepared = replace(prepared, config=prepared.config.model_copy(update={"members": 1}))
    folder, fits = fitted(prepared)
    (arm,), (m,) = prepared.arms, prepared.volumes
    jobs = prepared.cell(arm, 0, m)
    for job in jobs[:-1]:
        fits.fit(job)
    assert np.isnan(arm_predictions(prepared, folder, arm, 1, [m])["validation"]).all()
    before = [read_predictions(folder, arm.label, job, 2)["validation"] for job in jobs[:-1]]
    fits.fit(jobs[-1])
    whole = arm_predictions(prepared, folder, arm, 1, [m])["validation"]
    assert not np.isnan(whole).any()
    for held, own in zip(prepared.held, before, strict=False):
        np.testing.assert_array_equal(whole[0, 0, held], own)
