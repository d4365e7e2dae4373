"""Raw rows, augmentation and several learners, without Ray: volumes and fits by arithmetic, a worker's rows against
NumPy's concatenation, the table of learners against the metrics themselves, and what the report says."""

from dataclasses import replace
from functools import partial
from html import unescape
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers import fake_study
from helpers.pages import parse
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dge_ray.commands.check import bill
from dge_ray.distributed.worker import Worker
from dge_ray.downstream import slices
from dge_ray.report.figures.errors import error_by_volume
from dge_ray.report.figures.learners import error_by_learner
from dge_ray.report.study_page import render_html
from dge_ray.report.summary import summary_lines
from dge_ray.report.words.study import verdict
from dge_ray.results.assemble import choose
from dge_ray.results.outcomes import Outcome, best_on_validation, learner_table
from dge_ray.results.weighing import safe_weights
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.storage import Folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import make_config, read_config
from dge_ray.study.records.predictions import Job, write_predictions


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """200 rows for the generators and 20 to stop on, 60 raw, 50 to choose on, 70 to report on."""
    rng = np.random.default_rng(0)
    parts = np.repeat(["train", "raw", "validation", "test"], [220, 60, 50, 70])
    frame = pd.DataFrame({"x": rng.normal(size=400).round(3), "z": rng.normal(size=400).round(3), "part": parts})
    frame["y"] = np.where(frame.x + rng.normal(size=400) > 0, "yes", "no")
    path = tmp_path_factory.mktemp("modes") / "t.parquet"
    frame.to_parquet(path)
    return str(path)


def _prepared(table: str, *words: str) -> Prepared:
    fixed = ["target=y", "split_column=part", "generator=copula", "members=2"]
    learner = [] if any(word.startswith("learner=") for word in words) else ["learner=boosting"]
    return prepare(read_config(table, [*fixed, *learner, *words]))


def test_ratios_are_multiples_of_the_raw_rows(table: str) -> None:
    prepared = _prepared(table, "ratios=0,0.5,2", "rows=augmented")
    assert (prepared.n, prepared.base, prepared.raw_part) == (198, 60, "raw")
    assert prepared.volumes == (0, 30, 120) and prepared.pilot_volume == 30
    assert [arm.label for arm in prepared.arms] == ["boosting-augmented"]
    encoded = prepared.encoded()
    assert {part: len(columns["x"]) for part, columns in encoded.items()} == {
        **_rows(prepared),
        "stopping": 22,
        "raw": 60,
    }
    costs = bill(prepared)
    # members at three volumes; one more seed, the concatenated, and those on real rows
    assert costs["downstream_fits"] == 2 * 3 + 2 + ON_REAL
    # each of the 8 fits on synthetic rows has the 60 raw ones too
    assert costs["downstream_rows"] == 2 * (0 + 30 + 120) + 120 + 240 + _real_rows(prepared) + 8 * 60


ON_REAL = 5 + 5 + 2 + 1 + 1  # real, real_all, an ensemble of two, simple and raw


def _real_rows(prepared: Prepared) -> int:
    """Of the baselines on real rows, all together."""
    every = 198 + 22 + prepared.rows["validation"]
    return 5 * 198 + 5 * every + 2 * 198 + 198 + 60


def _rows(prepared: Prepared) -> dict[str, int]:
    return {part: prepared.rows[part] for part in ("train", "validation", "test")}


def test_without_a_raw_part_the_raw_rows_are_the_generators_own() -> None:
    prepared = prepare(
        read_config("breast_cancer", ["generator=copula", "learner=boosting", "rows=augmented", "ratios=0,1"])
    )
    assert (prepared.raw_part, prepared.base) == ("train", prepared.n)
    encoded = prepared.encoded()
    assert encoded["raw"] is encoded["train"]
    (arm,) = prepared.arms
    assert "raw" not in [job.kind for job in prepared.baselines(arm, 3, [10])]


