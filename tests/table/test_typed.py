"""Columns of text in their types: well-formed ones against pyarrow's CSV reader, repaired ones against hand-written
values, and, by hypothesis, any style of writing with a share of odd values against the numbers that were written."""

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from dge_ray.errors import InputError
from dge_ray.table.types import typed

DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=17 * i) for i in range(30)]


def read(texts: Sequence[str | None], **how: Any) -> tuple[pa.ChunkedArray, Any]:
    table, repairs = typed(pa.table({"x": pa.array(texts, pa.string())}), **how)
    return table["x"], repairs.get("x")


def values(texts: Sequence[str | None], **how: Any) -> list[Any]:
    return read(texts, **how)[0].to_pylist()


@pytest.mark.parametrize(
    "texts",
    [
        ["1", " 2 ", "-3"],
        ["1", "NA", "3"],
        ["+5", "6"],
        ["1.5", " 2", "nan"],
        ["1e3", "2."],
        ["inf", "-inf", "1e400"],
        ["true", "False", "NA"],
        ["1", "true"],
        ["t", "f"],
        ["2020-01-01", " 2020-01-02", "NULL"],
        ["2020-01-01 10:00", "2020-01-01T10:00:01"],
        ["2020-01-01", "2020-01-01 10:00"],
        ["2020-01-01T10:00:00Z", "2020-01-01T11:00:00+02:00"],
        ["2020-01-01 10:00:00.5", "2020-01-01"],
        ["1555-01-01 00:00:00", "2020-01-01"],
        ["9223372036854775807", "1"],
        ["99999999999999999999", "1"],
        ["NA", "NA"],
        ["NA", "BW", "null"],
        ["a", "-", "b"],
        ["yes", "no", "yes"],
        ["Größe", "ß"],
        ["2019", "2020"],
    ],
)
def test_plain_text_is_what_pyarrow_reads(texts: list[str]) -> None:
    file = io.BytesIO(("x,y\n" + "".join(f"{text},1\n" for text in texts)).encode())
    expected = csv.read_csv(file, convert_options=csv.ConvertOptions(strings_can_be_null=False))["x"]
    found, repair = read(list(texts))
    assert found.type == expected.type
    assert found.combine_chunks().equals(expected.combine_chunks())
    assert repair is None


@pytest.mark.parametrize(
    "mark", ["?", "-", ".", " ", "n/a", "NaN", "None", "unknown", "<NA>", "N.A.", "—", "#N/A", "NULL"]
)
def test_marks_of_missing_values(mark: str) -> None:
    """At 3 % and at 40 %: the column is of numbers, the marks are missing, and told with their count."""
    for marked in (3, 40):
        texts = [f"{i * 1.5}" for i in range(100 - marked)] + [mark] * marked
        column, repair = read(texts)
        assert column.type == pa.float64() and column.null_count == marked
        assert column.to_pylist()[:3] == [0.0, 1.5, 3.0]
        if repair is None:  # pyarrow knows the mark too
            assert mark in ("n/a", "NaN", "#N/A", "NULL")
        else:
            assert repair.missing == {mark: marked} and repair.share == marked / 100
            assert repr(mark) in repair.text() and str(marked) in repair.text()


def test_odd_values_that_occur_once_are_counted_and_not_shown() -> None:
    _, repair = read([str(i) for i in range(98)] + ["a.smith told me", "?"])
    assert repair.missing == {"a.smith told me": 1, "?": 1}
    assert "smith" not in repair.text() and "others 1" in repair.text() and "'?' 1" in repair.text()


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["$1,234.50", "$12", "($5.00)", "-$3"], [1234.5, 12, -5, -3]),
        (["1.234,50 €", "12,00 €", "7,5 €"], [1234.5, 12, 7.5]),
        (["EUR 5", "EUR 7.25"], [5, 7.25]),
        (["12 kg", "7 kg", "9.5 kg"], [12, 7, 9.5]),
        (["98.6°F", "99°F"], [98.6, 99]),
        (["12%", "7.5 %", "0%"], [12, 7.5, 0]),
        (["1,234", "5,678,901", "12"], [1234, 5678901, 12]),
        (["12,34,567", "1,00,000"], [1234567, 100000]),
        (["1 234,5", "12 345", "7"], [1234.5, 12345, 7]),
        (["1\u202f234,5", "7"], [1234.5, 7]),
        (["1'234.50", "99"], [1234.5, 99]),
        (["7,0", "28114,96", "0,5"], [7, 28114.96, 0.5]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["1,234.5", "1,234"], [1234.5, 1234]),
        (["\u22125", "3"], [-5, 3]),
        (["5-", "7"], [-5, 7]),
        (["1.5k", "900", "2M"], [1500, 900, 2000000]),
        (["1.5E+3", "2,5E2", "3,25"], [1500, 250, 3.25]),
    ],
)
def test_styles_of_numbers(texts: list[str], numbers: list[float]) -> None:
    column, repair = read(list(texts))
    assert column.to_pylist() == numbers
    assert repair is not None or texts[0].startswith("\u2212")


