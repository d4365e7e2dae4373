"""pandas frames there and back through a codec, as a synthetic table goes: the frame's own dtypes and labels."""

import datetime as dt
import json
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from dge_ray.errors import InputError
from dge_ray.table import TableCodec, from_pandas, infer_schema, to_pandas
from dge_ray.table.arrow.dtypes import from_json_values, to_json_values

N = 6
FRAME = pd.DataFrame(
    {
        "i8": np.arange(N, dtype=np.int8),
        "f32": np.arange(N, dtype=np.float32) / 4,
        "nan": [1.5, np.nan] * 3,
        "bool": [True, False] * 3,
        "nullable_bool": pd.array([True, None] * 3, dtype="boolean"),
        "nullable_int": pd.array([1, None, 3] * 2, dtype="Int16"),
        "nullable_float": pd.array([1.5, None, 3] * 2, dtype="Float64"),
        "category": pd.Categorical(["b", "a", None] * 2, categories=["b", "a", "never"]),
        "ordered": pd.Categorical(["low", "high"] * 3, categories=["low", "high"], ordered=True),
        "cut": pd.cut(np.arange(N) / 2, [-1, 0, 1.25, 9]),
        "int_category": pd.Categorical([3, 1] * 3),
        "string": pd.array(["x", None, "y"] * 2, dtype="string"),
        "object": np.array(["x", None, "y"] * 2, dtype=object),
        "object_bool": np.array([True, None, False] * 2, dtype=object),
        "arrow": pd.array(["x", None, "y"] * 2, dtype="string[pyarrow]"),
        "ns": pd.date_range("2020-01-01", periods=N, freq="D"),
        "tz": pd.date_range("2020-01-01", periods=N, freq="h", tz="Europe/Paris").as_unit("us"),
        "date": np.array([dt.date(2020, 1, 1 + i) for i in range(N)], dtype=object),
        "decimal": np.array([Decimal("1.50"), Decimal("2.25")] * 3, dtype=object),
        7: np.arange(N),
    },
    index=list("abcdef"),
)


def test_a_frame_comes_back_with_its_dtypes_and_labels() -> None:
    table = from_pandas(FRAME)
    codec = TableCodec(infer_schema(table))
    back = to_pandas(codec.decode(codec.encode(table), seed=0), FRAME.dtypes)
    assert_frame_equal(back, FRAME.reset_index(drop=True))
    assert back.columns[-1] == 7 and isinstance(back.columns[-1], int)


def test_dtypes_go_through_json() -> None:
    days = pd.Categorical(pd.date_range("2020-01-01", periods=N, tz="UTC"))
    odd = {"days": days, "span": pd.timedelta_range("1h", periods=N), "month": pd.period_range("2020", periods=N)}
    odd |= {"interval": pd.interval_range(0, N), "sparse": pd.array([0.0] * N, dtype=pd.SparseDtype(float))}
    odd |= {("a", 1): "x"}
    frame = pd.concat([FRAME.reset_index(drop=True), pd.DataFrame(odd)], axis=1)
    back = from_json_values(json.loads(json.dumps(to_json_values(frame.dtypes))))
    assert back.tolist() == frame.dtypes.tolist()
    assert back.index.tolist() == [*frame.columns[:-1], "('a', 1)"]
    for record in ({"dtype": "U999999999"}, {"dtype": "no such"}, {"dtype": "category", "of": "int64"}, {}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            from_json_values([{"label": "x", **record}])


def test_nulls_where_the_frame_had_none_keep_the_natural_dtype() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 3]})
    columns = {"a": np.array([1.0, np.nan, 2.0]), "b": np.array([1.0, 2.0, 3.0])}
    back = to_pandas(TableCodec(infer_schema(from_pandas(frame))).decode(columns, seed=0), frame.dtypes)
    assert back["a"].isna().tolist() == [False, True, False] and back["b"].dtype == np.int64


def test_mixed_values_are_refused() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": np.array(["x", 3], dtype=object)})
    with pytest.raises(InputError, match=r"column 'b': got values of mixed or unknown type \(dtype object\); takes"):
        from_pandas(frame)


def test_labels_that_read_alike_are_duplicates() -> None:
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=[1, "1"])
    with pytest.raises(InputError, match="column '1': got a name that occurs more than once"):
        infer_schema(from_pandas(frame))


def test_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_pandas(from_pandas(FRAME), FRAME.dtypes)
