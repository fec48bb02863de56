from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from simulators import chemistry
from simulators.batch import average_batch
from simulators.constants import FARADAY, PRODUCTS, SIMULATED
from simulators.course import HARDWARE, Course
from simulators.degradation import LIQUIDS
from simulators.history import drowning, steady
from simulators.materials import elements_of
from simulators.readings import read
from simulators.variability import PEAKS, Offsets, Run


def course(name: str = "gde_alloys", **point: float) -> Course:
    virtual = chemistry(name)
    parameters = {**virtual.optimum(virtual.definition.target)["parameters"], **point}
    layout = virtual.layout(tuple(parameters))
    points = {key: [value] for key, value in parameters.items()}
    batch = average_batch(virtual, elements_of(layout.elements, virtual.world), layout, points)
    return steady(batch, HARDWARE[virtual.definition.cell].area, 298.15)


def test_means_are_exact_for_linear_pieces() -> None:
    one = course()
    time = np.array([0.0, 100.0, 400.0])
    values = np.array([0.0, 10.0, 40.0])
    line = replace(one, time=time)
    assert line.at(values, np.array([-5.0, 50.0, 250.0, 900.0])) == pytest.approx([0.0, 5.0, 25.0, 40.0])
    assert line.mean(values, 50.0, 250.0) == pytest.approx(15.0)
    assert line.mean(values, 0.0, 800.0) == pytest.approx((0.5 * 400 * 40 + 400 * 40) / 800)


@pytest.mark.parametrize("name", ["cu_alloys", "gde_alloys", "gde_conditions"])
def test_gas_charge_and_liquids_are_conserved(name: str) -> None:
    run = course(name)
    charges = np.array([PRODUCTS[key].electrons * FARADAY for key in SIMULATED])
    carbons = np.array([PRODUCTS[key].carbons for key in SIMULATED])
    assert run.currents.sum() == pytest.approx(float((run.rates * charges).sum()) * run.area, rel=1e-12)
    leaving = run.outlet * run.co2_fraction
    assert leaving + run.area * (run.rates @ carbons + run.carbonate) == pytest.approx(run.inlet, rel=1e-12)
    assert run.gas_fractions.sum() + run.co2_fraction.sum() == pytest.approx(1.0, rel=1e-12)
    seconds = 1800.0
    made = dict(zip(LIQUIDS, run.liquids(seconds), strict=True))
    rates = dict(zip(SIMULATED, run.rates[0], strict=True))
    assert made["hcoo"] == pytest.approx(rates["hcoo"] * run.area * seconds)
    assert run.charge(seconds) == pytest.approx(float(run.currents.sum()) * seconds)


def test_readings_without_noise_are_the_truth() -> None:
    truth, drawn = course(), Run.drawn(4)
    seen = read(truth, drawn, Offsets.drawn(3, 0.0), np.zeros(len(PEAKS)), 0.0, 0.0)
    assert seen.fractions == pytest.approx(np.tile(truth.gas_fractions[0], (len(seen.times), 1)))
    assert seen.co2 == pytest.approx(np.full(len(seen.times), truth.co2_fraction[0]))
    assert seen.outlet == pytest.approx(np.full(len(seen.times), truth.outlet[0]))
    assert seen.current == pytest.approx(truth.currents.sum())
    assert seen.potential == pytest.approx(truth.potential[0])
    assert (seen.windows[:, 1] < seen.times).all()
    assert (np.diff(seen.windows) > 0).all()


def test_a_drowning_electrode_ends_in_hydrogen() -> None:
    virtual = chemistry("gde_alloys")
    layout = virtual.layout(virtual.columns)
    parameters = virtual.optimum("fe_c2h4")["parameters"]
    points = {key: [value] for key, value in parameters.items()}
    batch = average_batch(virtual, elements_of(layout.elements, virtual.world), layout, points)
    wet = drowning(batch, 1e-4, 298.15, 3600.0, 0.995)
    hydrogen = wet.currents[:, 0] / wet.currents.sum(-1)
    assert (np.diff(hydrogen) > 0).all()
    assert hydrogen[-1] > 2 * hydrogen[0]
    dry = steady(batch, 1e-4, 298.15)
    assert wet.rates[0] == pytest.approx(dry.rates[0], rel=1e-9)


def test_truth_tables_agree_with_a_course() -> None:
    virtual = chemistry("gde_alloys")
    best = virtual.optimum("fe_c2h4")
    truth = virtual.truth(pd.DataFrame([best["parameters"]])).iloc[0]
    run = course()
    assert run.currents[0, SIMULATED.index("c2h4")] / run.currents.sum() == pytest.approx(truth["fe_c2h4"], rel=1e-9)
    assert run.voltage[0] == pytest.approx(truth["u_cell"], rel=1e-9)
