"""When an instrument that cells share is free: slots are booked before a current starts, so that none comes too late.

Each electrolysis wants its injections at fixed times after its start. It starts when all of them are free: the current
waits for the chromatograph, never the gas for its analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Booking:
    """Slots of one electrolysis.

    Attributes:
        start: to which the offsets refer, laboratory s.
        slots: begin and end of each, laboratory s.
    """

    start: float
    slots: tuple[tuple[float, float], ...]


class Calendar:
    """The slots of one shared instrument."""

    def __init__(self) -> None:
        self._bookings: list[Booking] = []
        self._lock = Lock()

    def book(self, offsets: Sequence[float], length: float, not_before: float) -> Booking:
        """The earliest start at which all slots are free, which are then taken.

        Args:
            offsets: of the slots from the start, s.
            length: of each, s.
            not_before: the earliest start, laboratory s.
        """
        with self._lock:
            self._bookings = [b for b in self._bookings if any(end > not_before for _, end in b.slots)]
            taken = sorted(slot for booking in self._bookings for slot in booking.slots)
            starts = {not_before, *(end - offset for _, end in taken for offset in offsets)}
            start = next(s for s in sorted(starts) if s >= not_before and _free(s, offsets, length, taken))
            booking = Booking(start, tuple((start + offset, start + offset + length) for offset in offsets))
            self._bookings.append(booking)
            return booking

    def release(self, booking: Booking) -> None:
        """Give slots back, such as those of an electrolysis that was broken off; a second time does nothing."""
        with self._lock:
            self._bookings = [other for other in self._bookings if other is not booking]


def _free(start: float, offsets: Sequence[float], length: float, taken: Sequence[tuple[float, float]]) -> bool:
    return all(
        start + offset >= end - 1e-9 or start + offset + length <= begin + 1e-9
        for offset in offsets
        for begin, end in taken
    )
