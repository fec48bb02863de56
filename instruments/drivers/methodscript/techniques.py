"""Techniques, and the scripts that an instrument runs for them.

Every script ends by switching the cell off, whether its loop ended or was aborted, and says so in words that belong to
this one run. Its own duration bounds it: a computer that stops does not leave the cell on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from instruments.drivers.methodscript.families import GALVANOSTAT, HIGH_SPEED, Family
from instruments.drivers.methodscript.protocol import literal
from instruments.errors import LabError, LimitError

SAMPLES: Final = 6.0
"""Bandwidth over sampling rate, as in the maker's examples."""
NARROWEST: Final = 1.0
"""Bandwidth, Hz."""
AUTORANGE: Final = 1000.0
"""From the largest current range that a script allows to the smallest."""
TYPES: Final = {
    "time": ("eb",),
    "potential": ("da", "ab"),
    "current": ("ba", "db"),
    "cell_voltage": ("ag", "ac"),
    "frequency": ("dc",),
    "z_real": ("cc",),
    "z_imag": ("cd",),
}
"""Types of variable that each column of a package may have."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a technique makes an instrument do.

    Attributes:
        lines: of the script, up to its end.
        columns: of its packages, in their order; names of :data:`TYPES`.
        points: how many packages come.
        duration: s, of the laboratory.
        gap: the longest between two points, s, of the laboratory.
        potentials: that are applied, V.
        currents: that are applied, A.
    """

    lines: tuple[str, ...]
    columns: tuple[str, ...]
    points: int
    duration: float
    gap: float
    potentials: tuple[float, ...] = ()
    currents: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Loop:
    """A measurement loop with what is declared for it and sent from it."""

    command: str
    variables: tuple[tuple[str, str], ...]
    before: tuple[str, ...]
    counter: str | None = None
    timed: bool = True

    def lines(self) -> tuple[str, ...]:
        letters = [letter for letter, _ in self.packed]
        added = f" add_meas(0 {self.counter} v)" if self.counter else ""
        return (
            *(f"var {letter}" for letter in letters),
            *self.before,
            *(("timer_start",) if self.timed else ()),
            f"{self.command}{added}",
            *(("timer_get t",) if self.timed else ()),
            "pck_start",
            *(f"pck_add {letter}" for letter in letters),
            "pck_end",
            "endloop",
        )

    @property
    def packed(self) -> tuple[tuple[str, str], ...]:
        time = (("t", "time"),) if self.timed else ()
        return (*time, *self.variables, *((("v", "cell_voltage"),) if self.counter else ()))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.packed)


class Technique(ABC):
    """Something that a potentiostat does with its cell for a time."""

    @abstractmethod
    def plan(self, family: Family, counter: str | None, device: str) -> Plan:
        """The script, and what is to be expected of it.

        Args:
            family: of the instrument.
            counter: type of variable that tells the cell voltage there.
            device: name for errors.

        Raises:
            LimitError: the instrument cannot do it.
        """


@dataclass(frozen=True, slots=True)
class OpenCircuit(Technique):
    """The open-circuit potential, with the cell off.

    Attributes:
        duration: s.
        interval: between points, s; chosen where it is missing.
    """

    duration: float = 10.0
    interval: float | None = None

    def __post_init__(self) -> None:
        _positive(duration=self.duration, interval=self.interval)

    def plan(self, family: Family, counter: str | None, device: str) -> Plan:  # noqa: ARG002
        """See the base class; the cell voltage is not asked for, since the counter electrode is not connected."""
        interval, points = _sampling(self.interval, self.duration, family, device)
        bandwidth = _bandwidth(interval)
        loop = _Loop(
            f"meas_loop_ocp p {literal(interval)} {literal(self.duration)}",
            (("p", "potential"),),
            (*_mode(family.mode(0.0, 0.0, bandwidth, device), bandwidth), *_potentials_ranged(family), "cell_off"),
        )
        return Plan(loop.lines(), loop.columns, points, self.duration, interval)


