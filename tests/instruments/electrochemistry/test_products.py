from __future__ import annotations

import pytest

from instruments.electrochemistry.products import PRODUCTS, electrons_from_carbon_dioxide
from instruments.metrics import PRODUCTS as METRIC_KEYS


@pytest.mark.parametrize(
    ("key", "electrons", "carbons", "hydroxides", "mass"),
    [
        ("h2", 2, 0, 2, 2.016),
        ("co", 2, 1, 2, 28.010),
        ("hcoo", 2, 1, 1, 45.017),
        ("ch3oh", 6, 1, 6, 32.042),
        ("ch4", 8, 1, 8, 16.043),
        ("c2h4", 12, 2, 12, 28.053),
        ("c2h6", 14, 2, 14, 30.069),
        ("c2h5oh", 12, 2, 12, 46.069),
        ("ch3coo", 8, 2, 7, 59.044),
        ("ch3cho", 10, 2, 10, 44.053),
        ("c3h7oh", 18, 3, 18, 60.095),
        ("c3h5oh", 16, 3, 16, 58.080),
        ("c2h5cho", 16, 3, 16, 58.080),
        ("c3h6o", 16, 3, 16, 58.080),
        ("glycolaldehyde", 8, 2, 8, 60.052),
        ("glycol", 10, 2, 10, 62.068),
        ("hcho", 4, 1, 4, 30.026),
    ],
)
def test_stoichiometry(key: str, electrons: int, carbons: int, hydroxides: int, mass: float) -> None:
    product = PRODUCTS[key]
    assert (product.electrons, product.carbons, product.hydroxides) == (electrons, carbons, hydroxides)
    assert product.molar_mass == pytest.approx(mass, abs=2e-3)


@pytest.mark.parametrize(
    ("key", "ph", "potential"),
    [
        ("h2", 0.0, 0.0),
        ("co", 7.0, -0.104),
        ("hcoo", 0.0, -0.225),
        ("hcoo", 6.8, -0.024),
        ("hcoo", 14.0, 0.189),
        ("ch3oh", 7.0, 0.031),
        ("ch4", 7.0, 0.169),
        ("c2h4", 7.0, 0.079),
        ("c2h6", 7.0, 0.143),
        ("c2h5oh", 7.0, 0.090),
        ("ch3coo", 6.8, 0.121),
        ("ch3coo", 14.0, 0.175),
        ("ch3cho", 7.0, 0.065),
        ("c3h7oh", 7.0, 0.103),
        ("c2h5cho", 7.0, 0.09),
        ("c3h6o", 7.0, 0.102),
        ("glycolaldehyde", 7.0, -0.03),
        ("hcho", 7.0, -0.069),
    ],
)
def test_potentials_from_gibbs_energies_agree_with_the_usual_table(key: str, ph: float, potential: float) -> None:
    """Nitopi et al., Chem. Rev. 2019, 119, 7610, Table 1, which the field quotes to 0.01 V."""
    assert PRODUCTS[key].equilibrium_potential(ph) == pytest.approx(potential, abs=5e-3)


@pytest.mark.parametrize(
    ("product", "hydrogenated", "usual"),
    [("c3h5oh", "c3h7oh", -91.0), ("c2h5cho", "c3h7oh", -41.0), ("ch3cho", "c2h5oh", -42.6), ("c2h4", "c2h6", -101.0)],
)
def test_hydrogenation_has_its_usual_gibbs_energy(product: str, hydrogenated: str, usual: float) -> None:
    """A double bond between carbon atoms yields about 90 to 100 kJ mol-1, one to oxygen about 40."""
    a, b = PRODUCTS[product], PRODUCTS[hydrogenated]
    change = 96.485 * (a.electrons * a.potential - b.electrons * b.potential)
    assert change == pytest.approx(usual, abs=3.0)


def test_carbon_monoxide_as_the_reactant_needs_fewer_electrons() -> None:
    """Counts of CO reduction are ``2 C`` less: 8 instead of 12 for ethylene."""
    assert electrons_from_carbon_dioxide(2, 4, 0) - electrons_from_carbon_dioxide(1, 0, 1) * 2 == 8


def test_all_products_of_the_metrics_are_there() -> None:
    assert {key for key in METRIC_KEYS if key != "c2plus"} <= set(PRODUCTS)
