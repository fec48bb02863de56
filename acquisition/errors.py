"""The exceptions of this package: one root, every one with the field that is wrong and how to mend it."""

from __future__ import annotations


class AcquisitionError(Exception):
    """Root of everything that this package raises on purpose.

    Attributes:
        field: dotted name of the offending input (``"parameters.x.bounds"``), or ``None``.
        mend: one sentence that says how to put it right, or ``None``.
    """

    def __init__(self, message: str, *, field: str | None = None, mend: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.mend = mend

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.mend}" if self.mend else message


class SpaceError(AcquisitionError, ValueError):
    """A parameter, a constraint, a pool or a whole search space that cannot be."""


class InfeasibleSpaceError(SpaceError):
    """Bounds and constraints leave no point at all."""


class ObjectiveError(AcquisitionError, ValueError):
    """An objective or outcome constraint that cannot be."""


class StrategyError(AcquisitionError, ValueError):
    """A strategy is unknown, wrongly set up, or cannot work on this problem."""


class StoppingError(AcquisitionError, ValueError):
    """A stopping rule that cannot be, that means nothing for its campaign, or that may never end it."""


class SpaceExhaustedError(AcquisitionError):
    """Every point of a finite space has been proposed, and replicates are not wanted."""
