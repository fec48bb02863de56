from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import published
from simulators._torch import double
from simulators.cell import Status, SteadyState, conditions, steady_state
from simulators.constants import PRODUCTS, SIMULATED
from simulators.elements import element_names
from simulators.errors import ChemistryError, ConvergenceError
from simulators.film import electrolyte
from simulators.kinetics import CARBONS
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

NOMINAL = World()

KUHL = np.array(published.KUHL)


def cell(
    composition: dict[str, object], potential: object = None, mixing: float = 1.0, **others: object
) -> SteadyState:
    fractions = torch.stack([torch.atleast_1d(double(each)) for each in composition.values()], dim=-1)
    run = conditions(potential, **others)
    sites = surface_sites(
        fractions.expand(len(run.potential), -1), elements_of(tuple(composition), NOMINAL), NOMINAL, mixing
    )
    with torch.no_grad():
        return steady_state(sites, run)


def share(state: SteadyState, product: str) -> np.ndarray:
    return state.efficiencies[:, SIMULATED.index(product)].numpy()


def on_rhe(on_she: object, offset: float, **others: object) -> torch.Tensor:
    """The model's own reversible hydrogen scale; ``offset`` is per pH unit."""
    run = conditions(double(on_she), **others)
    solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure)
    return run.potential + offset * solution.ph


def test_copper_follows_kuhl() -> None:
    state = cell({"Cu": 1.0}, on_rhe(KUHL[:, 0] - published.KUHL_OFFSET, 0.05916))
    for product, tolerance in published.KUHL_TOLERANCES.items():
        error = 100 * share(state, product) - KUHL[:, 2 + published.KUHL_PRODUCTS.index(product)]
        assert np.sqrt(np.mean(error**2)) <= tolerance, product
    decades = np.log10(state.current.numpy()) - np.log10(KUHL[:, 1])
    assert np.sqrt(np.mean(decades**2)) <= published.KUHL_CURRENT_TOLERANCE


def test_the_order_of_copper_products_over_potential() -> None:
    potentials = np.arange(-1.18, -0.60, 0.005)
    state = cell({"Cu": 1.0}, on_rhe(potentials - 0.402, 0.05916))
    ethylene, methane = share(state, "c2h4"), share(state, "ch4")
    onset = {name: potentials[curve > 0.01].max() for name, curve in (("c2h4", ethylene), ("ch4", methane))}
    assert onset["c2h4"] > onset["ch4"]
    assert -1.12 <= potentials[ethylene.argmax()] <= -1.00
    assert methane[np.abs(potentials + 1.17).argmin()] > ethylene[np.abs(potentials + 1.17).argmin()]
    assert -1.12 <= potentials[share(state, "h2").argmin()] <= -1.00
    assert potentials[share(state, "hcoo").argmax()] > -0.95


@pytest.mark.parametrize("row", published.HORI.values(), ids=lambda row: row.metal)
def test_each_metal_at_its_published_current(row: published.MetalRow) -> None:
    state = cell({row.metal: 1.0}, current=row.current, temperature=published.HORI_TEMPERATURE)
    tolerance = published.HORI_COPPER_TOLERANCE if row.metal == "Cu" else published.HORI_TOLERANCE
    found = dict(zip(SIMULATED, 100 * state.efficiencies[0].numpy(), strict=True))
    for product, efficiency in found.items():
        assert efficiency == pytest.approx(100 * row.shares.get(product, 0.0), abs=tolerance), product
    assert max(found, key=found.__getitem__) == row.major
    assert float(state.on_she[0]) == pytest.approx(row.on_she, abs=published.HORI_POTENTIAL_TOLERANCE)


