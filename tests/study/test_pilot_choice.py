"""Which candidate of a pilot is chosen: by hand on made-up predictions; and which generators a pilot tries."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.small_study import small_prepared, small_table
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dge_ray.study.pilot import candidates
from dge_ray.study.pilot.candidates import CANDIDATES, MOST_SHARE, PREFERRED, plan_pilot
from dge_ray.study.pilot.choice import judge
from dge_ray.study.pilot.price import RAY, fit_price, member_price, study_price
from dge_ray.study.prepared import Prepared

TRUTH = np.array([0.0, 0.0, 0.0, 0.0])
ORDER = ("first", "second", "third")


def _errors(*values: float) -> np.ndarray:
    """Two members whose mean errs by so much in each row. Shape: (2, rows, 1)."""
    mean = np.array(values)[:, None]
    return np.stack([mean - 0.25, mean + 0.25]).astype(np.float32)


def _chosen(table: list[dict]) -> str:
    (name,) = (row["name"] for row in table if row["chosen"])
    return name


def test_one_standard_error_by_hand() -> None:
    """MAE of four rows. third: 1 each. first: 1, 1, 1, 3, which is .5 worse, its error sd(0, 0, 0, 2) / 2 = .5: near
    enough. With 1.5, 1.5, 1.5, 2.5 it is .75 worse with an error of .25: too far, and so is the second."""
    near = {"third": _errors(1, 1, 1, 1), "first": _errors(1, 1, 1, 3), "second": _errors(1, 1, 1, 2)}
    table = judge(near, TRUTH, metric="mae", preferred=ORDER)
    assert [row["name"] for row in table] == ["third", "first", "second"] and _chosen(table) == "first"
    third, first, second = table
    assert (third["score"], first["score"], second["score"]) == (1.0, 1.5, 1.25)
    assert third["to_best"] == [0.0, 0.0] and first["to_chosen"] == [0.0, 0.0]
    assert first["to_best"] == pytest.approx([0.5, 0.5]) and third["to_chosen"] == pytest.approx([-0.5, 0.5])
    assert first["se"] == pytest.approx(0.5) and second["to_chosen"] == pytest.approx([-0.25, 0.25])
    far = near | {"first": _errors(1.5, 1.5, 1.5, 2.5), "second": _errors(2, 2, 2, 2)}
    assert _chosen(judge(far, TRUTH, metric="mae", preferred=ORDER)) == "third"


def test_equals_and_order() -> None:
    """Of equals the most preferred, whatever the order they come in; a single one is chosen."""
    same = _errors(1, 2, 3, 4)
    assert _chosen(judge({"third": same, "second": same}, TRUTH, metric="rmse", preferred=ORDER)) == "second"
    assert _chosen(judge({"third": same}, TRUTH, metric="rmse", preferred=ORDER)) == "third"


def test_a_metric_to_be_maximised() -> None:
    """AUC: scores are scikit-learn's of the mean of the members, and the greater one is chosen where it is known."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 400)
    score = truth + generator.normal(size=(2, 2, 400))  # candidate, member, row
    score[0] = generator.normal(size=(2, 400))
    p = 1 / (1 + np.exp(-score))
    made: dict[str, np.ndarray] = {
        name: np.stack([1 - q, q], axis=-1) for name, q in zip(("first", "third"), p, strict=True)
    }
    table = judge(made, truth, metric="auc", preferred=ORDER)
    assert _chosen(table) == "third"
    for row, each in zip(table, p, strict=True):
        assert row["score"] == pytest.approx(roc_auc_score(truth, each.mean(axis=0)))
    assert table[0]["to_best"][0] == pytest.approx(table[0]["score"] - table[1]["score"])


