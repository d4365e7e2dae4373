"""Joining or starting Ray, and what the cluster has."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

NAMESPACE = "dge_ray"
# A share that is small but not zero: with exactly 0 Ray also places actors on a head that was given no CPUs.
TINY = 0.001

# What a short study on one machine needs (each is a default a user can override in the environment):
# Train polls its workers every 2 s, which costs up to 9 s at the end of a run, and asks the dashboard, which is off.
LOCAL_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Resources:
    """What the cluster offers: CPUs, GPUs, nodes."""

    cpus: float
    gpus: float
    nodes: int


@contextmanager
def ray_session(*, num_cpus: int | None = None, object_store_memory: int | None = None) -> Iterator[Resources]:
    """A connection to Ray for the length of the block.

    A Ray that this process has already joined is used and left running; `RAY_ADDRESS` (or a Ray job's environment)
    joins that cluster; otherwise a local Ray starts, listens on localhost only, and is shut down at the end.
    """
    import ray

    if ray.is_initialized():
        yield _resources()
        return
    # Tune would take Ctrl-C for "end the search and return what there is"; a study must hear of it.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    joins = "RAY_ADDRESS" in os.environ or "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    quiet = {"logging_level": logging.ERROR, "namespace": NAMESPACE}
    if joins:
        ray.init(**quiet)
    else:
        for name, value in LOCAL_SETTINGS.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=True,
                num_cpus=num_cpus,
                object_store_memory=object_store_memory,
                **quiet,
            )
    try:
        yield _resources()
    finally:
        ray.shutdown()


def _resources() -> Resources:
    import ray

    total = ray.cluster_resources()
    nodes = sum(1 for node in ray.nodes() if node["Alive"])
    return Resources(float(total.get("CPU", 0)), float(total.get("GPU", 0)), nodes)


def map_members(function: Callable[[int], Any], count: int) -> list[Any]:
    """`[function(0), ..., function(count - 1)]`, each as one Ray task on one CPU, results in member order."""
    import ray

    with ray_session():
        remote = ray.remote(num_cpus=1, max_retries=3)(_alone)
        shared = ray.put(function)
        return ray.get([remote.remote(shared, k) for k in range(count)])


def _alone(function: Callable[[int], Any], k: int) -> Any:
    one_thread()
    return function(k)


def one_thread() -> None:
    """One torch thread in this process, where torch is loaded. A process, a core: more threads fight over it, and
    another number of threads is another order of sums."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
