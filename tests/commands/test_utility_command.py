"""`dge-ray utility` on a small study: against the same fits done by hand without Ray, a second run that fits nothing, a
bundle that certifies nothing, and every kind of bad word. The study is put together in process: only the report starts
Ray."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.refusals import check_bad_word
from helpers.small_study import small_prepared, small_study

from dge_ray.commands import utility as module
from dge_ray.downstream import make_learner
from dge_ray.evaluation.losses import UtilityFit, read_ensemble_parts, read_losses
from dge_ray.evaluation.utility_fits import learner_seed
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_shard
from dge_ray.stats.metrics.by_row import log_loss
from dge_ray.stats.utility.attribution import VARIANTS
from dge_ray.stats.utility.gap import ensemble_losses, utility
from dge_ray.study.folder import study_folder
from dge_ray.study.records.predictions import Job, write_predictions
from dge_ray.table import TableCodec, target_vector

Run = Callable[..., tuple[int, str, str]]
MEMBERS, VOLUME = 3, 300


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a fitted study of it without shards, and a bundle's facts."""
    place = tmp_path_factory.mktemp("utility")
    small_study(place, MEMBERS)
    (place / "bundle").mkdir()
    (place / "bundle" / "bundle.json").write_text("{}")
    return place


WORDS = ["estimators=[linear,knn]", f"volume={VOLUME}", "margin=0.05"]


@pytest.fixture(scope="module")
def report(place: Path, cluster: object) -> dict:
    """The report, made on Ray. The study has one fit of its own already, of values that no learner would give."""
    prepared, folder = small_prepared(place), study_folder(str(place / "studies"), "s")
    marked = {part: np.full((prepared.rows[part], 2), 0.5) for part in ("validation", "test")}
    write_predictions(folder, "linear", Job("member", 1, VOLUME), marked, prepared.schema.classes)
    options = {"estimators": ["linear", "knn"], "volume": VOLUME, "margin": 0.05, "storage": str(place / "studies")}
    return module.utility("s", options, lambda line: None)


def test_losses_are_the_plain_loops(place: Path, report: dict) -> None:
    """Rows drawn, encoded, fitted and scored in this process give the losses that the tasks wrote; a fit that the study
    had made is taken over."""
    prepared, folder = small_prepared(place), study_folder(str(place / "studies"), "s")
    tables, codec = prepared.encoded(), TableCodec(prepared.schema)
    truth = target_vector(tables["test"], prepared.schema)

    def losses(fit: UtilityFit, columns: dict) -> np.ndarray:
        learner = make_learner(fit.label, {}, prepared.schema, seed=learner_seed(0, fit)).fit(columns)
        return log_loss(learner.predict(tables["test"]).astype(np.float64), truth)

    def kept(fit: UtilityFit) -> np.ndarray:
        return read_losses(folder, [fit], "log_loss", len(truth))[0]

    with folder.downloaded("members/000/generator") as saved:
        copula = type(make_generator("copula")).load(saved, device="cpu")
    drawn = [draw_shard(copula, j, shard_rows=prepared.shard_rows, seed=0, member=0)[0] for j in range(2)]
    rows = {n: np.concatenate([codec.encode(d)[n] for d in drawn])[:VOLUME] for n in ("a", "b", "y")}
    for name in ("linear", "knn"):
        fits = {UtilityFit(name, "as_is", 0, VOLUME): rows, UtilityFit(name, "real", 2): tables["train"]}
        for fit, columns in fits.items():
            assert np.array_equal(kept(fit), losses(fit, columns).astype(np.float32))
    assert np.array_equal(kept(UtilityFit("linear", "as_is", 1, VOLUME)), np.full(len(truth), np.log(2), np.float32))


def test_report_says_what_the_losses_say(place: Path, report: dict) -> None:
    folder, rows = study_folder(str(place / "studies"), "s"), report["rows"]["test"]
    synthetic = read_losses(folder, [UtilityFit("knn", "as_is", k, VOLUME) for k in range(MEMBERS)], "log_loss", rows)
    real = read_losses(folder, [UtilityFit("knn", "real", b) for b in range(5)], "log_loss", rows)
    assert report["utility_of_one_member"]["knn"]["log_loss"] == asdict(utility(synthetic, real, margin=0.05))
    fits = [UtilityFit("knn", "as_is", k, VOLUME) for k in range(MEMBERS)]
    truth = small_prepared(place).truth("test")
    whole, pseudo = ensemble_losses(read_ensemble_parts(folder, fits, rows), truth, "log_loss")
    assert whole == pytest.approx(log_loss(np.mean(read_ensemble_parts(folder, fits, rows), axis=0), truth))
    assert report["utility"]["knn"]["log_loss"] == asdict(utility(pseudo, real, margin=0.05, whole=whole))
    assert report["utility"]["knn"]["zero_one"]["margin"] == 0.01  # the margin given is the headline loss's
    assert report["ranking"]["names"] == ("linear", "knn") and len(report["ranking"]["pairs"]) == 1
    assert set(report["ingredients"]["misspecification"]) == {"linear", "knn"}  # boosting is what they are held against
    assert len(report["ingredients"]["overlap"]["members"]) == MEMBERS
    for parts in report["attribution"].values():
        assert set(parts["risks"]) == set(VARIANTS)
        assert parts["features"]["value"] == pytest.approx(parts["risks"]["as_is"] - parts["risks"]["reweighted"])
    kept = {name: value for name, value in report.items() if name != "page"}
    assert json.loads(json.dumps(kept, allow_nan=False)) == folder.read_json("utility.json")
    page = folder.read_bytes("utility.html").decode()
    assert "<svg" in page and report["utility"]["linear"]["log_loss"]["verdict"] in page
    assert folder.exists("figures/utility.png") and not folder.exists("lock.json")


def test_a_second_run_fits_nothing_and_answers_in_one_object(
    place: Path, report: dict, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("dge_ray.distributed.tasks.ray_session", never)
    code, out, err = run("utility", "s", f"storage={place / 'studies'}", *WORDS, "--json")
    assert code == 0, err
    assert json.loads(out) == json.loads(json.dumps(report))
    code, out, _ = run("utility", str(place / "studies/s"), *WORDS)
    assert code == 0 and "knn: " in out and "given this one real training table" in out


def test_a_bundle_certifies_nothing(place: Path, run: Run) -> None:
    code, out, err = run("utility", str(place / "bundle"))
    assert (code, out) == (2, "") and len(err.strip().splitlines()) == 1
    assert "no real row" in err and "not certified" in err


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("estimater=tree", ("estimater", "an unknown key")),
        ("estimators=[forrest]", ("learner", "did you mean 'forest'")),
        ("estimators=ridge", ("learner", "binary classification")),
        ("estimators=[]", ("estimators", "[logistic,tree]")),
        ("margin=0", ("margin", "above 0")),
        ("margin=little", ("margin", "little")),
        ("volume=1", ("volume", "whole number from 2")),
        ("storage=elsewhere", ("study", "'s'")),
    ],
)
def test_bad_words(place: Path, run: Run, word: str, parts: tuple[str, ...]) -> None:
    check_bad_word(run, "utility", "s", place / "studies", word, parts)


def test_another_table_is_refused(place: Path, run: Run) -> None:
    whole = (place / "t.parquet").read_bytes()
    try:
        frame = pd.read_parquet(place / "t.parquet")
        frame.assign(a=frame["a"] + 1).to_parquet(place / "t.parquet", index=False)
        code, _, err = run("utility", "s", f"storage={place / 'studies'}")
        assert code == 2 and "have changed" in err
    finally:
        (place / "t.parquet").write_bytes(whole)
