"""Cross-fitted studies: how rows are cut, what a fold's fits see, how predictions are put together, what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.small_study import small_prepared, small_table
from hypothesis import given
from hypothesis import strategies as st

from dge_ray.commands.check import bill, check_study, lines
from dge_ray.errors import InputError
from dge_ray.study import folds as folds_module
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.folds import _cut
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import number_in, numbered
from dge_ray.study.records.jobs import FOLD, Job, generator_numbers
from dge_ray.study.records.predictions import bootstrapped_rows, learner_seed
from dge_ray.table.units import Units


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    small_table(folder)
    return folder


def rows_of(table: object) -> set[tuple]:
    return set(map(tuple, table.to_pandas()[["a", "b"]].to_numpy()))  # type: ignore[attr-defined]


def test_each_row_is_held_out_once_and_no_fit_of_its_fold_sees_it(place: Path) -> None:
    prepared = small_prepared(place, "folds=5")
    folds = prepared.folds
    assert folds is not None and prepared.fold_count == 5 and not prepared.is_nested
    assert sorted(np.concatenate(folds.held)) == list(range(320)) == list(range(prepared.rows["validation"]))
    everything = rows_of(folds.pool)
    for parts, held in zip(folds.parts, folds.held, strict=True):
        own, seen = rows_of(parts["validation"]), rows_of(parts["train"]) | rows_of(parts["stopping"])
        assert own == rows_of(folds.pool.take(held)) and not own & seen and own | seen == everything
        assert not rows_of(parts["test"]) & everything and len(own) == 64
        share = np.mean([one == "yes" for one in parts["validation"]["y"].to_pylist()])
        assert share == pytest.approx(np.mean([one == "yes" for one in folds.pool["y"].to_pylist()]), abs=1 / 64)
    assert prepared.n == round(np.mean([parts["train"].num_rows for parts in folds.parts])) == 230
    plain = small_prepared(place, "folds=1")
    assert prepared.parts["test"].equals(plain.parts["test"])  # folds change nothing of what is test


def test_the_plain_split_is_what_it_was(place: Path) -> None:
    plain = small_prepared(place, "folds=1")
    assert plain.folds is None and plain.held == () and plain.generators(3) == [0, 1, 2]
    assert plain.identity()["split"] == [None, 0.2, 0.15, 0.1]
    assert small_prepared(place, "folds=4").identity()["split"][4:] == [{"folds": 4}]
    nested = small_prepared(place, "report=crossfit")
    assert nested.identity()["split"][4:] == [{"folds": 5, "report": "crossfit"}]
    assert "test" not in nested.parts and nested.rows["validation"] == nested.once == 400


@pytest.mark.parametrize("words", [[], ["report=crossfit", "folds=3"]])
def test_predictions_are_put_together_as_a_loop_over_rows_does(place: Path, words: list[str]) -> None:
    prepared = small_prepared(place, *(words or ["folds=4"]))
    folds, test = prepared.folds, prepared.parts.get("test")
    assert folds is not None
    # a fit of fold f predicts 1,000 f and the row's own number
    number = {row: i for i, row in enumerate(map(tuple, folds.pool.to_pandas()[["a", "b"]].to_numpy()))}
    each = []
    for fold, parts in enumerate(folds.parts):
        own = [number[row] for row in map(tuple, parts["validation"].to_pandas()[["a", "b"]].to_numpy())]
        size = 0 if test is None else test.num_rows
        rest = 1_000.0 * fold + np.arange(size)
        each.append({"validation": 1_000.0 * fold + np.array(own)[:, None], "test": rest[:, None]})
    found = prepared.put_together(each)
    for row in range(folds.pool.num_rows):
        (fold,) = (f for f, held in enumerate(folds.held) if row in held)
        assert found["validation"][row, 0] == 1_000 * fold + row
    if test is None:
        assert found["test"] is found["validation"]
    else:
        assert found["test"][:, 0].tolist() == [1_000 * f + row for f in range(4) for row in range(test.num_rows)]
    for split in ("validation", "test"):
        y, clusters = prepared.judged_truth(split), prepared.judged_clusters(split)
        assert len(y) == len(found[split])
        if split == "test" and test is not None:  # the readings of a row are one cluster
            assert clusters is not None and (np.bincount(clusters) == 4).all()
            assert all(len(set(y[clusters == c])) == 1 for c in range(test.num_rows))
        else:
            assert clusters is None


@given(sizes=st.lists(st.integers(1, 9), min_size=12, max_size=40), count=st.integers(2, 6), seed=st.integers(0, 2**31))
def test_whole_groups_are_in_one_fold(sizes: list[int], count: int, seed: int) -> None:
    unit = np.repeat(np.arange(len(sizes)), sizes)
    rows, strata = np.arange(len(unit)), unit % 2
    parts = _cut(rows, strata, count, seed, Units("group_column", unit))
    assert sorted(np.concatenate(parts)) == rows.tolist() and all(len(part) for part in parts)
    assert sum(len(np.unique(unit[part])) for part in parts) == len(sizes)


@given(n=st.integers(10, 200), count=st.integers(2, 9), classes=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_folds_are_of_one_size_and_classes_are_spread(n: int, count: int, classes: int, seed: int) -> None:
    strata = np.arange(n) % classes
    parts = _cut(np.arange(n), strata, count, seed, None)
    sizes = [len(part) for part in parts]
    assert sum(sizes) == n and max(sizes) - min(sizes) <= 1
    for c in range(classes):
        counted = [int((strata[part] == c).sum()) for part in parts]
        assert max(counted) - min(counted) <= 1


def test_groups_stay_whole_and_are_the_clusters(tmp_path: Path) -> None:
    frame = pd.read_parquet(small_table(tmp_path))
    frame["who"] = np.arange(len(frame)) // 8
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    prepared = small_prepared(tmp_path, "group_column=who", "folds=5")
    folds = prepared.folds
    assert folds is not None and folds.clusters is not None
    assert sum(len(np.unique(folds.clusters[held])) for held in folds.held) == len(np.unique(folds.clusters))
    test = prepared.judged_clusters("test")
    assert test is not None and len(test) == 5 * prepared.parts["test"].num_rows
    assert any("groups of 'who' stay in one fold" in line for line in prepared.warnings)


def test_auto_is_five_folds_of_a_small_table_and_what_a_study_was_begun_with(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folds_module, "FEW_ROWS", 1_000)
    assert small_prepared(place).config.folds == 5
    assert small_prepared(place, "time_column=a").config.folds == 1
    assert small_prepared(place, "members=4", "groups=2").config.folds == 1
    assert small_prepared(place, "canaries=3").config.folds == 1
    for words, begun in ((["folds=3"], 3), (["folds=1"], 1), (["report=crossfit"], 5)):
        storage = f"storage={place / str(begun)}{len(words[0])}"
        first = small_prepared(place, *words, storage)
        claim_folder(first, study_folder(first.config.storage, first.name))
        again = small_prepared(place, storage)  # no key is given
        assert again.config.folds == begun and again.identity() == first.identity()
    monkeypatch.setattr(folds_module, "FEW_ROWS", 40)
    assert small_prepared(place).folds is None  # validation has 48 rows


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["folds=5", "time_column=a"], "folds: got 5 with time_column"),
        (["folds=5", "members=4", "groups=2"], "folds: got 5 with groups"),
        (["folds=2", "canaries=3"], "folds: got 2 with canaries"),
        (["report=crossfit", "canaries=3"], "report: got crossfit with canaries"),
        (["report=crossfit", "folds=1"], "report: got crossfit with folds=1"),
        (["folds=0"], "folds"),
        (["folds=true"], "folds"),
        (["folds=2", "stopping_fraction=0.85", "test_fraction=0.5"], "folds: got 2 folds of 200 rows"),
        (["report=both"], "report"),
    ],
)
def test_what_does_not_go_with_folds_is_told_in_one_line(place: Path, words: list[str], told: str) -> None:
    with pytest.raises((InputError, ExceptionGroup, ValueError), match=told):
        small_prepared(place, *words)


def test_a_split_column_that_names_validation_leaves_no_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds_module, "FEW_ROWS", 1_000)
    frame = pd.read_parquet(small_table(tmp_path))
    frame["part"] = np.where(np.arange(len(frame)) % 5 == 0, "test", "train")
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    prepared = small_prepared(tmp_path, "split_column=part")
    assert prepared.config.folds == 5 and prepared.rows["test"] == 80 and prepared.rows["validation"] == 320
    with pytest.raises(InputError, match="crossfit with a split column that names test rows"):
        small_prepared(tmp_path, "split_column=part", "report=crossfit")
    frame.loc[1::5, "part"] = "validation"
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    assert small_prepared(tmp_path, "split_column=part").folds is None
    with pytest.raises(InputError, match="5 with rows that split_column names validation"):
        small_prepared(tmp_path, "split_column=part", "folds=5")


def test_the_price_is_that_of_all_folds(place: Path) -> None:
    plain, folded = (small_prepared(place, f"folds={f}", "members=3", "ratios=1,2") for f in (1, 4))
    one, four = bill(plain), bill(folded)
    assert (one["folds"], four["folds"]) == (1, 4) and four["generator_fits"] == 12
    assert four["downstream_fits"] == 4 * one["downstream_fits"]
    assert four["synthetic_rows"] == 4 * 3 * folded.volumes[-1]
    with pytest.raises(InputError, match="in 4 folds"):
        small_prepared(place, "folds=4", "members=3", "ratios=1,2", "max_rows=2000")


def test_a_fold_is_a_part_of_every_address(place: Path) -> None:
    prepared = small_prepared(place, "folds=3", "members=4")
    assert prepared.generators(2) == generator_numbers(range(2), 3) == [0, FOLD, 2 * FOLD, 1, FOLD + 1, 2 * FOLD + 1]
    assert [number_in(numbered(n)) for n in prepared.generators(4)] == prepared.generators(4)
    jobs = prepared.baselines(prepared.arms[0], 4, [100, 100, 200])
    jobs += [job for k in range(4) for m in (50, 100) for job in prepared.cell(prepared.arms[0], k, m)]
    assert len({job.address for job in jobs}) == len(jobs)
    fits = [job for job in jobs if job.kind != "member"]
    assert len({learner_seed(0, job) for job in fits}) == len(fits)
    drawn = [bootstrapped_rows(0, job, 50) for job in fits if job.kind == "real_ensemble"]
    assert len({tuple(rows) for rows in drawn}) == len(drawn) == 12
    for job in fits:
        assert {k // FOLD for k in job.members} <= {job.fold} and job.in_fold(0).in_fold(job.fold) == job
    without = Job("without", 4, 100, 1).in_fold(2)
    assert without.members == [2 * FOLD + k for k in (0, 2, 3)]


def test_check_tells_of_folds(place: Path) -> None:
    words = ["target=y", "generator=copula", f"storage={place / 'told'}", "study=s", "learner=linear", "folds=4"]
    told = "\n".join(lines(check_study(read_config(str(place / "t.parquet"), words))))
    assert "400 rows: " in told and "320 (80 %) to choose on, 80 (20 %) to report on; in each of 4 folds" in told


def test_rows_made_elsewhere_have_no_folds(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds_module, "FEW_ROWS", 1_000)
    words = ["target=y", f"storage={place / 'no'}", "study=s"]
    with pytest.raises(InputError, match="folds: got 5 with generator=tables"):
        prepare(read_config(str(place / "t.parquet"), [*words, "generator=tables", "generator.path=x", "folds=5"]))


def test_prepared_is_the_same_each_time(place: Path) -> None:
    def held(prepared: Prepared) -> list[list[int]]:
        return [own.tolist() for own in prepared.held]

    one, two, other = (small_prepared(place, "folds=5", f"seed={seed}") for seed in (0, 0, 1))
    assert held(one) == held(two) != held(other)