@dataclass(frozen=True, slots=True)
class Impedance(Technique):
    """A spectrum of the impedance about one potential.

    Attributes:
        potential: V against the reference electrode; where it is missing, the driver measures the open-circuit
            potential first and takes that.
        amplitude: V rms.
        high: the first frequency, Hz.
        low: the last, Hz.
        points: frequencies, equally far apart on a logarithmic scale.
        largest: the largest current expected, A.
    """

    potential: float | None = None
    amplitude: float = 0.01
    high: float = 100e3
    low: float = 100.0
    points: int = 31
    largest: float | None = None

    def __post_init__(self) -> None:
        _positive(amplitude=self.amplitude, high=self.high, low=self.low, points=self.points, largest=self.largest)
        _finite(potential=self.potential)
        if self.low >= self.high or not 2 <= self.points <= 500:
            raise LabError(
                "a spectrum has 2 to 500 points between a low and a high frequency.", field="points", mend="Correct it."
            )

    def at(self, potential: float) -> Impedance:
        """The same about a potential in V."""
        return replace(self, potential=potential)

    def plan(self, family: Family, counter: str | None, device: str) -> Plan:  # noqa: ARG002
        """See the base class; frequencies from high to low."""
        if self.potential is None:
            raise LabError("a spectrum needs its potential before it is planned.", field="potential")
        for name, value, most in (
            ("high", self.high, family.frequency),
            ("amplitude", self.amplitude, family.amplitude),
        ):
            if value > most:
                raise LimitError(
                    f"the {family.model} reaches {most:g}, not {value:g}.", device=device, field=name, mend="Lower it."
                )
        reach = math.sqrt(2.0) * self.amplitude
        bounds = (self.potential - reach, self.potential + reach)
        family.mode(*bounds, family.frequency, device)  # whether there is one; impedances need the fast one
        volts = literal(self.potential, device)
        numbers = " ".join(literal(value, device) for value in (self.amplitude, self.high, self.low))
        frequencies = [self.high * (self.low / self.high) ** (i / (self.points - 1)) for i in range(self.points)]
        loop = _Loop(
            f"meas_loop_eis f r i {numbers} {self.points}i {volts}",
            (("f", "frequency"), ("r", "z_real"), ("i", "z_imag")),
            (
                *_mode(HIGH_SPEED, family.frequency),
                f"set_range_minmax da {volts} {volts}",
                *_currents_ranged(self.largest, True, family, device),
                *_potentials_ranged(family),
                f"set_e {volts}",
                "cell_on",
            ),
            timed=False,
        )
        times = [2.0 + 10.0 / frequency for frequency in frequencies]  # generous: periods, and settling
        return Plan(loop.lines(), loop.columns, self.points, sum(times), max(times), potentials=bounds)


@dataclass(frozen=True, slots=True)
class ChronoAmperometry(Technique):
    """The current at a constant potential.

    Attributes:
        potential: V against the reference electrode.
        duration: s.
        interval: between points, s; chosen where it is missing.
        largest: the largest current expected, A; chooses the range. Without it, the instrument's largest.
        autorange: whether the instrument may change to smaller ranges.
    """

    potential: float
    duration: float
    interval: float | None = None
    largest: float | None = None
    autorange: bool = True

    def __post_init__(self) -> None:
        _finite(potential=self.potential)
        _positive(duration=self.duration, interval=self.interval, largest=self.largest)

    def plan(self, family: Family, counter: str | None, device: str) -> Plan:
        """See the base class."""
        interval, points = _sampling(self.interval, self.duration, family, device)
        volts = literal(self.potential, device)
        loop = _Loop(
            f"meas_loop_ca p c {volts} {literal(interval)} {literal(self.duration)}",
            (("p", "potential"), ("c", "current")),
            _potentiostat((self.potential,), interval, self.largest, self.autorange, family, device),
            counter,
        )
        return Plan(loop.lines(), loop.columns, points, self.duration, interval, potentials=(self.potential,))


