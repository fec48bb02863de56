"""Taking hold of a laboratory, making it safe, and letting go: what each does where it goes wrong."""

from __future__ import annotations

import logging
from typing import TypeAlias

from instruments.errors import InstrumentsError, LabHalted, LabHolds
from instruments.lab import Attended, Lab
from orchestrator.store.records import CampaignState

logger = logging.getLogger(__name__)

Wait: TypeAlias = tuple[CampaignState, str]
"""The state in which a campaign waits for a person, and why."""


class Attendance:
    """One sitting in a laboratory.

    Args:
        lab: that is attended; one that needs no taking hold of is only made safe.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.ours = True
        """Whether the laboratory may be touched: not while another campaign has its turn."""

    def open(self) -> Wait | None:
        """Take hold of the laboratory; what a person must do first, if anything.

        Raises:
            InstrumentsError: it cannot be reached.
        """
        if not isinstance(self._lab, Attended):
            return None
        try:
            self._lab.open()
        except LabHolds as problem:
            return "holding", str(problem)
        except LabHalted as problem:
            return "halted", str(problem)
        return None

    def make_safe(self) -> str:
        """Bring the laboratory to its safe state; says what went wrong, if anything did."""
        if not self.ours:
            return ""
        try:
            self._lab.make_safe()
        except InstrumentsError as problem:
            logger.critical("the laboratory could not be made safe: %s", problem)
            return f"the laboratory did not confirm its safe state ({problem}); a person must look"
        except Exception as problem:  # whatever it is, it must be told, not raised over
            logger.exception("the laboratory could not be made safe")
            return f"the laboratory did not confirm its safe state ({problem}); a person must look"
        return ""

    def close(self) -> None:
        """Let go of the laboratory, which is safe by now; what goes wrong changes nothing any more."""
        if isinstance(self._lab, Attended):
            try:
                self._lab.close()
            except Exception:
                logger.exception("the laboratory could not be closed")
