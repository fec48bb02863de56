"""The cell behind emulated instruments: one current, one gas, one electrode, whoever looks at it."""

import itertools
import math

import pandas as pd
import pytest

from simulators import chemistry
from simulators.emulators.plant import Deck, Plant
from simulators.emulators.roles import Drive
from simulators.emulators.virtual_cell import Electrode, VirtualCell
from simulators.errors import EmulatorError

FARADAY = 96485.33212
SCCM = 101325.0 / (8.314462618 * 273.15) * 1e-6 / 60.0
"""mol s-1; both written out here, so that nothing is compared with itself."""


class ByHand:
    """Time that passes when a test says so."""

    factor = 1.0

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time


@pytest.fixture
def pace():
    return ByHand()


@pytest.fixture
def cell(pace):
    cell = VirtualCell("cell-1", chemistry("gde_alloys"), pace, noise=0.0)
    cell.mount(Electrode({"Cu": 0.7, "Ag": 0.3}, ("test",)))
    cell.surround(gas={"co2": 20.0})
    return cell


def test_current_control_is_the_chemistrys_own_truth(cell):
    cell.apply(Drive("current", -0.2))
    seen = cell.measure()
    point = pd.DataFrame({"x_Cu": [0.7], "x_Ag": [0.3], "current_density": [200.0], "gas_flow": [20.0]})
    truth = chemistry("gde_alloys").truth(point).iloc[0]
    assert seen.current == pytest.approx(-0.2, rel=1e-9)
    assert seen.cell_voltage == pytest.approx(truth["u_cell"], abs=1e-9)
    assert cell.truth()["e_rhe"] == pytest.approx(truth["e_rhe"], abs=1e-9)


def test_gas_current_and_flow_belong_to_one_cell(cell, pace):
    """What the meter and the chromatograph say gives back the efficiencies that the current made."""
    cell.apply(Drive("current", -0.2))
    pace.time += 600.0
    cell.renew()
    pace.time += 3600.0
    gas, outlet, truth = cell.composition(), cell.outlet(), cell.truth()
    for species, electrons in (("h2", 2), ("co", 2), ("c2h4", 12)):
        efficiency = electrons * FARADAY * gas[species] * outlet * SCCM / 0.2
        assert efficiency == pytest.approx(truth["fe"][species], rel=1e-6)
    made = cell.liquids()["hcoo"] * 20e-6
    assert 2 * FARADAY * made / truth["charge"] == pytest.approx(truth["fe"]["hcoo"], rel=1e-6)
    assert truth["charge"] == pytest.approx(0.2 * 3600.0, rel=1e-9)
    assert sum(truth["fe"].values()) == pytest.approx(1.0)
    assert sum(gas.values()) == pytest.approx(1.0)


def test_a_held_potential_gives_the_current_that_a_held_current_needs_it_for(cell):
    cell.apply(Drive("current", -0.15))
    potential = cell.measure().potential
    cell.apply(Drive("potential", potential))
    assert cell.measure().current == pytest.approx(-0.15, rel=1e-3)


def test_little_is_drawn_at_little_potential_and_none_at_rest(cell):
    cell.apply(Drive())
    rest = cell.measure()
    assert rest.current == 0.0
    currents = []
    for below in (0.0, 0.1, 0.2, 0.4, 0.6):
        cell.apply(Drive("potential", rest.potential - below))
        currents.append(cell.measure().current)
    assert currents[0] == 0.0
    assert all(a >= b for a, b in itertools.pairwise(currents))
    assert currents[-1] < -0.01


def test_an_opened_contact_stops_the_current_whatever_the_potentiostat_does(cell):
    plant_contact = Plant(chemistry("gde_alloys"), {"cell-1": None}, ByHand()).contact("cell-1")
    inner = plant_contact.cell
    inner.surround(gas={"co2": 20.0})
    inner.apply(Drive("current", -0.2))
    assert inner.measure().current == pytest.approx(-0.2)
    plant_contact.set(False)
    assert inner.measure().current == 0.0
    assert inner.drive.mode == "current"


def test_an_opened_cell_holds_air_until_it_is_purged(cell, pace):
    assert cell.composition()["n2"] == pytest.approx(0.79)
    pace.time += 120.0
    gas = cell.composition()
    assert gas["n2"] < 1e-3
    assert gas["co2"] > 0.99


def test_resistance_is_what_the_impedance_tends_to(cell):
    fast = [cell.impedance(10.0**power).real for power in (4, 5, 6)]
    assert fast[-1] == pytest.approx(cell.truth()["resistance"], rel=1e-3)
    assert cell.impedance(0.01).real > fast[-1]
    assert cell.impedance(1e3).imag < 0.0


