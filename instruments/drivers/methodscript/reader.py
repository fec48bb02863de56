"""From the lines of a script that runs to points."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import Event

from instruments.drivers.methodscript.protocol import parse_package
from instruments.drivers.methodscript.record import Point
from instruments.drivers.methodscript.scripts import TYPES, Plan
from instruments.errors import ProtocolError


@dataclass
class Run:
    """A technique that is under way.

    Attributes:
        began: monotonic time.
        stop: ends it.
        last: its latest point.
        heard: when that came.
        patience: s, after which it is none of now any more.
    """

    began: float = field(default_factory=time.monotonic)
    stop: Event = field(default_factory=Event)
    last: Point | None = None
    heard: float = 0.0
    patience: float = math.inf


class Reader:
    """Makes points of the lines of a plan's script."""

    def __init__(
        self, plan: Plan, run: Run, on_point: Callable[[Point], None] | None, pace: float, device: str
    ) -> None:
        self.points: list[Point] = []
        self.scan = 1
        self.began = datetime.now(UTC)
        self._start = time.monotonic()
        self._plan, self._run, self._on_point, self._pace, self._device = plan, run, on_point, pace, device

    def read(self, line: str) -> Callable[[], None] | None:
        """Read a line of data, or the beginning of a scan.

        Raises:
            ProtocolError: it is neither.
        """
        if line[0] == "C":
            if not (line[1:].isascii() and line[1:].isdigit()):
                raise ProtocolError(f"{line[:40]!r} begins no scan.", device=self._device)
            self.scan = int(line[1:]) + 1
            return None
        return partial(self._take, self._point(line))

    def _take(self, point: Point) -> None:
        if not self.points:
            self.began = datetime.now(UTC)
        self.points.append(point)
        self._run.last, self._run.heard = point, time.monotonic()
        if self._on_point is not None:
            self._on_point(point)

    def _point(self, line: str) -> Point:
        variables, columns = parse_package(line, self._device), self._plan.columns
        if len(variables) != len(columns):
            raise ProtocolError(f"{len(variables)} values instead of {len(columns)}.", device=self._device)
        status, values = 0, {"time": (time.monotonic() - self._start) * self._pace}
        for name, variable in zip(columns, variables, strict=True):
            if variable.type not in TYPES[name]:
                raise ProtocolError(f"{variable.type} is no {name}.", device=self._device)
            voltage = name == "cell_voltage"
            values[name] = voltage_of(variable.type, variable.value) if voltage else variable.value
            status |= variable.status
        return Point(**values, scan=self.scan, status=status)


def voltage_of(kind: str, value: float) -> float:
    """The cell voltage: the counter electrode's potential above that of the working electrode."""
    return 0.0 - value if kind == "ag" else value
