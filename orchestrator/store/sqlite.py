"""SQLite files: opening them with the right settings, and copying them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from orchestrator.errors import StoreError, StoreUnreachable
from orchestrator.store.faults import translated
from orchestrator.store.filesystem import refuse_network

BUSY_TIMEOUT: Final = 10.0
"""Seconds for which a write waits for another process's."""


def sqlite_engine(path: Path, *, durable: bool, timeout: float = BUSY_TIMEOUT) -> Engine:
    """An engine for a file; nothing is opened yet.

    Writers say so with the execution option ``write``, and get the write lock at once: a transaction that begins by
    reading could not get it later if another has written meanwhile.
    """
    engine = create_engine(
        URL.create("sqlite", database=os.fspath(path)),
        connect_args={"timeout": timeout, "check_same_thread": False, "isolation_level": None},
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 1000")  # about 4 MB
        connection.execute("PRAGMA journal_size_limit = 16777216")  # what a long reader let grow is cut back

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def prepare_path(path: Path, *, create: bool) -> bool:
    """Check where a store is to be, and make its folder if it may be made; whether the file exists.

    Raises:
        NetworkFileSystem: it would be on one.
        StoreUnreachable: it does not exist and is not to be made, or the folder cannot be.
    """
    refuse_network(path)
    try:
        if path.is_dir():
            raise StoreUnreachable(
                f"{path} is a folder.", field="store", mend=f"Give a file, such as {path / 'sabatier.db'}."
            )
        if path.exists():
            return True
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            return False
    except OSError as error:
        raise StoreUnreachable(
            f"the store {path} cannot be reached: {error.strerror or error}.",
            field="store",
            mend="Give another path (--store, or SABATIER_STORE), or mend the rights on its folder.",
        ) from error
    raise StoreUnreachable(
        f"there is no store at {path}.", field="store", mend="Check the path (--store, or SABATIER_STORE)."
    )


def use_wal(engine: Engine, timeout: float = BUSY_TIMEOUT) -> None:
    """Let readers and a writer work side by side. The file remembers it.

    The change needs the file for itself for a moment, and SQLite does not wait for that by itself.
    """
    deadline = time.monotonic() + timeout
    with closing(engine.raw_connection()) as connection:
        driver: Any = connection.driver_connection
        while True:
            try:
                mode = driver.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                break
    if mode != "wal":
        raise StoreError(
            f"the store {engine.url.database} cannot use a write-ahead log here (it says {mode!r}).",
            field="store",
            mend="Give a path on a local disk.",
        )


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a store that may be in use, as it is at one moment, into one complete file.

    Raises:
        StoreUnreachable: the target exists, or cannot be written.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.exists():
            raise StoreUnreachable(f"{target} exists already.", field="target", mend="Choose another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with translated(f"{source} (being copied to {target})"):
                _copy(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnreachable(
            f"the backup {target} cannot be written: {error.strerror or error}.", field="target"
        ) from error


def _copy(source: Path, target: Path) -> None:
    address = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode = DELETE")  # no files beside it
        problem = writing.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(f"{source} is damaged: {problem}")
