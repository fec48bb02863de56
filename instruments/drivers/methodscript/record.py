"""What a technique measured: points as they came, and the tables that data reduction reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from instruments.drivers.methodscript.protocol import OVERLOAD, TIMING, UNDERLOAD, WARNING
from instruments.drivers.methodscript.techniques import ChronoPotentiometry, Impedance, OpenCircuit, Technique
from instruments.electrochemistry.signals import Spectrum
from instruments.errors import SignalError

if TYPE_CHECKING:
    import pandas as pd

Ended: TypeAlias = Literal["planned", "cancelled"]

ACCURACY: Final = 0.01
"""Of an impedance at high frequency, relative, one standard uncertainty; accuracy contour plots of the makers give 1 to
2 % where EmStat4 and Nexus measure cells of some ohms."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one moment. Currents are cathodic negative.

    Attributes:
        time: s since the technique began; of a spectrum, s since its first line, as the computer received it.
        potential: V against the reference electrode: measured, or set where the instrument does not measure it while
            it holds it; ``None`` where there is none.
        current: A.
        cell_voltage: between counter and working electrode, V, positive in electrolysis; ``None`` where the instrument
            does not tell it.
        frequency: Hz, of a spectrum.
        z_real: ohm, of a spectrum.
        z_imag: ohm, of a spectrum; negative for a capacitor.
        scan: number of the scan, from 1.
        status: bits of all variables together.
    """

    time: float
    potential: float | None = None
    current: float | None = None
    cell_voltage: float | None = None
    frequency: float | None = None
    z_real: float | None = None
    z_imag: float | None = None
    scan: int = 1
    status: int = 0

    @property
    def overload(self) -> bool:
        """Whether a range was exceeded, or the instrument could not hold what it was to hold."""
        return bool(self.status & OVERLOAD)

    @property
    def overload_warning(self) -> bool:
        """Whether a range was nearly exceeded."""
        return bool(self.status & WARNING)

    @property
    def underload(self) -> bool:
        """Whether a range was hardly used."""
        return bool(self.status & UNDERLOAD)

    @property
    def late(self) -> bool:
        """Whether the instrument could not keep its timing."""
        return bool(self.status & TIMING)


@dataclass(frozen=True, slots=True)
class Record:
    """A technique, and what it measured.

    Attributes:
        technique: as it was run.
        points: in their order.
        began: when the instrument began, UTC.
        ended: as planned, or because it was cancelled.
        malformed: lines that could not be read and were left out.
        cell_off: how it is known that the cell was off afterwards.
    """

    technique: Technique
    points: tuple[Point, ...]
    began: datetime
    ended: Ended
    malformed: int
    cell_off: str

    @property
    def kind(self) -> str:
        """The table of the raw-signal form that :meth:`table` is."""
        if isinstance(self.technique, OpenCircuit):
            return "open_circuit"
        return "impedance" if isinstance(self.technique, Impedance) else "potentiostat"

    @property
    def overloads(self) -> int:
        """Points that were overloaded."""
        return sum(point.overload for point in self.points)

    def table(self) -> pd.DataFrame:
        """The points in the raw-signal form: one row a point, columns ``quantity/unit``."""
        import pandas as pd

        columns: dict[str, list[float] | list[bool] | list[int]]
        if self.kind == "impedance":
            columns = {
                "frequency/Hz": self._column("frequency"),
                "z_real/ohm": self._column("z_real"),
                "z_imag/ohm": self._column("z_imag"),
            }
            return pd.DataFrame(columns)
        columns = {"time/s": self._column("time"), "potential/V": self._column("potential")}
        if self.kind == "open_circuit":
            return pd.DataFrame(columns)
        columns["current/A"] = self._column("current")
        if all(point.cell_voltage is not None for point in self.points):
            columns["cell_voltage/V"] = self._column("cell_voltage")
        if isinstance(self.technique, ChronoPotentiometry):
            columns["set_current/A"] = [self.technique.current] * len(self.points)
        else:
            columns["set_potential/V"] = self._column("potential")
        columns["overload"] = [point.overload for point in self.points]
        columns["cycle"] = [point.scan for point in self.points]
        return pd.DataFrame(columns)

    def resistance(self) -> tuple[float, float]:
        """The uncompensated resistance between working and reference electrode, and its standard uncertainty, ohm.

        The resistance is where the high-frequency end of the spectrum meets the real axis; what the instrument flags
        as overloaded is left out. The uncertainty holds the instrument's accuracy and half of what the axis is missed
        by: the real part between the two highest frequencies, where they do not cross it.

        Raises:
            SignalError: this is no spectrum, or has fewer than two points that are good.
        """
        rows = [(p.frequency, p.z_real, p.z_imag) for p in self.points if not p.overload]
        whole = np.array([[math.nan if x is None else x for x in row] for row in rows], dtype=float).reshape(-1, 3)
        whole = whole[np.isfinite(whole).all(axis=1)]
        if self.kind != "impedance" or len(whole) < 2:
            raise SignalError(
                f"a resistance needs a spectrum of at least two points without overload; {len(whole)} of"
                f" {len(self.points)} are.",
                field="impedance",
                mend="Look at the reference electrode and its contact.",
            )
        spectrum = Spectrum(*whole.T)
        found = spectrum.resistance
        order = np.argsort(-spectrum.frequency)
        real, imaginary = spectrum.real[order], spectrum.imaginary[order]
        crossed = imaginary[0] > 0.0 and bool(np.any(imaginary <= 0.0))
        missed = 0.0 if crossed else 0.5 * max(abs(imaginary[0]), abs(real[1] - real[0]))
        return found, math.hypot(ACCURACY * found, float(missed))

    def _column(self, name: str) -> list[float]:
        values = (getattr(point, name) for point in self.points)
        return [math.nan if value is None else value for value in values]
