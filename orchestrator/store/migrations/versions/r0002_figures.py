"""Figures, costs and durations as columns: whoever looks at a long campaign need not read its documents. Frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.Float(53)
TIME = sa.DateTime(timezone=True)
AT_ONCE: Final = 500
"""So many rows are read and written together."""

EXPERIMENTS = sa.table(
    "experiments",
    *map(sa.column, ("campaign", "id", "gain", "cost", "document")),
)
ATTEMPTS = sa.table(
    "attempts",
    *map(sa.column, ("campaign", "experiment", "number", "clock_started", "duration", "wall", "document")),
    sa.column("started", TIME),
    sa.column("finished", TIME),
)
RESULTS = sa.table("results", *map(sa.column, ("campaign", "metric", "experiment", "value", "sem", "censored")))


def upgrade() -> None:
    """Add what is read often, with the content that the documents have."""
    # in the order in which the log is read, else SQLite reads all of it for the order's sake
    op.drop_index("ix_events_campaign_experiment", "events")
    for column in ("kind", "experiment"):
        op.create_index(f"ix_events_campaign_{column}_sequence", "events", ["campaign", column, "sequence"])
    for column in ("gain", "cost"):
        op.add_column("experiments", sa.Column(column, NUMBER))
    for column in ("clock_started", "duration", "wall"):
        op.add_column("attempts", sa.Column(column, NUMBER))
    op.create_table(
        "results",
        sa.Column("campaign", sa.Integer, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("experiment", sa.Integer, nullable=False),
        sa.Column("value", NUMBER, nullable=False),
        sa.Column("sem", NUMBER),
        sa.Column("censored", sa.Text),
        sa.PrimaryKeyConstraint("campaign", "metric", "experiment", name="pk_results"),
        sa.ForeignKeyConstraint(
            ["campaign", "experiment"],
            ["experiments.campaign", "experiments.id"],
            name="fk_results_campaign_experiment",
        ),
        sqlite_with_rowid=False,
    )
    _copy_experiments(op.get_bind())
    _copy_attempts(op.get_bind())


def _copy_experiments(bind: sa.Connection) -> None:
    table = EXPERIMENTS
    key = (table.c.campaign, table.c.id)
    change = (
        sa.update(table)
        .where(table.c.campaign == sa.bindparam("of"), table.c.id == sa.bindparam("one"))
        .values(gain=sa.bindparam("gain"), cost=sa.bindparam("cost"))
    )
    for rows in _parts(bind, sa.select(*key, table.c.document), key):
        changes, results = [], []
        for row in rows:
            content = json.loads(row.document)
            changes.append(
                {"of": row.campaign, "one": row.id, "gain": content.get("gain"), "cost": content.get("cost")}
            )
            results += [
                {
                    "campaign": row.campaign,
                    "metric": metric,
                    "experiment": row.id,
                    "value": value["value"],
                    "sem": value.get("sem"),
                    "censored": value.get("censored"),
                }
                for metric, value in content["values"].items()
                if value["value"] is not None
            ]
        bind.execute(change, changes)
        if results:
            bind.execute(sa.insert(RESULTS), results)


def _copy_attempts(bind: sa.Connection) -> None:
    table = ATTEMPTS
    key = (table.c.campaign, table.c.experiment, table.c.number)
    names = ("clock_started", "duration", "wall")
    change = (
        sa.update(table)
        .where(
            *(column == sa.bindparam(name) for column, name in zip(key, ("of", "one", "two"), strict=True)),
        )
        .values({name: sa.bindparam(name) for name in names})
    )
    for rows in _parts(bind, sa.select(*key, table.c.started, table.c.finished, table.c.document), key):
        changes = []
        for row in rows:
            content = json.loads(row.document)
            changes.append(
                {
                    "of": row.campaign,
                    "one": row.experiment,
                    "two": row.number,
                    "clock_started": content["clock_started"],
                    "duration": content["duration"],
                    "wall": _passed(row.started, row.finished),
                }
            )
        bind.execute(change, changes)


def _passed(started: datetime, finished: datetime | None) -> float | None:
    return None if finished is None else (finished - started).total_seconds()


def _parts(bind: sa.Connection, statement: sa.Select[Any], key: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Rows in the order of their key, some at a time; none is read while others are written."""
    behind = None
    while True:
        where: list[Any] = [] if behind is None else [sa.tuple_(*key) > sa.tuple_(*behind)]
        rows = list(bind.execute(statement.where(*where).order_by(*key).limit(AT_ONCE)))
        if not rows:
            return
        yield rows
        behind = tuple(rows[-1])[: len(key)]