def test_published_rows_are_those_of_the_table() -> None:
    assert len(published.HORI) == 15
    assert published.HORI["Cu"].major == "ch4"
    # the published total of copper holds minor products, the listed ones make 98.7 %
    assert sum(published.HORI["Cu"].efficiencies.values()) == pytest.approx(98.7, abs=1e-9)
    assert published.HORI["Pd"].shares["co"] == pytest.approx(0.470, abs=5e-4)
    for row in published.HORI.values():
        assert sum(row.shares.values()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("composition", "expected"),
    [
        # efficiencies at 5 mA cm-2 that the specification's prototype gives for solid solutions
        ({"Cu": 0.97, "Ag": 0.03}, {"c2h4": 0.36}),
        ({"Cu": 0.90, "Ag": 0.10}, {"co": 0.28, "c2h4": 0.32}),
        ({"Cu": 0.90, "Au": 0.10}, {"co": 0.75}),
        ({"Cu": 0.90, "Sn": 0.10}, {"co": 0.16, "hcoo": 0.26}),
        ({"Cu": 0.70, "Sn": 0.30}, {"co": 0.29, "hcoo": 0.55}),
        ({"Cu": 0.70, "In": 0.30}, {"co": 0.37, "hcoo": 0.47}),
        ({"Cu": 0.90, "Al": 0.10}, {"c2h4": 0.39}),
    ],
)
def test_alloys_at_five_milliamperes(composition: dict[str, float], expected: dict[str, float]) -> None:
    state = cell(composition, current=5.0)
    for product, value in expected.items():
        assert float(share(state, product)[0]) == pytest.approx(value, abs=0.05), product


def test_silver_peaks_and_then_starves() -> None:
    potentials = [-0.60, -0.80, -1.00, -1.10, -1.20]
    carbon_monoxide = share(cell({"Ag": 1.0}, potentials), "co")
    assert carbon_monoxide == pytest.approx([0.12, 0.62, 0.83, 0.71, 0.32], abs=0.06)


mixtures = st.lists(st.floats(0.0, 1.0), min_size=16, max_size=16).filter(lambda values: sum(values) > 0.1)


@settings(deadline=None, max_examples=40)
@given(
    weights=mixtures,
    potential=st.floats(-2.0, -0.2),
    temperature=st.floats(273.15, 353.15),
    concentration=st.floats(10.0, 3000.0),
    cation=st.sampled_from(["Li", "Na", "K", "Rb", "Cs"]),
    thickness=st.floats(10e-6, 300e-6),
    pressure=st.floats(0.01, 10.0),
)
def test_invariants_anywhere_in_range(
    weights: list[float],
    potential: float,
    temperature: float,
    concentration: float,
    cation: str,
    thickness: float,
    pressure: float,
) -> None:
    total = sum(weights)
    composition = {name: weight / total for name, weight in zip(element_names(), weights, strict=True)}
    state = cell(
        composition,
        [potential],
        temperature=temperature,
        concentration=concentration,
        cation=cation,
        thickness=thickness,
        pressure=pressure,
    )
    assert float(state.efficiencies.sum()) == pytest.approx(1.0, abs=1e-9)
    assert bool((state.rates >= 0).all())
    assert float((state.rates * CARBONS).sum()) == pytest.approx(float(state.carbon), rel=1e-6, abs=1e-15)
    assert float(state.carbon) <= float(state.solution.d_co2 * state.solution.co2) / thickness * (1 + 1e-9)
    assert float(state.ph) >= float(state.solution.ph) - 1e-9
    for product, rate in zip(SIMULATED, state.rates[0].tolist(), strict=True):
        if potential >= PRODUCTS[product].equilibrium_potential(float(state.solution.ph)):
            assert rate <= 1e-20, product


@settings(deadline=None, max_examples=20)
@given(
    weights=st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4), order=st.permutations(range(4)),
    potential=st.floats(-1.5, -0.5),
)  # fmt: skip
def test_the_order_of_elements_means_nothing(weights: list[float], order: list[int], potential: float) -> None:
    names = ["Cu", "Ag", "Zn", "Sn"]
    total = sum(weights)
    one = cell({n: w / total for n, w in zip(names, weights, strict=True)}, [potential])
    other = cell({names[i]: weights[i] / total for i in order}, [potential])
    more = cell({**{names[i]: weights[i] / total for i in order}, "Pt": 0.0, "Fe": 0.0}, [potential])
    for again in (other, more):
        np.testing.assert_allclose(again.rates.numpy(), one.rates.numpy(), rtol=1e-9)


@pytest.mark.parametrize("composition", [{"Cu": 1.0}, {"Ag": 1.0}, {"Cu": 0.9, "Ag": 0.05, "Al": 0.05}, {"Sn": 1.0}])
def test_current_rises_with_driving_force(composition: dict[str, float]) -> None:
    current = cell(composition, np.linspace(-0.2, -2.0, 181)).current.numpy()
    assert (np.diff(current) > 0).all()


