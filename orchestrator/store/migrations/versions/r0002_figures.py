"""Figures, costs and durations as columns: whoever looks at a long campaign need not read its documents. Frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.Float(53)
AT_ONCE: Final = 500
"""So many rows are read and written together."""

EXPERIMENTS = sa.table(
    "experiments",
    *map(sa.column, ("campaign", "id", "state", "origin", "verdict", "told", "gain", "cost", "document")),
)
ATTEMPTS = sa.table(
    "attempts",
    *map(sa.column, ("campaign", "experiment", "number", "clock_started", "duration", "document")),
)
SAID = ("state", "origin", "verdict", "told")
RESULTS = sa.table("results", *map(sa.column, ("campaign", "metric", "experiment", "value", "sem", "censored", *SAID)))


def upgrade() -> None:
    """Add what is read often, with the content that the documents have."""
    # in the order in which the log is read, else SQLite reads all of it for the order's sake
    op.drop_index("ix_events_campaign_experiment", "events")
    for column in ("kind", "experiment"):
        _index("events", column, "sequence")
    for column in ("gain", "cost"):
        op.add_column("experiments", sa.Column(column, NUMBER))
    for column in ("clock_started", "duration"):
        op.add_column("attempts", sa.Column(column, NUMBER))
    # with all that is counted, so that counting reads no more than the index
    for table, columns in (("experiments", ("origin", "verdict", "cost")), ("attempts", ("clock_started", "duration"))):
        op.drop_index(f"ix_{table}_campaign_state", table)
        _index(table, "state", *columns)
    op.create_table(
        "results",
        sa.Column("campaign", sa.Integer, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("experiment", sa.Integer, nullable=False),
        sa.Column("value", NUMBER, nullable=False),
        sa.Column("sem", NUMBER),
        sa.Column("censored", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("told", sa.Integer),
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


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_campaign_{'_'.join(columns)}", table, ["campaign", *columns])


def _copy_experiments(bind: sa.Connection) -> None:
    table = EXPERIMENTS
    key = (table.c.campaign, table.c.id)
    change = (
        sa.update(table)
        .where(table.c.campaign == sa.bindparam("of"), table.c.id == sa.bindparam("one"))
        .values(gain=sa.bindparam("gain"), cost=sa.bindparam("cost"))
    )
    said = [table.c[name] for name in SAID]
    for rows in _parts(bind, sa.select(*key, *said, table.c.document), key):
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
                    **{name: getattr(row, name) for name in SAID},
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
    names = ("clock_started", "duration")
    change = (
        sa.update(table)
        .where(
            *(column == sa.bindparam(name) for column, name in zip(key, ("of", "one", "two"), strict=True)),
        )
        .values({name: sa.bindparam(name) for name in names})
    )
    for rows in _parts(bind, sa.select(*key, table.c.document), key):
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
                }
            )
        bind.execute(change, changes)


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
