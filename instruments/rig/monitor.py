"""Reads what the interlocks need, one thread a device, so that a slow device delays no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Event, Thread

from instruments.errors import InstrumentsError
from instruments.rig.interlocks import Breach, Conditions
from instruments.rig.roles import Instrument

logger = logging.getLogger(__name__)


class Monitor:
    """Reads all attributes that interlocks are about, each in its period, and hands on what does not hold.

    Values that come by another way (points of a running technique) count too, and spare a reading.

    Args:
        devices: by name.
        conditions: of the interlocks.
        act: what to do about breaches.
    """

    def __init__(
        self, devices: Mapping[str, Instrument], conditions: Conditions, act: Callable[[Iterable[Breach]], None]
    ) -> None:
        self._devices, self._conditions, self._act = devices, conditions, act
        self._periods: dict[str, dict[str, float]] = {}
        for interlock in conditions.interlocks:
            periods = self._periods.setdefault(interlock.device, {})
            period = interlock.every.value
            periods[interlock.attribute] = min(period, periods.get(interlock.attribute, period))
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begin to read."""
        self._stop = Event()
        self._threads = [
            Thread(target=self._watch, args=(name, self._stop), name=f"monitor {name}", daemon=True)
            for name in self._periods
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float = 1.0) -> None:
        """Read no more; waits a little for readings that are under way."""
        self._stop.set()
        end = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _watch(self, name: str, stop: Event) -> None:
        """Read one device until told to stop; one whose reading fails is read again in its period."""
        periods = self._periods[name]
        due = dict.fromkeys(periods, time.monotonic())
        while not stop.wait(max(0.0, min(due.values()) - time.monotonic())):
            now = time.monotonic()
            for attribute, at in due.items():
                if at <= now:
                    due[attribute] = now + periods[attribute]
                    self._look(name, attribute, now - periods[attribute], stop)

    def _look(self, name: str, attribute: str, fresh: float, stop: Event) -> None:
        latest = self._conditions.latest(name, attribute)
        if latest is not None and latest > fresh:
            return
        try:
            found = self._devices[name].read(attribute)
        except InstrumentsError as problem:
            self._conditions.failed(name, attribute, str(problem))
            logger.debug("%s of %s could not be read: %s", attribute, name, problem)
        except Exception as problem:  # a driver's mistake must not end the watch; the reading's age tells it
            self._conditions.failed(name, attribute, repr(problem))
            logger.exception("%s of %s could not be read", attribute, name)
        else:
            if not stop.is_set():
                self._act(self._conditions.note(name, attribute, found.value, found.time))
