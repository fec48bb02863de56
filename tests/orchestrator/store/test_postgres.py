"""Stores in PostgreSQL: addresses, databases of others, schemas, clocks. What every store does is tested elsewhere."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from orchestrator.errors import (
    LeaseHeld,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreTooNew,
    StoreUnreachable,
    UnstorableValue,
)
from orchestrator.store import CampaignRecord, ExperimentRecord, Note, Owner, PutExperiment, backup, open_store, upgrade
from orchestrator.store import schema as tables
from orchestrator.store.address import address
from orchestrator.store.migrate import make_schema, migrate
from orchestrator.store.postgres import open_postgres, postgres_engine
from tests.postgres import GUARDED, program

RECORD = CampaignRecord(name="alloys", definition={"a": 0.1}, definition_hash="h")
PASSWORD = "a pass:w@rd/ü"
QUOTED = "a%20pass%3Aw%40rd%2F%C3%BC"


def query(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def alloys(postgres_server, postgres_template):
    """Address of a store with one campaign."""
    url = postgres_server.database(postgres_template)
    store = open_store(url)
    store.create(RECORD)
    store.close()
    yield url
    postgres_server.drop(url)


class TestAddresses:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("postgresql://ada@db.lab:5433/co2", "postgresql://ada@db.lab:5433/co2"),
            ("postgres://ada:secret@db.lab/co2", "postgresql://ada@db.lab/co2"),
            ("postgresql://db/co2?user=ada&password=secret", "postgresql://ada@db/co2"),
            ("postgresql://ada:secret@[::1]:5433/co2", "postgresql://ada@/co2?host=%3A%3A1&port=5433"),
            ("postgresql://ada:secret@a:1,b:2/co2", "postgresql://ada@/co2?host=a%2Cb&port=1%2C2"),
            ("postgresql:///co2?host=/run/postgresql", "postgresql:///co2?host=%2Frun%2Fpostgresql"),
            ("postgresql://?service=lab&sslpassword=secret", "postgresql:///?service=lab"),
            ("postgresql://a%20b:secret@h/c%2Fd?passfile=/x%20y", "postgresql://a%20b@h/c%2Fd?passfile=%2Fx%20y"),
        ],
    )
    def test_secrets_are_not_shown_and_what_is_shown_is_an_address(self, url, shown):
        place = address(url)
        assert place.shown == shown
        assert "secret" not in repr(place)
        assert ("secret" in place.conninfo) == ("secret" in url)
        again = address(shown)
        assert again.shown == shown
        assert "password" not in again.conninfo

    def test_what_cannot_be_read_is_refused_without_repeating_it(self):
        with pytest.raises(StoreError, match="cannot be read") as caught:
            open_store("postgresql://ada:secret@host/db?nonsense=1")
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_a_missing_driver_is_one_sentence(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(StoreError, match=r"psycopg, which is not installed\. Install it: pip install"):
            open_store("postgresql://host/db")

    def test_nobody_answers(self):
        with pytest.raises(StoreUnreachable, match=r"postgresql://ada@127\.0\.0\.1:9/co2 cannot be reached.*server"):
            open_store("postgresql://ada:secret@127.0.0.1:9/co2")


class TestPasswords:
    @pytest.fixture
    def guarded(self, postgres_server, postgres_url):
        """Address, without its password, of a database whose owner needs one."""
        name = postgres_url.rpartition("/")[2]
        if not postgres_server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{GUARDED}'"):
            postgres_server.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
        postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {GUARDED}")
        return f"postgresql://{GUARDED}@127.0.0.1:{postgres_server.port}/{name}"

    def test_the_address_without_password_opens_the_store_again(self, guarded, tmp_path):
        with_password = guarded.replace("@", f":{QUOTED}@")
        store = open_store(with_password)
        assert store.url == guarded
        store.create(RECORD)
        open_store(store.url, create=False).close()
        program = (
            "import sys; from orchestrator.store import open_store; print(open_store(sys.argv[1]).campaigns()[0].name)"
        )
        environment = os.environ | {"SABATIER_STORE": with_password}
        command = [sys.executable, "-c", program, store.url]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == "alloys\n"
        copy = backup(store.url, tmp_path / "copy.dump")
        assert copy.stat().st_mode & 0o077 == 0
        store.close()

    def test_a_wrong_password_is_not_repeated(self, guarded):
        with pytest.raises(StoreUnreachable, match=r"may not be opened.*Check the user and the password") as caught:
            open_store(guarded.replace("@", ":wrong@"))
        assert "wrong" not in str(caught.value)

    def test_libpqs_own_ways_work(self, guarded, tmp_path, monkeypatch):
        with pytest.raises(StoreUnreachable, match="may not be opened"):
            open_store(f"{guarded}?application_name=x")
        with monkeypatch.context() as context:
            context.setenv("PGPASSWORD", PASSWORD)
            open_store(f"{guarded}?application_name=x").close()
        file = tmp_path / "passwords"
        file.write_text(f"127.0.0.1:*:*:{GUARDED}:{PASSWORD.replace(':', chr(92) + ':')}\n")
        file.chmod(0o600)
        with monkeypatch.context() as context:
            context.setenv("PGPASSFILE", str(file))
            open_store(f"{guarded}?application_name=y").close()
        services = tmp_path / "services"
        host, port = guarded.partition("@")[2].partition("/")[0].split(":")
        name = guarded.rpartition("/")[2]
        services.write_text(f"[lab]\nhost={host}\nport={port}\nuser={GUARDED}\ndbname={name}\npassword={PASSWORD}\n")
        with monkeypatch.context() as context:
            context.setenv("PGSERVICEFILE", str(services))
            store = open_store("postgresql://?service=lab")
            assert store.url == "postgresql:///?service=lab"
            store.close()

    def test_missing_rights_are_named(self, guarded, postgres_server, postgres_url):
        name = postgres_url.rpartition("/")[2]
        postgres_server.execute(f"ALTER DATABASE {name} OWNER TO sabatier")
        with pytest.raises(StoreUnreachable, match=r"may not be written.*Give the user the rights"):
            open_store(guarded.replace("@", f":{QUOTED}@"))


class TestDatabases:
    def test_the_database_must_exist(self, postgres_url):
        with pytest.raises(StoreUnreachable, match=r"no_such_one does not exist.*createdb"):
            open_store(postgres_url.rpartition("/")[0] + "/no_such_one")

    def test_a_store_that_must_exist(self, postgres_url):
        with pytest.raises(StoreUnreachable, match="has no store"):
            open_store(postgres_url, create=False)
        assert query(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]

    @pytest.mark.parametrize("name", ["alembic_version", "campaigns"])
    def test_another_programs_database_is_refused_and_left_alone(self, postgres_url, name):
        query(postgres_url, f"CREATE TABLE {name} (version_num TEXT)")
        query(postgres_url, f"INSERT INTO {name} VALUES ('0001')")
        with pytest.raises(StoreDamaged, match="another program"):
            open_store(postgres_url)
        assert query(postgres_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [(name,)]

    def test_a_newer_store_is_refused(self, alloys):
        query(alloys, "UPDATE alembic_version SET version_num = '0999'")
        for use in (open_store, upgrade):
            with pytest.raises(StoreTooNew, match="schema 0999"):
                use(alloys)

    def test_the_log_refuses_to_be_rewritten(self, alloys):
        for statement in ("UPDATE events SET who = 'x'", "DELETE FROM events", "TRUNCATE events CASCADE"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                query(alloys, statement)

    def test_a_new_store_is_opened_by_many_at_once(self, postgres_url):
        broken = []

        def work(number):
            try:
                store = open_store(postgres_url)
                store.create(dataclasses.replace(RECORD, name=f"c{number}"))
                store.close()
            except StoreError as error:
                broken.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not broken
        store = open_store(postgres_url)
        assert sorted(record.name for record in store.campaigns()) == [f"c{number}" for number in range(6)]
        store.close()

    def test_ids_beyond_what_is_kept(self, alloys):
        store = open_store(alloys)
        assert store.experiments("alloys", ids=[2**40]) == []
        assert store.events("alloys", after=2**40) == []
        assert len(store.events("alloys", limit=2**40)) == 1
        with pytest.raises(UnstorableValue, match="as large"):
            store.apply("alloys", [PutExperiment(ExperimentRecord(id=2**40, state="proposed"), None)], who="me")
        store.close()

    def test_durable_stores_wait_for_the_disk(self, alloys, postgres_server):
        postgres_server.execute(f"ALTER DATABASE {alloys.rpartition('/')[2]} SET synchronous_commit = off")
        for durable, setting in ((True, "on"), (False, "off")):
            store = open_postgres(alloys, durable=durable)
            with store._in.engine.connect() as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == setting
                assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
                assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "10s"
            store.close()


class TestBackups:
    def test_a_copy_can_be_restored(self, alloys, postgres_server, tmp_path):
        store = open_store(alloys)
        copy = backup(alloys, tmp_path / "new" / "copy.dump")
        store.apply("alloys", [Note("later", "x")], who="me")
        store.close()
        assert [path.name for path in copy.parent.iterdir()] == ["copy.dump"]
        other = postgres_server.database()
        restore = program("pg_restore")
        assert restore is not None
        subprocess.run([restore, "--no-owner", f"--dbname={other}", str(copy)], check=True, capture_output=True)
        restored = open_store(other, create=False)
        assert restored.campaign("alloys") == RECORD
        assert len(restored.events("alloys")) == 1
        restored.apply("alloys", [Note("on", "x")], who="me")
        restored.close()
        postgres_server.drop(other)

    def test_nothing_is_overwritten(self, alloys, tmp_path):
        (tmp_path / "copy").write_text("precious")
        with pytest.raises(StoreUnreachable, match="exists already"):
            backup(alloys, tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == "precious"

    def test_pg_dump_is_needed(self, alloys, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StoreError, match=r"pg_dump, which is not installed here.*postgresql-client"):
            backup(alloys, tmp_path / "copy")
        assert list(tmp_path.iterdir()) == []


class TestSchemas:
    def objects(self, url):
        """Everything in the schema of a database."""
        columns = "table_name, column_name, data_type, is_nullable, column_default, character_maximum_length"
        return (
            query(url, f"SELECT {columns} FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"),
            query(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
            query(url, "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2"),
            query(url, "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"),
            query(url, "SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"),
            query(url, "SELECT version_num FROM alembic_version"),
        )

    def test_the_migrations_make_what_the_tables_say(self, postgres_server):
        found = []
        for make in (make_schema, migrate):
            url = postgres_server.database()
            engine = postgres_engine(address(url))
            with engine.begin() as connection:
                make(connection)
            engine.dispose()
            found.append(self.objects(url))
            postgres_server.drop(url)
        assert found[0] == found[1]
        assert len(found[0][3]) == 1

    @pytest.fixture
    def older(self, alloys, next_release):
        """A store that is older than the release."""
        next_release()
        return alloys

    def test_an_older_store_is_upgraded_by_a_persons_word(self, older):
        with pytest.raises(StoreError, match=r"older schema.*sabatier store upgrade"):
            open_store(older)
        done = upgrade(older)
        assert done is not None
        assert done.copy is None
        assert query(older, "SELECT version_num FROM alembic_version") == [(tables.REVISIONS[-1],)]
        assert upgrade(older) is None
        store = open_store(older)
        assert store.campaign("alloys") == RECORD
        store.close()

    def test_nothing_is_upgraded_while_others_are_at_work(self, alloys, next_release):
        store = open_store(alloys)
        next_release()
        with pytest.raises(StoreLocked, match=r"in use \(1 connections\).*End the processes"):
            upgrade(alloys)
        store.close()

    def test_a_migration_that_fails_leaves_the_store_as_it_was(self, alloys, next_release):
        next_release('op.execute("INSERT INTO nowhere VALUES (1)")')
        before = self.objects(alloys)
        with pytest.raises(StoreError, match="nowhere"):
            upgrade(alloys)
        assert self.objects(alloys) == before


class TestClocks:
    def test_times_are_the_databases(self, alloys, me):
        store = open_store(alloys)
        before = query(alloys, "SELECT clock_timestamp()")[0][0]
        store.apply("alloys", [Note("a", "b")], who="me")
        lease = store.acquire("alloys", me, ttl=30)
        after = query(alloys, "SELECT clock_timestamp()")[0][0]
        for moment in (store.events("alloys")[1].time, lease.expires - timedelta(seconds=30)):
            assert before < moment < after
            assert moment.tzinfo is UTC
        assert datetime.now(UTC) - after < timedelta(seconds=5), "one computer in this test"
        store.close()

    def test_a_dead_owner_here_is_superseded_at_once_another_by_expiry(self, alloys, me):
        store = open_store(alloys)
        gone = dataclasses.replace(me, process_started=me.process_started - 100)
        store.acquire("alloys", gone, ttl=3600)
        assert store.holder("alloys") is None
        assert store.acquire("alloys", Owner("elsewhere", 1, 2.0, "boot", "ada"), ttl=0.2).token == 2
        with pytest.raises(LeaseHeld, match="ada on elsewhere"):
            store.acquire("alloys", me)
        query(alloys, "SELECT pg_sleep(0.21)")
        assert store.holder("alloys") is None
        assert store.acquire("alloys", me).token == 3
        store.close()

    def test_whoever_looks_at_many_leases_looks_at_the_clock_once(self, alloys):
        from sqlalchemy import event

        store, said = open_store(alloys), []
        for number in range(5):
            store.hold("device", f"bench/{number}", Owner("elsewhere", number, 2.0, "boot", "ada"))
        event.listen(store._in.engine, "before_cursor_execute", lambda *a: said.append(a[2]))
        assert len(store.held("device")) == 5
        assert sum("clock_timestamp" in statement for statement in said) == 1
        assert len(said) == 2
        store.close()


def test_sixty_four_threads_write_at_once(alloys):
    """More than there are connections: they wait for each other, and nothing is lost."""
    store = open_store(alloys)

    def work(number):
        for _ in range(3):
            store.apply("alloys", [Note("cell", str(number))], who="me")
            store.last_event("alloys")

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    events = store.events("alloys")
    assert [event.sequence for event in events] == list(range(1, 2 + 3 * 64))
    assert sorted(event.why for event in events[1:]) == sorted(str(number) for number in range(64) for _ in range(3))
    store.close()


class TestFaults:
    """What the server says becomes one of the store's own errors; the server is made to say it."""

    @pytest.mark.parametrize(
        ("code", "kind", "words"),
        [
            ("53100", StoreFull, "disk is full"),
            ("53400", StoreError, "failed"),
            ("XX001", StoreDamaged, "is damaged"),
            ("25006", StoreUnreachable, "may not be written"),
            ("55P03", StoreLocked, "is locked"),
        ],
    )
    def test_errors_of_the_server(self, alloys, code, kind, words, caplog):
        self.raising(alloys, f"RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '{code}'")
        store = open_store(alloys)
        with pytest.raises(kind, match=f"{words}.*as the test wants it") as caught:
            store.apply("alloys", [Note("a", "b")], who="me")
        assert type(caught.value) is kind
        assert len(store.events("alloys")) == 1
        with pytest.raises(kind, match=words):
            store.apply("alloys", [Note("a", "b"), Note("a", "c")], who="me")
        assert caplog.records == []
        store.close()

    @pytest.mark.parametrize("code", ["40001", "40P01", "23505"])
    def test_who_is_in_the_way_is_waited_for(self, alloys, code):
        query(alloys, "CREATE SEQUENCE tries")
        self.raising(alloys, f"IF nextval('tries') < 4 THEN RAISE EXCEPTION 'again' USING ERRCODE = '{code}'; END IF")
        store = open_store(alloys)
        store.apply("alloys", [Note("a", "b")], who="me")
        assert query(alloys, "SELECT last_value FROM tries") == [(4,)]
        assert len(store.events("alloys")) == 2
        store.close()

    def test_somebody_who_stays_in_the_way_is_named(self, alloys):
        self.raising(alloys, "RAISE EXCEPTION 'again' USING ERRCODE = '40001'")
        store = open_postgres(alloys, patience=0.1)
        with pytest.raises(StoreLocked, match=r"written by others at the same time.*Try again"):
            store.apply("alloys", [Note("a", "b")], who="me")
        store.close()

    def test_a_lock_is_waited_for_and_then_named(self, alloys):
        from sqlalchemy import event

        store = open_postgres(alloys)

        @event.listens_for(store._in.engine, "checkout")
        def impatient(connection, _record, _proxy):
            connection.execute("SET lock_timeout = '50ms'")
            connection.commit()

        with psycopg.connect(alloys) as other:
            other.execute("SELECT 1 FROM campaigns FOR UPDATE")
            with pytest.raises(StoreLocked, match="is locked by another process"):
                store.apply("alloys", [Note("a", "b")], who="me")
            assert len(store.events("alloys")) == 1, "reading goes on meanwhile"
        store.apply("alloys", [Note("a", "b")], who="me")
        store.close()

    def raising(self, url, statement):
        """Let the server do something at every new event."""
        query(
            url, f"CREATE FUNCTION raising() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {statement}; RETURN NEW; END$$"
        )
        query(url, "CREATE TRIGGER raising BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION raising()")


def test_opening_a_store_loads_neither_alembic_nor_the_driver_too_early():
    code = "import sys, orchestrator.store; print([m for m in ('psycopg', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "[]\n"
