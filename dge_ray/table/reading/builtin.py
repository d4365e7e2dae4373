"""The tables that scikit-learn carries in its wheel or draws: no network, no files."""

import pyarrow as pa

from dge_ray.errors import InputError, nearest

_NAMED_CLASSES = {"breast_cancer", "iris", "wine"}  # their targets are codes into `target_names`
_LOADERS = {name: f"load_{name}" for name in ("breast_cancer", "diabetes", "digits", "iris", "wine")}
# 10,000 rows of two interleaving shapes each, as van Breugel et al. 2023 draw them (their released code).
_SHAPES = {
    "circles": ("make_circles", {"noise": 0.3, "factor": 0.5}, ("outer", "inner")),
    "moons": ("make_moons", {"noise": 0.2}, ("upper", "lower")),
}


def builtin_names() -> list[str]:
    """The built-in tables' names, sorted. Each has its target in the column `target`."""
    return sorted([*_LOADERS, *_SHAPES])


def load_builtin(name: str) -> pa.Table:
    """A built-in table: float64 features, and `target` (class names as strings, digits as int64, else float64).

    Raises:
        InputError: no such table.
    """
    if name not in builtin_names():
        raise InputError("source", f"'{name}'", nearest(name, builtin_names()))
    from sklearn import datasets

    if name in _SHAPES:
        maker, settings, classes = _SHAPES[name]
        x, y = getattr(datasets, maker)(n_samples=10_000, random_state=0, **settings)
        return pa.table({"x0": x[:, 0], "x1": x[:, 1], "target": pa.array([classes[code] for code in y])})
    bunch = getattr(datasets, _LOADERS[name])()
    columns = {str(feature): bunch.data[:, i] for i, feature in enumerate(bunch.feature_names)}
    target = bunch.target_names[bunch.target].tolist() if name in _NAMED_CLASSES else bunch.target
    return pa.table({**columns, "target": pa.array(target)})
