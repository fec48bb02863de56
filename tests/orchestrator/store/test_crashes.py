"""Real processes that die, disks that fill, locks that are held: all that was written is there, nothing is half."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from orchestrator.errors import StoreFull, StoreLocked
from orchestrator.store import CampaignRecord, ExperimentRecord, Note, PutExperiment, open_store
from orchestrator.store.schema import REVISIONS
from orchestrator.store.sql import open_sqlite

DATA = Path(__file__).parent / "data"
WRITER = Path(__file__).with_name("killed_writer.py")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


def writer(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path) -> Path:
    """A store with an empty campaign."""
    path = tmp_path / "store.db"
    store = open_store(path, durable=False)
    store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    store.close()
    return path


def assert_whole(path: Path, batches: int) -> None:
    """The store holds exactly the first batches of killed_writer, each as a whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    store = open_store(path, create=False)
    assert [ask.number for ask in store.asks("c")] == list(range(1, batches + 1))
    experiments = store.experiments("c")
    assert [one.id for one in experiments] == list(range(1, 2 * batches + 1))
    states = [("completed" if ask < batches else "queued", "proposed") for ask in range(1, batches + 1)]
    assert [one.state for one in experiments] == [state for pair in states for state in pair]
    assert len(store.attempts("c")) == batches
    figures = [(row.experiment, row.value) for row in store.figures("c", ["fe_co"])]
    assert figures == [(2 * number - 1, 0.1 * (number + 1)) for number in range(1, batches)]
    notes = [record.why for record in store.events("c") if record.kind == "batch"]
    assert notes == [str(number) for number in range(1, batches + 1)]
    numbers = [record.sequence for record in store.events("c")]
    assert numbers == list(range(1, len(numbers) + 1))
    store.close()


@posix
def test_killed_at_every_statement_of_a_write(tmp_path):
    path = tmp_path / "store.db"
    process = writer("at_every_statement", path)
    lines = [json.loads(line) for line in process.communicate()[0].splitlines()]
    assert process.returncode == 0
    assert len(lines) > 20
    assert [line["killed"] for line in lines] == [True] * (len(lines) - 1) + [False]
    batches = 1
    for line in lines:
        assert line["check"] == "ok"
        grown = line["asks"] - batches
        batches = line["asks"]
        assert grown in (0, 1)
        assert (line["experiments"], line["attempts"]) == (2 * batches, batches)
        assert line["results"] == 2 * (batches - 1)
        assert line["events"] == 1 + 6 * batches - 1
    kept = [after["asks"] > before["asks"] for before, after in itertools.pairwise(lines)]
    assert kept == sorted(kept), "once a point is behind the commit, all later ones are"
    assert_whole(path, batches)


@posix
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_statements_of_an_upgrade(tmp_path, every):
    path = tmp_path / "store.db"
    shutil.copy(DATA / "schema_0001.db", path.with_suffix(".old"))
    process = writer("upgrade_at_statements", path, every)
    lines = [json.loads(line) for line in process.communicate()[0].splitlines()]
    assert process.returncode == 0
    assert len(lines) > 60 / every
    assert [line["killed"] for line in lines] == [True] * (len(lines) - 1) + [False]
    assert {line["check"] for line in lines} == {"ok"}
    versions = [line["version"] for line in lines]
    assert versions == sorted(versions), "once a point is behind the commit, all later ones are"
    assert set(versions) == {"0001", REVISIONS[-1]}
    figures = [
        [1, "fe_c2h4", 0.1, 0.01, None, "completed", "asked", "invalid", 1],
        [1, "t80", 3.0, None, "above", "completed", "asked", "invalid", 1],
    ]
    assert all(line["figures"] == figures for line in lines)  # whoever opens it next finishes the upgrade


@posix
def test_killed_at_any_moment(path):
    chance = random.Random(5)
    safe = 0
    for _ in range(6):
        process = writer("without_end", path)
        for _ in range(1 + chance.randrange(60)):
            safe = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split("\n")  # communicate() would pass over what readline() has buffered
        process.stdin.close()
        process.stdout.close()
        process.wait()
        whole = [int(line) for line in rest[:-1]]
        safe = whole[-1] if whole else safe
        store = open_store(path)
        present = len(store.asks("c"))
        store.close()
        # the last write may have been done without its writer having lived to say so
        assert present - safe in (0, 1)
        assert_whole(path, present)


