"""PostgreSQL servers that die, connections that break, several processes: what was written is there once, or not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from orchestrator.errors import LeaseHeld, StoreUnreachable
from orchestrator.store import CampaignRecord, ExperimentRecord, Note, PutExperiment
from orchestrator.store.postgres import open_postgres
from tests.cutting import Cutter

from .killed_writer import batch

WRITER = Path(__file__).with_name("killed_writer.py")


@pytest.fixture
def server(postgres_server):
    """The server; it runs again afterwards, whatever the test did to it."""
    yield postgres_server
    postgres_server.ensure()


@pytest.fixture
def url(server, postgres_template):
    """Address of a store with an empty campaign."""
    url = server.database(postgres_template)
    store = open_postgres(url)
    store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    store.close()
    yield url
    server.ensure()
    server.drop(url)


@pytest.fixture
def cutter(server):
    cutter = Cutter(server.port)
    yield cutter
    cutter.close()


@pytest.fixture
def far(url, server, cutter):
    """The store behind the cutter."""
    store = open_postgres(url.replace(str(server.port), str(cutter.port)))
    yield store
    store.close()


def waiting(server):
    """Wait until a connection waits for another's lock."""
    server.until("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


WORKS = {
    "apply": lambda store, me: store.apply("c", [Note("a", "b"), Note("a", "c")], who="me"),
    "create": lambda store, me: store.create(CampaignRecord(name="d", definition={}, definition_hash="")),
    "acquire": lambda store, me: store.acquire("c", me),
    "hold": lambda store, me: store.hold("device", "bench/gc", me),
}


def everything(store, dump, me):
    """What is in a store; times aside, it is the same however often something was tried."""
    content = dump(store)
    logs = {name: [(e["sequence"], e["kind"], e["why"]) for e in one["events"]] for name, one in content.items()}
    return logs, [(held.kind, held.name, held.token) for held in store.held()]


class TestCommits:
    """Whether a commit was lost or only its answer: its work is done once."""

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        "work", ["apply", "hold", *(pytest.param(w, marks=pytest.mark.soak) for w in ("create", "acquire"))]
    )
    def test_a_lost_commit(self, far, cutter, me, dump, work, when, server, postgres_template):
        reference = open_postgres(server.database(postgres_template))
        reference.create(CampaignRecord(name="c", definition={}, definition_hash=""))
        WORKS[work](reference, me)
        cutter.cut(when)
        WORKS[work](far, me)
        assert cutter.spent
        assert everything(far, dump, me) == everything(reference, dump, me)
        reference.close()
        server.drop(reference.url)

    @pytest.mark.parametrize("work", WORKS)
    def test_a_commit_that_arrives_while_it_is_looked_for(self, far, cutter, me, dump, work, server):
        if work in ("hold", "acquire"):
            far.drop(far.hold("device", "bench/gc", me))
            far.release(far.acquire("c", me))
        before = everything(far, dump, me)[0]["c"]
        cutter.cut("late")
        with ThreadPoolExecutor() as pool:
            done = pool.submit(WORKS[work], far, me)
            waiting(server)
            cutter.deliver()
            done.result()
        logs, held = everything(far, dump, me)
        grown = len(logs["c"]) - len(before)
        assert (grown, len(logs), [one[2] for one in held]) == {
            "apply": (2, 1, []),
            "create": (0, 2, []),
            "acquire": (1, 1, [2]),
            "hold": (0, 1, [2]),
        }[work]

    def test_what_was_given_is_held(self, far, cutter, me):
        cutter.cut("after")
        lease = far.acquire("c", me)
        far.apply("c", [Note("a", "b")], who="me", token=lease.token)
        with pytest.raises(LeaseHeld):
            far.acquire("c", me)
        cutter.cut("after")
        hold = far.hold("rig", "bench", me)
        far.check(hold)
        cutter.cut("after")
        far.renew(lease)
        cutter.cut("after")
        far.drop(far.keep(hold))
        cutter.cut("after")
        far.release(lease)
        assert far.held() == []
        assert [e.why for e in far.events("c", kinds=["lease"])] == ["acquired", "released"]


