"""What stands around a number: a currency before it, a currency, a unit or a magnitude (2.5k) behind it."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.words import CURRENCIES, UNITS, one_of

UNIT_SHARE = 0.9  # of a column's numbers behind which a word must stand that is no unit that is known
# Words, as 'apples', 'mg/dose', 'pts.', 'Mio. €'.
_UNIT = re.compile(r"[^\W\d_](?:[^\d:-]*(?:[^\W\d_.]|[$€£¥]))?\.?")
_BEHIND_MAGNITUDE = r"\.?\s*[$€£¥]?$"  # 3.5 Mio. €
_MAGNITUDES = {"k": 3, "K": 3, "M": 6, "mn": 6, "Mn": 6, "mio": 6, "Mio": 6, "B": 9, "bn": 9, "Bn": 9, "Mrd": 9}
_AFTER_OTHERS = {"m": 6, "b": 9}  # metres and bytes, where no other magnitude says more


@dataclass(frozen=True)
class Affixes:
    """Which of the numbers (n,) have affixes that can be taken off, the power of ten that they stand for, and which
    affixes are taken off."""

    known: np.ndarray
    powers: np.ndarray
    taken: tuple[str, ...]


def read_affixes(before: pa.Array, behind: pa.Array, valid: np.ndarray) -> Affixes:
    """The affixes of texts (n,) of which `valid` are numbers otherwise."""
    before, raw = pc.utf8_lower(before), pc.utf8_trim_whitespace(behind)
    has_before, has_unit = present(before), present(raw) & valid
    valid = valid & (np.asarray(pc.is_in(before, value_set=one_of(CURRENCIES, before.type))) | ~has_before)
    powers = np.zeros(len(valid), dtype=np.int64)
    if not has_unit.any():
        return Affixes(valid, powers, _named(before, valid & has_before))
    bare = pc.replace_substring_regex(raw, _BEHIND_MAGNITUDE, "")
    words = set(pc.unique(bare.filter(pa.array(has_unit))).to_pylist())
    magnitudes = _magnitudes(words, bare=bool((valid & ~has_unit).any()))
    if magnitudes:
        for word, power in magnitudes.items():
            powers[np.asarray(pc.equal(bare, word))] = power
        named = _named(before, valid & has_before)
        return Affixes(valid, powers, (*named, f"{', '.join(sorted(words))} read as powers of ten"))
    unit = pc.utf8_lower(raw)
    counted = pc.value_counts(unit.filter(pa.array(has_unit & valid))).to_pylist()
    most = max(counted, key=lambda entry: entry["counts"], default={"values": "", "counts": 0})
    usual = np.asarray(pc.equal(unit, most["values"])) & has_unit
    # Numbers in several units are not one quantity: those in another than the usual one are not read. A letter behind
    # some of them makes codes of them (85123A).
    letter = len(most["values"]) == 1 and most["values"].isalpha()
    is_known = most["values"] in CURRENCIES | UNITS and not letter
    # '/02/2020' behind all days of a month is no unit.
    is_unit = is_known or (_UNIT.fullmatch(most["values"]) is not None and most["counts"] >= UNIT_SHARE * valid.sum())
    taken = usual if is_unit else np.zeros_like(usual)
    valid = valid & (taken | ~has_unit)
    return Affixes(valid, powers, _named(before, valid & has_before) + _named(unit, valid & has_unit))


def present(texts: pa.Array) -> np.ndarray:
    """Which of the texts are not empty, shape (n,)."""
    return np.asarray(pc.not_equal(texts, ""))


def _magnitudes(words: set[str], *, bare: bool) -> dict[str, int]:
    """The powers of ten that these words stand for, where they differ; none where they are the same or are units."""
    sure = {word: power for word, power in _MAGNITUDES.items() if word in words}
    both = {**sure, **({word: power for word, power in _AFTER_OTHERS.items() if word in words} if sure else {})}
    return both if words <= set(both) and (bare or len(set(both.values())) > 1) else {}


def _named(affixes: pa.Array, which: np.ndarray) -> tuple[str, ...]:
    words = sorted(pc.unique(affixes.filter(pa.array(which))).to_pylist())
    return (f"{', '.join(repr(word) for word in words[:5])} taken off",) if words else ()
