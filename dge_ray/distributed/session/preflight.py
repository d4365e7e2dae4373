"""Whether Ray can be joined or started from here, found out before any work, within seconds and without Ray.

`RAY_ADDRESS` unset, empty and `local` are the same: a Ray of one's own.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from dge_ray.distributed.session.private_temp import check_temporary_folder
from dge_ray.errors import InputError

ADDRESS = "RAY_ADDRESS"
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set within a Ray job
JOINING_SECONDS = 8.0  # a command that is refused ends within 10, its own start included
TAKES = "HOST:PORT or ray://HOST:PORT of a Ray that runs, or nothing (unset RAY_ADDRESS) for a Ray of its own"
MODES = ("disabled", "token", "k8s")
# Ray would go on trying for a quarter of an hour, and fill the screen: in a process of its own that can be ended. Asked
# is the address that Ray will use: it takes this machine's outer one for 127.0.0.1.
ASK = (
    "import sys; from ray._raylet import GcsClient; from ray._private.services import canonicalize_bootstrap_address; "
    "GcsClient(address=canonicalize_bootstrap_address(sys.argv[1]))"
)

Connect = Callable[[str, int, float], None]
Ask = Callable[[str, float], None]


def cluster_address(environ: Mapping[str, str]) -> str | None:
    """The address of the cluster to join; None for a Ray of one's own, or within a Ray job, which knows its own."""
    address = environ.get(ADDRESS, "").strip()
    return None if address in ("", "local") else address


def joins_cluster(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a study started here joins a cluster that runs, instead of starting a local Ray."""
    environ = os.environ if environ is None else environ
    return cluster_address(environ) is not None or bool(environ.get(JOB))


def check_ray(
    environ: Mapping[str, str] | None = None, *, connect: Connect | None = None, ask: Ask | None = None
) -> None:
    """Whether Ray can be joined, or started, by this environment. Nothing is left behind.

    `connect` and `ask` open a connection, and ask who is there; they raise OSError and TimeoutError.

    Raises:
        InputError: it cannot; names the variable and the way out, within about 10 seconds.
    """
    if has_joined():
        return
    environ = os.environ if environ is None else environ
    if (mode := environ.get("RAY_AUTH_MODE", "")) and mode.lower() not in MODES:
        raise InputError("RAY_AUTH_MODE", repr(mode), "one of " + ", ".join(MODES) + ", or nothing")
    address = cluster_address(environ)
    if address is not None:
        _check_address(address, connect or _connect, ask or _ask)
    elif not joins_cluster(environ):
        check_temporary_folder(environ)
        if shutil.which("bash", path=environ.get("PATH", os.defpath)) is None:  # else Ray waits for workers for ever
            raise InputError("PATH", "no folder with bash", "one with it, such as /bin: Ray starts its workers by it")


def has_joined() -> bool:
    """Whether this process is joined to a Ray already."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def refused_address(address: str, why: str) -> InputError:
    """That no Ray can be joined there."""
    return InputError(ADDRESS, f"{address!r} ({why})", TAKES)


def _check_address(address: str, connect: Connect, ask: Ask) -> None:
    until = time.monotonic() + JOINING_SECONDS
    if address == "auto":  # Ray looks for one on this machine, and says at once that there is none
        return
    scheme, _, rest = address.rpartition("://")
    if scheme not in ("", "ray"):
        hint = ", of a dashboard" if scheme.startswith("http") else ""
        raise InputError(ADDRESS, f"{address!r}, an address of {scheme}://{hint}", TAKES)
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InputError(ADDRESS, f"{address!r}, no HOST:PORT", TAKES)
    try:
        connect(host, port, until - time.monotonic())
        if not scheme:
            ask(rest, until - time.monotonic())
    except (OSError, UnicodeError) as error:
        raise refused_address(address, reason(error)) from None


def reason(error: BaseException) -> str:
    """Why no connection came about, in a few words."""
    if isinstance(error, TimeoutError):
        return f"no Ray answers within {JOINING_SECONDS:.0f} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "unknown host"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().splitlines()[-1][:200]


def _connect(host: str, port: int, seconds: float) -> None:
    """Open a connection and close it. In a thread: a name server may hold its asker up for longer."""
    failure: list[Exception] = []

    def run() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if failure:
        raise failure[0]


def _ask(address: str, seconds: float) -> None:
    """Whether it is a Ray that this process may join."""
    command = [sys.executable, "-c", ASK, address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(seconds, 1.0), check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(said[-1])