def test_a_decimal_comma_by_the_column_or_by_the_table() -> None:
    assert values(["1.234", "5.678"]) == [1.234, 5.678]
    assert values(["1.234", "5.678"], decimal=",") == [1234, 5678]
    assert values(["1.5", "2.25"], decimal=",") == [1.5, 2.25]  # no thousands are written so
    thousands = [f"{i * 37:,}".replace(",", ".") for i in range(100)]
    column, repair = read(thousands)
    assert column.to_pylist() == [i * 37 for i in range(100)] and "thousands" in repair.note
    assert values(["?", *thousands])[1:] == [i * 37 for i in range(100)]
    assert values([f"{i / 1000 + 1:.3f}" for i in range(100)])[1] == 1.001  # three decimals in each
    assert values([f"{i * 0.037 + 1:.5g}" for i in range(100)])[1] == 1.037
    column, repair = read(["1,234", "5,678"])
    assert column.to_pylist() == [1234, 5678] and "csv.decimal" in repair.note
    assert values(["1,234", "5,678"], decimal=",") == [1.234, 5.678]


@pytest.mark.parametrize(
    "texts",
    [
        ["02134", "10001", "00501"],
        ["7", "007"],
        [" 12", " 07"],
        ["A12", "B7", "C9"],
        ["12A", "14B", "3C"],
        ["85123A", "85123", "71053"],
        ["+49 151 234 567", "+49 151 234 568"],
        ["4539 1488 0343 6467", "8273 1232 7352 0569"],
        ["192.168.1.1", "10.0.0.1"],
        ["1.2.3", "1.10.2"],
        ["3.11.10", "3.10.12", "3.9.18"],
        ["<18", "18-25", "26-64", "65+"],
        ["[0, 5)", "[5, 10)"],
        ["2020-2021", "2021-2022"],
        ["120/80", "130/80"],
        ["2003Q1", "2004Q1"],
        ["12 kg", "3 lb", "5 oz"],
        ["20210316072206913765", "20221201144351789423"],
        ["1", "2", "3", "U"] * 10,
        [*(str(536365 + i) for i in range(97)), "C536379", "C536383", "C536391"],
        ["low", "high", "?"],
        ["T1", "T2"],
        ["May", "June"],
    ],
)
def test_codes_and_words_stay_text(texts: list[str]) -> None:
    column, repair = read(list(texts))
    assert column.to_pylist() == texts and pa.types.is_string(column.type)
    assert repair is None or repair.kind == "text"


def test_half_numbers_stay_text_and_are_told() -> None:
    column, repair = read([str(i) for i in range(70)] + [f"see note {i}" for i in range(30)])
    assert (
        pa.types.is_string(column.type) and repair.kind == "text" and "70.0% of its values are numbers" in repair.note
    )


def test_censored_values_are_read_as_the_bound() -> None:
    column, repair = read([f"{i / 4 + 1}" for i in range(94)] + ["<0.5"] * 4 + [">= 90", "trace"])
    assert column.to_pylist()[-6:] == [0.5, 0.5, 0.5, 0.5, 90.0, None]
    assert repair.censored == {"<0.5": 4, ">= 90": 1} and repair.missing == {"trace": 1} and repair.share == 0.06


