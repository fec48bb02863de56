"""Addresses of stores, and everything that may be wrong with the file behind one."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import StoreDamaged, StoreError, StoreTooNew, StoreUnreachable
from orchestrator.store import (
    AskRecord,
    CampaignRecord,
    ExperimentRecord,
    MemoryStore,
    Note,
    PutAsk,
    PutExperiment,
    backup,
    default_url,
    open_store,
    upgrade,
)
from orchestrator.store import statements as sql
from orchestrator.store.sql import SqlStore, open_sqlite

RECORD = CampaignRecord(name="alloys", definition={"a": 0.1}, definition_hash="h")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_path_and_its_address_are_the_same_store(tmp_path):
    path = tmp_path / "new" / "folder" / "my %41 store?.db"
    store = open_store(path)
    store.create(RECORD)
    store.close()
    for address in (path, str(path), f"sqlite:///{path}", store.url):
        again = open_store(address, create=False)
        assert again.campaign("alloys") == RECORD
        assert again.url == store.url
        again.close()
    assert names(path.parent) == {path.name}


def test_a_relative_address_begins_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///a/b.db")
    store.close()
    assert (tmp_path / "a" / "b.db").is_file()
    assert store.url == f"sqlite:///{(tmp_path / 'a' / 'b.db').as_posix()}"


def test_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("~/b.db").close()
    assert (tmp_path / "b.db").is_file()


@pytest.mark.parametrize("address", ["memory:", ":memory:", "sqlite://"])
def test_memory(address):
    assert isinstance(open_store(address), MemoryStore)


def test_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SABATIER_STORE", raising=False)
    assert default_url() == "sqlite:///sabatier-data/sabatier.db"
    open_store(None).close()
    assert (tmp_path / "sabatier-data" / "sabatier.db").is_file()
    monkeypatch.setenv("SABATIER_STORE", "memory:")
    assert default_url() == "memory:"
    assert isinstance(open_store(None), MemoryStore)


def test_other_kinds_of_address_are_refused_without_their_password():
    with pytest.raises(StoreError, match="kind 'mysql'") as caught:
        open_store("mysql://ada:secret@host/db")
    assert "secret" not in str(caught.value)
    with pytest.raises(StoreError, match="three slashes"):
        open_store("sqlite://relative.db")
    with pytest.raises(StoreError, match="empty"):
        open_store(" ")


def test_a_store_that_must_exist(tmp_path):
    with pytest.raises(StoreUnreachable, match="there is no store at"):
        open_store(tmp_path / "a" / "b.db", create=False)
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreUnreachable, match="empty file"):
        open_store(tmp_path / "empty.db", create=False)
    assert names(tmp_path) == {"empty.db"}


def test_an_empty_file_becomes_a_store(tmp_path):
    """What a process leaves that is killed while it makes one."""
    (tmp_path / "empty.db").touch()
    store = open_store(tmp_path / "empty.db")
    assert store.campaigns() == []
    store.close()


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(StoreUnreachable, match=r"is a folder.*sabatier\.db"):
        open_store(tmp_path)


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        open_store(tmp_path / "file" / "store.db")


@pytest.mark.parametrize(
    "content", [b"name: my campaign\n" * 100, b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 4080]
)
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "campaign.yaml"
    path.write_bytes(content)
    with pytest.raises(StoreDamaged, match=r"campaign\.yaml.*not a store"):
        open_store(path)
    assert path.read_bytes() == content
    assert names(tmp_path) == {"campaign.yaml"}


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(StoreDamaged, match="another program"):
        open_store(path)
    assert path.read_bytes() == content


def test_a_newer_store_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "store.db"
    open_store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"newer release \(schema 0999.*Install that release"):
        open_store(path)
    with pytest.raises(StoreTooNew):
        upgrade(path)
    assert path.read_bytes() == content


def test_a_store_without_version_is_refused(tmp_path):
    path = tmp_path / "store.db"
    open_store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.commit()
    with pytest.raises(StoreDamaged, match="does not say which schema"):
        open_store(path)


def filled(path: Path, count: int = 200) -> None:
    store = open_store(path, durable=False)
    store.create(RECORD)
    changes = [
        PutExperiment(ExperimentRecord(id=id, state="proposed", reason="x" * 500), None) for id in range(1, count)
    ]
    store.apply("alloys", [PutAsk(AskRecord(1, count)), *changes], who="me")
    store.close()


@pytest.mark.parametrize("damage", ["overwritten", "cut off"])
def test_a_damaged_store_says_so(tmp_path, damage):
    path = tmp_path / "store.db"
    filled(path)
    with path.open("r+b") as file:
        if damage == "overwritten":
            file.seek(8192)
            file.write(os.urandom(path.stat().st_size - 8192))
        else:
            file.truncate(path.stat().st_size // 2)
    with pytest.raises(StoreDamaged, match=r"store\.db.*Restore it from a backup"):
        read_all(path)


def read_all(path: Path) -> None:
    store = open_store(path)
    try:
        store.experiments("alloys")
    finally:
        store.close()


def test_a_changed_content_is_noticed(tmp_path):
    import hashlib

    digest = hashlib.sha256(b"table").hexdigest()
    path = tmp_path / "store.db"
    store = open_store(path)
    store.create(RECORD, {digest: b"table"})
    assert store.blob(digest) == b"table"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE blobs SET content = ?", (b"tables",))
        connection.commit()
    with pytest.raises(StoreDamaged, match="has changed"):
        store.blob(digest)
    store.close()


def test_the_log_refuses_to_be_rewritten(tmp_path):
    path = tmp_path / "store.db"
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("UPDATE events SET who = 'x'", "DELETE FROM events", "DELETE FROM events WHERE sequence = 1"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_settings_of_every_connection(tmp_path, durable, level):
    store = open_store(tmp_path / "store.db", durable=durable)
    assert isinstance(store, SqlStore)
    with store._in.engine.connect() as one, store._in.engine.connect() as two:
        for connection in (one, two):
            settings = ("synchronous", "foreign_keys", "journal_mode", "busy_timeout")
            values = [connection.exec_driver_sql(f"PRAGMA {setting}").scalar() for setting in settings]
            assert values == [level, 1, "wal", 10_000]
    store.close()


def test_closing_leaves_one_file(tmp_path):
    filled(tmp_path / "store.db")
    assert names(tmp_path) == {"store.db"}


def test_a_new_store_is_opened_by_many_at_once(tmp_path):
    program = (
        "import sys; from orchestrator.store import *; print('ready', flush=True); input(); "
        "s = open_store(sys.argv[1]); "
        "s.create(CampaignRecord(name=sys.argv[2], definition={}, definition_hash='')); s.close()"
    )
    path = tmp_path / "folder" / "store.db"
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(path), f"c{n}"], stdin=-1, stdout=-1, stderr=-1, text=True)
        for n in range(4)
    ]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        assert child.communicate()[1] == ""
    store = open_store(path)
    assert sorted(record.name for record in store.campaigns()) == ["c0", "c1", "c2", "c3"]
    store.close()


UNPRIVILEGED = """
import os, sys
import psutil, sqlalchemy.dialects.sqlite
import orchestrator.store.sql
from orchestrator.errors import StoreError
from orchestrator.store import Note, open_store
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    store = open_store(sys.argv[1])
    store.apply("alloys", [Note("a", "b")], who="x")
