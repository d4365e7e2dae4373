"""Values into another type, each by itself: what becomes of one depends on no other, and none stops the rest."""

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.arrow.arrow_types import is_number, is_string, is_temporal, pc, plain, value_type
from dge_ray.table.reading.options import Reading


def cast_each(values: pa.ChunkedArray, dtype: pa.DataType, *, column: str) -> pa.ChunkedArray:
    """The values (n,) in this type (of strings, in large_string), null where a value is none of it.

    Text is read without the white space around it; "2.0" is a whole number, 2.0 as text is "2". `column`: its name.

    Raises:
        InputError: there is no way from the one type to the other, whatever the values.
    """
    flat, wanted = plain(values), value_type(dtype)
    wanted = pa.large_string() if is_string(wanted) else wanted
    try:
        if is_string(flat.type) and not is_string(wanted):
            flat = pc.utf8_trim_whitespace(flat)
        if pa.types.is_floating(flat.type) and is_string(wanted):
            return pc.coalesce(_each(_each(flat, pa.int64()), wanted), _each(flat, wanted))
        if is_string(flat.type) and pa.types.is_integer(wanted):
            return pc.coalesce(_each(flat, wanted), _each(_each(flat, pa.float64()), wanted))
        return _each(flat, wanted)
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"column '{column}'", f"type {values.type}", f"type {dtype}") from error


def cast_numbers(values: pa.ChunkedArray, dtype: pa.DataType, *, column: str) -> pa.ChunkedArray:
    """What a measured column of this type is measured by: float64, or the temporal type itself. As `cast_each`."""
    if is_temporal(value_type(dtype)):
        return cast_each(values, dtype, column=column)
    if is_number(value_type(values.type)):  # as the codec has it: beyond 2**53 to the nearest
        return plain(values).cast(pa.float64(), safe=False)
    return cast_each(values, pa.float64(), column=column)


def as_said(values: pa.ChunkedArray, dtype: pa.DataType, reading: Reading) -> pa.ChunkedArray:
    """Texts (n,) of numbers or dates in the signs and the order that `reading` says, each rewritten to those that casts
    know; null where a number has a point that is no sign of its. Other values, and texts of which nothing is said, as
    they are."""
    if not is_string(value_type(values.type)):
        return values
    if is_temporal(value_type(dtype)):
        if reading.dates is None:
            return values
        order = r"\3-\2-\1" if reading.dates == "day_first" else r"\3-\1-\2"
        padded = pc.replace_substring_regex(values, r"\b(\d)([/.-])", r"0\1\2")
        return pc.replace_substring_regex(padded, r"^\s*(\d\d)[/.-](\d\d)[/.-](\d{4})\b", order)
    if reading.thousands is not None:
        values = pc.replace_substring(values, reading.thousands, "")
    if reading.decimal == ",":
        values = pc.if_else(pc.match_substring(values, "."), pa.scalar(None, values.type), values)
        values = pc.replace_substring(values, ",", ".")
    return values


def _each(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if values.type == wanted:
        return values
    try:
        return values.cast(wanted)
    except pa.ArrowInvalid:
        coded = values.combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        return pa.chunked_array([_halves(coded.dictionary, wanted).take(coded.indices)])


def _halves(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Cast whole, or half by half: of n values of which k are none of the type, in about k log n casts."""
    try:
        return values.cast(wanted)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, wanted)
        half = len(values) // 2
        return pa.concat_arrays([_halves(values[:half], wanted), _halves(values[half:], wanted)])
