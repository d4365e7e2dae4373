"""Random streams: addresses differ and do not depend on call order (numpy's SeedSequence is the oracle)."""

import itertools

import numpy as np

from dge_ray.seeds import Purpose, integer, numpy_generator, sequence


def test_every_address_has_its_own_stream() -> None:
    addresses = itertools.product((0, 1), Purpose, (0, 1, 2), (0, 1))
    drawn = [integer(seed, purpose, member=k, index=j) for seed, purpose, k, j in addresses]
    assert len(set(drawn)) == len(drawn)


def test_seed_plus_one_is_not_the_next_member() -> None:
    assert integer(1, Purpose.FIT, member=0) != integer(0, Purpose.FIT, member=1)


def test_a_stream_is_a_function_of_its_address() -> None:
    first = numpy_generator(7, Purpose.SHARD, member=2, index=5).random(4)
    numpy_generator(7, Purpose.SHARD, member=2, index=6).random(100)
    assert np.array_equal(first, numpy_generator(7, Purpose.SHARD, member=2, index=5).random(4))
    oracle = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(2, int(Purpose.SHARD), 5))).random(4)
    assert np.array_equal(first, oracle)


def test_integers_keep_to_their_bits() -> None:
    values = [integer(s, Purpose.LEARNER, bits=31) for s in range(200)]
    assert min(values) >= 0 and max(values) < 2**31
    assert max(values) > 2**30  # all bits are used: 200 draws below half have probability 2**-200


def test_purposes_are_pinned() -> None:
    assert [p.name for p in Purpose][:5] == ["SPLIT", "STOPPING", "FIT", "SHARD", "LEARNER"]
    assert sequence(0, Purpose.FIT).spawn_key == (2**32 - 1, 2, 0)
