from __future__ import annotations

import pytest
import torch

from simulators._torch import double
from simulators.cell import conditions, steady_state
from simulators.constants import SIMULATED
from simulators.elements import STEPS, element_names
from simulators.errors import ChemistryError
from simulators.materials import elements_of, surface_composition, surface_sites
from simulators.worlds import World, make_world

NOMINAL = World()


def test_pure_metals_keep_their_calibrated_constants() -> None:
    elements = elements_of(element_names(), NOMINAL)
    sites = surface_sites(torch.eye(16, dtype=torch.float64), elements, NOMINAL)
    for row in range(16):
        torch.testing.assert_close(sites.log10_k[row, row], elements.log10_k[row], rtol=0, atol=1e-12)


def test_low_surface_energy_comes_to_the_surface() -> None:
    elements = elements_of(("Cu", "Bi"), NOMINAL)
    surface = surface_composition(double([[0.9, 0.1]]), elements, 0.8)
    # x_i exp(-0.8 (gamma_i - mean)), with gamma 1.79 and 0.49 J m-2
    assert surface[0, 1] / surface[0, 0] == pytest.approx(0.1 / 0.9 * 2.7182818**1.04, rel=1e-6)
    assert float(surface.sum()) == pytest.approx(1.0, abs=1e-15)


def test_an_element_that_is_absent_changes_nothing() -> None:
    few = surface_sites(double([[0.7, 0.3]]), elements_of(("Cu", "Sn"), NOMINAL), NOMINAL)
    more = surface_sites(double([[0.7, 0.0, 0.3]]), elements_of(("Cu", "Pt", "Sn"), NOMINAL), NOMINAL)
    torch.testing.assert_close(more.log10_k[:, [0, 2]], few.log10_k, rtol=0, atol=1e-12)


def test_blockers_stop_coupling_before_methane() -> None:
    elements = elements_of(("Cu", "Sn"), NOMINAL)
    sites = surface_sites(double([[1.0, 0.0], [0.9, 0.1]]), elements, NOMINAL, mixing=0.0)
    change = (sites.log10_k[1] - sites.log10_k[0])[0]
    assert change[STEPS.index("co_to_methane")] < 0
    assert bool(torch.isfinite(sites.log10_k).all())


def test_worlds_are_reproducible_and_differ_by_seed() -> None:
    names = element_names()
    one, again, other = (make_world("shifted", seed, names, STEPS) for seed in (3, 3, 4))
    assert one == again
    assert one.rate_shift != other.rate_shift
    assert 0.1 <= one.mixing <= 0.4
    assert 0.0 <= one.segregation <= 1.2
    # what is drawn for one element does not depend on which others there are
    assert make_world("shifted", 3, ("Cu",), STEPS).rate_shift["Cu", "co2_to_co"] == one.rate_shift["Cu", "co2_to_co"]


def test_an_unknown_world_is_named() -> None:
    with pytest.raises(ChemistryError, match="Did you mean 'nominal'"):
        make_world("nominel", 0, ("Cu",), STEPS)


def test_what_has_leached_is_no_longer_at_the_surface() -> None:
    elements = elements_of(("Cu", "Zn", "Al"), NOMINAL)
    bulk = double([[0.6, 0.3, 0.1]])
    fresh = surface_composition(bulk, elements, 0.8)
    worn = surface_composition(bulk, elements, 0.8, double([[0.0, 0.5, 1.0]]))
    assert float(worn[0, 2]) == 0.0
    assert float(worn[0, 1] / worn[0, 0]) == pytest.approx(0.5 * float(fresh[0, 1] / fresh[0, 0]), rel=1e-12)
    sites = surface_sites(bulk, elements, NOMINAL, lost=double([[0.0, 0.5, 1.0]]))
    torch.testing.assert_close(sites.fractions, worn)
    assert bool(torch.isfinite(sites.log10_k).all())


def test_disorder_keeps_the_average_site() -> None:
    elements = elements_of(("Cu", "Ag", "Sn"), NOMINAL)
    bulk = double([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    plain = surface_sites(bulk, elements, NOMINAL)
    spread = surface_sites(bulk, elements, NOMINAL, disorder=True)
    assert spread.fractions.shape == (2, 9)
    torch.testing.assert_close(spread.fractions.reshape(2, 3, 3).sum(1), plain.fractions)
    torch.testing.assert_close(spread.log10_k[:, :3], plain.log10_k)
    # desorption is linear in the CO energy: its logarithm scatters evenly, by 0.5 sqrt(3) w sd / 3 / 0.05916 decades
    desorption = spread.log10_k[0, :, STEPS.index("co_desorption")].reshape(3, 3)
    torch.testing.assert_close(desorption[1] + desorption[2], 2 * desorption[0])
    surface, energy = plain.fractions[0], elements.e_co
    deviation = float(((surface * energy.square()).sum() - (surface * energy).sum() ** 2).sqrt())
    expected = 0.5 * 3**0.5 * 0.25 * deviation / 3 / 0.05916
    assert float(desorption[2, 0] - desorption[0, 0]) == pytest.approx(expected, rel=1e-6)
    # a pure metal has no disorder
    torch.testing.assert_close(spread.log10_k[1, 3], plain.log10_k[1, 0], rtol=0, atol=1e-4)


def test_disorder_changes_little_and_can_be_solved() -> None:
    elements = elements_of(("Cu", "Ag"), NOMINAL)
    bulk = double([[0.9, 0.1], [1.0, 0.0]])
    plain, spread = (
        steady_state(surface_sites(bulk, elements, NOMINAL, disorder=flag), conditions(current=5.0))
        for flag in (False, True)
    )
    assert float((plain.efficiencies - spread.efficiencies)[1].abs().max()) < 1e-4
    assert 1e-4 < float((plain.efficiencies - spread.efficiencies)[0].abs().max()) < 0.1


def test_numpy_and_torch_give_the_same_sites_and_gradients() -> None:
    elements = elements_of(element_names(), NOMINAL)
    bulk = torch.full((1, 16), 1 / 16, dtype=torch.float64)
    plain = surface_sites(bulk, elements, NOMINAL, 0.4, disorder=True)
    traced = surface_sites(bulk.clone().requires_grad_(), elements, NOMINAL, 0.4, disorder=True)
    assert traced.log10_k.requires_grad
    torch.testing.assert_close(traced.log10_k.detach(), plain.log10_k, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(traced.fractions.detach(), plain.fractions, rtol=1e-12, atol=1e-15)


def test_separate_phases_share_their_carbon_monoxide() -> None:
    # a tandem: silver makes CO, copper couples it, although neither changes the other's sites
    elements = elements_of(("Cu", "Ag"), NOMINAL)
    run = conditions(-1.0, pressure=1.0)
    alone, tandem = (
        steady_state(surface_sites(double([mix]), elements, World(asymmetry=1e-9), 0.0), run)
        for mix in ([1.0, 0.0], [0.9, 0.1])
    )
    ethylene = SIMULATED.index("c2h4")
    assert float(tandem.rates[0, ethylene]) > 0.9 * float(alone.rates[0, ethylene])
    assert float(tandem.co) > float(alone.co)
