"""What quality control looks at: numbers about each experiment, apart from any judgement of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from instruments.electrochemistry.tables import Flags, Floats


@dataclass(frozen=True, eq=False)
class Evidence:
    """Numbers about E experiments; ``None``, or NaN for one experiment, where something was not assessed.

    All arrays are [E] but those by product, gas channel or liquid, which are [E, n] with the names beside them.

    Attributes:
        count: E.
        products: names along the axis of ``efficiency`` and what goes with it.
        channels: names along the axis of ``range_ratio`` and what goes with it.
        liquids: names along the axis of ``liquid_ratio``.
        complete: whether all phases in which products are expected were analysed.
        closure: sum of the efficiencies.
        closure_sem: its standard uncertainty.
        efficiency: by product.
        efficiency_sem: by product.
        efficiency_limit: the least that could have been seen, by product.
        ohmic_sem: standard uncertainty of the ohmic drop that was corrected, V.
        ohmic_share: ohmic drop over the distance from the open-circuit potential.
        resistance_change: relative, after against before.
        current_drift: relative, while the gas of an injection was made, the worst injection.
        potential_drift: V, likewise.
        spikes: share of points far off their neighbours.
        overload: share of the time in overload.
        off_set_point: share of the time off the set potential.
        flow_mismatch: measured against balanced outlet flow, relative.
        oxygen: mole fraction in the product gas.
        nitrogen: the same, where it is no internal standard.
        leak: relative difference of flows at rest.
        range_ratio: largest fraction over the largest calibrated one, by channel.
        low_ratio: smallest fraction that was seen over the smallest calibrated one, by channel.
        channel_efficiency: efficiency of the channel's product, by channel.
        check_gas: relative deviation of a check gas.
        calibration_age: days, the oldest.
        calibration_expired: 1 where the validity of one had ended.
        calibration_fit: R squared, the worst.
        retention_shift: relative.
        injections: number of steady ones.
        injection_products: names along the axis of ``injection_difference``, product by product for each pair.
        injection_difference: relative, of consecutive injections, NaN where the product is no major one.
        injection_sigmas: the same over its standard uncertainty, NaN where the repeatability is not known.
        carbon_balance: carbon found over carbon fed.
        conversion: single-pass conversion.
        conversion_sem: its standard uncertainty.
        conversion_limit: the most that stoichiometry allows, where that binds.
        signal_to_noise: of liquid analyses, the worst.
        standard_recovery: deviation from 1.
        reference_drift: V.
        ph_deviation: from the expected pH.
        temperature_deviation: K.
        above_equilibrium: potential minus standard potential, V, by product.
        blank: efficiency of carbon products without CO2.
        transport: current of CO2 reduction over its limit.
        hydrogen_slope: of its efficiency, per hour.
        hydrogen_ratio: last over first efficiency.
        back_pressure: relative change.
        liquid_in_gas_line: 1 where there was any.
        pressure_rise: relative, of the pressure drop.
        pressure_oscillates: 1 where it does.
        flow_left: last over first flow.
        clock_offset: s.
        injection_delay: s.
        liquid_ratio: concentration over the smallest that can be quantified, by liquid.
        liquid_efficiency: by liquid.
        missing: metadata that were missing, by experiment.
    """

    count: int
    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    liquids: tuple[str, ...] = ()
    complete: Flags | None = None
    closure: Floats | None = None
    closure_sem: Floats | None = None
    efficiency: Floats | None = None
    efficiency_sem: Floats | None = None
    efficiency_limit: Floats | None = None
    ohmic_sem: Floats | None = None
    ohmic_share: Floats | None = None
    resistance_change: Floats | None = None
    current_drift: Floats | None = None
    potential_drift: Floats | None = None
    spikes: Floats | None = None
    overload: Floats | None = None
    off_set_point: Floats | None = None
    flow_mismatch: Floats | None = None
    oxygen: Floats | None = None
    nitrogen: Floats | None = None
    leak: Floats | None = None
    range_ratio: Floats | None = None
    low_ratio: Floats | None = None
    channel_efficiency: Floats | None = None
    check_gas: Floats | None = None
    calibration_age: Floats | None = None
    calibration_expired: Floats | None = None
    calibration_fit: Floats | None = None
    retention_shift: Floats | None = None
    injections: Floats | None = None
    injection_products: tuple[str, ...] = ()
    injection_difference: Floats | None = None
    injection_sigmas: Floats | None = None
    carbon_balance: Floats | None = None
    conversion: Floats | None = None
    conversion_sem: Floats | None = None
    conversion_limit: Floats | None = None
    signal_to_noise: Floats | None = None
    standard_recovery: Floats | None = None
    reference_drift: Floats | None = None
    ph_deviation: Floats | None = None
    temperature_deviation: Floats | None = None
    above_equilibrium: Floats | None = None
    blank: Floats | None = None
    transport: Floats | None = None
    hydrogen_slope: Floats | None = None
    hydrogen_ratio: Floats | None = None
    back_pressure: Floats | None = None
    liquid_in_gas_line: Floats | None = None
    pressure_rise: Floats | None = None
    pressure_oscillates: Floats | None = None
    flow_left: Floats | None = None
    clock_offset: Floats | None = None
    injection_delay: Floats | None = None
    liquid_ratio: Floats | None = None
    liquid_efficiency: Floats | None = None
    missing: tuple[tuple[str, ...], ...] = field(default=())

    def arrays(self) -> Mapping[str, Floats]:
        """All arrays that are there, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
