"""Words that stand for something else: for a missing value, for true and false, for a unit of money or measure."""

from functools import cache

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc

# What pyarrow's reader of CSV takes for missing in a column of numbers, dates or truth values.
CSV_NULLS = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA", "NULL"}
    | {"NaN", "n/a", "nan", "null"}
)
# Marks of a missing value among numbers and dates, in lower case. In a column of words they stay words.
MARKS = frozenset(
    {word.lower() for word in CSV_NULLS}
    | {
        "?",
        "??",
        "???",
        "-",
        "--",
        "---",
        "–",
        "—",
        ".",
        "..",
        "...",
        "…",
        "*",
        "**",
        "/",
        "\\",
        "\\n",
        "x",
        "xx",
        "xxx",
    }
    | {"<na>", "<null>", "<none>", "(null)", "[null]", "(blank)", "(empty)", "blank", "empty", "nil", "none", "nat"}
    | {"n.a.", "n.a", "n. a.", "n/a.", "na.", "n.d.", "n/d", "nd", "n.r.", "n/r", "nr", "k.a.", "k. a.", "s.d."}
    | {"missing", "unknown", "unkn", "unk", "undefined", "unspecified", "undisclosed", "not available", "not known"}
    | {"not applicable", "not reported", "not recorded", "not measured", "not done", "not stated", "no data", "nodata"}
    | {"refused", "withheld", "suppressed", "confidential", "pending", "tbd", "tba", "trace", "traces", "error", "void"}
    | {"#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!", "unbekannt", "fehlt", "keine angabe", "inconnu"}
    | {"desconocido", "sconosciuto", "onbekend", "nul", "n.b.", "no value", "no answer", "none given", "other/unknown"}
)
_OTHER_FIGURES = ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "０１２３４５６７８９")
_ZERO_DATE = r"^0{2,4}[-./]0{2}[-./]0{2,4}([ T]0{1,2}:00(:00)?(\.0+)?)?$"
TRUE = frozenset({"true", "t", "yes", "y", "on", "1", "ja", "j", "oui", "si", "sí", "wahr", "vrai"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0", "nein", "non", "falsch", "faux"})

CURRENCIES = frozenset(
    set("$€£¥₹₽₩₺₫฿₴₪₦₱¢")
    | {
        "us$",
        "u$s",
        "a$",
        "au$",
        "c$",
        "ca$",
        "nz$",
        "hk$",
        "s$",
        "r$",
        "nt$",
        "kr",
        "kr.",
        "rs",
        "rs.",
        "zł",
        "kč",
        "ft",
    }
    | {"usd", "eur", "gbp", "jpy", "chf", "cad", "aud", "nzd", "cny", "rmb", "inr", "brl", "mxn", "sek", "nok", "dkk"}
    | {"pln", "czk", "huf", "rub", "try", "krw", "zar", "sgd", "hkd", "thb", "idr", "myr", "php", "ils", "aed", "sar"}
    | {"fr.", "sfr.", "eur.", "euro", "euros", "dollar", "dollars"}
)
# Units that are taken off wherever they are; other words behind a number, only where one of them stands at nearly all.
UNITS = frozenset(
    {"%", "‰", "kg", "g", "mg", "µg", "ug", "ng", "t", "lb", "lbs", "oz", "st", "km", "m", "cm", "mm", "µm", "nm", "mi"}
    | {"ft", "in", "inch", "yd", "mile", "miles", "l", "ml", "dl", "cl", "µl", "gal", "m2", "m²", "m3", "m³", "cm2"}
    | {"cm²", "cm3", "cm³", "km2", "km²", "ha", "sqft", "sq ft", "sq m", "sqm", "ft²", "ft2", "km/h", "kmh", "kph"}
    | {"mph", "m/s", "rpm", "bpm", "hz", "khz", "mhz", "ghz", "w", "kw", "mw", "kwh", "wh", "mwh", "v", "mv", "kv", "a"}
    | {"ma", "mah", "j", "kj", "kcal", "cal", "n", "pa", "hpa", "kpa", "bar", "mbar", "psi", "mmhg", "mm hg", "°", "°c"}
    | {"°f", "ºc", "ºf", "k", "hp", "ps", "cc", "bhp", "kmpl", "km/kg", "mpg", "nm", "b", "kb", "mb", "gb", "tb", "kib"}
    | {
        "mib",
        "gib",
        "tib",
        "bit",
        "bits",
        "byte",
        "bytes",
        "kbps",
        "mbps",
        "gbps",
        "px",
        "dpi",
        "mp",
        "s",
        "sec",
        "secs",
    }
    | {
        "second",
        "seconds",
        "ms",
        "µs",
        "us",
        "ns",
        "min",
        "mins",
        "minute",
        "minutes",
        "h",
        "hr",
        "hrs",
        "hour",
        "hours",
    }
    | {"d", "day", "days", "wk", "week", "weeks", "mo", "month", "months", "y", "yr", "yrs", "year", "years", "mg/dl"}
    | {
        "mg/l",
        "g/dl",
        "g/l",
        "µg/l",
        "ug/l",
        "ng/ml",
        "mmol/l",
        "µmol/l",
        "umol/l",
        "miu/l",
        "iu/l",
        "u/l",
        "iu",
        "ppm",
    }
    | {
        "ppb",
        "meq/l",
        "kg/m2",
        "kg/m²",
        "kg/m^2",
        "g/cm3",
        "µg/m3",
        "µg/m³",
        "pcs",
        "stk",
        "pts",
        "x",
        "pct",
        "percent",
    }
    | {"*", "**", "†", "‡"}  # what points to a note below the table
)


@cache
def one_of(words: frozenset[str], dtype: pa.DataType) -> pa.Array:
    """The words as an array to look values up in. (Made on first use: Arrow's first array of a list imports pandas.)"""
    return pa.array(sorted(words), dtype)


def is_mark(texts: pa.Array) -> pa.Array:
    """Which of the texts mark a missing value, zero dates such as 0000-00-00 among them."""
    trimmed = trimmed_text(texts)
    known = pc.is_in(pc.utf8_lower(trimmed), value_set=one_of(MARKS, texts.type))
    if not pc.any(pc.starts_with(trimmed, "00")).as_py():
        return known
    return pc.or_(known, pc.match_substring_regex(trimmed, _ZERO_DATE))


def trimmed_text(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The texts without white space around them, spaces and minus signs of any kind as those of a keyboard."""
    if pc.all(pc.string_is_ascii(texts)).as_py() is False:
        texts = pc.replace_substring_regex(texts, "[\u00a0\u2007\u2009\u202f\u2060\ufeff]", " ")
        texts = pc.replace_substring_regex(texts, "[\u2212\u2012]", "-")
        texts = pc.replace_substring(texts, "\u2019", "'")
        for figures in _OTHER_FIGURES:
            if pc.any(pc.match_substring_regex(texts, f"[{figures}]")).as_py():
                for value, figure in enumerate(figures):
                    texts = pc.replace_substring(texts, figure, str(value))
    return pc.utf8_trim_whitespace(texts)