def test_two_processes_claim_each_experiment_once(path):
    count = 150
    store = open_store(path, durable=False)
    changes = [PutExperiment(ExperimentRecord(id=id, state="queued"), None) for id in range(1, count + 1)]
    store.apply("c", changes, who="me")
    processes = [writer("claim", path, count) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    claimed = [json.loads(process.communicate()[0]) for process in processes]
    assert sorted(claimed[0] + claimed[1]) == list(range(1, count + 1))
    events = store.events("c")
    assert [record.sequence for record in events] == list(range(1, 2 * count + 2))
    by = {str(process.pid): mine for process, mine in zip(processes, claimed, strict=True)}
    for record in events[count + 1 :]:
        assert record.experiment in by[record.who]
    store.close()


def test_a_full_disk_loses_nothing_and_says_so(path, dump):
    store = open_sqlite(path, durable=False)
    pages = 0

    @event.listens_for(store._in.engine, "checkout")
    def limit(connection, _record, _proxy):
        connection.execute(f"PRAGMA max_page_count = {pages or 2**31}")

    big = "x" * 3000
    store.apply("c", [PutExperiment(ExperimentRecord(id=1, state="proposed", reason=big), None)], who="me")
    with closing(sqlite3.connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0] + 12
    written = 1
    with pytest.raises(StoreFull, match=r"store\.db cannot grow: the disk is full.*Free space and resume"):  # noqa: PT012
        while written < 1000:
            record = ExperimentRecord(id=written + 1, state="proposed", reason=big)
            store.apply("c", [Note("next", big), PutExperiment(record, None)], who="me")
            written += 1
    assert 1 < written < 1000
    before = dump(store)
    changes = [PutExperiment(ExperimentRecord(id=id, state="proposed", reason=big), None) for id in range(501, 600)]
    with pytest.raises(StoreFull):
        store.apply("c", changes, who="me")
    with pytest.raises(StoreFull):
        store.create(CampaignRecord(name="d", definition={"x": big * 100}, definition_hash=""))
    assert dump(store) == before
    assert [one.id for one in store.experiments("c")] == list(range(1, written + 1))
    pages = 0
    store.apply("c", changes, who="me")
    assert len(store.experiments("c")) == written + 99
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@posix
def test_a_limit_on_file_sizes_loses_nothing_and_says_so(path):
    process = writer("until_full", path, 400_000)
    said = json.loads(process.communicate()[0])
    assert process.returncode == 0
    assert said["error"] in ("StoreUnreachable", "StoreFull")
    assert str(path) in said["message"]
    assert said["written"] > 3
    assert_whole(path, said["written"])


def test_a_locked_store_is_waited_for_and_then_named(path, dump):
    store = open_sqlite(path, durable=False, timeout=0.05)
    before = dump(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match=r"store\.db is locked by another process.*Wait for that process"):
            store.apply("c", [Note("a", "b")], who="me")
        assert dump(store) == before, "reading goes on meanwhile"
        other.execute("ROLLBACK")
    store.apply("c", [Note("a", "b")], who="me")
    store.close()


def test_a_store_that_is_locked_for_reading_too(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreLocked, match="is locked by another process"):
            open_sqlite(path, timeout=0.05)
    open_sqlite(path, timeout=0.05).close()


def test_readers_see_whole_writes_only(path):
    store = open_store(path, durable=False)
    with store._in.engine.connect() as reader:
        count = "SELECT count(*) FROM experiments"
        assert reader.exec_driver_sql(count).scalar() == 0
        changes = [PutExperiment(ExperimentRecord(id=id, state="proposed"), None) for id in (1, 2, 3)]
        store.apply("c", changes, who="me")
        assert reader.exec_driver_sql(count).scalar() == 0
        reader.rollback()
        assert reader.exec_driver_sql(count).scalar() == 3
    store.close()
