"""What the benchmarks of small tables and of a pilot's choice say of their cells: by hand and against scipy."""

from pathlib import Path
from typing import Any

import auto_choice
import numpy as np
import pyarrow as pa
import pytest
import small
from scipy import stats

from dge_ray.commands import pilot
from dge_ray.evaluation.crossfit import row_folds
from dge_ray.generators.copula.generator import Copula
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.pilot import candidates as tried
from dge_ray.study.pilot import record
from dge_ray.study.pilot.candidates import Candidate
from dge_ray.table import TableCodec, load_table, target_vector


def test_the_interval_of_disjoint_splits_is_students() -> None:
    """Without shared rows (0 test rows a fitted one) the correction is none; a third a row widens it by its root."""
    differences = np.random.default_rng(0).normal(0.1, 1.0, 12)
    mean, half = small.corrected(differences, 0.0)
    low, high = stats.t.interval(0.95, 11, loc=differences.mean(), scale=stats.sem(differences))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert small.corrected(differences, 1 / 3)[1] == pytest.approx(half * (1 + 12 / 3) ** 0.5)


def _cell(split: int, real: dict[str, list[float]], synthetic: dict[str, list[float]]) -> dict[str, Any]:
    rows = {"table": "t", "split": split, "rows": 300, "test_rows": 100, "metric": "rmse", "cpu_s": 1.0}
    pilot = {rule: {"linear/1": [name] * 2} for rule, name in (("preferred", "c"), ("cheapest", "d"))}
    return {**rows, "real": real, "synthetic": {f"{k}/linear/1": v for k, v in synthetic.items()}, "pilot": pilot}


def test_each_side_is_chosen_without_its_test_rows() -> None:
    """a has the least cross-fitted risk and not the least test risk: it stands for its side, and its regret is told."""
    cells = [_cell(s, {"a": [1.0, 4.0 + s], "b": [2.0, 3.0]}, {"c": [0.5, 2.0], "d": [0.6, 1.0]}) for s in range(3)]
    found = small.compared(cells)
    assert found["chosen"] == {"real": ["a"] * 3, "synthetic": ["c/linear/1"] * 3}
    assert (found["real"], found["synthetic"], found["difference"]) == (5.0, 2.0, -3.0)
    assert found["relative"] == pytest.approx(-0.6) and found["regret"] == {"real": 2.0, "synthetic": 1.0}
    assert found["excess"] == {"c": 1.0, "d": 0.0, "preferred": 1.0, "cheapest": 0.0}
    half = stats.t.ppf(0.975, 2) * (1 / 3 + 1 / 3) ** 0.5  # differences -2, -3, -4: variance 1
    assert found["interval"] == pytest.approx([-3 - half, -3 + half]) and found["verdict"] == "level"


def test_a_fold_is_predicted_by_a_member_that_has_not_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[pa.Table] = []

    class Kept(Copula):
        def fit(self, table: Any, *given: Any, **named: Any) -> Any:
            seen.append(table)
            return super().fit(table, *given, **named)

    both = tuple(GeneratorChoice(name="copula", settings={"bins": bins}) for bins in (16, 32))
    candidates = (Candidate("one", both[:1]), Candidate("two", both[1:]), Candidate("list", both))
    monkeypatch.setattr("dge_ray.study.pilot.candidates.CANDIDATES", candidates)
    monkeypatch.setattr(small, "CANDIDATES", candidates)
    monkeypatch.setattr(small, "make_generator", lambda _, **settings: Kept(**settings))
    monkeypatch.setattr(small, "LEARNERS", ("linear",))
    fitted, test, schema = small.parted("wine", 0, "")
    assert (fitted.num_rows, test.num_rows) == (133, 45)
    codec = TableCodec(schema)
    folds = row_folds(target_vector(codec.encode(fitted), schema), small.FOLDS, seed=0, member=1)
    families = ["one", "two", "list"]
    found = small.ensembles(codec, [fitted, test], folds, 0, families, [1.0])
    assert [table.to_pylist() for table in seen[: small.FOLDS]] == [
        fitted.filter(pa.array(folds != fold)).to_pylist() for fold in range(small.FOLDS)
    ]
    one, two, listed = (found[f"{family}/linear/1"] for family in families)
    for i, rows in enumerate((133, 45)):
        assert one[i].shape == (rows, 3)
        assert listed[i] == pytest.approx((one[i] + two[i]) / 2)
    monkeypatch.setattr(small, "RULES", {"all": families, "last": families[::-1]})
    truth = target_vector(codec.encode(fitted), schema)
    exact = np.eye(3)[truth]
    sure = {f"{name}/linear/1": (exact if name == "two" else found["one/linear/1"][0], exact) for name in families}
    assert small.piloted(sure, truth, folds, schema)["all"] == {"linear/1": ["two"] * small.FOLDS}


def test_the_gap_of_a_choice() -> None:
    """Means over seeds first: a is the best on average. AUC is told as it is, an RMSE as a share."""
    tests = [{"a": 0.9, "b": 0.8}, {"a": 0.7, "b": 0.78}]
    told = {"rows": {}, "validation": {}, "left_out": [], "pilot_cpu_s": 1.0, "study_cpu_s": 4.0}
    cells = [{**told, "metric": "auc", "chosen": name, "test": test} for name, test in zip("ba", tests, strict=True)]
    found = auto_choice.compared(cells)
    assert found["gap"] == pytest.approx(0.8 - 0.75) and found["share"] == 0.25
    as_rmse = auto_choice.compared([{**cell, "metric": "rmse"} for cell in cells])
    assert as_rmse["gap"] == pytest.approx(0.75 / 0.79 - 1)  # below 0: the choice differs from seed to seed


@pytest.mark.slow
def test_a_cell_of_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study sees its share of the rows, the classes' shares are the same in all parts, every candidate has a score,
    and the same call finds everything done."""
    one, two = (GeneratorChoice(name="copula", settings={"bins": bins}) for bins in (16, 32))
    cheap = (Candidate("trees", (one,)), Candidate("autoregressive", (two,)), Candidate("mixed", (two, one)))
    for module in (tried, record, pilot):
        monkeypatch.setattr(module, "CANDIDATES", cheap)
    table = load_table("breast_cancer")
    monkeypatch.setattr(auto_choice, "read", lambda name, data: (table, "target"))
    options = {"data": "", "work": str(tmp_path), "rows": 200}
    prepared, folder = auto_choice.study("breast_cancer", 0, options)
    rows = prepared.rows
    assert rows["train"] + rows["stopping"] + rows["validation"] == 200
    assert rows["test"] == 369
    assert prepared.truth("test").mean() == pytest.approx(prepared.truth("train").mean(), abs=0.05)
    found = auto_choice.cell(prepared, folder, 2, [0.5, 1.0])
    assert set(found["test"]) == {"trees", "autoregressive", "mixed"} and found["metric"] == "auc"
    assert all(score > 0.8 for score in found["test"].values()) and found["chosen"] in found["test"]
    assert 0 < found["pilot_cpu_s"] < found["study_cpu_s"]
    monkeypatch.setattr(auto_choice, "pilot_member", lambda *_: pytest.fail("fitted twice"))
    assert auto_choice.cell(*auto_choice.study("breast_cancer", 0, options), 2, [0.5, 1.0]) == found