@dataclass(frozen=True, slots=True)
class ChronoPotentiometry(Technique):
    """The potential at a constant current; not with every instrument.

    Attributes:
        current: A, cathodic negative.
        duration: s.
        interval: between points, s; chosen where it is missing.
        highest: the largest magnitude of the potential expected, V; chooses the range.
    """

    current: float
    duration: float
    interval: float | None = None
    highest: float | None = None

    def __post_init__(self) -> None:
        _finite(current=self.current)
        _positive(duration=self.duration, interval=self.interval, highest=self.highest)
        if not self.current:
            raise LabError("a current of zero is no current.", field="current", mend="Use OpenCircuit.")

    def plan(self, family: Family, counter: str | None, device: str) -> Plan:
        """See the base class."""
        if not family.galvanostat:
            raise LimitError(
                f"the {family.model} cannot hold a current.",
                device=device,
                field="current",
                mend="Hold a potential, or use an EmStat4 or a Nexus.",
            )
        interval, points = _sampling(self.interval, self.duration, family, device)
        current = literal(self.current, device)
        size = current.removeprefix("-")
        loop = _Loop(
            f"meas_loop_cp p c {current} {literal(interval)} {literal(self.duration)}",
            (("p", "potential"), ("c", "current")),
            (
                *_mode(GALVANOSTAT, _bandwidth(interval)),
                *_potentials_ranged(family, self.highest),
                f"set_range db {size}",
                f"set_autoranging db {size} {size}",
                "set_i 0",
                "cell_on",
            ),
            counter,
        )
        return Plan(loop.lines(), loop.columns, points, self.duration, interval, currents=(self.current,))


@dataclass(frozen=True, slots=True)
class LinearSweep(Technique):
    """The current while the potential is swept once.

    Attributes:
        begin: V against the reference electrode.
        end: V.
        rate: V s-1.
        step: V between points.
        largest: the largest current expected, A; chooses the range.
        autorange: whether the instrument may change to smaller ranges.
    """

    begin: float
    end: float
    rate: float = 0.05
    step: float = 0.005
    largest: float | None = None
    autorange: bool = True

    def __post_init__(self) -> None:
        _finite(begin=self.begin, end=self.end)
        _positive(rate=self.rate, step=self.step, largest=self.largest)
        _stepped((self.begin, self.end), self.step)

    def plan(self, family: Family, counter: str | None, device: str) -> Plan:
        """See the base class."""
        return _sweep("lsv", self, (self.begin, self.end), 1, family, counter, device)


@dataclass(frozen=True, slots=True)
class CyclicVoltammetry(Technique):
    """The current while the potential is swept to two vertices and back, once or more.

    Attributes:
        begin: V against the reference electrode.
        vertex1: V, to which it goes first.
        vertex2: V, to which it goes then.
        rate: V s-1.
        step: V between points.
        scans: how many.
        largest: the largest current expected, A; chooses the range.
        autorange: whether the instrument may change to smaller ranges.
    """

    begin: float
    vertex1: float
    vertex2: float
    rate: float = 0.05
    step: float = 0.005
    scans: int = 1
    largest: float | None = None
    autorange: bool = True

    def __post_init__(self) -> None:
        _finite(begin=self.begin, vertex1=self.vertex1, vertex2=self.vertex2)
        _positive(rate=self.rate, step=self.step, scans=self.scans, largest=self.largest)
        _stepped((self.begin, self.vertex1, self.vertex2, self.begin), self.step)

    def plan(self, family: Family, counter: str | None, device: str) -> Plan:
        """See the base class."""
        return _sweep("cv", self, (self.begin, self.vertex1, self.vertex2), self.scans, family, counter, device)


# Parts of scripts


