"""Deep generative ensembles: how many generators, how many synthetic rows, and can the answer be trusted.

Public names are loaded on first use, so that `import dge_ray` costs nothing and needs neither Ray nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dge_ray.bundle.received import load_members
    from dge_ray.commands.api.study import Study, open_study, tune
    from dge_ray.commands.check import check
    from dge_ray.commands.evaluate import evaluate
    from dge_ray.commands.select import select
    from dge_ray.commands.test import test
    from dge_ray.commands.verify import verify
    from dge_ray.errors import InputError, InputErrors, StudyError
    from dge_ray.estimators.augmented import SafeAugmentedClassifier, SafeAugmentedRegressor
    from dge_ray.estimators.ensemble import DGEClassifier, DGERegressor
    from dge_ray.estimators.slm import SynSlmClassifier, SynSlmRegressor
    from dge_ray.estimators.synthesizer import Synthesizer
    from dge_ray.inference.mixing import mix
    from dge_ray.inference.pooling import pool
    from dge_ray.inference.prediction_powered import safe_estimate

    __version__: str

__all__ = [
    "DGEClassifier",
    "DGERegressor",
    "InputError",
    "InputErrors",
    "SafeAugmentedClassifier",
    "SafeAugmentedRegressor",
    "Study",
    "StudyError",
    "SynSlmClassifier",
    "SynSlmRegressor",
    "Synthesizer",
    "__version__",
    "check",
    "evaluate",
    "load_members",
    "mix",
    "open_study",
    "pool",
    "safe_estimate",
    "select",
    "test",
    "tune",
    "verify",
]

_HOMES = {
    "DGEClassifier": "dge_ray.estimators.ensemble",
    "DGERegressor": "dge_ray.estimators.ensemble",
    "InputError": "dge_ray.errors",
    "InputErrors": "dge_ray.errors",
    "SafeAugmentedClassifier": "dge_ray.estimators.augmented",
    "SafeAugmentedRegressor": "dge_ray.estimators.augmented",
    "Study": "dge_ray.commands.api.study",
    "StudyError": "dge_ray.errors",
    "SynSlmClassifier": "dge_ray.estimators.slm",
    "SynSlmRegressor": "dge_ray.estimators.slm",
    "Synthesizer": "dge_ray.estimators.synthesizer",
    "check": "dge_ray.commands.check",
    "evaluate": "dge_ray.commands.evaluate",
    "load_members": "dge_ray.bundle.received",
    "mix": "dge_ray.inference.mixing",
    "open_study": "dge_ray.commands.api.study",
    "pool": "dge_ray.inference.pooling",
    "safe_estimate": "dge_ray.inference.prediction_powered",
    "select": "dge_ray.commands.select",
    "test": "dge_ray.commands.test",
    "tune": "dge_ray.commands.api.study",
    "verify": "dge_ray.commands.verify",
}

# Modules under their names from before the rooms: models that MLflow logged then import them.
__path__.append(f"{__path__[0]}/tracking/before")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("dge-ray")
    raise AttributeError(f"module 'dge_ray' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
