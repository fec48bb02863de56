from __future__ import annotations

import pytest

from instruments.electrochemistry.products import PRODUCTS
from instruments.readers.species import key_of


@pytest.mark.parametrize("key", PRODUCTS)
def test_every_product_is_known_by_its_key_and_its_name(key: str) -> None:
    assert key_of(key) == key
    assert key_of(key.upper()) == key
    assert key_of(PRODUCTS[key].name.title()) == key


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("MeOH", "ch3oh"),
        ("EtOH", "c2h5oh"),
        ("1-propanol", "c3h7oh"),
        ("HCOO-", "hcoo"),
        (" N2 ", "n2"),
        ("Water", "h2o"),
    ],
)
def test_labels_of_instruments(label: str, key: str) -> None:
    assert key_of(label) == key


def test_what_a_person_says_goes_first() -> None:
    assert key_of("CO", {"CO": "co2"}) == "co2"
    assert key_of("Neon") is None
    assert key_of("Neon", {"Neon": "ne"}) == "ne"
