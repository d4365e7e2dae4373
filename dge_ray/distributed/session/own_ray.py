"""What a study needs of Ray that Ray has no option for: private names of Ray, each in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Within the block a module's name has another value."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def on_loopback() -> Iterator[None]:
    """A Ray that starts within the block listens on 127.0.0.1 alone.

    Ray rewrites a node address of 127.0.0.1 to the machine's outer one, and then listens on every interface, unless it
    believes that clusters are switched off, as they are by default on macOS and Windows (ray issue 18730). It reads
    that from the environment when it is imported, which has happened by now.
    """
    from ray._private import ray_constants

    with _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


@contextmanager
def in_a_group_of_its_own() -> Iterator[None]:
    """A signal to this process's group (`timeout`, a batch system, a closed terminal) does not reach a Ray that starts
    within the block: it is this process that stops its work, and then Ray.

    Ray starts its servers with no such option. They still end with this process, whatever ends it.
    """
    from ray._private import services

    before: Any = services.ConsolePopen

    class OwnGroup(before):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, process_group=0)

    with _replaced(services, "ConsolePopen", OwnGroup):
        yield


@contextmanager
def without_watchers() -> Iterator[None]:
    """A Ray that starts within the block has no log monitor, since nobody is shown the logs of its processes, and no
    autoscaler's monitor: it has this machine alone. Each would be a process that looks around all the time.
    """
    from ray._private import parameter

    before: Any = parameter.RayParams
    quiet = partial(before, include_log_monitor=False, no_monitor=True)
    with _replaced(parameter, "RayParams", quiet):
        yield


@contextmanager
def without_counting_callbacks() -> Iterator[None]:
    """A search that runs within the block does not note which of Ray's own callbacks it has, for Ray's statistics of
    use: that imports MLflow and others, two CPU-seconds, and a search here has none of them.
    """
    from ray.air._internal import usage

    with _replaced(usage, "tag_callbacks", lambda callbacks: False):
        yield


def read_authentication() -> None:
    """Have Ray read anew how its token is asked for, and the token, which it reads from the environment once."""
    raylet: Any = import_module("ray._raylet")
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()
