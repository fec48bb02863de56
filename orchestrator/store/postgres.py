"""Stores in PostgreSQL: their connections, how a database becomes one, its upgrade and its backup."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine

from orchestrator.errors import StoreDamaged, StoreError, StoreLocked, StoreUnreachable
from orchestrator.store import schema
from orchestrator.store.address import Address, address, driver, parts_of, remember, without_secrets
from orchestrator.store.faults import translated
from orchestrator.store.leases import Clock
from orchestrator.store.migrate import make_schema, migrate, stored_revision
from orchestrator.store.repeating import PATIENCE, RepeatingTransactions
from orchestrator.store.sql import SqlStore

_MARK: Final = "Sabatier store"
_PREPARING: Final = 0x53616261
"""Key of the advisory lock under which a database is given its tables."""

_WAITS: Final = 10
"""Seconds for which a statement waits for a lock, a thread for a connection, and the server for an idle writer."""

_SETTINGS: Final = {
    "connect_timeout": str(_WAITS),
    "application_name": "sabatier",
    # a server that vanished without a word is noticed
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def open_postgres(
    url: str, *, durable: bool = True, create: bool = True, clock: Clock | None = None, patience: float = PATIENCE
) -> SqlStore:
    """Open a store in PostgreSQL, see :func:`orchestrator.store.open_store`.

    Args:
        url: address of the database.
        durable: commits wait for the server's disk, even where the server is set not to.
        create: whether an empty database may be given its tables.
        clock: what events and leases take their times from; by default the database's.
        patience: for how many seconds work is tried again while the server is away.
    """
    place = address(url)
    engine = postgres_engine(place, durable=durable)
    try:
        prepare_postgres(engine, place.shown, create=create)
    except BaseException:
        engine.dispose()
        raise
    remember(place)
    return SqlStore(RepeatingTransactions(engine, place.shown, clock, patience), place.shown)


def postgres_engine(place: Address, *, durable: bool = True) -> Engine:
    """An engine for a database; nothing is opened yet.

    Two processes, each with a connection for each of some twenty threads, stay under a server's usual hundred.
    """
    psycopg = driver()
    said = parts_of(place.conninfo)
    missing = {key: value for key, value in _SETTINGS.items() if key not in said}
    # times come back as they were written, also those near the ends of the calendar
    settings = (
        f"SET TIME ZONE 'UTC'; SET lock_timeout = '{_WAITS}s'; SET idle_in_transaction_session_timeout = '{_WAITS}s'"
    )
    if durable:
        settings += (
            "; SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )

    def connect() -> Any:
        connection = psycopg.connect(place.conninfo, autocommit=True, **missing)
        connection.execute(settings)
        connection.autocommit = False
        return connection

    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        isolation_level="READ COMMITTED",
        use_native_hstore=False,  # saves a question for each connection
        pool_size=5,
        max_overflow=15,
        pool_timeout=_WAITS,
    )


def prepare_postgres(engine: Engine, where: str, *, create: bool, upgrade: bool = False) -> str | None:
    """Give an empty database its tables, or check those it has.

    Args:
        engine: of the database.
        where: how messages call it.
        create: whether tables may be made.
        upgrade: whether an older schema may be changed: others may be at work with it, so somebody has to say so.

    Returns:
        The older schema that was upgraded, if one was.

    Raises:
        StoreDamaged: the database is another program's.
        StoreTooNew: a newer release wrote it.
        StoreLocked: it is to be upgraded, and others are at work with it.
        StoreError: it has an older schema, and is not to be upgraded.
        StoreUnreachable: it has no tables, and none are to be made.
    """
    with translated(where), engine.begin() as connection:
        if _revision(connection, where) == schema.REVISIONS[-1]:
            return None
        # it ends with the transaction; whoever comes second finds the work done
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PREPARING})")
        revision = _revision(connection, where)
        if revision is None:
            if not create:
                raise StoreUnreachable(
                    f"the database {where} has no store.",
                    field="store",
                    mend="Check its name, or run a campaign in it.",
                )
            make_schema(connection)
            connection.exec_driver_sql(f"COMMENT ON TABLE {schema.version.name} IS '{_MARK}'")
        elif revision != schema.REVISIONS[-1]:
            if not upgrade:
                raise StoreError(
                    f"the store {where} has the older schema {revision}.",
                    field="store",
                    mend="End the processes that use it, make a backup, and run `sabatier store upgrade`.",
                )
            _refuse_company(connection, where)
            migrate(connection)
            return revision
    return None


def upgrade_postgres(url: str) -> str | None:
    """Give a database the newest schema; the older one that it had, if it was not the newest."""
    place = address(url)
    engine = postgres_engine(place)
    try:
        return prepare_postgres(engine, place.shown, create=False, upgrade=True)
    finally:
        engine.dispose()


def dump_postgres(url: str, target: Path) -> None:
    """Copy a store, which may be in use, as it is at one moment, with the server's own ``pg_dump``.

    Raises:
        StoreUnreachable: there is no store, or the target exists or cannot be written.
        StoreError: ``pg_dump`` is missing, or fails.
    """
    place = address(url)
    engine = postgres_engine(place)
    try:
        prepare_postgres(engine, place.shown, create=False)
    finally:
        engine.dispose()
    program = shutil.which("pg_dump")
    if program is None:
        raise StoreError(
            "a store in PostgreSQL is copied by pg_dump, which is not installed here.",
            field="store",
            mend="Install PostgreSQL's client programs (Debian: postgresql-client), or run pg_dump on the server.",
        )
    if target.exists():
        raise StoreUnreachable(f"{target} exists already.", field="target", mend="Choose another name.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch(0o600)
        _run_pg_dump(program, place, part)
        part.replace(target)
    except OSError as error:
        raise StoreUnreachable(
            f"the backup {target} cannot be written: {error.strerror or error}.", field="target"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _run_pg_dump(program: str, place: Address, target: Path) -> None:
    from psycopg.conninfo import make_conninfo

    parts = parts_of(place.conninfo)
    harmless = without_secrets(parts)
    # command lines are seen by everybody on this computer, environments are not
    secret = {"PGPASSWORD": parts["password"]} if "password" in parts else {}
    command = [program, "--format=custom", "--no-password", f"--file={target}"]
    done = subprocess.run(  # noqa: S603  PostgreSQL's own program, no shell
        [*command, f"--dbname={make_conninfo('', **harmless)}"],
        env={**os.environ, **secret},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StoreError(
            f"the store {place.shown} was not copied: {' '.join(done.stderr.split())}",
            field="store",
            mend="pg_dump must be of the server's release or a newer one.",
        )


def _revision(connection: Connection, where: str) -> str | None:
    """The schema of a store. The mark comes first: many programs keep a table of this name with their own numbers."""
    name = schema.version.name
    found, mark = connection.exec_driver_sql(
        f"SELECT to_regclass('{name}') IS NOT NULL, obj_description(to_regclass('{name}'), 'pg_class')"
    ).one()
    if found and mark != _MARK:
        raise StoreDamaged(
            f"the database {where} belongs to another program.",
            field="store",
            mend="Make a database of its own for the store (createdb).",
        )
    return stored_revision(connection, where)


def _refuse_company(connection: Connection, where: str) -> None:
    """Processes of the older release would go on to write as if nothing had happened."""
    others = connection.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND application_name = current_setting('application_name')"
    ).scalar_one()
    if others:
        raise StoreLocked(
            f"the store {where} is in use ({others} connections), and cannot be upgraded.",
            field="store",
            mend="End the processes that use it first.",
        )
