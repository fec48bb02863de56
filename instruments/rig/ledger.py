"""The stock ledger: a file of JSON lines that only grows and survives crashes.

What a step takes is written down before the step begins, and again when it has ended. So after a crash nothing counts
as there that may be gone: what had begun is used, what had not begun is free again. Every line is on disk before the
call that wrote it returns. Several processes may use one ledger: the controller, and a person who refills.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, BinaryIO, Final

from instruments.errors import LabError
from instruments.rig.book import DIGITS, Book, opening
from instruments.rig.locking import locked
from instruments.rig.stock import PIECES, Item, StockShort

logger = logging.getLogger(__name__)

_TINY: Final = 0.5 * 10.0**-DIGITS


@dataclass(frozen=True, slots=True)
class Level:
    """What is there of an item.

    Attributes:
        name: of the item.
        unit: ``mL`` or ``1``.
        amount: that is there, what is promised included.
        promised: to experiments that run.
        available: for the next one.
        low: whether that is less than the declared warning level.
        lot: of what is there.
        expires: the last day on which it may be used.
    """

    name: str
    unit: str
    amount: float
    promised: float
    available: float
    low: bool
    lot: str
    expires: date | None

    def expired(self, on: date) -> bool:
        """Whether it may no longer be used on a day."""
        return self.expires is not None and on > self.expires


class Ledger:
    """What is left of everything in stock.

    Args:
        path: of the file, which is made where there is none.
        items: what the rig file declares, by name.
        today: the day by which expiry is judged.

    Raises:
        LabError: the file cannot be read, or a line in it makes no sense.
    """

    def __init__(
        self, path: Path, items: Mapping[str, Item], *, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        self.path, self._items, self._today = path, dict(items), today
        self._session = uuid.uuid4().hex
        self._book, self._read, self._line, self._lock = Book(), 0, 0, RLock()
        with self._writing() as write:
            for name, item in self._items.items():
                if name not in self._book.shelves:
                    write(opening(item))

    # What is there

    def levels(self) -> Mapping[str, Level]:
        """Every declared item, as it is now."""
        with self._reading():
            return {name: self._level(item) for name, item in self._items.items()}

    def problems(self, on: date | None = None) -> tuple[str, ...]:
        """What a person should see to: what is low, has expired, or is declared otherwise than it was opened."""
        day = on or self._today()
        found = []
        for level in self.levels().values():
            if level.expired(day):
                found.append(f"{level.name} expired on {level.expires}")
            if level.low:
                found.append(f"{level.name} is low: {_amount(level.available, level.unit)} left")
        return tuple(found)

    # Taking from it

    def reserve(self, needs: Mapping[str, float], by: str, on: date | None = None) -> Reservation:
        """Promise what an experiment needs, all or nothing.

        Args:
            needs: by item, in mL or pieces; zero is left out.
            by: whose it is, such as ``campaign/12/1``.
            on: the day by which expiry is judged; by default today.

        Raises:
            StockShort: there is too little, or it has expired; nothing was promised.
            LabError: an item is not declared, or an amount is none.
        """
        wanted = {name: self._wanted(name, amount) for name, amount in needs.items() if amount != 0.0}
        with self._writing() as write:
            for name, amount in wanted.items():
                self._refuse_short(name, amount, on or self._today())
            pieces = {
                name: self._book.free_pieces(name)[: round(amount)]
                for name, amount in wanted.items()
                if self._items[name].unit == PIECES
            }
            id = f"r-{self._book.last + 1:06d}"
            write(
                {
                    "event": "reserved",
                    "id": id,
                    "session": self._session,
                    "by": by,
                    "amounts": wanted,
                    "pieces": pieces,
                }
            )
        return Reservation(self, id)

    def check(self, needs: Mapping[str, float], on: date | None = None) -> None:
        """Raise what :meth:`reserve` would raise, and promise nothing."""
        with self._reading():
            for name, amount in needs.items():
                if amount != 0.0:
                    self._refuse_short(name, self._wanted(name, amount), on or self._today())

    def refill(self, name: str, amount: float, *, lot: str = "", expires: date | None = None, who: str = "") -> Level:
        """Write down what is there now, after a person has filled up, exchanged or emptied something.

        Args:
            name: of the item; the room in ``waste`` is refilled by emptying.
            amount: that is there now, in mL or pieces.
            lot: of what was filled in.
            expires: its last day.
            who: did it.

        Raises:
            LabError: there is no such item, the amount is none or more than there are places, or pieces are promised
                to an experiment that runs.
        """
        now = self._wanted(name, amount)
        item = self._items[name]
        if item.places and now > len(item.places):
            raise LabError(f"{name} has {len(item.places)} places, not {now:g}.", field=f"stock.{name}")
        with self._writing() as write:
            if item.unit == PIECES and self._book.promised(name) > 0.0:
                raise LabError(
                    f"some of {name} are promised to an experiment that runs.",
                    field=f"stock.{name}",
                    mend="Refill when it has ended.",
                )
            day = None if expires is None else expires.isoformat()
            write({"event": "refilled", "item": name, "amount": now, "lot": lot, "expires": day, "who": who})
            return self._level(item)

    def settle_dead(self) -> tuple[str, ...]:
        """End the reservations of earlier runs of the controller; what their steps had begun to take counts as used.

        Only the controller calls this, when it starts: there is one at a time.

        Returns:
            Whose they were.
        """
        with self._writing() as write:
            dead = [(id, promise.by) for id, promise in self._book.promises.items() if promise.session != self._session]
            for id, by in dead:
                logger.warning("the stock that %s had reserved is settled: its controller is gone", by)
                write({"event": "settled", "id": id, "why": "its controller is gone"})
        return tuple(by for _, by in dead)

    # Inside

    def _level(self, item: Item) -> Level:
        shelf, promised = self._book.shelves[item.name], self._book.promised(item.name)
        available = round(max(0.0, shelf.amount - promised - item.dead), DIGITS)
        return Level(
            item.name, item.unit, shelf.amount, promised, available, available < item.low, shelf.lot, shelf.expires
        )

    def _wanted(self, name: str, amount: float) -> float:
        item = self._items.get(name)
        if item is None:
            known = ", ".join(self._items) or "nothing"
            raise LabError(f"{name!r} is not in stock.", field=f"stock.{name}", mend=f"Declared: {known}.")
        if not math.isfinite(amount) or amount < 0.0 or (item.unit == PIECES and amount != int(amount)):
            raise LabError(f"{amount!r} is no amount of {name}.", field=f"stock.{name}")
        return round(float(amount), DIGITS)

    def _refuse_short(self, name: str, need: float, day: date) -> None:
        level = self._level(self._items[name])
        have, unit = level.available, level.unit
        mend = f"Refill it, then say `sabatier rig refill` with {name}, the amount that is there, its lot and expiry."
        if level.expired(day):
            text = f"{name} expired on {level.expires}."
            raise StockShort(text, item=name, have=have, need=need, unit=unit, mend=mend)
        if need > have + _TINY:
            text = f"{name}: {_amount(need, unit)} are needed, {_amount(have, unit)} are there."
            raise StockShort(text, item=name, have=have, need=need, unit=unit, mend=mend)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, locked(self.path) as file:
            self._catch_up(file)
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Hold the file, know all that others have written, and hand out a function that appends."""
        with self._lock, locked(self.path) as file:
            self._catch_up(file)

            def write(event: dict[str, Any]) -> None:
                line = json.dumps({"at": datetime.now(UTC).isoformat(), **event}, allow_nan=False).encode() + b"\n"
                self._append(file, line)
                self._book.apply(event)
                self._read += len(line)
                self._line += 1

            yield write

    def _append(self, file: BinaryIO, line: bytes) -> None:
        try:
            file.seek(self._read)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError as problem:  # a full disk: what is not written down must not be taken
            with contextlib.suppress(OSError):
                file.truncate(self._read)
            raise LabError(
                f"{self.path.name} cannot be written: {problem}.", field="stock", mend="Make room on the disk."
            ) from problem

    def _catch_up(self, file: BinaryIO) -> None:
        """Read what has been written since; a last line without its end was never confirmed, and is cut off."""
        file.seek(self._read)
        for line in file.readlines():
            if not line.endswith(b"\n"):
                logger.warning("%s: the last line was cut short when its writer ended; it is dropped", self.path.name)
                file.truncate(self._read)
                return
            self._line += 1
            try:
                event = json.loads(line)
                self._book.apply(event)
            except (ValueError, LabError, AttributeError) as problem:
                raise LabError(
                    f"{self.path.name}, line {self._line}: this is no entry of a stock ledger ({problem}).",
                    field="stock",
                    mend="Restore the file from a copy; or move it away, and say with refills what is there.",
                ) from problem
            self._read += len(line)


