"""One measurement as a batch of one: which tables, calibrations and scalars the reduction can work with."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from instruments.electrochemistry.batch import Batch, Layout
from instruments.electrochemistry.calibration import Calibration, Calibrations
from instruments.electrochemistry.channels import Channel, channel_of, day_of, retention_shift
from instruments.electrochemistry.constants import ROOM_TEMPERATURE
from instruments.electrochemistry.potentials import reference_electrode, reference_potential
from instruments.electrochemistry.products import PRODUCTS, SIDE_GASES
from instruments.electrochemistry.setup import Reference, Setup
from instruments.electrochemistry.signals import Chromatograms, Flows, Liquids, Signals, Trace
from instruments.electrochemistry.tables import Floats
from instruments.electrochemistry.units import Quantity
from instruments.errors import CalibrationError, SignalError

_SCALARS: Final = (
    "area", "roughness", "ph", "ph_expected", "temperature", "temperature_set", "resistance", "resistance_before",
    "resistance_after", "compensated", "headspace", "loop_time", "catholyte", "anolyte", "trap", "liquid_flow",
    "boundary_layer",
)  # fmt: skip
_CHECKS: Final = (
    "leak",
    "check_gas",
    "retention_shift",
    "standard_recovery",
    "blank_efficiency",
    "clock_offset",
    "injection_delay",
)
_ACCURACIES: Final = ("current", "potential", "inlet", "outlet", "liquid")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A measurement, ready to be reduced.

    Attributes:
        batch: of one experiment.
        calibrations: records that are used, by channel.
        notices: what a person should know.
    """

    batch: Batch
    calibrations: tuple[Calibration, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass
class _Parts:
    """Collects what goes into a batch and its layout."""

    layout: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Floats] = field(default_factory=dict)
    scalars: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)

    def scalar(self, name: str, value: Quantity | float | None) -> None:
        """Know a scalar, unless it is not there."""
        if value is None:
            return
        number, sem = (value.value, value.sem) if isinstance(value, Quantity) else (float(value), 0.0)
        self.scalars[name] = (np.array([number]), np.array([np.nan if sem is None else sem]))

    def need(self, name: str, there: bool) -> bool:
        """Note what is missing; whether it is there."""
        if not there and name not in self.missing:
            self.missing.append(name)
        return there


def prepare(signals: Signals, setup: Setup, calibrations: Calibrations) -> Prepared:
    """Bring together what one measurement holds.

    Raises:
        SignalError: a method asks for signals that are not there, or nothing was reduced at the cathode.
        CalibrationError: two calibrations could be meant.
    """
    parts = _Parts(notices=list(signals.notices))
    for name in _SCALARS:
        parts.scalar(name, getattr(setup, name))
    for name in _CHECKS:
        parts.scalar(f"check_{name}", getattr(setup.checks, name))
    for name in _ACCURACIES:
        parts.scalar(f"accuracy_{name}", getattr(setup.accuracy, name))
    parts.scalar("steady_after", setup.steady_after)
    parts.need("area", setup.area is not None)
    day = None if setup.date is None else day_of(setup.date)

    _traces(parts, signals, setup)
    _potential(parts, signals, setup)
    if signals.gas is not None:
        _gas(parts, signals.gas, setup, calibrations, day)
        _flow(parts, signals.flow, setup)
    elif signals.flow is not None:
        _flow_arrays(parts, signals.flow)
    if signals.liquid is not None:
        _liquid(parts, signals.liquid, signals.trace, setup)
    if setup.checks.liquid_in_gas_line is not None:
        parts.scalar("check_liquid_in_gas_line", float(setup.checks.liquid_in_gas_line))
    if setup.checks.pressure_oscillates is not None:
        parts.scalar("check_pressure_oscillates", float(setup.checks.pressure_oscillates))
    return _made(parts, signals, setup)


