"""What a study asks of a cluster, without Ray: shares that fit, also when one of several equal nodes is lost."""

import pytest

from dge_ray.distributed.demand import Demand
from dge_ray.distributed.session.ray_session import Resources


def _fit(node_cpus: float, share: float) -> int:
    return int(node_cpus / share + 1e-9)


@pytest.mark.parametrize("nodes", [1, 2, 3, 16])
@pytest.mark.parametrize("cpus", [1, 2, 8])
def test_workers_fit_and_still_do_when_a_node_is_lost(nodes: int, cpus: int) -> None:
    found = Demand().on(Resources(({"CPU": float(cpus)},) * nodes))
    workers, share = found.workers, found.cpus_per_worker
    assert workers == nodes * cpus  # one a core
    assert nodes * _fit(cpus, share) >= workers
    if nodes > 1:
        assert (nodes - 1) * _fit(cpus, share) >= workers
    else:
        assert _fit(cpus, share) == workers  # alone, no core is shared
