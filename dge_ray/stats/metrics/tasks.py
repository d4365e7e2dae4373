"""The tasks that a metric can be of."""

from dge_ray.errors import InputError


def check_task(task: str) -> str:
    """ "classification" or "regression", or InputError."""
    if task in ("binary", "multiclass", "classification"):
        return "classification"
    if task != "regression":
        raise InputError("task", repr(task), "classification (binary, multiclass) or regression")
    return task
