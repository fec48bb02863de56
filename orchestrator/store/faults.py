"""What a database says when it fails, in words that help."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.errors import StoreDamaged, StoreError, StoreFull, StoreLocked, StoreUnreachable

_RESTORE: Final = "Restore it from a backup, or give another path."
_ACCESS: Final = "Check the rights on the file and its folder: both must be writable."

# SQLite's primary result codes
_FAULTS: Final[dict[int, tuple[type[StoreError], str, str]]] = {
    sqlite3.SQLITE_BUSY: (
        StoreLocked,
        "is locked by another process",
        "Wait for that process, or end it; nothing was written.",
    ),
    sqlite3.SQLITE_LOCKED: (StoreLocked, "is locked", "Try again; nothing was written."),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "cannot grow: the disk is full",
        "Free space and resume; nothing was lost but this last write.",
    ),
    sqlite3.SQLITE_CORRUPT: (StoreDamaged, "is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: (StoreDamaged, "is not a store (not an SQLite file)", _RESTORE),
    sqlite3.SQLITE_CANTOPEN: (StoreUnreachable, "cannot be opened", _ACCESS),
    sqlite3.SQLITE_PERM: (StoreUnreachable, "may not be opened", _ACCESS),
    sqlite3.SQLITE_AUTH: (StoreUnreachable, "may not be opened", _ACCESS),
    sqlite3.SQLITE_READONLY: (StoreUnreachable, "may not be written", _ACCESS),
    sqlite3.SQLITE_IOERR: (
        StoreUnreachable,
        "cannot be read or written (the disk fails, or a limit on file sizes is reached)",
        "Check the disk; what was committed before is safe.",
    ),
}

# the shared-memory file beside a store is the first to need space when another process opens it
_FULL_IN_DISGUISE: Final = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE})


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what the database raises inside as a :class:`StoreError` about the store at ``where``."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig or error, where) from error
    except sqlite3.Error as error:
        raise _translate(error, where) from error
    except SQLAlchemyError as error:
        raise StoreError(f"the store {where} failed: {error}.") from error


def _translate(error: BaseException, where: str) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        primary = sqlite3.SQLITE_FULL if code in _FULL_IN_DISGUISE else code & 0xFF
        if primary in _FAULTS:
            kind, said, mend = _FAULTS[primary]
            return kind(f"the store {where} {said} ({error}).", field="store", mend=mend)
    return StoreError(f"the store {where} failed: {error}.", field="store")
