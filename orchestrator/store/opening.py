"""Stores by their addresses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from orchestrator.errors import StoreError
from orchestrator.store.memory import MemoryStore
from orchestrator.store.protocol import Store

DEFAULT_PATH: Final = Path("sabatier-data") / "sabatier.db"
_MEMORY: Final = frozenset({"memory:", ":memory:", "sqlite://", "sqlite:///:memory:"})


def default_url() -> str:
    """Where the store is if nobody says: ``SABATIER_STORE``, else a file below the current folder."""
    return os.environ.get("SABATIER_STORE") or f"sqlite:///{DEFAULT_PATH.as_posix()}"


def open_store(url: str | Path | None, *, durable: bool = True, create: bool = True) -> Store:
    """Open a store; make it, and its folder, where there is none. An older one is upgraded, after a copy was made.

    Args:
        url: ``sqlite:///path``, a plain path, ``memory:``, or ``None`` for :func:`default_url`.
        durable: a write survives even a loss of power (an SQLite store waits for the disk every time). Without, the
            last writes before a loss of power may be missing, never half; a killed process loses none either way.
        create: whether a store may be made.

    Raises:
        NetworkFileSystem: the path is on one.
        StoreUnreachable: there is none and none is to be made, or it may not be opened.
        StoreDamaged: the file is no store.
        StoreTooNew: a newer release wrote it.
        StoreError: the address means nothing.
    """
    path = _path(url)
    if path is None:
        return MemoryStore()
    from orchestrator.store.sql import open_sqlite

    return open_sqlite(path, durable=durable, create=create)


def upgrade(url: str | Path | None) -> Path | None:
    """Give a store the newest schema.

    Returns:
        Path of the copy made before, or ``None`` if the schema was the newest already.

    Raises:
        StoreError: as of :func:`open_store`.
    """
    path = _file(url, "upgraded")
    from orchestrator.store.migrate import upgrade_sqlite

    return upgrade_sqlite(path)


def backup(url: str | Path | None, target: str | Path) -> Path:
    """Copy a store, which may be in use, as it is at one moment, into one new file.

    Returns:
        Path of the copy.

    Raises:
        StoreUnreachable: there is no store, or the target exists or cannot be written.
    """
    path = _file(url, "copied")
    from orchestrator.store.sqlite import copy_sqlite, prepare_path

    prepare_path(path, create=False)
    copy = Path(target).expanduser().absolute()
    copy_sqlite(path, copy)
    return copy


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
                mend="Use sqlite:///PATH, a plain path, or memory:.",
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
