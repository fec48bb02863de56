from __future__ import annotations

import pytest

from simulators.constants import PRODUCTS, SIMULATED
from simulators.elements import STEPS, element_table


@pytest.mark.parametrize("key", sorted(PRODUCTS))
def test_electron_counts_follow_from_stoichiometry(key: str) -> None:
    product = PRODUCTS[key]
    atoms = product.formula
    # an anion has taken up one electron more than its atoms tell
    expected = 4 * atoms.get("C", 0) + atoms.get("H", 0) - 2 * atoms.get("O", 0) - product.charge
    assert product.electrons == expected


@pytest.mark.parametrize(
    ("key", "electrons", "hydroxides", "potential"),
    [
        ("h2", 2, 2, 0.0),
        ("co", 2, 2, -0.104),
        ("hcoo", 2, 1, -0.024),
        ("ch3oh", 6, 6, 0.031),
        ("ch4", 8, 8, 0.169),
        ("c2h4", 12, 12, 0.079),
        ("c2h6", 14, 14, 0.143),
        ("c2h5oh", 12, 12, 0.090),
        ("ch3coo", 8, 7, 0.121),
        ("c3h7oh", 18, 18, 0.103),
    ],
)
def test_product_table_at_ph_6_8(key: str, electrons: int, hydroxides: int, potential: float) -> None:
    product = PRODUCTS[key]
    assert (product.electrons, product.hydroxides) == (electrons, hydroxides)
    assert product.equilibrium_potential(6.8) == pytest.approx(potential, abs=1e-3)


def test_anions_at_ph_14() -> None:
    assert PRODUCTS["hcoo"].equilibrium_potential(14.0) == pytest.approx(0.189, abs=1e-3)
    assert PRODUCTS["ch3coo"].equilibrium_potential(14.0) == pytest.approx(0.175, abs=1e-3)


def test_the_element_table_is_complete() -> None:
    table = element_table()
    assert len(table) == 16
    for name, row in table.items():
        assert set(row["log10_k"]) == set(STEPS), name
    assert set(SIMULATED) <= set(PRODUCTS)
