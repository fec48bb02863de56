"""What the reduction needs to know beside the signals: the cell, its scales, its flows, its volumes.

A :class:`Setup` is a frozen record of JSON values. Each quantity comes with its unit and, where it was assessed, its
standard uncertainty: ``"1.00 +/- 0.02 cm2"``. Nothing here has a default that could pass for a measurement: what is
not given is not known, and what cannot be computed without it is not computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from instruments.electrochemistry._schema import Record
from instruments.electrochemistry.gas import water_vapour_pressure
from instruments.electrochemistry.products import PRODUCTS, SIDE_GASES
from instruments.electrochemistry.units import (
    DIMENSIONLESS,
    Area,
    Length,
    Pressure,
    Quantity,
    Ratio,
    Resistance,
    Temperature,
    Time,
    Voltage,
    Volume,
    VolumeFlow,
    flow_scale,
    quantity,
)
from instruments.errors import SignalError

KEY: Final = "setup"
"""Where the setup stands in the metadata of a measurement."""

Phase = Literal["gas", "liquid"]
Compartment = Literal["catholyte", "anolyte", "trap"]

_INERT: Final = ("n2", "ar", "he")
_GAS: Final = {"temperature": (200.0, 500.0), "pressure": (1e3, 1e8)}


def _told(value: Quantity) -> str:
    return f"{value.value:g}" if value.unit == DIMENSIONLESS else f"{value.value:g} {value.unit}"


def _within(value: Quantity | None, low: float, high: float, field: str) -> None:
    if value is not None and not low <= value.value <= high:
        bounds = f"outside {low:g} to {high:g}" if math.isfinite(high) else f"less than {low:g}"
        raise SignalError(f"{field}: {_told(value)} is {bounds}", field=field)


class Conditions(Record):
    """What a volume of gas refers to."""

    temperature: Temperature
    pressure: Pressure

    @model_validator(mode="after")
    def _possible(self) -> Conditions:
        for name, (low, high) in _GAS.items():
            _within(getattr(self, name), low, high, name)
        return self


class Reference(Record):
    """The reference electrode.

    Attributes:
        electrode: a name of :data:`~instruments.electrochemistry.potentials.REFERENCE_ELECTRODES`.
        potential: of the electrode as calibrated, which goes before the table; on ``scale``.
        scale: ``SHE``, or ``RHE`` for a potential measured in the same electrolyte.
        before: of the electrode as found by comparison with a master before the experiment, on ``scale`` like
            ``potential``: it must be what the electrode is taken for, and stay so.
        after: the same after the experiment.
    """

    electrode: str | None = None
    potential: Voltage | None = None
    scale: Literal["SHE", "RHE"] = "SHE"
    before: Voltage | None = None
    after: Voltage | None = None

    @model_validator(mode="after")
    def _known(self) -> Reference:
        if self.electrode is None and self.potential is None:
            raise SignalError(
                "a reference electrode needs a name or a potential.", field="electrode", mend="Give `electrode`."
            )
        if self.potential is None and self.electrode is not None:
            from instruments.electrochemistry.potentials import reference_electrode

            reference_electrode(self.electrode)
        return self


class InternalStandard(Record):
    """An inert gas of known flow.

    Attributes:
        species: ``n2``, ``ar`` or ``he``.
        flow: as text with its unit; standard flows refer to ``flow_reference`` of the setup. It is no part of the
            inlet flow in the table of flows.
        position: whether it joins the gas before or after the cell.
    """

    species: str
    flow: str
    position: Literal["before", "after"]

    @field_validator("species")
    @classmethod
    def _inert(cls, species: str) -> str:
        if species.lower() not in _INERT:
            raise SignalError(
                f"{species!r} is no inert gas.", field="species", mend=f"It is one of {', '.join(_INERT)}."
            )
        return species.lower()


class Accuracy(Record):
    """Standard uncertainties of instruments that hold for a whole experiment; what is not given was not assessed.

    Attributes:
        current: relative, of current and charge.
        potential: of the potentiostat's voltage, V.
        inlet: relative, of the inlet flow.
        outlet: relative, of the outlet flow.
        fraction: relative, of mole fractions that the instrument calibrated itself, one factor a species.
        repeatability: relative, of one such mole fraction, independent from injection to injection.
        liquid: relative, of the calibration of liquid analyses, one factor a species.
    """

    current: Ratio | None = None
    potential: Voltage | None = None
    inlet: Ratio | None = None
    outlet: Ratio | None = None
    fraction: Ratio | None = None
    repeatability: Ratio | None = None
    liquid: Ratio | None = None

    @model_validator(mode="after")
    def _possible(self) -> Accuracy:
        for name in type(self).model_fields:
            _within(getattr(self, name), 0.0, math.inf, name)
        return self


class Checks(Record):
    """Results of checks beside the experiment, for quality control; what is not given was not done.

    Attributes:
        leak: relative difference between inlet and outlet flow at rest.
        check_gas: relative deviation of a check gas from its certificate.
        retention_shift: relative shift of retention times.
        standard_recovery: of the internal standard of the liquid analysis, 1 where all was found.
        blank_efficiency: sum of the Faradaic efficiencies of carbon products under argon.
        clock_offset: between potentiostat and chromatograph.
        injection_delay: of the injection that came latest after its slot.
        liquid_in_gas_line: whether there was any.
        pressure_oscillates: whether the pressure drop rose and fell periodically.
    """

    leak: Ratio | None = None
    check_gas: Ratio | None = None
    retention_shift: Ratio | None = None
    standard_recovery: Ratio | None = None
    blank_efficiency: Ratio | None = None
    clock_offset: Time | None = None
    injection_delay: Time | None = None
    liquid_in_gas_line: bool | None = None
    pressure_oscillates: bool | None = None


class Setup(Record):
    """Everything that the reduction needs beside the signals.

    Attributes:
        version: of this record's form.
        date: of the experiment, ISO 8601, for the validity of calibrations.
        cell: ``h_cell``, ``gde`` (flowing catholyte) or ``mea`` (zero gap).
        membrane: between the electrodes.
        regime: of the electrolyte at the cathode.
        control: what the potentiostat held, where the signals do not tell by ``set_potential`` or ``set_current``.
        area: geometric area of the electrode.
        roughness: real area over geometric area.
        reference: electrode, as a name or a :class:`Reference`.
        ph: of the bulk catholyte, saturated with CO2, at ``temperature``.
        ph_source: whether it was measured.
        ph_expected: for this electrolyte saturated with CO2.
        temperature: of the catholyte.
        temperature_set: what it should have been.
        resistance: between working and reference electrode; without it an ``impedance`` table is read.
        resistance_before: the same, measured before the experiment.
        resistance_after: the same, measured after it.
        compensated: share of it that the potentiostat has compensated.
        flow_method: where the dry outlet flow comes from: ``inlet`` (taken for the outlet: no gas consumed), ``outlet``
            (a meter), ``internal_standard`` or ``carbon_balance``.
        flow_reference: what volume and standard flows refer to.
        outlet_reference: the same for the outlet meter, where it is another.
        outlet_wet: whether the outlet meter saw gas saturated with water.
        outlet_conditions: temperature and pressure of that gas.
        feed: mole fractions of the dry inlet gas, such as ``{"co2": 1.0}``.
        standard: the internal standard.
        carbonate: whether hydroxide takes CO2 out of the gas for good: ``none`` (a steady cell whose electrolyte is
            saturated), or ``stoichiometric`` (half a CO2 for each hydroxide, in flowing alkaline and AEM cells).
        headspace: gas volume between electrode and sampling valve.
        loop_time: time to fill the sampling loop.
        steady_after: residence times of the headspace after which an injection counts as steady.
        catholyte: volume of the catholyte, corrected for samples and evaporation.
        anolyte: volume of the anolyte.
        trap: volume of the cold trap.
        liquid_mode: ``batch`` (products gather over the whole charge) or ``flow`` (a stream carries them away).
        liquid_flow: of that stream.
        analysed: phases that were analysed.
        expected: keys of all products to be expected; by default those of the analysed phases.
        boundary_layer: thickness, for the limiting current.
        stability_of: metric whose change over time is told (``fe_c2h4``).
        accuracy: of the instruments.
        checks: results of checks beside the experiment.

    Raises:
        SignalError: an impossible value; ``field`` says which.
    """

    version: Literal[1] = 1
    date: str | None = None
    cell: Literal["h_cell", "gde", "mea"] | None = None
    membrane: Literal["aem", "cem", "bpm", "none"] | None = None
    regime: Literal["acidic", "neutral", "alkaline"] | None = None
    control: Literal["potential", "current"] | None = None
    area: Area | None = None
    roughness: Ratio | None = None
    reference: Reference | None = None
    ph: Ratio | None = None
    ph_source: Literal["measured", "assumed"] | None = None
    ph_expected: Ratio | None = None
    temperature: Temperature | None = None
    temperature_set: Temperature | None = None
    resistance: Resistance | None = None
    resistance_before: Resistance | None = None
    resistance_after: Resistance | None = None
    compensated: Ratio | None = None
    flow_method: Literal["inlet", "outlet", "internal_standard", "carbon_balance"] | None = None
    flow_reference: Conditions | None = None
    outlet_reference: Conditions | None = None
    outlet_wet: bool | None = None
    outlet_conditions: Conditions | None = None
    feed: dict[str, float] | None = None
    standard: InternalStandard | None = None
    carbonate: Literal["none", "stoichiometric"] | None = None
    headspace: Volume | None = None
    loop_time: Time | None = None
    steady_after: float = Field(default=4.0, ge=0.0)
    catholyte: Volume | None = None
    anolyte: Volume | None = None
    trap: Volume | None = None
    liquid_mode: Literal["batch", "flow"] | None = None
    liquid_flow: VolumeFlow | None = None
    analysed: tuple[Phase, ...] | None = None
    expected: tuple[str, ...] | None = None
    boundary_layer: Length | None = None
    stability_of: str | None = None
    accuracy: Accuracy = Accuracy()
    checks: Checks = Checks()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        short: dict[str, Any] = {}
        if isinstance(data.get("reference"), str):
            short["reference"] = {"electrode": data["reference"]}
        if isinstance(data.get("feed"), Mapping):
            short["feed"] = {str(name).lower(): share for name, share in data["feed"].items()}
        return {**data, **short}

    @model_validator(mode="after")
    def _possible(self) -> Setup:
        for name in _POSITIVE:
            value: Quantity | None = getattr(self, name)
            if value is not None and value.value <= 0.0:
                raise SignalError(f"{name}: must be more than 0, not {_told(value)}", field=name)
        for name, (low, high) in BOUNDS.items():
            _within(getattr(self, name), low, high, name)
        if self.outlet_wet and self.outlet_conditions is not None:
            gas = self.outlet_conditions
            if water_vapour_pressure(gas.temperature.value) >= gas.pressure.value:
                raise SignalError(
                    f"outlet_conditions: water boils at {_told(gas.temperature)} and {_told(gas.pressure)}.",
                    field="outlet_conditions",
                )
        if self.feed is not None and not (
            all(0.0 <= share <= 1.0 for share in self.feed.values()) and abs(sum(self.feed.values()) - 1.0) < 1e-3
        ):
            raise SignalError("feed: mole fractions must be within 0 and 1, and sum to 1", field="feed")
        unknown = [name for name in self.feed or () if name not in PRODUCTS and name not in SIDE_GASES]
        if unknown:
            raise SignalError(
                f"feed: {unknown[0]!r} is no gas that is known here.",
                field=f"feed.{unknown[0]}",
                mend=f"Known: {', '.join(SIDE_GASES)}, and the products.",
            )
        if self.stability_of is not None and self.stability_of.removeprefix("fe_") not in (
            *PRODUCTS,
            "c2plus",
            "total",
        ):
            raise SignalError(
                f"stability_of: {self.stability_of!r} is no Faradaic efficiency of a product.",
                field="stability_of",
                mend="Write it like fe_c2h4.",
            )
        if self.flow_method == "internal_standard" and self.standard is None:
            raise SignalError("standard: the flow method needs an internal standard", field="standard")
        self.standard_flow()  # its unit is checked now rather than later
        return self

    def standard_flow(self) -> Quantity | None:
        """The internal standard's molar flow, mol s-1, or ``None``."""
        return None if self.standard is None else molar_flow(self.standard.flow, self.flow_reference, "standard.flow")

    def to_metadata(self) -> dict[str, Any]:
        """As JSON values, for the metadata of a measurement; what is not known is left out."""
        return {KEY: self.model_dump(mode="json", exclude_none=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object]) -> Setup:
        """The setup that the metadata of a measurement hold.

        Raises:
            SignalError: there is none, or it is impossible.
        """
        data = metadata.get(KEY)
        if not isinstance(data, Mapping):
            raise SignalError(
                "the metadata hold no setup: nothing says what the signals mean.",
                field=f"metadata.{KEY}",
                mend=f"Add Setup(...).to_metadata(), the key {KEY!r}, to the metadata of the measurement.",
            )
        return cls(**{str(name): value for name, value in data.items()})


