"""The dtypes of a frame's columns as JSON values, so that a frame of the same kind can be made elsewhere."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def to_json_values(dtypes: "pd.Series") -> list[dict[str, Any]]:
    """A frame's `.dtypes`, a record a column. A label that JSON has not becomes text, and a dtype that has no name that
    pandas knows becomes object."""
    records = []
    for label, dtype in dtypes.items():
        record = _described(dtype)
        try:
            same = _dtype(record) == dtype
        except (TypeError, ValueError):
            same = False
        kept = label if type(label) in (str, int) else str(label)
        records.append({"label": kept, **(record if same else {"dtype": "object"})})
    return records


def from_json_values(records: list[dict[str, Any]]) -> "pd.Series":
    """What `to_json_values` was given.

    Raises:
        KeyError, TypeError, ValueError: records that are none of its.
    """
    import pandas as pd

    labels = pd.Index([record["label"] for record in records], dtype=object)
    return pd.Series([_dtype(record) for record in records], index=labels, dtype=object)


def _described(dtype: Any) -> dict[str, Any]:
    import pandas as pd

    if isinstance(dtype, pd.StringDtype) and str(dtype) == "string":  # whose name hides how it is stored
        return {"dtype": f"string[{dtype.storage}]"}
    if not isinstance(dtype, pd.CategoricalDtype):
        return {"dtype": str(dtype)}
    if dtype.categories is None:
        return {"dtype": "object"}
    categories: Any = dtype.categories
    ends = [categories.left, categories.right] if isinstance(categories.dtype, pd.IntervalDtype) else [categories]
    return {
        "dtype": "category",
        "ordered": bool(dtype.ordered),
        "of": _described(categories.dtype)["dtype"],
        "values": [_scalars(values) for values in ends],
    }


def _scalars(values: Any) -> list[Any]:
    return values.astype("int64").tolist() if values.dtype.kind in "mM" else values.tolist()


def _dtype(record: dict[str, Any]) -> Any:
    import pandas as pd

    if record["dtype"] != "category":
        return _named(record["dtype"])
    kind: Any = _named(record["of"])
    if isinstance(kind, pd.IntervalDtype):
        subtype: Any = kind.subtype
        left, right = (pd.Index(values, dtype=subtype) for values in record["values"])
        closed: Any = kind.closed
        categories = pd.IntervalIndex.from_arrays(left, right, closed=closed)
    else:
        categories = pd.Index(record["values"][0], dtype=kind)
    return pd.CategoricalDtype(categories, ordered=record["ordered"])


def _named(name: str) -> Any:
    """A dtype by its name.

    Raises:
        TypeError: there is none, or one of numpy's texts, whose width a name alone would reserve.
    """
    import pandas as pd

    dtype: Any = pd.api.types.pandas_dtype(name)
    if dtype.kind in "USV":
        raise TypeError(f"{name[:40]!r} is no column's dtype")
    return dtype
