"""Who wants to know what a loop does."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from orchestrator.store.records import AttemptRecord, ExperimentRecord

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Wants to know what a loop does; called from the loop's threads."""

    def proposed(self, records: list[ExperimentRecord]) -> None:
        """Experiments were chosen."""

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """An experiment began."""

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """A result, a failure or nothing yet came back, and is in the store."""


def told(listeners: Iterable[Listener], what: Literal["proposed", "started", "learned"], *args: Any) -> None:
    """Tell all listeners. One that fails (a closed terminal, a full disk) must not stop a campaign: it is logged."""
    for listener in listeners:
        try:
            getattr(listener, what)(*args)
        except (Exception, SystemExit):  # rich ends the program where a pipe is closed
            logger.exception("a listener failed on %r", what)