@given(st.lists(st.lists(st.floats(0, 9, width=32), min_size=5, max_size=5), min_size=1, max_size=3))
def test_the_chosen_stands_no_later_than_the_best_and_within_its_error(rows: list[list[float]]) -> None:
    names = ORDER[: len(rows)]
    made = {name: _errors(*values) for name, values in zip(names, rows, strict=True)}
    table = judge(made, np.zeros(5), metric="mae", preferred=ORDER)
    best = min(table, key=lambda row: row["score"])
    chosen = next(row for row in table if row["chosen"])
    assert names.index(chosen["name"]) <= names.index(best["name"])
    assert chosen["to_best"][0] <= chosen["to_best"][1] or chosen["name"] == best["name"]
    for row in table[: names.index(chosen["name"])]:
        assert row["to_best"][0] > row["to_best"][1]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A regression, of which all candidates are tried."""
    place = tmp_path_factory.mktemp("pilot")
    table = pq.read_table(small_table(place))
    x = table["a"].to_numpy()
    noise = np.random.default_rng(1).normal(size=len(x))
    pq.write_table(table.set_column(2, "y", pa.array(x + noise)), place / "t.parquet")
    return small_prepared(place, "ratios=0.5,1,2,4,8", "members=4")


def _names(prepared: Prepared, members: int) -> list[str]:
    return [one.name for one in plan_pilot(prepared, members).candidates]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing costs a second: only fits are counted."""
    for name, price in (("member_price", 0.0), ("fit_price", 0.0), ("study_price", 1.0)):
        monkeypatch.setattr(candidates, name, lambda *_, price=price: price)


@pytest.mark.usefixtures("free")
def test_the_pilot_is_within_its_share(prepared: Prepared) -> None:
    """Five volumes: 4 members are 20 fits, of which 6 are 30 %: all candidates, of whose ten fits the study keeps two
    and four serve two candidates each."""
    plan = plan_pilot(prepared, 4)
    assert [one.name for one in plan.candidates] == [one.name for one in CANDIDATES]
    assert (len(plan.fits), len(plan.unkept), plan.planned, plan.volume) == (8, 6, 20, prepared.n)
    assert plan.share == MOST_SHARE and plan.left_out == ()
    assert ("autoregressive", 0) not in plan.unkept and ("trees-boosted", 1) not in plan.unkept  # the mixture's
    assert _names(prepared, 3) == ["autoregressive", "trees-boosted", "mixed-boosted", "trees", "mixed"]  # 4 of 15
    assert "diffusion: with it the pilot would be more than 30%" in plan_pilot(prepared, 3).left_out[0]
    smallest = plan_pilot(prepared, 1)
    assert [one.name for one in smallest.candidates] == ["autoregressive"] and smallest.fits == ()
    for members in range(1, 40):
        assert plan_pilot(prepared, members).share <= MOST_SHARE


def _wide(prepared: Prepared, columns: int) -> Prepared:
    """The same with so many columns of numbers."""
    first, *_, target = prepared.schema.columns
    more = tuple(replace(first, name=f"c{i}") for i in range(columns - 1))
    return replace(prepared, schema=replace(prepared.schema, columns=(*more, target)))


@pytest.mark.parametrize("members", [1, 2, 3, 4, 8, 16, 60])
@pytest.mark.parametrize("columns", [3, 15, 60])
def test_the_pilot_is_within_its_share_of_the_price(prepared: Prepared, members: int, columns: int) -> None:
    """Of the predicted CPU-seconds, too; by hand: the pilot's unkept fits, and the study's with its mixed members."""
    prepared = _wide(prepared, columns)
    plan = plan_pilot(prepared, members)
    assert plan.share <= MOST_SHARE
    choices = {one.name: one.generators[0] for one in CANDIDATES if len(one.generators) == 1}
    seconds = {
        name: member_price(prepared, choices[name]) + fit_price(prepared, "linear", plan.volume) for name in choices
    }
    assert plan.seconds == pytest.approx(sum(seconds[name] for name, _ in plan.unkept))
    if "mixed-boosted" in (one.name for one in plan.candidates):
        most = max(members, prepared.most_members)
        each = [
            study_price(prepared, [choices[name]], 1, len(prepared.volumes))
            for name in ("autoregressive", "trees-boosted")
        ]
        study = RAY + sum(each[k % 2] - RAY for k in range(most))
        assert plan.price == pytest.approx(study + plan.seconds)


