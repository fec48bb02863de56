from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from simulators import evolution
from simulators._torch import double
from simulators.cell import SteadyState, conditions, ideal_electrode, steady_state
from simulators.constants import FARADAY, PRODUCTS, SIMULATED
from simulators.degradation import LIQUIDS, Degradation
from simulators.elements import STEPS
from simulators.errors import ChemistryError, ConvergenceError
from simulators.evolution import Evolution, evolve
from simulators.kinetics import Electrode
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

NOMINAL = World()
NAMES = ("Cu", "Ag", "Zn")
ELEMENTS = elements_of(NAMES, NOMINAL)
MIX = double([[0.85, 0.05, 0.10]])
HOUR = 3600.0


def history(ageing: Degradation | None = None, bulk: torch.Tensor = MIX, **settings: Any) -> Evolution:
    times = settings.pop("times", np.linspace(0.0, HOUR, 7))
    depth, strict = settings.pop("depth", None), settings.pop("strict", True)
    return evolve(
        bulk, ELEMENTS, NOMINAL, conditions(**settings), times=times, degradation=ageing, depth=depth, strict=strict
    )


def euler(ageing: Degradation, step: float, end: float, depth: float | None, **settings: Any) -> dict[str, float]:
    """One run by small explicit steps, written down from the equations; rates are for an hour."""
    run = conditions(**settings)
    start = run
    theta = flooded = crust = 0.0
    rough = 1.0
    left = np.array([1.0, 1.0, math.exp(-ageing.open_leaching * ageing.open_time)])
    salt = float(run.concentration)
    dissolved = np.zeros(len(LIQUIDS))
    loss = np.array([ageing.stripping.get(key, 0.0) + ageing.crossover.get(key, 0.0) for key in LIQUIDS])
    ph = None
    hours = step / HOUR

    def now() -> SteadyState:
        nonlocal ph
        worn = {"water_to_h2": 1 + 3 * theta, "buffer_to_h2": 1.0, "co_desorption": 1.0}
        factors = double([[worn.get(each, 1 - theta) for each in STEPS]])
        electrode = Electrode(double([rough]), double([1.0]), factors)
        changed = replace(
            start, flooded=double([flooded]), crust=double([crust]), concentration=double([salt]),
            bubbles=double([ageing.bubbles]),
        )  # fmt: skip
        if ph is not None:
            shift = 8.314462618 * float(start.temperature) * math.log(10) / FARADAY * (float(at_salt(salt)) - ph)
            changed = replace(changed, potential=start.potential + shift)
        sites = surface_sites(MIX, ELEMENTS, NOMINAL, lost=double(1 - left).unsqueeze(0))
        return steady_state(sites, changed, electrode)

    def at_salt(value: float) -> torch.Tensor:
        sites = surface_sites(MIX, ELEMENTS, NOMINAL)
        return steady_state(sites, replace(start, concentration=double([value]))).solution.ph

    ph = float(at_salt(salt))
    for _ in range(round(end / step)):
        state = now()
        potential, current = float(state.potential), float(state.current) * 10 / FARADAY
        oh = 1e3 * 10 ** float(state.ph - state.solution.pkw)
        bulk = state.solution
        carbonate = float(bulk.carbonates + state.absorbed * start.thickness) / float(
            bulk.d_co3 + bulk.d_hco3 / (bulk.carbonate * oh)
        )
        beyond = max(0.0, salt * carbonate / 1e6 / float(ageing.salt_limit or 1.5) - 1.0)
        rates = state.rates[0].numpy()
        liquids = np.array([rates[SIMULATED.index(key)] for key in LIQUIDS])
        released = float(rates @ [PRODUCTS[key].hydroxides for key in SIMULATED])
        gas = start.cell != "h_cell"
        dflooded = ageing.flooding * math.exp((-potential - 0.8) / 0.12) * (1 + 4 * crust) * (1 - flooded) * gas
        dcrust = (ageing.salting * beyond * (1 - crust) - ageing.rinsing * crust) * gas
        theta += hours * ageing.impurity * ageing.poisoning * (1 - theta)
        rough += hours * (1 + ageing.growth - rough) / ageing.growth_time
        left = left - hours * np.array([0.0, 0.0, ageing.leaching]) * left
        dissolved = dissolved + hours * (liquids * HOUR - loss * dissolved)
        flooded, crust = flooded + hours * dflooded, crust + hours * dcrust
        if depth is not None:
            neutral = 2 * float(state.absorbed) * float(start.hydroxide)
            salt += step * (released - ageing.carried * current - neutral) / depth
    final = now()
    return {
        "potential": float(final.potential),
        "current": float(final.current),
        "voltage": float(final.voltage),
        "resistance": float(final.resistance),
        "flooded": flooded,
        "crust": crust,
        "poisoned": theta,
        "roughening": rough,
        "concentration": salt,
        "zinc": 1 - left[2],
        **{f"dissolved_{key}": value for key, value in zip(LIQUIDS, dissolved.tolist(), strict=True)},
    }


