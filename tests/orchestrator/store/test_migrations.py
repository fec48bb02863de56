"""Schemas: the migrations make what the tables say, old stores open, nothing is lost on the way."""

from __future__ import annotations

import dataclasses
import json
import runpy
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store import (
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    Note,
    PutAttempt,
    PutExperiment,
    Value,
    open_store,
    schema,
    upgrade,
)
from orchestrator.store.migrate import SCRIPTS, make_schema, migrate
from orchestrator.store.sqlite import sqlite_engine

DATA = Path(__file__).parent / "data"
content = runpy.run_path(str(Path(__file__).with_name("make_store_file.py")))["content"]


def objects(path: Path) -> dict[str, str]:
    """Everything in the schema of a file: tables, indices, triggers; and its mark."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    normal = {name: sorted(part.strip() for part in " ".join(sql.split()).split(",")) for name, sql in found}
    return normal | {"mark": mark, "version": version}


def test_the_migrations_make_what_the_tables_say(tmp_path):
    for name, make in (("direct.db", make_schema), ("migrated.db", migrate)):
        engine = sqlite_engine(tmp_path / name, durable=False)
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            make(connection)
        engine.dispose()
    assert objects(tmp_path / "direct.db") == objects(tmp_path / "migrated.db")


def test_the_revisions_are_those_of_the_scripts():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(schema.REVISIONS)


def test_every_schema_has_its_file():
    assert sorted(path.stem for path in DATA.glob("*.db")) == [f"schema_{name}" for name in schema.REVISIONS]


@pytest.mark.parametrize("revision", schema.REVISIONS)
def test_stores_of_every_schema_open_with_all_they_hold(tmp_path, revision):
    path = tmp_path / "store.db"
    shutil.copy(DATA / f"schema_{revision}.db", path)
    kept = json.loads((DATA / f"schema_{revision}.json").read_text(encoding="utf-8"))
    store = open_store(path, create=False)
    assert_contains(content(store), kept)
    assert store.blob(kept["alloys"]["campaign"]["definition"]["space"]["pool"]).startswith(b"x_Cu,")
    store.apply("alloys", [Note("comment", "goes on")], who="me")
    store.close()


def assert_contains(found: object, kept: object) -> None:
    """Later records may have more fields, never other content."""
    if isinstance(kept, dict):
        for key, value in kept.items():
            assert_contains(found[key], value)
    elif isinstance(kept, list):
        assert len(found) == len(kept)
        for one, other in zip(found, kept, strict=True):
            assert_contains(one, other)
    else:
        assert found == kept


COPIES = {"experiments": {"gain", "cost"}, "attempts": {"clock_started", "duration"}}
"""Columns that schema 0002 added."""


def test_figures_costs_and_durations_come_from_the_documents(tmp_path, dump):
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    store = open_store(new, durable=False)
    for name, count in (("alloys", 700), ("plates", 3)):
        store.create(CampaignRecord(name=name, definition={}, definition_hash=""))
        store.apply(name, [change for id in range(1, count + 1) for change in life(id)], who="me")
    engine = sqlite_engine(old, durable=False)
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        migrate(connection, "0001")
    engine.dispose()
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("ATTACH ? AS old", (str(old),))
        for table in ("campaigns", "asks", "experiments", "attempts", "events"):
            columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            kept = ", ".join(f'"{column}"' for column in columns if column not in COPIES.get(table, ()))
            connection.execute(f"INSERT INTO old.{table} ({kept}) SELECT {kept} FROM main.{table}")
        connection.commit()
    upgraded = open_store(old, create=False)
    assert dump(upgraded) == dump(store)
    assert len(upgraded.figures("alloys", ["fe_co", "j_total"])) == 1050
    for one in (store, upgraded):
        one.close()


def life(id):
    """An experiment of which half have two figures, and its attempts."""
    values = {"fe_co": Value(0.1 * id, 0.01 if id % 3 else None, None if id % 5 else "below"), "t80": Value(None)}
    if id % 2:
        values["j_total"] = Value(-1 / 3)
    record = ExperimentRecord(id=id, state="proposed", gain=None if id % 2 else 0.1 * id, cost=40, origin="manual")
    attempt = AttemptRecord(experiment=id, number=1, cell="c1", clock_started=0.1 * id)
    ended = dataclasses.replace(
        attempt, state="finished", finished=attempt.started + timedelta(seconds=id, microseconds=7), duration=id / 3
    )
    return [
        PutExperiment(record, None),
        PutAttempt(attempt),
        *((PutAttempt(ended),) if id % 7 else ()),
        PutExperiment(dataclasses.replace(record, state="completed", values=values), "proposed"),
    ]


@pytest.fixture
def old_store(tmp_path) -> Path:
    path = tmp_path / "stores" / "store.db"
    store = open_store(path)
    store.create(CampaignRecord(name="alloys", definition={"a": 1}, definition_hash="h"))
    store.close()
    return path


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_an_older_store_is_upgraded_after_a_copy_was_made(old_store, next_release):
    next_release()
    store = open_store(old_store)
    assert store.campaign("alloys").definition == {"a": 1}
    store.close()
    (copy,) = old_store.parent.glob("store.db.schema-0002.*.backup")
    assert (version(old_store), version(copy)) == ("0003", "0002")
    with closing(sqlite3.connect(old_store)) as connection:
        assert "urgency" in {row[1] for row in connection.execute("PRAGMA table_info(experiments)")}
    open_store(old_store).close()
    assert upgrade(old_store) is None
    assert len(list(old_store.parent.glob("*.backup"))) == 1


def test_upgrade_by_hand_says_where_the_copy_is(old_store, next_release):
    next_release()
    done = upgrade(f"sqlite:///{old_store}")
    assert done is not None
    copy = done.copy
    assert copy is not None
    assert copy.parent == old_store.parent
    assert (version(old_store), version(copy)) == ("0003", "0002")


def test_a_migration_that_fails_leaves_the_store_as_it_was(old_store, next_release):
    next_release('op.execute("INSERT INTO nowhere VALUES (1)")')
    before = objects(old_store)
    with pytest.raises(StoreError, match="nowhere"):
        open_store(old_store)
    assert objects(old_store) == before


def test_a_store_in_memory_has_no_schema():
    with pytest.raises(StoreError, match="in memory cannot be upgraded"):
        upgrade("memory:")
