"""Measurement loops: what is held, how time passes, and what is read, point by point.

Each loop yields the values of its variables for every point, and ``None`` where a scan begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event
from typing import Final, TypeAlias

from simulators.emulators.methodscript.hardware import FAST, Fault, Hardware, Value, positive

Points: TypeAlias = Iterator[Sequence[Value] | None]

FASTEST: Final = 1e-4
"""Between points, s."""


@dataclass
class Switches:
    """What commands do to a script that runs.

    Attributes:
        touched: wakes whoever waits.
        aborted: Z came.
        broken: Y came: the measurement loop ends.
        halted: h came, and no H yet.
        reversed: R came: the sweep turns round.
    """

    touched: Event = field(default_factory=Event)
    aborted: bool = False
    broken: bool = False
    halted: bool = False
    reversed: bool = False


@dataclass
class Loops:
    """The loops of one script.

    Attributes:
        hardware: the potentiostat.
        switches: of the script.
        wait: lets time of the laboratory pass, s.
    """

    hardware: Hardware
    switches: Switches
    wait: Callable[[float], None]

    def points(self, name: str, numbers: Sequence[float], scans: int) -> Points:
        """The points of a loop.

        Args:
            name: of its command.
            numbers: its arguments after the variables that it writes.
            scans: how often a cyclic voltammogram is run.

        Raises:
            Fault: it cannot run.
        """
        if name == "meas_loop_ocp":
            if self.hardware.cell_on:
                raise Fault(0x0014)
            return self._rest(*numbers)
        if not self.hardware.cell_on:
            raise Fault(0x4027)
        if name == "meas_loop_ca":
            return self._potential_step(*numbers)
        if name == "meas_loop_cp":
            return self._current_step(*numbers)
        if name == "meas_loop_eis":
            return self._spectrum(*numbers)
        *corners, step, rate = numbers
        if name == "meas_loop_cv":
            corners.append(corners[0])
        return self._sweep(corners, step, rate, scans)

    def _ticks(self, interval: float, duration: float) -> Iterator[None]:
        """Time passes before each."""
        if positive(interval) < FASTEST:
            raise Fault(0x005A)
        for _ in range(max(math.floor(positive(duration) / interval + 1e-9), 1)):
            self.wait(interval)
            yield None

    def _rest(self, interval: float, duration: float) -> Points:
        for _ in self._ticks(interval, duration):
            yield [self.hardware.measure("ab")]

    def _potential_step(self, potential: float, interval: float, duration: float) -> Points:
        self.hardware.hold(self.hardware.potential(potential))
        for _ in self._ticks(interval, duration):
            yield [Value(potential, "da"), self.hardware.measure("ba")]

    def _current_step(self, current: float, interval: float, duration: float) -> Points:
        self.hardware.hold(self.hardware.current(current))
        for _ in self._ticks(interval, duration):
            yield [self.hardware.measure("ab"), Value(current, "db")]

    def _sweep(self, corners: list[float], step: float, rate: float, scans: int) -> Points:
        """A staircase through corners; R turns it round at once."""
        interval = positive(step) / positive(rate)
        for corner in corners:
            self.hardware.potential(corner)
        if not any(abs(b - a) >= 0.999 * step for a, b in pairwise(corners)):
            raise Fault(0x4029)
        for scan in range(scans):
            if scans > 1:
                yield None
            at = corners[0]
            if scan == 0:
                yield self._stair(at, interval)
            for corner in corners[1:]:
                start = at
                for i in range(1, math.floor(abs(corner - start) / step + 1e-9) + 1):
                    at = start + math.copysign(i * step, corner - start)
                    yield self._stair(at, interval)
                    if self.switches.reversed:
                        self.switches.reversed = False
                        break

    def _stair(self, potential: float, interval: float) -> Sequence[Value]:
        self.hardware.hold(potential)
        self.wait(interval)
        return [Value(potential, "da"), self.hardware.measure("ba")]

    def _spectrum(self, amplitude: float, first: float, last: float, points: float, potential: float) -> Points:
        if self.hardware.mode != FAST:
            raise Fault(0x0023)
        if min(first, last) <= 0.0 or max(first, last) > self.hardware.model.frequency:
            raise Fault(0x0011)
        if not 0.0 < amplitude <= 1.0:
            raise Fault(0x0012)
        self.hardware.hold(self.hardware.potential(potential))
        for i in range(int(positive(points))):
            frequency = first * (last / first) ** (i / max(points - 1.0, 1.0))
            self.wait(0.1 + 3.0 / frequency)
            yield [Value(frequency, "dc"), *self.hardware.impedance(frequency, amplitude)]