def test_nothing_happens_above_equilibrium() -> None:
    potentials = [0.3, 0.0, -0.05, -0.102]
    state = cell({"Cu": 0.5, "Pd": 0.5}, potentials)
    assert state.current[:2].tolist() == pytest.approx([0.0, 0.0], abs=1e-40)
    assert state.efficiencies[:2].sum() == 0.0
    assert share(state, "h2")[2] > 0.0
    for product in ("co", "ch4", "c2h4", "c2h5oh"):
        assert share(state, product).max() == pytest.approx(0.0, abs=1e-12)


def test_a_batch_gives_what_single_experiments_give() -> None:
    generator = np.random.default_rng(1)
    fractions = generator.dirichlet(np.ones(5) * 0.4, 200)
    potentials = generator.uniform(-1.5, -0.5, 200)
    names = ("Cu", "Ag", "Zn", "Sn", "Al")
    together = cell(dict(zip(names, fractions.T, strict=True)), potentials)
    for row in range(0, 200, 17):
        alone = cell(dict(zip(names, fractions[row], strict=True)), [potentials[row]])
        np.testing.assert_allclose(alone.rates[0].numpy(), together.rates[row].numpy(), rtol=1e-9)


def test_gradients_equal_finite_differences() -> None:
    names = ("Cu", "Ag", "Al")
    elements = elements_of(names, NOMINAL)

    def shares(inputs: torch.Tensor) -> torch.Tensor:
        fractions = inputs[:3] / inputs[:3].sum()
        sites = surface_sites(fractions.unsqueeze(0), elements, NOMINAL)
        return steady_state(sites, conditions(inputs[3:4], thickness=inputs[4:5])).efficiencies[0]

    for start in ([0.85, 0.1, 0.05, -1.02, 1e-4], [0.4, 0.3, 0.3, -1.3, 8e-5], [0.9, 0.05, 0.05, -0.7, 1e-4]):
        inputs = double(start)
        jacobian = torch.autograd.functional.jacobian(shares, inputs)
        assert bool(torch.isfinite(jacobian).all())
        for position, value in enumerate(start):
            step = 1e-5 * abs(value)
            moved = torch.zeros_like(inputs)
            moved[position] = step
            with torch.no_grad():
                slope = (shares(inputs + moved) - shares(inputs - moved)) / (2 * step)
            np.testing.assert_allclose(
                jacobian[:, position].numpy() * value, slope.numpy() * value, rtol=1e-4, atol=1e-7
            )


@pytest.mark.parametrize("potential", [-0.95, -1.0])
def test_larger_cations_make_more_ethylene_on_copper(potential: float) -> None:
    # Resasco et al., J. Am. Chem. Soc. 2017, 139, 11277: hydrogen and methane hardly care
    cations = ["Li", "Na", "K", "Rb", "Cs"]
    state = cell({"Cu": 1.0}, [potential] * 5, cation=cations)
    partial = {p: state.partial_currents[:, i].numpy() for i, p in enumerate(SIMULATED)}
    for product in ("c2h4", "c2h5oh", "hcoo"):
        assert (np.diff(partial[product]) > 0).all(), product
    for product in ("h2", "ch4"):
        assert np.abs(partial[product] / partial[product][2] - 1.0).max() <= 0.2, product
    for metal, product in (("Ag", "co"), ("Sn", "hcoo")):
        metallic = cell({metal: 1.0}, [-0.8] * 5, cation=cations)
        assert (np.diff(metallic.partial_currents[:, SIMULATED.index(product)].numpy()) > 0).all(), metal


def test_gold_makes_carbon_monoxide_early() -> None:
    potentials = np.arange(-1.0, -0.4, 0.01)
    carbon_monoxide = share(cell({"Au": 1.0}, potentials), "co")
    assert carbon_monoxide.max() == pytest.approx(0.86, abs=0.03)
    assert potentials[carbon_monoxide.argmax()] == pytest.approx(-0.70, abs=0.05)


def test_more_co2_makes_less_hydrogen_when_starved() -> None:
    hydrogen = share(cell({"Cu": 1.0}, [-1.17] * 3, pressure=[1.0, 3.0, 10.0]), "h2")
    assert hydrogen[0] > hydrogen[1]
    assert hydrogen[1] > 0


def test_without_co2_strong_binders_make_hydrogen_faster() -> None:
    for metal, least in (("Pt", 20), ("Ni", 4)):
        state = cell({metal: 1.0}, [-0.7] * 2, pressure=[1.0, 1e-5])
        assert float(state.rates[1, 0] / state.rates[0, 0]) > least


