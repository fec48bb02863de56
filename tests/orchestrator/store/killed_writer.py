"""Programs that the crash tests run and kill. Usage: killed_writer.py PROGRAM STORE [...]."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from orchestrator.errors import StaleWrite, StoreError
from orchestrator.store import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    Change,
    ExperimentRecord,
    Note,
    PutAsk,
    PutAttempt,
    PutExperiment,
    Value,
    open_store,
)
from orchestrator.store.sql import SqlStore, open_sqlite


def batch(number: int) -> list[Change]:
    """Belongs together: an ask, two experiments with it, an attempt, a note, and a change of an older experiment."""
    changes: list[Change] = [
        PutAsk(AskRecord(number, 2)),
        PutExperiment(ExperimentRecord(id=2 * number - 1, state="queued", ask=number, reason="x" * 2000), None),
        PutExperiment(ExperimentRecord(id=2 * number, state="proposed", ask=number), None),
        PutAttempt(AttemptRecord(experiment=2 * number, number=1)),
        Note("batch", str(number)),
    ]
    if number > 1:
        values = {"fe_co": Value(0.1 * number), "fe_h2": Value(0.2, 0.01)}
        older = ExperimentRecord(id=2 * number - 3, state="completed", ask=number - 1, values=values)
        changes.append(PutExperiment(older, "queued"))
    return changes


def at_every_statement(path: Path) -> None:
    """For every statement of an apply: a process that is killed right before it, and one right after it."""
    store = open_sqlite(path)
    store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    store.apply("c", batch(1), who="me")
    store.close()
    point, number = 0, 2
    while True:
        child = os.fork()
        if child == 0:
            apply_and_die(path, number, point)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"point": point, "killed": killed, **look(path)}), flush=True)
        if not killed:
            return
        # what was committed before the kill must not be written again
        number = look(path)["asks"] + 1
        point += 1


def apply_and_die(path: Path, number: int, point: int) -> None:
    store = open_sqlite(path)
    assert isinstance(store, SqlStore)
    _die_at(store._in.engine, store._in.engine.pool, point)
    store.apply("c", batch(number), who="me")
    os._exit(0)


def _die_at(engine: Engine | type[Engine], pool: Pool | type[Pool], point: int) -> None:
    """Be killed before or after a statement: at so many moments from now."""
    seen = 0

    def step(*_: object) -> None:
        nonlocal seen
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    for moment in ("begin", "before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(engine, moment, step)
    event.listen(pool, "checkin", step)  # right after the commit


def upgrade_at_statements(path: Path, every: int) -> None:
    """For statements of an upgrade: a process that is killed right before it, and one right after it.

    Of these moments only every so manieth is taken. Each process finds the same old store, which lies beside the one that it upgrades.
    """
    import alembic.command  # noqa: F401  once, not in every child

    old = path.with_suffix(".old").read_bytes()
    for point in itertools.count(0, every):
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        path.write_bytes(old)
        child = os.fork()
        if child == 0:
            _die_at(Engine, Pool, point)
            open_sqlite(path)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        with closing(sqlite3.connect(path)) as connection:
            check = connection.execute("PRAGMA integrity_check").fetchone()[0]
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        store = open_sqlite(path, create=False)
        told = [list(row) for row in store.figures("alloys", ["fe_c2h4", "t80"])]
        store.close()
        found = {"check": check, "version": version, "figures": told}
        print(json.dumps({"point": point, "killed": killed, **found}), flush=True)
        if not killed:
            assert os.WIFEXITED(status)
            assert os.WEXITSTATUS(status) == 0
            return


def look(path: Path) -> dict[str, object]:
    """What the file says, by itself."""
    with closing(sqlite3.connect(path)) as connection:
        count = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("asks", "experiments", "attempts", "events", "results")
        }
        return {"check": connection.execute("PRAGMA integrity_check").fetchone()[0], **count}


def without_end(path: Path | str) -> None:
    """Write batches until killed, saying which one is safe."""
    store = open_store(path, durable=False)
    number = len(store.asks("c"))
    print(number, flush=True)
    while True:
        number += 1
        store.apply("c", batch(number), who="me")
        print(number, flush=True)


def claim(path: Path | str, count: int) -> None:
    """Take as many queued experiments as possible, against others who do the same."""
    store = open_store(path, durable=False)
    print("ready", flush=True)
    sys.stdin.readline()
    mine = []
    for id in range(1, count + 1):
        try:
            store.apply("c", [PutExperiment(ExperimentRecord(id=id, state="running"), "queued")], who=str(os.getpid()))
        except StaleWrite:
            continue
        mine.append(id)
    print(json.dumps(mine), flush=True)
    store.close()


def until_full(path: Path, size: int) -> None:
    """Write until a limit on the size of files stops it."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    store = open_store(path)
    number = len(store.asks("c"))
    try:
        while True:
            number += 1
            store.apply("c", batch(number), who="me")
    except StoreError as error:
        print(json.dumps({"written": number - 1, "error": type(error).__name__, "message": str(error)}), flush=True)


if __name__ == "__main__":
    programs = {
        "at_every_statement": at_every_statement,
        "upgrade_at_statements": upgrade_at_statements,
        "without_end": without_end,
        "claim": claim,
        "until_full": until_full,
    }
    where = sys.argv[2]
    programs[sys.argv[1]](where if "://" in where else Path(where), *map(int, sys.argv[3:]))