_POSITIVE: Final = ("area", "roughness", "headspace", "loop_time", "catholyte", "anolyte", "trap", "liquid_flow",
                    "boundary_layer")  # fmt: skip
BOUNDS: Final = {
    "ph": (-1.0, 15.5),
    "ph_expected": (-1.0, 15.5),
    "temperature": (200.0, 500.0),
    "temperature_set": (200.0, 500.0),
    "resistance": (0.0, 1e6),
    "resistance_before": (0.0, 1e6),
    "resistance_after": (0.0, 1e6),
    "compensated": (0.0, 1.0),
}


def molar_flow(written: str, reference: Conditions | None, field: str) -> Quantity:
    """A flow with its unit as mol s-1.

    Args:
        written: such as ``"1.00 +/- 0.01 sccm"``.
        reference: what volume and standard flows refer to.
        field: what an error names.

    Raises:
        SignalError: no flow, one that is not positive, or one whose reference conditions are not known.
    """
    number, unit = _split(written, field)
    factor = flow_scale(
        unit,
        None if reference is None else reference.temperature.value,
        None if reference is None else reference.pressure.value,
        field,
    )
    if number.value <= 0.0:
        raise SignalError(f"{field}: {written!r} is no positive flow.", field=field)
    return Quantity(factor * number.value, "mol s-1", None if number.sem is None else factor * number.sem)


def _split(written: str, field: str) -> tuple[Quantity, str]:
    """Numbers and unit of a flow whose unit is not of one dimension."""
    from instruments.electrochemistry.units import taken_apart

    value, unit, sem = taken_apart(written, "mol s-1", field)
    return quantity(Quantity(value, "1", sem), "1", field), unit
