from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uncertainties
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.electrochemistry import Calibration, Calibrations, Reduction, reduce, reduce_all, shared_covariance
from instruments.electrochemistry.constants import FARADAY, SCCM
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.reduction import Failed
from instruments.errors import CalibrationError, SignalError
from instruments.lab import Measurement
from instruments.metrics import METRICS

Bench = Any


def values(reduction: Reduction) -> dict[str, float]:
    return {name: figure.value for name, figure in reduction.figures.items()}


# Truth


@pytest.mark.parametrize("stoichiometric", [False, True])
@pytest.mark.parametrize("method", ["outlet", "internal_standard", "carbon_balance"])
def test_perfect_instruments_give_the_truth(bench: Bench, method: str, stoichiometric: bool) -> None:
    run = bench.changed(method=method, stoichiometric=stoichiometric)
    found = values(reduce(run.measurement()))
    for key, efficiency in run.efficiency.items():
        assert found[f"fe_{key}"] == pytest.approx(efficiency, rel=1e-9)
        assert found[f"j_{key}"] == pytest.approx(50.0 * efficiency, rel=1e-9)
        energy = efficiency * (1.229 - PRODUCTS[key].equilibrium_potential(6.8)) / 3.0
        assert found[f"ee_{key}"] == pytest.approx(energy, rel=1e-9)
    assert found["fe_total"] == pytest.approx(1.0, rel=1e-9)
    assert found["fe_c2plus"] == pytest.approx(0.37, rel=1e-9)
    assert found["j_total"] == pytest.approx(50.0)
    assert found["u_cell"] == pytest.approx(3.0)
    assert found["e_rhe"] == pytest.approx(-1.7 + 0.197 + 0.0591593 * 6.8 + 0.05 * 5.0 * 0.15, abs=1e-6)
    rates, flows = run.rates(), run.flows()
    converted = sum(PRODUCTS[key].carbons * rate for key, rate in rates.items()) / run.inlet
    assert found["spc_co2"] == pytest.approx(converted, rel=1e-9)
    if method != "carbon_balance" or stoichiometric:
        assert found["co2_carbonate"] == pytest.approx(flows["carbonate"] / run.inlet, abs=1e-9)


def test_the_inlet_flow_overestimates_gases(bench: Bench) -> None:
    run = bench.changed(stoichiometric=True)
    truth = values(reduce(run.measurement()))
    wrong = values(reduce(run.with_setup(flow_method="inlet").measurement()))
    factor = run.inlet / run.flows()["outlet"]
    assert factor > 1.01
    for key in ("h2", "co", "ch4", "c2h4"):
        assert wrong[f"fe_{key}"] == pytest.approx(factor * truth[f"fe_{key}"])
    assert wrong["fe_hcoo"] == pytest.approx(truth["fe_hcoo"])


def test_a_standard_after_the_cell_gives_the_same_efficiencies(bench: Bench) -> None:
    run = bench.changed(method="internal_standard")
    standard = {"species": "n2", "flow": f"{SCCM} mol s-1", "position": "after"}
    assert values(reduce(run.with_setup(standard=standard).measurement())) == pytest.approx(
        values(reduce(run.measurement()))
    )


def test_a_wet_meter_is_dried(bench: Bench) -> None:
    wet = bench.tables()["flow"]
    wet["outlet/mol s-1"] /= 1.0 - 3168.5 / 101325.0
    setup = {"outlet_wet": True, "outlet_conditions": {"temperature": "25 degC", "pressure": "101.325 kPa"}}
    found = values(reduce(bench.with_setup(**setup).measurement(flow=wet)))
    assert found["fe_co"] == pytest.approx(0.05, rel=1e-5)


def test_each_injection_has_the_current_of_its_own_gas(bench: Bench) -> None:
    """A current that falls by half, with rates that fall along: efficiencies stay what they are."""
    run = bench.changed(points=3601)
    trace = run.tables()["potentiostat"]
    course = 1.0 - 0.5 * trace["time/s"] / 3600.0
    trace["current/A"] *= course
    flow, gas, liquid = (run.tables()[name] for name in ("flow", "chromatograph", "liquid"))
    liquid["concentration/mol L-1"] *= 0.75  # of the charge
    residence = 4e-6 * 101325.0 / (8.314462618 * 298.15) / flow["outlet/mol s-1"][0]
    for at in run.times:
        made = 1.0 - 0.5 * (at - 2.5 - residence) / 3600.0  # in the middle of the window
        rows = (gas["time/s"] == at) & (gas["species"] != "co2")
        gas.loc[rows, "area/pA s"] = (gas.loc[rows, "area/pA s"] - 0.01) * made + 0.01
    found = values(reduce(run.measurement(potentiostat=trace, chromatograph=gas, liquid=liquid)))
    assert found["fe_c2h4"] == pytest.approx(0.25, rel=1e-5)
    assert found["fe_c2h5oh"] == pytest.approx(0.06, rel=1e-9)
    naive = values(
        reduce(run.with_setup(headspace=None).measurement(potentiostat=trace, chromatograph=gas, liquid=liquid))
    )
    assert naive["fe_c2h4"] != pytest.approx(0.25, rel=1e-3)


