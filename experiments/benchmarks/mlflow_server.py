"""A real MLflow server on this machine, with SQLite behind it: started, killed, started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import requests


class Server:
    """`mlflow server` on a free port; its database, artifacts and log lie in `folder`. Ends with the block."""

    def __init__(self, folder: Path, database: bytes | None = None) -> None:
        """`database`: one that is set up already, for a quick start."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self.database, self.log = folder / "server.db", folder / "server.log"
        if database is not None:
            self.database.write_bytes(database)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--artifacts-destination", str(self.folder / "files")]
        # Jobs are for evaluating language models: seven processes more.
        more = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        environment = {name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | more
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env=environment, start_new_session=True
            )
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if requests.get(f"{self.uri}/health", timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.2)
        self.kill()
        raise RuntimeError(self.log.read_text())

    def kill(self) -> None:
        """SIGKILL to the server and its workers, which are a process group of their own."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
