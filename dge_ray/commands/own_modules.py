"""Learners of the user's own modules, which other nodes do not have."""

from collections.abc import Iterable

from dge_ray.distributed.session.preflight import joins_cluster
from dge_ray.downstream.catalogue import TAKES, module_folder
from dge_ray.errors import InputError


def refuse_on_cluster(names: Iterable[str], field: str = "learner") -> None:
    """Raises InputError for a learner of a folder of PYTHONPATH where a cluster is joined."""
    for name in names if joins_cluster() else ():
        if folder := module_folder(name):
            raise InputError(field, f"{name!r} of {folder}, which a cluster's nodes do not have", TAKES)
