from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store import CampaignRecord, MemoryStore, Owner, Store, schema
from orchestrator.store.migrate import SCRIPTS
from orchestrator.store.postgres import open_postgres
from orchestrator.store.sql import open_sqlite
from tests.postgres import PostgresServer

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


class ManualClock:
    """Stands still unless it is moved; wall and monotonic time move apart when somebody sets the wall clock."""

    def __init__(self) -> None:
        self.wall = START
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds

    def jump(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade():
    op.add_column("experiments", sa.Column("urgency", sa.Integer))
    {then}
"""

Opener = Callable[[Path, ManualClock], Store]
"""How to open a store, given a folder of its own (the same folder means the same store) and a clock."""


# Every store passes the same suite. A further one joins by a line here: how its opener is made of pytest's request.
BACKENDS: dict[str, Callable[[pytest.FixtureRequest], Opener]] = {
    "memory": lambda _: lambda _, clock: MemoryStore(clock=clock),
    "sqlite": lambda _: lambda folder, clock: open_sqlite(folder / "store.db", durable=False, clock=clock),
    "postgres": lambda request: request.getfixturevalue("open_database"),
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Name of a database that is a new store."""
    url = postgres_server.database()
    open_postgres(url).close()
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def emptied() -> list[str]:
    """Addresses of stores that were used and emptied: to make a database takes longer than most tests."""
    return []


@pytest.fixture
def open_database(postgres_server: PostgresServer, postgres_template: str, emptied: list[str]) -> Iterator[Opener]:
    """How to open stores in PostgreSQL, one for each folder."""
    urls: dict[Path, str] = {}

    def opened(folder: Path, clock: ManualClock) -> Store:
        if folder not in urls:
            urls[folder] = emptied.pop() if emptied else postgres_server.database(postgres_template)
        return open_postgres(urls[folder], clock=clock)

    yield opened
    tables = ", ".join(table.name for table in schema.metadata.sorted_tables if table is not schema.version)
    for url in urls.values():
        # the log's own trigger would refuse this
        postgres_server.execute(
            f"SET session_replication_role = replica; SET lock_timeout = '10s'; TRUNCATE {tables} RESTART IDENTITY",
            url.rpartition("/")[2],
        )
        emptied.append(url)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Opener:
    """How to open the store under test."""
    return BACKENDS[request.param](request)


@pytest.fixture
def shared(backend: Opener, request: pytest.FixtureRequest) -> bool:
    """Whether several computers may use the store under test."""
    return "open_database" in request.fixturenames


@pytest.fixture
def store(backend: Opener, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    """An empty store of every kind."""
    opened = backend(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def campaign(store: Store) -> CampaignRecord:
    """A campaign in the store."""
    record = CampaignRecord(
        name="alloys", definition={"space": {"low": 0.1}}, definition_hash="abc", seed=7, created=START, updated=START
    )
    store.create(record)
    return record


@pytest.fixture
def me() -> Owner:
    """This process."""
    return Owner.current()


@pytest.fixture(scope="session")
def dump() -> Callable[[Store], dict[str, Any]]:
    """Everything that a store says about its campaigns, as plain data."""

    def dumped(store: Store) -> dict[str, Any]:
        return {
            record.name: {
                "campaign": dataclasses.asdict(record),
                "asks": [dataclasses.asdict(ask) for ask in store.asks(record.name)],
                "experiments": [dataclasses.asdict(one) for one in store.experiments(record.name)],
                "attempts": [dataclasses.asdict(one) for one in store.attempts(record.name)],
                "events": [dataclasses.asdict(event) for event in store.events(record.name)],
                "counts": store.counts(record.name),
                "figures": store.figures(record.name, ["fe_co", "j_total"]),
                "experiment rows": store.experiment_rows(record.name),
                "values": store.values(record.name, ["fe_co"], ["completed", "failed"]),
                "tally": store.tally(record.name),
                "clock": store.clock(record.name),
            }
            for record in store.campaigns()
        }

    return dumped


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A release that has one more migration; its script may go on with other statements."""

    def release(then: str = "pass") -> None:
        scripts = tmp_path / "100% scripts"
        shutil.copytree(SCRIPTS, scripts)
        (scripts / "versions" / "r0003_next.py").write_text(NEXT.format(then=then))
        monkeypatch.setattr("orchestrator.store.migrate.SCRIPTS", scripts)
        monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "0003"))

    return release