class TestKilledServers:
    def test_in_the_middle_of_a_transaction(self, url, server):
        store = open_postgres(url)
        with psycopg.connect(url) as other, ThreadPoolExecutor() as pool:
            other.execute("SELECT 1 FROM campaigns FOR UPDATE")
            done = pool.submit(store.apply, "c", batch(1), who="me")
            waiting(server)
            server.kill()
            server.start()
            assert done.result() == 1 + len(batch(1))
            other.close()
        whole(store, 1)
        store.close()

    @pytest.mark.soak
    def test_between_two_writes_and_two_reads(self, url, server):
        store = open_postgres(url)
        store.apply("c", batch(1), who="me")
        server.kill()
        server.start()
        whole(store, 1)
        server.kill()
        server.start()
        store.apply("c", batch(2), who="me")
        whole(store, 2)
        store.close()

    def test_a_server_that_stays_away_is_named(self, url, server, me):
        store = open_postgres(url, patience=0.3)
        lease = store.acquire("c", me)
        server.kill()
        for work in (
            lambda: store.apply("c", batch(1), who="me"),
            lambda: store.last_event("c"),
            lambda: store.renew(lease),
            lambda: open_postgres(url),
        ):
            with pytest.raises(StoreUnreachable, match=r"Check the (address|server)"):
                work()
        server.start()
        store.apply("c", batch(1), who="me", token=lease.token)
        whole(store, 1)
        store.close()

    def test_a_server_that_stays_away_in_a_commit(self, far, cutter, server):
        cutter.cut("before")
        cutter.on_cut = server.kill
        far._in._patience = 0.3
        with pytest.raises(StoreUnreachable, match="may or may not be there"):
            far.apply("c", batch(1), who="me")

    @pytest.mark.soak
    @pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
    def test_at_every_statement_of_a_write(self, url, server, moment):
        store = open_postgres(url)
        store.apply("c", batch(1), who="me")
        seen, point, number = 0, 0, 1

        def crash(*_: object) -> None:
            nonlocal seen
            if seen == point:
                server.kill()
                server.start()
            seen += 1

        event.listen(store._in.engine, moment, crash)
        while seen >= point:
            seen, number = 0, number + 1
            store.apply("c", batch(number), who="me")
            point += 1
        assert number >= (3 if moment == "commit" else 10)
        whole(store, number)
        store.close()


def whole(store, batches):
    """The store holds exactly the first batches of killed_writer, each as a whole."""
    assert [ask.number for ask in store.asks("c")] == list(range(1, batches + 1))
    assert [one.id for one in store.experiments("c")] == list(range(1, 2 * batches + 1))
    assert len(store.attempts("c")) == batches
    assert [record.why for record in store.events("c", kinds=["batch"])] == [str(n) for n in range(1, batches + 1)]
    numbers = [record.sequence for record in store.events("c")]
    assert numbers == list(range(1, len(numbers) + 1))


def writer(*arguments):
    command = [sys.executable, str(WRITER), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class TestProcesses:
    def test_a_killed_writer_leaves_nothing_half(self, url):
        process = writer("without_end", url)
        for _ in range(20):
            safe = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split("\n")
        process.stdin.close()
        process.stdout.close()
        process.wait()
        safe = max([safe, *(int(line) for line in rest[:-1])])
        store = open_postgres(url)
        batches = len(store.asks("c"))
        assert batches in (safe, safe + 1)
        whole(store, batches)
        store.close()

    def test_two_processes_claim_each_experiment_once(self, url):
        count = 40
        store = open_postgres(url)
        store.apply(
            "c", [PutExperiment(ExperimentRecord(id=id, state="queued"), None) for id in range(1, count + 1)], who="me"
        )
        processes = [writer("claim", url, count) for _ in range(2)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        claimed = [json.loads(process.communicate()[0]) for process in processes]
        assert sorted(claimed[0] + claimed[1]) == list(range(1, count + 1))
        assert [record.sequence for record in store.events("c")] == list(range(1, 2 * count + 2))
        store.close()

    def test_threads_want_the_same_thing_that_nobody_had(self, url, me):
        store = open_postgres(url)
        got, barrier = [], threading.Barrier(6)

        def work(_):
            barrier.wait()
            try:
                got.append(store.hold("device", "bench/gc", me))
            except LeaseHeld:
                return
            store.check(got[-1])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        assert len(got) == 1
        store.close()
