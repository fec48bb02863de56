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

from orchestrator.errors import OrchestratorError
from orchestrator.flows.settings import apply_defaults

STARTUP = 120.0
"""Seconds; the first start on a machine creates a database."""


class ServerError(OrchestratorError):
    """Prefect's server could not be started or reached."""


@contextmanager
def prefect_server() -> Iterator[str]:
    """Have a Prefect server for the block; gives the address of its API.

    Raises:
        ServerError: the embedded server did not start.
    """
    apply_defaults()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    configured = PREFECT_API_URL.value()
    if configured:
        yield configured
        return
    url, _ = _start()
    with temporary_settings({PREFECT_API_URL: url}):
        yield url


def _start() -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  our own module, no shell
        [sys.executable, "-m", "orchestrator.flows.serve", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    # registered before Prefect's own threads register theirs, so that those end first
    atexit.register(_stop, process)
    url = f"http://127.0.0.1:{port}/api"
    _wait(url, process)
    return url, process


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    import httpx

    give_up = time.monotonic() + STARTUP
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < give_up:
            if process.poll() is not None:
                raise ServerError(
                    f"Prefect's server ended at its start with status {process.returncode}.",
                    mend="Its message is above; `--engine threads` runs without Prefect.",
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
