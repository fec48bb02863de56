"""Devices that cells share: taken one at a time, first come first served, and never so that two wait for each other.

Whoever needs several takes them in the order of their names, and who holds some may only add later names: so no circle
of waiting can close.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Final

from instruments.errors import LabError
from instruments.lab import Use

PERIOD: Final = 0.05
"""s, between looks whether waiting has become pointless."""


@dataclass
class _Queue:
    """Tickets of those who hold or want one device, the holder first."""

    tickets: deque[object] = field(default_factory=deque)


class Leases:
    """The shared devices of a rig."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._changed = Condition()

    def waiting(self, device: str) -> int:
        """How many hold or want a device."""
        with self._changed:
            return len(self._queue(device).tickets)

    @contextmanager
    def hold(self, device: str, give_up: Callable[[], None]) -> Iterator[None]:
        """Hold a device.

        Args:
            device: its name.
            give_up: asked while waiting; raises where waiting is pointless.
        """
        ticket = object()
        with self._changed:
            queue = self._queue(device)
            queue.tickets.append(ticket)
            try:
                while queue.tickets[0] is not ticket:
                    self._changed.wait(PERIOD)
                    give_up()
            except BaseException:
                queue.tickets.remove(ticket)
                self._changed.notify_all()
                raise
        try:
            yield
        finally:
            with self._changed:
                queue.tickets.remove(ticket)
                self._changed.notify_all()

    def _queue(self, device: str) -> _Queue:
        return self._queues.setdefault(device, _Queue())


class Holder:
    """What one execution holds of the shared devices.

    Args:
        leases: of the rig.
        outer: leases of the same device further up, taken after the rig's own.
        give_up: asked while waiting; raises where waiting is pointless.
        now: the laboratory's clock, s.
    """

    def __init__(
        self,
        leases: Leases,
        outer: Callable[[str], AbstractContextManager[None]],
        give_up: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._leases, self._outer, self._give_up, self._now = leases, outer, give_up, now
        self._held: list[str] = []
        self._used: dict[str, Use] = {}
        self._lock = Lock()

    @property
    def used(self) -> Mapping[str, Use]:
        """What it had of each device so far."""
        with self._lock:
            return dict(self._used)

    def count(self, device: str, seconds: float, waited: float) -> None:
        """Remember that a device was occupied, or waited for, so many seconds more."""
        with self._lock:
            before = self._used.get(device, Use(0.0))
            self._used[device] = Use(before.seconds + seconds, before.waited + waited)

    @property
    def held(self) -> tuple[str, ...]:
        """In the order in which they were taken."""
        return tuple(self._held)

    @contextmanager
    def hold(self, devices: Iterable[str]) -> Iterator[None]:
        """Hold devices, those that are held already left out.

        Raises:
            LabError: one comes before another that is held already, so that two executions could wait for each other.
        """
        wanted = sorted(set(devices) - set(self._held))
        if wanted and self._held and wanted[0] < max(self._held):
            raise LabError(
                f"{wanted[0]} is asked for by one who holds {max(self._held)}: two cells could wait for each other.",
                field="leases",
                mend="Take all devices of a step at once.",
            )
        with ExitStack() as stack:
            for device in wanted:
                asked = self._now()
                stack.enter_context(self._leases.hold(device, self._give_up))
                stack.enter_context(self._outer(device))
                stack.callback(self._ended, device, self._now(), asked)
                self._held.append(device)
                stack.callback(self._held.remove, device)
            yield

    def _ended(self, device: str, got: float, asked: float) -> None:
        self.count(device, self._now() - got, got - asked)
