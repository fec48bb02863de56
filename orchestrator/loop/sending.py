"""Raw signals on their way to object storage, in a thread of their own: a slow network holds up no cell."""

from __future__ import annotations

import logging
from collections.abc import Collection
from threading import Event, Thread
from typing import Final

from orchestrator.loop.keeping import Files

logger = logging.getLogger(__name__)

PATIENCE: Final = 60.0
"""s, that the end of a sitting waits for what is being sent."""


class Sender:
    """Sends what a campaign keeps, whenever something new is there.

    Args:
        files: where raw signals are kept.
        campaign: its name.
    """

    def __init__(self, files: Files, campaign: str) -> None:
        self._files, self._campaign = files, campaign
        self._wanted, self._over = Event(), False
        self._busy: Collection[str] = ()
        self._thread: Thread | None = None

    def wake(self, busy: Collection[str] = ()) -> None:
        """Send what waits; returns at once.

        Args:
            busy: locations of attempts that still run: files may still come to them.
        """
        self._busy = busy
        if not self._files.waiting(self._campaign):
            return
        if self._thread is None:
            # a daemon: storage that does not answer must not keep a process from ending
            self._thread = Thread(target=self._run, name=f"files of {self._campaign}", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self, patience: float = PATIENCE) -> None:
        """Send what waits once more; what is not taken stays here, and is sent by the next sitting."""
        self.wake()
        if self._thread is None:
            return
        self._over = True
        self._wanted.set()
        self._thread.join(patience)
        if left := self._files.waiting(self._campaign):
            logger.warning("raw signals wait in %s to be sent, attempts: %d", self._files.spool, left)

    def _run(self) -> None:
        over = False
        while not over:
            self._wanted.wait()
            self._wanted.clear()
            over = self._over  # before sending: what came until then is sent
            self._files.send(self._campaign, self._busy)
