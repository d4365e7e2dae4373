"""Texts as numbers: signs, brackets, currencies, units, thousands, and a decimal comma by the column's own evidence."""

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.affixes import present, read_affixes
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.plain import grouped_by_points, is_otherwise
from dge_ray.table.types.words import CURRENCIES, one_of, trimmed_text

GROUPS = "thousands separators taken out"
_FEWEST_OF_CODE = 7  # digits in groups: 555 1234
TELLING = 0.05  # of numbers as 1,234 and 1.234, others that tell what the sign is; of three decimals 10 % are shorter
_LONGEST_WHOLE = 18  # digits that an int64 holds
_BOUND = r"^(?:<|>|≤|≥|&[lg]t;)=?\s*"
_ABOUT = r"^[~≈]\s*"
_PARTS = (
    r"^(?P<open>\()?\s*(?P<sign>[+-]?)\s*(?P<before>[^\d\s.,()+\-<>='%]{0,4}\.?)\s*(?P<inner>[+-]?)\s*"
    r"(?P<digits>[.,]?\d(?:[\d.,']|[ _]\d)*)(?P<power>[eE][+-]?\d{1,3})?\s*"
    r"(?P<behind>(?:[^\d\s.,()+\-<>=][^()<>=]{0,11})?)(?P<close>\))?(?P<trailing>-)?$"
)
_GROUPED_POINT = (
    r"^\d{1,3}(?:,\d{3})+(?:\.\d*)?$|^\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?$"  # 1,234.5, and 12,34,567 of India
)
_GROUPED_COMMA = r"^\d{1,3}(?:\.\d{3})+(?:,\d*)?$"
_GROUPED_OTHER = r"^\d{1,3}(?:[ '_]\d{3})+(?:[.,]\d*)?$"


def parse_numbers(texts: pa.Array, *, decimal: str = ".", thousands: str | None = None) -> Parsed:
    """Different texts (n,) as int64 where all are whole, else as double. Bounds as '<0.5' are read as the bound.

    `decimal`, `thousands`: how the table writes numbers, where the column's own values do not say.
    """
    trimmed = trimmed_text(texts)
    bounds = np.asarray(pc.match_substring_regex(trimmed, _BOUND))
    body = pc.replace_substring_regex(trimmed, _BOUND, "") if bounds.any() else trimmed
    body, more_notes = _as_bare(body)
    parts = pc.extract_regex(body, _PARTS)
    part = {field.name: pc.fill_null(pc.struct_field(parts, [field.name]), "") for field in parts.type}
    valid = np.asarray(parts.is_valid()) & (present(part["open"]) == present(part["close"]))
    valid &= ~(present(part["sign"]) & present(part["inner"]))
    affixes = read_affixes(part["before"], part["behind"], valid)
    digits, spaced = _without_groups(part["digits"], affixes.known)
    valid = affixes.known & _written_well(digits)
    clean, point_notes = _points(digits, valid, decimal, thousands, present(part["power"]))
    negative = np.asarray(pc.equal(part["sign"], "-")) | np.asarray(pc.equal(part["inner"], "-"))
    negative ^= present(part["open"]) ^ present(part["trailing"])
    whole = ~np.asarray(pc.match_substring(clean, ".")) & ~present(part["power"]) & (affixes.powers == 0)
    notes = dict.fromkeys((*more_notes, *affixes.taken, *((GROUPS,) if spaced else ()), *point_notes))
    if (present(part["open"]) & valid).any():
        notes["brackets read as minus"] = None
    if (present(part["trailing"]) & valid).any():
        notes["minus behind"] = None
    bare = ~(negative | bounds | present(part["before"]) | present(part["behind"]))
    codes = _codes(texts, part["digits"], clean, valid, spaced, whole & bare)
    powers = part["power"]
    if affixes.powers.any():
        magnitudes = pa.array([f"e{power}" if power else "" for power in affixes.powers.tolist()], texts.type)
        powers = pc.if_else(pa.array(affixes.powers > 0), magnitudes, powers)
    minus = pa.array(np.where(negative, "-", "")).cast(texts.type)
    signed = pc.binary_join_element_wise(minus, clean, powers, pa.scalar("", texts.type))
    signed = pc.if_else(pa.array(valid), signed, pa.scalar(None, texts.type))
    longest = pc.max(pc.utf8_length(clean.filter(pa.array(valid)))).as_py() or 0
    values = signed.cast(pa.int64() if whole[valid].all() and longest <= _LONGEST_WHOLE else pa.float64())
    return Parsed("number", values, bounds & valid, tuple(notes), codes)


def _as_bare(texts: pa.Array) -> tuple[pa.Array, tuple[str, ...]]:
    """The texts without the sign of what is about so (~5), and 0 for an amount of nothing ('$ -', as in accounts)."""
    notes: list[str] = []
    about = pc.match_substring_regex(texts, _ABOUT)
    if pc.any(about).as_py():
        texts = pc.replace_substring_regex(texts, _ABOUT, "")
        notes.append("'~' taken off")
    around = pc.replace_substring_regex(pc.utf8_lower(texts), r"\s*[-–—]+\s*", "")
    nothing = pc.is_in(around, value_set=one_of(CURRENCIES, texts.type))
    nothing = pc.and_(nothing, pc.match_substring_regex(texts, "[-–—]"))
    if pc.any(nothing).as_py():
        texts = pc.if_else(nothing, "0", texts)
        notes.append("a currency and a dash read as 0")
    return texts, tuple(notes)


