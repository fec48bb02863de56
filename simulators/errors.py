"""The exceptions of this package: one root, every one with the field that is wrong and how to mend it."""

from __future__ import annotations


class SimulatorsError(Exception):
    """Root of everything that this package raises on purpose.

    Attributes:
        field: dotted name of the offending input, or ``None``.
        mend: one sentence that says how to put it right, or ``None``.
    """

    def __init__(self, message: str, *, field: str | None = None, mend: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.mend = mend

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.mend}" if self.mend else message


class ChemistryError(SimulatorsError, ValueError):
    """A chemistry or a world is unknown, or is asked about settings outside its range."""


class ConvergenceError(SimulatorsError):
    """The steady state of a virtual cell was not found."""


class EmulatorError(SimulatorsError, ValueError):
    """An emulated instrument is set up wrongly, or is asked for something that it does not have."""