def test_the_worked_example_of_the_chromatograph(bench: Bench) -> None:
    """18.6 sccm at the outlet, 100 mA; fractions that the instrument has calibrated."""
    fractions = {"h2": 0.0055, "co": 0.0180, "ch4": 0.0006, "c2h4": 0.0016}
    rows = [(n, 600.0 * n, species, x) for n in (1, 2) for species, x in fractions.items()]
    measurement = Measurement(
        {
            "potentiostat": pd.DataFrame({"time/min": [0.0, 20.0], "current/mA": -100.0, "potential/V": -1.7}),
            "chromatograph": pd.DataFrame(rows, columns=["injection", "time/s", "species", "fraction/1"]),
            "flow": pd.DataFrame({"time/s": [0.0], "inlet/sccm": [20.0], "outlet/sccm": [18.6]}),
        },
        bench.with_setup(
            flow_reference={"temperature": "0 degC", "pressure": "101.325 kPa"}, liquid_mode=None, catholyte=None
        )
        .described()
        .to_metadata(),
    )
    found = values(reduce(measurement))
    assert [found[f"fe_{key}"] for key in fractions] == pytest.approx([0.1468, 0.4804, 0.0641, 0.2562], abs=5e-5)
    assert found["fe_total"] == pytest.approx(0.9475, abs=5e-5)


# Liquids


def test_compartments_add_up_and_recovery_is_undone(bench: Bench) -> None:
    liquid = bench.tables()["liquid"]
    anolyte = liquid.copy()
    anolyte["compartment"] = "anolyte"
    anolyte["concentration/mol L-1"] *= 0.25
    both = pd.concat([liquid, anolyte], ignore_index=True)
    both["recovery/1"] = 0.5
    found = values(reduce(bench.with_setup(anolyte="16 mL").measurement(liquid=both)))
    assert found["fe_hcoo"] == pytest.approx(0.08 * (1.0 + 0.25 * 2.0) / 0.5)


def test_liquids_in_a_stream(bench: Bench) -> None:
    liquid = bench.tables()["liquid"]
    liquid["concentration/mol L-1"] *= 8.0 / 600.0  # 8 mL in an hour's batch, 600 mL in an hour's stream
    found = values(reduce(bench.with_setup(liquid_mode="flow", liquid_flow="10 mL min-1").measurement(liquid=liquid)))
    assert found["fe_hcoo"] == pytest.approx(0.08)


def test_the_last_sample_counts_with_the_charge_until_then(bench: Bench) -> None:
    late = bench.tables()["liquid"].assign(**{"time/s": 1800.0})
    late["concentration/mol L-1"] *= 0.5
    early = late.assign(**{"time/s": 900.0, "concentration/mol L-1": 7.0})
    found = values(reduce(bench.measurement(liquid=pd.concat([early, late]))))
    assert found["fe_hcoo"] == pytest.approx(0.08)


def test_replicate_analyses_are_averaged(bench: Bench) -> None:
    liquid = bench.tables()["liquid"]
    high, low = liquid.copy(), liquid.copy()
    high["concentration/mol L-1"] *= 1.1
    low["concentration/mol L-1"] *= 0.9
    single, double = (reduce(bench.measurement(liquid=t)) for t in (liquid, pd.concat([high, low])))
    assert values(double) == pytest.approx(values(single))
    assert double.figures["fe_hcoo"].sem < single.figures["fe_hcoo"].sem  # type: ignore[operator]


def test_a_product_in_gas_and_liquid_counts_with_both(bench: Bench) -> None:
    gas = bench.tables()["chromatograph"]
    vapour = gas[gas["species"] == "co"].assign(species="c2h5oh")
    records = [*bench.calibrations()]
    records.append(next(r for r in records if r.species == "co").model_copy(update={"species": "c2h5oh"}))
    reduction = reduce(bench.measurement(chromatograph=pd.concat([gas, vapour])), calibrations=records)
    assert values(reduction)["fe_c2h5oh"] == pytest.approx(0.06 + 6.0 * 0.05)  # 12 electrons where CO has 2
    assert values(reduction)["fe_total"] == pytest.approx(1.0 + 6.0 * 0.05)
    assert {"peaks", "liquids"} <= set(reduction.shares("fe_c2h5oh"))


def test_flows_that_do_not_cover_the_injections_are_told(bench: Bench) -> None:
    flow = bench.tables()["flow"].iloc[:4]
    reduction = reduce(bench.measurement(flow=flow))
    assert any("nearest reading" in text for text in reduction.notices)


# What is below detection


def test_what_gave_no_peak_is_censored_not_zero(bench: Bench) -> None:
    gas = bench.tables()["chromatograph"]
    reduction = reduce(bench.measurement(chromatograph=gas[gas["species"] != "co"]))
    figure = reduction.figures["fe_co"]
    assert figure.censored == "below"
    assert figure.sem is None
    outlet = bench.flows()["outlet"]
    assert figure.value == pytest.approx(2.0 * FARADAY * 3e-6 * outlet / 0.05, rel=1e-9)
    assert reduction.figures["j_co"].censored == "below"
    assert reduction.figures["ee_co"].censored == "below"
    # in the sum it counts as half of the limit
    assert reduction.figures["fe_total"].value == pytest.approx(0.95 + 0.5 * figure.value)
    with pytest.raises(KeyError):
        reduction.covariance("fe_co", "fe_h2")


