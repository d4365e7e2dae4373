"""Public cells, the one histogram, and the tokens made of it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dge_ray.errors import InputError
from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.tokens import Bins, Values
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import noisy_marginals, on_simplex, public_cells
from dge_ray.generators.private.tokens import private_discretiser, private_tokens, token_shares
from dge_ray.table.schema.table_schema import Column, Kind


def integer(minimum: float | None = 0, maximum: float | None = 99_999, **more: object) -> Column:
    return Column("x", Kind.INTEGER, "int64", minimum=minimum, maximum=maximum, decimals=0, **more)  # type: ignore[arg-type]


def numeric(minimum: float | None = -1.0, maximum: float | None = 5.0, decimals: int | None = None) -> Column:
    return Column("x", Kind.NUMERIC, "double", minimum=minimum, maximum=maximum, decimals=decimals)


def way(noise: float = 0.0, key: int = 77) -> PrivateFit:
    return PrivateFit(1.0, 1.0, 0.1, 1, noise, key=key)


COLUMNS = [
    integer(1, 99),
    integer(),
    integer(-8000, 200_000, missing=True),
    integer(None, None),
    integer(5, 5),
    numeric(),
    numeric(0.0, 1e6, decimals=2),
    numeric(None, None),
    numeric(None, None, decimals=1),
    numeric(2.0, 2.0),
    Column("x", Kind.CATEGORICAL, "string", categories=("a", "b", "c"), missing=True),
    Column("x", Kind.DATETIME, "timestamp[s]", minimum=1e9, maximum=1.7e9, step=60),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: f"{c.kind}-{c.minimum}-{c.decimals}")
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_value_is_in_the_cell_that_holds_it(column: Column, seed: int) -> None:
    cells, rng = public_cells(column), np.random.default_rng(seed)
    if cells.levels:
        assert cells.find(np.array([0, 2, -1])).tolist() == [0, 2, 3]
        return
    low = -1e5 if column.minimum is None else column.minimum
    high = 1e5 if column.maximum is None else column.maximum
    values = np.concatenate([rng.uniform(low, high, 20), [low, high, np.clip(0.0, low, high)]])
    step = cells.step
    values = np.clip(np.rint(values / step) * step, low, high) if step else values
    at = cells.find(values)
    assert (at >= 0).all() and (at < cells.count).all()
    place = np.rint(values / step) if step else values
    inside = (cells.edges[at] <= place) & (place < cells.edges[at + 1])
    assert (inside | (at == cells.count - 1)).all()
    assert (np.diff(cells.edges) > 0).all()
    assert cells.count <= 1_600


def test_spikes_have_cells_of_their_own() -> None:
    cells = public_cells(integer())
    for value in (0, 99_999):
        (at,) = cells.find(np.array([float(value)]))
        assert cells.edges[at : at + 2].tolist() == [value, value + 1]
    cells = public_cells(numeric())
    (zero,) = cells.find(np.array([0.0]))
    assert zero != cells.find(np.array([1e-300]))[0]


def test_datetimes_need_bounds() -> None:
    with pytest.raises(InputError, match="minimum and maximum"):
        public_cells(Column("t", Kind.DATETIME, "timestamp[s]"))


def test_without_noise_counts_are_the_rows() -> None:
    x, c = np.array([0.0, 0.0, 7.0, 99.0, 50_000.0]), np.array([0, 1, 1, -1, 2], dtype=np.int32)
    columns = [integer(), Column("c", Kind.CATEGORICAL, "string", categories=("a", "b", "c"), missing=True)]
    found = noisy_marginals(columns, {"x": x, "c": c}, 5, way())
    assert found["c"].counts.tolist() == [1, 2, 1, 1]
    counts = np.zeros(found["x"].cells.size)
    np.add.at(counts, found["x"].cells.find(x), 1)
    assert found["x"].counts == pytest.approx(counts)


def test_noise_is_the_multiplier_times_the_sensitivity() -> None:
    """d columns: one row adds 1 to d cells, so the L2 sensitivity is sqrt(d)."""
    columns = [integer(0, 499) for _ in range(4)]
    columns = [Column(f"x{j}", c.kind, c.type, minimum=0.0, maximum=499.0, decimals=0) for j, c in enumerate(columns)]
    n = 500_000  # so many a cell that none is cut off at 0
    values = {c.name: np.repeat(np.arange(500.0), n // 500) for c in columns}
    found = noisy_marginals(columns, values, n, way(6.0))
    off = np.concatenate([one.counts - n // 500 for one in found.values()])
    assert off.std() == pytest.approx(6.0 * 2.0, rel=0.06)  # 2,000 draws: sd of the sd is 1.6 %


def test_noise_is_whole_numbers_added_to_counts() -> None:
    """Nothing of the histogram's noise is of floating point, whose gaps would tell counts apart."""
    columns = [integer(0, 499), Column("c", Kind.CATEGORICAL, "string", categories=("a", "b"))]
    noise = way(5.5).histogram_noise(502, 2)
    assert noise.dtype == np.int64 and noise.std() == pytest.approx(math.sqrt(5.5**2 * 2 + 2), rel=0.15)
    values = {"x": np.arange(500.0).repeat(200), "c": np.zeros(100_000, np.int32)}
    found = noisy_marginals(columns, values, 100_000, way(5.5))
    off = found["x"].counts - 200 - noise[:500]  # the projection takes the same off all that stay above 0
    assert np.ptp(off) < 1e-9


