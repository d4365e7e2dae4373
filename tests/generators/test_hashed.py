"""Columns of very many categories: tokens, exact probabilities, and what generators make of a text key.

Checked against counting: the shares within a token by definition, a generator's marginal against its training rows.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.generators.encoding.hashed import BUCKETS, FREQUENT, MOST_CODES, Hashed
from dge_ray.generators.encoding.tokens import Discretiser, fit_column
from dge_ray.generators.registry import make_generator
from dge_ray.table import Column, Kind, check_table, infer_schema

LEVELS = 3_000
NAMES = tuple(f"key-{i}" for i in range(LEVELS))


def zipf_codes(n: int, seed: int = 0, *, missing: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, LEVELS + 1)
    codes = rng.choice(LEVELS, n, p=p / p.sum()).astype(np.int32)
    return np.where(rng.random(n) < missing, np.int32(-1), codes)


def fitted(missing: float = 0.1) -> tuple[Hashed, np.ndarray]:
    codes = zipf_codes(20_000, missing=missing)
    column = Column("key", Kind.CATEGORICAL, "string", missing > 0, NAMES)
    tokens = fit_column(column, codes, bins=16)
    assert isinstance(tokens, Hashed)
    return tokens, codes


def test_frequent_categories_have_tokens_of_their_own_and_few_categories_all_do() -> None:
    tokens, codes = fitted()
    assert tokens.size <= FREQUENT + BUCKETS + 1 and tokens.size > FREQUENT + BUCKETS / 2
    counts = np.bincount(codes[codes >= 0], minlength=LEVELS)
    alone = np.bincount(tokens.token)[tokens.token] == 1
    assert alone[counts > np.sort(counts)[-FREQUENT]].all()
    np.testing.assert_array_equal(tokens.share[alone], 1.0)
    few = fit_column(Column("c", Kind.CATEGORICAL, "string", False, NAMES[:MOST_CODES]), codes % MOST_CODES, bins=16)
    assert not isinstance(few, Hashed) and few.size == MOST_CODES


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_token_holds_its_categories_by_their_shares(missing: float) -> None:
    """The tokens' shares times those within them are the categories' own, and every code comes back from its token."""
    tokens, codes = fitted(missing)
    by_token = np.bincount(tokens.token, tokens.share)
    np.testing.assert_allclose(by_token, 1.0)
    np.testing.assert_allclose(np.exp(tokens.log_density(np.arange(LEVELS))), tokens.share)
    assert tokens.log_density(np.array([-1]))[0] == (0.0 if missing else -np.inf)
    counts = np.bincount(codes[codes >= 0], minlength=LEVELS) + 0.1
    mass = np.bincount(tokens.token, counts)
    np.testing.assert_allclose(mass[tokens.token] * tokens.share, counts)
    every = np.arange(-1 if missing else 0, LEVELS)
    decoded = [tokens.decode(tokens.encode(every), np.full(len(every), place)) for place in (0.0, 0.5, 1 - 1e-12)]
    for codes in decoded:
        np.testing.assert_array_equal(tokens.encode(codes), tokens.encode(every))


def test_places_spread_over_a_bucket_as_its_shares_say() -> None:
    """Even places: each category's share of them is its own, within one place of 100,000 at either end."""
    tokens, _ = fitted()
    bucket = int(np.argmax(np.bincount(tokens.token)))
    places = (np.arange(100_000) + 0.5) / 100_000
    drawn = np.bincount(tokens.decode(np.full(100_000, bucket), places), minlength=LEVELS) / 100_000
    np.testing.assert_allclose(drawn, np.where(tokens.token == bucket, tokens.share, 0), atol=2e-5)


