"""Worked examples, each with a value that was computed by hand from the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.electrochemistry import carbon, charge, energy, gas, liquid, stability
from instruments.electrochemistry.constants import FARADAY, SCCM
from instruments.electrochemistry.potentials import (
    REFERENCE_ELECTRODES,
    corrected,
    nernst_slope,
    reference_electrode,
    reference_potential,
    rhe,
    she,
)
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.uncertain import Uncertain
from instruments.errors import SignalError

KELVIN = 273.15


def electrons(*keys: str) -> np.ndarray:
    return np.array([PRODUCTS[key].electrons for key in keys], dtype=float)


# Potentials


@pytest.mark.parametrize(
    ("kelvin", "millivolts"), [(298.15, 59.159), (291.65, 57.870), (308.15, 61.144), (333.15, 66.104)]
)
def test_nernst_slope(kelvin: float, millivolts: float) -> None:
    assert 1e3 * nernst_slope(kelvin) == pytest.approx(millivolts, abs=1e-3)


@pytest.mark.parametrize(
    ("measured", "electrode", "celsius", "ph", "expected"),
    [
        (-1.700, "Ag/AgCl (KCl sat.)", 25.0, 6.80, -1.1007),
        (-1.700, "Ag/AgCl (KCl sat.)", 35.0, 6.75, -1.1004),
        (-1.500, "Hg/HgO (a(OH-) = 1)", 25.0, 14.0, -0.5738),
        (-1.550, "Ag/AgCl (3 M KCl)", 25.0, 7.20, -0.9141),
        (-1.44, "SHE", 18.5, 6.8, -1.0465),
    ],
)
def test_reversible_hydrogen_scale(measured: float, electrode: str, celsius: float, ph: float, expected: float) -> None:
    kelvin = celsius + KELVIN
    reference = reference_potential(REFERENCE_ELECTRODES[electrode], kelvin)
    assert rhe(she(measured, reference), ph, kelvin) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("compensated", "expected"), [(0.85, -1.0632), (0.0, -0.8507)])
def test_ohmic_drop(compensated: float, expected: float) -> None:
    assert corrected(-1.1007, -0.050, 5.0, compensated) == pytest.approx(expected, abs=1e-9)


@given(st.floats(-3.0, 3.0), st.floats(1e-4, 1.0), st.floats(0.1, 100.0), st.floats(0.0, 0.99))
def test_the_sign_of_the_current_decides(potential: float, current: float, ohms: float, compensated: float) -> None:
    """A cathodic current makes the corrected potential less negative, whatever the sign of the potential."""
    assert corrected(potential, -current, ohms, compensated) > potential
    assert corrected(potential, current, ohms, compensated) < potential


def test_an_unknown_electrode_names_the_nearest() -> None:
    with pytest.raises(SignalError, match=r"Did you mean 'Ag/AgCl \(3 M KCl\)'"):
        reference_electrode("Ag/AgCl 3 M KCl")


def test_a_temperature_that_an_electrode_is_not_known_at() -> None:
    electrode = REFERENCE_ELECTRODES["Ag/AgCl (1 M KCl)"]
    assert reference_potential(electrode) == 0.236
    with pytest.raises(SignalError, match="with temperature is not known"):
        reference_potential(electrode, 313.15)


# Charge


def test_charge_by_trapezoids() -> None:
    time = np.arange(0.0, 241.0, 60.0)
    current = -1e-3 * np.array([100, 98, 97, 96, 95.5])
    assert charge.charge(time, current) == pytest.approx(-23.325)


@given(
    st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(-1.0, 1.0)), min_size=2, max_size=20),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
)
def test_averages_over_windows_add_up(points: list[tuple[float, float]], a: float, b: float) -> None:
    time = np.cumsum([step for step, _ in points])
    values = np.array([value for _, value in points])
    low, high = sorted((a, b))
    edges = time[0] + (time[-1] - time[0]) * np.array([0.0, low, high, 1.0])
    means = charge.mean_between(time, values, edges[:-1], edges[1:])
    np.testing.assert_allclose((means * np.diff(edges)).sum(), charge.charge(time, values), atol=1e-9)


def test_a_window_of_a_straight_line() -> None:
    time = np.array([0.0, 10.0, 20.0])
    means = charge.mean_between(time, 3.0 * time, np.array([2.0, 5.0]), np.array([14.0, 5.0]))
    np.testing.assert_allclose(means, [24.0, 15.0])


def test_partial_currents_keep_their_sign() -> None:
    assert charge.partial_current(0.253, -10.0) == pytest.approx(-2.53)


def test_hori_copper_closes_without_being_normalised() -> None:
    published = np.array([20.5, 1.3, 9.4, 33.3, 25.5, 5.7, 3.0]) / 100.0
    assert charge.closure(published) == pytest.approx(0.987)


# Gas

OUTLET = 18.6 * SCCM
FRACTIONS = np.array([0.55, 1.80, 0.06, 0.16]) / 100.0
GASES = electrons("h2", "co", "ch4", "c2h4")


def test_efficiencies_of_gases() -> None:
    found = gas.faradaic_efficiency(GASES, FRACTIONS, OUTLET, -0.1)
    np.testing.assert_allclose(found, [0.1468, 0.4804, 0.0641, 0.2562], atol=5e-5)
    assert found.sum() == pytest.approx(0.9475, abs=5e-5)
    inlet = gas.faradaic_efficiency(GASES, FRACTIONS, 20.0 * SCCM, -0.1)
    assert inlet.sum() == pytest.approx(1.0188, abs=5e-5)


def test_detection_limits_as_efficiencies() -> None:
    assert gas.detection_limit(2, 10e-6, 20 * SCCM, -0.01) == pytest.approx(0.0029, abs=5e-5)
    assert gas.detection_limit(12, 1e-6, 20 * SCCM, -0.01) == pytest.approx(0.0017, abs=5e-5)


def test_internal_standard_before_and_after_the_cell() -> None:
    total = gas.flow_from_standard(1.0, 0.0510)
    assert total == pytest.approx(19.608, abs=5e-4)
    assert gas.before_standard(total, 1.0) == pytest.approx(18.608, abs=5e-4)
    # what is made in the cell is the same by both ways of counting
    assert gas.undiluted(0.01, 0.051) * gas.before_standard(total, 1.0) == pytest.approx(0.01 * total)


def test_expansion_is_in_over_out() -> None:
    """A standard that is diluted from 5 % to 4 % by gas made in the cell: the outlet is 1.25 of the inlet."""
    assert gas.expansion_factor(0.05, 0.04) == pytest.approx(1.25)


RATES = np.array([0.9, 0.1]) * 0.2 / (2.0 * FARADAY)  # CO and H2 at 200 mA


def test_outlet_by_the_carbon_balance() -> None:
    np.testing.assert_allclose(RATES, [9.3278e-7, 1.0364e-7], rtol=1e-4)
    carbonate = gas.carbonate_rate(np.array([2.0, 2.0]), RATES)
    assert carbonate == pytest.approx(1.0364e-6, rel=1e-4)
    outlet = gas.outlet_from_rates(20.0 * SCCM, RATES[0], carbonate, RATES.sum())
    assert outlet / SCCM == pytest.approx(18.746, abs=1e-3)
    assert 20.0 * SCCM / outlet == pytest.approx(1.0669, abs=1e-4)
    by_fractions = gas.outlet_from_balance(
        20.0 * SCCM, RATES / outlet, np.array([1.0, 0.0]), np.array([2.0, 2.0]), carbonate=1.0
    )
    assert by_fractions == pytest.approx(outlet, rel=1e-12)


def test_water_in_the_gas() -> None:
    assert gas.water_vapour_pressure(298.15) == pytest.approx(3169.0, abs=2.0)
    assert gas.water_vapour_pressure(333.15) == pytest.approx(19946.0, rel=2e-3)
    assert 1.0 - gas.dry_flow(1.0, 298.15, 101325.0) == pytest.approx(0.0313, abs=1e-4)


# Liquids


@pytest.mark.parametrize(("key", "millimolar", "expected"), [("hcoo", 4.20, 0.4052), ("c2h5oh", 0.45, 0.2605)])
def test_efficiencies_in_batch(key: str, millimolar: float, expected: float) -> None:
    found = liquid.batch_efficiency(PRODUCTS[key].electrons, millimolar * 30e-6, -60.0)
    assert found == pytest.approx(expected, abs=5e-5)


def test_efficiency_in_a_stream() -> None:
    assert liquid.flow_efficiency(2, 2.5, 10e-6 / 60.0, -0.2) == pytest.approx(0.4020, abs=5e-5)


def test_quantitative_nmr() -> None:
    standard = liquid.mixed_concentration(10.0, 50.0, 550.0)
    assert standard == pytest.approx(0.9091, abs=5e-5)
    assert liquid.nmr_concentration(1.0, 1, 2.4, 6, standard, 550.0, 550.0) == pytest.approx(2.2727, abs=5e-5)
    assert liquid.nmr_concentration(1.0, 1, 2.4, 6, standard, 550.0, 500.0) == pytest.approx(2.500, abs=5e-4)


# Carbon


def test_conversion_and_carbonate() -> None:
    feed = 20.0 * SCCM
    carbonate = gas.carbonate_rate(np.array([2.0, 2.0]), RATES)
    outlet = feed - RATES[0] - carbonate
    assert carbon.single_pass_conversion(1, RATES[0], feed) == pytest.approx(0.0627, abs=5e-5)
    assert carbonate / feed == pytest.approx(0.0697, abs=5e-5)
    assert carbon.carbon_efficiency(np.array([1.0, 0.0]), RATES, feed, outlet) == pytest.approx(0.4737, abs=5e-5)
    assert carbon.co2_conversion(feed, outlet) == pytest.approx(0.0627 + 0.0697, abs=1e-4)
    assert carbon.carbon_balance(outlet, np.array([1.0, 0.0]), RATES, carbonate, feed) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("key", "carbonate", "bicarbonate"),
    [
        ("co", 0.500, 0.333),
        ("hcoo", 0.667, 0.5),
        ("ch4", 0.200, 0.111),
        ("c2h4", 0.250, 0.143),
        ("c2h5oh", 0.250, 0.143),
        ("c3h7oh", 0.250, 0.143),
        ("ch3coo", 0.364, 0.222),
    ],
)
def test_the_most_that_can_be_converted(key: str, carbonate: float, bicarbonate: float) -> None:
    product = PRODUCTS[key]
    assert carbon.maximum_conversion(product.carbons, product.hydroxides) == pytest.approx(carbonate, abs=5e-4)
    found = carbon.maximum_conversion(product.carbons, product.hydroxides, "bicarbonate")
    assert found == pytest.approx(bicarbonate, abs=5e-4)


@given(st.floats(0.0, 1.0))
def test_the_most_of_a_mixture_is_between_its_products(share: float) -> None:
    maxima = np.array([0.5, 0.25])
    most = carbon.maximum_of_mixture(np.array([share, 1.0 - share]), maxima)
    assert 0.25 - 1e-12 <= most <= 0.5 + 1e-12


def test_the_ion_that_crosses() -> None:
    assert carbon.crossing_ion(1.9, 1.0) == "carbonate"
    assert carbon.crossing_ion(3.8, 1.0) == "bicarbonate"
    assert carbon.crossing_ion(0.1, 1.0) == "hydroxide"


# Energy and kinetics


def test_energy_efficiencies() -> None:
    assert energy.full_cell_efficiency(0.9, -0.104, 3.0) == pytest.approx(0.3999, abs=5e-5)
    assert energy.half_cell_efficiency(0.9, -0.104, -0.85) == pytest.approx(0.5771, abs=5e-5)


def test_turnover_frequency() -> None:
    assert energy.turnover_frequency(-20.0, 2, energy.COPPER_SITES, 10.0) == pytest.approx(0.3525, abs=2e-4)


@pytest.mark.parametrize(("key", "expected"), [("co", 12.16), ("c2h4", 36.49)])
def test_limiting_current(key: str, expected: float) -> None:
    product = PRODUCTS[key]
    found = energy.limiting_current_density(product.electrons, product.carbons, 1.91e-9, 33.0, 100e-6)
    assert found / 10.0 == pytest.approx(expected, abs=5e-3)


# Stability

HOURS = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
DECAY = np.array([90.0, 89.4, 88.9, 87.6, 85.5, 83.2, 76.8])


def test_stability_of_a_long_run() -> None:
    trend = stability.trend(HOURS, DECAY)
    assert trend.slope == pytest.approx(-0.5501, abs=5e-5)
    assert trend.intercept == pytest.approx(89.92, abs=5e-3)
    assert trend.lifetime(0.8) == pytest.approx(32.69, abs=5e-3)
    low, high = trend.interval(0.95)
    assert low < trend.slope < high
    assert stability.retention(DECAY) == pytest.approx(76.8 / 90.0)
    assert stability.time_average(HOURS, DECAY) == pytest.approx(np.trapezoid(DECAY, HOURS) / 24.0)


def test_the_interval_of_a_slope_agrees_with_scipy() -> None:
    from scipy import stats

    fit = stats.linregress(HOURS, DECAY)
    trend = stability.trend(HOURS, DECAY)
    assert trend.slope_sem == pytest.approx(fit.stderr)
    half = stats.t.ppf(0.975, len(HOURS) - 2) * fit.stderr
    np.testing.assert_allclose(trend.interval(0.95), [fit.slope - half, fit.slope + half])


def test_two_points_have_no_interval() -> None:
    with pytest.raises(SignalError, match="three"):
        stability.trend(HOURS[:2], DECAY[:2])


# Uncertainty


def test_uncertainty_of_an_efficiency() -> None:
    fraction = Uncertain.systematic(0.018, 0.018 * 0.02, "chromatograph")
    flow = Uncertain.systematic(OUTLET, OUTLET * 0.01, "flow")
    current = Uncertain.systematic(-0.1, 0.1 * 0.002, "current")
    found = gas.faradaic_efficiency(2, fraction, flow, current)
    assert found.sem == pytest.approx(0.01079, abs=5e-6)
    assert 2.0 * found.sem == pytest.approx(0.0216, abs=5e-5)


def test_uncertainty_of_a_potential() -> None:
    reference = Uncertain.systematic(0.197, 2e-3, "reference")
    ph = Uncertain.systematic(6.8, 0.05, "ph")
    resistance = Uncertain.systematic(5.0, 0.25, "resistance")
    found = corrected(rhe(she(-1.7, reference), ph), -0.05, resistance)
    assert found.sem == pytest.approx(13.0e-3, abs=5e-5)
    assert found.share("resistance") > 0.9


def test_covariance_of_efficiencies() -> None:
    """Gases share flow and current, a gas and a liquid the current alone."""
    flow = Uncertain.systematic(OUTLET, OUTLET * 0.01, "flow")
    current = Uncertain.systematic(-0.1, 0.1 * 0.002, "current")
    gases = gas.faradaic_efficiency(GASES, FRACTIONS, flow, current)
    formate = liquid.batch_efficiency(2, 4.2 * 30e-6, current * 600.0)
    a, b = gases.values[:2]
    assert gases[0].covariance(gases[1]) == pytest.approx(a * b * (0.01**2 + 0.002**2))
    assert gases[0].covariance(formate) == pytest.approx(a * float(formate) * 0.002**2)


def test_without_oxygen_no_ion_can_be_told() -> None:
    with pytest.raises(SignalError, match="no oxygen"):
        carbon.crossing_ion(1.0, 0.0)