def test_without_a_detection_limit_nothing_is_said(bench: Bench) -> None:
    gas = bench.tables()["chromatograph"]
    records = [record.model_copy(update={"detection_limit": None}) for record in bench.calibrations()]
    reduction = reduce(bench.measurement(chromatograph=gas[gas["species"] != "co"]), calibrations=records)
    assert "fe_co" not in reduction.figures
    assert "fe_h2" in reduction.figures


def test_a_liquid_below_its_limit(bench: Bench) -> None:
    liquid = bench.tables()["liquid"]
    liquid.loc[liquid["species"] == "c3h7oh", "concentration/mol L-1"] = 0.0
    figure = reduce(bench.measurement(liquid=liquid)).figures["fe_c3h7oh"]
    assert figure.censored == "below"
    assert figure.value == pytest.approx(18.0 * FARADAY * 1.5e-2 * 8e-6 / 180.0)


# Invariances


UNITS = {
    "time/s": [("time/min", 1 / 60), ("time/h", 1 / 3600)],
    "current/A": [("current/mA", 1e3), ("current/uA", 1e6)],
    "potential/V": [("potential/mV", 1e3)],
    "cell_voltage/V": [("cell_voltage/mV", 1e3)],
    "inlet/mol s-1": [("inlet/umol s-1", 1e6), ("inlet/mmol min-1", 6e4)],
    "concentration/mol L-1": [
        ("concentration/mmol L-1", 1e3),
        ("concentration/mM", 1e3),
        ("concentration/mol m-3", 1e3),
    ],
}


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_units_and_the_order_of_rows_make_no_difference(bench: Bench, data: st.DataObject) -> None:
    tables = {}
    for name, table in bench.tables().items():
        renamed = table.copy()
        for column, others in UNITS.items():
            if column in renamed and data.draw(st.booleans()):
                unit, factor = data.draw(st.sampled_from(others))
                renamed = renamed.rename(columns={column: unit})
                renamed[unit] *= factor
        if name in ("chromatograph", "liquid"):
            renamed = renamed.iloc[data.draw(st.permutations(range(len(renamed))))]
        tables[name] = renamed
    a, b = reduce(bench.measurement()), reduce(bench.measurement(**tables))
    assert values(b) == pytest.approx(values(a), rel=1e-9)
    assert {n: f.sem for n, f in b.figures.items()} == pytest.approx({n: f.sem for n, f in a.figures.items()}, rel=1e-6)
    assert b.observation.verdict == a.observation.verdict


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10.0), st.floats(0.1, 3.0))
def test_scaling(bench: Bench, area: float, size: float) -> None:
    """A larger electrode lowers densities only; more of everything leaves efficiencies alone."""
    base = values(reduce(bench.measurement()))
    larger = values(reduce(bench.with_setup(area=f"{area} cm2").measurement()))
    assert larger["j_c2h4"] == pytest.approx(base["j_c2h4"] / area)
    assert larger["fe_c2h4"] == pytest.approx(base["fe_c2h4"])
    run = bench.changed(current=0.05 * size, inlet=20.0 * SCCM * size)
    grown = values(reduce(run.with_setup(headspace=f"{4.0 * size} mL").measurement()))
    for name in ("fe_h2", "fe_c2h4", "fe_hcoo", "spc_co2"):
        assert grown[name] == pytest.approx(base[name])
    assert grown["j_total"] == pytest.approx(size * base["j_total"])


shares = st.lists(st.floats(0.02, 1.0), min_size=8, max_size=8)


@settings(max_examples=20, deadline=None)
@given(shares, st.floats(0.9, 1.05))
def test_sums(bench: Bench, parts: list[float], closure: float) -> None:
    """Partial currents are shares of the total, and the sum is what was found, never normalised."""
    keys = list(bench.efficiency)
    efficiency = {key: closure * part / sum(parts) for key, part in zip(keys, parts, strict=True)}
    found = values(reduce(bench.changed(efficiency=efficiency).measurement()))
    partial = sum(found[f"j_{key}"] for key in keys)
    assert found["fe_total"] == pytest.approx(closure, rel=1e-6)
    assert partial == pytest.approx(found["fe_total"] * found["j_total"], rel=1e-9)
    multi = [key for key in keys if PRODUCTS[key].carbons > 1]
    assert found["j_c2plus"] == pytest.approx(sum(found[f"j_{key}"] for key in multi), rel=1e-9)
    assert found["ee_c2plus"] == pytest.approx(sum(found[f"ee_{key}"] for key in multi), rel=1e-9)


