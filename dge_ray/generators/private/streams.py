"""Secret randomness at an address: each stream has a cipher key of its own, made of a study's secret key.

The cipher key of an address (what for, member, step) is HMAC-SHA256 of the address's bytes under the study's 256 bits,
and the stream is the key stream of AES-256 in counter mode from block 0. Who learns everything of one stream learns
nothing of another, and a stream is a pure function of the key and its address. Uniform words are read as little-endian
64-bit numbers, on every machine.
"""

import hmac
import math
import struct
from enum import IntEnum
from fractions import Fraction

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from dge_ray.seeds import NO_MEMBER

KEY_BYTES = 32
LABEL = b"dge-ray private stream\x00"  # nothing else is ever authenticated with the key under this word
ADDRESS = struct.Struct(">IIQ")  # use, member, step: of a fixed width, so no two addresses have the same bytes
WORD_BYTES = 8
BLOCK = 1 << 16  # normals made at a time: what they are made of stays in the processor's cache


class Use(IntEnum):
    """What a stream is for. The numbers are part of every private study's bytes: append, never renumber."""

    BATCH = 0  # which rows enter a step
    NOISE = 1  # on a step's sum
    HISTOGRAM = 2  # on the counts of all columns; belongs to no member
    DENOISING = 3  # noise levels and noisy rows of a step of a private diffusion
    CHOICE = 4  # of a marginal, by a private fit of marginals; step: the round
    MARGINAL = 5  # on a chosen marginal's counts; step: the how many-th


def cipher_key(key: int, use: Use, *, member: int = NO_MEMBER, step: int = 0) -> bytes:
    """The 32 bytes that the stream at an address is enciphered with. `key`: below 2**256."""
    return hmac.digest(key.to_bytes(KEY_BYTES, "big"), LABEL + ADDRESS.pack(use, member, step), "sha256")


class SecretStream:
    """The stream at an address, read from its beginning on."""

    def __init__(self, key: int, use: Use, *, member: int = NO_MEMBER, step: int = 0) -> None:
        secret = cipher_key(key, use, member=member, step=step)
        self._cipher = Cipher(AES256(secret), CTR(bytes(16))).encryptor()

    def words(self, n: int) -> np.ndarray:
        """The next words (n,) uint64: each of the 2**64 is as likely."""
        return np.frombuffer(self._cipher.update(bytes(WORD_BYTES * n)), "<u8").astype(np.uint64, copy=False)

    def events(self, n: int, probability: float) -> np.ndarray:
        """Independent events (n,) bool, of this probability rounded down to a multiple of 2**-64. A word each."""
        below = int(Fraction(probability) * 2**64)
        words = self.words(n)
        return np.ones(n, dtype=bool) if below >= 2**64 else words < np.uint64(below)

    def normals(self, n: int) -> np.ndarray:
        """Standard normal numbers (n,) float64, by Box and Muller (1958) on uniform numbers of 52 bits.

        The radius is sqrt(-2 log u) with u in (0, 1], so that nothing lies beyond 8.49, where the normal law has
        2e-17. Exact but for the gaps and the rounding of floating point.
        """
        found = np.empty(n + n % 2)  # they come in pairs
        for start in range(0, len(found), BLOCK):
            block = torch.from_numpy(found[start : start + BLOCK])
            pairs = len(block) // 2
            mantissas = self.words(2 * pairs) >> np.uint64(12)
            mantissas |= np.uint64(0x3FF0000000000000)  # of numbers in [1, 2)
            first, second = torch.from_numpy(mantissas.view(np.float64)).split(pairs)
            radius, angle = torch.sub(2, first).log_().mul_(-2).sqrt_(), second.mul_(2 * math.pi)
            torch.cos(angle, out=block[:pairs]).mul_(radius)
            torch.sin(angle, out=block[pairs:]).mul_(radius)
        return found[:n]

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform numbers in [0, 1), float32: multiples of 2**-24."""
        top = (self.words(math.prod(shape)) >> np.uint64(40)).astype(np.float32)
        return torch.from_numpy(top * np.float32(2**-24)).reshape(shape)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers, float32."""
        return torch.from_numpy(self.normals(math.prod(shape)).astype(np.float32)).reshape(shape)


class WholeNumbers:
    """Whole numbers below any bound, one at a time and exactly, from a stream."""

    def __init__(self, stream: SecretStream) -> None:
        self._stream, self._words = stream, iter(())

    def below(self, bound: int) -> int:
        """A number in [0, bound), each as likely: the highest bits of so many words that may reach it, drawn again
        where they are not below it."""
        bits = (bound - 1).bit_length()
        count = -(-bits // 64)
        while True:
            value = 0
            for _ in range(count):
                value = value << 64 | self._word()
            value >>= 64 * count - bits
            if value < bound:
                return value

    def _word(self) -> int:
        for word in self._words:
            return word
        self._words = iter(self._stream.words(1024).tolist())
        return next(self._words)
