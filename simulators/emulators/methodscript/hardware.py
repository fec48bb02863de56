"""The potentiostat between a script and the cell: what it holds, which ranges it takes, and what it reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.emulators.faults import Faults
from simulators.emulators.methodscript.models import Model
from simulators.emulators.roles import Drive, Electrical, Electrodes

GALVANOSTAT: Final = 6
FAST: Final = 3
OVERLOAD, UNDERLOAD, WARNING = 2, 4, 8


class Fault(Exception):  # noqa: N818  a name says what happened
    """An error while a script runs.

    Attributes:
        code: of the error.
        line: of the script, from 1; 0 where it is not known yet.
    """

    def __init__(self, code: int, line: int = 0) -> None:
        super().__init__(f"{code:04X}")
        self.code, self.line = code, line


@dataclass(frozen=True, slots=True)
class Value:
    """A variable's content.

    Attributes:
        number: in SI units.
        kind: type of variable.
        integer: whether it is one.
        status: bits that packages carry.
        range: index that packages carry.
    """

    number: float = 0.0
    kind: str = "aa"
    integer: bool = False
    status: int = 0
    range: int | None = None


class Hardware:
    """A potentiostat with its cell.

    Args:
        model: of the instrument.
        electrodes: the cell.
        faults: of the instrument.
    """

    def __init__(self, model: Model, electrodes: Electrodes, faults: Faults) -> None:
        self.model = model
        self._electrodes, self._faults = electrodes, faults
        self.cell_on = False
        self.mode = 0
        self.target = 0.0
        self._largest = self._smallest = math.inf

    def reset(self) -> None:
        """As after switching on."""
        self.cell_on, self.mode, self.target = False, 0, 0.0
        self._electrodes.apply(Drive())

    def hold(self, target: float) -> None:
        """A potential in V or a current in A, by the mode; from now on where the cell is on."""
        self.target = target
        if self.cell_on:
            self._electrodes.apply(Drive("current" if self.mode == GALVANOSTAT else "potential", target))

    def potential(self, value: float) -> float:
        """A potential that can be held.

        Raises:
            Fault: it cannot.
        """
        low, high = self.model.potentials.get(self.mode, (0.0, 0.0))
        if self.mode == GALVANOSTAT:
            raise Fault(0x0023)
        if not low <= value <= high:
            raise Fault(0x000F)
        return value

    def current(self, value: float) -> float:
        """A current that can be held.

        Raises:
            Fault: it cannot.
        """
        if self.mode != GALVANOSTAT:
            raise Fault(0x0023)
        if abs(value) > self.model.ranges[-1][0] * self.model.full:
            raise Fault(0x4205)
        return value

    def operate(self, name: str, args: Sequence[str], number: Callable[[str], float]) -> None:
        """A command.

        Args:
            name: of the command.
            args: of it.
            number: the value of one.

        Raises:
            Fault: it cannot.
        """
        if name == "set_pgstat_mode":
            self._set_mode(int(number(args[0])))
        elif name in ("cell_on", "cell_off"):
            self._switch(name == "cell_on")
        elif name == "set_e":
            self.hold(self.potential(number(args[0])))
        elif name == "set_i":
            self.hold(self.current(number(args[0])))
        elif name == "set_range_minmax":
            for arg in args[1:]:
                self.potential(number(arg))
        elif name in ("set_range", "set_autoranging") and args[0] == "ba":
            bounds = sorted(positive(number(arg)) for arg in args[1:])
            self._smallest, self._largest = bounds[0], bounds[-1]

    def _set_mode(self, mode: int) -> None:
        if mode not in (0, *self.model.potentials):
            raise Fault(0x0021)
        self.mode = mode

    def _switch(self, on: bool) -> None:
        if on and self.mode == 0:
            raise Fault(0x0023)
        if not on and self._faults.take("no_cell_off"):
            raise Fault(0x0001)
        self.cell_on = on
        self.hold(self.target)
        if not on:
            self._electrodes.apply(Drive())

    def measure(self, kind: str) -> Value:
        """One type of variable, as the instrument's converter sees it.

        Raises:
            Fault: it cannot be measured.
        """
        if kind not in self.model.measures:
            raise Fault(0x4209)
        seen = self._electrodes.measure()
        status = OVERLOAD if abs(seen.cell_voltage) > self.model.compliance else 0
        if self._faults.holds("overload"):
            status |= OVERLOAD
        if kind == "ba":
            return self._current(seen, status)
        value = {"ab": seen.potential, "ac": seen.cell_voltage, "ag": -seen.cell_voltage}[kind]
        return Value(value, kind, status=status, range=0)

    def impedance(self, frequency: float, amplitude: float) -> tuple[Value, Value]:
        """Real and imaginary part, ohm, at a frequency in Hz and an amplitude in V."""
        ohms = self._electrodes.impedance(frequency)
        status = OVERLOAD if self._faults.holds("overload") else 0
        index = self._range(amplitude / abs(ohms))[1]
        return Value(ohms.real, "cc", status=status, range=index), Value(ohms.imag, "cd", status=status, range=0)

    def _current(self, seen: Electrical, status: int) -> Value:
        nominal, index = self._range(seen.current)
        most, value = nominal * self.model.full, seen.current
        if abs(value) > most:
            value, status = math.copysign(most, value), status | OVERLOAD
        elif abs(value) > 0.9 * most:
            status |= WARNING
        elif abs(value) < 0.01 * nominal:
            status |= UNDERLOAD
        shift = self.model.shift if self.mode == GALVANOSTAT else 0
        return Value(value, "ba", status=status, range=index + shift)

    def _range(self, current: float) -> tuple[float, int]:
        """The smallest range that is allowed and large enough; else the largest that is allowed."""
        full, ranges = self.model.full, self.model.ranges
        largest = next((r for r in ranges if r[0] * full >= 0.999 * self._largest), ranges[-1])
        for nominal, index in ranges:
            if nominal >= largest[0]:
                break
            if nominal * full >= 0.999 * self._smallest and abs(current) <= 0.9 * nominal * full:
                return nominal, index
        return largest


def positive(value: float) -> float:
    """A number above zero.

    Raises:
        Fault: it is none.
    """
    if value <= 0.0:
        raise Fault(0x4204)
    return value
