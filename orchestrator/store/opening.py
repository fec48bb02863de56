"""Stores by their addresses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import StoreError
from orchestrator.store.address import is_postgres
from orchestrator.store.memory import MemoryStore
from orchestrator.store.protocol import Store

DEFAULT_PATH: Final = Path("sabatier-data") / "sabatier.db"
_MEMORY: Final = frozenset({"memory:", ":memory:", "sqlite://", "sqlite:///:memory:"})


def default_url() -> str:
    """Where the store is if nobody says: ``SABATIER_STORE``, else a file below the current folder."""
    return os.environ.get("SABATIER_STORE") or f"sqlite:///{DEFAULT_PATH.as_posix()}"


def open_store(url: str | Path | None, *, durable: bool = True, create: bool = True) -> Store:
    """Open a store; make it, and its folder, where there is none.

    An older file is upgraded, after a copy was made. A database in PostgreSQL must exist; an older one is upgraded by
    :func:`upgrade` alone, since others may be at work with it.

    Args:
        url: ``sqlite:///path``, a plain path, ``postgresql://user@host:port/database``, ``memory:``, or ``None`` for
            :func:`default_url`.
        durable: a write survives even a loss of power (the store waits for the disk every time). Without, the
            last writes before a loss of power may be missing, never half; a killed process loses none either way.
            What a PostgreSQL server is set to is not lowered.
        create: whether a store may be made.

    Raises:
        NetworkFileSystem: the path is on one.
        StoreUnreachable: there is none and none is to be made, or it may not be opened.
        StoreDamaged: the file, or the database, is no store.
        StoreTooNew: a newer release wrote it.
        StoreError: the address means nothing, or the database has an older schema.
    """
    if (database := _database(url)) is not None:
        from orchestrator.store.postgres import open_postgres

        return open_postgres(database, durable=durable, create=create)
    path = _path(url)
    if path is None:
        return MemoryStore()
    from orchestrator.store.sql import open_sqlite

    return open_sqlite(path, durable=durable, create=create)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did.

    Attributes:
        copy: path of the copy that was made of a file before; ``None`` for a database in PostgreSQL.
    """

    copy: Path | None


def upgrade(url: str | Path | None) -> Upgrade | None:
    """Give a store the newest schema.

    Returns:
        What was done, or ``None`` if the schema was the newest already.

    Raises:
        StoreLocked: others are at work with a database in PostgreSQL.
        StoreError: as of :func:`open_store`.
    """
    if (database := _database(url)) is not None:
        from orchestrator.store.postgres import upgrade_postgres

        return None if upgrade_postgres(database) is None else Upgrade(None)
    path = _file(url, "upgraded")
    from orchestrator.store.migrate import upgrade_sqlite

    copy = upgrade_sqlite(path)
    return None if copy is None else Upgrade(copy)


def backup(url: str | Path | None, target: str | Path) -> Path:
    """Copy a store, which may be in use, as it is at one moment, into one new file.

    A file is copied into another such store; a database in PostgreSQL into an archive that ``pg_restore`` reads.

    Returns:
        Path of the copy.

    Raises:
        StoreUnreachable: there is no store, or the target exists or cannot be written.
        StoreError: PostgreSQL's ``pg_dump`` is missing, or fails.
    """
    copy = Path(target).expanduser().absolute()
    if (database := _database(url)) is not None:
        from orchestrator.store.postgres import dump_postgres

        dump_postgres(database, copy)
        return copy
    path = _file(url, "copied")
    from orchestrator.store.sqlite import copy_sqlite, prepare_path

    prepare_path(path, create=False)
    copy_sqlite(path, copy)
    return copy


def _database(url: str | Path | None) -> str | None:
    """Address of a database in PostgreSQL; ``None`` where it is another kind."""
    address = default_url() if url is None else url
    return address if isinstance(address, str) and is_postgres(address) else None


def _file(url: str | Path | None, what: str) -> Path:
    path = _path(url)
    if path is None:
        raise StoreError(f"a store in memory cannot be {what}.", field="store")
    return path


def _path(url: str | Path | None) -> Path | None:
    """Absolute path of a store's file; ``None`` for one in memory."""
    if url is None:
        url = default_url()
    if isinstance(url, str):
        if url in _MEMORY:
            return None
        scheme, found, rest = url.partition("://")
        if found and scheme != "sqlite":
            # never the address itself: it may hold a password
            raise StoreError(
                f"there are no stores of the kind {scheme!r}.",
                field="store",
                mend="Use sqlite:///PATH, a plain path, postgresql://USER@HOST:PORT/DATABASE, or memory:.",
            )
        if found and not rest.startswith("/"):
            raise StoreError(
                f"{url!r} names a computer, not a file.", field="store", mend="Write sqlite:/// with three slashes."
            )
        url = rest[1:] if found else url
    if not os.fspath(url).strip() or "\0" in os.fspath(url):
        raise StoreError(
            "the address of the store is empty or holds a NUL.", field="store", mend="Give a path, or sqlite:///PATH."
        )
    try:
        return Path(url).expanduser().absolute()
    except RuntimeError as error:  # no such user's home
        raise StoreError(f"the store {url} cannot be found: {error}.", field="store") from error
