from __future__ import annotations

import pytest
import torch

from simulators._torch import double
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
