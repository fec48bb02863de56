from __future__ import annotations

import pytest
import torch

from simulators import published
from simulators._torch import double
from simulators.cell import conditions
from simulators.constants import FARADAY
from simulators.film import Electrolyte, Exchange, electrolyte, film_surface


def bulk(molar: float, **others: float) -> Electrolyte:
    run = conditions(-1.0, concentration=1e3 * molar, **others)
    return electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure)


@pytest.mark.parametrize(("molar", "ph", "co2"), [(0.1, 6.84, 32.8), (0.5, 7.60, 28.5), (1.0, 7.97, 23.8)])
def test_bulk_speciation(molar: float, ph: float, co2: float) -> None:
    solution = bulk(molar)
    assert float(solution.ph) == pytest.approx(ph, abs=0.01)
    assert float(solution.co2) == pytest.approx(co2, abs=0.1)


def test_the_bulk_is_neutral_and_at_equilibrium() -> None:
    solution = bulk(0.3, temperature=310.0, pressure=2.0)
    proton = 1e3 * 10.0**-solution.ph
    assert float(solution.hco3 + 2 * solution.co3 + solution.oh - proton) == pytest.approx(300.0, rel=1e-9)
    assert float(solution.carbonate * solution.hco3 * solution.oh / solution.co3) == pytest.approx(1.0, rel=1e-9)


def surface(solution: Electrolyte, thickness: float, carbon: float, hydroxide: float) -> tuple[float, float]:
    """Surface pH and CO2 for given fluxes, by plain relaxation."""
    delta, taken, given = double([thickness]), double([carbon]), double([hydroxide])
    oh, co2 = 10.0 * solution.oh, 0.5 * solution.co2
    for _ in range(400):
        new_co2, new_oh = film_surface(solution, delta, oh, Exchange(taken / co2, double(0.0), given))
        oh, co2 = torch.exp(0.5 * (oh.log() + new_oh.log())), torch.exp(0.5 * (co2.log() + new_co2.log()))
    return float(solution.surface_ph(oh.log())), float(co2)


@pytest.mark.parametrize(
    ("molar", "microns", "current", "share", "ph", "co2"),
    published.BOUNDARY_VALUE_PROBLEM,
)
def test_the_film_agrees_with_the_boundary_value_problem(
    molar: float, microns: float, current: float, share: float, ph: float, co2: float
) -> None:
    got_ph, got_co2 = surface(
        bulk(molar), 1e-6 * microns, share * 10.0 * current / (2 * FARADAY), 10.0 * current / FARADAY
    )
    assert got_ph == pytest.approx(ph, abs=published.FILM_PH_TOLERANCE)
    assert got_co2 == pytest.approx(co2, abs=published.FILM_CO2_TOLERANCE)


def test_without_current_the_surface_is_the_bulk() -> None:
    solution = bulk(0.1)
    ph, co2 = surface(solution, 100e-6, 0.0, 0.0)
    assert ph == pytest.approx(float(solution.ph), abs=1e-9)
    assert co2 == pytest.approx(float(solution.co2), rel=1e-6)


def test_small_currents_change_the_surface_little() -> None:
    solution = bulk(0.1)
    ph, co2 = surface(solution, 100e-6, 1e-9, 2e-9)
    assert float(solution.ph) < ph < float(solution.ph) + 0.05
    assert co2 == pytest.approx(float(solution.co2), rel=0.01)