def test_the_rows_that_learners_see_are_not_part_of_a_studys_identity(table: str) -> None:
    plain, augmented = _prepared(table), _prepared(table, "rows=augmented", "learner=linear,tree")
    assert plain.identity() == augmented.identity()
    assert [arm.label for arm in plain.arms] == ["boosting"] and plain.arms[0].weight is None
    assert [arm.label for arm in augmented.arms] == ["linear-augmented", "tree-augmented"]
    assert [arm.learner.name for arm in augmented.arms] == ["linear", "tree"]
    assert make_config(augmented.config.model_dump(mode="json")) == augmented.config
    naive = 1 + 1  # a seed more and the concatenated: of the learner that is chosen alone, as `simple` and `raw` are
    assert bill(augmented)["downstream_fits"] == 2 * bill(plain)["downstream_fits"] - naive - 2


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(
    "job",
    [
        Job("member", 1, 7),
        Job("member", 1, 0),
        Job("ensemble", 0, 5, 1),
        Job("concatenated", 0, 6, 3),
        Job("real"),
        Job("raw"),
    ],
)
def test_a_fits_rows_are_the_real_ones_then_its_members(job: Job, augmented: bool) -> None:
    """Whole, and as a streaming learner asks for them: ranges that cross from one part into the next."""
    if job.kind == "member" and not job.volume and not augmented:
        return  # refused: a fit on no rows
    members = {k: {"x": 100.0 * (k + 1) + np.arange(20.0)} for k in range(3)}
    real = {"train": {"x": np.arange(4.0)}, "raw": {"x": 10 + np.arange(3.0)}}
    worker = object.__new__(Worker)
    worker.real, worker.spec = [real], SimpleNamespace(augmented=augmented, held=())  # type: ignore[assignment]
    worker.reader = SimpleNamespace(  # type: ignore[assignment]
        prefix=lambda member, volume, ahead: {"x": members[member]["x"][:volume]},
        rows=lambda member, volume, ranges, ahead: slices({"x": members[member]["x"][:volume]}, ranges),
    )
    before = {"real": [real["train"]], "raw": [real["raw"]]}.get(job.kind, [real["raw"]] if augmented else [])
    parts = [*before, *({"x": members[k]["x"][: job.volume]} for k in job.members)]
    want = np.concatenate([part["x"] for part in parts])
    assert worker._rows(job) == len(want)
    np.testing.assert_array_equal(worker._columns(job, 20)["x"], want)
    for size in (1, 2, 5, 100):
        ranges = [range(start, min(start + size, len(want))) for start in range(0, len(want), size)]
        asked = ranges[::2]
        got = [piece["x"] for piece in worker._rows_of(job, 20, asked)]
        np.testing.assert_array_equal(np.concatenate(got), np.concatenate([want[r.start : r.stop] for r in asked]))


WEIGHTED = ("rows=augmented", "ratios=0.5,2", "learner=linear,tree", "weights=1,0.3")


def test_each_weight_is_a_learner_of_its_own_and_0_is_the_raw_rows_alone(table: str) -> None:
    prepared = _prepared(table, *WEIGHTED)
    assert prepared.config.weights == (0.0, 0.3, 1.0)
    labels = [f"{name}-augmented-weight={w}" for name in ("linear", "tree") for w in ("0", "0.3", "1")]
    assert [arm.label for arm in prepared.arms] == labels
    assert [arm.weight for arm in prepared.arms] == [0.0, 0.3, 1.0] * 2
    assert (prepared.arms[4].learner.name, prepared.arms[4].learner.settings) == ("tree", {})
    assert [arm.volumes for arm in prepared.arms] == [(0,), (30, 120), (30, 120)] * 2
    assert [arm.synthetic for arm in prepared.arms] == [False, True, True] * 2
    assert prepared.identity() == _prepared(table).identity()  # weights may be added to a study
    assert make_config(prepared.config.model_dump(mode="json")) == prepared.config
    costs = bill(prepared)
    # two members at no volume or at two; one more seed, the concatenated, those on real rows: of each of two learners
    assert costs["downstream_fits"] == 2 * ((2 + 2 + ON_REAL) + 2 * (4 + 2 + ON_REAL))
    on_synthetic = 2 * (30 + 120) + 120 + 240 + 6 * 60 + _real_rows(prepared)
    assert costs["downstream_rows"] == 2 * (4 * 60 + _real_rows(prepared) + 2 * on_synthetic)


def test_a_fits_mixture_is_its_learners_weight(table: str) -> None:
    worker, prepared = object.__new__(Worker), _prepared(table, *WEIGHTED)
    weights = {arm.label: arm.weight for arm in prepared.arms}
    worker.real = [prepared.encoded()]
    worker.spec = SimpleNamespace(augmented=True, weights=weights, held=())  # type: ignore
    label = "linear-augmented-weight=0.3"
    for job, rows in ((Job("member", 1, 30), 30), (Job("concatenated", 0, 30, 2), 60)):
        mixture = worker._mixture(replace(job, learner=label))
        assert mixture is not None and mixture.real == 60
        weights = mixture.weights(60 + rows)
        assert (weights[:60] == 1).all() and weights[60:].sum() == pytest.approx(0.3 * 60)
    for job, rows in ((Job("raw"), 60), (Job("real"), 198), (Job("member", 0, 0), 60)):
        mixture = worker._mixture(replace(job, learner=label))
        assert mixture is not None and mixture.weights(rows).tolist() == [1.0] * rows
    assert worker._mixture(Job("member", 1, 30, learner="linear")) is None


