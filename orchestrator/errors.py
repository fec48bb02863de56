"""The exceptions of this package: one root, every one with the field that is wrong and how to mend it."""

from __future__ import annotations


class OrchestratorError(Exception):
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


class InputError(OrchestratorError, ValueError):
    """A file from the user cannot be used: the message says in which file, line and field, what is wrong, how to mend it.

    Attributes:
        file: name of the file, as the user gave it, or ``None``.
        line: line in that file, from 1, or ``None``.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        mend: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message, field=field, mend=mend)
        self.file = file
        self.line = line
