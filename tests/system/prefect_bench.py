"""A laboratory's Prefect server and workers, as processes of their own on the loopback address."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import httpx
import psutil

from orchestrator.flows.server import wait_for
from orchestrator.flows.settings import DEFAULTS

PREFECT = shutil.which("prefect", path=str(Path(sys.executable).parent)) or "prefect"


def until(condition: Callable[[], object], seconds: float = 120.0, what: str = "it") -> float:
    """Wait until something holds; how long that took, s."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + seconds, f"{what} did not happen"
        Event().wait(0.05)
    return time.monotonic() - start


def kill_all(process: subprocess.Popen) -> None:
    """Kill a process with all that it started, as a computer that loses its power does."""
    parent = psutil.Process(process.pid)
    family = [parent, *parent.children(recursive=True)]
    for one in family:
        one.suspend()
    for one in family:
        one.kill()
    process.wait()
    psutil.wait_procs(family[1:], timeout=10)


@dataclass
class PrefectBench:
    """One server in a folder of its own, and workers.

    Attributes:
        folder: for the server's database and all messages.
        store: address of the store for workers.
        port: of the server.
    """

    folder: Path
    store: str
    port: int = 0
    server: subprocess.Popen | None = None
    workers: list[subprocess.Popen] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.port}/api"

    def environment(self) -> dict[str, str]:
        """Of the server and of workers."""
        return {
            **os.environ,
            **DEFAULTS,
            "PREFECT_LOGGING_LEVEL": "INFO",
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "SABATIER_STORE": self.store,
            "PYTHONWARNINGS": "ignore",
        }

    def start_server(self) -> None:
        """Start the server, the first time on a free port; returns when it answers."""
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        words = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port), "--no-ui"]
        self.server = self._start(words, "server.log")
        wait_for(self.url, self.server, "server.log")

    def start_worker(self, pool: str, *, plain: bool = False, **environment: str) -> subprocess.Popen:
        """Start a worker in a folder of its own: ours, or a plain one of Prefect."""
        name = f"worker-{len(self.workers) + 1}"
        words = ["--pool", pool, "--limit", "3", "--name", name]
        command = [PREFECT, "worker", "start"] if plain else [sys.executable, "-m", "orchestrator.cli", "worker"]
        self.workers.append(self._start([*command, *words], f"{name}.log", **environment))
        return self.workers[-1]

    def log(self, name: str) -> str:
        """What a worker or the server has said."""
        return (self.folder / f"{name}.log").read_text()

    def all(self, what: str) -> list[dict]:
        """All records of a kind that the server has."""
        answer = httpx.post(f"{self.url}/{what}/filter", json={"limit": 200}, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def schedule_is_active(self, deployment: str) -> bool:
        """Whether more runs of a deployment come."""
        (one,) = [d for d in self.all("deployments") if d["name"] == deployment]
        return all(schedule["active"] for schedule in one["schedules"])

    def close(self) -> None:
        """End everything."""
        for process in [*self.workers, *([self.server] if self.server else [])]:
            if process.poll() is None:
                kill_all(process)

    def _start(self, words: list[str], log: str, **environment: str) -> subprocess.Popen:
        place = self.folder / Path(log).stem
        place.mkdir(exist_ok=True)
        with (self.folder / log).open("ab") as messages:
            return subprocess.Popen(
                words,
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                env={**self.environment(), **environment},
                start_new_session=True,
            )


@contextmanager
def prefect_bench(folder: Path, store: str) -> Iterator[PrefectBench]:
    """A server for the block; nothing is left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    bench = PrefectBench(folder, store)
    try:
        bench.start_server()
        yield bench
    finally:
        bench.close()
