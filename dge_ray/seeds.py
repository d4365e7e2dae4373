"""Addressed randomness: every stream is a pure function of (seed, member, purpose, index), never of call order.

`sequence` is the only place a random stream is born, but for the secret ones of private fits. There is no global
generator and no `seed + k`.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for. The numbers are part of a study's identity: append, never renumber."""

    SPLIT = 0  # real rows into train, validation, test
    STOPPING = 1  # the generator's early-stopping slice of train
    FIT = 2  # a generator's weights and batches
    SHARD = 3  # one shard of a member's rows; index = shard
    LEARNER = 4  # one downstream fit; index = learner seed
    SUBSETS = 5  # which members enter a subset average
    INTERVAL = 6  # draws of a reflection-point or difference interval
    SEARCH = 7  # the volume searcher
    SUBSAMPLE = 8  # rows looked at where all would cost too much
    SURROGATE = 9  # stand-ins for identifiers in synthetic rows; index = column
    REDRAW = 10  # rows in place of those that broke a constraint; index = batch
    BALANCE = 11  # class-balanced rows; index: their order, or a class
    UTILITY = 12  # of a utility report: a member's domain classifier, redrawn labels, resampled rows; index: which
    REPLICATE = 13  # one replicate of a whole pipeline; member = replicate, index: which of its streams
    PREDICT = 14  # draws of a target given features; index = the first row of the block
    PRIVATE = 15  # what private fits drew from once; their streams are a cipher's now (generators/private/streams.py)
    ATTACK = 16  # of an attack report: which rows are asked about, the attacker's own fits; index: which of them
    CANARY = 17  # rows planted in train, and their twins; index 1: their identifiers
    BOOTSTRAP = 18  # one replicate of the pipeline bootstrap; member = replicate, index: which of its streams
    WEIGHT = 19  # of the choice of synthetic rows' weight: draws behind its bound; folds, and what is drawn in them
    POOL = 20  # debiasing: 0 a generator's draws, then the rounding of a column of a part
    BASELINE = (
        21  # learners on real rows beside `real` itself; member: which kind, index: 2 b its seed, 2 b + 1 its rows
    )
    REFIT = 22  # the seed of the members that are fitted again on all rows


NO_MEMBER = 2**32 - 1  # the address of streams that belong to the study, not to one member


def sequence(seed: int, purpose: Purpose, *, member: int = NO_MEMBER, index: int = 0) -> np.random.SeedSequence:
    """The seed sequence at an address."""
    return np.random.SeedSequence(seed, spawn_key=(member, int(purpose), index))


def integer(seed: int, purpose: Purpose, *, member: int = NO_MEMBER, index: int = 0, bits: int = 63) -> int:
    """A `bits`-bit integer seed at an address, for libraries that take an int."""
    state = sequence(seed, purpose, member=member, index=index).generate_state(1, np.uint64)[0]
    return int(state) >> (64 - bits)


def numpy_generator(seed: int, purpose: Purpose, *, member: int = NO_MEMBER, index: int = 0) -> np.random.Generator:
    """A numpy generator at an address."""
    return np.random.default_rng(sequence(seed, purpose, member=member, index=index))