def test_the_temperature_series_of_copper() -> None:
    # Hori et al., J. Chem. Soc., Chem. Commun. 1986, 17: methane falls, ethylene rises up to about room temperature
    state = cell({"Cu": 1.0}, current=5.0, temperature=[273.15, 283.15, 291.65, 303.15, 313.15])
    methane, ethylene = 100 * share(state, "ch4"), 100 * share(state, "c2h4")
    assert methane == pytest.approx([54, 41, 30, 19, 12], abs=3)
    assert ethylene == pytest.approx([20, 26, 30, 32, 29], abs=4)
    assert (np.diff(methane) < 0).all()


def test_concentrated_electrolytes_make_hydrogen() -> None:
    state = cell({"Cu": 1.0}, current=5.0, temperature=291.65, concentration=[30.0, 100.0, 1000.0])
    assert (np.diff(share(state, "h2")) > 0).all()
    assert (np.diff(share(state, "c2h4")) < 0).all()
    assert state.ph[[0, 2]].numpy() == pytest.approx([10.4, 9.2], abs=0.1)


def test_pressure_feeds_a_starved_cathode() -> None:
    state = cell({"Cu": 1.0}, current=15.0, pressure=[1.0, 3.0, 10.0])
    assert share(state, "h2")[:2] == pytest.approx([0.37, 0.12], abs=0.03)
    assert (np.diff(share(state, "co") + share(state, "hcoo")) > 0).all()


@pytest.mark.parametrize("metal", ["Cu", "Ag", "Au", "Sn", "Pd"])
@pytest.mark.parametrize("kind", ["h_cell", "gde", "mea"])
def test_argon_gives_hydrogen_only(metal: str, kind: str) -> None:
    state = cell({metal: 1.0}, [-0.7, -1.0], pressure=0.0, cell=kind)
    assert (state.efficiencies[:, 1:].sum(-1) < 1e-3).all()
    assert share(state, "h2") == pytest.approx(1.0, abs=1e-3)


kinds = st.sampled_from(["h_cell", "gde", "mea"])


@settings(deadline=None, max_examples=60)
@given(
    weights=mixtures,
    kind=kinds,
    salt=st.sampled_from(["bicarbonate", "hydroxide"]),
    current=st.floats(0.01, 1000.0),
    temperature=st.floats(273.15, 353.15),
    concentration=st.floats(10.0, 3000.0),
    pressure=st.floats(0.01, 10.0),
    flooded=st.floats(0.0, 1.0),
    crust=st.floats(0.0, 0.9),
    inlet=st.floats(1e-2, 1.0),
)
def test_a_held_current_flows_and_everything_closes(
    weights: list[float], kind: str, salt: str, current: float, **others: float
) -> None:
    names = element_names()
    composition = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    if kind == "h_cell":
        salt = "bicarbonate"
    state = cell(composition, current=current, cell=kind, salt=salt, **others)
    assert float(state.current) == pytest.approx(current, rel=1e-6)
    assert float(state.efficiencies.sum()) == pytest.approx(1.0, abs=1e-9)
    assert bool((state.rates >= 0).all())
    assert float((state.rates * CARBONS).sum()) == pytest.approx(float(state.carbon), rel=1e-6, abs=1e-15)
    assert float(state.absorbed) >= -1e-15
    again = cell(composition, [float(state.potential)], cell=kind, salt=salt, **others)
    np.testing.assert_allclose(again.rates.numpy(), state.rates.numpy(), rtol=1e-5, atol=1e-18)
    if kind != "h_cell":
        used = float(state.conversion.sum() + state.carbonate.sum())
        assert used <= 1.0 + 1e-9
        assert used + float(state.outlet / state.run.inlet) == pytest.approx(1.0, abs=1e-6)


def test_uncompensated_resistance_shifts_the_interface() -> None:
    applied = np.linspace(-1.6, -0.4, 25)
    state = cell({"Cu": 0.9, "Ag": 0.1}, applied, compensation=0.15)
    drop = state.current.numpy() * 10.0 * state.run.resistance.numpy() * 0.85
    np.testing.assert_allclose(state.potential.numpy() - drop, applied, atol=1e-8)
    np.testing.assert_allclose(state.applied.numpy(), applied, atol=1e-8)
    ideal = cell({"Cu": 0.9, "Ag": 0.1}, applied)
    assert (state.current < ideal.current).all()
    same = cell({"Cu": 0.9, "Ag": 0.1}, state.potential)
    np.testing.assert_allclose(same.rates.numpy(), state.rates.numpy(), rtol=1e-7)


