"""Modules of the user's own, which PYTHONPATH makes importable: a local study takes estimators from them."""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path


def own_folder(top: str) -> str | None:
    """The folder of PYTHONPATH that a top-level module lies in; None where it lies in none. Nothing is imported.

    A folder that is on the path for another reason (the working folder, that of a script) is none: nobody said so. Nor
    is a name of the standard library taken, whoever has a file of that name.
    """
    if top in sys.stdlib_module_names or top == "__main__":
        return None
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    place = None if spec is None else spec.origin or next(iter(spec.submodule_search_locations or []), None)
    if place is None or place in ("built-in", "frozen"):
        return None
    for folder in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        named = PathFinder.find_spec(top, [folder])
        if named is not None and Path(place).resolve().is_relative_to(Path(folder).resolve()):
            return folder
    return None
