"""Who wants to know what a loop does."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.store.records import AttemptRecord, CampaignState, ExperimentRecord

if TYPE_CHECKING:
    from orchestrator.config.definition import Definition

logger = logging.getLogger(__name__)


class Listener:
    """Wants to know what a loop does; called from the loop's threads. What does not matter to one is not overridden."""

    def proposed(self, records: list[ExperimentRecord]) -> None:
        """Experiments were chosen. Those in state ``proposed`` wait for somebody's approval."""

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """An experiment began."""

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """A result, a failure or nothing yet came back, and is in the store."""

    def state_changed(self, state: CampaignState, why: str) -> None:
        """The campaign is in another state."""

    def amended(self, version: int, definition: Definition) -> None:
        """The campaign goes on by another definition."""

    def noticed(self, kind: str, text: str) -> None:
        """Something happened that people should know; ``kind`` as in :mod:`orchestrator.campaign.words`.

        Threads of other listeners call it, too.
        """


Event = Literal["proposed", "started", "learned", "state_changed", "amended", "noticed"]


def told(listeners: Iterable[Listener], what: Event, *args: Any) -> None:
    """Tell all listeners. One that fails (a closed terminal, a full disk) must not stop a campaign: it is logged."""
    for listener in listeners:
        hears = getattr(listener, what, None)
        if hears is None:
            continue
        try:
            hears(*args)
        except (Exception, SystemExit):  # rich ends the program where a pipe is closed
            logger.exception("a listener failed on %r", what)