@pytest.mark.parametrize(
    ("style", "note"),
    [
        ("%m/%d/%Y", "month first"),
        ("%d.%m.%Y", "day first"),
        ("%d/%m/%Y", "day first"),
        ("%d-%m-%Y", "day first"),
        ("%Y/%m/%d", None),
        ("%Y.%m.%d", None),
        ("%d-%b-%Y", "months in words"),
        ("%d %B %Y", "months in words"),
        ("%B %d, %Y", "months in words"),
        ("%m/%d/%y", "month first"),
        ("%d.%m.%y", "day first"),
    ],
)
def test_dates(style: str, note: str | None) -> None:
    column, repair = read([day.strftime(style) for day in DAYS])
    assert column.type == pa.date32() and column.to_pylist() == DAYS
    assert repair.kind == "date" and (note is None or note in repair.note)


def test_dates_with_marks_and_impossible_ones() -> None:
    days = [day.isoformat() for day in DAYS]
    column, repair = read([*days, "NaT", "None", "0000-00-00", "2021-02-30"])
    assert column.type == pa.date32() and column.to_pylist() == [*DAYS, None, None, None, None]
    assert sum(repair.missing.values()) == 4


def test_days_and_months_that_nothing_tells_apart() -> None:
    column, repair = read(["03/04/2020", "05/06/2020"])
    assert column.to_pylist() == [dt.date(2020, 3, 4), dt.date(2020, 5, 6)] and "csv.dates=day_first" in repair.note
    column, repair = read(["03/04/2020", "05/06/2020"], dates="day_first")
    assert column.to_pylist() == [dt.date(2020, 4, 3), dt.date(2020, 6, 5)] and "csv.dates" in repair.note
    assert values(["13/02/2020", "01/02/2020"] * 8)[:2] == [dt.date(2020, 2, 13), dt.date(2020, 2, 1)]  # no unit
    assert values(["03.04.2020", "05.06.2020"]) == [dt.date(2020, 4, 3), dt.date(2020, 6, 5)]
    # two columns, each by its own evidence
    table, _ = typed(pa.table({"us": ["12/31/2020", "01/02/2020"], "uk": ["31/12/2020", "01/02/2020"]}))
    assert table["us"].to_pylist()[1] == dt.date(2020, 1, 2) and table["uk"].to_pylist()[1] == dt.date(2020, 2, 1)


def test_mixed_formats_of_dates() -> None:
    styles = ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y")
    column, repair = read([day.strftime(styles[i % 3]) for i, day in enumerate(DAYS)])
    assert column.to_pylist() == DAYS and repair.kind == "date"


def test_timestamps() -> None:
    moments = [dt.datetime(2020, 8, 22, 21, 47, 44) + dt.timedelta(hours=37 * i) for i in range(20)]
    assert values([m.strftime("%m/%d/%Y %I:%M:%S %p") for m in moments]) == moments
    column, _ = read([m.strftime("%d.%m.%Y %H:%M:%S") + ".250" for m in moments])
    assert column.type == pa.timestamp("ms") and column.to_pylist()[0] == moments[0].replace(microsecond=250_000)
    column, repair = read([m.strftime("%a, %d %b %Y %H:%M:%S +0200") for m in moments])
    assert column.type == pa.timestamp("s", "UTC") and column.to_pylist()[0].hour == 19 and "UTC" in repair.note


@pytest.mark.parametrize(
    ("texts", "dtype", "first"),
    [
        (["08:30", "23:59"], pa.time32("ms"), dt.time(8, 30)),
        (["8:30:15", "23:59:59.5"], pa.time32("ms"), dt.time(8, 30, 15)),
        (["8:30 AM", "11:05 pm"], pa.time32("ms"), dt.time(8, 30)),
        (["36:15:00", "01:00:00"], pa.duration("s"), dt.timedelta(hours=36, minutes=15)),
        (["1 days 02:03:04", "0 days 00:00:01.5"], pa.duration("ms"), dt.timedelta(days=1, seconds=7384)),
        (["-1 days +23:00:00", "0 days 00:05:00"], pa.duration("s"), -dt.timedelta(hours=1)),
        (["2h 30m", "45m"], pa.duration("s"), dt.timedelta(minutes=150)),
        (["PT1H30M", "P1DT2H"], pa.duration("s"), dt.timedelta(minutes=90)),
    ],
)
def test_times_and_durations(texts: list[str], dtype: pa.DataType, first: Any) -> None:
    column, _ = read(list(texts))
    assert column.type == dtype and column.to_pylist()[0] == first and not column.null_count