def test_many_at_once_are_as_one_by_one(bench: Bench) -> None:
    """Also with traces and injections of different length, and with one that fails."""
    runs = [
        bench,
        bench.changed(points=200, current=0.02),
        bench.changed(times=(900.0, 1800.0, 2700.0, 3600.0), decay=0.2),
        bench.changed(method="internal_standard"),
        bench.changed(times=(3600.0,)),
    ]
    broken = bench.measurement(potentiostat=bench.tables()["potentiostat"].iloc[:0])
    results = reduce_all([*(run.measurement() for run in runs), broken])
    assert isinstance(results[-1], Failed)
    assert isinstance(results[-1].error, SignalError)
    for run, many in zip(runs, results[:-1], strict=True):
        alone = reduce(run.measurement())
        assert isinstance(many, Reduction)
        assert values(many) == pytest.approx(values(alone), rel=1e-12)
        assert many.names == alone.names
        np.testing.assert_allclose(
            many.joint.covariance_matrix(), alone.joint.covariance_matrix(), rtol=1e-9, atol=1e-20
        )
        assert many.observation.verdict == alone.observation.verdict
        assert many.accepted == alone.accepted


# Uncertainties


def test_covariances_agree_with_uncertainties(bench: Bench) -> None:
    """CO, ethylene and formate once more, by scalars that know where their errors come from."""
    reduction = reduce(bench.measurement())
    current = 0.05 * uncertainties.ufloat(1.0, 0.002)
    outlet = bench.flows()["outlet"] * uncertainties.ufloat(1.0, 0.01)
    area = uncertainties.ufloat(1.0, 0.02)
    expected = {}
    for key in ("co", "c2h4"):
        b, a = uncertainties.correlated_values((0.01, 5000.0), [[1e-6, 0.0], [0.0, 100.0**2]])
        fraction = bench.rates()[key] / bench.flows()["outlet"]
        areas = []
        for _ in bench.times:
            true = 5000.0 * fraction + 0.01
            areas.append(uncertainties.ufloat(true, np.hypot(0.015 * true, 0.005)))
        mean = sum((each - b) / a for each in areas) / len(areas)
        expected[f"fe_{key}"] = PRODUCTS[key].electrons * FARADAY * mean * outlet / current
    concentration = bench.rates()["hcoo"] * 3600.0 / 8e-6
    amount = uncertainties.ufloat(concentration, 0.04 * concentration) * uncertainties.ufloat(1.0, 0.03)
    volume = uncertainties.ufloat(8e-6, 0.01 * 8e-6)
    expected["fe_hcoo"] = 2.0 * FARADAY * amount * volume / (current * 3600.0)
    expected["j_co"] = expected["fe_co"] * current / area * 1e3
    expected["j_total"] = current / area * 1e3
    names = list(expected)
    reference = np.array(uncertainties.covariance_matrix(list(expected.values())))
    found = np.array([[reduction.covariance(a, b) for b in names] for a in names])
    scale = np.sqrt(np.outer(reference.diagonal(), reference.diagonal()))
    np.testing.assert_allclose(found / scale, reference / scale, atol=1e-6)
    for name, number in expected.items():
        assert reduction.figures[name].sem == pytest.approx(number.std_dev, rel=1e-6)


def test_which_source_dominates(bench: Bench) -> None:
    reduction = reduce(bench.measurement())
    shares = reduction.shares("e_rhe")
    assert next(iter(shares)) == "reference"  # 3 mV of the electrode, 1.9 mV of the ohmic drop, 1.8 mV of the pH
    assert sum(shares.values()) == pytest.approx(1.0)
    exact = reduce(bench.with_setup(resistance="5 +/- 2 ohm").measurement())
    assert next(iter(exact.shares("e_rhe"))) == "resistance"


def test_two_experiments_share_their_calibrations(bench: Bench) -> None:
    a, b = reduce(bench.measurement()), reduce(bench.changed(current=0.03).measurement())
    shared = shared_covariance(a, b, "fe_c2h4")
    by_slope = 0.02 * 0.25
    assert shared == pytest.approx(by_slope**2, rel=1e-2)
    assert shared_covariance(a, b, "fe_hcoo") == 0.0
    assert shared_covariance(a, b, "fe_hcoo", sources=["current"]) == pytest.approx((0.002 * 0.08) ** 2)


def test_stated_uncertainties_cover_the_truth(bench: Bench) -> None:
    """Instruments that err as they say: pulls have a standard deviation of one."""
    rng = np.random.default_rng(7)
    runs = []
    for _ in range(250):
        factors = {
            "current": 1.0 + 0.002 * rng.normal(),
            "outlet": 1.0 + 0.01 * rng.normal(),
            "slope": 1.0 + 0.02 * rng.normal(),
            "volume": 1.0 + np.sqrt(0.04**2 + 0.03**2 + 0.01**2) * rng.normal(),
        }
        area = f"{1.0 + 0.02 * rng.normal()} +/- 0.02 cm2"
        runs.append(bench.changed(factors=factors, scatter=0.015 * rng.normal(size=(3, 6))).with_setup(area=area))
    reductions = [each for each in reduce_all([run.measurement() for run in runs]) if isinstance(each, Reduction)]
    assert len(reductions) == 250
    for name in ("fe_h2", "fe_c2h4", "fe_hcoo", "j_ch4"):
        truth = (50.0 if name.startswith("j_") else 1.0) * bench.efficiency[name.partition("_")[2]]
        pulls = np.array([(r.figures[name].value - truth) / r.figures[name].sem for r in reductions])  # type: ignore[operator]
        assert np.std(pulls) == pytest.approx(1.0, abs=0.13), name
        assert abs(np.mean(pulls)) < 0.2, name