def _weighed(table: str, gains: dict[float, float]) -> list[Outcome]:
    """Made-up predictions of a learner at its weights: how far each is from the truth, less than weight 0."""
    prepared = _prepared(table, "rows=augmented", "ratios=1,2", f"weights={','.join(map(str, gains))}")
    truth, rng, outcomes = prepared.truth("validation"), np.random.default_rng(3), []
    noise = 0.3 * rng.random(len(truth))
    for arm in prepared.arms:
        assert arm.weight is not None
        own = np.clip(0.4 + noise - gains[arm.weight] * rng.uniform(0.5, 1.5, len(truth)), 0.02, 0.98)
        cell = np.where(np.eye(2)[truth] == 1, 1 - own[:, None], own[:, None]).astype(np.float32)
        cells = {part: np.tile(cell, (2, len(arm.volumes), 1, 1)) for part in ("validation", "test")}
        choice = choose(prepared, cells["validation"], truth, arm.volumes)
        outcomes.append(Outcome(prepared, arm, list(arm.volumes), cells, choice))
    return outcomes


@pytest.mark.parametrize(
    ("gains", "safe"),
    [({0: 0, 0.3: -0.001, 1: -0.1}, 0), ({0: 0, 0.3: 0.05, 1: 0.1}, 1), ({0: 0, 0.3: -0.1, 1: -0.2}, 0)],
)
def test_a_weight_is_chosen_only_where_it_is_known_to_beat_the_raw_rows_alone(
    table: str, gains: dict[float, float], safe: float
) -> None:
    outcomes = _weighed(table, gains)
    truth = outcomes[0].prepared.truth("validation")
    candidates, table_of_weights = safe_weights(outcomes, truth)
    assert [outcome.arm.weight for outcome in candidates] == [safe]
    assert best_on_validation(candidates) is candidates[0]
    rows = table_of_weights["weights"]
    assert [row["weight"] for row in rows] == [0.0, 0.3, 1.0] and [row["safe"] for row in rows].count(True) == 1
    for row, outcome in zip(rows, outcomes, strict=True):
        want = outcome.choice.value - outcomes[0].choice.value
        assert row["difference"] == pytest.approx(want) and row["limit"] >= row["difference"]
        assert row["safe"] == (row["weight"] == safe)
    report = {**fake_study.report(), **table_of_weights}
    [line] = [text for text in summary_lines(report) if text.startswith("weight of the synthetic rows")]
    assert ("boosting 1," if safe else "boosting 0, since none is known") in line
    assert f"boosting, {safe:g} (safe)" in unescape(render_html(report, {}))


def _outcomes(table: str, tmp_path: Any, metric: str) -> tuple[list[Outcome], Folder, dict[str, np.ndarray]]:
    """Made-up predictions of three learners: the second is right most often."""
    prepared = _prepared(table, "learner=linear,tree,forest", "ratios=1,2", f"metric={metric}")
    truth = {part: prepared.truth(part) for part in ("validation", "test")}
    rng, folder, outcomes = np.random.default_rng(1), Folder.open(str(tmp_path / "study")), []
    for arm, sure in zip(prepared.arms, (0.6, 0.9, 0.7), strict=True):

        def made(y: np.ndarray, sure: float = sure) -> np.ndarray:
            right = np.clip(sure + 0.1 * rng.standard_normal(len(y)), 0.05, 0.95)
            return np.where(np.eye(2)[y] == 1, right[:, None], 1 - right[:, None]).astype(np.float32)

        cells = {part: np.stack([[made(y) for _ in prepared.volumes] for _ in range(2)]) for part, y in truth.items()}
        volumes = list(prepared.volumes)
        choice = choose(prepared, cells["validation"], truth["validation"], volumes)
        outcomes.append(Outcome(prepared, arm, volumes, cells, choice))
        write_predictions(folder, arm.label, Job("real"), {p: made(y) for p, y in truth.items()}, ["no", "yes"])
    return outcomes, folder, truth


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_the_learner_is_chosen_on_validation_and_compared_on_test(table: str, tmp_path: Any, metric: str) -> None:
    outcomes, folder, truth = _outcomes(table, tmp_path, metric)
    assert safe_weights(outcomes, truth["validation"]) == (outcomes, {})  # without weights any may be chosen
    chosen = best_on_validation(outcomes)
    assert chosen.arm.label == "tree"
    rows = learner_table(outcomes, chosen, folder, truth["test"])
    assert [(row["learner"], row["chosen"]) for row in rows] == [("linear", False), ("tree", True), ("forest", False)]
    for row, outcome in zip(rows, outcomes, strict=True):
        ensemble = outcome.at_choice.mean(axis=0, dtype=np.float64)
        assert row["risk"] == row["test"]["dge"][metric] == pytest.approx(metric_value(metric, ensemble, truth["test"]))
        assert row["validation"] == outcome.choice.value and row["ratio"] == row["volume"] / 60
        if not row["chosen"]:
            assert row["difference"][0] == pytest.approx(rows[1]["risk"] - row["risk"])
    assert "difference" not in rows[1]
    # of equals the first, whatever the values' sign
    same = [replace(outcome, choice=outcomes[0].choice) for outcome in outcomes]
    assert best_on_validation(same) is same[0]


