"""A store in an SQL database."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, Select

from orchestrator.errors import StoreError
from orchestrator.store import codec, leases
from orchestrator.store import statements as sql
from orchestrator.store.changes import Change
from orchestrator.store.codec import Row
from orchestrator.store.creation import (
    campaign_exists,
    campaign_rows,
    check_blobs,
    unknown_campaign,
    unknown_experiment,
    verified_blob,
)
from orchestrator.store.faults import translated
from orchestrator.store.leases import CAMPAIGN, Clock, SystemClock, Terms
from orchestrator.store.migrate import prepare_sqlite
from orchestrator.store.planning import Kept, Plan, plan
from orchestrator.store.records import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    EventRecord,
    ExperimentRecord,
    ExperimentState,
    Hold,
    Lease,
    Owner,
)
from orchestrator.store.sqlite import BUSY_TIMEOUT, prepare_path, sqlite_engine
from orchestrator.store.states import EXPERIMENT_STATES

MOST_IDS: Final = 500
"""So many ids go into one statement: databases bound their parameters."""


def open_sqlite(
    path: Path,
    *,
    durable: bool = True,
    create: bool = True,
    timeout: float = BUSY_TIMEOUT,
    clock: Clock | None = None,
) -> SqlStore:
    """Open a store in an SQLite file, see :func:`orchestrator.store.open_store`.

    Args:
        path: absolute path of the file.
        durable: every write waits for the disk.
        create: whether the file may be made.
        timeout: for how many seconds a write waits for another process's.
        clock: what events and leases take their times from.
    """
    prepare_path(path, create=create)
    engine = sqlite_engine(path, durable=durable, timeout=timeout)
    try:
        prepare_sqlite(engine, path, create=create)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, f"sqlite:///{path.as_posix()}", where=os.fspath(path), clock=clock)


class SqlStore:
    """Keeps campaigns in a database. Behaviour: see :class:`orchestrator.store.Store`.

    Args:
        engine: of a database that has the newest schema.
        url: its address.
        where: how messages call it.
        clock: what events and leases take their times from.
    """

    def __init__(self, engine: Engine, url: str, *, where: str, clock: Clock | None = None) -> None:
        self.url = url
        self._engine = engine
        self._writing = engine.execution_options(write=True)
        self._where = where
        self._clock = clock or SystemClock()
        self._terms = Terms(self._clock)
        # threads queue here instead of polling for the database's lock
        self._lock = Lock()
        self._closed = False

    def create(self, record: CampaignRecord, blobs: Mapping[str, bytes] = {}, *, who: str = "sabatier") -> None:
        """Add a campaign and the contents that its definition refers to."""
        row, event = campaign_rows(record, who, self._clock)
        check_blobs(blobs)
        with self._write() as connection:
            if connection.execute(sql.CAMPAIGN_BY_NAME, {"of": row["name"]}).first() is not None:
                raise campaign_exists(record.name)
            connection.execute(sql.ADD_CAMPAIGN, row | {"last_event": 1})
            key = _key(connection, record.name)
            connection.execute(sql.ADD_EVENT, event | {"campaign": key})
            for digest, content in blobs.items():
                if connection.execute(sql.HAS_BLOB, {"of": digest}).first() is None:
                    connection.execute(sql.ADD_BLOB, {"digest": digest, "content": content})

    def campaigns(self) -> list[CampaignRecord]:
        """All campaigns, in the order of their creation."""
        with self._read() as connection:
            rows = _mappings(connection, sql.CAMPAIGNS, {})
        return [codec.campaign_record(row) for row in rows]

    def campaign(self, name: str) -> CampaignRecord:
        """One campaign."""
        with self._read() as connection:
            return codec.campaign_record(_campaign(connection, name))

    def blob(self, digest: str) -> bytes:
        """A content by its SHA-256 in hexadecimal, which is verified."""
        with self._read() as connection:
            return verified_blob(digest, connection.scalar(sql.BLOB, {"of": digest}))

    def asks(self, name: str) -> list[AskRecord]:
        """All asks by number."""
        with self._read() as connection:
            key = _key(connection, name)
            rows = _mappings(connection, sql.ASKS, {"of": key})
        return [codec.ask_record(row) for row in rows]

    def experiments(
        self,
        name: str,
        *,
        ids: Collection[int] | None = None,
        states: Collection[ExperimentState] | None = None,
    ) -> list[ExperimentRecord]:
        """Experiments by id, all or those of some ids and states."""
        wanted = None if ids is None else sorted({int(id) for id in ids})
        with self._read() as connection:
            key = _key(connection, name)
            if wanted is None:
                rows = _mappings(connection, sql.EXPERIMENTS, {"of": key})
            else:
                parts = [wanted[i : i + MOST_IDS] for i in range(0, len(wanted), MOST_IDS)]
                found = [_mappings(connection, sql.EXPERIMENTS_OF_IDS, {"of": key, "ids": part}) for part in parts]
                rows = [row for part in found for row in part]
        return [codec.experiment_record(row) for row in rows if states is None or row["state"] in states]

    def experiment(self, name: str, id: int) -> ExperimentRecord:
        """One experiment."""
        with self._read() as connection:
            row = _View(connection, _key(connection, name)).experiment(id)
        if row is None:
            raise unknown_experiment(name, id)
        return codec.experiment_record(row)

    def attempts(self, name: str, experiment: int | None = None) -> list[AttemptRecord]:
        """All attempts, or those of one experiment, by experiment and number."""
        with self._read() as connection:
            key = _key(connection, name)
            if experiment is None:
                rows = _mappings(connection, sql.ATTEMPTS, {"of": key})
            else:
                rows = _mappings(connection, sql.ATTEMPTS_OF_ONE, {"of": key, "one": experiment})
        return [codec.attempt_record(row) for row in rows]

    def events(
        self,
        name: str,
        after: int = 0,
        limit: int | None = None,
        *,
        kinds: Collection[str] | None = None,
        experiment: int | None = None,
    ) -> list[EventRecord]:
        """The log behind an event's sequence number, oldest first."""
        statement, more = sql.EVENTS, dict[str, Any]()
        if kinds is not None:
            statement, more["kinds"] = statement.where(sql.OF_KINDS), sorted(map(codec.text, kinds))
        if experiment is not None:
            statement, more["one"] = statement.where(sql.OF_EXPERIMENT), experiment
        if limit is not None:
            statement = statement.limit(max(limit, 0))
        with self._read() as connection:
            rows = _mappings(connection, statement, {"of": _key(connection, name), "behind": after, **more})
        return [codec.event_record(row) for row in rows]

    def last_event(self, name: str) -> int:
        """Sequence number of the last event."""
        with self._read() as connection:
            last = connection.scalar(sql.LAST_EVENT, {"of": codec.text(name)})
            if last is None:
                raise unknown_campaign(name, connection.scalars(sql.NAMES))
            return int(last)

    def counts(self, name: str) -> dict[ExperimentState, int]:
        """How many experiments are in each state."""
        with self._read() as connection:
            found = connection.execute(sql.COUNTS, {"of": _key(connection, name)}).all()
        counts: dict[ExperimentState, int] = dict.fromkeys(EXPERIMENT_STATES, 0)
        return counts | {row[0]: row[1] for row in found}

    def apply(self, name: str, changes: Sequence[Change], *, who: str, token: int | None = None) -> int:
        """Do all changes in one transaction, or none."""
        with self._write() as connection:
            campaign = _campaign(connection, name, lock=True)
            if token is not None:
                leases.check_token(_lease(connection, CAMPAIGN, campaign["name"]), CAMPAIGN, name, token)
            if not (wanted := tuple(changes)):
                return 0
            key, sequence, now = campaign["key"], campaign["last_event"], self._clock.now()
            done = plan(campaign, wanted, _View(connection, key), who=who, sequence=sequence, now=now)
            _carry_out(connection, key, done, sequence)
            return int(sequence) + len(done.events)

    def acquire(self, name: str, owner: Owner, ttl: float = 30.0) -> Lease:
        """Take control of a campaign for ``ttl`` seconds."""
        with self._write() as connection:
            campaign = _campaign(connection, name, lock=True)
            before = _lease(connection, CAMPAIGN, campaign["name"])
            after = leases.acquired(before, CAMPAIGN, name, owner, ttl, self._terms)
            _put_lease(connection, CAMPAIGN, campaign["name"], before, after)
            self._log_lease(connection, campaign, before, after)
            return leases.lease_of(name, after)

    def renew(self, lease: Lease, ttl: float = 30.0) -> Lease:
        """Keep control for ``ttl`` seconds from now."""
        with self._write() as connection:
            campaign = _campaign(connection, lease.campaign, lock=True)
            before = _lease(connection, CAMPAIGN, campaign["name"])
            after = leases.renewed(before, CAMPAIGN, lease.campaign, lease.token, ttl, self._clock)
            _put_lease(connection, CAMPAIGN, campaign["name"], before, after)
            return leases.lease_of(lease.campaign, after)

    def holder(self, name: str) -> Lease | None:
        """Who controls a campaign now."""
        with self._read() as connection:
            _key(connection, name)
            kept = _lease(connection, CAMPAIGN, name)
        return leases.lease_of(name, kept) if kept is not None and leases.in_force(kept, self._terms) else None

    def release(self, lease: Lease) -> None:
        """Give control up."""
        with self._write() as connection:
            campaign = _campaign(connection, lease.campaign, lock=True)
            before = _lease(connection, CAMPAIGN, campaign["name"])
            if before is not None and leases.holds(before, lease.token):
                after = {**before, "held": False}
                _put_lease(connection, CAMPAIGN, campaign["name"], before, after)
                self._log_lease(connection, campaign, before, after)

    def hold(
        self, kind: str, name: str, owner: Owner, ttl: float = 30.0, *, data: Mapping[str, Any] = MappingProxyType({})
    ) -> Hold:
        """Take something that several want for ``ttl`` seconds."""
        at = leases.thing(kind, name)
        with self._write() as connection:
            before = _lease(connection, *at)
            after = leases.acquired(before, *at, owner, ttl, self._terms, data)
            _put_lease(connection, *at, before, after)
            return leases.hold_of(*at, after)

    def keep(self, hold: Hold, ttl: float = 30.0) -> Hold:
        """Keep it for ``ttl`` seconds from now."""
        at = leases.thing(hold.kind, hold.name)
        with self._write() as connection:
            before = _lease(connection, *at)
            after = leases.renewed(before, *at, hold.token, ttl, self._clock)
            _put_lease(connection, *at, before, after)
            return leases.hold_of(*at, after)

    def check(self, hold: Hold) -> None:
        """Refuse whoever does not hold it any more."""
        at = leases.thing(hold.kind, hold.name)
        with self._read() as connection:
            leases.check_token(_lease(connection, *at), *at, hold.token)

    def drop(self, hold: Hold) -> None:
        """Give it back."""
        at = leases.thing(hold.kind, hold.name)
        with self._write() as connection:
            before = _lease(connection, *at)
            if before is not None and leases.holds(before, hold.token):
                _put_lease(connection, *at, before, {**before, "held": False})

    def held(self, kind: str | None = None) -> list[Hold]:
        """What is held now."""
        with self._read() as connection:
            rows = _mappings(connection, sql.HELD, {})
        return [
            leases.hold_of(row["kind"], row["name"], row)
            for row in rows
            if kind in (None, row["kind"]) and leases.in_force(row, self._terms)
        ]

    def close(self) -> None:
        """Close all connections; the last process to do so leaves one complete file."""
        self._closed = True
        with translated(self._where):
            self._engine.dispose()

    def _log_lease(self, connection: Connection, campaign: Kept, before: Kept | None, after: Row) -> None:
        row = leases.event(before, after, campaign["last_event"], self._clock)
        connection.execute(sql.ADD_EVENT, row | {"campaign": campaign["key"]})
        connection.execute(sql.SET_LAST_EVENT, {"of": campaign["key"], "last_event": row["sequence"]})

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        self._check_open()
        with translated(self._where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._lock:
            self._check_open()
            with translated(self._where), self._writing.begin() as connection:
                yield connection

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self._where} was closed.", field="store", mend="Open it again.")


