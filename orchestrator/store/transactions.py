"""How a store's work gets into transactions: once where nothing else can happen, again where trying again mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Select

from orchestrator.errors import StoreError
from orchestrator.store.faults import translated
from orchestrator.store.leases import Terms

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proof:
    """A row that a transaction leaves behind and no other would: where it is found, the transaction was committed.

    Attributes:
        lock: selects, and locks, a row that every such transaction locks first: whoever has it has ended.
        statement: selects the row.
        parameters: of both statements.
        row: columns and values that the row then has.
    """

    lock: Select[Any]
    statement: Select[Any]
    parameters: Mapping[str, Any]
    row: Mapping[str, Any]

    def holds(self, connection: Connection) -> bool:
        """Whether the row is there."""
        connection.execute(self.lock, self.parameters).all()
        found = connection.execute(self.statement, self.parameters).mappings().first()
        return found is not None and all(found[column] == value for column, value in self.row.items())


@dataclass(slots=True)
class Transaction:
    """One transaction, for the work that is done in it.

    Attributes:
        connection: to the database.
        terms: what leases are judged by, and the clock of everything that is written.
        proof: to be given by work that would do harm if it were done twice.
        together: a context in which statements that give no rows may travel together; behind it all are carried out.
    """

    connection: Connection
    terms: Terms
    proof: Proof | None = None
    together: Callable[[], AbstractContextManager[object]] = nullcontext


class Transactions(Protocol):
    """Runs work in transactions of one database. What fails in the database is a ``StoreError`` outside."""

    engine: Engine

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run work that writes nothing."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run work, and commit it. It may be run again, each time as if it never had been."""

    def close(self) -> None:
        """Let go of all connections; nothing runs afterwards."""


class SerialTransactions:
    """Those of SQLite, which has one writer at a time.

    Args:
        engine: of the database; it knows the execution option ``write``.
        where: how messages call the store.
        terms: what leases are judged by.
    """

    def __init__(self, engine: Engine, where: str, terms: Terms) -> None:
        self.engine = engine
        self._writing = engine.execution_options(write=True)
        self._where = where
        self._terms = terms
        # threads queue here instead of polling for the database's lock
        self._lock = Lock()
        self._closed = False

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run work that writes nothing."""
        check_open(self._closed, self._where)
        with translated(self._where), self.engine.connect() as connection:
            return work(Transaction(connection, self._terms))

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run work once, and commit it."""
        with self._lock:
            check_open(self._closed, self._where)
            with translated(self._where), self._writing.begin() as connection:
                return work(Transaction(connection, self._terms))

    def close(self) -> None:
        """Close all connections; the last process to do so leaves one complete file."""
        self._closed = True
        with translated(self._where):
            self.engine.dispose()


def check_open(closed: bool, where: str) -> None:
    """Refuse a store that was closed.

    Raises:
        StoreError: it was.
    """
    if closed:
        raise StoreError(f"the store {where} was closed.", field="store", mend="Open it again.")
