"""The exceptions of this package: one root, every one with the field that is wrong and how to mend it."""

from __future__ import annotations


class SurrogatesError(Exception):
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


class DataError(SurrogatesError, ValueError):
    """Data that no model can be fitted to: wrong shapes, values that are not finite, nothing at all."""
