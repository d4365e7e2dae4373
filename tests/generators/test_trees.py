"""The sequential trees, against scikit-learn's splits, sums over all symbols and all cells, Bayes' rule and draws."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.generator_cases import mixed_schema, mixed_table, tiny_cells, tiny_table
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from dge_ray.errors import InputError
from dge_ray.generators.trees.boosted import Boosted
from dge_ray.generators.trees.generator import Trees
from dge_ray.generators.trees.rows import Rows, Scale
from dge_ray.generators.trees.splitter import Nodes, Response, grow
from dge_ray.table import infer_schema


def stump(codes: np.ndarray, response: Response) -> tuple[int, int]:
    """Predictor and threshold of the first split by all rows."""
    n = codes.shape[1]
    nodes = grow(codes, response, [np.arange(n)], leaf=5, least_gain=0.0)
    return int(nodes.feature[0]), int(nodes.threshold[0])


@pytest.mark.parametrize("levels", [2, 4])
def test_the_first_split_is_that_of_the_gini_index(levels: int) -> None:
    rng = np.random.default_rng(levels)
    codes = rng.integers(0, 60, (4, 800)).astype(np.uint8)
    y = np.digitize(codes[2] + rng.normal(0, 15, 800), np.linspace(10, 50, levels - 1))
    theirs = DecisionTreeClassifier(max_depth=1, min_samples_leaf=5, random_state=0).fit(codes.T, y).tree_
    ours = stump(codes, Response(y, levels, ordered=False))
    assert ours == (theirs.feature[0], np.floor(theirs.threshold[0]))


def test_the_first_split_of_an_ordered_response_is_that_of_its_indicators() -> None:
    """The squared distance of distribution functions is that of the indicators of the parts' ends, all at once."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 60, (3, 1000)).astype(np.uint8)
    y = rng.normal(0, np.where(codes[1] > 31, 3.0, 0.5))  # a split of the spread alone, which no mean shows
    rank = np.argsort(np.argsort(y))
    ordered = np.sort(rank)
    indicators = [rank >= ordered[1000 * part // 7] for part in range(1, 7)] + [rank > ordered[500]]
    by_all = DecisionTreeRegressor(max_depth=1, min_samples_leaf=5).fit(codes.T, np.stack(indicators, 1).astype(float))
    ours = stump(codes, Response(rank, 1000, ordered=True))
    assert ours == (by_all.tree_.feature[0], np.floor(by_all.tree_.threshold[0]))
    assert ours[0] == 1 and abs(ours[1] - 31) <= 1


def test_rows_reach_the_leaves_that_their_codes_lead_to() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (3, 600)).astype(np.uint8)
    rank = (codes[0] // 32 + codes[1] // 64).astype(np.int64)
    bags = [np.sort(rng.permutation(600)[:400]) for _ in range(2)]
    nodes = grow(codes, Response(rank, 12, ordered=True), bags, leaf=10, least_gain=1.0)
    for tree in range(2):
        landed = nodes.leaves(codes, np.full(600, tree))
        assert landed[:50].tolist() == [_walk(nodes, tree, codes[:, row]) for row in range(50)]
        assert np.bincount(landed[bags[tree]])[np.unique(landed)].min() >= 10


def _walk(nodes: Nodes, node: int, row: np.ndarray) -> int:
    while nodes.child[node] != node:
        node = int(nodes.child[node]) + int(row[nodes.feature[node]] > nodes.threshold[node])
    return node


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 30), st.integers(1, 6))
def test_a_nodes_law_sums_to_one(seed: int, symbols: int, rows: int, apart: int) -> None:
    law, size = _rows(seed, symbols, rows, apart)
    for node in np.flatnonzero(size):
        p = law.probability(np.full(symbols, node), np.arange(symbols))
        assert p.min() >= 0 and abs(p.sum() - 1) < 1e-9


@given(st.integers(0, 10**6), st.integers(1, 400), st.floats(0.1, 12))
def test_a_uniforms_symbol_is_found_as_by_a_binary_search(seed: int, symbols: int, skew: float) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.random(symbols) ** skew + 1e-12
    scale = Scale(shares / shares.sum(), symbols)
    u = np.concatenate([rng.random(200), scale.ends[:-1], np.nextafter(scale.ends, 0), [0.0]])
    assert (scale.symbol(u) == np.searchsorted(scale.ends, u, side="right")).all()


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 30))
def test_a_law_is_the_same_by_its_table_and_by_a_search(seed: int, symbols: int, rows: int) -> None:
    law, size = _rows(seed, symbols, rows, apart=3)
    node, symbol = np.repeat(np.flatnonzero(size), symbols), np.tile(np.arange(symbols), np.count_nonzero(size))
    searched = law.probability(node[:1], symbol[:1])
    tabled = [law.probability(node, symbol) for _ in range(4)][-1]
    assert law.asked >= len(size) * (symbols + 1) and searched[0] == tabled[0]
    counts = _rows(seed, symbols, rows, apart=3)[0]
    one_by_one = [counts.probability(node[i : i + 1], symbol[i : i + 1])[0] for i in range(len(node))]
    assert tabled.tolist() == one_by_one


