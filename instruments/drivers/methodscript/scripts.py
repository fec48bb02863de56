"""Parts of scripts: what a plan is, measurement loops, and how mode, ranges and bandwidth are set before them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from instruments.drivers.methodscript.families import Family
from instruments.drivers.methodscript.protocol import literal
from instruments.errors import LimitError

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
class Loop:
    """A measurement loop with what is declared for it and sent from it.

    Attributes:
        command: with its arguments.
        variables: a letter and a name of :data:`TYPES` for each that it writes.
        before: lines between the declarations and the loop.
        counter: type of variable that tells the cell voltage, where it is measured too.
        timed: whether each point carries its time.
    """

    command: str
    variables: tuple[tuple[str, str], ...]
    before: tuple[str, ...]
    counter: str | None = None
    timed: bool = True

    def lines(self) -> tuple[str, ...]:
        """Of the script, from the declarations to the end of the loop."""
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
        """Letters and names of what a package holds, in order."""
        time = (("t", "time"),) if self.timed else ()
        return (*time, *self.variables, *((("v", "cell_voltage"),) if self.counter else ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what a package holds, in order."""
        return tuple(name for _, name in self.packed)


def potentiostat(
    potentials: tuple[float, ...], interval: float, largest: float | None, auto: bool, family: Family, device: str
) -> tuple[str, ...]:
    """From the mode to the cell that is on at the first potential."""
    low, high, bandwidth = min(potentials), max(potentials), bandwidth_for(interval)
    return (
        *mode_set(family.mode(low, high, bandwidth, device), bandwidth),
        f"set_range_minmax da {literal(low, device)} {literal(high, device)}",
        *currents_ranged(largest, auto, family, device),
        f"set_e {literal(potentials[0], device)}",
        "cell_on",
    )


def mode_set(number: int, bandwidth: float) -> tuple[str, ...]:
    """Choose a mode of the potentiostat and a bandwidth in Hz."""
    return ("set_pgstat_chan 0", f"set_pgstat_mode {number}", f"set_max_bandwidth {literal(bandwidth)}")


def currents_ranged(largest: float | None, auto: bool, family: Family, device: str) -> tuple[str, ...]:
    """Choose ranges of current.

    Args:
        largest: current expected, A; the instrument's largest where it is missing.
        auto: whether smaller ranges may be taken.
        family: of the instrument.
        device: name for errors.

    Raises:
        LimitError: there is no such range.
    """
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


def potentials_ranged(family: Family, highest: float | None = None) -> tuple[str, ...]:
    """Choose a range of potential, up to so many V."""
    top = literal(min(family.high, 4.0) if highest is None else min(family.high, highest))
    return (f"set_range ab {top}", f"set_autoranging ab {top} {top}")


def bandwidth_for(interval: float) -> float:
    """For a sampling interval, in whole Hz."""
    return float(math.ceil(max(SAMPLES / interval, NARROWEST)))


def sampling(interval: float | None, duration: float, family: Family, device: str) -> tuple[float, int]:
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
