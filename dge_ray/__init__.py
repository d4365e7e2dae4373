"""Deep generative ensembles: how many generators, how many synthetic rows, and can the answer be trusted.

Public names are loaded on first use, so that `import dge_ray` costs nothing and needs neither Ray nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dge_ray.ensemble import DGEClassifier, DGERegressor
    from dge_ray.pooling import pool
    from dge_ray.received import load_members
    from dge_ray.slm import SynSlmClassifier, SynSlmRegressor

    __version__: str

__all__ = [
    "DGEClassifier",
    "DGERegressor",
    "SynSlmClassifier",
    "SynSlmRegressor",
    "__version__",
    "load_members",
    "pool",
]

_HOMES = {
    "DGEClassifier": "dge_ray.ensemble",
    "DGERegressor": "dge_ray.ensemble",
    "SynSlmClassifier": "dge_ray.slm",
    "SynSlmRegressor": "dge_ray.slm",
    "load_members": "dge_ray.received",
    "pool": "dge_ray.pooling",
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