def _sweep(
    name: str,
    sweep: LinearSweep | CyclicVoltammetry,
    corners: tuple[float, ...],
    scans: int,
    family: Family,
    counter: str | None,
    device: str,
) -> Plan:
    interval = sweep.step / sweep.rate
    if interval < family.interval:
        raise LimitError(
            f"a step each {interval:g} s is faster than {family.interval:g} s.",
            device=device,
            field="rate",
            mend="Sweep more slowly, or take larger steps.",
        )
    path = corners if name == "lsv" else (*corners, corners[0])
    steps = sum(math.floor(abs(b - a) / sweep.step + 1e-9) for a, b in pairwise(path))
    numbers = " ".join(literal(value, device) for value in (*corners, sweep.step, sweep.rate))
    loop = _Loop(
        f"meas_loop_{name} p c {numbers}" + (f" nscans({scans})" if scans > 1 else ""),
        (("p", "potential"), ("c", "current")),
        _potentiostat(corners, interval, sweep.largest, sweep.autorange, family, device),
        counter,
    )
    return Plan(loop.lines(), loop.columns, steps * scans, steps * scans * interval, interval, potentials=corners)


def _potentiostat(
    potentials: tuple[float, ...], interval: float, largest: float | None, auto: bool, family: Family, device: str
) -> tuple[str, ...]:
    """From the mode to the cell that is on at the first potential."""
    low, high, bandwidth = min(potentials), max(potentials), _bandwidth(interval)
    return (
        *_mode(family.mode(low, high, bandwidth, device), bandwidth),
        f"set_range_minmax da {literal(low, device)} {literal(high, device)}",
        *_currents_ranged(largest, auto, family, device),
        f"set_e {literal(potentials[0], device)}",
        "cell_on",
    )


def _mode(number: int, bandwidth: float) -> tuple[str, ...]:
    return ("set_pgstat_chan 0", f"set_pgstat_mode {number}", f"set_max_bandwidth {literal(bandwidth)}")


def _currents_ranged(largest: float | None, auto: bool, family: Family, device: str) -> tuple[str, ...]:
    top = family.current if largest is None else largest
    if top > family.current:
        raise LimitError(
            f"the {family.model} measures {family.current:g} A at most, not {top:g} A.",
            device=device,
            field="largest",
            mend="Use an instrument with larger ranges.",
        )
    least = literal(top / AUTORANGE if auto else top, device)
    return (f"set_range ba {literal(top, device)}", f"set_autoranging ba {least} {literal(top, device)}")


def _potentials_ranged(family: Family, highest: float | None = None) -> tuple[str, ...]:
    top = literal(min(family.high, 4.0) if highest is None else min(family.high, highest))
    return (f"set_range ab {top}", f"set_autoranging ab {top} {top}")


def _bandwidth(interval: float) -> float:
    """For a sampling interval, in whole Hz."""
    return float(math.ceil(max(SAMPLES / interval, NARROWEST)))


def _sampling(interval: float | None, duration: float, family: Family, device: str) -> tuple[float, int]:
    """Interval and number of points."""
    chosen = min(1.0, max(duration / 10.0, family.interval)) if interval is None else interval
    if not family.interval <= chosen <= duration:
        raise LimitError(
            f"an interval of {chosen:g} s is not between {family.interval:g} s and the duration, {duration:g} s.",
            device=device,
            field="interval",
            mend="Change the interval or the duration.",
        )
    chosen = float(f"{chosen:.6g}")  # a chosen tenth may have more digits than a script can hold
    return chosen, math.floor(duration / chosen + 1e-9)


def _positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise LabError(f"{name} must be above zero, not {value!r}.", field=name)


def _finite(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise LabError(f"{name} must be a number, not {value!r}.", field=name)


def _stepped(path: tuple[float, ...], step: float) -> None:
    if not any(abs(b - a) >= step for a, b in pairwise(path)):
        raise LabError("the sweep does not make a single step.", field="step", mend="Make it smaller.")