HARSH = Degradation(impurity=1.0, flooding=0.1, salt_limit=1.0, rinsing=0.3, carried=0.7)


@pytest.mark.parametrize(
    ("settings", "depth"),
    [
        ({"potential": -1.05, "compensation": 0.8}, 0.018),
        ({"current": 5.0}, 0.018),
        ({"current": 300.0, "cell": "gde", "concentration": 1000.0}, None),
        ({"current": 200.0, "cell": "gde", "concentration": 1000.0, "salt": "hydroxide"}, 2.0),
    ],
)
def test_long_steps_agree_with_small_ones(settings: dict[str, Any], depth: float | None) -> None:
    end = 1800.0
    reference = euler(HARSH, 10.0, end, depth, **settings)
    found = history(HARSH, times=np.linspace(0.0, end, 7), depth=depth, **settings)
    for name, value in reference.items():
        if name == "zinc":
            ours = found.lost[-1, 0, 2]
        elif name.startswith("dissolved_"):
            ours = found.dissolved[-1, 0, LIQUIDS.index(name.removeprefix("dissolved_"))]
        else:
            ours = getattr(found, name)[-1, 0]
        assert float(ours) == pytest.approx(value, rel=1e-2, abs=1e-9), name


def test_without_ageing_a_run_is_its_first_moment() -> None:
    found = history(Degradation.none(), current=200.0, cell="gde", concentration=1000.0)
    sites = surface_sites(MIX, ELEMENTS, NOMINAL)
    state = steady_state(sites, conditions(current=200.0, cell="gde", concentration=1000.0))
    for node in range(7):
        np.testing.assert_allclose(found.rates[node], state.rates.numpy(), rtol=1e-8)
        np.testing.assert_allclose(found.voltage[node], state.voltage.numpy(), rtol=1e-9)
    liquids = [SIMULATED.index(key) for key in LIQUIDS]
    np.testing.assert_allclose(found.dissolved[-1], HOUR * state.rates.numpy()[:, liquids], rtol=1e-8)
    assert found.stripped.max() == found.crossed.max() == 0.0


def test_dissolved_products_are_conserved() -> None:
    found = history(current=5.0)
    liquids = [SIMULATED.index(key) for key in LIQUIDS]
    made = np.trapezoid(found.rates[:, :, liquids], found.time, axis=0)
    np.testing.assert_allclose((found.dissolved + found.stripped + found.crossed)[-1], made, rtol=1e-9)
    ethanol, formate = LIQUIDS.index("c2h5oh"), LIQUIDS.index("hcoo")
    assert found.stripped[-1, 0, ethanol] > 0 == found.crossed[-1, 0, ethanol]
    assert found.crossed[-1, 0, formate] > 0 == found.stripped[-1, 0, formate]


