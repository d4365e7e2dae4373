"""Whether Ray can be joined or started, found by the environment and probes alone: no Ray here, but real sockets."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dge_ray.distributed.session import preflight
from dge_ray.distributed.session.preflight import check_ray, cluster_address, joins_cluster
from dge_ray.distributed.session.private_temp import SOCKET, check_temporary_folder, private_folder, temporary_folder
from dge_ray.distributed.session.ray_session import check_shared
from dge_ray.errors import InputError, StudyError


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's Ray in this process would be joined whatever the environment says."""
    monkeypatch.setattr(preflight, "has_joined", lambda: False)


@contextmanager
def listening() -> Iterator[str]:
    """The address of a socket that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("value", [None, "", " ", "local"])
def test_no_address_is_a_ray_of_ones_own(value: str | None, tmp_path: Path) -> None:
    environ = {"RAY_TMPDIR": "/tmp"} | ({} if value is None else {"RAY_ADDRESS": value})
    assert cluster_address(environ) is None
    assert not joins_cluster(environ)
    check_ray(environ, connect=pytest.fail, ask=pytest.fail)
    assert joins_cluster(environ | {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})


@pytest.mark.parametrize("address", ["1.2.3.4:6379", "auto", "ray://head:10001", "[::1]:6379"])
def test_an_address_that_answers_is_joined(address: str) -> None:
    asked: list[tuple] = []
    check_ray({"RAY_ADDRESS": address}, connect=lambda *a: asked.append(a[:2]), ask=lambda *a: asked.append(a[:1]))
    assert joins_cluster({"RAY_ADDRESS": address})
    known = {"auto": [], "ray://head:10001": [("head", 10001)], "[::1]:6379": [("::1", 6379), ("[::1]:6379",)]}
    assert asked == known.get(address, [("1.2.3.4", 6379), ("1.2.3.4:6379",)])


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("head", "no HOST:PORT"),
        ("head:port", "no HOST:PORT"),
        (":6379", "no HOST:PORT"),
        ("head:99999", "no HOST:PORT"),
        ("http://head:8265", "of a dashboard"),
        ("127.0.0.1:9", "connection refused"),
        ("ray://127.0.0.1:9", "connection refused"),
        ("no-such-host.invalid:6379", "unknown host"),
        ("a" * 70 + ":6379", "unknown host"),
    ],
)
def test_an_address_where_no_ray_can_be_is_named_at_once(address: str, why: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError) as refused:
        check_ray({"RAY_ADDRESS": address})
    text = str(refused.value)
    assert time.monotonic() - started < 10
    assert text.startswith(f"RAY_ADDRESS: got {address!r}") and why in text and "unset RAY_ADDRESS" in text
    assert len(text.splitlines()) == 1


def test_what_takes_the_connection_and_is_no_ray_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "JOINING_SECONDS", 3.0)
    started = time.monotonic()
    with listening() as address, pytest.raises(InputError, match=rf"got '{address}' \(no Ray answers within 3 s\)"):
        check_ray({"RAY_ADDRESS": address})
    assert time.monotonic() - started < 10


def test_a_name_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "JOINING_SECONDS", 0.2)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: time.sleep(5))
    started = time.monotonic()
    with pytest.raises(InputError, match="no Ray answers"):
        check_ray({"RAY_ADDRESS": "head:6379"})
    assert time.monotonic() - started < 2


def test_what_ray_says_is_one_line() -> None:
    def ask(*_: object) -> None:
        raise OSError("many lines\nray.exceptions.AuthenticationError: no token")

    with pytest.raises(InputError, match=r"\(ray\.exceptions\.AuthenticationError: no token\)"):
        check_ray({"RAY_ADDRESS": "head:6379"}, connect=lambda *_: None, ask=ask)


def test_a_temporary_folder_for_ray_is_long_enough_to_be_told() -> None:
    """At the longest name that passes, Ray's longest socket path is as long as the system takes."""
    longest = "/tmp/" + "x" * 200
    while True:
        try:
            check_temporary_folder({"RAY_TMPDIR": longest})
            break
        except InputError as refused:
            assert refused.field == "RAY_TMPDIR" and "RAY_TMPDIR=/tmp" in refused.takes
            longest = longest[:-1]
    with private_folder({"RAY_TMPDIR": longest}) as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder, SOCKET)
        assert len(os.fsencode(path)) == 107
        path.parent.mkdir(parents=True)
        server.bind(str(path))
    Path(longest).rmdir()


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize("place", ["/proc/nope", "/proc", "/dev/null", "/dev/null/below", "x" * 300])
def test_a_temporary_folder_that_cannot_be_written_to_is_named(variable: str, place: str) -> None:
    with pytest.raises(InputError, match=rf"^{variable}: got .*; takes a folder .*RAY_TMPDIR=/tmp"):
        check_ray({variable: place})


def test_where_temporary_files_go() -> None:
    assert temporary_folder({}) == ("TMPDIR", Path("/tmp"))
    assert temporary_folder({"RAY_TMPDIR": "", "TMPDIR": "/scratch"}) == ("TMPDIR", Path("/scratch"))
    assert temporary_folder({"RAY_TMPDIR": "/r", "TMPDIR": "/scratch"}) == ("RAY_TMPDIR", Path("/r"))


def test_rays_word_for_authentication_is_checked_before_it_ends_the_process() -> None:
    with pytest.raises(InputError, match=r"^RAY_AUTH_MODE: got 'tokn'; takes one of disabled, token"):
        check_ray({"RAY_AUTH_MODE": "tokn"})


ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray leaves 127.0.0.1 as it is


@pytest.mark.usefixtures("cluster")
def test_a_ray_that_runs_is_known_and_one_of_another_token_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    with pytest.raises((OSError, TimeoutError)):  # Ray would go to the outer address, where this one does not listen
        preflight._ask(address, 4)
    monkeypatch.setenv(ON_LOOPBACK, "0")
    preflight._ask(address, 60)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with pytest.raises(OSError, match=r"(?i)token|auth"):
        preflight._ask(address, 60)


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_runs_is_joined_and_left_running() -> None:
    import ray

    code = (
        "import os, ray; from dge_ray.distributed.session.ray_session import ray_session\n"
        "before, parent = dict(os.environ), ray.remote(num_cpus=0)(lambda: os.getppid())\n"
        "with ray_session() as there: print(there.cpus, ray.get(parent.remote(), timeout=60) > 1)\n"
        "assert dict(os.environ) == before and not ray.is_initialized()"
    )
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address, ON_LOOPBACK: "0"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "2.0 True\n"), done.stderr
    assert ray.is_initialized() and ray.nodes()[0]["Alive"]


@pytest.mark.usefixtures("cluster")
def test_a_shared_folder_is_asked_for_on_the_nodes_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node may be lost between being listed and being asked."""
    import ray

    nodes = ray.nodes()
    lost = {**nodes[0], "NodeID": "0f" * 28}
    listed = iter([[*nodes, lost], nodes])
    monkeypatch.setattr(ray, "nodes", lambda: next(listed))
    check_shared(str(tmp_path))
    monkeypatch.setattr(ray, "nodes", lambda: [*nodes, lost])  # it is said to be there and does not answer
    with pytest.raises(StudyError, match="Ray lost what the study asked"):
        check_shared(str(tmp_path))
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    with pytest.raises(InputError, match=r"which node .* does not see"):
        check_shared(str(tmp_path / "absent"))