def _made(parts: _Parts, signals: Signals, setup: Setup) -> Prepared:
    tables = (("gas", signals.gas), ("liquid", signals.liquid))
    unknown = [key for key in setup.expected or () if key not in PRODUCTS]
    if unknown:
        raise SignalError(
            f"expected: {unknown[0]!r} is no product.", field="expected", mend=f"Known: {', '.join(PRODUCTS)}."
        )
    layout = Layout(
        cell=setup.cell,
        membrane=setup.membrane,
        regime=setup.regime,
        carbonate=setup.carbonate,
        phases=setup.analysed
        if setup.analysed is not None
        else tuple(name for name, table in tables if table is not None),
        expected=setup.expected,
        stability_of=setup.stability_of or "",
        known=frozenset(parts.scalars),
        arrays=frozenset(parts.arrays),
        missing=tuple(parts.missing),
        **parts.layout,
    )
    arrays: dict[str, Any] = {name: array[None] for name, array in parts.arrays.items()}
    batch = Batch(layout=layout, scalars=parts.scalars, **arrays)
    return Prepared(batch, tuple(parts.calibrations), tuple(parts.notices))


def _traces(parts: _Parts, signals: Signals, setup: Setup) -> None:
    trace = signals.trace
    passed = float(np.trapezoid(trace.current, trace.time))
    if passed >= 0.0:
        raise SignalError(
            "the potentiostat's current is not cathodic: no charge was used for a reduction."
            if passed > 0.0
            else "no charge was passed.",
            field="potentiostat.current",
            mend="Cathodic currents are negative; turn the sign where an instrument has it the other way.",
        )
    parts.arrays.update(time=trace.time, current=trace.current)
    if trace.potential is not None:
        parts.arrays["potential"] = trace.potential
    parts.arrays["points"] = np.array(float(len(trace.time)))
    if trace.cell_voltage is not None:
        parts.arrays["cell_voltage"] = trace.cell_voltage
    control = setup.control
    if control is None and (trace.set_potential is None) != (trace.set_current is None):
        control = "potential" if trace.set_potential is not None else "current"
    parts.layout["control"] = control
    set_point = trace.set_current if control == "current" else trace.set_potential
    if control is not None and set_point is not None:
        parts.arrays["set_point"] = set_point
    if trace.overload is not None:
        parts.arrays["overload"] = trace.overload.astype(float)
    if trace.temperature is not None:
        parts.scalar("trace_temperature", float(np.trapezoid(trace.temperature, trace.time) / np.ptp(trace.time)))
        if "temperature" not in parts.scalars:
            parts.scalar("temperature", Quantity(float(parts.scalars["trace_temperature"][0][0]), "K"))


def _potential(parts: _Parts, signals: Signals, setup: Setup) -> None:
    """The reference scale, and what the ohmic correction needs."""
    if setup.resistance is None:
        if signals.spectrum is not None:
            parts.scalar("resistance", Quantity(signals.spectrum.resistance, "ohm"))
        elif setup.resistance_before is not None and setup.resistance_after is not None:
            before, after = setup.resistance_before, setup.resistance_after
            spread = abs(after.value - before.value) / np.sqrt(12.0)
            parts.scalar("resistance", Quantity(0.5 * (before.value + after.value), "ohm", float(spread)))
    if signals.rest is not None:
        parts.scalar("rest_potential", float(signals.rest.potential[-1]))
    reference = setup.reference
    if reference is None:
        parts.need("reference", setup.cell == "mea")  # a zero-gap cell has no reference electrode
        return
    if "potential" not in parts.arrays:
        parts.need("potential", setup.cell == "mea")
        return
    if reference.potential is not None:
        parts.scalar("reference", reference.potential)
        parts.layout["scale"] = reference.scale
    elif reference.electrode is not None:
        electrode = reference_electrode(reference.electrode)
        parts.scalar("reference", Quantity(electrode.potential, "V", electrode.sem))
        if electrode.slope is not None:
            parts.scalar("reference_slope", electrode.slope)
        parts.layout["scale"] = electrode.scale
        if electrode.slope is None and "temperature" in parts.scalars:
            reference_potential(electrode, float(parts.scalars["temperature"][0][0]))  # refuses where it is not known
    _master(parts, reference)
    known = [parts.need(name, name in parts.scalars) for name in ("temperature", "resistance", "compensated")]
    if parts.layout["scale"] == "SHE":
        known.append(parts.need("ph", "ph" in parts.scalars))
    if not all(known):
        parts.layout["scale"] = None