class _View:
    """One campaign's rows, for planning."""

    def __init__(self, connection: Connection, key: int) -> None:
        self._connection = connection
        self._key = key

    def has_ask(self, number: int) -> bool:
        return self._connection.execute(sql.HAS_ASK, {"of": self._key, "one": number}).first() is not None

    def experiment(self, id: int) -> Kept | None:
        return _mapping(self._connection, sql.EXPERIMENT, {"of": self._key, "one": id})

    def attempt(self, experiment: int, number: int) -> Kept | None:
        return _mapping(self._connection, sql.ATTEMPT, {"of": self._key, "one": experiment, "two": number})


def _carry_out(connection: Connection, key: int, done: Plan, sequence: int) -> None:
    """Write a plan; what others refer to comes first."""
    added = {"campaign": key}
    if done.asks:
        connection.execute(sql.ADD_ASK, [row | added for row in done.asks.values()])
    new = [row | added for id, row in done.experiments.items() if id in done.new_experiments]
    changed = [row | {"of": key, "one": id} for id, row in done.experiments.items() if id not in done.new_experiments]
    if new:
        connection.execute(sql.ADD_EXPERIMENT, new)
    if changed:
        connection.execute(sql.SET_EXPERIMENT, changed)
    new = [row | added for at, row in done.attempts.items() if at in done.new_attempts]
    changed = [
        row | {"of": key, "one": at[0], "two": at[1]}
        for at, row in done.attempts.items()
        if at not in done.new_attempts
    ]
    if new:
        connection.execute(sql.ADD_ATTEMPT, new)
    if changed:
        connection.execute(sql.SET_ATTEMPT, changed)
    connection.execute(sql.ADD_EVENT, [row | added for row in done.events])
    last = {"last_event": sequence + len(done.events), "of": key}
    connection.execute(sql.set_campaign(done.campaign), done.campaign | last)


