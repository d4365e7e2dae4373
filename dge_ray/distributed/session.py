"""Joining or starting Ray, and what the cluster has."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dge_ray.errors import InputError, StudyError

NAMESPACE = "dge_ray"
# A share that is small but not zero: with exactly 0 Ray also places actors on a head that was given no CPUs.
TINY = 0.001

# What a short study on one machine needs (each is a default a user can override in the environment):
# Train looks at its workers every 2 s, several times at the end of a run, and asks the dashboard, which is off.
LOCAL_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_NUM_THREADS": "1",
    # Idle worker processes are kept: a new one would import Ray Data again, 2 CPU-seconds for each member's reads.
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
    "RAY_num_workers_soft_limit": "8",
}


@contextmanager
def _on_loopback() -> Iterator[None]:
    """A Ray that starts within the block listens on 127.0.0.1 alone.

    Ray rewrites a node address of 127.0.0.1 to the machine's outer one, and then listens on every interface, unless it
    believes that clusters are switched off, as they are by default on macOS and Windows (ray issue 18730). It reads
    that from the environment when it is imported, which has happened by now.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _in_a_group_of_its_own() -> Iterator[None]:
    """A signal to this process's group (`timeout`, a batch system, a closed terminal) does not reach a Ray that starts
    within the block: it is this process that stops its work, and then Ray.

    Ray starts its servers with no such option. They still end with this process, whatever ends it.
    """
    from ray._private import services

    before: Any = services.ConsolePopen

    class OwnGroup(before):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, process_group=0)

    services.ConsolePopen = OwnGroup  # type: ignore[misc]
    try:
        yield
    finally:
        services.ConsolePopen = before  # type: ignore[misc]


@dataclass(frozen=True)
class Resources:
    """What the cluster offers. `each`: every node's resources by name."""

    each: tuple[dict[str, float], ...]

    @property
    def cpus(self) -> float:
        return float(sum(node.get("CPU", 0) for node in self.each))

    @property
    def gpus(self) -> float:
        return float(sum(node.get("GPU", 0) for node in self.each))

    @property
    def gpus_on_a_node(self) -> float:
        return float(max((node.get("GPU", 0) for node in self.each), default=0))

    @property
    def nodes(self) -> int:
        return len(self.each)


def joins_cluster() -> bool:
    """Whether a study started here joins a cluster that runs, instead of starting a local Ray."""
    return "RAY_ADDRESS" in os.environ or "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


@contextmanager
def ray_session(*, num_cpus: int | None = None, object_store_memory: int | None = None) -> Iterator[Resources]:
    """A connection to Ray for the length of the block.

    A Ray that this process has already joined is used and left running; `RAY_ADDRESS` (or a Ray job's environment)
    joins that cluster; otherwise a local Ray starts, without dashboard and reachable from this machine alone, and is
    shut down at the end.
    """
    import ray

    # Tune would take Ctrl-C for "end the search and return what there is"; a study must hear of it.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # Tune's own loggers write what nobody reads, and import torch, behind a bare `except` that swallows Ctrl-C.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    if ray.is_initialized():
        yield current_resources()
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    joins = joins_cluster()
    # The study says itself what happens; pages of other processes' logs, which Ray keeps, would bury it.
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False, "namespace": NAMESPACE}
    if joins:
        ray.init(**quiet)
    else:
        for name, value in LOCAL_SETTINGS.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings(), _on_loopback(), _in_a_group_of_its_own():
            warnings.simplefilter("ignore", FutureWarning)
            ray.init(
                address="local",  # else a cluster that somebody started on this machine would be joined unasked
                include_dashboard=False,
                configure_logging=True,
                num_cpus=num_cpus,
                object_store_memory=object_store_memory,
                **quiet,
            )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # ray.init puts its own there, which ends the process at once
    try:
        yield current_resources()
    finally:
        ray.shutdown()


def current_resources() -> Resources:
    """What the nodes that are there now have."""
    import ray

    return Resources(tuple(node["Resources"] for node in ray.nodes() if node["Alive"]))


def ask(reference: Any, *, timeout: float | None = None) -> Any:
    """`ray.get`, with a failure as the one line that it comes to.

    Raises:
        StudyError, InputError: what the remote side raised, or what became of it.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference, timeout=timeout)
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, (StudyError, InputError)):
            raise cause from None
        raise StudyError(first_line(cause)) from None
    except RayError as error:
        raise StudyError(f"Ray lost what the study asked ({first_line(error)}): run the same command again") from None


def first_line(error: BaseException | None) -> str:
    """An exception's kind and the first line of what it says."""
    text = str(error).strip().splitlines()
    return type(error).__name__ + (f": {text[0]}" if text else "")


def check_shared(place: str) -> None:
    """Refuse a local folder that some node does not see: its workers would write to a disk of their own.

    Raises:
        InputError: naming the node.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    seen = ray.remote(num_cpus=TINY)(os.path.isdir)
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) > 0:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            if not ask(seen.options(scheduling_strategy=there).remote(place)):
                host = node["NodeManagerHostname"]
                raise InputError("storage", f"{place}, which node {host} does not see", "a shared folder or a URI")


def one_thread() -> None:
    """One torch thread in this process, where torch is loaded. A process, a core: more threads fight over it, and
    another number of threads is another order of sums."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