def test_without_repeatability_the_scatter_of_the_injections_tells(bench: Bench) -> None:
    records = [record.model_copy(update={"repeatability": None, "noise": None}) for record in bench.calibrations()]
    steady = reduce(bench.measurement(), calibrations=records)
    scattered = reduce(
        bench.changed(scatter=np.array([[0.05] * 6, [-0.05] * 6, [0.0] * 6])).measurement(), calibrations=records
    )
    assert steady.shares("fe_co").get("peaks", 0.0) == pytest.approx(0.0, abs=1e-9)
    assert scattered.shares("fe_co")["peaks"] > 0.3


def test_what_was_not_assessed_is_told(bench: Bench) -> None:
    reduction = reduce(bench.with_setup(area="1 cm2", accuracy={"current": "0.2 %"}).measurement())
    (notice,) = [text for text in reduction.notices if text.startswith("uncertainty not assessed")]
    assert notice.endswith("area, liquid, outlet, potential")
    bare = reduce(bench.with_setup(area="1 cm2", accuracy=None).measurement())
    assert bare.figures["j_total"].sem is None


# Stability


def test_decay_is_told_with_its_uncertainty(bench: Bench) -> None:
    times = tuple(np.arange(1, 7) * 600.0)
    run = bench.changed(decay=0.4, times=times).with_setup(stability_of="fe_c2h4", headspace=None, loop_time=None)
    found = reduce(run.measurement()).figures
    assert found["stability_slope"].value == pytest.approx(-0.1, rel=1e-6)
    assert found["t80"].value == pytest.approx(0.5, rel=1e-6)
    assert found["t80"].censored is None
    assert found["stability_slope"].sem > 0.0  # type: ignore[operator]


def test_what_does_not_decay_has_a_lifetime_of_at_least_what_was_seen(bench: Bench) -> None:
    found = reduce(bench.with_setup(stability_of="fe_c2h4").measurement()).figures
    assert found["stability_slope"].value == pytest.approx(0.0, abs=1e-9)
    assert (found["t80"].value, found["t80"].censored) == (1.0, "above")


def test_two_injections_tell_no_trend(bench: Bench) -> None:
    found = reduce(bench.changed(times=(1800.0, 3600.0)).with_setup(stability_of="fe_c2h4").measurement()).figures
    assert "stability_slope" not in found
    assert "t80" not in found


# Injections that do not count


def test_injections_before_the_headspace_is_flushed_do_not_count(bench: Bench) -> None:
    gas = bench.changed(times=(20.0, 1200.0, 2400.0)).tables()["chromatograph"]
    gas.loc[gas["injection"] == 1, "area/pA s"] *= 0.1
    reduction = reduce(bench.measurement(chromatograph=gas))
    assert reduction.accepted == (False, True, True)
    assert values(reduction)["fe_co"] == pytest.approx(0.05)
    assert any("injections that do not count" in text and "1" in text for text in reduction.notices)


def test_without_a_steady_injection_gases_are_not_told(bench: Bench) -> None:
    gas = bench.changed(times=(-600.0, 7200.0)).tables()["chromatograph"]
    reduction = reduce(bench.measurement(chromatograph=gas))
    assert reduction.accepted == (False, False)
    assert "fe_co" not in reduction.figures
    assert "fe_total" not in reduction.figures
    assert values(reduction)["fe_hcoo"] == pytest.approx(0.08)
    assert reduction.observation.verdict.name == "invalid"
    assert any(reason.startswith("injections [Q16]") for reason in reduction.observation.verdict.reasons)


# Missing metadata


@pytest.mark.parametrize(
    ("left_out", "gone", "kept"),
    [
        ("area", "j_total", "fe_c2h4"),
        ("reference", "e_rhe", "fe_c2h4"),
        ("ph", "e_rhe", "fe_c2h4"),
        ("resistance", "e_rhe", "fe_c2h4"),
        ("compensated", "e_rhe", "fe_c2h4"),
        ("temperature", "e_rhe", "fe_c2h4"),
        ("flow_method", "fe_c2h4", "fe_hcoo"),
        ("outlet_wet", "fe_c2h4", "fe_hcoo"),
        ("liquid_mode", "fe_hcoo", "fe_c2h4"),
        ("catholyte", "fe_hcoo", "fe_c2h4"),
    ],
)
def test_what_is_missing_makes_it_invalid_and_the_rest_is_told(
    bench: Bench, left_out: str, gone: str, kept: str
) -> None:
    reduction = reduce(bench.with_setup(**{left_out: None}).measurement())
    assert gone not in reduction.figures
    assert kept in reduction.figures
    assert reduction.observation.verdict.name == "invalid"
    (reason,) = [text for text in reduction.observation.verdict.reasons if text.startswith("metadata [Q29]")]
    assert left_out in reason