def test_impurities_turn_copper_to_hydrogen_and_a_pulse_cleans_it() -> None:
    dirty = replace(Degradation.none(), impurity=1.0)
    found = history(dirty, current=5.0)
    np.testing.assert_allclose(found.poisoned[:, 0], -np.expm1(-1.5 * found.time / HOUR), rtol=1e-12)
    hydrogen = found.rates[:, 0, 0]
    assert (np.diff(hydrogen) > 0).all()
    pulsed = history(replace(dirty, pulses=(2400.0,)), current=5.0)
    assert pulsed.time.tolist().count(2400.0) == 2
    before, after = np.flatnonzero(pulsed.time == 2400.0)
    assert pulsed.poisoned[after, 0] == 0.0 < pulsed.poisoned[before, 0]
    np.testing.assert_allclose(pulsed.rates[after], pulsed.rates[0], rtol=1e-9)


def test_hydrophilic_electrodes_drown_within_half_an_hour() -> None:
    # carbon-free electrodes: Baumgartner et al., ACS Sustainable Chem. Eng. 2022, 10, 4683
    silver = double([[0.0, 1.0, 0.0]])
    times = np.linspace(0.0, 1.5 * HOUR, 19)
    settings: dict[str, Any] = {"current": 200.0, "cell": "gde", "concentration": 1000.0, "times": times}
    carbon_free = history(Degradation(flooding=2.0), silver, **settings)
    carbon = history(Degradation(flooding=0.01), silver, **settings)
    share = [run.rates[:, 0, 1] * 2 * FARADAY / 2000.0 for run in (carbon_free, carbon)]
    assert share[0][0] > 0.9
    assert share[0][-1] < 0.4
    assert share[1][-1] > 0.9
    assert (np.diff(carbon_free.flooded[:, 0]) > 0).all()


def test_salt_closes_pores_until_it_is_rinsed() -> None:
    settings: dict[str, Any] = {"current": 400.0, "cell": "mea", "times": np.linspace(0.0, 6 * HOUR, 25)}
    silver = double([[0.0, 1.0, 0.0]])
    crusted = history(None, silver, **settings)
    rinsed = history(Degradation(rinses=(4 * HOUR,)), silver, **settings)
    assert (np.diff(crusted.crust[:, 0]) >= 0).all()
    assert crusted.crust[-1, 0] > 0.5
    before, after = np.flatnonzero(rinsed.time == 4 * HOUR)
    assert rinsed.crust[before, 0] > 0.1 == rinsed.crust[after, 0]
    assert rinsed.pressure_drop[after, 0] < rinsed.pressure_drop[before, 0]
    ratio = crusted.pressure_drop[:, 0] * (1 - crusted.crust[:, 0]) ** 3
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    dilute = history(None, silver, **{**settings, "concentration": 10.0})
    assert dilute.crust[-1, 0] < crusted.crust[-1, 0]
    assert not dilute.blocked.any()


def test_salt_that_chokes_its_own_cell_is_followed_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    marched: list[int] = []
    march = evolution._Runs.marched

    def counted(self: Any, runs: Any) -> Any:
        marched.extend(runs.tolist())
        return march(self, runs)

    monkeypatch.setattr(evolution._Runs, "marched", counted)
    silver = double([[0.0, 1.0, 0.0]])
    settings: dict[str, Any] = {"cell": "gde", "salt": "hydroxide", "concentration": 3000.0}
    ageing = Degradation(salting=2.0)
    coarse = history(ageing, silver, current=[20.0, 400.0], times=np.linspace(0, HOUR, 4), **settings)
    assert marched == [0, 1]
    fine = history(ageing, silver, current=400.0, times=np.linspace(0, HOUR, 145), **settings)
    for name in ("crust", "flooded", "potential", "absorbed"):
        ours, theirs = getattr(coarse, name), getattr(fine, name)
        np.testing.assert_allclose(ours[:, 1], theirs[::48, 0], rtol=0.02, atol=1e-4, err_msg=name)
    assert coarse.crust[-1, 1] > 0.5


