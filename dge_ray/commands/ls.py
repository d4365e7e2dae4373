"""`dge-ray ls`: the studies of a storage, and what studies can be made of."""

from collections.abc import Mapping
from typing import Any

from dge_ray.commands.verbs import StudyKeys
from dge_ray.downstream import learner_names
from dge_ray.generators.registry import REGISTRY, installed
from dge_ray.storage import Folder
from dge_ray.study.folder import has_pilot
from dge_ray.study.records.files import IDENTITY, LOCK, REPORT
from dge_ray.table import builtin_names


def ls(options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Studies in the storage, generators and which of them lack their package, learners, built-in tables."""
    storage = Folder.open(StudyKeys.read(options).storage)
    storage.check_readable()
    studies = []
    for name in storage.list():
        folder = storage / name
        if folder.exists(IDENTITY):
            studies.append({"study": name, "state": _state(folder)})
        elif has_pilot(folder):
            studies.append({"study": name, "state": "a pilot, the study itself has not begun"})
    return {
        "storage": str(storage),
        "studies": studies,
        "generators": sorted(REGISTRY),
        "not_installed": [name for name in sorted(REGISTRY) if not installed(name)],
        "learners": learner_names(),
        "tables": builtin_names(),
    }


def _state(folder: Folder) -> str:
    if folder.exists(LOCK):
        return "running, or left without unlocking"
    return "finished" if folder.exists(REPORT) else "unfinished"


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    studies = [f"  {s['study']}: {s['state']}" for s in result["studies"]] or ["  none"]
    absent = result["not_installed"]
    generators = [f"{name} (not installed)" if name in absent else name for name in result["generators"]]
    return [
        f"studies in {result['storage']}:",
        *studies,
        "generators: " + ", ".join(generators),
        "learners: " + ", ".join(result["learners"]) + ", or a scikit-learn estimator's dotted path",
        "tables: " + ", ".join(result["tables"]) + ", openml:NAME",
    ]
