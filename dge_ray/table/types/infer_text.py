"""What a column of text is: read plainly, or value by value where nearly all values are of one type."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.booleans import parse_booleans
from dge_ray.table.types.clock import parse_durations, parse_times
from dge_ray.table.types.dates import parse_dates
from dge_ray.table.types.numbers import parse_numbers
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.repair import MOST_LISTED, Repair
from dge_ray.table.types.words import FALSE, MARKS, TRUE, is_mark

# Of ten columns that are numbers or dates to their owners 93 to 100 % of the values are so, of five of true text none.
SHARE = 0.9
HALF = 0.5  # from here to SHARE a column stays text, and is told
_SAMPLE = 200  # different values that are looked at before all of them are
_FEW_NUMBERS = 10  # with so few different whole numbers and a word beside them, words are codes too
_MOST_ODD = 20  # different odd values; or a tenth of the different good ones
_SIGNS = {
    "number": re.compile(r"\d"),
    "date": re.compile(
        r"\d(?:st|nd|rd|th)?[-/. 年]+\w+[-/. ,月]+\d|\d[^\W\d]{3}\d\d|\d{4}-\d\d-\d\d_"
        r"|[^\W\d]{3}.*\d.*\d{4}|^\s*\d{8}[T ]\d{4}"
        r"|^\s*(?:\d{4}[-/]\d\d?|\d\d?[-/.]\d{4}|[^\W\d]{3,10}\.?[-/ ,]+\d{4})\s*$"
    ),
    "time": re.compile(r"\d[:h]\d\d"),
    "duration": re.compile(r"\d[:h]\d\d|\d\s*(?:d|h|m|s)|P.*\d", re.IGNORECASE),
}
_POINTED_MONTH = re.compile(r"\s*(?:0[1-9]|1[0-2])\.(?:19|20)\d\d\s*")  # 03.2024, which is no number
_PERIOD = re.compile(
    r"\s*(?:(?:19|20)\d\d[-/ ]?[QW]\d\d?(?:-[1-7])?|[QW]\d\d?[-/ ]?(?:19|20)\d\d"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[-/ '’]+\d\d"
    r"|\d\d[-/ '’]+(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?)\s*",
    re.IGNORECASE,
)
_CODE = r"^[A-Za-z]{1,4}[- ]?\d{3,}$|^\d{3,}[- ]?[A-Za-z]{1,2}$"  # C536379, 85123A


@dataclass(frozen=True)
class Writing:
    """How a table writes numbers and dates, where a column does not say: see `typed`."""

    decimal: str = "."
    thousands: str | None = None
    dates: str | None = None


@dataclass(frozen=True)
class Distinct:
    """A column's different texts (n,), how often each stands, which mark a missing value, and each row's text."""

    texts: pa.Array
    counts: np.ndarray
    marks: np.ndarray
    rows: pa.Array  # indices into texts, null where nothing stands

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Distinct":
        """Of a column of strings; blank ones are marks."""
        coded = column.combine_chunks()
        coded = (coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded).dictionary_encode()
        texts = coded.dictionary.cast(pa.large_string())
        counts = np.bincount(coded.indices.drop_null().to_numpy(), minlength=len(texts))
        return cls(texts, counts, np.asarray(is_mark(texts)), coded.indices)

    def sampled(self) -> "Distinct":
        """Evenly spaced texts, at most _SAMPLE of them that are no marks."""
        words = np.flatnonzero(~self.marks)
        taken = words[np.linspace(0, len(words) - 1, min(len(words), _SAMPLE)).astype(np.int64)]
        return Distinct(self.texts.take(pa.array(taken)), self.counts[taken], self.marks[taken], self.rows[:0])

    def spread(self, values: pa.Array) -> pa.ChunkedArray:
        """A value for each text as one for each row."""
        return pa.chunked_array([values.take(self.rows)])


def may_be_more(looked: Sequence[str | None]) -> bool:
    """Whether some of a column's values leave it open that it is more than words: half of them have digits, or all are
    words of truth."""
    words = [text for text in set(looked) if text is not None and text.strip().lower() not in MARKS]
    if not words:
        return True
    digits = sum(any(map(str.isdigit, text)) for text in words)
    truths = len(words) <= _FEW_NUMBERS and {text.strip().lower() for text in words} <= TRUE | FALSE
    return digits >= HALF * len(words) or truths


def _shaped(sample: "Distinct", kind: str) -> bool:
    """Whether half of the sample's texts have the signs of a kind: regular expressions of all formats cost more."""
    signs = _SIGNS[kind]
    return sum(signs.search(str(text)) is not None for text in sample.texts.to_pylist()) >= HALF * len(sample.texts)


def _all_but_few(sample: "Distinct", pattern: re.Pattern[str]) -> bool:
    texts = sample.texts.to_pylist()
    return sum(pattern.fullmatch(str(text)) is not None for text in texts) >= SHARE * len(texts)


