"""Families of instruments that speak MethodSCRIPT: what each can apply and measure, and what its errors mean.

Sources: PalmSens, MethodSCRIPT manual 1.8, appendices A (errors) and B (modes and ranges), and the makers' brochures
for accuracies: EmStat Pico 0.5 % of current, EmStat4 and Nexus 0.2 %; potentials 0.1 to 0.2 % and 1 mV. Brochures give
limits, not standard uncertainties; limits of a uniform distribution are divided by the square root of three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from instruments.drivers.methodscript.protocol import KIND
from instruments.errors import LimitError

LOW_SPEED, HIGH_SPEED, MAX_RANGE, GALVANOSTAT = 2, 3, 4, 6
"""Modes of the potentiostat (``set_pgstat_mode``)."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode of the potentiostat.

    Attributes:
        number: for ``set_pgstat_mode``.
        low: the lowest potential, V.
        high: the highest, V.
        window: between the lowest and the highest of one measurement, V.
        bandwidth: Hz.
    """

    number: int
    low: float
    high: float
    window: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Family:
    """A family of instruments.

    Attributes:
        code: six letters with which its firmware begins.
        model: name.
        low: the lowest potential of any mode, V.
        high: the highest, V.
        current: the largest, A.
        ranges: nominal current ranges by the index that packages carry, A.
        modes: of the potentiostat, in the order in which they are tried.
        frequency: the highest of an impedance, Hz.
        amplitude: the largest of an impedance, V rms.
        galvanostat: whether it can hold a current.
        baudrate: of its serial line.
        xonxoff: whether the line has software flow control; else hardware lines are used where there are any.
        interval: between points, the shortest with which its line keeps up, s.
        counter: types of variable that can tell the cell voltage, in the order in which they are tried.
        accuracy: of potential and current, relative, one standard uncertainty.
        offset: of the potential, V, one standard uncertainty.
    """

    code: str
    model: str
    low: float
    high: float
    current: float
    ranges: Mapping[int, float]
    modes: tuple[Mode, ...]
    frequency: float
    amplitude: float
    galvanostat: bool
    baudrate: int
    xonxoff: bool
    interval: float
    counter: tuple[str, ...]
    accuracy: float
    offset: float

    def mode(self, low: float, high: float, bandwidth: float, device: str = KIND) -> int:
        """The first mode that can apply potentials between two bounds with a bandwidth.

        Args:
            low: V.
            high: V.
            bandwidth: Hz.
            device: name for errors.

        Raises:
            LimitError: none can.
        """
        for mode in self.modes:
            if mode.low <= low and high <= mode.high and high - low <= mode.window and bandwidth <= mode.bandwidth:
                return mode.number
        raise LimitError(
            f"no mode of the {self.model} applies {low:g} to {high:g} V with {bandwidth:g} Hz.",
            device=device,
            field="potential",
            mend="Narrow the potentials, or measure more slowly.",
        )


def _decades(first: int, step: int, low: int, high: int) -> dict[int, float]:
    return {first + step * i: 10.0 ** (low + i) for i in range(high - low + 1)}


def _plain(volts: float, frequency: float) -> tuple[Mode, ...]:
    """The modes of instruments that do not distinguish them."""
    return tuple(Mode(number, -volts, volts, 2.0 * volts, frequency) for number in (LOW_SPEED, HIGH_SPEED))


_PICO: Final = (
    Mode(LOW_SPEED, -1.25, 2.0, 2.2, 100.0),
    Mode(MAX_RANGE, -1.7, 2.0, 2.6, 100.0),
    Mode(HIGH_SPEED, -1.7, 2.0, 1.214, 200e3),
)
_PICO_RANGES: Final = dict(enumerate((1e-7, 2e-6, 4e-6, 8e-6, 16e-6, 32e-6, 63e-6, 125e-6, 250e-6, 5e-4, 1e-3, 5e-3)))
_NEXUS_RANGES: Final = {16: 1e-10, **_decades(0, 1, -9, -2), **_decades(8, 1, -3, 0)}
_THIRD: Final = 1.0 / math.sqrt(3.0)

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        family.code: family
        for family in (
            Family(
                "espico", "EmStat Pico", -1.7, 2.0, 3e-3, _PICO_RANGES, _PICO, 200e3, 0.429, False, 230400, True,
                5e-3, (), 0.005 * _THIRD, 2e-3 * _THIRD,
            ),
            Family(
                "es4_lr", "EmStat4 LR", -3.0, 3.0, 30e-3, _decades(3, 3, -9, -2), _plain(3.0, 200e3), 200e3, 0.9, True,
                921600, False, 2e-3, ("ag", "ac"), 0.002 * _THIRD, 1e-3 * _THIRD,
            ),
            Family(
                "es4_hr", "EmStat4 HR", -6.0, 6.0, 0.2, _decades(9, 3, -7, -1), _plain(6.0, 200e3), 200e3, 0.9, True,
                921600, False, 2e-3, ("ag", "ac"), 0.002 * _THIRD, 1e-3 * _THIRD,
            ),
            Family(
                "nexus1", "Nexus", -10.0, 10.0, 1.0, _NEXUS_RANGES, _plain(10.0, 1e6), 1e6, 0.3, True,
                921600, False, 2e-3, ("ag", "ac"), 0.002 * _THIRD, 1e-3 * _THIRD,
            ),
        )
    }
)  # fmt: skip
"""By the code of their firmware."""

ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "0001": "it does not say what",
        "0002": "there is no such type of variable",
        "0003": "it does not know the command",
        "0006": "it cannot take this command now: a script runs, or none does",
        "0007": "an argument has a value that it did not expect",
        "0008": "a line is too long",
        "0009": "a command took too long",
        "000C": "there is no script to run",
        "000E": "averaging a measured value overflowed",
        "000F": "it cannot apply this potential",
        "0010": "a variable is not a number, or infinite",
        "0011": "it cannot apply this frequency",
        "0012": "it cannot apply this amplitude",
        "0014": "the open-circuit potential cannot be measured while the cell is on",
        "0018": "its settings are corrupted",
        "001A": "its calibration is invalid",
        "001B": "this instrument does not support the command, or a part of it",
        "001C": "the step of the potential is below its resolution",
        "001E": "the amplitude is below its resolution",
        "001F": "it has no licence for this technique",
        "0021": "it has no such mode of the potentiostat",
        "0023": "the command does not fit the mode of the potentiostat",
        "0024": "too many variables are measured at once",
        "0032": "the cell overloads it critically; it stopped to prevent damage",
        "003E": "something inside it took too long",
        "0058": "it lost its timing, perhaps because of the communication",
        "005A": "it cannot keep the timing that was asked for",
        "005B": "a type of variable is measured twice",
        "0080": "the counter electrode oscillates",
        "0082": "a warning of its own has to be cleared first",
        "0084": "this type of variable has no ranges",
        "4001": "it does not know a command of the script",
        "4004": "there is a character that it did not expect",
        "4005": "the script is too large for its memory",
        "4008": "the command has no such optional argument",
        "400B": "a measurement loop stands in another one",
        "400C": "a command is not allowed here",
        "400E": "blocks of the script are not nested properly",
        "4018": "the script ended unexpectedly",
        "401A": "a command is not allowed in a measurement loop",
        "401C": "a package has too many variables",
        "4026": "a variable is declared twice",
        "4027": "the command needs the cell to be on",
        "4028": "the command needs the cell to be off",
        "4029": "the technique would not make a single step",
        "4039": "a number is not written as it should be",
        "4200": "an argument must not be negative",
        "4202": "an argument must not be zero",
        "4204": "an argument must be positive",
        "4205": "an argument is out of bounds",
        "4206": "this instrument cannot take the value of an argument",
        "4207": "an argument is an integer where it should not be, or is none where it should",
        "4209": "it cannot measure this type of variable here",
        "420B": "a variable is not declared",
        "7FFF": "a fatal error: it must be switched off and on",
    }
)
"""What the codes mean; those that techniques of this driver can meet."""


def meaning(code: str) -> str:
    """What an error means, in words."""
    return ERRORS.get(code, "see appendix A of the MethodSCRIPT manual")
