"""Compositions become volumes, and the volumes say which composition is made, and how surely."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from instruments.errors import LabError
from instruments.rig.recipes import Dispense, Preparation, Recipe, RecipeError, makeable, prepare
from instruments.rig.stock import Stock

ELEMENTS = ("Cu", "Ag", "Zn", "Al")


def stock(**changed: object) -> Stock:
    precursors = {
        element: {
            "element": element,
            "concentration": f"{concentration} +/- 1 mmol/L",
            "volume": "15 mL",
            "place": f"rack/A{i}",
        }
        for i, (element, concentration) in enumerate(zip(ELEMENTS, (100, 100, 200, 50), strict=True), start=1)
    }
    return Stock(
        **{
            "precursors": precursors,
            "solvent": {"volume": "50 mL", "place": "rack/B1"},
            "tips": {"places": "tips/A1..H12"},
            "vessels": {"places": "plate/A1..H12"},
            **changed,
        }
    )


def recipe(**changed: object) -> Recipe:
    return Recipe(
        **{
            "amount": "20 umol",
            "minimum": "2 uL",
            "step": "0.1 uL",
            "largest": "100 uL",
            "accuracy": "1 %",
            "floor": "0.1 uL",
            **changed,
        }
    )


def dispensed(made: Preparation, source: str) -> float:
    return sum(d.volume for d in made.dispenses if d.source == source and d.target == "mixture")


def test_volumes_of_a_simple_mixture() -> None:
    made = prepare(recipe(), stock(), {"Cu": 0.9, "Ag": 0.1})
    assert dispensed(made, "precursors.Cu") == pytest.approx(180.0)
    assert dispensed(made, "precursors.Ag") == pytest.approx(20.0)
    assert made.executed == pytest.approx({"Cu": 0.9, "Ag": 0.1})
    assert made.volume == made.deposit == pytest.approx(200.0)
    assert made.dispenses[-1] == Dispense("mixture", "electrode", 200.0)
    assert made.needs(stock()) == pytest.approx({"precursors.Cu": 0.18, "precursors.Ag": 0.02, "tips": 3, "vessels": 1})


def test_by_volume_instead_of_amount() -> None:
    made = prepare(recipe(amount=None, volume="100 uL"), stock(), {"Cu": 0.5, "Zn": 0.5})
    assert made.volume == pytest.approx(100.0, abs=0.2)
    assert dispensed(made, "precursors.Cu") == pytest.approx(2 * dispensed(made, "precursors.Zn"), abs=0.2)


def test_filling_up_with_solvent_changes_no_fraction() -> None:
    plain = prepare(recipe(), stock(), {"Cu": 0.7, "Zn": 0.3})
    filled = prepare(recipe(volume="300 uL"), stock(), {"Cu": 0.7, "Zn": 0.3})
    assert filled.executed == plain.executed
    assert filled.volume == pytest.approx(300.0)
    assert dispensed(filled, "solvent") == pytest.approx(300.0 - plain.volume)


def test_what_is_too_little_comes_from_a_dilution() -> None:
    composition = {"Cu": 0.995, "Ag": 0.005}  # 1 uL of the silver precursor
    with pytest.raises(RecipeError) as caught:
        prepare(recipe(), stock(), composition)
    assert caught.value.field == "x_Ag"
    assert "1 uL of Ag" in str(caught.value)
    made = prepare(recipe(dilutions={"Ag": [10, 50]}, dilution_volume="200 uL"), stock(), composition)
    assert made.dispenses[:2] == (
        Dispense("solvent", "Ag / 10", 180.0),
        Dispense("precursors.Ag", "Ag / 10", 20.0),
    )
    assert dispensed(made, "Ag / 10") == pytest.approx(10.0)
    assert made.executed == pytest.approx(composition)
    assert made.vessels == ("mixture", "Ag / 10")
    assert made.needs(stock())["vessels"] == 2
    assert made.needs(stock())["solvent"] == pytest.approx(0.18)


def test_rounding_is_told_and_not_hidden() -> None:
    coarse = recipe(step="1 uL", amount="1 umol")
    made = prepare(coarse, stock(), {"Cu": 0.74, "Ag": 0.26})  # 7.4 and 2.6 uL
    assert made.executed == pytest.approx({"Cu": 0.7, "Ag": 0.3})


@pytest.mark.parametrize(
    ("changed", "composition", "field", "text"),
    [
        ({}, {"Cu": 0.5, "Pt": 0.5}, "x_Pt", "no precursor of Pt"),
        ({"most_components": 2}, {"Cu": 0.5, "Ag": 0.3, "Zn": 0.2}, "x_Zn", "3 components"),
        ({"vessel": "150 uL"}, {"Cu": 1.0}, "x_Cu", "a vessel holds 150 uL"),
        ({"volume": "100 uL"}, {"Al": 1.0}, "x_Al", "more than the 100 uL"),
        ({"deposit": "500 uL"}, {"Cu": 1.0}, "recipe.deposit", "are to be deposited"),
    ],
)
def test_what_cannot_be_made_says_why(
    changed: dict[str, object], composition: dict[str, float], field: str, text: str
) -> None:
    with pytest.raises(RecipeError, match=text) as caught:
        prepare(recipe(**changed), stock(), composition)
    assert caught.value.field == field


def test_without_a_solvent_nothing_is_diluted() -> None:
    with pytest.raises(RecipeError, match="needs a solvent"):
        prepare(recipe(dilutions={"Ag": [10]}), stock(solvent=None), {"Cu": 0.995, "Ag": 0.005})


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"amount": None}, "amount"),
        ({"amount": "20 mL"}, "amount"),
        ({"minimum": "0.01 uL"}, "minimum"),
        ({"largest": "1 uL"}, "minimum"),
        ({"accuracy": "-1 %"}, "accuracy"),
        ({"dilutions": {"Ag": [1000]}}, "dilutions.Ag"),
        ({"dilutions": {"Ag": [0.5]}}, "dilutions.Ag"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_recipes_that_cannot_be(block: dict[str, object], field: str) -> None:
    with pytest.raises(LabError) as caught:
        recipe(**block)
    assert field in (caught.value.field or "")


def test_makeable_says_why_not_before_anything_is_proposed() -> None:
    assert makeable(recipe(), stock(), {"x_Cu": 0.9, "x_Ag": 0.1, "potential": -1.0}) is None
    assert makeable(recipe(), stock(), {"potential": -1.0}) is None
    assert makeable(recipe(), stock(), {"x_Cu": 1.0 - 1e-9, "x_Ag": 1e-9}) is None  # none is meant
    assert "at least 2 uL" in str(makeable(recipe(), stock(), {"x_Cu": 0.999, "x_Ag": 0.001}))
    assert "sum to 0.9" in str(makeable(recipe(), stock(), {"x_Cu": 0.9}))
    assert "no mole fraction" in str(makeable(recipe(), stock(), {"x_Cu": 1.2, "x_Ag": -0.2}))
    assert recipe().columns(stock()) == ("x_Cu", "x_Ag", "x_Zn", "x_Al")


compositions = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda parts: sum(parts) > 0.1)


@given(parts=compositions, micromoles=st.floats(1.0, 100.0), dilute=st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_preparation_keeps_its_promises(parts: list[float], micromoles: float, dilute: bool) -> None:
    asked = {f"x_{e}": part / sum(parts) for e, part in zip(ELEMENTS, parts, strict=True)}
    made_by = recipe(
        amount=f"{micromoles!r} umol",
        dilutions=dict.fromkeys(ELEMENTS, (10.0, 100.0)) if dilute else {},
        dilution_volume="1 mL",
    )
    why = makeable(made_by, stock(), asked)
    if why is not None:
        assert "the pipette dispenses at least 2 uL" in why
        return
    composition = made_by.composition(asked)
    assert composition is not None
    made = prepare(made_by, stock(), composition)
    assert sum(made.executed.values()) == pytest.approx(1.0)
    assert set(made.executed) == set(composition)
    for dispense in made.dispenses:
        assert dispense.volume / 0.1 == pytest.approx(round(dispense.volume / 0.1), abs=1e-4)
        if dispense.target != "electrode":
            assert dispense.volume >= 2.0 - 1e-6
    into = sum(d.volume for d in made.dispenses if d.target == "mixture")
    assert into == pytest.approx(made.volume)
    # rounding by half a step of the smallest volume is all that executed and asked may differ by
    smallest = min(d.volume for d in made.dispenses if d.target == "mixture")
    for element, x in composition.items():
        assert abs(made.executed[element] - x) <= 4 * 0.06 / smallest * max(x, made.executed[element]) + 1e-3
    needs = made.needs(stock())
    taken = sum(d.volume for d in made.dispenses if d.source.startswith(("precursors", "solvent"))) / 1000.0
    assert sum(v for k, v in needs.items() if k not in ("tips", "vessels")) == pytest.approx(taken)
    assert needs["tips"] == len(made.dispenses)


@given(parts=compositions, seed=st.integers(0, 99), dilute=st.booleans())
@settings(max_examples=15, deadline=None)
def test_executed_compositions_scatter_as_their_uncertainty_says(parts: list[float], seed: int, dilute: bool) -> None:
    """Monte Carlo (GUM supplement 1): every dispense and every concentration drawn anew."""
    asked = {f"x_{e}": part / sum(parts) for e, part in zip(ELEMENTS, parts, strict=True)}
    made_by = recipe(dilutions=dict.fromkeys(ELEMENTS, (20.0,)) if dilute else {}, dilution_volume="1 mL")
    composition = made_by.composition(asked)
    assert composition is not None
    assume(makeable(made_by, stock(), asked) is None)
    made = prepare(made_by, stock(), composition)
    draws, generator = 4000, np.random.default_rng(seed)
    concentrations = {
        f"precursors.{name}": one.concentration.value
        + (one.concentration.sem or 0.0) * generator.standard_normal(draws)
        for name, one in stock().precursors.items()
    }
    moles: dict[tuple[str, str], np.ndarray] = {}
    volumes: dict[str, np.ndarray] = {}
    for dispense in made.dispenses:
        portions = max(1, math.ceil(dispense.volume / 100.0 - 1e-9))
        each = math.hypot(0.01 * dispense.volume / portions, 0.1)
        volume = dispense.volume + each * generator.standard_normal((portions, draws)).sum(0)
        if dispense.source.startswith("precursors"):
            content = {dispense.source: concentrations[dispense.source] * volume}
        elif dispense.source == "solvent":
            content = {}
        else:  # all vessels it draws from are complete by then
            content = {k[1]: v / volumes[dispense.source] * volume for k, v in moles.items() if k[0] == dispense.source}
        volumes[dispense.target] = volumes.get(dispense.target, 0.0) + volume
        for source, amount in content.items():
            key = (dispense.target, source)
            moles[key] = moles.get(key, 0.0) + amount
    found = {key[1].removeprefix("precursors."): amount for key, amount in moles.items() if key[0] == "mixture"}
    total = sum(found.values())
    for element, sem in made.executed_sem.items():
        drawn = found[element] / total
        assert drawn.std() == pytest.approx(sem, rel=0.12, abs=1e-7)
        assert drawn.mean() == pytest.approx(made.executed[element], abs=0.2 * sem + 1e-6)