except StoreError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
@pytest.mark.parametrize("case", ["folder", "file", "unreadable"])
def test_missing_rights_are_named(case):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "locked"
        folder.mkdir()
        path = folder / "store.db"
        if case != "folder":
            filled(path, 2)
            path.chmod(0o444 if case == "file" else 0o000)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(path)], capture_output=True, text=True, check=False, cwd=Path.cwd()
        )
        folder.chmod(stat.S_IRWXU)
    assert done.stderr == ""
    assert done.stdout.startswith("StoreUnreachable the store ")
    assert str(path) in done.stdout
    assert "rights" in done.stdout


class TestBackup:
    def test_a_store_in_use_is_copied_as_a_whole(self, tmp_path):
        path = tmp_path / "store.db"
        store = open_store(path)
        store.create(RECORD)
        copy = backup(path, tmp_path / "copies" / "copy.db")
        store.apply("alloys", [Note("later", "x")], who="me")
        assert names(copy.parent) == {"copy.db"}
        copied = open_store(copy, create=False)
        assert copied.campaign("alloys") == RECORD
        assert len(copied.events("alloys")) == 1
        copied.apply("alloys", [Note("on", "x")], who="me")
        copied.close()
        store.close()

    def test_nothing_is_overwritten(self, tmp_path):
        filled(tmp_path / "store.db", 2)
        (tmp_path / "copy.db").write_text("precious")
        with pytest.raises(StoreUnreachable, match="exists already"):
            backup(tmp_path / "store.db", tmp_path / "copy.db")
        assert (tmp_path / "copy.db").read_text() == "precious"

    def test_there_must_be_a_store(self, tmp_path):
        with pytest.raises(StoreUnreachable, match="there is no store"):
            backup(tmp_path / "store.db", tmp_path / "copy.db")
        with pytest.raises(StoreError, match="in memory cannot be copied"):
            backup("memory:", tmp_path / "copy.db")
        assert names(tmp_path) == set()

    def test_a_damaged_store_is_no_good_copy(self, tmp_path):
        path = tmp_path / "store.db"
        filled(path)
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(os.urandom(path.stat().st_size - 8192))
        with pytest.raises(StoreDamaged):
            backup(path, tmp_path / "copy.db")
        assert names(tmp_path) == {"store.db"}

    def test_the_target_must_be_writable(self, tmp_path):
        filled(tmp_path / "store.db", 2)
        (tmp_path / "file").write_text("x")
        with pytest.raises(StoreUnreachable, match="cannot be written"):
            backup(tmp_path / "store.db", tmp_path / "file" / "copy.db")


def test_the_package_is_light():
    """The command line loads it for --help."""
    program = (
        "import sys, orchestrator.store; print([m for m in ('sqlalchemy', 'alembic', 'psutil') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_opening_a_store_does_not_load_alembic(tmp_path):
    program = "import sys, orchestrator.store as s; s.open_store(sys.argv[1]); print('alembic' in sys.modules)"
    for _ in ("new", "old"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "s.db")], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"


def test_open_sqlite_is_what_open_store_does(tmp_path):
    store = open_sqlite(tmp_path / "s.db")
    assert store.url == f"sqlite:///{(tmp_path / 's.db').as_posix()}"
    store.close()


def test_counting_reads_an_index_only(tmp_path):
    """What ``status`` asks stays fast however large the documents are."""
    filled(tmp_path / "s.db", 2)
    store = open_sqlite(tmp_path / "s.db")
    query = str(sql.COUNTS.compile(store._in.engine))
    with store._in.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (1,)).all()
    assert [row[-1] for row in plan] == [
        "SEARCH experiments USING COVERING INDEX ix_experiments_campaign_state_origin_verdict_cost (campaign=?)"
    ]
    store.close()