def test_a_zero_gap_cell_needs_no_reference(bench: Bench) -> None:
    setup = {"cell": "mea", "reference": None, "ph": None, "resistance": None, "compensated": None}
    reduction = reduce(bench.with_setup(**setup).measurement())
    assert reduction.observation.verdict.name == "valid"
    assert "e_rhe" not in reduction.figures
    assert "ee_c2h4" in reduction.figures
    assert "ee_hcoo" not in reduction.figures  # its potential needs a pH


def test_resistance_from_a_spectrum_and_from_before_and_after(bench: Bench) -> None:
    spectrum = pd.DataFrame({"frequency/kHz": [100.0, 10.0], "z_real/ohm": [5.0, 6.0], "z_imag/ohm": [-0.1, -1.0]})
    base = values(reduce(bench.measurement()))["e_rhe"]
    assert values(reduce(bench.with_setup(resistance=None).measurement(impedance=spectrum)))["e_rhe"] == pytest.approx(
        base
    )
    run = bench.with_setup(resistance=None, resistance_before="4 ohm", resistance_after="6 ohm")
    reduction = reduce(run.measurement())
    assert values(reduction)["e_rhe"] == pytest.approx(base)
    assert reduction.observation.verdict.name == "invalid"  # changed by half
    assert any("resistance_change" in reason for reason in reduction.observation.verdict.reasons)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Hg/HgO (same electrolyte)", -1.7 + 0.926 + 0.0375),
        ({"potential": "0.6 +/- 0.002 V", "scale": "RHE"}, -1.7 + 0.6 + 0.0375),
        ({"potential": "0.210 V"}, -1.7 + 0.210 + 0.40228 + 0.0375),
    ],
)
def test_other_references(bench: Bench, reference: Any, expected: float) -> None:
    found = values(reduce(bench.with_setup(reference=reference).measurement()))
    assert found["e_rhe"] == pytest.approx(expected, abs=1e-4)


# Calibrations


def test_the_calibration_of_the_day_is_used_and_named(bench: Bench) -> None:
    old = list(bench.calibrations())
    later = [each.model_copy(update={"date": datetime.date(2026, 6, 1), "coefficients": (0.0, 1.0)}) for each in old]
    reduction = reduce(bench.measurement(), calibrations=[*old, *later])
    assert values(reduction)["fe_co"] == pytest.approx(0.05)
    assert set(reduction.observation.calibrations) == {record.id for record in old}


def test_an_expired_calibration_is_used_and_flagged(bench: Bench) -> None:
    records = [each.model_copy(update={"expires": datetime.date(2026, 4, 21)}) for each in bench.calibrations()]
    reduction = reduce(bench.measurement(), calibrations=records)
    assert reduction.observation.verdict.name == "suspect"
    assert reduction.observation.verdict.reasons[0].startswith("calibration_expired [Q15]")


def test_peaks_without_a_calibration_are_told(bench: Bench) -> None:
    records = [each for each in bench.calibrations() if each.species != "co"]
    reduction = reduce(bench.measurement(), calibrations=records)
    assert "fe_co" not in reduction.figures
    assert any("no calibration for the peaks of co" in text for text in reduction.notices)


def test_a_calibration_in_another_unit_is_refused(bench: Bench) -> None:
    records = [each.model_copy(update={"signal_unit": "mV s"}) for each in bench.calibrations()]
    with pytest.raises(CalibrationError, match="signals in mV s, the table has pA s"):
        reduce(bench.measurement(), calibrations=records)


def test_a_species_on_two_detectors_is_ambiguous(bench: Bench) -> None:
    gas = bench.tables()["chromatograph"].assign(detector="fid")
    both = pd.concat([gas, gas[gas["species"] == "co"].assign(detector="tcd")])
    records = [each.model_copy(update={"device": device}) for each in bench.calibrations() for device in ("fid", "tcd")]
    records = [each for each in records if each.device == "fid" or each.species == "co"]
    with pytest.raises(CalibrationError, match="co is calibrated on two detectors"):
        reduce(bench.measurement(chromatograph=both), calibrations=records)


# Errors


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("potentiostat", lambda t: t.assign(**{"current/A": 0.05}), "not cathodic"),
        ("potentiostat", lambda t: t.assign(**{"current/A": 0.0}), "no charge was passed"),
        ("flow", lambda t: t.drop(columns="outlet/mol s-1"), "needs the outlet flow"),
        ("liquid", lambda t: t.assign(**{"concentration/mol L-1": -1.0}), "negative concentration"),
    ],
)
def test_what_nothing_can_be_computed_from(bench: Bench, table: str, change: Any, words: str) -> None:
    with pytest.raises(SignalError, match=words):
        reduce(bench.measurement(**{table: change(bench.tables()[table])}))


def test_a_standard_without_a_peak(bench: Bench) -> None:
    run = bench.changed(method="internal_standard")
    gas = run.tables()["chromatograph"]
    records = [each for each in run.calibrations() if each.species != "n2"]
    with pytest.raises(SignalError, match="internal standard has no peak"):
        reduce(run.measurement(chromatograph=gas[gas["species"] != "n2"]), calibrations=records)


