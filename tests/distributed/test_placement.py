"""Where members go, checked by counting on made-up clusters, and on one whose second node joins meanwhile."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dge_ray.distributed.demand import Demand
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session.ray_session import Resources
from dge_ray.errors import InputError

SMALL, LARGE = {"CPU": 2.0}, {"CPU": 8.0, "memory": 1e9}
GPUS = {"CPU": 16.0, "GPU": 2.0, "accelerator_type:A100": 1.0, "node:10.0.0.1": 1.0}
HEAD = {"CPU": 0.0, "node:__internal_head__": 1.0}


def filled(demand: MemberDemand, places: dict[str, int], count: int) -> Counter[str]:
    taken: Counter[str] = Counter()
    for _ in range(count):
        node = demand.next_node(places, taken)
        assert node is not None
        taken[node] += 1
    return taken


@pytest.mark.parametrize(
    ("demand", "node", "places"),
    [
        (MemberDemand(), SMALL, 2),
        (MemberDemand(), HEAD, 0),
        (MemberDemand(gpus=0.25), GPUS, 8),
        (MemberDemand(gpus=0.3), GPUS, 6),
        (MemberDemand(gpus=2), GPUS, 1),
        (MemberDemand(gpus=0.25), SMALL, 0),
        (MemberDemand(accelerator_type="A100", gpus=1), GPUS, 2),
        (MemberDemand(accelerator_type="H100", gpus=1), GPUS, 0),
        (MemberDemand(resources={"licence": 2}), {**LARGE, "licence": 5}, 2),
        (MemberDemand(resources={"licence": 2}), LARGE, 0),
    ],
)
def test_a_node_holds_what_its_scarcest_resource_allows(demand: MemberDemand, node: dict, places: int) -> None:
    assert demand.places(node) == places


def test_spread_takes_the_emptiest_node_and_pack_fills_one_before_the_next() -> None:
    places = {"a": 2, "b": 8, "c": 4}
    assert filled(MemberDemand(), places, 7) == {"b": 6, "c": 1}  # down to 4 of b, then b and c in turn
    assert filled(MemberDemand(placement="pack"), places, 7) == {"a": 2, "c": 4, "b": 1}
    for placement in ("spread", "pack"):
        demand = MemberDemand(placement=placement)
        full = filled(demand, places, 14)
        assert full == places and demand.next_node(places, full) is None


def test_a_study_takes_what_the_cluster_has() -> None:
    share = Demand(fits=100).on(Resources((HEAD, SMALL, LARGE)))
    assert (share.workers, share.cpus_per_worker, share.actors, share.member.gpus) == (10, 0.45, 10, 0)
    share = Demand(members_per_actor=2, fits=100).on(Resources((HEAD, GPUS, GPUS)))
    assert (share.member.gpus, share.actors) == (0.25, 16)
    share = Demand(member=MemberDemand(accelerator_type="A100")).on(Resources((SMALL, GPUS)))
    assert share.actors == 8


@pytest.mark.parametrize(
    ("demand", "nodes", "says"),
    [
        (Demand(), (HEAD,), r"^cluster: got no CPUs"),
        (Demand(workers=200), (LARGE,), r"^workers: got 200; takes at most 32"),
        (Demand(gpus_per_member=1.0), (LARGE,), r"^gpus_per_member: got 1; takes at most the 0 GPUs"),
        (Demand(gpus_per_member=1.5), (GPUS,), r"^gpus_per_member: got 1.5; takes a share up to 1, or a whole"),
        (
            Demand(member=MemberDemand(accelerator_type="H100")),
            (GPUS,),
            r"^accelerator_type: got H100; .*there are: accelerator_type:A100$",
        ),
        (
            Demand(member=MemberDemand(resources={"licence": 2.0})),
            (LARGE,),
            r"^resources_per_member: got licence: 2; .*no custom resources",
        ),
    ],
)
def test_what_no_node_can_hold_is_refused_at_once(demand: Demand, nodes: tuple, says: str) -> None:
    with pytest.raises(InputError, match=says):
        demand.on(Resources(nodes))


JOINED = """
import json, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from dge_ray.study.read_config import read_config
from dge_ray.distributed.session.ray_session import NAMESPACE
from dge_ray.commands.tune import run_study

