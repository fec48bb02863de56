"""What a database says when it fails, in words that help."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.errors import StoreDamaged, StoreError, StoreFull, StoreLocked, StoreUnreachable, UnstorableValue

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

# PostgreSQL's SQLSTATEs, whole or only their class (the first two characters)
_STATES: Final[dict[str, tuple[type[StoreError], str, str]]] = {
    "55P03": (StoreLocked, "is locked by another process", "Wait for that process, or end it; nothing was written."),
    "40001": (StoreLocked, "was written by others at the same time", "Try again; nothing was written."),
    "40P01": (StoreLocked, "was written by others at the same time", "Try again; nothing was written."),
    "25P03": (StoreLocked, "ended a transaction that stood still", "Try again; nothing was written."),
    "53100": (
        StoreFull,
        "cannot grow: the disk is full",
        "Free space on its server and resume; only this write was lost.",
    ),
    "53300": (
        StoreUnreachable,
        "takes no more connections",
        "End other users of the server, or raise max_connections.",
    ),
    "28": (StoreUnreachable, "may not be opened", "Check the user and the password (PGPASSFILE, PGPASSWORD)."),
    "3D": (StoreUnreachable, "does not exist", "Check the name, or make the database (createdb)."),
    "42501": (StoreUnreachable, "may not be written", "Give the user the rights on this database and its schema."),
    "25006": (StoreUnreachable, "may not be written", "Give the address of the primary server, not of a standby."),
    "57P": (StoreUnreachable, "is being shut down or started", "Try again when the server runs."),
    "08": (StoreUnreachable, "lost its connection", "Check the server and the network, and resume."),
    "22003": (UnstorableValue, "keeps no number as large as one of these", "Use smaller numbers."),
    "XX001": (StoreDamaged, "is damaged", _RESTORE),
    "XX002": (StoreDamaged, "is damaged", _RESTORE),
}

# how a server refuses a new connection: the driver passes its words on, not its code
_REFUSED: Final = (
    ("28", ("password authentication failed", "no password supplied", "pg_hba.conf", 'role "')),
    ("3D", ('database "',)),
    ("53300", ("too many clients", "too many connections", "connection slots are reserved")),
    ("57P", ("is starting up", "is shutting down", "in recovery mode")),
)

# the shared-memory file beside a store is the first to need space when another process opens it
_FULL_IN_DISGUISE: Final = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE})

_ABSENT: Final = object()


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what the database raises inside as a :class:`StoreError` about the store at ``where``."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig or error, where) from error
    except sqlite3.Error as error:
        raise _translate(error, where) from error
    except PoolTimeout as error:
        raise StoreLocked(
            f"the store {where} is used by too many threads of this process at once.", field="store", mend="Try again."
        ) from error
    except SQLAlchemyError as error:
        raise StoreError(f"the store {where} failed: {error}.") from error


def _of_postgres(state: str | None, said: str, where: str) -> StoreError:
    """What PostgreSQL or its driver says; without a state, the server never answered, or the connection broke."""
    if state is None:
        state = next((key for key, words in _REFUSED if any(word in said for word in words)), None)
    for key in () if state is None else (state, state[:3], state[:2]):
        if key in _STATES:
            kind, what, mend = _STATES[key]
            return kind(f"the store {where} {what} ({said}).", field="store", mend=mend)
    if state is None:
        return StoreUnreachable(
            f"the store {where} cannot be reached ({said}).",
            field="store",
            mend="Check the address (--store, or SABATIER_STORE), the server and the network.",
        )
    return StoreError(f"the store {where} failed: {said}.", field="store")


def _translate(error: BaseException, where: str) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        primary = sqlite3.SQLITE_FULL if code in _FULL_IN_DISGUISE else code & 0xFF
        if primary in _FAULTS:
            kind, said, mend = _FAULTS[primary]
            return kind(f"the store {where} {said} ({error}).", field="store", mend=mend)
    state: Any = getattr(error, "sqlstate", _ABSENT)
    if state is not _ABSENT:
        return _of_postgres(state, " ".join(str(error).split()), where)
    return StoreError(f"the store {where} failed: {error}.", field="store")
