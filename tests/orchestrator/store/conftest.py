from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store import CampaignRecord, MemoryStore, Owner, Store
from orchestrator.store.sql import open_sqlite

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


# Every store passes the same suite. A further one joins by a line here: how to open it, given a folder of its own
# (the same folder means the same store) and a clock.
BACKENDS: dict[str, Callable[[Path, ManualClock], Store]] = {
    "memory": lambda folder, clock: MemoryStore(clock=clock),
    "sqlite": lambda folder, clock: open_sqlite(folder / "store.db", durable=False, clock=clock),
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Callable[[Path, ManualClock], Store]:
    """How to open the store under test."""
    return BACKENDS[request.param]


@pytest.fixture
def store(backend: Callable[[Path, ManualClock], Store], tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
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
                "attempt rows": store.attempt_rows(record.name),
            }
            for record in store.campaigns()
        }

    return dumped
