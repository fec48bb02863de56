"""The tables, as they are in the newest schema. Older ones become this by :mod:`orchestrator.store.migrations`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.types import TypeDecorator

REVISIONS: Final[tuple[str, ...]] = ("0001", "0002")
"""Every schema there ever was, oldest first; the last is the one of this module."""

APPLICATION_ID: Final = 0x53616261
"""Marks an SQLite file as a store (in its header, where ``file`` and SQLite find it)."""


class Moment(TypeDecorator[datetime]):
    """An aware time, kept in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite keeps no zones."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

campaigns = Table(
    "campaigns",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("started", Moment),
    Column("finished", Moment),
    # writers lock the campaign's row; events are numbered under that lock, so that none appears behind a later one
    Column("last_event", Integer, nullable=False),
    Column("document", Text, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

asks = Table(
    "asks",
    metadata,
    Column("campaign", Integer, ForeignKey("campaigns.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("requested", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("document", Text, nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    Column("campaign", Integer, ForeignKey("campaigns.key"), primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("ask", Integer),
    Column("told", Integer),
    Column("sample", Text),
    Column("verdict", Text),
    Column("failure_cause", Text),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    # copies of what the document says, for reads that do without it
    Column("gain", Float(53)),
    Column("cost", Float(53)),
    Column("document", Text, nullable=False),
    ForeignKeyConstraint(["campaign", "ask"], ["asks.campaign", "asks.number"]),
    Index(None, "campaign", "state", "origin", "verdict", "cost"),
    Index(None, "campaign", "ask"),
    Index(None, "campaign", "told"),
)

results = Table(
    "results",
    metadata,
    # copies of what experiments say, in the order in which they are read: one metric of all experiments
    Column("campaign", Integer, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("experiment", Integer, primary_key=True),
    Column("value", Float(53), nullable=False),
    Column("sem", Float(53)),
    Column("censored", Text),
    Column("state", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("verdict", Text),
    Column("told", Integer),
    ForeignKeyConstraint(["campaign", "experiment"], ["experiments.campaign", "experiments.id"]),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("campaign", Integer, primary_key=True),
    Column("experiment", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("cell", Text, nullable=False),
    Column("sample", Text),
    Column("started", Moment, nullable=False),
    Column("finished", Moment),
    Column("digest", Text),
    # copies of what the document says
    Column("clock_started", Float(53)),
    Column("duration", Float(53)),
    Column("document", Text, nullable=False),
    ForeignKeyConstraint(["campaign", "experiment"], ["experiments.campaign", "experiments.id"]),
    Index(None, "campaign", "state", "clock_started", "duration"),
)

events = Table(
    "events",
    metadata,
    Column("campaign", Integer, ForeignKey("campaigns.key"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("experiment", Integer),
    Column("before", Text),
    Column("after", Text),
    Column("document", Text, nullable=False),
    Index(None, "campaign", "experiment", "sequence"),
    Index(None, "campaign", "kind", "sequence"),
)

leases = Table(
    "leases",
    metadata,
    # what is leased: campaigns, and whatever else several processes want
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("token", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("deadline", Float(53), nullable=False),
    Column("document", Text, nullable=False),
)

version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

APPEND_ONLY: Final[tuple[str, ...]] = tuple(
    f"CREATE TRIGGER events_refuse_{verb.lower()} BEFORE {verb} ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    for verb in ("UPDATE", "DELETE")
)
"""SQLite's triggers that keep the log as it was written."""

for _statement in (*APPEND_ONLY, f"PRAGMA application_id = {APPLICATION_ID}"):
    _only_sqlite = DDL(_statement).execute_if(dialect="sqlite")  # type: ignore[no-untyped-call]
    event.listen(events, "after_create", _only_sqlite)

POSTGRES_APPEND_ONLY: Final[tuple[str, ...]] = (
    "CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RAISE EXCEPTION ''events are append-only''; END'",
    "CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
    "FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()",
)
"""PostgreSQL's."""

for _statement in POSTGRES_APPEND_ONLY:
    _only_postgres = DDL(_statement).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    event.listen(events, "after_create", _only_postgres)
