"""A replicate of a study: which rows stand where, that it is a pure function, and what its spread is."""

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.inference.repeated import RESULTS, RealRows, Repeated, intervals
from dge_ray.inference.replicates import Recipe
from dge_ray.table import infer_schema

RNG = np.random.default_rng(3)
N = 120


def table(n: int = N) -> pa.Table:
    x = RNG.normal(size=(n, 2))
    return pa.table({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] + RNG.normal(size=n), "row": np.arange(n)})


ROWS = table()
SCHEMA = infer_schema(ROWS.drop_columns(["row"]), target="y")


def plain() -> RealRows:
    cut = {"train": (0, 70), "stopping": (70, 10), "validation": (80, 20), "test": (100, 20)}
    return RealRows({name: ROWS.slice(*span).drop_columns(["row"]) for name, span in cut.items()})


def repeated(real: RealRows, **keys: object) -> Repeated:
    given = {"schema": SCHEMA, "generator": Recipe("copula", {}), "learner": ("linear", {}), "members": 2, "at": 0}
    given |= {"volumes": (60, 120), "metric": "rmse", "results": RESULTS, "real_fits": 5, "seed": 5}
    return Repeated(real=real, **(given | keys))  # pyright: ignore[reportArgumentType]


def ids(table: pa.Table) -> set[int]:
    return set(table["row"].to_pylist())


@pytest.mark.parametrize("grouped", [False, True])
def test_no_row_is_on_both_sides_of_a_fold(grouped: bool) -> None:
    """Of three folds: what is held out was not learned from, nor stopped on, and whole groups are drawn."""
    unit = np.arange(90) // 3 if grouped else np.arange(90)
    folds = tuple(np.flatnonzero(unit % 3 == f) for f in range(3))
    groups = {"pool": unit} if grouped else None
    real = RealRows({"pool": ROWS.slice(0, 90), "test": ROWS.slice(90)}, folds, groups)
    made = real.again(seed=1, replicate=4)
    assert len(made) == 3
    for fold, (parts, drawn) in enumerate(made):
        train, stopping, held = (ids(parts[name]) for name in ("train", "stopping", "validation"))
        assert not (train & held or train & stopping or stopping & held)
        assert held <= set(folds[fold].tolist()) and parts["validation"].num_rows == len(folds[fold])
        assert parts["train"]["row"].to_pylist() == drawn.tolist()
        assert ids(parts["test"]) <= set(range(90, N))
        if grouped:
            _, counts = np.unique(np.array(sorted(unit[list(held)])), return_counts=True)
            assert (counts == 3).all()  # of each group that was drawn, all rows


def test_a_replicate_is_a_pure_function_and_replicates_differ() -> None:
    work = repeated(plain())
    first = work(3)
    assert first == work(3) and first["results"] != work(4)["results"]
    assert set(first["results"]) == set(RESULTS) and not first["failures"]
    assert first["results"]["best_volume"] in work.volumes


def test_results_are_those_of_the_parts_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: a generator that gives the real rows back, and least squares."""
    real = plain()

    class Same:
        def __init__(self, rows: pa.Table) -> None:
            self.rows = rows

        def sample(self, n: int, *, seed: int) -> pa.Table:
            return self.rows.take(pa.array(np.arange(n) % self.rows.num_rows))

    monkeypatch.setattr(Recipe, "fit_each", lambda self, rows, schema, seeds, stopping: [Same(rows) for _ in seeds])
    monkeypatch.setattr("dge_ray.inference.repeated.make_learner", lambda *_, **__: LeastSquares())
    ((parts, _),) = real.again(seed=5, replicate=0)
    beta = LeastSquares().fit({n: parts["train"][n].to_numpy() for n in ("a", "b", "y")})
    risk = float(np.sqrt(np.mean((beta.predict(columns(parts["test"]))[:, 0] - parts["test"]["y"].to_numpy()) ** 2)))
    found = repeated(real, volumes=(70, 140))(0)["results"]
    assert found["risk"] == pytest.approx(risk, rel=1e-5) and found["utility"] == pytest.approx(0, abs=1e-6)


def columns(rows: pa.Table) -> dict[str, np.ndarray]:
    return {name: rows[name].to_numpy() for name in ("a", "b", "y")}


class LeastSquares:
    def fit(self, columns: dict[str, np.ndarray]) -> "LeastSquares":
        design = np.column_stack([np.ones(len(columns["y"])), columns["a"], columns["b"]])
        self.beta = np.linalg.lstsq(design, columns["y"], rcond=None)[0]
        return self

    def predict(self, columns: dict[str, np.ndarray]) -> np.ndarray:
        return (np.column_stack([np.ones(len(columns["a"])), columns["a"], columns["b"]]) @ self.beta)[:, None]


def test_intervals_are_t_intervals_and_ranges() -> None:
    values = np.linspace(0.9, 1.1, 21)
    found = [{"risk": v, "best_volume": 60.0 if i < 18 else 120.0} for i, v in enumerate(values)]
    own, best = intervals({"risk": 1.2, "best_volume": 60.0}, found, metric="rmse", level=0.95)
    assert own["interval"][1] - 1.2 == pytest.approx(2.0860 * values.std(ddof=1), rel=1e-4)  # t, 20 degrees of freedom
    assert best["interval"] == [60, 120] and best["shares"] == {"60": 18 / 21, "120": 3 / 21}
    few = intervals({"risk": 1.0}, [{"risk": 1.0}] * 4 + [{"risk": None}] * 9, metric="rmse", level=0.95)
    assert few[0]["interval"] is None and few[0]["reason"]
    assert "over new real tables" in own["target"]
