from __future__ import annotations

import numpy as np
import pytest

from simulators._torch import double
from simulators.cell import GASES, SteadyState, conditions, steady_state
from simulators.constants import FARADAY, PRODUCTS, SIMULATED
from simulators.control import anode_potential, bubble_factor, conductivity
from simulators.film import Exchange, electrolyte
from simulators.gas_diffusion import GasElectrode
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

NOMINAL = World()


def gas_cell(metal: str, kind: str = "gde", **settings: object) -> SteadyState:
    concentration = {} if kind == "mea" else {"concentration": 1000.0}
    run = conditions(cell=kind, **{**concentration, **settings})
    return steady_state(surface_sites(double([[1.0]]), elements_of((metal,), NOMINAL), NOMINAL), run)


def percent(state: SteadyState, product: str) -> np.ndarray:
    return 100 * state.efficiencies[:, SIMULATED.index(product)].numpy()


def test_copper_over_the_current_density() -> None:
    # what the calibration's own prototype gave in 1 M KHCO3; trends as in gas-fed copper cells
    state = gas_cell("Cu", current=[50.0, 200.0, 500.0])
    expected = {"co": [29, 9, 3], "c2h4": [20, 41, 47], "c2h5oh": [3, 9, 13], "ch4": [7, 12, 7], "h2": [17, 14, 14]}
    for product, values in expected.items():
        assert percent(state, product) == pytest.approx(values, abs=3), product
    assert state.ph.numpy() == pytest.approx([9.8, 11.0, 12.5], abs=0.1)


def test_copper_in_hydroxide_needs_less_potential() -> None:
    alkaline = gas_cell("Cu", current=200.0, salt="hydroxide")
    assert float(alkaline.potential) == pytest.approx(-0.66, abs=0.01)
    for product, value in {"c2h4": 41, "c2h5oh": 10, "ch3coo": 11, "co": 7, "ch4": 2}.items():
        assert percent(alkaline, product)[0] == pytest.approx(value, abs=2), product
    neutral = gas_cell("Cu", current=200.0)
    assert float(alkaline.potential - neutral.potential) > 0.2
    assert float(alkaline.carbonate) > 20 * float(neutral.carbonate)


def test_silver_makes_carbon_monoxide() -> None:
    assert percent(gas_cell("Ag", current=200.0), "co")[0] == pytest.approx(95, abs=1)


def test_a_flooded_electrode_makes_hydrogen() -> None:
    state = gas_cell("Cu", current=200.0, flooded=[0.0, 0.8, 1.0])
    assert percent(state, "h2") == pytest.approx([14, 24, 72], abs=2)
    assert percent(gas_cell("Cu", current=200.0, flooded=np.linspace(0, 1, 21)), "h2").argmin() == 0


@pytest.mark.parametrize(("kind", "salt"), [("gde", "bicarbonate"), ("gde", "hydroxide"), ("mea", "bicarbonate")])
@pytest.mark.parametrize("metal", ["Cu", "Ag", "Sn", "Ni"])
def test_current_rises_with_driving_force(metal: str, kind: str, salt: str) -> None:
    state = gas_cell(metal, kind, salt=salt, potential=np.linspace(-0.3, -1.8, 151))
    assert (np.diff(state.current.numpy()) > 0).all()
    held = gas_cell(metal, kind, salt=salt, current=np.geomspace(0.1, 3000.0, 60))
    assert (np.diff(held.potential.numpy()) < 0).all()
    assert (np.diff(held.voltage.numpy()) > 0).all()


def test_salt_in_the_pores_starves_the_catalyst() -> None:
    state = gas_cell("Ag", current=400.0, crust=[0.0, 0.5, 0.8, 0.9])
    assert (np.diff(state.co2.numpy()) < 0).all()
    assert (np.diff(percent(state, "h2")) > 0).all()


@pytest.mark.parametrize("kind", ["gde", "mea"])
@pytest.mark.parametrize("metal", ["Cu", "Ag", "Sn"])
def test_less_gas_means_more_conversion_up_to_a_limit(kind: str, metal: str) -> None:
    inlet = np.geomspace(1.0, 2e-3, 25)
    state = gas_cell(metal, kind, current=300.0, inlet=inlet)
    total = (state.conversion.sum(-1) + state.carbonate).numpy()
    assert (np.diff(total) > 0).all()
    assert total.max() <= 1.0
    assert float(state.outlet.min()) >= 0.0
    np.testing.assert_allclose(state.outlet.numpy() / inlet + total, 1.0, atol=1e-9)


