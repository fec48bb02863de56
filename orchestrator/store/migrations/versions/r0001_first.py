"""The first schema. Frozen: this is what stores of that age look like, whatever the present schema is."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make all tables."""
    _campaigns()
    _experiments()
    _events()
    op.create_table(
        "leases",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("expires", TIME, nullable=False),
        sa.Column("deadline", sa.Float(53), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_leases"),
    )


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("definition_hash", sa.Text, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("updated", TIME, nullable=False),
        sa.Column("started", TIME),
        sa.Column("finished", TIME),
        sa.Column("last_event", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_campaigns"),
        sa.UniqueConstraint("name", name="uq_campaigns_name"),
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
    )
    op.create_table(
        "asks",
        sa.Column("campaign", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("requested", sa.Integer, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "number", name="pk_asks"),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.key"], name="fk_asks_campaign"),
    )


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("campaign", sa.Integer, nullable=False),
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("ask", sa.Integer),
        sa.Column("told", sa.Integer),
        sa.Column("sample", sa.Text),
        sa.Column("verdict", sa.Text),
        sa.Column("failure_cause", sa.Text),
        sa.Column("created", TIME, nullable=False),
        sa.Column("updated", TIME, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "id", name="pk_experiments"),
        sa.ForeignKeyConstraint(
            ["campaign", "ask"], ["asks.campaign", "asks.number"], name="fk_experiments_campaign_ask"
        ),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.key"], name="fk_experiments_campaign"),
    )
    for column in ("state", "ask", "told"):
        op.create_index(f"ix_experiments_campaign_{column}", "experiments", ["campaign", column])
    op.create_table(
        "attempts",
        sa.Column("campaign", sa.Integer, nullable=False),
        sa.Column("experiment", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cell", sa.Text, nullable=False),
        sa.Column("sample", sa.Text),
        sa.Column("started", TIME, nullable=False),
        sa.Column("finished", TIME),
        sa.Column("digest", sa.Text),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "experiment", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["campaign", "experiment"],
            ["experiments.campaign", "experiments.id"],
            name="fk_attempts_campaign_experiment",
        ),
    )
    op.create_index("ix_attempts_campaign_state", "attempts", ["campaign", "state"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("campaign", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("time", TIME, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("experiment", sa.Integer),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "sequence", name="pk_events"),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.key"], name="fk_events_campaign"),
    )
    op.create_index("ix_events_campaign_experiment", "events", ["campaign", "experiment"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''events are append-only''; END'"
        )
        op.execute(
            "CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
            "FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()"
        )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER events_refuse_{verb.lower()} BEFORE {verb} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
        op.execute(f"PRAGMA application_id = {0x53616261}")
