"""pandas frames to Arrow tables and back with the frame's own dtypes."""

import uuid
from typing import TYPE_CHECKING

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.arrow.extensions import own_type

if TYPE_CHECKING:
    import pandas as pd


def from_pandas(frame: "pd.DataFrame") -> pa.Table:
    """The frame's columns as Arrow columns, names as text; the index is dropped, NaN becomes null.

    Raises:
        InputError: a column whose values have no one type.
    """
    names = [str(name) for name in frame.columns]
    arrays = []
    for i, name in enumerate(names):
        try:
            arrays.append(_column(frame.iloc[:, i]))
        except (pa.ArrowException, TypeError, OverflowError):
            got = f"values of mixed or unknown type (dtype {frame.dtypes.iloc[i]})"
            raise InputError(f"column '{name}'", got, "values of one type in a column") from None
    return pa.Table.from_arrays(arrays, names=names)


def to_pandas(table: pa.Table, dtypes: "pd.Series | None" = None) -> "pd.DataFrame":
    """The table as a frame, with the dtypes and column labels of the frame that `from_pandas` was given.

    `dtypes`: that frame's `.dtypes`, matched by position. A column keeps its natural dtype where its values do not fit
    (nulls in a column of numpy integers).
    """
    import pandas as pd

    frame = table.to_pandas()
    if dtypes is None:
        return frame
    columns = [_as_dtype(frame.iloc[:, i], dtype) for i, dtype in enumerate(dtypes)]
    result = pd.concat(columns, axis=1) if columns else frame
    result.columns = dtypes.index
    return result


def _as_dtype(column: "pd.Series", dtype: object) -> "pd.Series":
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype) and isinstance(dtype.categories.dtype, pd.IntervalDtype | pd.PeriodDtype):
        # Categories that have another form in Arrow, as the intervals of a cut.
        forms = _column(pd.Series(dtype.categories)).to_pylist()
        column = column.astype(object).map(dict(zip(forms, dtype.categories, strict=True)), na_action="ignore")
    try:
        return column.astype(dtype)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return column


def _column(series: "pd.Series") -> pa.ChunkedArray:
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):  # by way of UTC: Arrow's own conversion of zoned columns is deprecated
        instants = pa.Array.from_pandas(series.dt.tz_convert(None)).cast(pa.timestamp(dtype.unit, "UTC"))
        return pa.chunked_array([instants.cast(pa.timestamp(dtype.unit, dtype.tz))])
    if isinstance(dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    try:
        values = pa.Array.from_pandas(series)
    except pa.ArrowInvalid:  # the oldest pyarrow that is taken knows no UUIDs
        if not all(isinstance(value, uuid.UUID) for value in series.dropna()):
            raise
        values = pa.Array.from_pandas(series.map(str, na_action="ignore"))
    values = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return own_type(pa.field("", values.type), values)
