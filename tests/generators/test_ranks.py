"""Measured columns as normal scores: what goes in comes out, and scores are standard normal whatever the column was."""

import numpy as np
import pyarrow as pa
from helpers.generator_cases import mixed_schema, mixed_table
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dge_ray.generators.encoding.ranks import MixedEncoder, RankScale
from dge_ray.table import TableCodec, infer_schema

TABLE = mixed_table(4_000)
SCHEMA = mixed_schema(TABLE)
VALUES = TableCodec(SCHEMA).encode(TABLE)
ENCODER = MixedEncoder.fit(SCHEMA.modelled, VALUES, bins=128)
SCORES, CODES = ENCODER.encode(VALUES, np.random.default_rng(0))


def test_rows_come_back() -> None:
    """Codes and lattice values exactly; continuous ones as near as float32 scores resolve, tails included."""
    back = ENCODER.decode(SCORES, CODES, np.random.default_rng(0))
    decoded = TableCodec(SCHEMA).decode(back, seed=0)
    for name in ("flag", "colour", "label", "age", "price", "day"):
        assert np.mean([a == b for a, b in zip(decoded[name].to_pylist(), TABLE[name].to_pylist(), strict=True)]) > 0.99
    income, true = back["income"], VALUES["income"]
    assert np.array_equal(np.isnan(income), np.isnan(true))
    assert np.array_equal(income == 0, true == 0)
    assert np.nanmax(np.abs(income - true) / (1 + true)) < 1e-3


def test_scores_are_standard_normal() -> None:
    """Kolmogorov-Smirnov at 4,000 rows: .0257 is the 1 % point of one column; four columns, scores by construction."""
    assert ENCODER.measured == ["income", "age", "price", "day"]
    for column in SCORES.T:
        assert stats.kstest(column, "norm").statistic < 0.0257


def test_ties_fall_anew_with_each_stream() -> None:
    other, _ = ENCODER.encode(VALUES, np.random.default_rng(1))
    ties = VALUES["income"] == 0
    assert (other[ties, 0] != SCORES[ties, 0]).all()


def test_the_state_makes_the_same_encoder() -> None:
    again = MixedEncoder.from_state(*ENCODER.state())
    scores, codes = again.encode(VALUES, np.random.default_rng(0))
    assert np.array_equal(scores, SCORES) and np.array_equal(codes, CODES)
    for name, column in again.decode(SCORES, CODES, np.random.default_rng(0)).items():
        assert np.array_equal(column, ENCODER.decode(SCORES, CODES, np.random.default_rng(0))[name], equal_nan=True)


def test_few_values_of_which_most_rows_share_one_are_codes() -> None:
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(2_000) < 0.8, 0.0, rng.choice([10.0, 25.0, 99.0], 2_000))
    table = pa.table({"gain": gain, "age": rng.integers(18, 90, 2_000), "x": rng.normal(size=2_000)})
    schema = infer_schema(table)
    values = TableCodec(schema).encode(table)
    encoder = MixedEncoder.fit(schema.modelled, values, bins=64)
    assert (encoder.coded, encoder.sizes, encoder.measured) == (["gain"], [4], ["age", "x"])
    again = MixedEncoder.from_state(*encoder.state())
    scores, codes = again.encode(values, rng)
    assert np.array_equal(again.decode(scores, codes, np.random.default_rng(0))["gain"], gain)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any), st.integers(0, 2**32 - 1))
def test_ranks_and_tokens_are_inverse(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = RankScale.fit(rng.permutation(len(counts)), np.array(counts, float))
    tokens = rng.choice(np.flatnonzero(counts), 50)
    places = rng.uniform(0.01, 0.99, 50)
    found, at = scale.from_uniform(scale.to_uniform(tokens, places))
    assert np.array_equal(found, tokens)
    assert np.allclose(at, places)
