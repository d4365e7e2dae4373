"""Deep generative ensembles: how many generators, how many synthetic rows, and can the answer be trusted.

Public names are loaded on first use, so that `import dge_ray` costs nothing and needs neither Ray nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dge_ray.bundle.received import load_members
    from dge_ray.estimators.augmented import SafeAugmentedClassifier, SafeAugmentedRegressor
    from dge_ray.estimators.ensemble import DGEClassifier, DGERegressor
    from dge_ray.estimators.slm import SynSlmClassifier, SynSlmRegressor
    from dge_ray.inference.pooling import pool
    from dge_ray.inference.prediction_powered import safe_estimate

    __version__: str

__all__ = [
    "DGEClassifier",
    "DGERegressor",
    "SafeAugmentedClassifier",
    "SafeAugmentedRegressor",
    "SynSlmClassifier",
    "SynSlmRegressor",
    "__version__",
    "load_members",
    "pool",
    "safe_estimate",
]

_HOMES = {
    "DGEClassifier": "dge_ray.estimators.ensemble",
    "DGERegressor": "dge_ray.estimators.ensemble",
    "SafeAugmentedClassifier": "dge_ray.estimators.augmented",
    "SafeAugmentedRegressor": "dge_ray.estimators.augmented",
    "SynSlmClassifier": "dge_ray.estimators.slm",
    "SynSlmRegressor": "dge_ray.estimators.slm",
    "load_members": "dge_ray.bundle.received",
    "pool": "dge_ray.inference.pooling",
    "safe_estimate": "dge_ray.inference.prediction_powered",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("dge-ray")
    raise AttributeError(f"module 'dge_ray' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