class Reservation:
    """What one attempt may take. As a context manager it is settled at the end, whatever happened.

    Args:
        ledger: that it is of.
        id: of the reservation.
    """

    def __init__(self, ledger: Ledger, id: str) -> None:
        self.id, self._ledger = id, ledger

    @property
    def left(self) -> Mapping[str, float]:
        """What is promised and not yet taken, by item."""
        with self._ledger._reading():
            promise = self._ledger._book.promises.get(self.id)
            return {} if promise is None else {name: amount for name, amount in promise.amounts.items() if amount > 0.0}

    @contextlib.contextmanager
    def taking(self, needs: Mapping[str, float]) -> Iterator[Mapping[str, tuple[str, ...]]]:
        """Take something while a step runs: it counts as used from the moment the step begins.

        Args:
            needs: by item, within what was reserved.

        Yields:
            The places of the pieces that are taken, by item.

        Raises:
            LabError: more than was reserved.
        """
        wanted = {name: self._ledger._wanted(name, amount) for name, amount in needs.items() if amount != 0.0}
        with self._ledger._writing() as write:
            places = {name: self._places(name, amount) for name, amount in wanted.items()}
            for name, amount in wanted.items():
                write({"event": "begun", "id": self.id, "item": name, "amount": amount})
        try:
            yield {name: found for name, found in places.items() if found}
        finally:
            with self._ledger._writing() as write:
                for name, amount in wanted.items():
                    write({"event": "used", "id": self.id, "item": name, "amount": amount})

    def settle(self, why: str = "done") -> None:
        """Give back what was not taken; a second time does nothing."""
        with self._ledger._writing() as write:
            if self.id in self._ledger._book.promises:
                write({"event": "settled", "id": self.id, "why": why})

    def _places(self, name: str, amount: float) -> tuple[str, ...]:
        promise = self._ledger._book.promises.get(self.id)
        begun = 0.0 if promise is None else promise.begun.get(name, 0.0)
        left = 0.0 if promise is None else promise.amounts.get(name, 0.0) - begun
        if promise is None or amount > left + _TINY:
            raise LabError(
                f"{name}: a step takes {amount:g}, but {left:g} are left of what was reserved.", field=f"stock.{name}"
            )
        places = self._ledger._items[name].places
        if not places:
            return ()
        return tuple(places[number] for number in promise.pieces[name][round(begun) : round(begun + amount)])

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle("done" if problem is None else f"ended by {type(problem).__name__}")


def _amount(value: float, unit: str) -> str:
    return f"{value:g}" if unit == PIECES else f"{value:.6g} {unit}"
