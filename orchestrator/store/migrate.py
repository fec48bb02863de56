"""Which schema a store has, and how it gets the newest one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, select

from orchestrator.errors import StoreDamaged, StoreTooNew, StoreUnreachable
from orchestrator.store import schema
from orchestrator.store.faults import translated
from orchestrator.store.sqlite import copy_sqlite, prepare_path, sqlite_engine, use_wal

SCRIPTS: Final = Path(__file__).parent / "migrations"


def stored_revision(connection: Connection, where: str) -> str | None:
    """The schema that a store has; ``None`` if it is new and has no tables at all.

    Raises:
        StoreDamaged: the database is another program's, or lost its version.
        StoreTooNew: this release does not know the schema.
    """
    tables = _tables(connection)
    if not tables:
        return None
    marked = connection.dialect.name != "sqlite" or _application_id(connection) == schema.APPLICATION_ID
    if not marked or schema.version.name not in tables:
        raise StoreDamaged(
            f"{where} is a database of another program.", field="store", mend="Give another path for the store."
        )
    revision = connection.scalar(select(schema.version.c.version_num))
    if revision is None:
        raise StoreDamaged(
            f"the store {where} does not say which schema it has.", field="store", mend="Restore it from a backup."
        )
    if revision not in schema.REVISIONS:
        raise StoreTooNew(
            f"the store {where} was written by a newer release (schema {revision}; this one knows "
            f"{schema.REVISIONS[-1]}).",
            field="store",
            mend="Install that release, or give another store.",
        )
    return str(revision)


def make_schema(connection: Connection) -> None:
    """The newest schema in an empty database: what all migrations together would make, without their cost."""
    schema.metadata.create_all(connection, checkfirst=False)
    connection.execute(schema.version.insert(), {"version_num": schema.REVISIONS[-1]})


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run, within the connection's transaction, every migration that the database has not had yet.

    Args:
        connection: to the database.
        revision: the last schema that is wanted, by default the newest.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", os.fspath(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def prepare_sqlite(engine: Engine, path: Path, *, create: bool) -> Path | None:
    """Give a file the newest schema; an old one is copied first. The path of the copy, if one was made.

    Raises:
        StoreError: it cannot be opened, is no store, or is too new.
    """
    where = os.fspath(path)
    with translated(where):
        with engine.connect() as connection:
            revision = stored_revision(connection, where)
        if revision == schema.REVISIONS[-1]:
            use_wal(engine)
            return None
        if revision is None and not create:
            raise StoreUnreachable(f"{where} is an empty file.", field="store", mend="Check the path of the store.")
        saved = None
        if revision is not None:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            saved = path.with_name(f"{path.name}.schema-{revision}.{stamp}.backup")
            copy_sqlite(path, saved)
        use_wal(engine)
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            # another process may have been faster
            revision = stored_revision(connection, where)
            if revision is None:
                make_schema(connection)
            elif revision != schema.REVISIONS[-1]:
                migrate(connection)
    return saved


def upgrade_sqlite(path: Path) -> Path | None:
    """Give an existing file the newest schema; the path of the copy that was made before, if it was an old one."""
    prepare_path(path, create=False)
    engine = sqlite_engine(path, durable=True)
    try:
        return prepare_sqlite(engine, path, create=False)
    finally:
        engine.dispose()


def _tables(connection: Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {row[0] for row in rows}
    return set(inspect(connection).get_table_names())


def _application_id(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA application_id").scalar_one())