def test_the_same_electrode_is_the_same_and_another_another():
    def current_at(identity):
        cell = VirtualCell("cell-1", chemistry("gde_alloys"), ByHand(), seed=3)
        cell.mount(Electrode({"Cu": 1.0}, identity))
        cell.surround(gas={"co2": 20.0})
        cell.apply(Drive("current", -0.1))
        return cell.truth()["e_rhe"]

    assert current_at(("a",)) == current_at(("a",))
    assert current_at(("a",)) != current_at(("b",))


def test_dispensed_amounts_become_the_electrodes_composition():
    plant = Plant(chemistry("gde_alloys"), {"cell-1": None}, ByHand())
    deck = Deck({"stock/A1": {"Cu": 0.2}, "stock/A2": {"Ag": 0.1}}, {"cells/A1": plant.cells["cell-1"]})
    deck.transfer("stock/A1", "cells/A1", 50.0)
    deck.transfer("stock/A2", "cells/A1", 100.0)
    assert plant.truth()["cell-1"]["fractions"] == pytest.approx({"Cu": 0.5, "Ag": 0.5})
    assert deck.volume("cells/A1") == 150.0
    assert deck.volume("stock/A1") == -50.0


def test_a_used_electrode_is_taken_out_before_another_is_made(pace):
    plant = Plant(chemistry("gde_alloys"), {"cell-1": None}, pace, noise=0.0)
    cell = plant.cells["cell-1"]
    deck = Deck({"stock/A1": {"Cu": 0.2}, "stock/A2": {"Ag": 0.1}}, {"cells/A1": cell})
    deck.transfer("stock/A1", "cells/A1", 50.0)
    cell.surround(gas={"co2": 20.0})
    cell.apply(Drive("current", -0.1))
    pace.time += 60.0
    cell.apply(Drive())
    deck.transfer("stock/A2", "cells/A1", 50.0)
    truth = plant.truth()["cell-1"]
    assert truth["fractions"] == {"Ag": 1.0}
    assert truth["charge"] == 0.0
    assert [(past["fractions"], past["charge"]) for past in truth["past"]] == [({"Cu": 1.0}, pytest.approx(6.0))]


def test_a_mixed_vessel_passes_on_its_share():
    deck = Deck({"stock/A1": {"Cu": 0.2}, "stock/A2": {"Ag": 0.2}})
    deck.transfer("stock/A1", "mix/A1", 30.0)
    deck.transfer("stock/A2", "mix/A1", 10.0)
    deck.transfer("mix/A1", "plate/A1", 20.0)
    assert deck.deposits["plate/A1"] == pytest.approx({"Cu": 3.0, "Ag": 1.0})
    assert deck.deposits["mix/A1"] == pytest.approx({"Cu": 3.0, "Ag": 1.0})
    with pytest.raises(EmulatorError, match="no electrode at plate/B1"):
        deck.mount("plate/B1", VirtualCell("c", chemistry("gde_alloys"), ByHand()))


def test_controllers_are_off_by_what_they_are_off_and_settle(pace):
    plant = Plant(chemistry("gde_alloys"), {"cell-1": None}, pace, seed=1)
    inlet, outlet = plant.inlet("co2-1", "cell-1"), plant.outlet("outlet-1", "cell-1")
    inlet.set(20.0)
    assert inlet.value() == 0.0
    pace.time += 10.0
    assert inlet.value() == pytest.approx(20.0)
    true = plant.cells["cell-1"].outlet()
    assert true != pytest.approx(20.0, abs=1e-6)
    assert true == pytest.approx(20.0, rel=0.03)
    assert outlet.value() == pytest.approx(true, rel=0.03)


def test_the_valve_brings_one_stream_and_mixtures_at_their_positions(pace):
    plant = Plant(chemistry("gde_alloys"), {"cell-1": None, "cell-2": None}, pace)
    valve = plant.valve({1: "cell-1", 2: "cell-2"}, {3: {"h2": 0.01, "co2": 0.99}})
    plant.inlet("co2-2", "cell-2").set(20.0)
    pace.time += 300.0
    assert valve.composition()["n2"] == pytest.approx(0.79)
    valve.set(2)
    assert valve.composition()["co2"] > 0.99
    valve.set(3)
    assert valve.composition() == {"h2": 0.01, "co2": 0.99}
    valve.set(7)
    assert valve.composition()["o2"] == pytest.approx(0.21)


def test_a_bath_heats_only_when_it_runs(pace):
    plant = Plant(chemistry("gde_alloys"), {"cell-1": None}, pace)
    bath = plant.bath()
    bath.set(50.0)
    pace.time += 1000.0
    assert bath.value() == pytest.approx(25.0)
    bath.run(True)
    pace.time += 90.0
    assert bath.value() == pytest.approx(50.0 - 25.0 * math.exp(-1.0), abs=0.01)
    assert plant.cells["cell-1"].composition()
    assert plant.cells["cell-1"].around.celsius == pytest.approx(bath.value(), abs=0.05)