def test_truth_values_in_words() -> None:
    assert values(["true", "FALSE", "?", "None"]) == [True, False, None, None]
    column, repair = read(["Yes", "no", "YES", "n", "?"])
    assert column.to_pylist() == [True, False, True, False, None] and repair.missing == {"?": 1}
    assert values(["yes", "no", "yes"]) == ["yes", "no", "yes"]  # two words are two categories
    assert values(["yes", "no", "yes"], overrides={"x": "categorical"}) == ["yes", "no", "yes"]


def test_whole_numbers_that_are_dates() -> None:
    def dated(numbers: Any, name: str = "x") -> pa.DataType:
        return typed(pa.table({name: numbers}))[0][name].type

    days = [int(day.strftime("%Y%m%d")) for day in DAYS]
    table, repairs = typed(pa.table({"x": days}))
    assert table["x"].to_pylist() == DAYS and "year, month and day" in repairs["x"].note
    assert values([str(day) for day in days]) == DAYS
    assert typed(pa.table({"x": [*map(float, days), None]}))[0]["x"].to_pylist() == [*DAYS, None]
    table, repairs = typed(pa.table({"x": [*days, 0, 99999999]}))
    assert table["x"].to_pylist() == [*DAYS, None, None] and "2 of 0 or 99999999" in repairs["x"].note
    marked, repair = read([*map(str, days), "?"])
    assert marked.to_pylist() == [*DAYS, None] and repair.missing == {"?": 1} and repair.kind == "date"
    assert dated([*days, 20201341]) == pa.int64()  # an impossible one: no dates
    assert dated([20240320143000 + 100 * i for i in range(20)]) == pa.timestamp("s")
    seconds = 1_600_000_000 + np.arange(50) * 7_919_317
    assert dated(seconds, "created_at") == pa.timestamp("s")
    assert dated(seconds * 1000, "ts") == pa.timestamp("ms")
    assert dated(1_600_000_000 + np.arange(50) * 86_413) == pa.timestamp("s")  # within five years, as events are
    assert dated(1_000_000_000 + np.arange(50) * 20_000_003, "provider") == pa.int64()  # numbers given to people
    assert dated(1_600_000_000 + np.arange(50_000), "when") == pa.int64()  # one by one
    table, _ = typed(pa.table({"x": days}), overrides={"x": "integer"})
    assert table["x"].to_pylist() == days


def test_a_stored_column_of_few_texts_is_text() -> None:
    codes, many = [str(i % 4) for i in range(200)], [f"{i}.5" for i in range(200)]
    table, _ = typed(pa.table({"code": codes, "many": many}), stored=True)
    assert table["code"].to_pylist() == codes and table["many"].type == pa.float64()
    assert typed(pa.table({"code": codes}))[0]["code"].type == pa.int64()


STORED: dict[str, pa.Array] = {
    "int": pa.array([1, 0, None, 1]),
    "whole": pa.array([1.0, 0.0, None, 1.0]),
    "text": pa.array(["1", "0", None, "1"]),
    "padded": pa.array(["01", "00", None, "01"]),
    "marked": pa.array(["1", "0", "?", "1"]),
    "bool": pa.array([True, False, None, True]),
    "dictionary": pa.array(["1", "0", None, "1"]).dictionary_encode(),
    "decimal": pa.array([1, 0, None, 1]).cast(pa.decimal128(21, 2)),
}


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", ["numeric", "integer"])
def test_numbers_by_the_users_word(stored: str, kind: str) -> None:
    table, _ = typed(pa.table({"x": STORED[stored]}), overrides={"x": kind})
    assert [None if v is None else float(v) for v in table["x"].to_pylist()] == [1, 0, None, 1]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (["22032024", "13022024"], dt.date(2024, 3, 22)),
        (["20240322", "20240213"], dt.date(2024, 3, 22)),
        (["2024-03", "2024-04"], dt.date(2024, 3, 1)),
        ([20240322, 20240213], dt.date(2024, 3, 22)),
        ([1711065600, 1711152000], dt.datetime(2024, 3, 22)),
        (["22.03.2024", "?"], dt.date(2024, 3, 22)),
        (pa.array(["22.03.2024", None]).dictionary_encode(), dt.date(2024, 3, 22)),
        (["08:30", "09:15"], dt.time(8, 30)),
    ],
)
def test_dates_by_the_users_word(given_: Any, expected: Any) -> None:
    table, _ = typed(pa.table({"x": given_}), overrides={"x": {"kind": "datetime"}})
    assert table["x"].to_pylist()[0] == expected


