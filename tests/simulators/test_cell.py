from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators._torch import double
from simulators.cell import SteadyState, conditions, steady_state
from simulators.constants import PRODUCTS, SIMULATED
from simulators.elements import element_names
from simulators.film import electrolyte
from simulators.kinetics import CARBONS
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

NOMINAL = World()

KUHL = np.array(
    [
        # V vs RHE, mA cm-2, and % of H2, CO, HCOO, CH4, C2H4, C2H5OH
        [-0.67, 0.40, 76, 18, 9, 0, 0, 0],
        [-0.74, 0.55, 62, 11, 19, 0.1, 0.4, 0],
        [-0.82, 0.86, 44, 8, 23, 0.1, 1.8, 0],
        [-0.89, 1.23, 38, 9, 25, 0.7, 3.6, 0],
        [-0.95, 1.91, 30, 7, 17, 3.0, 10, 2.5],
        [-1.01, 3.57, 25, 4, 11, 17, 18, 5.6],
        [-1.05, 5.91, 23, 1.1, 2.1, 24, 26, 9.8],
        [-1.09, 9.23, 22, 0.6, 1.4, 30, 21, 9.2],
        [-1.14, 12.2, 32, 0.4, 0.8, 40, 15, 5.5],
        [-1.17, 17.3, 52, 0.3, 0.5, 41, 9, 1.7],
    ]
)
"""Kuhl et al., Energy Environ. Sci. 2012, 5, 7050: copper in 0.1 M KHCO3; E_RHE = E_SHE + 0.402 V."""

HORI = {
    # V vs SHE, mA cm-2, major product, its share of all products
    "Cu": (-1.44, 5.0, "ch4", 0.337),
    "Au": (-1.14, 5.0, "co", 0.889),
    "Ag": (-1.37, 5.0, "co", 0.862),
    "Zn": (-1.54, 5.0, "co", 0.832),
    "Pd": (-1.20, 5.0, "co", 0.470),
    "Ga": (-1.24, 5.0, "h2", 0.773),
    "Pb": (-1.63, 5.0, "hcoo", 0.951),
    "In": (-1.55, 5.0, "hcoo", 0.946),
    "Sn": (-1.48, 5.0, "hcoo", 0.883),
    "Cd": (-1.63, 5.0, "hcoo", 0.761),
    "Bi": (-1.56, 1.2, "hcoo", 0.770),
    "Ni": (-1.48, 5.0, "h2", 0.962),
    "Fe": (-0.91, 5.0, "h2", 1.0),
    "Pt": (-1.07, 5.0, "h2", 0.999),
    "Ti": (-1.60, 5.0, "h2", 1.0),
}
"""Hori et al., Electrochim. Acta 1994, 39, 1833, at 18.5 degrees Celsius; rows normalised to 100 %."""


def cell(composition: dict[str, object], potential: object, mixing: float = 1.0, **others: object) -> SteadyState:
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


def kuhl() -> SteadyState:
    return cell({"Cu": 1.0}, on_rhe(KUHL[:, 0] - 0.402, 0.05916))


def test_copper_follows_kuhl() -> None:
    state = kuhl()
    products = ("h2", "co", "hcoo", "ch4", "c2h4", "c2h5oh")
    for column, (product, tolerance) in enumerate(zip(products, (15, 8, 6, 8, 8, 4), strict=True), start=2):
        error = 100 * share(state, product) - KUHL[:, column]
        assert np.sqrt(np.mean(error**2)) <= tolerance, product
    assert np.sqrt(np.mean((np.log10(state.current.numpy()) - np.log10(KUHL[:, 1])) ** 2)) <= 0.15


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


@pytest.mark.parametrize("metal", sorted(HORI))
def test_each_metal_at_its_published_potential(metal: str) -> None:
    on_she, current, major, expected = HORI[metal]
    state = cell({metal: 1.0}, on_rhe([on_she], 0.05787, temperature=291.65), temperature=291.65)
    best = SIMULATED[int(state.efficiencies[0].argmax())]
    if metal == "Cu":
        # at its potential copper carries less than 5 mA cm-2, where ethylene and methane are nearly equal
        assert best in {"ch4", "c2h4"}
        assert share(state, "ch4") + share(state, "c2h4") > 0.5
        assert float(state.current) == pytest.approx(current, rel=0.3)
        return
    assert best == major
    assert float(share(state, major)[0]) == pytest.approx(expected, abs=0.04)
    assert float(state.current) == pytest.approx(current, rel=0.1)


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
    potentials = np.linspace(-1.3, -0.6, 1401)
    state = cell(composition, potentials)
    row = int(np.abs(state.current.numpy() - 5.0).argmin())
    for product, value in expected.items():
        assert share(state, product)[row] == pytest.approx(value, abs=0.05), product


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


def test_larger_cations_make_more_ethylene_on_copper() -> None:
    cations = ["Li", "Na", "K", "Rb", "Cs"]
    state = cell({"Cu": 1.0}, [-1.0] * 5, cation=cations)
    partial = {p: state.partial_currents[:, i].numpy() for i, p in enumerate(SIMULATED)}
    assert (np.diff(partial["c2h4"]) > 0).all()
    assert (np.diff(partial["hcoo"]) > 0).all()
    assert np.ptp(partial["h2"]) / partial["h2"][2] <= 0.2


def test_more_co2_makes_less_hydrogen_when_starved() -> None:
    hydrogen = share(cell({"Cu": 1.0}, [-1.17] * 3, pressure=[1.0, 3.0, 10.0]), "h2")
    assert hydrogen[0] > hydrogen[1]
    assert hydrogen[1] > 0


def test_without_co2_strong_binders_make_hydrogen_faster() -> None:
    for metal, least in (("Pt", 20), ("Ni", 4)):
        state = cell({metal: 1.0}, [-0.7] * 2, pressure=[1.0, 1e-5])
        assert float(state.rates[1, 0] / state.rates[0, 0]) > least