def test_dear_generators_are_left_out_of_cheap_studies(prepared: Prepared) -> None:
    """Few rows of many columns: diffusion costs more than all else together, unless there is much else."""
    wide = _wide(prepared, 60)
    plan = plan_pilot(wide, 6)
    line = next(line for line in plan.left_out if line.startswith("diffusion"))
    assert "30% of the study's price" in line and "CPU-seconds as predicted" in line and "make room" in line
    assert "diffusion" in [one.name for one in plan_pilot(wide, 200).candidates]


def test_what_costs_more_is_predicted_to(prepared: Prepared) -> None:
    """Rows, columns, volumes, members and classes each make the price larger; the list of prices is in order."""
    train = prepared.parts["train"]
    many = replace(prepared, parts={**prepared.parts, "train": train.take(np.zeros(20_000, dtype=int))})
    for choice in (one.generators[0] for one in CANDIDATES):
        assert 0 < member_price(prepared, choice) < member_price(_wide(prepared, 40), choice)
        assert member_price(prepared, choice) < member_price(many, choice)
    alone = {one.name: member_price(prepared, one.generators[0]) for one in CANDIDATES if len(one.generators) == 1}
    assert sorted(alone, key=alone.__getitem__) == ["trees", "trees-boosted", "autoregressive", "diffusion"]
    assert (
        fit_price(prepared, "linear", 100)
        < fit_price(prepared, "linear", 10_000)
        < fit_price(prepared, "boosting", 10_000)
    )
    trees = CANDIDATES[0].generators
    assert study_price(prepared, trees, 4, 5) < study_price(prepared, trees, 8, 5) < study_price(prepared, trees, 8, 6)


@pytest.mark.usefixtures("free")
def test_the_list_of_two_needs_both_and_two_members(prepared: Prepared) -> None:
    many = replace(prepared, volumes=tuple(range(100, 120)))  # 20 fits of one member
    assert _names(many, 1)[:3] == ["autoregressive", "trees-boosted", "trees"]
    mixed = next(one for one in CANDIDATES if one.name == "mixed")
    assert [mixed.fit(k) for k in range(4)] == [(name, k) for k, name in enumerate(["autoregressive", "trees"] * 2)]
    assert sorted(PREFERRED) == sorted(one.name for one in CANDIDATES)


@pytest.mark.usefixtures("free")
def test_diffusion_is_for_small_regressions(prepared: Prepared, tmp_path: Path) -> None:
    train = prepared.parts["train"]
    many = replace(prepared, parts={**prepared.parts, "train": train.take([0] * 2000)})
    plan = plan_pilot(many, 16)
    assert "diffusion" in _names(prepared, 16) and "diffusion" not in [one.name for one in plan.candidates]
    assert plan.left_out == ("diffusion: 2,000 rows to learn from, and it is for regressions on under 2,000",)
    small_table(tmp_path)
    classes = plan_pilot(small_prepared(tmp_path, "ratios=0.5,1,2,4,8", "members=4"), 16)
    assert classes.left_out == ("diffusion: classes to predict, and it is for regressions on under 2,000",)


def test_a_list_of_two_is_made_of_fits_that_others_have() -> None:
    """Each of its generators is tried alone too, with the same settings, so that it costs no fit."""
    alone = [one.generators for one in CANDIDATES if len(one.generators) == 1]
    lists = [one for one in CANDIDATES if len(one.generators) > 1]
    assert {one.name for one in lists} == {"mixed", "mixed-boosted"}
    assert all((choice,) in alone for one in lists for choice in one.generators)
    boosted = next(one for one in lists if one.name == "mixed-boosted")
    assert [boosted.fit(k)[0] for k in range(3)] == ["autoregressive", "trees-boosted", "autoregressive"]
