"""What the lines of a stock ledger add up to: a pure fold, so that a file and its meaning can be tested apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from instruments.errors import LabError
from instruments.rig.stock import PIECES, Item

DIGITS: Final = 9
"""Amounts are rounded to so many decimals, so that sums of small volumes come out even."""


@dataclass
class Shelf:
    """What is there of one item.

    Attributes:
        amount: in ``unit``, what is promised included.
        unit: ``mL`` or ``1``.
        lot: of what is there.
        expires: the last day on which it may be used.
        pieces: numbers of the pieces that are there; empty for fluids.
    """

    amount: float
    unit: str
    lot: str = ""
    expires: date | None = None
    pieces: set[int] = field(default_factory=set)


@dataclass
class Promise:
    """What one attempt has reserved and not yet taken.

    Attributes:
        by: the attempt.
        session: the controller's run that it belongs to.
        amounts: still promised, by item.
        pieces: their numbers, by item of pieces.
        begun: what a step that has begun and not ended may have taken.
    """

    by: str
    session: str
    amounts: dict[str, float]
    pieces: dict[str, list[int]]
    begun: dict[str, float] = field(default_factory=dict)


class Book:
    """The state of all stock after some events.

    An event is a mapping with the key ``event``:

    ========== ===========================================================================
    opened     ``item`` was first seen with ``amount``, ``unit``, ``lot``, ``expires``
    refilled   there is now ``amount`` of ``item``, of another ``lot`` and ``expires``
    reserved   ``amounts`` and ``pieces`` are promised to ``by`` under ``id``
    begun      a step of ``id`` begins that takes ``amount`` of ``item``
    used       it has ended
    settled    ``id`` is over: what had begun counts as used, the rest is free again
    ========== ===========================================================================
    """

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.promises: dict[str, Promise] = {}
        self.last = 0
        """Number of the last reservation."""

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one event into account.

        Raises:
            LabError: it makes no sense after those before it.
        """
        handler = getattr(self, f"_{event.get('event')}", None)
        if handler is None:
            raise LabError(f"{event.get('event')!r} is no event of a stock ledger.", field="event")
        try:
            handler(event)
        except (KeyError, TypeError, ValueError) as problem:
            raise LabError(f"an event cannot be: {problem!r}.", field="event") from problem

    def promised(self, item: str) -> float:
        """What open reservations hold of an item."""
        return round(sum(promise.amounts.get(item, 0.0) for promise in self.promises.values()), DIGITS)

    def free_pieces(self, item: str) -> list[int]:
        """Numbers of the pieces that nobody has reserved, in order."""
        held = {number for promise in self.promises.values() for number in promise.pieces.get(item, ())}
        return sorted(self.shelves[item].pieces - held)

    def _opened(self, event: Mapping[str, Any]) -> None:
        amount, unit = float(event["amount"]), str(event["unit"])
        day = event.get("expires")
        self.shelves[event["item"]] = Shelf(
            amount,
            unit,
            event.get("lot", ""),
            None if day is None else date.fromisoformat(day),
            set(range(round(amount))) if unit == PIECES else set(),
        )

    def _refilled(self, event: Mapping[str, Any]) -> None:
        self._opened({**event, "unit": self.shelves[event["item"]].unit})

    def _reserved(self, event: Mapping[str, Any]) -> None:
        pieces = {item: [int(n) for n in numbers] for item, numbers in event["pieces"].items()}
        amounts = {item: float(amount) for item, amount in event["amounts"].items()}
        self.promises[event["id"]] = Promise(event["by"], event["session"], amounts, pieces)
        self.last = max(self.last, int(str(event["id"]).rpartition("-")[2]))

    def _begun(self, event: Mapping[str, Any]) -> None:
        promise, item = self.promises[event["id"]], event["item"]
        promise.begun[item] = round(promise.begun.get(item, 0.0) + float(event["amount"]), DIGITS)

    def _used(self, event: Mapping[str, Any]) -> None:
        self._take(self.promises[event["id"]], event["item"], float(event["amount"]))

    def _settled(self, event: Mapping[str, Any]) -> None:
        promise = self.promises.pop(event["id"])
        for item, amount in promise.begun.copy().items():
            if amount > 0.0:
                self._take(promise, item, amount)

    def _take(self, promise: Promise, item: str, amount: float) -> None:
        """Matter has gone: from the shelf, from what is promised, and from what had begun."""
        shelf = self.shelves[item]
        shelf.amount = round(max(0.0, shelf.amount - amount), DIGITS)
        promise.amounts[item] = round(max(0.0, promise.amounts.get(item, 0.0) - amount), DIGITS)
        promise.begun[item] = round(max(0.0, promise.begun.get(item, 0.0) - amount), DIGITS)
        if shelf.unit == PIECES:
            numbers = promise.pieces.get(item, [])
            gone, promise.pieces[item] = numbers[: round(amount)], numbers[round(amount) :]
            shelf.pieces -= set(gone)


def opening(item: Item) -> dict[str, Any]:
    """The event of an item that is first seen."""
    return {
        "event": "opened",
        "item": item.name,
        "amount": round(item.amount, DIGITS),
        "unit": item.unit,
        "lot": item.lot,
        "expires": None if item.expires is None else item.expires.isoformat(),
    }