def _master(parts: _Parts, reference: Reference) -> None:
    """The largest difference between what a reference electrode is taken for and what it was found to be."""
    taken = float(parts.scalars["reference"][0][0])
    if "reference_slope" in parts.scalars and "temperature" in parts.scalars:
        warmer = float(parts.scalars["temperature"][0][0]) - ROOM_TEMPERATURE
        taken += float(parts.scalars["reference_slope"][0][0]) * warmer
    found = [each.value for each in (reference.before, reference.after) if each is not None]
    if found:
        parts.scalar("reference_drift", max([taken, *found]) - min([taken, *found]))


def _gas(
    parts: _Parts, gas: Chromatograms, setup: Setup, calibrations: Calibrations, day: datetime.date | None
) -> None:
    """Channels with their calibrations; species that a detector could have seen but did not are channels too."""
    table = dict.fromkeys(zip(gas.species, gas.detectors, strict=True))
    seen = {detector for _, detector in table} or {""}
    looked_for = [
        (species, device)
        for device, species in sorted(calibrations.species(day))
        if device in seen and (species, device) not in table and gas.area is not None
    ]
    channels: dict[str, Channel] = {}
    for species, detector in (*table, *looked_for):
        if species not in PRODUCTS and species not in SIDE_GASES:
            parts.notices.append(f"chromatograph: {species!r} is no product of the table; its peaks are not reduced")
            continue
        channel = channel_of(gas, species, detector, calibrations.at(detector, species, day), setup)
        if channel is None:
            parts.notices.append(f"chromatograph: there is no calibration for the peaks of {species}")
        elif species in channels:
            raise CalibrationError(
                f"{species} is calibrated on two detectors.",
                field=f"chromatograph.{species}",
                mend="Keep the peaks of one of them.",
            )
        else:
            channels[species] = channel
    names = tuple(sorted(channels))
    parts.layout["species"] = names
    parts.arrays["injections"] = gas.time
    if day is None and any(channel.record is not None for channel in channels.values()):
        parts.notices.append("without a date the latest calibrations are taken, and their age is not known")
    if not names:
        parts.notices.append("chromatograph: no peak can be turned into a mole fraction")
    if not any(name in PRODUCTS for name in names):
        parts.need("calibrations", not any(species in PRODUCTS for species in gas.species))
    count = len(gas.time)
    parts.arrays["signal"] = (
        np.column_stack([channels[name].signal for name in names]) if names else np.empty((count, 0))
    )
    for name in names:
        lost = np.isnan(channels[name].signal)
        if name in PRODUCTS and lost.any() and not lost.all():
            where = ", ".join(str(number) for number in gas.injections[lost])
            parts.notices.append(
                f"chromatograph: {name} has no peak in injection {where}, and counts there as half of its limit"
            )
    powers = max([len(channels[name].coefficients) for name in names], default=2)
    coefficients, factor = np.zeros((len(names), powers)), np.zeros((len(names), powers, powers))
    for i, name in enumerate(names):
        size = len(channels[name].coefficients)
        coefficients[i, :size], factor[i, :size, :size] = channels[name].coefficients, channels[name].factor
    parts.arrays.update(coefficients=coefficients, factor=factor)
    for quantity in ("repeatability", "noise", "detection", "low", "high", "age", "r_squared", "expired"):
        parts.arrays[quantity] = np.array([channels[name].facts.get(quantity, np.nan) for name in names])
    parts.scalar("retention_shift", retention_shift(gas, channels))
    parts.calibrations += [c for name in names if (c := channels[name].record) is not None]


def _flow_arrays(parts: _Parts, flow: Flows) -> None:
    injections = parts.arrays.get("injections")
    covered = injections is None or (flow.time[0] <= injections.min() and injections.max() <= flow.time[-1])
    if len(flow.time) > 1 and not covered:
        parts.notices.append("flow: injections outside the readings have the flow of the nearest reading")
    parts.arrays.update(flow_time=flow.time, inlet=flow.inlet)
    for name in ("outlet", "pressure_drop", "back_pressure"):
        values = getattr(flow, name)
        if values is not None:
            parts.arrays[name] = values


