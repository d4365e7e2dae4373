"""What a study asks of a cluster, and what it gets of one."""

from dataclasses import dataclass, field, replace
from typing import Literal

from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session.ray_session import Resources
from dge_ray.errors import InputError

WORKER_SHARE = 0.9  # of the CPUs; the rest is for what takes a tiny share: actors, reads, trials, the Board
SPARE_SHARE = 0.5  # of what a worker would ask for alone, on more nodes than one: any of two equal nodes takes all
BUILT_IN = ("CPU", "GPU", "memory", "object_store_memory", "node:__internal_head__")


@dataclass(frozen=True)
class Share:
    """What a study takes of a cluster: downstream workers, CPUs for each, and how many generator actors at once."""

    workers: int
    cpus_per_worker: float
    member: MemberDemand
    actors: int


@dataclass(frozen=True)
class Demand:
    """What a study asks of the cluster. `member`: what a generator actor takes; its GPU share may be left open."""

    workers: int | Literal["auto"] = "auto"
    gpus_per_member: float | Literal["auto"] = "auto"
    member: MemberDemand = field(default_factory=MemberDemand)
    members_per_actor: int = 1
    fits: int = 1 << 30  # more workers than fits would idle

    def on(self, resources: Resources) -> "Share":
        """What the study takes of this cluster.

        Raises:
            InputError: it cannot fit, now or later.
        """
        if resources.cpus <= 0:
            raise InputError("cluster", "no CPUs", "at least 1 CPU on some node")
        most = max(1, int(resources.cpus * 4))
        workers = max(1, min(int(resources.cpus), self.fits)) if self.workers == "auto" else self.workers
        if workers > most:
            raise InputError("workers", str(workers), f"at most {most} on this cluster's {resources.cpus:g} CPUs")
        shared = 0.25 if resources.gpus else 0.0  # a member of the default size uses a small part of a GPU
        gpus = shared if self.gpus_per_member == "auto" else self.gpus_per_member
        if gpus > resources.gpus_on_a_node:
            takes = f"at most the {resources.gpus_on_a_node:g} GPUs of the cluster's largest node"
            raise InputError("gpus_per_member", f"{gpus:g}", takes)
        if gpus > 1 and gpus != int(gpus):
            raise InputError("gpus_per_member", f"{gpus:g}", "a share up to 1, or a whole number")
        member = replace(self.member, gpus=gpus)
        places = sum(member.places(node) for node in resources.each)
        if not places and (member.accelerator_type is not None or member.resources):
            key = "accelerator_type" if member.accelerator_type is not None else "resources_per_member"
            got = member.accelerator_type or ", ".join(f"{k}: {v:g}" for k, v in member.resources.items())
            custom = sorted({name for node in resources.each for name in node if name not in BUILT_IN})
            raise InputError(key, got, f"what some node has with the rest asked for; there are: {_listed(custom)}")
        # All workers start anew when a node is lost, and must then fit on the others: Ray would wait for ever.
        spare = SPARE_SHARE if resources.nodes > 1 else 1.0
        cpus = min(1.0, spare * WORKER_SHARE * resources.cpus / workers)
        return Share(workers, cpus, member, max(1, places))


def _listed(names: list[str]) -> str:
    return ", ".join(name for name in names if not name.startswith("node:")) or "no custom resources"
