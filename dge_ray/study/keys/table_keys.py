"""The keys that say how a table is read."""

import codecs
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dge_ray.options import listed

if TYPE_CHECKING:
    from dge_ray.table.reading.options import Reading

SIGNS = {"tab": "\t", "\\t": "\t", "space": " ", "nbsp": "\u00a0", "narrow_nbsp": "\u202f", "comma": ","}
SIGNS |= {"semicolon": ";", "bar": "|", "point": ".", "dot": ".", "apostrophe": "'"}


def name_text(value: Any) -> Any:
    """A name that YAML, or Python, took for a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _sign(value: Any) -> Any:
    """A sign, or its name."""
    text = SIGNS.get(value, value) if isinstance(value, str) else value
    if not isinstance(text, str) or len(text) != 1 or ord(text) > 0xFFFF or text in '"\r\n':
        raise ValueError("no single sign")
    return text


def _one_byte(sign: str) -> str:
    if not sign.isascii():
        raise ValueError("no sign of one byte")
    return sign


def _encoding(name: str) -> str:
    """Python's own name of the encoding."""
    try:
        found = codecs.lookup(name)
        "".encode(name)  # base64 and the like encode no text
    except (LookupError, ValueError):
        raise ValueError("no encoding") from None
    return {"utf_8": "utf-8", "utf-8-sig": "utf-8", "iso8859-1": "latin-1"}.get(found.name, found.name)


def _line(value: Any) -> Any:
    if value is False or str(value) in ("0", "None", "NONE"):  # `no` is false to YAML
        return "none"
    if value is True:
        raise ValueError("a truth value")
    return value


def _texts(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        return (value,)
    return [str(item) for item in listed(value)]


class CsvKeys(BaseModel):
    """How a CSV is written; what is not said is found from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: Annotated[str, BeforeValidator(_sign), AfterValidator(_one_byte)] | None = Field(
        default=None, description="one sign, in quotes, or tab, comma, semicolon, bar or space (between cells)"
    )
    decimal: Annotated[Literal[".", ","], BeforeValidator(_sign)] | None = Field(
        default=None, description="comma or point (before the decimals of numbers)"
    )
    thousands: Annotated[str, BeforeValidator(_sign)] | None = Field(
        default=None,
        description="one sign, or comma, point, space, nbsp or apostrophe (between the thousands of numbers)",
    )
    encoding: Annotated[str, AfterValidator(_encoding)] | None = Field(
        default=None, description="an encoding of Python's, as utf-8, utf-16 or cp1252"
    )
    header: Annotated[Annotated[int, Field(ge=1)] | Literal["none"], BeforeValidator(_line)] | None = Field(
        default=None, description="the number of the line with the names, from 1, or none (without names)"
    )
    null_values: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field(
        default=(), description="cells that are missing, beside the empty ones, as [-9,unknown]"
    )
    comment: Annotated[str, Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="what a line begins with that is no row, as '#'"
    )
    dates: Literal["day_first", "month_first"] | None = Field(
        default=None, description="day_first or month_first (what 03/04/2020 is, where a column does not tell)"
    )


Infinite = Annotated[
    Literal["missing"] | None,
    Field(description="missing (infinite values become missing; otherwise they are refused)"),
]
RareClasses = Annotated[
    Literal["merge", "drop"] | None,
    Field(description="merge or drop (classes of the target with too few rows for every part, as one or not at all)"),
]
Identities = Annotated[
    Literal["find", "none"],
    Field(
        description="find or none (columns that others tell in every train row, as a sum or what a category tells, are "
        "computed in synthetic rows and not modelled; nothing is looked for in private studies)"
    ),
]
Query = Annotated[
    str | None,
    Field(min_length=1, description="with a database's URL as the source: a select, best with an order by"),
]
TableName = Annotated[
    str | None, Field(min_length=1, description="with a database's URL as the source: a table or view, as schema.name")
]
Sheet = Annotated[str | None, Field(min_length=1, description="with an .xlsx file: the sheet (the first if not given)")]
GroupColumn = Annotated[
    str | None,
    BeforeValidator(name_text),
    Field(description="the name of a column of persons, households or days, whose rows stay in one part (no feature)"),
]
KeepGroupColumn = Annotated[bool, Field(description="true or false (the group column stays a feature)")]
TimeColumn = Annotated[
    str | None,
    BeforeValidator(name_text),
    Field(description="the name of a column of dates or numbers: the latest rows are test, those before validation"),
]


def reading_of(csv: CsvKeys, query: str | None = None, table: str | None = None, sheet: str | None = None) -> "Reading":
    """What the keys say of a source."""
    from dge_ray.table.reading.options import Reading  # here: help needs no Arrow

    return Reading(**csv.model_dump(), query=query, table=table, sheet=sheet)