def _flow(parts: _Parts, flow: Flows | None, setup: Setup) -> None:
    """The flow method and what it needs."""
    if flow is not None:
        _flow_arrays(parts, flow)
    if not parts.need("flow_method", setup.flow_method is not None):
        return
    if setup.standard is not None:
        parts.scalar("standard", setup.standard_flow())
        parts.layout["standard"] = setup.standard.species
    if setup.flow_method == "internal_standard":
        if setup.standard is None or setup.standard.species not in parts.layout["species"]:
            raise SignalError(
                "the internal standard has no peak that can be turned into a mole fraction.",
                field="standard.species",
                mend="Name the species as in the chromatograph, and give its calibration.",
            )
    elif flow is None or (setup.flow_method == "outlet" and flow.outlet is None):
        column = "outlet" if setup.flow_method == "outlet" else "inlet"
        raise SignalError(
            f"the flow method {setup.flow_method!r} needs the {column} flow.",
            field=f"flow.{column}",
            mend=f"Add a table 'flow' with the columns time/s and {column}/mol s-1, or choose another flow_method.",
        )
    if setup.flow_method == "carbon_balance" and not parts.need("carbonate", setup.carbonate is not None):
        return
    if setup.flow_method == "outlet":
        if not parts.need("outlet_wet", setup.outlet_wet is not None):
            return
        parts.layout["outlet_wet"] = bool(setup.outlet_wet)
    conditions = setup.outlet_conditions
    if conditions is not None:
        parts.scalar("gas_temperature", conditions.temperature)
        parts.scalar("gas_pressure", conditions.pressure)
    elif setup.outlet_wet and not parts.need("outlet_conditions", False):
        return
    if setup.feed is not None:
        parts.scalar("feed_co2", setup.feed.get("co2", 0.0))
    parts.layout["flow_method"] = setup.flow_method


def _liquid(parts: _Parts, liquid: Liquids, trace: Trace, setup: Setup) -> None:
    """Concentrations by product and compartment: the last sample of each, replicates of it averaged."""
    for species in sorted(set(liquid.species) - set(PRODUCTS)):
        parts.notices.append(f"liquid: {species!r} is no product of the table; it is not reduced")
    rows = [i for i, species in enumerate(liquid.species) if species in PRODUCTS]
    names = tuple(key for key in PRODUCTS if any(liquid.species[i] == key for i in rows))
    compartments = tuple(dict.fromkeys(liquid.compartment[i] for i in rows))
    parts.layout["liquids"], parts.layout["compartments"] = names, compartments
    grids = {name: np.full((len(names), len(compartments)), np.nan) for name in ("value", "sem", "limit")}
    latest = float(np.nanmax(liquid.time)) if np.isfinite(liquid.time).any() else np.nan
    for a, species in enumerate(names):
        for b, compartment in enumerate(compartments):
            mine = [i for i in rows if (liquid.species[i], liquid.compartment[i]) == (species, compartment)]
            if not mine:
                continue
            if np.isfinite(latest) and setup.liquid_mode != "flow":
                kept = [i for i in mine if liquid.time[i] == latest]
                if not kept:
                    raise SignalError(
                        f"table 'liquid': {species} in the {compartment} was not sampled at {latest:g} s as others.",
                        field="liquid.time",
                        mend="Give all samples of the last time.",
                    )
                mine = kept
            recovery = liquid.recovery[mine]
            grids["value"][a, b] = (liquid.concentration[mine] / recovery).mean()
            grids["sem"][a, b] = np.sqrt(((liquid.sem[mine] / recovery) ** 2).sum()) / len(mine)
            grids["limit"][a, b] = (liquid.detection_limit[mine] / recovery).max()
    passed = np.trapezoid(trace.current[trace.time <= latest], trace.time[trace.time <= latest])
    if np.isfinite(latest) and setup.liquid_mode == "batch" and passed >= 0.0:
        raise SignalError(
            f"table 'liquid': no charge was passed until the sample at {latest:g} s.",
            field="liquid.time",
            mend="Times are those of the potentiostat's clock; leave them out for a sample at the end.",
        )
    parts.arrays.update(
        concentration=grids["value"],
        concentration_sem=grids["sem"],
        concentration_limit=grids["limit"],
        liquid_time=np.array(latest),
    )
    ratios = liquid.signal_to_noise[rows]
    if np.isfinite(ratios).any():
        parts.scalar("signal_to_noise", float(np.nanmin(ratios)))
    if not parts.need("liquid_mode", setup.liquid_mode is not None):
        return
    wanted = ("liquid_flow",) if setup.liquid_mode == "flow" else compartments
    known = [parts.need(name, name in parts.scalars) for name in wanted]
    if all(known):
        parts.layout["liquid_mode"] = setup.liquid_mode
