"""Which columns tell rows apart and nothing else: keys, row numbers, and what names a person."""

import numpy as np
import pyarrow as pa

from dge_ray.phrases import words_of
from dge_ray.table.arrow.arrow_types import is_string, pc
from dge_ray.table.identifiers.persons import PHONES, luhn, names_persons

MIN_IDENTIFIER_ROWS = 50
_FEWEST_TEXTS = 20  # that (nearly) all differ: nobody learns from categories of one row each
STRING_IDENTIFIER_SHARE = 0.95  # distinct among the present values
EXACT = 2.0**53  # whole numbers up to here are exact in a float64
_FEWEST_KEYS = 20  # different whole numbers that can be told for keys by their digits
_KEY_DIGITS = 8
_SAME_LENGTH = 0.8  # of the keys, those with as many digits as the longest
_RANDOM_GCD = 9  # keys are not rounded
_FEW_LEVELS = 1_000  # of long whole numbers: these are codes
_KEYS = frozenset(
    {"id", "ids", "ssn", "card", "phone", "tel", "telephone", "mobile", "account", "acct", "passport", "key"}
)
_KEYS |= frozenset({"iban", "ean", "isbn", "npi", "uuid", "guid", "uid", "no", "nr", "customer", "patient", "policy"})


def all_differ(values: pa.ChunkedArray, distinct: int) -> bool:
    """Whether the values (of strings: nearly all, names repeat now and then) differ, in a table of some rows."""
    text = is_string(values.type)
    share, fewest = (STRING_IDENTIFIER_SHARE, _FEWEST_TEXTS) if text else (1.0, MIN_IDENTIFIER_ROWS)
    return distinct >= fewest and distinct >= share * (len(values) - values.null_count)


def text_key(name: str, values: pa.ChunkedArray, different: pa.Array) -> str | None:
    """What makes a column of strings an identifier, whatever the size of the table: what it names persons by.

    `different`: the values (n,) without repeats.
    """
    return names_persons(different.to_pylist(), name, len(values) - values.null_count)


def whole_key(name: str, values: pa.ChunkedArray, numbers: np.ndarray, distinct: int) -> str | None:
    """What makes a column of whole numbers an identifier, in words; None for a quantity.

    `numbers`: the values (n,) as float64, nan where missing; `distinct`: how many differ.
    """
    present = numbers[~np.isnan(numbers)]
    differ = distinct == len(present)
    if differ and distinct >= MIN_IDENTIFIER_ROWS and len(present) == len(numbers) and _row_numbers(present):
        return "values differ"
    if distinct < _FEWEST_KEYS or (pa.types.is_decimal(values.type) and values.type.scale > 0):
        return None
    words = words_of(name)
    if differ and words and (words[-1] in _KEYS or words[0] == "id"):
        return "values differ, and the name is that of a key"
    if PHONES & set(words) and distinct >= len(present) // 2 and _key_like(present):
        return "values look like personal numbers"
    if np.abs(present).max() >= 10**12 and luhn(_digits(values)):
        return "values look like card numbers"
    return "values differ and have the digits of keys" if differ and _key_like(present) else None


def long_codes(values: pa.ChunkedArray, numbers: np.ndarray, distinct: int) -> bool:
    """Whether whole numbers beyond 2**53, which a model would change, are codes: few, or as long as keys are."""
    present = numbers[~np.isnan(numbers)]
    if not pa.types.is_integer(values.type) or np.abs(present).max() <= EXACT:
        return False
    return distinct <= _FEW_LEVELS or _key_like(present)


def _row_numbers(present: np.ndarray) -> bool:
    """Whether n differing whole numbers lie so densely that chance (uniform over their span) would have repeated one.

    That chance of no repeat is about exp(-n^2 / (2 span)); it must be under e^-10. Row numbers 1..n and keys drawn
    from a moderate range pass, a quantity spread over a wide range does not.
    """
    span = present.max() - present.min() + 1.0
    return bool(len(present) ** 2 / (2.0 * span) > 10.0)


def _key_like(present: np.ndarray) -> bool:
    """Whether most have as many digits as the longest, eight or more, and they are not rounded: so are keys that are
    given out, and quantities over a wide range are not."""
    sizes = np.abs(present)
    digits = np.floor(np.log10(np.maximum(sizes, 1.0))) + 1
    longest = digits.max()
    if longest < _KEY_DIGITS or (digits == longest).mean() < _SAME_LENGTH:
        return False
    if sizes.max() > EXACT:  # no gcd of what a float64 has rounded
        return True
    return bool(np.gcd.reduce(sizes.astype(np.int64)) <= _RANDOM_GCD)


def _digits(values: pa.ChunkedArray) -> list[str]:
    distinct = pc.unique(values.drop_null())
    whole = distinct.cast(pa.int64(), safe=False) if pa.types.is_floating(distinct.type) else distinct
    texts = [str(value) for value in whole[:: max(1, len(whole) // 400)].to_pylist()]
    return [text for text in texts if text.isdigit()]
