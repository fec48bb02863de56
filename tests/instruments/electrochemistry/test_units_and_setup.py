from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.electrochemistry import Setup
from instruments.electrochemistry.constants import SCCM
from instruments.electrochemistry.setup import KEY
from instruments.electrochemistry.units import Quantity, flow_scale, quantity, scale
from instruments.errors import SignalError


@pytest.mark.parametrize(
    ("written", "unit", "value", "sem"),
    [
        ("4.5 +/- 0.1 cm2", "m2", 4.5e-4, 1e-5),
        ("4.5 ± 0.1 cm**2", "m2", 4.5e-4, 1e-5),
        ("(4.5 +/- 0.1) cm^2", "m2", 4.5e-4, 1e-5),
        ("1 cm2 +/- 2 %", "m2", 1e-4, 2e-6),
        ("-1 V +/- 1 %", "V", -1.0, 0.01),
        ("4.5 cm2", "m2", 4.5e-4, None),
        ("25 +/- 0.5 degC", "K", 298.15, 0.5),
        ("25 °C", "K", 298.15, None),
        ("85 %", "1", 0.85, None),
        ("1.5 +/- 0.5 %", "1", 0.015, 0.005),
        ("0.85 +/- 0.01", "1", 0.85, 0.01),
        (0.85, "1", 0.85, None),
        ("1e-3 mol L-1", "mol m-3", 1.0, None),
        ("3 mM", "mol m-3", 3.0, None),
        ("5 Ohm", "ohm", 5.0, None),
        ("10 mL/min", "m3 s-1", 10e-6 / 60.0, None),
        ({"value": 4.5, "unit": "cm2", "sem": 0.1}, "m2", 4.5e-4, 1e-5),
        ({"value": 6.8}, "1", 6.8, None),
        (Quantity(1.0, "cm2", 0.1), "m2", 1e-4, 1e-5),
    ],
)
def test_quantities(written: Any, unit: str, value: float, sem: float | None) -> None:
    found = quantity(written, unit)
    assert found.unit == unit
    assert found.value == pytest.approx(value)
    assert found.sem == (None if sem is None else pytest.approx(sem))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (4.5, "without a unit"),
        ("4.5", "without a unit"),
        ({"value": 4.5}, "without a unit"),
        ("4.5 V", "no unit of what is meant"),
        ("4.5 florins", "no unit of what is meant"),
        ("much", "no quantity"),
        ("", "no quantity"),
        (None, "no quantity"),
        (True, "no quantity"),
        ([1.0], "no quantity"),
        ({"value": "x", "unit": "cm2"}, "no quantity"),
        ({"value": 1.0, "unit": "cm2", "error": 1.0}, "no quantity"),
        ("1 cm2 +/- 2 mm2", "two units"),
        ("1 +/- -2 cm2", "finite number"),
        (Quantity(float("nan"), "cm2"), "finite number"),
        ("1e999 cm2", "finite number"),
    ],
)
def test_what_is_no_area(written: Any, words: str) -> None:
    with pytest.raises(SignalError, match=words) as error:
        quantity(written, "m2", "area")
    assert error.value.field == "area"


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e3))
def test_a_quantity_survives_being_written(value: float, sem: float) -> None:
    found = quantity(f"{value!r} +/- {sem!r} mV", "V")
    assert found.value == pytest.approx(value / 1e3, abs=1e-12)
    assert found.sem == pytest.approx(sem / 1e3, abs=1e-12)


@given(st.one_of(st.text(max_size=12), st.text("AVcmsLo/%.^*-+()0123 µ°", max_size=10)))
def test_no_text_is_more_than_a_unit_or_none(text: str) -> None:
    found = scale(text, "V")
    assert found is None or np.isfinite(found).all()


def test_flows() -> None:
    assert flow_scale("sccm", 273.15, 101325.0, "f") == pytest.approx(SCCM)
    assert flow_scale("SLM", 273.15, 101325.0, "f") == pytest.approx(1e3 * SCCM)
    assert flow_scale("mL min-1", 293.15, 101325.0, "f") == pytest.approx(6.9285e-7, rel=1e-4)
    assert flow_scale("umol/s", None, None, "f") == pytest.approx(1e-6)
    assert pytest.approx(7.43584e-7, rel=1e-6) == SCCM
    with pytest.raises(SignalError, match="temperature and pressure"):
        flow_scale("sccm", None, 101325.0, "f")
    with pytest.raises(SignalError, match="no unit of a flow"):
        flow_scale("bar", None, None, "f")


FULL: dict[str, Any] = {
    "date": "2026-05-01",
    "cell": "gde",
    "membrane": "aem",
    "area": "1.00 +/- 0.02 cm2",
    "reference": {"electrode": "Ag/AgCl (3 M KCl)", "before": "0.210 V", "after": "0.212 V"},
    "ph": "7.2 +/- 0.05",
    "temperature": "25 degC",
    "resistance": "1.2 +/- 0.1 ohm",
    "compensated": 0.85,
    "flow_method": "internal_standard",
    "flow_reference": {"temperature": "0 degC", "pressure": "1 atm"},
    "standard": {"species": "n2", "flow": "1.00 +/- 0.01 sccm", "position": "after"},
    "feed": {"co2": 0.99, "ar": 0.01},
    "expected": ["h2", "co"],
    "accuracy": {"current": "0.1 %"},
    "checks": {"leak": "0.5 %", "liquid_in_gas_line": False},
}