def test_bubbles_raise_the_resistance() -> None:
    calm, bubbling = (cell({"Ag": 1.0}, current=100.0, cell="gde", bubbles=share) for share in (0.0, 0.03))
    assert float(bubbling.resistance / calm.resistance) == pytest.approx(0.97**-1.5, rel=1e-9)
    assert float(bubbling.voltage) > float(calm.voltage)
    held = cell({"Ag": 1.0}, [-1.5], cell="gde", compensation=0.0, bubbles=0.03)
    assert float(held.applied) == pytest.approx(-1.5, abs=1e-8)


def test_the_cell_voltage_adds_up() -> None:
    # 1.229 V, 60 mV for each decade over 1e-5 mA cm-2, and the drop
    state = cell({"Ag": 1.0}, current=[1.0, 10.0, 100.0], cell="gde", concentration=1000.0, resistance=1e-4)
    anode = 1.229 + 0.060 * np.array([5.0, 6.0, 7.0])
    drop = np.array([1.0, 10.0, 100.0]) * 10.0 * 1e-4
    np.testing.assert_allclose(state.voltage.numpy(), anode + drop - state.potential.numpy(), atol=1e-9)


def test_impossible_currents_are_told_from_the_others() -> None:
    currents = [5.0, 1e9, 20.0]
    state_of = surface_sites(double([[1.0]]), elements_of(("Pb",), NOMINAL), NOMINAL)
    with pytest.raises(ConvergenceError, match=r"1 of 3 experiments, row 1 first, do not reach .* \(1e\+09 mA cm-2\)"):
        steady_state(state_of, conditions(current=currents))
    state = steady_state(state_of, conditions(current=currents), strict=False)
    assert state.converged.tolist() == [True, False, True]
    assert state.status.tolist() == [Status.CONVERGED, Status.OUT_OF_REACH, Status.CONVERGED]
    assert bool(torch.isfinite(state.rates).all())
    assert state.current[[0, 2]].tolist() == pytest.approx([5.0, 20.0], rel=1e-6)


@pytest.mark.parametrize(
    "held",
    [
        {"potential": [-0.7, -0.9, -1.1, -1.3]},
        {"current": [0.5, 5.0, 20.0, 80.0]},
        {"potential": [-0.7, -0.9, -1.1, -1.3], "compensation": 0.5},
        {"current": [10.0, 100.0, 400.0, 1000.0], "cell": "gde", "concentration": 1000.0},
        {"current": [10.0, 100.0, 400.0, 1000.0], "cell": "gde", "salt": "hydroxide", "concentration": 1000.0},
        {"current": [10.0, 100.0, 400.0, 1000.0], "cell": "mea"},
    ],
)
def test_batches_of_every_kind_give_what_single_experiments_give(held: dict[str, Any]) -> None:
    names = ("Cu", "Ag", "Zn", "Al")
    fractions = np.random.default_rng(2).dirichlet(np.ones(4), 4)
    together = cell(dict(zip(names, fractions.T, strict=True)), **held)
    for row in range(4):
        alone = {key: value[row] if isinstance(value, list) else value for key, value in held.items()}
        single = cell(dict(zip(names, fractions[row], strict=True)), **alone)
        np.testing.assert_allclose(single.rates[0].numpy(), together.rates[row].numpy(), rtol=1e-8)
        assert float(single.potential) == pytest.approx(float(together.potential[row]), abs=1e-9)


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"cell": "gde", "concentration": 1000.0, "flooded": 0.1},
        {"cell": "gde", "concentration": 1000.0, "salt": "hydroxide"},
        {"cell": "mea"},
    ],
)
@pytest.mark.parametrize("control", ["current", "potential"])
def test_gradients_of_every_kind_equal_finite_differences(held: dict[str, Any], control: str) -> None:
    elements = elements_of(("Cu", "Ag", "Al"), NOMINAL)

    def outputs(inputs: torch.Tensor) -> torch.Tensor:
        sites = surface_sites((inputs[:3] / inputs[:3].sum()).unsqueeze(0), elements, NOMINAL)
        scale = 5.0 if not held else 150.0
        setting = {"current": scale * inputs[3]} if control == "current" else {"potential": -inputs[3]}
        extra = {} if control == "current" else {"compensation": 0.6}
        state = steady_state(sites, conditions(temperature=300.0 * inputs[4], **setting, **extra, **held))
        return torch.cat([state.efficiencies[0], state.potential, state.voltage, state.ph, state.absorbed])

    inputs = double([0.85, 0.1, 0.05, 1.1, 1.0])
    jacobian = torch.autograd.functional.jacobian(outputs, inputs)
    assert bool(torch.isfinite(jacobian).all())
    for position in range(len(inputs)):
        moved = torch.zeros_like(inputs)
        moved[position] = 1e-5
        slope = (outputs(inputs + moved) - outputs(inputs - moved)) / 2e-5
        np.testing.assert_allclose(jacobian[:, position].numpy(), slope.numpy(), rtol=1e-4, atol=2e-6)


