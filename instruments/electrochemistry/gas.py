"""Gaseous products: flows at the outlet, windows of injections, Faradaic efficiencies.

The flow of gas that leaves the cell differs from what entered it, because CO2 is consumed and products are made. Taking
the inlet flow instead overestimates every gas (Ma et al., Energy Environ. Sci. 2020, 13, 977). Functions take floats,
arrays or :class:`~instruments.electrochemistry.uncertain.Uncertain` alike.
"""

from __future__ import annotations

from instruments.electrochemistry.constants import FARADAY, GAS_CONSTANT, ZERO_CELSIUS
from instruments.electrochemistry.uncertain import Value, exp, total


def faradaic_efficiency(electrons: Value, fraction: Value, outlet: Value, current: Value) -> Value:
    """``n F x n_out / |I|``.

    Args:
        electrons: for one molecule.
        fraction: dry mole fraction.
        outlet: dry molar flow in which the fraction was measured, mol s-1.
        current: mean over the window in which that gas was made, A.
    """
    return electrons * FARADAY * fraction * outlet / abs(current)


def detection_limit(electrons: Value, fraction: Value, outlet: Value, current: Value) -> Value:
    """The smallest efficiency that a detection limit, as a mole fraction, lets see."""
    return faradaic_efficiency(electrons, fraction, outlet, current)


def residence_time(volume: Value, flow: Value, temperature: Value, pressure: Value) -> Value:
    """Of gas in the headspace, s.

    Args:
        volume: m3.
        flow: mol s-1.
        temperature: K.
        pressure: Pa.
    """
    return volume * pressure / (flow * (GAS_CONSTANT * temperature))


def window(injection: Value, loop: Value, residence: Value) -> tuple[Value, Value]:
    """Begin and end of the electrolysis whose gas an injection sampled, s.

    The loop fills during ``loop`` before the injection, with gas that left the electrode a residence time earlier.
    """
    return injection - loop - residence, injection - residence


def water_vapour_pressure(temperature: Value) -> Value:
    """Over liquid water at a temperature in K, Pa (Buck 1996; within 0.1 % from 0 to 80 degrees Celsius)."""
    celsius = temperature - ZERO_CELSIUS
    return 611.21 * exp((18.678 - celsius / 234.5) * (celsius / (257.14 + celsius)))


def dry_flow(wet: Value, temperature: Value, pressure: Value) -> Value:
    """Dry share of a flow that is saturated with water at temperature (K) and pressure (Pa)."""
    return wet * (1.0 - water_vapour_pressure(temperature) / pressure)


def flow_from_standard(standard: Value, fraction: Value) -> Value:
    """Total flow of the gas in which an inert gas of known flow has a measured fraction.

    It contains the standard. A standard that joins before the cell is part of the cell's outlet; one that joins after
    it is not, see :func:`before_standard`.
    """
    return standard / fraction


def expansion_factor(fraction_in: Value, fraction_out: Value) -> Value:
    """Outlet over inlet flow: the fraction of an inert gas **in** over the one **out**.

    It is more than 1 where more gas is made than consumed: the standard is then diluted.
    """
    return fraction_in / fraction_out


def before_standard(mixed: Value, standard: Value) -> Value:
    """Outlet flow of the cell from the flow after the standard has joined behind the cell."""
    return mixed - standard


def undiluted(fraction: Value, standard_fraction: Value) -> Value:
    """Mole fraction at the cell's outlet from the one after a standard has joined behind the cell."""
    return fraction / (1.0 - standard_fraction)


def carbonate_rate(hydroxides: Value, rates: Value, axis: int = -1) -> Value:
    """CO2 lost as carbonate where all hydroxide takes CO2 from the gas: ``1/2 sum nOH n``, mol s-1."""
    return 0.5 * total(hydroxides * rates, axis)


def outlet_from_rates(inlet: Value, consumed: Value, carbonate: Value, made: Value) -> Value:
    """Balance of the gas: ``n_in - sum nC n - n_carbonate + sum n_gas``, mol s-1."""
    return inlet - consumed - carbonate + made


def outlet_from_balance(
    inlet: Value,
    fractions: Value,
    carbons: Value,
    hydroxides: Value,
    liquid_consumption: Value = 0.0,
    carbonate: float = 0.0,
) -> Value:
    """Dry outlet flow from the balance of the gas, with the gaseous products known as fractions of it.

    As ``n_i = x_i n_out``, the balance of :func:`outlet_from_rates` is linear in the outlet flow:
    ``n_out = (n_in - liquids) / (1 + sum x_i (nC_i + c nOH_i / 2 - 1))``.

    Args:
        inlet: mol s-1.
        fractions: dry mole fractions of the gaseous products, [..., gases].
        carbons: of these, [gases].
        hydroxides: of these, [gases].
        liquid_consumption: CO2 consumed for liquid products, with their carbonate, mol s-1.
        carbonate: 1 where hydroxide takes CO2 out of the gas as carbonate, 0 where it does not.
    """
    return (inlet - liquid_consumption) / (1.0 + total(fractions * (carbons + 0.5 * carbonate * hydroxides - 1.0)))