def read_words(distinct: Distinct, writing: Writing) -> tuple[Parsed | None, Repair | None]:
    """What the texts are, and how that is told; None where they stay text, with a word on it where half are numbers."""
    if distinct.marks.all():
        return None, None
    sample = distinct.sampled()
    if parsed := _truths(distinct, sample):
        return parsed, repair_of(distinct, parsed, writing)
    kinds = ("number", "date", "time", "duration")
    if _all_but_few(sample, _POINTED_MONTH):
        kinds = ("date",)
    for kind in kinds:
        if not _shaped(sample, kind) or share_of(sample, parse(sample, kind, writing)) < HALF:
            continue
        parsed = parse(distinct, kind, writing)
        share = share_of(distinct, parsed)
        if parsed.codes:
            return None, None
        if share >= SHARE and _few_odd(distinct, parsed):
            return parsed, repair_of(distinct, parsed, writing)
        if share >= HALF and kind in ("number", "date") and parsed.valid.sum() > _FEW_NUMBERS:
            good = f"{share:.1%} of its values are {kind}s"
            return None, Repair("text", note=f"{good}, the others are too many or look like codes: it stays text")
    if _all_but_few(sample, _PERIOD):
        note = (
            "its values look like months, quarters or weeks: they stay text; of the kind datetime they are first days"
        )
        return None, Repair("text", note=note)
    return None, None


def parse(distinct: Distinct, kind: str, writing: Writing) -> Parsed:
    """The texts read as a kind."""
    texts = distinct.texts
    if kind == "number":
        return parse_numbers(texts, decimal=writing.decimal, thousands=writing.thousands)
    if kind == "date":
        return parse_dates(texts, distinct.counts, dates=writing.dates)
    if kind == "boolean":
        return parse_booleans(texts)
    return parse_times(texts) if kind == "time" else parse_durations(texts)


def share_of(distinct: Distinct, parsed: Parsed) -> float:
    """Of the values that are no marks, those that were read; 0 where most of these are bounds of others."""
    good, rest = distinct.counts[parsed.valid].sum(), distinct.counts[~distinct.marks | parsed.valid].sum()
    bounds = distinct.counts[parsed.bounds].sum()
    return float(good / rest) if rest and (good > 2 * bounds or not bounds) else 0.0


def _truths(distinct: Distinct, sample: Distinct) -> Parsed | None:
    """Words of true and false in more spellings than two, or `true` and `false` beside marks. Two words alone are two
    categories, and keep how they are written."""
    if len(sample.texts) > _FEW_NUMBERS:
        return None
    parsed = parse(distinct, "boolean", Writing())
    if not parsed.valid[~distinct.marks].all() or not distinct.marks.size:
        return None
    words = {str(text).strip().lower() for text in distinct.texts.filter(pa.array(parsed.valid)).to_pylist()}
    if words <= TRUE or words <= FALSE:  # beside what marks a missing value: a category of its own
        return None
    plain = words <= {"true", "false"}
    return parsed if plain or (parsed.valid.sum() > 2 and len(words & {"1", "0"}) < 2) else None


def _few_odd(distinct: Distinct, parsed: Parsed) -> bool:
    """Whether what was not read is the exception: few different values, and none of them a code beside codes."""
    odd = ~parsed.valid & ~distinct.marks
    if not odd.any():
        return True
    if odd.sum() > max(_MOST_ODD, parsed.valid.sum() // 10):
        return False
    if parsed.kind != "number" or parsed.notes or not pa.types.is_integer(parsed.values.type):
        return True
    codes = pc.match_substring_regex(distinct.texts.filter(pa.array(odd)), _CODE)
    return int(parsed.valid.sum()) > _FEW_NUMBERS and (pc.sum(codes).as_py() or 0) < 2


def repair_of(distinct: Distinct, parsed: Parsed, writing: Writing) -> Repair | None:
    """What is told of a reading; nothing where the table's own writing says all of it."""
    gone = ~parsed.valid
    notes = parsed.notes
    if parsed.kind == "number" and writing.decimal == ",":
        notes = tuple(note for note in notes if note != "thousands separators taken out")
    if not gone.any() and not parsed.bounds.any() and not notes and parsed.kind in ("number", "time", "duration"):
        return None
    changed = distinct.counts[gone].sum() + distinct.counts[parsed.bounds].sum()
    missing, others = _counted(distinct, gone)
    return Repair(
        parsed.kind, missing, _counted(distinct, parsed.bounds)[0], float(changed / distinct.counts.sum()),
        ", ".join(notes), others,
    )  # fmt: skip


def _counted(distinct: Distinct, which: np.ndarray) -> tuple[dict[str, int], int]:
    """The most common of some texts with their counts, and how many values are left."""
    places = np.flatnonzero(which)
    places = places[np.argsort(-distinct.counts[places], kind="stable")]
    listed = {str(distinct.texts[i].as_py()): int(distinct.counts[i]) for i in places[:MOST_LISTED].tolist()}
    return listed, int(distinct.counts[places[MOST_LISTED:]].sum())
