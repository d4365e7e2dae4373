"""A PostgreSQL server of one's own, on a socket and a port of this machine, where PostgreSQL is installed."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "reader", "s3cr3t-of-the-test"
PLACES = (*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql*/bin"))


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, or None."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    return next((place for place in PLACES if (place / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """A running server, whose only user needs the password."""

    port: int

    @property
    def url(self) -> str:
        return f"postgresql://127.0.0.1:{self.port}/postgres"

    def run(self, *statements: str) -> None:
        """Statements, committed together."""
        import psycopg2

        place = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}
        connection = psycopg2.connect(**place, user=USER, password=PASSWORD)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()


@contextmanager
def server() -> Iterator[Server]:
    """Started, and stopped with the block; skips where it or its client is not installed. As root it runs as the user
    postgres or nobody: root it refuses."""
    home = programs()
    if home is None:
        pytest.skip("PostgreSQL is not installed")
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("psycopg2 is not installed")
    as_user: dict[str, Any] = {"user": _other()} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if as_user:
            shutil.chown(folder, as_user["user"])
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        data, port = folder / "data", _free_port()
        run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **as_user}
        secret = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
        subprocess.run([home / "initdb", "-D", data, "-U", USER, *secret, "--no-sync"], **run)
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        subprocess.run([home / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"], **run)
        try:
            yield Server(port)
        finally:
            subprocess.run([home / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other() -> str:
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