def test_a_category_has_the_same_bucket_in_every_table_and_state_comes_back() -> None:
    one, _ = fitted()
    other = Hashed.fit(NAMES[::-1], True, LEVELS - 1 - zipf_codes(20_000))
    tail = np.flatnonzero((one.token >= FREQUENT) & (other.token[::-1] >= FREQUENT))
    pairs = set(zip(one.token[tail].tolist(), other.token[::-1][tail].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})  # buckets are matched one to one
    made = Discretiser({"key": one})
    made.decode(np.zeros((1, 3), np.int32), np.random.default_rng(0))  # what it remembers is no part of its state
    again = Discretiser.from_state(*made.state()).columns["key"]
    np.testing.assert_array_equal(
        again.decode(np.arange(5), np.full(5, 0.3)), one.decode(np.arange(5), np.full(5, 0.3))
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("autoregressive", {"epochs": 3, "hidden": 16}),
        ("copula", {}),
        ("diffusion", {"steps": 60, "width": 16, "layers": 1}),
        ("gan", {"epochs": 1, "hidden": 16, "latent": 8}),
        ("gan", {"epochs": 1, "hidden": 16, "latent": 8, "encoding": "modes"}),
        ("vae", {"epochs": 1, "hidden": 16, "latent": 4}),
    ],
)
def test_every_generator_draws_text_keys(name: str, settings: dict[str, Any]) -> None:
    """Valid rows, as pure functions of the seed; the autoregressor and the copula with the keys' own shares."""
    codes = zipf_codes(6_000)
    table = pa.table({"key": np.array(NAMES)[codes], "x": np.random.default_rng(1).normal(size=6_000)})
    table = table.append_column("y", pa.array(np.where(codes % 2, "odd", "even")))
    schema = infer_schema(table, target="y")
    assert len(schema["key"].categories) > MOST_CODES
    generator: Any = make_generator(name, **settings).fit(table, schema, seed=0)
    rows = generator.sample(6_000, seed=1)
    assert check_table(rows, schema) == [] and rows.equals(generator.sample(6_000, seed=1))
    if name not in ("autoregressive", "copula"):
        return
    # The commonest key has a share of 1 / 8.6, and a tail of half of all keys one of .08: standard errors of .0042 and
    # .0035 of either sample, .006 of a difference; 4 of them, and as much again for a fit of three epochs.
    for wanted in ({NAMES[0]}, set(NAMES[1_500:])):
        shares = [np.mean([value in wanted for value in t["key"].to_pylist()]) for t in (rows, table)]
        assert abs(shares[0] - shares[1]) < 0.05


def test_likelihoods_of_keys_sum_to_one() -> None:
    """Over all categories of the only column, missing included."""
    codes = zipf_codes(4_000, missing=0.1)
    values = [None if code < 0 else NAMES[code] for code in codes]
    schema = infer_schema(pa.table({"key": values, "y": ["a", "b"] * 2_000}), target="y")
    alone = type(schema)((schema["key"],))
    generator: Any = make_generator("autoregressive", epochs=1).fit(pa.table({"key": values}), alone, seed=0)
    every = pa.table({"key": pa.array([*alone["key"].categories, None])})
    assert np.exp(generator.log_prob(every)).sum() == pytest.approx(1.0, abs=1e-5)


def test_text_keys_are_matched_in_fine_tuning(tmp_path: Path) -> None:
    """Known keys keep their tokens, new ones share a bucket, keys that are gone never come up."""
    both = [zipf_codes(6_000, seed=seed) for seed in (0, 1)]
    names = [np.array(NAMES)[both[0]], np.array([*NAMES[10:], *(f"new-{i}" for i in range(10))])[both[1]]]
    tables = [pa.table({"key": name, "y": np.where(np.arange(6_000) % 2, "a", "b")}) for name in names]
    schemas = [infer_schema(table, target="y") for table in tables]
    source: Any = make_generator("autoregressive", epochs=1).fit(tables[0], schemas[0], seed=0)
    source.save(tmp_path)
    tuned: Any = make_generator("autoregressive", epochs=1).fit(tables[1], schemas[1], seed=1, warm_start=tmp_path)
    theirs, ours = (g._fitted[1].discretiser.columns["key"] for g in (source, tuned))
    assert isinstance(ours, Hashed) and ours.size <= theirs.size
    np.testing.assert_allclose(np.bincount(ours.token, ours.share), 1.0)
    rows = tuned.sample(6_000, seed=2)
    assert check_table(rows, schemas[1]) == []
    # The commonest key is NAMES[10] now, with a share of 1 / 8.6: as in the test above, .05 allows for the short fit.
    shares = [np.mean([value == NAMES[10] for value in table["key"].to_pylist()]) for table in (rows, tables[1])]
    assert abs(shares[0] - shares[1]) < 0.05
