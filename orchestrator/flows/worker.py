"""A Prefect worker that lets campaigns end in good order before it ends itself.

Prefect's own kills what it has started as soon as it is asked to end; an electrolysis that was under way would then be
of unknown outcome.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import psutil

from orchestrator.flows.deploy import configured_server, make_pool

logger = logging.getLogger(__name__)

PATIENCE: Final = 600.0
"""Seconds that campaigns may take to end: a rig purges after its current is off."""
BETWEEN: Final = 0.2
"""Seconds between looks at what still runs."""
SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def work(pool: str, *, limit: int, name: str | None = None) -> int:
    """Run a Prefect worker until a signal ends it, or it ends by itself.

    Args:
        pool: its work pool; made if it is not there.
        limit: the most processes that it starts at a time.
        name: of the worker, on Prefect's pages.

    Returns:
        Its exit status; 0 after a signal.

    Raises:
        InputError: no server is configured, or the pool is of another type.
        ServerError: the server does not answer.
    """
    level = os.environ.get("PREFECT_LOGGING_LEVEL", "INFO")  # before our own default, which is quiet
    configured_server()
    from prefect.client.orchestration import get_client

    from orchestrator.flows.schedules import sweep_pool

    with get_client(sync_client=True) as client:
        make_pool(client, pool)
    sweep_pool(pool)
    words = ["worker", "start", "--pool", pool, "--type", "process", "--limit", str(limit)]
    asked = threading.Event()
    with _signals(asked):
        process = subprocess.Popen(  # noqa: S603  no shell
            [sys.executable, "-m", "prefect", *words, *(["--name", name] if name else [])],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PREFECT_LOGGING_LEVEL": level},
            start_new_session=os.name != "nt",  # a terminal's Ctrl-C is ours to hand on
        )
        while process.poll() is None and not asked.wait(BETWEEN):
            pass
        if process.poll() is None:
            end(process)
            return 0
    return process.wait()


def end(worker: subprocess.Popen[bytes], patience: float = PATIENCE) -> None:
    """End a worker: first what it runs, each in good order, then itself; it starts nothing more meanwhile.

    Args:
        worker: the process.
        patience: s, after which what still runs is left alone: it goes on by itself.
    """
    parent = psutil.Process(worker.pid)
    parent.suspend()
    told: set[int] = set()
    until = time.monotonic() + patience
    while (running := _running(parent)) and time.monotonic() < until:
        for one in running:
            if one.pid not in told:
                told.add(one.pid)
                _tell(one)
        time.sleep(BETWEEN)
    for one in running:
        logger.warning("process %d has not ended in %g s, and is left alone", one.pid, patience)
    if running:
        worker.kill()  # told to end, it would kill them
    else:
        worker.terminate()
    parent.resume()
    worker.wait()


def _running(parent: psutil.Process) -> list[psutil.Process]:
    """The processes that a worker has started and that have not ended; theirs are their own business."""
    alive = []
    for child in parent.children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                alive.append(child)
        except psutil.NoSuchProcess:
            continue
    return alive


def _tell(process: psutil.Process) -> None:
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        logger.debug("process %d has ended meanwhile", process.pid)


@contextmanager
def _signals(asked: threading.Event) -> Iterator[None]:
    """For the block, signals only say that the worker is to end."""

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        asked.set()

    former = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, was in former.items():
            signal.signal(number, was)