@pytest.mark.parametrize(
    ("given_", "texts"),
    [
        ([1, None, 20], ["1", None, "20"]),
        ([1.0, None, 20.0], ["1", None, "20"]),
        ([0.5, None], ["0.5", None]),
        ([dt.date(2020, 1, 2), None], ["2020-01-02", None]),
        ([True, None], ["true", None]),
        (["02134", None], ["02134", None]),
    ],
)
def test_text_by_the_users_word(given_: list[Any], texts: list[Any]) -> None:
    assert typed(pa.table({"x": given_}), overrides={"x": "text"})[0]["x"].to_pylist() == texts


@pytest.mark.parametrize(
    ("given_", "kind", "message"),
    [
        (["1", "2", "a", "b", "c", "4"], "numeric", r"columns\.x: got numeric, which 3 rows \(3, 4, 5\) stand against"),
        ([1.0, 2.5, 3.0], "integer", r"columns\.x: got integer, which 1 row \(2\) stand"),
        (["1", "2.5"], "integer", r"which 1 row \(2\)"),
        (["low", "high"] * 10, "datetime", r"which 20 rows \(1, 2, 3, 4, 5, \.\.\.\)"),
        ([0.5, 1.5], "datetime", r"which 2 rows \(1, 2\)"),
        (["yes", "no", "perhaps"], "boolean", r"which 1 row \(3\)"),
    ],
)
def test_rows_that_stand_against_the_users_word(given_: list[Any], kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        typed(pa.table({"x": given_}), overrides={"x": kind})
    assert "perhaps" not in str(caught.value) and "\n" not in str(caught.value)


STYLES = {
    "plain": lambda v: f"{v:.2f}",
    "comma": lambda v: f"{v:.2f}".replace(".", ","),
    "thousands": lambda v: f"{v:,.2f}",
    "german": lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,")),
    "swiss": lambda v: f"{v:,.2f}".replace(",", "'"),
    "french": lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
    "dollars": lambda v: f"-${-v:,.2f}" if v < 0 else f"${v:,.2f}",
    "euros": lambda v: f"{v:.2f}".replace(".", ",") + " €",
    "brackets": lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}",
    "percent": lambda v: f"{v:.2f} %",
    "unit": lambda v: f"{v:.2f} mg/dL",
    "padded": lambda v: f"  {v:.2f} ",
}


@settings(deadline=None, max_examples=60)
@given(
    cents=st.lists(st.integers(-(10**8), 10**8), min_size=30, max_size=80),
    style=st.sampled_from(sorted(STYLES)),
    odd=st.lists(st.sampled_from(["?", "-", "n/a", " ", "unknown", "NaN", "nicht da"]), max_size=3),
    seed=st.integers(0, 9),
)
def test_numbers_in_any_style_come_back(cents: list[int], style: str, odd: list[str], seed: int) -> None:
    """Two decimals tell a comma from a thousand, so nothing is left to guess."""
    numbers = [value / 100 for value in cents]
    texts = [*map(STYLES[style], numbers), *odd]
    order = np.random.default_rng(seed).permutation(len(texts))
    column, repair = read([texts[i] for i in order])
    expected = [numbers[i] if i < len(numbers) else None for i in order]
    assert column.type == pa.float64() and column.to_pylist() == expected
    lost = {text for text in odd if text not in ("n/a", "NaN")}
    assert not lost or lost <= set(repair.missing)