def test_a_setup_survives_json() -> None:
    setup = Setup(**FULL)
    metadata = json.loads(json.dumps({"file": "x.dta", **setup.to_metadata()}))
    assert Setup.from_metadata(metadata) == setup
    standard = setup.standard_flow()
    assert standard is not None
    assert (standard.value, standard.sem) == (pytest.approx(SCCM), pytest.approx(0.01 * SCCM))
    assert setup.ph == Quantity(7.2, "1", 0.05)
    assert setup.temperature is not None
    assert setup.temperature.sem is None  # not assessed


@given(st.dictionaries(st.sampled_from(sorted(FULL)), st.none(), max_size=12))
def test_parts_of_a_setup_survive_json(left_out: dict[str, None]) -> None:
    fields = {name: value for name, value in FULL.items() if name not in left_out}
    if "standard" not in fields:
        fields.pop("flow_method", None)
    if "flow_reference" not in fields:
        fields.pop("standard", None)
        fields.pop("flow_method", None)
    setup = Setup(**fields)
    assert Setup.from_metadata(json.loads(json.dumps(setup.to_metadata()))) == setup


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"area": "0 cm2"}, "area"),
        ({"area": "-1 cm2"}, "area"),
        ({"area": 1.0}, "area"),
        ({"ph": 20}, "ph"),
        ({"temperature": "25 K"}, "temperature"),
        ({"compensated": 1.2}, "compensated"),
        ({"compensated": "85 V"}, "compensated"),
        ({"resistance": "-1 ohm"}, "resistance"),
        ({"catholyte": "0 mL"}, "catholyte"),
        ({"feed": {"co2": 0.5}}, "feed"),
        ({"feed": {"co2": -0.5, "ar": 1.5}}, "feed"),
        ({"reference": "Ag/AgCl"}, "reference.electrode"),
        ({"reference": {}}, "reference.electrode"),
        ({"reference": {"potential": "0.2"}}, "reference.potential"),
        ({"standard": None}, "standard"),
        ({"flow_reference": None}, "standard.flow"),
        ({"flow_reference": {"temperature": "0 degC"}}, "flow_reference.pressure"),
        ({"standard": {**FULL["standard"], "flow": "0 sccm"}}, "standard.flow"),
        ({"cell": "bucket"}, "cell"),
        ({"aera": "1 cm2"}, "aera"),
        ({"accuracy": {"curent": "1 %"}}, "accuracy.curent"),
        ({"version": 2}, "version"),
        ({"steady_after": -1.0}, "steady_after"),
        ({"feed": {"carbon": 1.0}}, "feed.carbon"),
        ({"stability_of": "e_rhe"}, "stability_of"),
        ({"accuracy": {"current": "-1 %"}}, "accuracy.current"),
        ({"standard": {**FULL["standard"], "species": "co"}}, "standard.species"),
        ({"flow_reference": {"temperature": "0 K", "pressure": "1 atm"}}, "flow_reference.temperature"),
        ({"flow_reference": {"temperature": "0 degC", "pressure": "-1 atm"}}, "flow_reference.pressure"),
        (
            {"outlet_wet": True, "outlet_conditions": {"temperature": "101 degC", "pressure": "1 atm"}},
            "outlet_conditions",
        ),
    ],
)
def test_impossible_setups(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(SignalError) as error:
        Setup(**{**FULL, **changed})
    assert error.value.field == field


def test_species_may_be_written_in_capitals() -> None:
    setup = Setup(**{**FULL, "feed": {"CO2": 0.9, "N2": 0.1}, "standard": {**FULL["standard"], "species": "Ar"}})
    assert setup.feed == {"co2": 0.9, "n2": 0.1}
    assert setup.standard is not None
    assert setup.standard.species == "ar"


def test_keys_that_are_no_names() -> None:
    with pytest.raises(SignalError, match="not permitted"):
        Setup.from_metadata({KEY: {1: "1 cm2"}})


def test_without_a_setup_signals_mean_nothing() -> None:
    with pytest.raises(SignalError, match="hold no setup") as error:
        Setup.from_metadata({})
    assert error.value.field == f"metadata.{KEY}"


@pytest.mark.parametrize("number", [np.float64(7.0), np.float32(7.0), np.int64(7)])
def test_numbers_of_numpy(number: Any) -> None:
    setup = Setup(ph=number, area={"value": number, "unit": "cm2", "sem": number})
    assert setup.ph == Quantity(7.0, "1")
    assert setup.area == Quantity(pytest.approx(7e-4), "m2", pytest.approx(7e-4))
    assert Setup.from_metadata(json.loads(json.dumps(setup.to_metadata()))) == setup