@pytest.mark.parametrize("seed", range(6))
def test_a_nodes_draws_follow_its_law(seed: int) -> None:
    """Shares of 20,000 draws: a standard error of at most .0036, and 4 of them."""
    law, size = _rows(seed, 9, 25, 1 + seed % 5)
    node = int(np.argmax(size))
    drawn = law.draw(np.full(20_000, node), np.random.default_rng(seed).random(20_000) * size[node])
    p = law.probability(np.full(9, node), np.arange(9))
    assert np.abs(np.bincount(drawn, minlength=9) / 20_000 - p).max() < 0.0145


def _rows(seed: int, symbols: int, rows: int, apart: int) -> tuple[Rows, np.ndarray]:
    """Random rows of three nodes; some of the symbols are ordered values."""
    rng = np.random.default_rng(seed)
    shares = rng.random(symbols) + 0.01
    scale = Scale(shares / shares.sum(), int(rng.integers(0, symbols + 1)))
    node = rng.integers(0, 3, rows)
    size = np.bincount(node, minlength=3)
    return Rows.of(node, size, rng.integers(0, symbols, rows), scale, apart), size


@cache
def tiny(target: str) -> Trees:
    table = tiny_table(1_000)
    return Trees(target=target).fit(table, infer_schema(table, target="b"), seed=0)


BOTH = pytest.mark.parametrize("target", ["tree", pytest.param("boosted", marks=pytest.mark.slow)])


@BOTH
def test_the_density_sums_to_one_and_is_what_draws_follow(target: str) -> None:
    """Over all 24 cells; shares of 20,000 draws have standard errors of at most .0035, and 4 of them are .014."""
    cells = tiny_cells()
    p = np.exp(tiny(target).log_prob(cells))
    assert abs(p.sum() - 1) < 1e-9
    drawn = tiny(target).sample(20_000, seed=1).group_by(["a", "b", "c"]).aggregate([([], "count_all")])
    counts = {(row["a"], row["b"], row["c"]): row["count_all"] for row in drawn.to_pylist()}
    shares = np.array([counts.get((row["a"], row["b"], row["c"]), 0) / 20_000 for row in cells.to_pylist()])
    assert np.abs(shares - p).max() < 0.014


@BOTH
def test_the_other_columns_follow_a_target_that_is_given_though_it_is_drawn_last(target: str) -> None:
    """By Bayes' rule over all cells. Standard errors of 6,000 draws are at most .0065; .026 is 4 of them."""
    cells = tiny_cells()
    p = np.exp(tiny(target).log_prob(cells))
    rows = tiny(target).sample(6_000, seed=2, given=pa.table({"b": ["z"] * 6_000}))
    assert rows["b"].to_pylist() == ["z"] * 6_000
    b, a = np.array(cells["b"].to_pylist()), np.array(cells["a"].to_pylist())
    wanted = p[(b == "z") & (a == "x")].sum() / p[b == "z"].sum()
    assert abs(np.mean([value == "x" for value in rows["a"].to_pylist()]) - wanted) < 0.026


def test_rows_that_are_given_different_values_follow_them_too() -> None:
    """As above, for 12 conditions of 20 rows at a time, which are too few to share their proposals."""
    p, cells = np.exp(tiny("tree").log_prob(tiny_cells())), tiny_cells().to_pylist()
    conditions = [(b, c) for b in "xyz" for c in ["x", "y", "z", None]]
    shares = dict.fromkeys(conditions, 0.0)
    for seed in range(6):
        rows = pa.table({"b": [b for b, _ in conditions] * 20, "c": [c for _, c in conditions] * 20})
        for row in tiny("tree").sample(240, seed=seed, given=rows).to_pylist():
            shares[row["b"], row["c"]] += (row["a"] == "x") / 120
    for b, c in conditions:
        alike = [(i, cell["a"]) for i, cell in enumerate(cells) if (cell["b"], cell["c"]) == (b, c)]
        wanted = sum(p[i] for i, a in alike if a == "x") / sum(p[i] for i, _ in alike)
        assert abs(shares[b, c] - wanted) < 0.2  # 120 draws: a standard error of at most .046, and 4 of them


def test_the_target_is_drawn_last_wherever_it_stands() -> None:
    table = mixed_table(200)
    table = table.select(["label", *(name for name in table.column_names if name != "label")])
    generator = Trees(trees=1).fit(table, mixed_schema(table), seed=0)
    assert list(generator._state()[1].tokens.columns)[-1] == "label"
    assert generator.sample(5, seed=0).column_names == table.column_names


