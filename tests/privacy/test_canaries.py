"""Canaries: all different, none a real row, of the twins' law, planted once, and part of a study's identity."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from dge_ray.errors import InputError
from dge_ray.privacy.canaries import draw_canaries, plant
from dge_ray.stats.leakage.nearest import row_bytes
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table import TableCodec, check_table, infer_schema

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 600
    return pa.table(
        {
            "id": [f"row {i}" for i in range(n)],
            "x": pa.array(rng.normal(size=n).round(2), mask=rng.random(n) < 0.1),
            "k": rng.poisson(3, n),
            "c": rng.choice(["often", "seldom", "rare"], n, p=[0.9, 0.08, 0.02]),
            "one": ["same"] * n,
            "y": rng.choice(["no", "yes"], n, p=[0.8, 0.2]),
        }
    )


def drawn(table: pa.Table, count: int, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    parts = {"train": table.slice(0, 400), "test": table.slice(400)}
    return draw_canaries(parts, infer_schema(table, target="y"), count, seed=seed)


@pytest.mark.filterwarnings("ignore::dge_ray.table.infer.IdentifierWarning")
def test_canaries_differ_from_all_rows_and_fit_the_schema(table: pa.Table) -> None:
    schema = infer_schema(table, target="y")
    planted, twins = drawn(table, 40)
    codec = TableCodec(schema)
    rows = [row for part in (planted, twins, table) for row in row_bytes(codec.encode(part))]
    assert len(set(rows[:80])) == 80 and not set(rows[:80]) & set(rows[80:])
    assert check_table(planted, schema) == [] and planted.schema.equals(twins.schema)
    again, _ = drawn(table, 40)
    assert again.equals(planted) and not drawn(table, 40, seed=1)[0].equals(planted)
    train = plant(table.slice(0, 400), planted)
    assert train.slice(0, 400).equals(table.slice(0, 400)) and train.num_rows == 440


@pytest.mark.filterwarnings("ignore::dge_ray.table.infer.IdentifierWarning")
def test_values_are_unusual_and_twins_have_the_same_law(table: pa.Table) -> None:
    """Values beyond the middle 90 % of train's; a category of 2 % far more often (its inverse share: 80 %)."""
    planted, twins = drawn(table, 100)
    x = np.r_[planted["x"].to_numpy(), twins["x"].to_numpy()]
    low, high = np.nanquantile(table.slice(0, 400)["x"].to_numpy(zero_copy_only=False), [0.051, 0.949])
    assert not np.isnan(x).any() and ((x <= low) | (x >= high)).all()
    assert np.mean(planted["c"].to_numpy() == "rare") > 0.5
    assert ks_2samp(planted["x"].to_numpy(), twins["x"].to_numpy()).pvalue > 0.01


def test_too_many_are_refused() -> None:
    table = pa.table({"c": ["a", "b"] * 40, "d": ["a", "a", "b", "b"] * 20, "y": [0, 1] * 40})
    with pytest.raises(InputError, match="canaries: got 9; takes at most 2"):
        drawn(table, 9)  # of 8 different rows 4 are real ones


def _prepared(place: Path, *words: str) -> Prepared:
    file = place / "t.parquet"
    if not file.exists():
        rng = np.random.default_rng(0)
        x = rng.normal(size=(300, 2))
        frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] > 0, "yes", "no")})
        frame.to_parquet(file, index=False)
    return prepare(read_config(str(file), ["target=y", "generator=copula", *words]))


def test_a_study_plants_them_in_train_alone_and_they_are_its_identity(tmp_path: Path) -> None:
    plain, marked = _prepared(tmp_path), _prepared(tmp_path, "canaries=7")
    assert plain.canaries is None and marked.canaries is not None
    assert marked.n == plain.n + 7 and marked.rows["test"] == plain.rows["test"]
    assert marked.parts["train"].slice(plain.n).equals(marked.canaries[0])
    assert any("not for publishing" in note for note in marked.warnings)
    assert marked.identity() != plain.identity() != replace(marked, canaries=None).identity()
    other = _prepared(tmp_path, "canaries=8")
    assert len({str(one.identity()["split"]) for one in (plain, marked, other)}) == 3


def test_a_bad_number_is_one_line(run: Run) -> None:
    code, _, err = run("check", "breast_cancer", "canaries=-1")
    assert code == 2 and "canaries" in err and "unlikely rows" in err


PRIVATE = ["privacy.epsilon=2", "privacy.delta=1e-4", "members=2", "canaries=25", "study=s", "tracking=false"]
PUBLIC = [
    "columns.a={kind: numeric, decimals: 3, minimum: -4, maximum: 4}",
    "columns.k={kind: integer, minimum: 0, maximum: 200}",
    "columns.c={categories: [p, q, r, s]}",
    "columns.y={categories: ['no', 'yes']}",
]
_rng = np.random.default_rng(3)
REAL = pd.DataFrame(
    {
        "a": _rng.normal(size=300),
        "k": _rng.integers(0, 90, 300),
        "c": _rng.choice(["p", "q", "r"], 300, p=[0.9, 0.08, 0.02]),
        "y": _rng.choice(["no", "yes"], 300),
    }
)


def _private(place: Path, frame: pd.DataFrame, *words: str) -> Prepared:
    frame.to_csv(place / "p.csv", index=False)
    where = [f"storage={place}", "target=y"]
    return prepare(read_config(str(place / "p.csv"), [*where, *PRIVATE, *(words or PUBLIC)]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, len(REAL) - 1), data=st.data())
def test_with_privacy_no_real_row_changes_a_canary(tmp_path: Path, row: int, data: st.DataObject) -> None:
    """Neither which there are nor whether there are enough; not even a row that is one of them."""
    before = _private(tmp_path, REAL).canaries
    assert before is not None
    copy = st.sampled_from(pa.concat_tables(before).to_pylist())
    any_row = st.fixed_dictionaries(
        {
            "a": st.floats(-1e6, 1e6),
            "k": st.integers(-500, 500),
            "c": st.sampled_from(["p", "s", "new", ""]),
            "y": st.sampled_from(["no", "yes", ""]),
        }
    )
    changed = REAL.astype(object).copy()
    for name, value in data.draw(st.one_of(any_row, copy)).items():
        changed.loc[row, name] = value
    after = _private(tmp_path, changed).canaries
    assert after is not None and all(one.equals(other) for one, other in zip(before, after, strict=True))


def test_with_privacy_they_are_of_the_declared_ends_and_categories(tmp_path: Path) -> None:
    prepared = _private(tmp_path, REAL)
    assert prepared.canaries is not None
    drawn = pa.concat_tables(prepared.canaries).to_pandas()
    assert len(drawn.drop_duplicates()) == 50
    assert ((drawn["a"] <= -3.6) | (drawn["a"] >= 3.6)).all() and drawn["a"].round(3).equals(drawn["a"])
    assert ((drawn["k"] <= 10) | (drawn["k"] >= 190)).all()
    assert set(drawn["c"]) == set("pqrs")  # one of which no row has
    assert prepared.parts["train"].slice(prepared.n - 25).equals(prepared.canaries[0])
    without_bounds = [PUBLIC[0], "columns.k=integer", *PUBLIC[2:]]
    with pytest.raises(InputError, match=r"canaries: got 25 with privacy.epsilon and a column 'k' without bounds"):
        _private(tmp_path, REAL, *without_bounds)


def test_with_privacy_it_is_another_study_than_one_whose_canaries_came_from_train(tmp_path: Path) -> None:
    assert {"canaries": 25, "of": "schema"} in _private(tmp_path, REAL).identity()["split"]
