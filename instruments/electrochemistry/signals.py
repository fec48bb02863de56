"""The door of the data reduction: the tables of a measurement, checked and turned into arrays in SI units.

Tables and columns are those of the raw-signal form: ``potentiostat``, ``open_circuit``, ``impedance``,
``chromatograph``, ``flow`` and ``liquid``; a column that has a dimension is named ``quantity/unit``. Currents are
signed by IUPAC, cathodic negative. Nothing is assumed: a missing table, column or unit, a unit of another dimension, an
empty table, a number that is none, or a time that runs backwards is a :class:`~instruments.errors.SignalError` that
names table and column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from instruments.electrochemistry.setup import BOUNDS, Conditions, Setup
from instruments.electrochemistry.tables import Flags, Floats, Table
from instruments.electrochemistry.units import flow_scale
from instruments.errors import SignalError

if TYPE_CHECKING:
    from instruments.lab import Measurement

TABLES: Final = ("potentiostat", "open_circuit", "impedance", "chromatograph", "flow", "liquid")
COMPARTMENTS: Final = ("catholyte", "anolyte", "trap")
ON_THE_AXIS: Final = 0.1
"""Imaginary over real part at the highest frequency up to which a spectrum counts as having met the real axis."""

UNIDENTIFIED: Final = "unidentified"
"""The species of a peak without a name: kept in the raw signals, not reduced."""


@dataclass(frozen=True, eq=False)
class Trace:
    """What the potentiostat recorded, one value a point.

    Attributes:
        time: s, not decreasing.
        current: A, cathodic negative.
        potential: V, working against reference electrode as recorded; ``None`` without a reference electrode.
        cell_voltage: V, anode minus cathode; there where the potential is not.
        set_potential: V.
        set_current: A.
        overload: where the potentiostat could not hold its set point.
        temperature: K.
    """

    time: Floats
    current: Floats
    potential: Floats | None = None
    cell_voltage: Floats | None = None
    set_potential: Floats | None = None
    set_current: Floats | None = None
    overload: Flags | None = None
    temperature: Floats | None = None


@dataclass(frozen=True, eq=False)
class Rest:
    """The open-circuit potential: time in s, potential in V as recorded."""

    time: Floats
    potential: Floats


@dataclass(frozen=True, eq=False)
class Spectrum:
    """An impedance spectrum: frequency in Hz, real and imaginary part in ohm."""

    frequency: Floats
    real: Floats
    imaginary: Floats

    @property
    def resistance(self) -> float:
        """The ohmic resistance: where the high-frequency end meets the real axis, ohm.

        Between the two highest frequencies whose imaginary parts differ in sign the crossing is interpolated; where
        there is none, it is the real part at the highest frequency.
        """
        order = np.argsort(-self.frequency)
        real, imaginary = self.real[order], self.imaginary[order]
        if imaginary[0] > 0.0:  # inductive: the axis is crossed from above
            below = np.flatnonzero(imaginary <= 0.0)
            if len(below):
                i = below[0]
                share = imaginary[i - 1] / (imaginary[i - 1] - imaginary[i])
                return float(real[i - 1] + share * (real[i] - real[i - 1]))
        return float(real[0])


@dataclass(frozen=True, eq=False)
class Chromatograms:
    """Peaks by injection and channel.

    Attributes:
        injections: their numbers, [injections].
        time: of each injection, s on the potentiostat's clock, [injections].
        species: of each channel; a species may have one channel a detector, [channels].
        detectors: of each channel, ``""`` where the table names none, [channels].
        area: in the unit of the channel, NaN where there is no peak, [injections, channels]; ``None`` without areas.
        fraction: dry mole fraction as the instrument calibrated it, likewise.
        area_unit: of the areas.
        retention: s, likewise.
    """

    injections: NDArray[np.int64]
    time: Floats
    species: tuple[str, ...]
    detectors: tuple[str, ...]
    area: Floats | None
    fraction: Floats | None
    area_unit: str
    retention: Floats | None = None


@dataclass(frozen=True, eq=False)
class Flows:
    """Flows and pressures: time in s, flows in mol s-1 (of what the meter saw, dry or wet), pressures in Pa."""

    time: Floats
    inlet: Floats
    outlet: Floats | None = None
    pressure_drop: Floats | None = None
    back_pressure: Floats | None = None


@dataclass(frozen=True, eq=False)
class Liquids:
    """Liquid analyses, one value a species and sample.

    Attributes:
        species: [samples].
        compartment: [samples].
        concentration: in the compartment (dilution undone), mol m-3, [samples].
        sem: standard uncertainty, NaN where not given, [samples].
        detection_limit: mol m-3, NaN where not given, [samples].
        recovery: of the method, 1 where all is found; concentrations are divided by it, [samples].
        signal_to_noise: NaN where not given, [samples].
        time: s, NaN where not given, [samples].
    """

    species: tuple[str, ...]
    compartment: tuple[str, ...]
    concentration: Floats
    sem: Floats
    detection_limit: Floats
    recovery: Floats
    signal_to_noise: Floats
    time: Floats


@dataclass(frozen=True, eq=False)
class Signals:
    """The tables of a measurement as arrays in SI units; ``None`` for a table that is not there."""

    trace: Trace
    rest: Rest | None = None
    spectrum: Spectrum | None = None
    gas: Chromatograms | None = None
    flow: Flows | None = None
    liquid: Liquids | None = None
    notices: tuple[str, ...] = field(default=())


def read_signals(measurement: Measurement, setup: Setup) -> Signals:
    """Check the tables of a measurement and turn them into arrays.

    Args:
        measurement: in the raw-signal form.
        setup: its flow references are what volume flows refer to.

    Raises:
        SignalError: what the head of this module says.
    """
    tables = measurement.signals
    notices: list[str] = []
    unknown = [name for name in tables if name not in TABLES and not name.startswith("chromatogram/")]
    if unknown:
        notices.append(f"nothing is done with the table {', '.join(map(repr, unknown))}; known: {', '.join(TABLES)}")
    if "potentiostat" not in tables:
        raise SignalError(
            "there is no table 'potentiostat': without current and potential nothing can be computed.",
            field="potentiostat",
            mend="Add it with the columns time/s, current/A and potential/V or cell_voltage/V.",
        )
    signals = Signals(
        trace=_trace(Table("potentiostat", tables["potentiostat"], notices)),
        rest=_rest(Table("open_circuit", tables["open_circuit"], notices)) if "open_circuit" in tables else None,
        spectrum=_spectrum(Table("impedance", tables["impedance"], notices)) if "impedance" in tables else None,
        gas=_gas(Table("chromatograph", tables["chromatograph"], notices)) if "chromatograph" in tables else None,
        flow=_flow(Table("flow", tables["flow"], notices), setup) if "flow" in tables else None,
        liquid=_liquid(Table("liquid", tables["liquid"], notices)) if "liquid" in tables else None,
    )
    return Signals(**{**vars(signals), "notices": tuple(notices)})


def _trace(table: Table) -> Trace:
    if len(table) < 2:
        raise SignalError("the table 'potentiostat' has one row: no charge can be computed.", field="potentiostat")
    table.notice_unused(
        "time",
        "current",
        "potential",
        "cell_voltage",
        "set_potential",
        "set_current",
        "overload",
        "temperature",
        "cycle",
    )
    if not table.has("potential") and not table.has("cell_voltage"):
        raise table.error(
            "potential/V", "is missing.", "Add it, or cell_voltage/V where the cell has no reference electrode."
        )
    trace = Trace(
        time=table.times(),
        current=table.numbers("current"),
        potential=table.optional("potential"),
        cell_voltage=table.optional("cell_voltage"),
        set_potential=table.optional("set_potential"),
        set_current=table.optional("set_current"),
        overload=table.flags("overload") if table.has("overload") else None,
        temperature=table.optional("temperature"),
    )
    if trace.temperature is not None:
        low, high = BOUNDS["temperature"]
        beyond = (trace.temperature < low) | (trace.temperature > high)
        table.check("temperature", beyond, f"is outside {low:g} to {high:g} K: is the unit right?")
    if trace.time[-1] <= trace.time[0]:
        raise table.error(table.column("time"), "no time passes.")
    if trace.cell_voltage is not None and np.trapezoid(trace.cell_voltage, trace.time) <= 0.0:
        raise table.error(
            table.column("cell_voltage"), "is not positive.", "It is the anode's potential less the cathode's."
        )
    return trace


def _rest(table: Table) -> Rest:
    return Rest(table.times(), table.numbers("potential"))


def _spectrum(table: Table) -> Spectrum:
    spectrum = Spectrum(table.numbers("frequency"), table.numbers("z_real"), table.numbers("z_imag"))
    table.check("frequency", spectrum.frequency <= 0.0, "is no frequency")
    if spectrum.resistance < 0.0:
        raise table.error(
            table.column("z_real"),
            f"gives a resistance of {spectrum.resistance:g} ohm.",
            "Turn its sign, or leave it out.",
        )
    first = np.argmax(spectrum.frequency)
    if spectrum.imaginary[first] < -ON_THE_AXIS * spectrum.real[first]:
        table.notice("it ends before it meets the real axis, so that the resistance is too large")
    return spectrum


def _gas(table: Table) -> Chromatograms:
    table.notice_unused("injection", "time", "species", "area", "fraction", "detector", "retention")
    if not table.has("area") and not table.has("fraction"):
        raise table.error(
            "area", "is missing.", "Add peak areas (area/pA s) or calibrated mole fractions (fraction/1)."
        )
    numbers = table.raw(table.column("injection"))
    table.check("injection", (numbers != np.round(numbers)) | (np.abs(numbers) > 2**53), "is no whole number")
    rows_time = table.numbers("time")
    species = [name.lower() for name in table.texts("species")]
    detectors = table.texts("detector") if table.has("detector") else [""] * len(table)
    both = table.has("area") and table.has("fraction")
    area = None
    if table.has("area"):
        column = table.column("area")
        area = table.possible("area", column, table.raw(column, gaps=both))
    area_unit = table.unit(table.column("area")) if table.has("area") else ""
    fraction = table.optional("fraction", gaps=both)
    if area is not None and fraction is not None:
        table.check("area", np.isnan(area) & np.isnan(fraction), "has neither area nor fraction")
    if fraction is not None:
        table.check("fraction", fraction > 1.02, "is more than 1")
    unnamed = np.array([name == UNIDENTIFIED for name in species])
    if unnamed.any():
        table.notice(f"{int(unnamed.sum())} peaks without a name are not reduced")

    injections, first, which = np.unique(numbers.astype(np.int64), return_index=True, return_inverse=True)
    time = rows_time[first]
    table.check("time", rows_time != time[which], "gives an injection a second time")
    if (np.diff(time) <= 0.0).any():
        raise table.error(
            "time", "an injection does not follow on the one before it.", "Number injections in their order."
        )
    keys = list(zip(species, detectors, strict=True))
    channels = sorted({key for key, skip in zip(keys, unnamed, strict=True) if not skip})
    place = {key: i for i, key in enumerate(channels)}
    at = np.array([place.get(key, -1) for key in keys])
    cells = which * max(len(channels), 1) + at
    kept = at >= 0
    _, originals = np.unique(np.where(kept, cells, -1 - np.arange(len(cells))), return_index=True)
    if len(originals) < len(cells):
        row = int(np.setdiff1d(np.arange(len(cells)), originals)[0])
        raise table.error(
            "species", f"row {row + 1} is a second peak of {species[row]} in one injection.", "Name the detectors."
        )

    def spread(values: Floats | None) -> Floats | None:
        if values is None:
            return None
        grid = np.full((len(injections), len(channels)), np.nan)
        grid[which[kept], at[kept]] = values[kept]
        return grid

    return Chromatograms(
        injections=injections,
        time=time,
        species=tuple(name for name, _ in channels),
        detectors=tuple(detector for _, detector in channels),
        area=spread(area),
        fraction=spread(fraction),
        area_unit=area_unit,
        retention=spread(table.optional("retention", gaps=True)),
    )


def _flow(table: Table, setup: Setup) -> Flows:
    table.notice_unused("time", "inlet", "outlet", "pressure_drop", "back_pressure")

    def flow(quantity: str, reference: Conditions | None) -> Floats:
        column = table.column(quantity, "mol s-1")
        factor = flow_scale(
            table.unit(column),
            None if reference is None else reference.temperature.value,
            None if reference is None else reference.pressure.value,
            f"{table.name}.{column}",
        )
        values = table.possible(quantity, column, factor * table.raw(column))
        table.check(quantity, values < 0.0, "is negative")
        return values

    return Flows(
        time=table.times(),
        inlet=flow("inlet", setup.flow_reference),
        outlet=flow("outlet", setup.outlet_reference or setup.flow_reference) if table.has("outlet") else None,
        pressure_drop=table.optional("pressure_drop"),
        back_pressure=table.optional("back_pressure"),
    )


def _liquid(table: Table) -> Liquids:
    table.notice_unused(
        "species", "compartment", "concentration", "concentration_sem", "detection_limit", "recovery",
        "signal_to_noise", "method", "time", "dilution",
    )  # fmt: skip
    compartment = table.texts("compartment")
    table.check(
        "compartment", [name not in COMPARTMENTS for name in compartment], f"is none of {', '.join(COMPARTMENTS)}"
    )
    concentration = table.numbers("concentration")
    table.check("concentration", concentration < 0.0, "is a negative concentration")
    blank = np.full(len(table), np.nan)

    def given(quantity: str, absent: Floats) -> Floats:
        found = table.optional(quantity, gaps=True)
        return absent if found is None else np.where(np.isnan(found), absent, found)

    sem, limit = given("concentration_sem", blank), given("detection_limit", blank)
    dilution, recovery = given("dilution", np.ones(len(table))), given("recovery", np.ones(len(table)))
    for quantity, values in (("concentration_sem", sem), ("detection_limit", limit)):
        if table.has(quantity):
            table.check(quantity, values < 0.0, "is negative")
    for quantity, values in (("dilution", dilution), ("recovery", recovery)):
        if table.has(quantity):
            table.check(quantity, values <= 0.0, "is not positive")
    return Liquids(
        species=tuple(name.lower() for name in table.texts("species")),
        compartment=tuple(compartment),
        concentration=concentration * dilution,
        sem=sem * dilution,
        detection_limit=limit * dilution,
        recovery=recovery,
        signal_to_noise=given("signal_to_noise", blank),
        time=given("time", blank),
    )
