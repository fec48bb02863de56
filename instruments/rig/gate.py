"""The one gate that every command which changes the world goes through.

It is given to all devices, which ask it after their limits and before they send anything
(:meth:`instruments.device.Device.allow`). It knows what is switched on, since everything that is was permitted here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import Final

from instruments.device import Value
from instruments.errors import Interlocked
from instruments.rig.halting import Halting
from instruments.rig.interlocks import Conditions, Interlock
from instruments.rig.securing import Override

OFF: Final = "off"
"""The word that switches a source of current off, which needs no condition."""


def always() -> bool:
    """A fence that never closes."""
    return True


class Gate:
    """Permits commands, or refuses them with the reason.

    Args:
        cells: for each source of current, the cells that it drives.
        heaters: devices that heat.
        halting: the rig's halted state.
        override: lets relays be opened.
        unit: of an attribute of a device.
        fence: whether this process may still command the rig (its lease).
    """

    def __init__(
        self,
        cells: Mapping[str, tuple[str, ...]],
        heaters: Iterable[str],
        halting: Halting,
        override: Override,
        unit: Callable[[str, str], str],
        fence: Callable[[], bool] = always,
    ) -> None:
        self.conditions: Conditions | None = None
        self.lease_ends: float | None = None
        """Monotonic time after which the guardian may act; ``None`` where there is none."""
        self._cells, self._heaters = dict(cells), frozenset(heaters)
        self._halting, self._override, self._unit, self._fence = halting, override, unit, fence
        self._closed: str | None = "the rig has not been started"
        self._on: set[str] = set()
        self._lock = RLock()

    # Open and closed

    @property
    def closed(self) -> str | None:
        """Why nothing is permitted; ``None`` where something may be."""
        return self._closed

    def close(self, reason: str) -> bool:
        """Permit nothing any more. The first reason stays.

        Returns:
            Whether it was open.
        """
        with self._lock:
            was_open = self._closed is None
            if was_open:
                self._closed = reason
            return was_open

    def open(self) -> None:
        """Permit what the interlocks permit."""
        with self._lock:
            self._closed = None

    # What is on

    def is_on(self, interlock: Interlock) -> bool:
        """Whether an interlock is in force now."""
        with self._lock:
            if interlock.when == "always":
                return True
            if interlock.when == "heating":
                return bool(self._on & self._heaters)
            live = {cell for device in self._on for cell in self._cells.get(device, ())}
            return bool(live) if interlock.cell is None else interlock.cell in live

    def switched_off(self, devices: Iterable[str]) -> None:
        """These have confirmed that they are safe, or were cut off."""
        with self._lock:
            self._on.difference_update(devices)

    # Permission

    def __call__(self, device: str, attribute: str, value: Value) -> None:
        """See :class:`instruments.device.Permit`.

        Raises:
            Interlocked: not now; the message says why.
        """
        if self._override.permits(device, attribute, value):
            return
        # what may ask a disk or a database is asked first, so that it cannot keep `close` waiting
        why = self._fenced_off()
        with self._lock:
            why = self._closed or why or self._why_not(device, attribute, value)
            if why is None and self._switches_on(device, value):
                self._on.add(device)
        if why is not None:
            raise Interlocked(f"{attribute} = {value} is not permitted: {why}.", device=device, field=attribute)

    def _fenced_off(self) -> str | None:
        if self._halting.is_set:
            return "the rig is halted"
        return None if self._fence() else "this process no longer holds the lease of the rig"

    def _why_not(self, device: str, attribute: str, value: Value) -> str | None:
        if self.lease_ends is not None and time.monotonic() >= self.lease_ends:
            return "the guardian does not answer"
        for interlock in () if self.conditions is None else self.conditions.interlocks:
            if why := self._against(interlock, device, attribute, value):
                return f"{interlock.name}: {why}"
        return None

    def _against(self, interlock: Interlock, device: str, attribute: str, value: Value) -> str | None:
        """What one interlock has against a command: it needs the condition, or would end it while it is needed."""
        if interlock.when == "always" or self.conditions is None:
            return None
        if self._switches_on(device, value) and self._needs(interlock, device):
            breach = self.conditions.breach(interlock)
            return None if breach is None else breach.reason
        if self._would_change(interlock, device, attribute) and self.is_on(interlock):
            wrong = interlock.violation(value)
            return None if wrong is None else f"{wrong}, while what needs it is on"
        return None

    def _would_change(self, interlock: Interlock, device: str, attribute: str) -> bool:
        """Whether a command changes what an interlock reads: its attribute, or the set point of it, in the same unit.

        A source of current has several attributes in volts, which are not set points of one another.
        """
        if device != interlock.device:
            return False
        if attribute == interlock.attribute:
            return True
        return device not in self._cells and self._unit(device, attribute) == self._unit(device, interlock.attribute)

    def _switches_on(self, device: str, value: Value) -> bool:
        return (device in self._cells or device in self._heaters) and value != OFF

    def _needs(self, interlock: Interlock, device: str) -> bool:
        """Whether a device may be on only while an interlock holds."""
        if interlock.when == "heating":
            return device in self._heaters
        return device in self._cells and (interlock.cell is None or interlock.cell in self._cells[device])