def test_a_search_may_begin_elsewhere() -> None:
    sites = surface_sites(double([[0.9, 0.1]]), elements_of(("Cu", "Ag"), NOMINAL), NOMINAL)
    near = steady_state(sites, conditions(current=[5.0, 10.0]))
    far = steady_state(sites, conditions(current=[9.0, 60.0]), start=near)
    fresh = steady_state(sites, conditions(current=[9.0, 60.0]))
    np.testing.assert_allclose(far.rates.numpy(), fresh.rates.numpy(), rtol=1e-8)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "potential"),
        ({"potential": -1.0, "current": 5.0}, "potential"),
        ({"potential": -1.0, "cell": "beaker"}, "cell"),
        ({"potential": -1.0, "salt": "chloride"}, "salt"),
        ({"potential": -1.0, "salt": "hydroxide"}, "salt"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ChemistryError) as caught:
        conditions(**settings)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"potential": np.nan}, "potential"),
        ({"potential": [-1.0, np.inf]}, "potential"),
        ({"current": [5.0, 0.0]}, "current"),
        ({"current": -5.0}, "current"),
        ({"potential": []}, "potential"),
        ({"potential": -1.0, "concentration": -100.0}, "concentration"),
        ({"potential": -1.0, "temperature": 25.0}, "temperature"),
        ({"potential": -1.0, "pressure": -1.0}, "pressure"),
        ({"potential": -1.0, "thickness": 0.0}, "thickness"),
        ({"potential": -1.0, "compensation": 1.2}, "uncompensated"),
        ({"potential": -1.0, "cell": "gde", "inlet": 0.0}, "inlet"),
        ({"potential": -1.0, "cell": "gde", "flooded": 1.5}, "flooded"),
        ({"potential": -1.0, "cell": "gde", "crust": 1.0}, "crust"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ChemistryError, match=r"^(potential|current|\w+) is") as caught:
        conditions(**settings)
    assert caught.value.field == field
    assert caught.value.mend


def test_a_held_setting_has_no_counterpart() -> None:
    assert bool(conditions(current=5.0).potential.isnan().all())
    assert bool(conditions(potential=-1.0).current.isnan().all())


def test_what_hydroxide_takes_up_in_the_film_leaves_as_carbonates() -> None:
    """Alkalinity gives the bicarbonate at the surface; its fluxes must then be the CO2 that was taken up."""
    state = cell({"Cu": 1.0}, [-0.8, -1.0, -1.1], concentration=300.0)
    bulk, thickness = state.solution, state.run.thickness
    hydroxides = double([PRODUCTS[key].hydroxides for key in SIMULATED])
    released = (state.rates * hydroxides).sum(-1)
    oh = bulk.oh * 10.0 ** (state.ph - bulk.ph)
    left = released * thickness - bulk.d_oh * (oh - bulk.oh) + bulk.d_hco3 * bulk.hco3 + 2.0 * bulk.d_co3 * bulk.co3
    hco3 = left / (bulk.d_hco3 + 2.0 * bulk.d_co3 * bulk.carbonate * oh)
    co3 = bulk.carbonate * hco3 * oh
    leaving = (bulk.d_hco3 * (hco3 - bulk.hco3) + bulk.d_co3 * (co3 - bulk.co3)) / thickness
    np.testing.assert_allclose(state.absorbed.numpy(), leaving.numpy(), rtol=1e-5)
    assert bool((state.absorbed > 0.0).all())
