"""Joining or starting Ray, and what the cluster has."""

import logging
import os
import secrets
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dge_ray.distributed.session.guest import environment, handlers_as_found, logging_as_found, silent_workers
from dge_ray.distributed.session.own_ray import (
    in_a_group_of_its_own,
    on_loopback,
    read_authentication,
    without_watchers,
)
from dge_ray.distributed.session.preflight import (
    ADDRESS,
    check_ray,
    cluster_address,
    joins_cluster,
    reason,
    refused_address,
)
from dge_ray.distributed.session.private_temp import for_the_owner_alone, private_folder
from dge_ray.errors import InputError, StudyError

NAMESPACE = "dge_ray"
# A share that is small but not zero: with exactly 0 Ray also places actors on a head that was given no CPUs.
TINY = 0.001

# Tune would take Ctrl-C for "end the search and return what there is"; a study must hear of it. Its own loggers write
# what nobody reads, and import torch, behind a bare `except` that swallows Ctrl-C. Its table goes to standard output.
SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}
# The study says itself what happens; pages of other processes' logs, which Ray keeps, would bury it.
QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "namespace": NAMESPACE}
# What a short study on one machine needs (each is a default a user can override in the environment):
# Train looks at its workers every 2 s, several times at the end of a run, and asks the dashboard, which is off.
LOCAL_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_NUM_THREADS": "1",
    # What each task did and when, from every process to the one that keeps it for a dashboard.
    "RAY_task_events_report_interval_ms": "0",
    # Idle worker processes are kept: a new one would import Ray Data again, 2 CPU-seconds for each member's reads.
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
    "RAY_num_workers_soft_limit": "8",
}


@dataclass(frozen=True)
class Resources:
    """What the cluster offers. `each`: every node's resources by name. `own`: the cluster was started for this process
    and ends with it."""

    each: tuple[dict[str, float], ...]
    own: bool = False

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


@contextmanager
def ray_session(*, num_cpus: int | None = None, object_store_memory: int | None = None) -> Iterator[Resources]:
    """A connection to Ray for the length of the block, after which the process is as before.

    A Ray that this process has already joined is used and left running; `RAY_ADDRESS` (or a Ray job's environment)
    joins that cluster; otherwise a local Ray starts, without dashboard, reachable from this machine alone and with its
    files in a private folder, and is shut down at the end.

    Raises:
        InputError: Ray cannot start or be joined here (`check_ray`).
        StudyError: it should have been able to, and did not.
    """
    import ray

    with logging_as_found(), environment(SETTINGS):
        if ray.is_initialized():
            with silent_workers():
                yield current_resources()
            return
        check_ray()
        joins = joins_cluster()
        with _joined() if joins else _started(num_cpus, object_store_memory):
            yield replace(current_resources(), own=not joins)


@contextmanager
def _shut_down() -> Iterator[None]:
    import ray

    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _joined() -> Iterator[None]:
    """The cluster of the environment."""
    import ray
    from ray.exceptions import RayError

    address = cluster_address(os.environ)
    with environment({ADDRESS: address} if address else {}), _shut_down():
        with handlers_as_found(signal.SIGTERM):
            try:
                ray.init(**QUIET)
            except (ConnectionError, RuntimeError, ValueError, RayError) as error:
                raise refused_address(address or "", reason(error)) from None
        yield


@contextmanager
def _started(num_cpus: int | None, object_store_memory: int | None) -> Iterator[None]:
    """A Ray of one's own, with a token of its own: Ray would keep one in the home folder, which need not be there."""
    given = {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH_") and value.strip()}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} | given
    try:
        with (
            environment(token, defaults=LOCAL_SETTINGS, without=(ADDRESS,)),
            private_folder(os.environ) as folder,
            _shut_down(),
        ):
            read_authentication()
            _start(folder, num_cpus, object_store_memory)
            yield
    finally:
        read_authentication()


def _start(folder: str, num_cpus: int | None, object_store_memory: int | None) -> None:
    import ray

    before = handlers_as_found(signal.SIGTERM)
    with (
        before,
        warnings.catch_warnings(),
        for_the_owner_alone(),
        on_loopback(),
        in_a_group_of_its_own(),
        without_watchers(),
    ):
        warnings.simplefilter("ignore", FutureWarning)
        try:
            ray.init(
                address="local",  # else a cluster that somebody started on this machine would be joined unasked
                include_dashboard=False,
                configure_logging=True,
                num_cpus=num_cpus,
                object_store_memory=object_store_memory,
                _temp_dir=folder,
                **QUIET,
            )
        except Exception as error:  # a node that is not up in time is a bare one
            raise StudyError(f"Ray could not start on this machine: {first_line(error)}") from None


def current_resources() -> Resources:
    """What the nodes that are there now have."""
    import ray

    return Resources(tuple(node["Resources"] for node in ray.nodes() if node["Alive"]))


def ask(reference: Any, *, timeout: float | None = None, as_raised: bool = False) -> Any:
    """`ray.get`, with a failure as the one line that it comes to; `as_raised`: as the remote side raised it.

    Raises:
        StudyError, InputError: what the remote side raised, or what became of it.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference, timeout=timeout)
    except RayTaskError as error:
        cause = error.cause
        own = isinstance(cause, Exception) and not isinstance(cause, RayError)
        if isinstance(cause, (StudyError, InputError)) or (as_raised and own):
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
            try:
                is_there = ask(seen.options(scheduling_strategy=there).remote(place))
            except StudyError:
                if _is_alive(node["NodeID"]):
                    raise
                continue  # a node that was lost meanwhile writes nowhere
            if not is_there:
                host = node["NodeManagerHostname"]
                raise InputError("storage", f"{place}, which node {host} does not see", "a shared folder or a URI")


def _is_alive(node: str) -> bool:
    import ray

    return any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())


def one_thread() -> None:
    """One torch thread in this process, where torch is loaded. A process, a core: more threads fight over it, and
    another number of threads is another order of sums."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