def test_one_row_moves_the_histograms_by_sqrt_d() -> None:
    columns = [Column(f"x{j}", Kind.INTEGER, "int64", minimum=0.0, maximum=9.0, decimals=0) for j in range(5)]
    counts = []
    for last in ([1.0], [8.0], []):
        values = {c.name: np.array([3.0, 4.0, *last]) for c in columns}
        found = [public_cells(c).find(values[c.name]) for c in columns]
        counts.append(np.concatenate([np.bincount(f, minlength=10) for f in found]))
    assert np.linalg.norm(counts[0] - counts[2]) == pytest.approx(5**0.5)


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.floats(-50, 200), min_size=2, max_size=6), total=st.floats(1, 300))
def test_the_simplex_projection_is_the_nearest(counts: list[float], total: float) -> None:
    """Against a general solver."""
    given_ = np.array(counts)
    found = on_simplex(given_, total)
    start = np.full(len(given_), total / len(given_))
    solved = minimize(
        lambda x: ((x - given_) ** 2).sum(),
        start,
        bounds=[(0, None)] * len(given_),
        constraints={"type": "eq", "fun": lambda x: x.sum() - total},
    )
    assert found.sum() == pytest.approx(total) and (found >= 0).all()
    assert ((found - given_) ** 2).sum() <= solved.fun + 1e-4 * max(1.0, solved.fun)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: f"{c.kind}-{c.minimum}-{c.decimals}")
@pytest.mark.parametrize("noise", [0.0, 8.0])
def test_tokens_hold_every_value_and_draw_within_the_bounds(column: Column, noise: float) -> None:
    rng = np.random.default_rng(3)
    if column.kind is Kind.CATEGORICAL:
        values = rng.integers(-1, 3, 5000).astype(np.int32)
    else:
        low = -1e4 if column.minimum is None else column.minimum
        high = 1e4 if column.maximum is None else column.maximum
        values = np.where(rng.random(5000) < 0.4, np.clip(0, low, high), rng.uniform(low, high, 5000))
        step = public_cells(column).step
        values = np.rint(values / step) * step if step else values
        values = np.where(rng.random(5000) < 0.1, np.nan, values) if column.missing else values
    marginal = noisy_marginals([column], {"x": values}, 5000, way(noise))["x"]
    tokens = private_tokens(column, marginal, bins=64)
    assert isinstance(tokens, Codes | Values | Bins)
    found = tokens.encode(values)
    assert ((found >= 0) & (found < tokens.size)).all()
    shares = token_shares(tokens, marginal)
    assert shares.sum() == pytest.approx(1) and (shares > 0).all()
    seen = np.bincount(found, minlength=tokens.size) / 5000
    assert np.abs(shares - seen).sum() < (0.06 if noise == 0 else 0.35)
    drawn = tokens.decode(found, rng.random(5000)) if tokens.placed else tokens.decode(found)
    if column.kind is not Kind.CATEGORICAL:
        present = drawn[~np.isnan(drawn)]
        assert column.minimum is None or present.min() >= column.minimum - 1e-9
        assert column.maximum is None or present.max() <= column.maximum + 1e-9


def test_a_spike_becomes_an_atom_and_the_rest_bins() -> None:
    rng = np.random.default_rng(1)
    x = np.where(rng.random(20_000) < 0.9, 0.0, np.rint(rng.lognormal(8, 1, 20_000).clip(1, 99_999)))
    x[:400] = 99_999
    marginal = noisy_marginals([integer()], {"x": x}, len(x), way(5.0))["x"]
    tokens = private_tokens(integer(), marginal, bins=64)
    assert isinstance(tokens, Bins)
    assert set(tokens.atoms) >= {0.0, 99_999.0}
    again = tokens.decode(tokens.encode(x), rng.random(len(x)))
    rest = x[(x > 0) & (x < 99_999)]
    got = again[(again > 0) & (again < 99_999)]
    assert np.quantile(got, [0.25, 0.5, 0.75]) == pytest.approx(np.quantile(rest, [0.25, 0.5, 0.75]), rel=0.1)


def test_the_discretiser_is_written_and_read_back() -> None:
    columns = [integer(), Column("c", Kind.CATEGORICAL, "string", categories=("a", "b"))]
    values = {"x": np.arange(2000.0), "c": np.arange(2000, dtype=np.int32) % 2}
    made = private_discretiser(columns, noisy_marginals(columns, values, 2000, way(3.0)), bins=32)
    again = type(made).from_state(*made.state())
    assert np.array_equal(made.encode(values), again.encode(values))


@pytest.mark.parametrize("key", range(77, 83))  # with some, the noise takes rows away, with some it adds
def test_noise_alone_does_not_fill_the_range_of_a_column_without_bounds(key: int) -> None:
    """Ages of 2,000 rows under a noise of sd 10: cells there are a twelfth wide, so the range found is about the true
    one."""
    ages = np.random.default_rng(0).integers(18, 81, 2_000).astype(float)
    column = integer(None, None)
    (found,) = noisy_marginals([column], {"x": ages}, 2_000, way(10.0, key)).values()
    held = np.flatnonzero(found.present)
    edges = found.cells.edges
    assert 10 <= edges[held[0]] <= 40 and 60 <= edges[held[-1] + 1] <= 90
    tokens = private_tokens(column, found, bins=64)
    drawn = tokens.decode(
        np.repeat(np.arange(tokens.size, dtype=np.int32), 20), np.tile(np.linspace(0, 0.999, 20), tokens.size)
    )
    assert drawn.min() >= 10 and drawn.max() <= 90
