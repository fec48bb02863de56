"""How an execution can end other than with a result of its own."""

from __future__ import annotations

from instruments.errors import ExecutionCancelled, InstrumentsError
from instruments.lab import FailureCause


class ExperimentFailed(InstrumentsError):
    """The experiment did not work. Procedures raise it; the cell is made safe, and the failure is told to the loop.

    Attributes:
        cause: what is to blame.
    """

    def __init__(self, message: str, *, cause: FailureCause, mend: str | None = None) -> None:
        super().__init__(message, mend=mend)
        self.cause: FailureCause = cause


class NeedsInspection(ExecutionCancelled):
    """An execution broke off in or after a step that must not be repeated unasked: a person must look at the cell."""
