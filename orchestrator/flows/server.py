"""Prefect's server: the laboratory's own where one is configured, else one that lives as long as this process.

Prefect can embed a server by itself, but that one shares the terminal's Ctrl-C with us, so that it would be gone while
the loop is still ending in good order, and it outlives us if we are killed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.errors import OrchestratorError
from orchestrator.flows.settings import apply_defaults

STARTUP = 120.0
"""Seconds; the first start on a machine creates a database."""


class ServerError(OrchestratorError):
    """Prefect's server could not be started or reached."""


@dataclass(frozen=True)
class Server:
    """A server: the address of its API, and its process if it is ours."""

    url: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended."""
        return self.process is not None and self.process.poll() is not None


@contextmanager
def prefect_server(log: Path) -> Iterator[Server]:
    """Have a Prefect server for the block.

    Args:
        log: file to which an embedded server's messages are appended.

    Raises:
        ServerError: the configured server does not answer, or the embedded one did not start.
    """
    apply_defaults()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    configured = PREFECT_API_URL.value()
    if configured:
        check_server(configured)
        yield Server(configured)
        return
    server = _start(log)
    with temporary_settings({PREFECT_API_URL: server.url}):
        yield server


def check_server(url: str) -> None:
    """Raise :class:`ServerError` unless a server answers at an address."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        raise ServerError(
            f"Prefect's server at {url} does not answer ({problem or type(problem).__name__}).",
            field="PREFECT_API_URL",
            mend="Start it, correct PREFECT_API_URL, or leave that out for an embedded server.",
        )


def _start(log: Path) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as messages:  # at its end it tells of events that it could not write any more: no news to users
        process = _process(port, messages)
    # registered before Prefect's own threads register theirs, so that those end first
    atexit.register(_stop, process)
    url = f"http://127.0.0.1:{port}/api"
    wait_for(url, process, f"its messages are in {log}")
    return Server(url, process)


def _process(port: int, messages: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own module, no shell
        [sys.executable, "-m", "orchestrator.flows.serve", str(port)],
        stdin=subprocess.PIPE,
        stdout=messages,
        stderr=messages,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},  # deprecations inside Prefect are none of our user's business
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def wait_for(url: str, process: subprocess.Popen[bytes], where: str) -> None:
    """Wait until a server answers.

    Raises:
        ServerError: it ended, or did not answer in time; ``where`` says where it tells why.
    """
    import httpx

    give_up = time.monotonic() + STARTUP
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < give_up:
            if process.poll() is not None:
                raise ServerError(
                    f"Prefect's server ended at its start with status {process.returncode}.",
                    mend=f"Look why ({where}); `--engine threads` runs without Prefect.",
                )
            with contextlib.suppress(httpx.HTTPError):
                if client.get(f"{url}/health").is_success:
                    return
            time.sleep(0.1)
    raise ServerError(f"Prefect's server did not answer within {STARTUP:g} s.", mend="Is the machine overloaded?")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