def test_zinc_leaves_the_surface_first_at_open_circuit() -> None:
    found = history(Degradation(open_time=0.5), potential=-1.0)
    # 0.5 % a minute for half an hour, then 0.02 % a minute for an hour
    assert found.lost[0, 0].tolist() == pytest.approx([0.0, 0.0, 1 - math.exp(-0.15)])
    assert found.lost[-1, 0, 2] == pytest.approx(1 - math.exp(-0.162))


def test_a_batch_catholyte_gets_more_alkaline_or_is_used_up() -> None:
    bicarbonate = history(replace(Degradation.none(), carried=0.8), current=10.0, depth=0.018)
    assert (np.diff(bicarbonate.ph[:, 0]) > 0).all()
    hydroxide = history(current=200.0, cell="gde", concentration=1000.0, salt="hydroxide", depth=0.5)
    assert (np.diff(hydroxide.concentration[:, 0]) < 0).all()
    fresh = history(current=200.0, cell="gde", concentration=1000.0, salt="hydroxide")
    assert np.ptp(fresh.concentration) == 0.0


def test_a_potentiostat_keeps_its_reference_electrode() -> None:
    found = history(replace(Degradation.none(), carried=0.5), potential=-1.0, depth=0.01)
    slope = 8.314462618 * 298.15 * math.log(10) / FARADAY
    on_she = found.potential - slope * found.ph
    np.testing.assert_allclose(on_she[:, 0], on_she[0, 0], atol=1e-9)
    assert np.ptp(found.ph) > 0.05


def test_a_batch_of_runs_gives_what_single_runs_give() -> None:
    bulk = double([[0.85, 0.05, 0.10], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    ageing = Degradation(flooding=np.array([0.01, 0.5, 1.0]))
    settings = {"cell": "gde", "concentration": 1000.0}
    together = history(ageing, bulk, current=[100.0, 200.0, 300.0], **settings)
    for row, current in enumerate((100.0, 200.0, 300.0)):
        alone = history(
            replace(ageing, flooding=float(ageing.flooding[row])), bulk[row : row + 1], current=current, **settings
        )
        for each in fields(Evolution):
            ours, theirs = getattr(together, each.name), getattr(alone, each.name)
            if each.name != "time":
                np.testing.assert_allclose(ours[:, row], theirs[:, 0], rtol=1e-5, atol=1e-9)


def test_an_electrode_keeps_its_individuality() -> None:
    electrode = replace(ideal_electrode(1), roughness=double([1.3]))
    run = conditions(potential=-0.9)
    found = evolve(MIX, ELEMENTS, NOMINAL, run, electrode, times=[0.0, 600.0], degradation=Degradation.none())
    state = steady_state(surface_sites(MIX, ELEMENTS, NOMINAL), run, electrode)
    np.testing.assert_allclose(found.rates[0], state.rates.numpy(), rtol=1e-9)


def test_a_cell_that_cannot_go_on_says_when() -> None:
    lead = elements_of(("Pb",), NOMINAL)
    run = conditions(current=[1e15, 5.0], cell="gde")
    one = double([[1.0]])
    with pytest.raises(ConvergenceError):
        evolve(one, lead, NOMINAL, run, times=[0.0, 600.0])
    found = evolve(one, lead, NOMINAL, run, times=[0.0, 600.0], strict=False)
    assert found.converged.tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize("times", [[], [1.0, 2.0], [0.0, 5.0, 5.0], [[0.0, 1.0]]])
def test_times_begin_at_zero_and_increase(times: Any) -> None:
    with pytest.raises(ChemistryError, match="begin at 0 and increase"):
        history(times=times, potential=-1.0)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"flooding": -1.0}, "flooding"), ({"impurity": math.nan}, "impurity"), ({"stripping": {"h2": 0.1}}, "stripping")],
)
def test_impossible_ageing_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ChemistryError) as caught:
        Degradation(**change)
    assert caught.value.field == field
