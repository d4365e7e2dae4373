"""Packages imported without what they would bring along for nothing."""

import sys
from types import ModuleType

_TORCH_FOR_SKLEARN = "sklearn.externals.array_api_compat.torch"


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