def test_an_injection_without_its_standard_does_not_count(bench: Bench) -> None:
    run = bench.changed(method="internal_standard")
    gas = run.tables()["chromatograph"]
    reduction = reduce(run.measurement(chromatograph=gas[(gas["species"] != "n2") | (gas["injection"] != 2)]))
    assert reduction.accepted == (True, False, True)
    assert values(reduction)["fe_co"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "no setup"),
        ({"setup": {"area": 1.0}}, "without a unit"),
        ({"setup": {}, "calibrations": "x"}, "list of records"),
    ],
)
def test_metadata_that_say_nothing(bench: Bench, metadata: dict[str, Any], words: str) -> None:
    with pytest.raises(SignalError, match=words):
        reduce(Measurement(bench.tables(), metadata))


def test_a_date_that_is_none(bench: Bench) -> None:
    with pytest.raises(SignalError, match="no date"):
        reduce(bench.with_setup(date="soon").measurement())


# The record


def test_all_figures_are_standard_metrics(bench: Bench) -> None:
    found = reduce(bench.with_setup(stability_of="fe_c2h4").measurement()).figures
    assert set(found) <= set(METRICS)
    assert len(found) > 30


def test_minor_products_count_in_the_sums(bench: Bench) -> None:
    liquid = bench.tables()["liquid"]
    acetone = liquid.iloc[[0]].assign(species="c3h6o", **{"concentration/mol L-1": 1e-3})
    found = values(reduce(bench.measurement(liquid=pd.concat([liquid, acetone]))))
    more = 16.0 * FARADAY * 1.0 * 8e-6 / 180.0
    assert found["fe_total"] == pytest.approx(1.0 + more)
    assert found["fe_c2plus"] == pytest.approx(0.37 + more)
    assert "fe_c3h6o" not in found


def test_the_record_is_json(bench: Bench) -> None:
    reduction = reduce(bench.measurement())
    record = json.loads(json.dumps(reduction.report(), allow_nan=False))
    assert record["verdict"] == "valid"
    assert record["figures"]["fe_c2h4"]["value"] == pytest.approx(0.25)
    matrix = np.array(record["covariance"]["matrix"])
    assert matrix.shape == (len(record["covariance"]["names"]),) * 2
    closure = next(check for check in record["checks"] if check["name"] == "closure")
    assert closure["thresholds"]["suspect"] == [0.9, 1.1]
    assert record["calibrations"] == list(reduction.observation.calibrations)


def test_calibrations_of_the_metadata_and_given_ones_are_the_same(bench: Bench) -> None:
    measurement = bench.measurement()
    bare = Measurement(measurement.signals, {"setup": measurement.metadata["setup"]})
    given_ones = reduce(bare, calibrations=Calibrations(bench.calibrations()))
    assert given_ones.report() == reduce(measurement).report()
    assert all(isinstance(record, Calibration) for record in given_ones.calibrations)


# Cells without a reference electrode


@pytest.mark.parametrize("control", ["potential", "current"])
def test_a_zero_gap_cell_has_a_voltage_and_no_potential(bench: Bench, control: str) -> None:
    zero_gap = bench.with_setup(
        cell="mea", reference=None, resistance=None, compensated=None, ph=None, control=control
    ).measurement(potentiostat=bench.tables()["potentiostat"].drop(columns=["potential/V", "set_potential/V"]))
    reduction = reduce(zero_gap)
    found, full = values(reduction), values(reduce(bench.measurement()))
    assert reduction.observation.verdict.name == "valid"
    assert "e_rhe" not in found
    for name in ("u_cell", "j_total", "fe_c2h4", "ee_c2h4", "spc_co2"):
        assert found[name] == pytest.approx(full[name])
    assert not any("missing" in notice for notice in reduction.notices)
    both = reduce_all([zero_gap, bench.measurement(), zero_gap])
    assert [isinstance(one, Reduction) and "e_rhe" in one.figures for one in both] == [False, True, False]


def test_the_voltage_of_a_zero_gap_cell_must_not_drift(bench: Bench) -> None:
    trace = bench.tables()["potentiostat"].drop(columns=["potential/V", "set_potential/V"])
    trace["cell_voltage/V"] = 3.0 + np.linspace(0.0, 3.0, len(trace))
    run = bench.with_setup(cell="mea", reference=None, control="current").measurement(potentiostat=trace)
    assert any("potential_drift" in reason for reason in reduce(run).observation.verdict.reasons)


def test_other_cells_need_their_potential(bench: Bench) -> None:
    trace = bench.tables()["potentiostat"].drop(columns=["potential/V", "set_potential/V"])
    verdict = reduce(bench.measurement(potentiostat=trace)).observation.verdict
    assert verdict.name == "invalid"
    assert "(potential)" in verdict.reasons[0]


# What would pass in silence


def test_no_gas_flow_is_no_efficiency_of_zero(bench: Bench) -> None:
    flow = bench.tables()["flow"].assign(**{"outlet/mol s-1": 0.0})
    reduction = reduce(bench.measurement(flow=flow, liquid=None))
    assert "fe_co" not in reduction.figures
    assert reduction.observation.verdict.name == "invalid"


