"""Techniques: what a potentiostat does with its cell, and the scripts for it.

Every script ends by switching the cell off, whether its loop ended or was aborted, and says so in words that belong to
this one run. Its own duration bounds it: a computer that stops does not leave the cell on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import pairwise

from instruments.drivers.methodscript.families import GALVANOSTAT, HIGH_SPEED, Family
from instruments.drivers.methodscript.protocol import literal
from instruments.drivers.methodscript.scripts import (
    Loop,
    Plan,
    bandwidth_for,
    currents_ranged,
    mode_set,
    potentials_ranged,
    potentiostat,
    sampling,
)
from instruments.errors import LabError, LimitError


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
        interval, points = sampling(self.interval, self.duration, family, device)
        bandwidth = bandwidth_for(interval)
        loop = Loop(
            f"meas_loop_ocp p {literal(interval)} {literal(self.duration)}",
            (("p", "potential"),),
            (*mode_set(family.mode(0.0, 0.0, bandwidth, device), bandwidth), *potentials_ranged(family), "cell_off"),
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
        loop = Loop(
            f"meas_loop_eis f r i {numbers} {self.points}i {volts}",
            (("f", "frequency"), ("r", "z_real"), ("i", "z_imag")),
            (
                *mode_set(HIGH_SPEED, family.frequency),
                f"set_range_minmax da {volts} {volts}",
                *currents_ranged(self.largest, True, family, device),
                *potentials_ranged(family),
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
        interval, points = sampling(self.interval, self.duration, family, device)
        volts = literal(self.potential, device)
        loop = Loop(
            f"meas_loop_ca p c {volts} {literal(interval)} {literal(self.duration)}",
            (("p", "potential"), ("c", "current")),
            potentiostat((self.potential,), interval, self.largest, self.autorange, family, device),
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
        interval, points = sampling(self.interval, self.duration, family, device)
        current = literal(self.current, device)
        size = current.removeprefix("-")
        loop = Loop(
            f"meas_loop_cp p c {current} {literal(interval)} {literal(self.duration)}",
            (("p", "potential"), ("c", "current")),
            (
                *mode_set(GALVANOSTAT, bandwidth_for(interval)),
                *potentials_ranged(family, self.highest),
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
    loop = Loop(
        f"meas_loop_{name} p c {numbers}" + (f" nscans({scans})" if scans > 1 else ""),
        (("p", "potential"), ("c", "current")),
        potentiostat(corners, interval, sweep.largest, sweep.autorange, family, device),
        counter,
    )
    return Plan(loop.lines(), loop.columns, steps * scans, steps * scans * interval, interval, potentials=corners)


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
