"""A PostgreSQL server of the tests' own: on loopback, as an ordinary user, thrown away afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

GUARDED: Final = "guarded"
"""The one role of the server that needs a password, once somebody has made it."""

PROGRAMS: Final = ("initdb", "postgres", "pg_ctl")


def missing() -> str | None:
    """Why no server can be started here, if so."""
    absent = [name for name in PROGRAMS if program(name) is None]
    return f"PostgreSQL is not installed: no {', '.join(absent)}" if absent else None


def program(name: str) -> str | None:
    """One of PostgreSQL's programs, on the path or where Debian keeps them."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(kept[-1]) if kept else shutil.which(name)


class PostgresServer:
    """One server with its data. It does not wait for the disk: no test cuts the power.

    Args:
        folder: an empty folder for it alone, all of whose parents the server's user may enter (pytest's own are closed).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._number = 0
        self._changing = threading.RLock()
        self._user = _unprivileged()
        if self._user is not None:
            shutil.chown(folder, self._user)
        settings = ("--auth=trust", "--username=sabatier", "--locale=C", "--encoding=UTF8", "--no-sync")
        self._run("initdb", *settings, "-D", self.data)
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.start()

    @property
    def data(self) -> str:
        """The folder of its data."""
        return str(self.folder / "data")

    def url(self, database: str = "postgres") -> str:
        """Address of a database."""
        return f"postgresql://sabatier@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, also after it was killed, on the same port and data; it answers when this returns."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
            "-c fsync=off -c full_page_writes=off -c max_connections=80"
        )
        log = str(self.folder / "log")
        with self._changing:
            self._run("pg_ctl", "-D", self.data, "-l", log, "-w", "-t", "60", "-o", settings, "start")

    def kill(self) -> None:
        """End it as a crash would, with all its processes; none is left when this returns."""
        import psutil

        with self._changing:
            server = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0]))
            server.send_signal(signal.SIGSTOP)  # it starts no further one meanwhile
            processes = [server, *server.children(recursive=True)]
            for process in processes:
                process.kill()
            _, left = psutil.wait_procs(processes, timeout=30)
            assert not left

    def ensure(self) -> None:
        """Start it if it does not run."""
        with self._changing, socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                self.start()

    def until(self, statement: str, seconds: float = 30.0) -> None:
        """Wait until a statement finds a row."""
        deadline = time.monotonic() + seconds
        while not self.execute(statement):
            assert time.monotonic() < deadline, f"never so: {statement}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement, by itself; the rows that it gives."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str = "template0") -> str:
        """Address of a new database, empty or as its template."""
        self._number += 1
        name = f"test{self._number}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever still uses it."""
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, name: str, *arguments: str) -> None:
        path = program(name)
        assert path is not None
        said = self.folder / f"{name}.out"
        with said.open("wb") as output:
            done = subprocess.run(
                [path, *arguments],
                user=self._user,
                group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
                extra_groups=None if self._user is None else [],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, said.read_text()


def _unprivileged() -> str | None:
    """Who runs the server: it refuses to be root's."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
