"""Where generator actors go: what a member asks of a node, how many a node holds, and which node is next."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dge_ray.distributed.session.ray_session import TINY

Placement = Literal["spread", "pack"]


@dataclass(frozen=True)
class MemberDemand:
    """What one generator actor takes: a share of a GPU or a core's time, an accelerator of a kind, custom resources.

    `placement`: `spread` puts the next actor where most places are free, `pack` fills a node before the next.
    """

    gpus: float = 0.0
    accelerator_type: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    placement: Placement = "spread"

    def places(self, node: Mapping[str, float]) -> int:
        """How many actors a node with these resources holds at once: what its GPUs take, or one a core."""
        if self.accelerator_type is not None and not node.get(f"accelerator_type:{self.accelerator_type}"):
            return 0
        shares = [node.get("GPU", 0.0) / self.gpus if self.gpus else node.get("CPU", 0.0)]
        shares += [node.get(name, 0.0) / amount for name, amount in self.resources.items()]
        return int(min(shares) + 1e-9)

    def next_node(self, places: Mapping[str, int], taken: Counter[str]) -> str | None:
        """The node for the next actor; None where all are taken."""
        free = {node: count - taken[node] for node, count in places.items() if count > taken[node]}
        if not free:
            return None
        # Of equal nodes the one that comes first by name: the same in every run.
        order = sorted(free.items(), key=lambda item: (-item[1] if self.placement == "spread" else item[1], item[0]))
        return order[0][0]

    def options(self, node: str | None) -> dict[str, Any]:
        """Ray's options for an actor on a node; one that is lost, or was taken meanwhile, is replaced by another."""
        kind = {} if self.accelerator_type is None else {"accelerator_type": self.accelerator_type}
        strategy = "SPREAD" if node is None else NodeAffinitySchedulingStrategy(node, soft=True)
        custom = {"resources": dict(self.resources)} if self.resources else {}
        return {"num_cpus": TINY, "num_gpus": self.gpus, "scheduling_strategy": strategy, **kind, **custom}


def node_places(demand: MemberDemand) -> dict[str, int]:
    """How many actors each node that is alive now holds, nodes without a place left out."""
    places_on = {node["NodeID"]: demand.places(node["Resources"]) for node in ray.nodes() if node["Alive"]}
    return {node: places for node, places in places_on.items() if places}