def _without_groups(digits: pa.Array, valid: np.ndarray) -> tuple[pa.Array, bool]:
    """The digits without spaces, apostrophes and underscores between groups of three, and whether there were any."""
    spaced = np.asarray(pc.match_substring_regex(digits, _GROUPED_OTHER))
    if not (spaced & valid).any():
        return digits, False
    joined = pc.replace_substring_regex(digits, "[ '_]", "")
    return pc.if_else(pa.array(spaced), joined, digits), True


def _written_well(digits: pa.Array) -> np.ndarray:
    """Whether these are digits with at most one decimal sign, or with groups of three."""
    patterns = (r"^\d*[.,]?\d*$", _GROUPED_POINT, _GROUPED_COMMA)
    return np.logical_or.reduce([np.asarray(pc.match_substring_regex(digits, pattern)) for pattern in patterns])


def _points(
    digits: pa.Array, valid: np.ndarray, decimal: str, thousands: str | None, powered: np.ndarray
) -> tuple[pa.Array, tuple[str, ...]]:
    """The digits with a decimal point and without groups: each by its own evidence, or else by that of the column."""
    commas, points = np.asarray(pc.count_substring(digits, ",")), np.asarray(pc.count_substring(digits, "."))
    usual = not (commas[valid].any() or (points[valid] > 1).any())
    if usual and decimal != "," and grouped_by_points(digits.filter(pa.array(valid))):
        decimal = ","
    if usual and (decimal != "," or not points[valid].any()):
        return digits, ()
    # 1,234: a group or decimals; decimals in 1,234e5.
    three = np.asarray(pc.match_substring_regex(digits, r"^[1-9]\d{0,2}[.,]\d{3}$")) & ~powered
    last_comma = np.asarray(pc.match_substring_regex(digits, r"\..*,"))
    last_point = np.asarray(pc.match_substring_regex(digits, r",.*\."))
    by_comma = last_comma | (points > 1) | ((commas == 1) & (points == 0) & ~three)
    by_point = last_point | (commas > 1) | ((points == 1) & (commas == 0) & ~three)
    votes = int((by_comma & valid).sum()), int((by_point & valid).sum())
    note: tuple[str, ...] = ()
    groups = int((three & valid & (commas == 1)).sum()), int((three & valid & (points == 1)).sum())
    if 0 < sum(votes) < TELLING * sum(groups):  # slips among groups, unless they are groups of groups themselves
        sure = int((valid & (last_comma | (points > 1))).sum()), int((valid & (last_point | (commas > 1))).sum())
        comma = sure[0] > sure[1] if sure[0] != sure[1] else decimal == "," or groups[1] > groups[0]
    elif votes[0] != votes[1]:
        comma = votes[0] > votes[1]
    elif not any(votes) and groups[0] and not groups[1]:
        # 1,234 and nothing that tells: groups, unless a number of four digits without one contradicts.
        bare = np.asarray(pc.match_substring_regex(digits, r"^\d{4,}$")) & valid
        comma = (decimal == "," or bool(bare.any())) and thousands != ","
        note = (f"1,234 taken for {'a decimal' if comma else 'a thousand'}; {_otherwise(comma)}",)
        note = note if decimal != "," else ()
    else:
        comma = decimal == ","
    if all(votes):
        note = (f"{votes[0]:,} have a decimal comma and {votes[1]:,} a decimal point",)
    use_comma = (by_comma | (three & comma)) & ~by_point
    clean = pc.if_else(
        pa.array(use_comma),
        pc.replace_substring(pc.replace_substring(digits, ".", ""), ",", "."),
        pc.replace_substring(digits, ",", ""),
    )
    if comma and decimal != "," and not all(votes):
        note += ("decimal comma",)
    if votes[1] and not votes[0] and decimal == ",":
        note += ("a decimal point, unlike the table's others",)
    grouped = valid & np.where(use_comma, points > 0, commas > 0)
    return clean, (*((GROUPS,) if grouped.any() else ()), *note)


def _otherwise(comma: bool) -> str:
    return f"{advice('csv.thousands' if comma else 'csv.decimal', 'comma')} takes it for the other"


def _codes(
    texts: pa.Array, written: pa.Array, clean: pa.Array, valid: np.ndarray, spaced: bool, bare: np.ndarray
) -> bool:
    """Whether these are codes: such as 12E4, or bare whole numbers of which some begin with a zero (02134), groups of
    digits, as many in each (telephones, cards), or as many digits in each as no whole number holds."""
    if not valid.any() or not bare[valid].all():
        return bool(valid.all()) and is_otherwise(texts)
    if (np.asarray(pc.match_substring_regex(written, r"^0\d")) & valid).any():
        return True
    lengths = np.asarray(pc.utf8_length(clean))[valid]
    grouped = spaced or not np.asarray(pc.match_substring_regex(written, r"^\d+$"))[valid].any()
    least = _FEWEST_OF_CODE if grouped else _LONGEST_WHOLE + 1
    return bool(len(lengths) > 1 and lengths.min() == lengths.max() >= least)