def test_numbers_are_not_copied_and_atoms_are_kept() -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random(600) < 0.3, 0.0, rng.normal(size=600))
    table = pa.table({"x": x, "y": x + rng.normal(size=600)})
    rows = Trees().fit(table, infer_schema(table, target="y"), seed=0).sample(4_000, seed=0)
    assert not np.isin(rows["y"].to_numpy(), table["y"].to_numpy()).any()
    drawn = rows["x"].to_numpy()
    assert not np.isin(drawn[drawn != 0], x).any()
    assert abs((drawn == 0).mean() - (x == 0).mean()) < 0.03  # standard error .0072 of the draws: 4 of them


def test_a_boosted_target_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    """Of two fits: a member that is fitted again after a crash must be the one that was lost."""
    table = mixed_table(200)
    for name in ("one", "again"):
        Trees(target="boosted", trees=1).fit(table, infer_schema(table, target="label"), seed=1).save(tmp_path / name)
    one, again = (tmp_path / name / "weights.safetensors" for name in ("one", "again"))
    assert one.read_bytes() == again.read_bytes()


@pytest.mark.slow
def test_a_boosted_number_has_its_spread_and_its_atom_where_they_belong() -> None:
    """In 4,000 rows, the sd of y given x is .2 below 0 and 2 above, and a tenth of the rows above are exactly 5.

    Of 2,000 draws each side the sds have standard errors of 1.6 %, the share .007; what the fit blurs is allowed for.
    """
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 4_000)
    y = 3 * x + rng.normal(size=4_000) * np.where(x > 0, 2.0, 0.2)
    y[(x > 0) & (rng.random(4_000) < 0.1)] = 5.0
    table = pa.table({"x": x, "y": y})
    generator = Trees(target="boosted").fit(table, infer_schema(table, target="y"), seed=0)
    assert isinstance(generator._state()[1].stages[-1].given, Boosted)
    rows = generator.sample(4_000, seed=1)
    drawn, at = rows["y"].to_numpy(), rows["x"].to_numpy()
    low, high = at < -0.1, (at > 0.1) & (drawn != 5.0)
    assert np.std(drawn[low] - 3 * at[low]) < 0.5
    assert abs(np.std(drawn[high] - 3 * at[high]) - 2.0) < 0.3
    assert abs((drawn[at > 0] == 5.0).mean() - 0.1) < 0.04
    assert (drawn[at < -0.1] == 5.0).mean() < 0.01


@pytest.mark.slow
def test_drawn_classes_have_the_shares_of_the_table() -> None:
    """Two fifths of the classes depend on a sum that single trees draw poorly, and the third class has no row.

    Of 40,000 draws a share has a standard error of .0025 at most, and as many more are settled by: 4 of .003.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1_500, 4))
    y = np.where(np.abs(x.sum(1)) > 2.0, "far", "near")
    table = pa.table({**{f"x{j}": x[:, j] for j in range(4)}, "y": y})
    schema = infer_schema(pa.concat_tables([table, table.slice(0, 1).set_column(4, "y", [["never"]])]), target="y")
    generator = Trees(target="boosted", trees=1).fit(table, schema, seed=0)
    law = generator._state()[1].stages[-1].given
    assert isinstance(law, Boosted) and law.tilt is not None and np.abs(law.tilt[:2] - 1).max() > 0.01
    drawn = np.array(generator.sample(40_000, seed=1)["y"].to_pylist())
    assert abs((drawn == "far").mean() - (y == "far").mean()) < 0.012
    assert (drawn == "never").sum() <= 2  # it is expected in 40,000 x .001 x .1 / 1,500 x 10 rows


def test_a_target_that_boosting_cannot_have_is_left_to_the_trees() -> None:
    """Of two classes one has a single row: some fold's models would see the other alone."""
    table = pa.table({"x": np.arange(40.0), "y": ["b"] + ["a"] * 39})
    generator = Trees(target="boosted").fit(table, infer_schema(table, target="y"), seed=0)
    assert not isinstance(generator._state()[1].stages[-1].given, Boosted)


def test_predictors_of_more_categories_than_codes_share_them() -> None:
    rng = np.random.default_rng(0)
    key = rng.integers(0, 700, 3_000)
    table = pa.table({"key": [f"k{i}" for i in key], "y": np.where(rng.random(3_000) < key / 700, "yes", "no")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = infer_schema(table, target="y", overrides={"key": "categorical"})
    rows = Trees(trees=1).fit(table, schema, seed=0).sample(3_000, seed=0)
    drawn = np.array([int(text[1:]) for text in rows["key"].to_pylist()])
    yes = np.array(rows["y"].to_pylist()) == "yes"
    assert yes[drawn > 500].mean() - yes[drawn < 200].mean() > 0.3


def test_refuses_text_by_name() -> None:
    table = pa.table({"note": ["some words here"] * 20, "y": [0, 1] * 10})
    schema = infer_schema(table, target="y", overrides={"note": "text"})
    with pytest.raises(InputError, match="generator=language"):
        Trees().fit(table, schema, seed=0)


def test_refuses_to_boost_no_target() -> None:
    table = tiny_table(50)
    with pytest.raises(InputError, match=r"^generator\.target: got 'boosted', of a table without a target"):
        Trees(target="boosted").fit(table, infer_schema(table), seed=0)
