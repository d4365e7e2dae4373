"""Secret streams: against HMAC and AES written out, the laws of what is drawn, and that addresses share nothing.

All streams here are fixed, so that every test gives one result; bounds are what chance passes 999 times in 1,000.
"""

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.streams import SecretStream, Use, WholeNumbers, cipher_key
from dge_ray.seeds import NO_MEMBER

KEY = 2**255 + 12345
BEYOND_CHANCE = 1e-3


def stream(use: Use = Use.NOISE, **address: int) -> SecretStream:
    return SecretStream(KEY, use, **address)


def test_words_are_the_ciphers_key_stream() -> None:
    """HMAC as RFC 2104 has it, of the address's bytes; the counter's blocks enciphered one by one."""
    address = b"dge-ray private stream\x00" + bytes([0, 0, 0, 1]) + bytes([0, 0, 0, 7]) + bytes([0] * 6 + [1, 2])
    block = KEY.to_bytes(32, "big").ljust(64, b"\x00")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + address).digest()
    secret = hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()
    assert secret == hmac.new(KEY.to_bytes(32, "big"), address, "sha256").digest()
    assert secret == cipher_key(KEY, Use.NOISE, member=7, step=258)
    blocks = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()
    expected = b"".join(blocks.update(counter.to_bytes(16, "big")) for counter in range(300))
    found = stream(member=7, step=258)
    assert found.words(99).tolist() + found.words(501).tolist() == np.frombuffer(expected, "<u8").tolist()


def test_the_cipher_is_aes_256_in_counter_mode() -> None:
    """NIST SP 800-38A, F.5.5: the first block of its key stream, in the mode and with the class that streams use."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain, expected = "6bc1bee22e409f96e93d7e117393172a", "601ec313775789a5b7a7f504bbf3d228"
    made = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor().update(bytes.fromhex(plain))
    assert made.hex() == expected


def test_the_bytes_of_private_studies_stay() -> None:
    assert SecretStream(1, Use.HISTOGRAM).words(2).tolist() == [18049069380643361814, 10268163091154603189]


def test_no_two_addresses_share_a_cipher_key() -> None:
    """At fields' edges too, where bytes put together without widths would meet."""
    steps, members = (0, 1, 255, 256, 2**32, 2**63), (0, 1, 255, 256, 65_536, NO_MEMBER)
    keys = {cipher_key(KEY, use, member=m, step=s) for use in Use for m in members for s in steps}
    assert len(keys) == len(Use) * len(members) * len(steps)
    flipped = {cipher_key(KEY ^ 1 << bit, Use.NOISE) for bit in range(256)}  # every bit of the key counts
    assert len(flipped | {cipher_key(KEY, Use.NOISE)}) == 257


def test_a_stream_is_a_pure_function_of_its_address() -> None:
    whole, parts = stream(step=4).words(1000), stream(step=4)
    assert np.array_equal(whole, np.concatenate([parts.words(n) for n in (0, 1, 7, 992)]))
    assert np.array_equal(stream(step=4).normals(70_001)[:7], stream(step=4).normals(70_001)[:7])
    assert not np.array_equal(whole, stream(step=5).words(1000))


def test_a_fits_noise_and_batches_are_of_the_cipher() -> None:
    """What numpy's generator would give from a 128-bit pool is nowhere."""
    way = PrivateFit(2.0, 3.0, 0.25, 5, 1.0, key=KEY, member=6)
    assert np.array_equal(way.noise(9, 1001), (stream(member=6, step=9).normals(1001) * 6.0).astype(np.float32))
    words = stream(Use.BATCH, member=6, step=9).words(4000)
    assert np.array_equal(way.batch(9, 4000), np.flatnonzero(words < 2**62))


def test_normals_follow_the_normal_law() -> None:
    drawn = stream().normals(400_001)
    assert stats.kstest(drawn, "norm").pvalue > BEYOND_CHANCE
    # Both of a pair, and pairs of neighbours, say nothing of each other: a correlation has sd 1/sqrt(n).
    block = stream(step=1).normals(1 << 16)
    for one, other in (np.split(block, 2), (block[:-1], block[1:])):
        for f in (np.asarray, np.square):
            assert abs(np.corrcoef(f(one), f(other))[0, 1]) < 3.3 / np.sqrt(len(one))
    squares = stats.kstest(drawn[:200_000] ** 2 + drawn[200_000:400_000] ** 2, "chi2", args=(2,))
    assert squares.pvalue > BEYOND_CHANCE


def test_the_tails_are_there() -> None:
    """Counts beyond 2, 3 and 4 standard deviations, two-sided: binomial with 3.3 of its own."""
    n = 3_000_000
    drawn = np.abs(stream(step=2).normals(n))
    for at in (2.0, 3.0, 4.0, 4.5):
        expected = 2 * stats.norm.sf(at) * n
        assert abs((drawn > at).sum() - expected) < 3.3 * np.sqrt(expected)
    assert drawn.max() < 8.5 and np.isfinite(drawn).all()


@pytest.mark.parametrize("probability", [1e-15, 0.013, 0.5, 1.0])
def test_events_have_their_probability(probability: float) -> None:
    n = 500_000
    found = stream(Use.BATCH).events(n, probability)
    assert abs(found.sum() - n * probability) <= 3.3 * np.sqrt(n * probability * (1 - probability)) + 1e-6


def test_uniform_numbers_stay_below_one_and_shapes_are_kept() -> None:
    drawn = stream().uniform(300, 400)
    assert drawn.shape == (300, 400) and drawn.min() >= 0 and drawn.max() < 1
    assert stats.kstest(drawn.flatten().numpy(), "uniform").pvalue > BEYOND_CHANCE
    assert stream().normal(3, 5).shape == (3, 5) and stream().normal(0, 5).shape == (0, 5)


@pytest.mark.parametrize("bound", [1, 2, 7, 1000, 2**64, 2**64 + 1, 3**80])
def test_whole_numbers_below_a_bound(bound: int) -> None:
    numbers = WholeNumbers(stream(step=bound % 97))
    drawn = [numbers.below(bound) for _ in range(3000)]
    assert min(drawn) >= 0 and max(drawn) < bound
    if bound <= 1000:
        counts = np.bincount(drawn, minlength=bound)
        assert bound == 1 or stats.chisquare(counts).pvalue > BEYOND_CHANCE
    else:
        assert stats.kstest([float(d / bound) for d in drawn], "uniform").pvalue > BEYOND_CHANCE
