from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.electrochemistry.constants import SCCM
from instruments.electrochemistry.setup import Setup
from instruments.electrochemistry.signals import Signals, Spectrum, read_signals
from instruments.errors import SignalError
from instruments.lab import Measurement

SETUP = Setup(flow_reference={"temperature": "0 degC", "pressure": "101.325 kPa"})


def tables(**changed: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    time = np.linspace(0.0, 3600.0, 13)
    signals = {
        "potentiostat": pd.DataFrame({"time/s": time, "current/A": -0.05, "potential/V": -1.7}),
        "chromatograph": pd.DataFrame(
            {
                "injection": [1, 1, 2, 2],
                "time/s": [900.0, 900.0, 1800.0, 1800.0],
                "species": ["h2", "CO", "h2", "co"],
                "area/pA s": [1.0, 2.0, 3.0, 4.0],
            }
        ),
        "flow": pd.DataFrame({"time/s": [0.0, 3600.0], "inlet/sccm": [20.0, 20.0]}),
        "liquid": pd.DataFrame({"species": ["hcoo"], "compartment": ["catholyte"], "concentration/mmol L-1": [4.2]}),
    }
    signals.update(changed)  # type: ignore[arg-type]
    return {name: table for name, table in signals.items() if table is not None}


def read(**changed: pd.DataFrame | None) -> Signals:
    return read_signals(Measurement(tables(**changed)), SETUP)


def test_everything_is_in_si_units() -> None:
    signals = read()
    assert signals.trace.current[0] == -0.05
    assert signals.gas is not None
    assert signals.gas.species == ("co", "h2")
    np.testing.assert_array_equal(signals.gas.area, [[2.0, 1.0], [4.0, 3.0]])
    assert signals.flow is not None
    np.testing.assert_allclose(signals.flow.inlet, 20.0 * SCCM)
    assert signals.liquid is not None
    np.testing.assert_allclose(signals.liquid.concentration, 4.2)
    assert signals.rest is None


SPELLINGS = {
    "time": [("s", 1.0), ("min", 60.0), ("h", 3600.0), ("ms", 1e-3)],
    "current": [("A", 1.0), ("mA", 1e-3), ("uA", 1e-6), ("µA", 1e-6)],
    "potential": [("V", 1.0), ("mV", 1e-3)],
}


@given(st.data())
def test_the_unit_makes_no_difference(data: st.DataObject) -> None:
    original = tables()["potentiostat"]
    columns = {}
    for quantity, spellings in SPELLINGS.items():
        unit, factor = data.draw(st.sampled_from(spellings))
        (column,) = [name for name in original.columns if name.startswith(quantity)]
        columns[f"{quantity}/{unit}"] = original[column] / factor
    trace = read(potentiostat=pd.DataFrame(columns)).trace
    np.testing.assert_allclose(trace.time, original["time/s"])
    np.testing.assert_allclose(trace.current, original["current/A"])
    np.testing.assert_allclose(trace.potential, original["potential/V"])


@given(st.permutations(range(4)))
def test_the_order_of_peaks_makes_no_difference(order: list[int]) -> None:
    gas = read(chromatograph=tables()["chromatograph"].iloc[order]).gas
    assert gas is not None
    np.testing.assert_array_equal(gas.area, [[2.0, 1.0], [4.0, 3.0]])


def changed(table: str, **columns: object) -> pd.DataFrame:
    """A table of the measurement with columns replaced, renamed (``{"old": "new"}``) or dropped (None)."""
    frame = tables()[table].copy()
    for name, value in columns.items():
        (column,) = [c for c in frame.columns if c.partition("/")[0] == name]
        if value is None:
            frame = frame.drop(columns=column)
        elif isinstance(value, str):
            frame = frame.rename(columns={column: value})
        else:
            frame[column] = value
    return frame


@pytest.mark.parametrize(
    ("table", "columns", "field", "words"),
    [
        ("potentiostat", {"current": "current"}, "potentiostat.current", "no unit"),
        ("potentiostat", {"current": "current/V"}, "potentiostat.current/V", "no unit of current"),
        ("potentiostat", {"current": "current/"}, "potentiostat.current/", "no unit of current"),
        ("potentiostat", {"current": "current/; import os"}, "potentiostat.current/; import os", "no unit"),
        ("potentiostat", {"potential": None}, "potentiostat.potential/V", "is missing"),
        ("potentiostat", {"current": [*[-1.0] * 12, np.nan]}, "potentiostat.current/A", "row 13 of 13"),
        ("potentiostat", {"current": [np.inf, *[-1.0] * 12]}, "potentiostat.current/A", "infinite"),
        ("potentiostat", {"current": ["much"] * 13}, "potentiostat.current/A", "no number"),
        ("potentiostat", {"time": [0.0, 2.0, 1.0, *range(3, 13)]}, "potentiostat.time/s", "backwards in row 3"),
        ("potentiostat", {"time": [1.0] * 13}, "potentiostat.time/s", "no time passes"),
        ("chromatograph", {"area": None}, "chromatograph.area", "is missing"),
        ("chromatograph", {"area": [1.0, 2.0, np.nan, 3.0]}, "chromatograph.area/pA s", "missing or not a number"),
        ("chromatograph", {"species": ["h2", "h2", "h2", "co"]}, "chromatograph.species", "second peak"),
        ("chromatograph", {"species": ["h2", None, "h2", "co"]}, "chromatograph.species", "row 2 is missing"),
        ("chromatograph", {"time": [900.0, 901.0, 1800.0, 1800.0]}, "chromatograph.time/s", "a second time"),
        ("chromatograph", {"time": [1800.0, 1800.0, 900.0, 900.0]}, "chromatograph.time", "does not follow"),
        ("chromatograph", {"injection": [1.5, 1.5, 2, 2]}, "chromatograph.injection", "no whole number"),
        ("flow", {"inlet": "inlet/bar"}, "flow.inlet/bar", "no unit of a flow"),
        ("flow", {"inlet": [-1.0, 20.0]}, "flow.inlet/sccm", "negative"),
        ("liquid", {"concentration": [-4.2]}, "liquid.concentration/mmol L-1", "negative concentration"),
        ("liquid", {"compartment": ["bucket"]}, "liquid.compartment", "none of catholyte"),
    ],
)
def test_what_is_wrong_is_named(table: str, columns: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(SignalError) as error:
        read(**{table: changed(table, **columns)})
    assert error.value.field == field
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["potentiostat", "chromatograph", "flow", "liquid"])
def test_empty_tables_are_errors(name: str) -> None:
    with pytest.raises(SignalError, match="is empty") as error:
        read(**{name: tables()[name].iloc[:0]})
    assert error.value.field == name


def test_without_a_potentiostat_nothing_can_be_computed() -> None:
    with pytest.raises(SignalError, match="no table 'potentiostat'"):
        read(potentiostat=None)


def test_a_trace_needs_a_potential_or_a_cell_voltage() -> None:
    frame = tables()["potentiostat"]
    voltages = [name for name in frame if name.startswith(("potential", "cell_voltage"))]
    with pytest.raises(SignalError, match="cell_voltage/V where") as error:
        read(potentiostat=frame.drop(columns=voltages))
    assert error.value.field == "potentiostat.potential/V"


@pytest.mark.parametrize("values", [-1j, pd.Timestamp("2026-01-01")])
def test_columns_of_other_things_than_real_numbers(values: object) -> None:
    with pytest.raises(SignalError, match="no plain numbers"):
        read(potentiostat=tables()["potentiostat"].assign(**{"current/A": values}))


def test_a_table_that_is_none_and_one_that_nobody_knows() -> None:
    with pytest.raises(SignalError, match="is dict") as error:
        read(flow={"time/s": [0.0]})
    assert error.value.field == "flow"
    assert "nothing is done with the table 'liquids'" in read(liquids=tables()["flow"]).notices[0]


def test_two_columns_of_one_quantity_are_ambiguous() -> None:
    frame = tables()["potentiostat"]
    frame["current/mA"] = 1000.0 * frame["current/A"]
    with pytest.raises(SignalError, match="current/A, current/mA"):
        read(potentiostat=frame)


def test_a_standard_flow_needs_its_reference() -> None:
    with pytest.raises(SignalError, match="temperature and pressure") as error:
        read_signals(Measurement(tables()), Setup())
    assert "flow_reference" in (error.value.mend or "")
    warm = Setup(flow_reference={"temperature": "20 degC", "pressure": "101.325 kPa"})
    flow = read_signals(Measurement(tables()), warm).flow
    assert flow is not None
    np.testing.assert_allclose(flow.inlet, 20.0 * 6.9285e-7, rtol=1e-4)


def test_a_molar_flow_stands_for_itself() -> None:
    frame = pd.DataFrame({"time/s": [0.0, 1.0], "inlet/umol s-1": [15.0, 15.0]})
    flow = read_signals(Measurement(tables(flow=frame)), Setup()).flow
    assert flow is not None
    np.testing.assert_allclose(flow.inlet, 15e-6)


def test_a_detector_makes_a_channel_of_its_own() -> None:
    frame = changed("chromatograph", species=["co", "co", "co", "h2"])
    frame["detector"] = ["fid", "tcd", "fid", "tcd"]
    gas = read(chromatograph=frame).gas
    assert gas is not None
    assert list(zip(gas.species, gas.detectors, strict=True)) == [("co", "fid"), ("co", "tcd"), ("h2", "tcd")]
    assert np.isnan(gas.area[1, 1])  # type: ignore[index]


def test_peaks_without_a_name_and_columns_without_a_use_are_told() -> None:
    frame = changed("chromatograph", species=["h2", "unidentified", "unidentified", "co"])
    frame["hight/mV"] = 1.0
    signals = read(chromatograph=frame)
    assert any("2 peaks without a name" in text for text in signals.notices)
    assert any("hight" in text for text in signals.notices)


def test_dilution_is_undone() -> None:
    frame = tables()["liquid"].assign(**{"dilution/1": 10.0, "concentration_sem/mmol L-1": 0.1})
    liquid = read(liquid=frame).liquid
    assert liquid is not None
    assert (liquid.concentration[0], liquid.sem[0]) == pytest.approx((42.0, 1.0))


def test_the_ohmic_resistance_is_where_the_spectrum_meets_the_axis() -> None:
    inductive = Spectrum(np.array([1e5, 1e4, 1e3]), np.array([4.8, 5.2, 6.0]), np.array([0.1, -0.1, -1.0]))
    assert inductive.resistance == pytest.approx(5.0)
    capacitive = Spectrum(np.array([1e3, 1e5]), np.array([9.0, 5.0]), np.array([-1.0, -0.1]))
    assert capacitive.resistance == 5.0
