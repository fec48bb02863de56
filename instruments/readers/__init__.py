"""Readers of files that instruments write, into the raw-signal form of :class:`instruments.lab.Measurement`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from instruments.errors import ReaderError

if TYPE_CHECKING:
    from instruments.readers.merging import merge
    from instruments.readers.reading import FORMATS, read
    from instruments.readers.recording import Recording

_HOMES = {
    "FORMATS": "instruments.readers.reading",
    "Recording": "instruments.readers.recording",
    "merge": "instruments.readers.merging",
    "read": "instruments.readers.reading",
}

__all__ = ["FORMATS", "ReaderError", "Recording", "merge", "read"]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that the package itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
