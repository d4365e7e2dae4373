"""The tables that scikit-learn carries in its wheel: no network, no files."""

import pyarrow as pa

from dge_ray.errors import InputError, nearest

_NAMED_CLASSES = {"breast_cancer", "iris", "wine"}  # their targets are codes into `target_names`
_LOADERS = {name: f"load_{name}" for name in ("breast_cancer", "diabetes", "digits", "iris", "wine")}


def builtin_names() -> list[str]:
    """The built-in tables' names, sorted. Each has its target in the column `target`."""
    return sorted(_LOADERS)


def load_builtin(name: str) -> pa.Table:
    """A built-in table: float64 features, and `target` (class names as strings, digits as int64, else float64).

    Raises:
        InputError: no such table.
    """
    if name not in _LOADERS:
        raise InputError("source", f"'{name}'", nearest(name, builtin_names()))
    from sklearn import datasets

    bunch = getattr(datasets, _LOADERS[name])()
    columns = {str(feature): bunch.data[:, i] for i, feature in enumerate(bunch.feature_names)}
    target = bunch.target_names[bunch.target].tolist() if name in _NAMED_CLASSES else bunch.target
    return pa.table({**columns, "target": pa.array(target)})