@pytest.mark.parametrize(("kind", "salt"), [("gde", "bicarbonate"), ("gde", "hydroxide"), ("mea", "bicarbonate")])
def test_atoms_that_enter_leave_again(kind: str, salt: str) -> None:
    state = gas_cell("Cu", kind, salt=salt, current=[50.0, 300.0, 900.0], inlet=0.1)
    assert GASES == ("h2", "co", "ch4", "c2h4")
    gas = (state.gases @ double([1, *(PRODUCTS[key].carbons for key in GASES)])).numpy()
    liquid = [key for key in SIMULATED if key not in GASES]
    dissolved = sum(PRODUCTS[key].carbons * state.rates[:, SIMULATED.index(key)].numpy() for key in liquid)
    np.testing.assert_allclose(gas + dissolved + state.absorbed.numpy(), 0.1, rtol=1e-9)
    charge = state.rates @ double([PRODUCTS[key].electrons * FARADAY for key in SIMULATED])
    np.testing.assert_allclose(charge.numpy(), [500.0, 3000.0, 9000.0], rtol=1e-6)
    np.testing.assert_allclose(state.composition.sum(-1).numpy(), 1.0, rtol=1e-12)


def test_carbonate_limits_the_conversion_in_a_membrane_cell() -> None:
    # each hydroxide takes half a CO2 with it: nC / (nC + nOH / 2), 0.5 for CO, 0.25 for ethylene
    for metal, product in (("Ag", "co"), ("Cu", "c2h4"), ("Sn", "hcoo")):
        made = PRODUCTS[product]
        limit = made.carbons / (made.carbons + made.hydroxides / 2)
        state = gas_cell(metal, "mea", current=np.geomspace(10.0, 2000.0, 30), inlet=0.05)
        best = float(state.conversion[:, SIMULATED.index(product)].max())
        assert best <= limit
        assert best > 0.25 * limit


def test_a_membrane_cell_carries_its_charge_as_carbonate() -> None:
    state = gas_cell("Ag", "mea", current=200.0)
    released = float((state.rates @ double([PRODUCTS[key].hydroxides for key in SIMULATED])).item())
    assert float(state.absorbed) == pytest.approx(released / 2, rel=0.02)


def test_the_gas_balance_is_its_own_derivative() -> None:
    run = conditions(-1.0, cell="gde", salt="hydroxide", concentration=1000.0, flooded=0.3, crust=0.2)
    solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure, run.hydroxide)
    layer = GasElectrode(run.thickness, run.inlet, run.flooded, run.crust)
    oh, step, uptake = double([300.0]), 1e-3, double([2e-3])
    here, more, less = (layer.balance(solution, oh + shift, uptake) for shift in (0.0, step, -step))
    assert float(here.rise) == pytest.approx(float(more.absorbed - less.absorbed) / (2 * step), rel=1e-5)
    assert float(here.fall) == pytest.approx(-float(more.co2 - less.co2) / (2 * step), rel=1e-5)
    # what enters either leaves or is used
    used = float(uptake * here.co2 + here.absorbed)
    assert float(run.inlet * here.left) + used == pytest.approx(float(run.inlet), rel=1e-12)


def test_without_current_nothing_is_absorbed_from_saturated_bicarbonate() -> None:
    run = conditions(-1.0, cell="gde", concentration=1000.0)
    solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure)
    layer = GasElectrode(run.thickness, run.inlet, run.flooded, run.crust)
    still = Exchange(double(0.0), double(0.0), double(0.0))
    co2, oh = layer.surface(solution, solution.oh, still)
    assert float(co2) == pytest.approx(float(solution.co2), rel=1e-12)
    assert float(oh) == pytest.approx(float(solution.oh), rel=1e-6)


@pytest.mark.parametrize(
    ("molar", "hydroxide", "expected", "tolerance"),
    [(0.1, 0.0, 0.98, 0.03), (0.5, 0.0, 4.0, 0.1), (1.0, 1.0, 21.5, 0.1), (6.0, 1.0, 62.0, 2.0)],
)
def test_conductivities(molar: float, hydroxide: float, expected: float, tolerance: float) -> None:
    # handbook values in S m-1: KHCO3 at 0.1 and 0.5 mol/L, KOH at 1 and 6 mol/L
    found = conductivity(double(1e3 * molar), double(298.15), double(73.5), double(hydroxide))
    assert float(found) == pytest.approx(expected, abs=tolerance)


def test_the_anode_rests_below_its_exchange_current() -> None:
    assert float(anode_potential(double(0.0))) == pytest.approx(1.229)
    assert float(anode_potential(double(100.0))) == pytest.approx(1.229 + 0.36, abs=1e-12)


def test_bubbles_of_the_nominal_share() -> None:
    assert float(bubble_factor(double(0.03), double(1000.0))) == pytest.approx(0.97**-1.5, rel=1e-12)
    assert float(bubble_factor(double(0.03), double(4000.0))) == pytest.approx(0.94**-1.5, rel=1e-12)
    assert float(bubble_factor(double(0.0), double(4000.0))) == 1.0


def test_charge_leaves_as_hydroxide_or_anions() -> None:
    state = gas_cell("Sn", current=100.0)
    anions = state.rates[:, [SIMULATED.index("hcoo"), SIMULATED.index("ch3coo")]].sum(-1)
    hydroxide = state.rates @ double([PRODUCTS[key].hydroxides for key in SIMULATED])
    assert float(hydroxide + anions) == pytest.approx(1000.0 / FARADAY, rel=1e-6)
