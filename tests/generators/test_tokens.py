"""Tokens of a column: checked against integrals and sums of their densities, and against the values they came from."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.tokens import Bins, Discretiser, Values, fit_column
from dge_ray.table.schema.table_schema import Column, Kind


def numeric(decimals: int | None = None, missing: bool = False) -> Column:
    return Column("x", Kind.NUMERIC, "double", missing, decimals=decimals)


def integer(step: int = 1, missing: bool = False) -> Column:
    return Column("x", Kind.INTEGER, "int64", missing, step=step)


def heavy(n: int = 20_000, atoms: int = 3_000) -> np.ndarray:
    x = np.exp(np.random.default_rng(0).normal(size=n) * 1.5)
    x[:atoms] = 0.0
    return x


def test_codes_keep_the_code_and_give_missing_a_token() -> None:
    column = Column("c", Kind.CATEGORICAL, "string", missing=True, categories=("a", "b", "c"))
    tokens = fit_column(column, np.array([0, 1, 2, -1], dtype=np.int32), bins=16)
    assert tokens == Codes(3, True) and tokens.size == 4
    assert tokens.encode(np.array([2, -1])).tolist() == [2, 3]
    assert tokens.decode(np.array([2, 3], dtype=np.int32)).tolist() == [2, -1]
    assert Codes(3, False).encode(np.array([-1])).tolist() == [-1]
    assert np.isneginf(Codes(3, False).log_density(np.array([-1]))).all()


def test_few_values_stay_as_they_are() -> None:
    x = np.repeat([1.0, 2.5, 7.0], 10)
    x[0] = np.nan
    tokens = fit_column(numeric(missing=True), x, bins=16)
    assert isinstance(tokens, Values) and tokens.size == 4
    assert np.array_equal(tokens.decode(tokens.encode(x)), x, equal_nan=True)
    assert tokens.encode(np.array([2.4, 100.0])).tolist() == [1, 2]  # the nearest value ...
    assert np.isneginf(tokens.log_density(np.array([2.4]))).all()  # ... but no support there


def test_distinct_continuous_values_of_a_small_table_are_not_kept() -> None:
    """100 different values would fit into 128 tokens, and every one would be a training value."""
    x = np.random.default_rng(0).normal(size=100)
    tokens = fit_column(numeric(), x, bins=128)
    assert isinstance(tokens, Bins) and tokens.size < 20


def test_an_atom_has_a_token_of_its_own_and_no_bin_draws_it() -> None:
    k = np.floor(np.random.default_rng(0).exponential(300, size=20_000))
    k[:4_000] = 7
    tokens = fit_column(integer(), k, bins=128)
    assert isinstance(tokens, Bins) and 7.0 in tokens.atoms
    rng = np.random.default_rng(1)
    drawn = tokens.decode(rng.integers(len(tokens.atoms), tokens.size, 50_000).astype(np.int32), rng.random(50_000))
    assert not (drawn == 7).any()


@pytest.mark.parametrize("bins", [8, 128])
def test_continuous_density_integrates_to_one_in_every_bin(bins: int) -> None:
    """exp(log_density) is the piecewise constant density given the bin: its sums of density x cell width are 1."""
    tokens = fit_column(numeric(), heavy(), bins=bins)
    assert isinstance(tokens, Bins)
    middles = (tokens.edges[1:] + tokens.edges[:-1]) / 2
    mass = np.exp(tokens.log_density(middles)) * np.diff(tokens.edges)
    total = np.bincount(tokens.encode(middles), mass, minlength=tokens.size)
    np.testing.assert_allclose(total[len(tokens.atoms) :], 1.0, rtol=1e-9)
    assert np.isneginf(tokens.log_density(np.array([tokens.edges[0] - 1, tokens.edges[-1] + 1]))).all()


@pytest.mark.parametrize("last", [False, True])
def test_values_on_which_rows_heap_up_keep_their_share(last: bool) -> None:
    """Ratios of small numbers among continuous values, each too rare for a symbol. A share of 60,000 draws has a
    standard error of at most .0004; 4 of them, and half a row of each heap for what lies behind it."""
    rng = np.random.default_rng(3)
    heaps = 1 / np.arange(1, 60) if not last else np.append(1 / np.arange(2, 60), 1e4)
    x = np.concatenate([np.exp(rng.normal(size=6_000)), np.repeat(heaps, rng.integers(20, 30, len(heaps)))])
    tokens = fit_column(numeric(), x, bins=128)
    assert isinstance(tokens, Bins) and not np.isin(heaps, tokens.atoms).any()
    at_random = tokens.decode(rng.choice(tokens.encode(x), 60_000), rng.random(60_000))
    for value in heaps:
        share = (x == value).mean()
        assert abs((at_random == value).mean() - share) < 0.0016 + 0.5 / len(x)
        token = tokens.encode(np.array([value]))
        p = np.exp(tokens.log_density(np.array([value])))[0] * (tokens.encode(x) == token).mean()
        assert abs(p - share) <= 0.5001 / len(x)
    again = tokens.decode(tokens.encode(x), tokens.places(x, rng.random(len(x))))
    assert (again[np.isin(x, heaps)] == x[np.isin(x, heaps)]).all()
    assert np.isfinite(tokens.log_density(np.linspace(x.min(), x.max(), 10_000))).all()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 0]))
def test_the_mass_of_a_bin_is_one_with_heaps_too(seed: int, decimals: int | None) -> None:
    rng = np.random.default_rng(seed)
    heaps = rng.integers(1, 900, 12) / (1 if decimals == 0 else 7)
    free = np.rint(rng.exponential(150, 3_000)) if decimals == 0 else rng.exponential(100, 3_000)
    x = np.concatenate([free, np.repeat(heaps, rng.integers(10, 15, 12))])
    tokens = fit_column(integer() if decimals == 0 else numeric(), x, bins=32)
    assert isinstance(tokens, Bins)
    if decimals == 0:
        support = np.arange(x.min(), x.max() + 1)
        mass = np.exp(tokens.log_density(support))
    else:
        middles, width = (tokens.edges[1:] + tokens.edges[:-1]) / 2, np.diff(tokens.edges)
        support, mass = middles, np.exp(tokens.log_density(middles)) * np.where(width > 0, width, 1)
    total = np.bincount(tokens.encode(support), mass, minlength=tokens.size)
    np.testing.assert_allclose(total[len(tokens.atoms) :], 1.0, rtol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_a_place_is_found_as_numpy_interpolates(seed: int) -> None:
    """Bit for bit but where a machine rounds a product and a sum at once."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.standard_cauchy(500), np.repeat(rng.normal(size=5), 12)])
    tokens = fit_column(numeric(), x, bins=int(rng.integers(2, 64)))
    assert isinstance(tokens, Bins)
    place = rng.random(300) * tokens.bins
    drawn = tokens.decode(len(tokens.atoms) + np.floor(place).astype(np.int32), place - np.floor(place))
    np.testing.assert_allclose(drawn, np.interp(place, tokens.knots, tokens.edges), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(("column", "scale"), [(integer(), 1.0), (numeric(decimals=2), 0.01), (integer(step=60), 60.0)])
def test_lattice_probabilities_sum_to_one_in_every_bin(column: Column, scale: float) -> None:
    k = np.floor(np.random.default_rng(0).exponential(300, size=20_000))
    k[:3_000] = 11
    tokens = fit_column(column, k * scale, bins=64)
    assert isinstance(tokens, Bins)
    support = np.arange(k.min(), k.max() + 1) * scale
    total = np.bincount(tokens.encode(support), np.exp(tokens.log_density(support)), minlength=tokens.size)
    np.testing.assert_allclose(total, 1.0, rtol=1e-9)


def test_decoded_tokens_follow_the_training_rows_heavy_tail_included() -> None:
    """Encode, decode at random places: KS under .02 (its .1 % point at 20,000 against 20,000 rows is .0195); and the
    mean, which uniform placement in the outer bin would double, within 4 standard errors of it plus 2 %."""
    x = heavy()
    tokens = fit_column(numeric(), x, bins=64)
    y = tokens.decode(tokens.encode(x), np.random.default_rng(1).random(len(x)))
    assert ks_2samp(x, y).statistic < 0.0195
    assert abs(y.mean() - x.mean()) < 4 * x.std() / np.sqrt(len(x)) + 0.02 * x.mean()
    assert y.min() >= x.min() and y.max() <= x.max()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=300),
    st.sampled_from([None, 0, 2]),
    st.integers(2, 64),
    st.integers(0, 2**32 - 1),
)
@example([0.0] * 5 + [1.0] * 4 + [2.2e-311], None, 2, 0)  # a bin so narrow that one over its width is no float
def test_values_stay_in_their_token(values: list[float], decimals: int | None, bins: int, seed: int) -> None:
    """Whatever the column: a drawn value lies in the token that it was drawn from, and inside the data's range."""
    x = np.array(values) if decimals is None else np.round(np.array(values), decimals)
    column = integer() if decimals == 0 else numeric(decimals)
    tokens = fit_column(column, x, bins=bins)
    encoded = tokens.encode(x)
    assert (encoded >= 0).all() and (encoded < tokens.size).all()
    y = tokens.decode(encoded, np.random.default_rng(seed).random(len(x)))
    slack = 1e-9 * max(1.0, float(np.abs(x).max()))
    assert (y >= x.min() - slack).all() and (y <= x.max() + slack).all()
    assert (tokens.encode(y) == encoded).mean() > 0.99  # rounding may push a value onto the next bin's edge
    assert np.isfinite(tokens.log_density(x)).all()


