"""What the database does for a write or a small question does not depend on how long the campaign is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event

from orchestrator.store import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    Note,
    Owner,
    PutAsk,
    PutAttempt,
    PutExperiment,
    Value,
)
from orchestrator.store.sql import SqlStore, open_sqlite


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A store with a short campaign, and one with a long one."""
    folder = tmp_path_factory.mktemp("stores")
    paths = folder / "short.db", folder / "long.db"
    for path, count in zip(paths, (30, 300), strict=True):
        store = open_sqlite(path, durable=False)
        store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
        live(store, 1, count)
        store.apply("c", [Note("rare", "once")], who="me")
        store.close()
    return paths


def steps(path: Path, work: Callable[[SqlStore], object]) -> int:
    """Instructions of SQLite's virtual machine: a measure of work without a clock."""
    store = open_sqlite(path, durable=False)
    count = 0

    def one() -> None:
        nonlocal count
        count += 1

    @event.listens_for(store._in.engine, "checkout")
    def _count(connection, _record, _proxy) -> None:
        connection.set_progress_handler(one, 1)

    work(store)
    store.close()
    return count


def live(store: SqlStore, first: int, last: int) -> None:
    """Lives of experiments: each an ask, an attempt and three figures."""
    for id in range(first, last + 1):
        record = ExperimentRecord(id=id, state="queued", ask=id, asked={"a": 0.1 * id})
        done = ExperimentRecord(
            id=id, state="completed", ask=id, asked={"a": 0.1 * id}, told=id, values={m: Value(1.0 / id) for m in "xyz"}
        )
        store.apply("c", [PutAsk(AskRecord(id, 1)), PutExperiment(record, None)], who="me")
        running = ExperimentRecord(id=id, state="running", ask=id, asked={"a": 0.1 * id})
        store.apply(
            "c", [PutExperiment(running, "queued"), PutAttempt(AttemptRecord(experiment=id, number=1))], who="me"
        )
        store.apply("c", [PutExperiment(done, "running"), Note("comment", "done")], who="me")


def test_no_write_grows_with_the_campaign(files):
    short, long = (
        steps(path, partial(live, first=last + 1, last=last + 3)) for path, last in zip(files, (30, 300), strict=True)
    )
    assert 0 < long <= 1.2 * short


@pytest.mark.parametrize(
    "question",
    [
        lambda store: store.last_event("c"),
        lambda store: store.campaign("c"),
        lambda store: store.holder("c"),
        lambda store: store.experiment("c", 7),
        lambda store: store.experiments("c", ids=[3, 7]),
        lambda store: store.experiments("c", states=("running", "proposed")),
        lambda store: store.attempts("c", 7),
        lambda store: store.attempts("c", states=("finished", "failed")),
        lambda store: store.attempts("c", newest=5),
        lambda store: store.events("c", after=store.last_event("c") - 3),
        lambda store: store.events("c", kinds=("rare",)),
        lambda store: store.events("c", kinds=("comment",), limit=1, newest=True),
        lambda store: store.events("c", experiment=7),
        lambda store: store.events("c", experiment=7, kinds=("attempt",), limit=2),
        lambda store: store.release(store.renew(store.acquire("c", Owner.current()))),
    ],
)
def test_no_small_question_grows_with_the_campaign(files, question):
    short, long = (steps(path, question) for path in files)
    assert 0 < long <= 1.2 * short