def test_a_chromatograph_without_calibrations_is_not_valid(bench: Bench) -> None:
    run = Measurement(
        {name: table for name, table in bench.tables().items() if name != "liquid"}, bench.described().to_metadata()
    )
    verdict = reduce(run).observation.verdict
    assert verdict.name == "invalid"
    assert "(calibrations)" in verdict.reasons[0]


def test_a_lifetime_is_no_better_known_than_the_peaks(bench: Bench) -> None:
    times = tuple(np.arange(1, 7) * 600.0)
    found = reduce(bench.changed(decay=0.1, times=times).with_setup(stability_of="fe_c2h4").measurement()).figures
    slope, life = found["stability_slope"], found["t80"]
    assert slope.sem is not None
    assert life.sem is not None
    assert life.sem / life.value == pytest.approx(-slope.sem / slope.value, rel=0.15)


@pytest.mark.parametrize("time", [-100.0, 0.0])
def test_a_sample_from_before_the_electrolysis(bench: Bench, time: float) -> None:
    liquid = bench.tables()["liquid"].assign(**{"time/s": time})
    with pytest.raises(SignalError, match="no charge was passed until the sample") as error:
        reduce(bench.measurement(liquid=liquid))
    assert error.value.field == "liquid.time"


def test_calibrations_as_json_are_pointed_out(bench: Bench) -> None:
    with pytest.raises(CalibrationError, match="from_json"):
        reduce(bench.measurement(), calibrations=bench.calibrations().to_json())


def test_what_has_no_trend_is_told(bench: Bench) -> None:
    reduction = reduce(bench.with_setup(stability_of="fe_hcoo").measurement())
    assert any("no trend of fe_hcoo" in notice for notice in reduction.notices)
    assert "stability_slope" not in reduction.figures


# Temperatures and resistances from the tables


def test_temperatures_that_no_cell_has(bench: Bench) -> None:
    trace = bench.tables()["potentiostat"].assign(**{"temperature/K": 25.0})
    with pytest.raises(SignalError, match=r"temperature/K.*is the unit right") as error:
        reduce(bench.with_setup(temperature=None).measurement(potentiostat=trace))
    assert error.value.field == "potentiostat.temperature/K"


def test_a_measured_temperature_counts_for_the_reference(bench: Bench) -> None:
    trace = bench.tables()["potentiostat"].assign(**{"temperature/degC": 40.0})
    with pytest.raises(SignalError, match="with temperature is not known"):
        reduce(bench.with_setup(temperature=None, reference="Ag/AgCl (1 M KCl)").measurement(potentiostat=trace))
    known = {"electrode": "Ag/AgCl (KCl sat.)", "before": f"{0.197 - 15 * 1.01e-3} V"}
    reduction = reduce(bench.with_setup(temperature=None, reference=known).measurement(potentiostat=trace))
    assert next(check.level for check in reduction.checks if check.name == "reference_drift") == "fine"


@pytest.mark.parametrize(("real", "imaginary", "told"), [(5.0, 0.3, 0), (5.0, -0.3, 0), (50.0, -30.0, 1)])
def test_a_spectrum_that_ends_too_early_is_told(bench: Bench, real: float, imaginary: float, told: int) -> None:
    spectrum = pd.DataFrame({"frequency/Hz": [1e5], "z_real/ohm": [real], "z_imag/ohm": [imaginary]})
    reduction = reduce(bench.with_setup(resistance=None).measurement(impedance=spectrum))
    assert sum("meets the real axis" in notice for notice in reduction.notices) == told


def test_a_negative_resistance(bench: Bench) -> None:
    spectrum = pd.DataFrame({"frequency/Hz": [1e5], "z_real/ohm": [-5.0], "z_imag/ohm": [0.0]})
    with pytest.raises(SignalError, match="resistance of -5 ohm") as error:
        reduce(bench.with_setup(resistance=None).measurement(impedance=spectrum))
    assert error.value.field == "impedance.z_real/ohm"


def test_injections_without_a_number(bench: Bench) -> None:
    with pytest.raises(SignalError, match="no whole number"):
        reduce(bench.measurement(chromatograph=bench.tables()["chromatograph"].assign(injection=1e300)))


def test_a_peak_that_is_lost_in_one_injection_is_told(bench: Bench) -> None:
    table = bench.tables()["chromatograph"]
    kept = table[(table["species"] != "co") | (table["injection"] != 2)]
    notices = reduce(bench.measurement(chromatograph=kept)).notices
    assert any("co has no peak in injection 2" in notice for notice in notices)
    without = reduce(bench.measurement(chromatograph=table[table["species"] != "co"]))
    assert without.figures["fe_co"].censored == "below"
    assert not any("has no peak" in notice for notice in without.notices)


@pytest.mark.filterwarnings("error")
def test_short_and_long_traces_are_reduced_together(bench: Bench) -> None:
    both = [bench.measurement(), bench.changed(points=2).measurement()]
    together = reduce_all(both)
    for one, measurement in zip(together, both, strict=True):
        assert isinstance(one, Reduction)
        assert values(one) == pytest.approx(values(reduce(measurement)), nan_ok=False, abs=1e-12)
