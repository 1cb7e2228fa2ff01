"""A real PostgreSQL on loopback, and studies of a small space."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that a test may stop, kill and start."""

    binaries: Path
    data: Path
    port: int
    user: str | None

    @property
    def url(self) -> str:
        """Of its database, with a password that `trust` never asks for."""
        return f"postgresql://palmette:s3cret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        options += " -c unix_socket_directories=''"
        log = self.data.parent / "log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", "30", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` cuts connections, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "30", "stop")

    def initialise(self) -> None:
        """Make its data."""
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "palmette", "-N")

    def database(self, name: str) -> str:
        """URL of a new database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"create database {name}")  # type: ignore[call-overload]
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def _run(self, command: str, *arguments: object) -> None:
        words = [str(self.binaries / command), *map(str, arguments)]
        subprocess.run(
            words,
            check=True,
            user=self.user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )


def _binaries() -> Path | None:
    found = shutil.which("pg_ctl") and shutil.which("initdb")
    if found:
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return installed[-1].parent if installed else None


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running PostgreSQL; its test leaves it running."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries, user = _binaries(), None
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if os.geteuid() == 0:  # it refuses to run as root
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="palmette-postgres-"))  # tmp_path bars other users
    if user is not None:
        shutil.chown(folder, user)
    server = Server(binaries, folder / "data", free_port(), user)
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        pid = server.data / "postmaster.pid"
        if pid.is_file():
            os.kill(int(pid.read_text().split()[0]), signal.SIGQUIT)
            until = time.monotonic() + 10
            while pid.exists() and time.monotonic() < until:
                time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)
