"""How skops keeps models: imported without what it would bring along, and as the same bytes for the same model."""

import io
import json
import sys
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any
from zipfile import ZipFile, ZipInfo

_TORCH_FOR_SKLEARN = "sklearn.externals.array_api_compat.torch"
_SCHEMA = "schema.json"


def skops_io() -> ModuleType:
    """`skops.io`, imported without torch.

    It asks scikit-learn for the names of all its estimators, which imports every package below `sklearn`; one of them
    imports torch, two CPU-seconds in each process that keeps a model. The list of names is the same without it.
    """
    if "skops.io" in sys.modules or _TORCH_FOR_SKLEARN in sys.modules:
        import skops.io

        return skops.io
    sys.modules[_TORCH_FOR_SKLEARN] = None  # type: ignore[assignment]  # so Python says: not to be imported now
    try:
        import skops.io
    finally:
        del sys.modules[_TORCH_FOR_SKLEARN]
    return skops.io


def skops_bytes(model: Any) -> bytes:
    """What `skops.io.loads` makes the model of, as the same bytes for the same model.

    skops names parts by their places in memory and notes the time, so that two fits to the same weights come to
    different files. Here parts are numbered in the order in which the model holds them, and the time is left out; skops
    reads both.

    Raises:
        skops.io.exceptions.UnsupportedTypeException: the model holds what only a pickle could.
    """
    with ZipFile(io.BytesIO(skops_io().dumps(model))) as written:
        parts = {name: written.read(name) for name in written.namelist()}
    schema, numbers = json.loads(parts.pop(_SCHEMA)), {}
    names = _numbered(schema, numbers, {})
    out = io.BytesIO()
    with ZipFile(out, "w") as archive:
        for old, new in names.items():
            archive.writestr(ZipInfo(new), parts[old])
        archive.writestr(ZipInfo(_SCHEMA), json.dumps(schema))
    return out.getvalue()


def _numbered(node: Any, numbers: dict[int, int], names: dict[str, str]) -> dict[str, str]:
    """Number a node's parts, in place. Returns the new names of the files that they are in, by the old ones."""
    if isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if "__loader__" in node and isinstance(node.get("file"), str):
            old = node["file"]
            node["file"] = names.setdefault(old, f"{len(names)}{PurePosixPath(old).suffix}")
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            _numbered(one, numbers, names)
    return names