def _campaign(connection: Connection, name: str, *, lock: bool = False) -> Kept:
    statement = sql.LOCKED_CAMPAIGN if lock else sql.CAMPAIGN_BY_NAME
    row = _mapping(connection, statement, {"of": codec.text(name)})
    if row is None:
        raise unknown_campaign(name, connection.scalars(sql.NAMES))
    return row


def _key(connection: Connection, name: str) -> int:
    key = connection.scalar(sql.KEY, {"of": codec.text(name)})
    if key is None:
        raise unknown_campaign(name, connection.scalars(sql.NAMES))
    return int(key)


def _lease(connection: Connection, kind: str, name: str) -> Kept | None:
    return _mapping(connection, sql.LEASE, {"of": kind, "one": name})


def _put_lease(connection: Connection, kind: str, name: str, before: Kept | None, row: Row) -> None:
    values = {column: row[column] for column in ("token", "held", "expires", "deadline", "document")}
    if before is None:
        connection.execute(sql.ADD_LEASE, {"kind": kind, "name": name, **values})
    else:
        connection.execute(sql.SET_LEASE, {"of": kind, "one": name, **values})


def _mapping(connection: Connection, statement: Select[Any], parameters: Row) -> Kept | None:
    return cast("Kept | None", connection.execute(statement, parameters).mappings().first())


def _mappings(connection: Connection, statement: Select[Any], parameters: Row) -> Sequence[Kept]:
    return cast("Sequence[Kept]", connection.execute(statement, parameters).mappings().all())