def test_ranks_order_values_and_leave_codes_and_missing_out() -> None:
    discretiser = Discretiser(
        {
            "c": Codes(3, False),
            "v": Values(np.array([1.0, 2.0]), True),
            "b": Bins(np.array([5.0]), np.array([0.0, 4.0, 9.0]), np.array([0.0, 1.0, 2.0]), 0.0, False),
        }
    )
    codes, values, bins = discretiser.ranks()
    assert codes is None
    np.testing.assert_allclose(values, [0.25, 0.75, np.nan])
    np.testing.assert_allclose(bins, [3 / 6, 1 / 6, 5 / 6])  # the atom 5 lies between the bins' medians 2 and 6.5


def test_state_round_trip() -> None:
    columns = {
        "a": Codes(3, True),
        "b": Values(np.array([1.0, 2.0]), False),
        "c": fit_column(numeric(), heavy(), bins=8),
    }
    arrays, plain = Discretiser(columns).state()
    again = Discretiser.from_state(arrays, plain)
    assert again.sizes == Discretiser(columns).sizes
    x = {"a": np.array([1, -1]), "b": np.array([1.0, 2.0]), "c": np.array([0.0, 3.0])}
    assert np.array_equal(again.encode(x), Discretiser(columns).encode(x))
    assert np.array_equal(again.log_density(x), Discretiser(columns).log_density(x))