def _with_learners(difference: list[float]) -> dict[str, Any]:
    report = fake_study.report(ratios=(1, 2, 4), n=100)
    row = {key: report["reflection_point"][key] for key in ("volume", "ratio", "interval", "status", "risk")}
    row |= {"validation": 0.3, "risk_interval": [0.2, 0.4], "test": {"real": {"log_loss": 0.25}}}
    own, other = {"learner": "HistGradientBoosting", "chosen": True}, {"learner": "linear", "chosen": False}
    report["learners"] = [{**row, **own}, {**row, **other, "difference": difference}]
    return report


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        ([-0.1, -0.2, -0.05], ""),
        ([0.0, -0.1, 0.1], "; on test not told apart from linear"),
        ([0.1, 0.05, 0.2], "; on test worse than linear"),
    ],
)
def test_the_report_says_what_was_chosen_among_what(difference: list[float], says: str) -> None:
    report = _with_learners(difference)
    line = f"learner: HistGradientBoosting, chosen on validation among HistGradientBoosting at 4x, linear at 4x{says}"
    assert line in summary_lines(report)
    text = " ".join(unescape(part) for part in parse(render_html(report, {})).text)
    assert "Learners" in text and "HistGradientBoosting (chosen)" in text


def test_every_learner_is_drawn_where_there_are_several() -> None:
    report = _with_learners([0.0, -0.1, 0.1])
    both = [fake_study.surface(ratios=(1, 2, 4), n=100, learner=row["learner"]) for row in report["learners"]]
    figure = error_by_learner(report, pa.concat_tables(both))
    assert figure is not None
    # of each learner its curve and the mark of its reflection point
    assert [len(ax.lines) for ax in figure.axes] == [4, 4]
    assert error_by_learner(fake_study.report(ratios=(1, 2, 4), n=100), both[0]) is None


def test_a_report_of_raw_rows_counts_in_them_and_may_advise_them_alone() -> None:
    report = fake_study.report(ratios=(1, 2, 4), n=100)
    report["rows"], report["data"]["rows"] = "augmented", {"train": 400, "raw": 100, "validation": 50, "test": 70}
    report["test"]["raw"] = dict(report["test"]["real"])
    report["test_differences"]["raw"] = dict(report["test_differences"]["real"])
    assert "(4x the 100 real rows, beside them" in verdict(report) and "training on the raw rows" in verdict(report)
    lines = summary_lines(report)
    assert "400 real training rows, 100 raw rows, synthetic rows beside the raw ones" in lines[1]
    assert any(line.startswith("raw rows: log loss") for line in lines)
    surface = fake_study.surface(ratios=(1, 2, 4), n=100)
    none = surface.filter(pa.compute.equal(surface["volume"], 100))
    nothing = none.set_column(2, "volume", pa.array(np.zeros(none.num_rows, np.int64)))
    report["reflection_point"] |= {"volume": 0, "ratio": 0.0, "interval": [0, 100]}
    report["volumes"] = [0, 100, 200, 400]
    assert verdict(report).startswith("Use the 100 raw rows alone")
    figure = error_by_volume(report, pa.concat_tables([nothing, surface]))
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert shown == ["0", "100", "200", "400"]
    parse(render_html(report, {}))
    # a learner at weight 0 has no other volume
    report["volumes"], report["weights"] = [0], [{"learner": "boosting", "weight": 0.0, "safe": True}]
    assert verdict(report).startswith("Use the 100 raw rows alone: no weight of synthetic rows beside them is known")
    figure = error_by_volume(report, nothing)
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0"]


def test_the_raw_rows_alone_can_be_the_reflection_point() -> None:
    """Predictions that get worse with each synthetic row; the advice is then no smaller ratio."""
    prepared = prepare(read_config("breast_cancer", ["generator=copula", "rows=augmented", "ratios=0,1,2"]))
    truth, rng = prepared.truth("validation"), np.random.default_rng(0)

    def made(sure: float) -> np.ndarray:
        right = np.clip(sure + 0.02 * rng.standard_normal(len(truth)), 0.05, 0.95)
        return np.where(np.eye(2)[truth] == 1, right[:, None], 1 - right[:, None])

    cells = np.stack([[made(sure) for sure in (0.9, 0.89999, 0.7)] for _ in range(3)])
    found = partial(choose, prepared, truth=truth, volumes=list(prepared.volumes))(cells)
    assert found.volume == 0 and found.candidates[0] == 0
    assert "beside the raw ones" in found.advice