lose, storage = sys.argv[1] == "lose", Path(sys.argv[2])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 150 * 2**20})
ray.init(address=cluster.address, namespace=NAMESPACE, logging_level="ERROR", log_to_driver=False)
study = storage / "breast_cancer"

def by_worker():
    found = {}
    for file in study.glob("costs/*.json"):
        worker = json.loads(file.read_text())["worker"]
        found[worker] = found.get(worker, 0) + 1
    return found

reports = []
words = ["generator=copula", "members=12", "ratios=4", "learner=sklearn.ensemble.GradientBoostingClassifier"]
words += ["learner.n_estimators=150", "tracking=false", f"storage={storage}"]
running = threading.Thread(target=lambda: reports.append(run_study(read_config("breast_cancer", words))))
running.start()
while not by_worker():
    time.sleep(0.2)
node = cluster.add_node(num_cpus=2, object_store_memory=150 * 2**20)  # from the main thread alone
while lose and running.is_alive() and max(by_worker()) == 0:
    time.sleep(0.2)
if lose:
    time.sleep(1)  # in the middle of the next fits
    cluster.remove_node(node, allow_graceful=False)
running.join()
[report] = reports
print(json.dumps([sorted(by_worker().items()), report["cost"]["downstream_fits"]]), flush=True)
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("end", ["keep", "lose"])
def test_cpus_that_join_get_downstream_workers(end: str, tmp_path: Path) -> None:
    """51 fits, begun by one worker on one core; two cores join, and perhaps go again: the new ones have done some."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", JOINED, end, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stderr[-2000:]
    [told] = [line for line in done.stdout.splitlines() if line.startswith("[[")]  # Ray's own lines stand beside it
    by_worker, fits = json.loads(told)
    naive, on_real_rows = 11 + 1 + 4, 5 + 5 + 12 + 1  # seeds, concatenated, groups; of n rows, of all, bagged, simple
    assert fits == 12 + naive + on_real_rows == sum(count for _, count in by_worker)
    assert max(worker for worker, _ in by_worker) >= 1


GROWING = """
import json, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from dge_ray.study.read_config import read_config
from dge_ray.study.members import MemberSpec
from dge_ray.distributed.board import Board
from dge_ray.distributed.pool import MemberPool
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session.ray_session import NAMESPACE, TINY
from dge_ray.study.prepare import prepare
from dge_ray.storage import Folder

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 150 * 2**20})
ray.init(address=cluster.address, namespace=NAMESPACE, logging_level="ERROR", log_to_driver=False)
prepared = prepare(read_config("breast_cancer", ["generator=copula"]))
settings = {"epochs": 40, "hidden": 32}
spec = MemberSpec(Folder.open(sys.argv[1]), prepared.schema, (("autoregressive", settings),), 0, 256, "growing")
board = ray.remote(Board).options(name=spec.board_name, namespace=NAMESPACE, num_cpus=TINY).remote()
train, stopping = prepared.parts["train"], prepared.parts["stopping"]
pool = MemberPool(spec, [(train, stopping)], board, MemberDemand(), members_per_actor=1, volume=256)
pool.grow(5)
time.sleep(1)
before = len(pool._nodes)
cluster.add_node(num_cpus=2, object_store_memory=150 * 2**20)
until = time.monotonic() + 200
while time.monotonic() < until and any(spec.missing_shards(k, 256) for k in range(5)):
    time.sleep(0.2)
pool.stop()
left = [spec.missing_shards(k, 256) for k in range(5)]
print(json.dumps({"before": before, "nodes": list(pool._nodes.values()), "left": left}), flush=True)
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_node_that_joins_meanwhile_is_used(tmp_path: Path) -> None:
    """Five members on one core, then a second node of two: one actor at first, three later, on both nodes."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", GROWING, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=380
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["before"] == 1 and found["left"] == [[]] * 5
    assert len(found["nodes"]) == 3 and len(set(found["nodes"])) == 2
