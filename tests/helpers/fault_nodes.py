"""A Ray cluster of one or two raylets on this machine, made with `ray start`, with a token of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from helpers.fault_processes import end_all, kill, looks, processes, ray_processes

STORE = 80_000_000  # bytes; Ray takes no less than 75 MB


class Nodes:
    """`ray start --head`, and another `ray start` for each further node: one core and a small object store each."""

    def __init__(self, count: int, *, cpus: int = 1) -> None:
        self.place = tempfile.mkdtemp(prefix="flt")
        token = Path(self.place) / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self._auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self._starts: list[subprocess.Popen[bytes]] = []
        self.cpus = cpus
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        try:
            head = ["--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false"]
            self._start(*head, f"--temp-dir={self.place}")
            for _ in range(1, count):
                self._start(f"--address={self.address}")
        except BaseException:
            self.close()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """What a driver needs to join."""
        return {"RAY_ADDRESS": self.address, **self._auth}

    def raylets(self) -> list[int]:
        return [one.pid for one in ray_processes(self.place) if "/raylet " in one.command.split("--")[0]]

    def _start(self, *words: str) -> None:
        before = len(self.raylets())
        log = Path(self.place) / f"start-{len(self._starts)}.txt"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
        ray = str(Path(sys.executable).with_name("ray"))
        command = [ray, "start", *words, "--node-ip-address=127.0.0.1", f"--num-cpus={self.cpus}", "--block"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, f"--object-store-memory={STORE}", "--disable-usage-stats"],
                env=kept | self._auth | {"RAY_TMPDIR": self.place, "OMP_NUM_THREADS": "1"},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._starts.append(process)
        for _ in looks(180, every=0.2):
            if len(self.raylets()) > before and "Ray runtime started" in log.read_text():
                return
            assert process.poll() is None, log.read_text()
        raise AssertionError(log.read_text())

    def kill_second(self) -> None:
        """kill -9 of the second node's raylet; its workers end by themselves."""
        every = processes()
        second = self._starts[1].pid
        for pid in self.raylets():
            ancestor = pid
            while ancestor in every and ancestor != second:
                ancestor = every[ancestor].parent
            if ancestor == second:
                kill(pid)
                return
        raise AssertionError("the second node has no raylet")

    def close(self) -> None:
        for process in self._starts:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        end_all(self.place)
        shutil.rmtree(self.place, ignore_errors=True)
