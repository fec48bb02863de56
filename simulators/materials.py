"""From a composition to the rate constants of its surface sites.

An element table (descriptors and calibrated constants) lies beside this module. A bulk composition becomes a surface
composition by segregation; the descriptors of each site then shift by their neighbours (ligand effect), strain and sp
ligands; the shifts change the rate constants by Bronsted-Evans-Polanyi and Sabatier relations.

The forms and their coefficients are simulator parameters: they are chosen so that motifs of the literature appear
(tandem copper-silver, copper-aluminium, tin and indium on copper), not fitted to alloy data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from simulators._torch import double
from simulators.elements import STEPS, element_table
from simulators.worlds import World

DECADE: Final = 0.05916
"""eV that change a rate tenfold at 298.15 K; descriptors act through it at every temperature."""

FORMATE_APEX, HYDROGEN_APEX, CARBON_MONOXIDE_APEX = -0.85, -0.05, -0.46
STRONG_CO: Final = -1.0
"""eV; metals that bind CO more strongly are poisoned by it from the gas, not from the depleted film."""

TYPICAL_MIXING: Final = 0.8
"""Degree of mixing of an average sample: the mean of Beta(8, 2)."""

_TINY: Final = 1e-12


@dataclass(frozen=True)
class Elements:
    """Columns of the element table for some elements; each tensor has one entry an element.

    Attributes:
        names: element symbols.
        e_co: CO adsorption energy, eV.
        g_h: free energy of adsorbed hydrogen, eV.
        e_ocho: formate adsorption energy, eV.
        radius: metallic radius, pm.
        surface_energy: J m-2.
        sp_ligand: shift of the CO energy of d-metal neighbours, eV.
        poisoned: share of hydrogen evolution that adsorbed CO blocks.
        d_metal: 1 for CO-binding d metals, else 0.
        blocker: 1 for elements that break up coupling ensembles, else 0.
        log10_k: [elements, steps], log10 of mol m-2 s-1.
        copper: copper's rate constants [steps], which fix CO re-adsorption and the scale of hydrogen supply.
    """

    names: tuple[str, ...]
    e_co: Tensor
    g_h: Tensor
    e_ocho: Tensor
    radius: Tensor
    surface_energy: Tensor
    sp_ligand: Tensor
    poisoned: Tensor
    d_metal: Tensor
    blocker: Tensor
    log10_k: Tensor
    copper: Tensor


def elements_of(names: Sequence[str], world: World) -> Elements:
    """The element table of a world, for elements that it knows."""
    table = element_table()

    def column(key: str) -> Tensor:
        return double([float(table[name][key]) for name in names])

    def constants(name: str) -> list[float]:
        return [table[name]["log10_k"][step] + world.rate_shift.get((name, step), 0.0) for step in STEPS]

    return Elements(
        names=tuple(names),
        e_co=column("e_co"),
        g_h=column("g_h"),
        e_ocho=column("e_ocho"),
        radius=column("radius"),
        surface_energy=column("surface_energy"),
        sp_ligand=column("sp_ligand") * double([world.ligand_scale.get(name, 1.0) for name in names]),
        poisoned=column("poisoned"),
        d_metal=double([float(table[name]["kind"] == "d") for name in names]),
        blocker=column("blocker"),
        log10_k=double([constants(name) for name in names]),
        copper=double(constants("Cu")),
    )


@dataclass(frozen=True)
class Sites:
    """The surface of a batch of electrodes.

    Attributes:
        fractions: surface atomic fractions, [..., elements].
        log10_k: site rate constants, [..., elements, steps], log10 of mol m-2 s-1.
        elements: what the sites are made of.
    """

    fractions: Tensor
    log10_k: Tensor
    elements: Elements


def surface_composition(bulk: Tensor, elements: Elements, segregation: float) -> Tensor:
    """Surface fractions [..., elements]: what has a low surface energy (J m-2) comes to the surface."""
    mean = (bulk * elements.surface_energy).sum(-1, keepdim=True)
    weights = bulk * torch.exp(-segregation * (elements.surface_energy - mean))
    return weights / weights.sum(-1, keepdim=True)


def surface_sites(bulk: Tensor, elements: Elements, world: World, mixing: Tensor | float = TYPICAL_MIXING) -> Sites:
    """Site rate constants of alloys.

    Args:
        bulk: atomic fractions, [..., elements], summing to one.
        elements: the elements of the last axis.
        world: alloy rules.
        mixing: degree of mixing, [...]: 1 for a solid solution, 0 for separated phases.
    """
    surface = surface_composition(bulk, elements, world.segregation)
    mixed = double(mixing).unsqueeze(-1)

    def with_neighbours(own: Tensor) -> Tensor:
        mean = (surface * own).sum(-1, keepdim=True)
        return own + world.mixing * mixed * (mean - own)

    stretch = (bulk * elements.radius).sum(-1, keepdim=True) / elements.radius - 1.0
    strain = -world.strain * torch.tanh(1.5 * stretch / 0.08)
    ligands = (surface * elements.sp_ligand).sum(-1, keepdim=True)
    e_co = with_neighbours(elements.e_co) + elements.d_metal * mixed * (strain + ligands)
    g_h = with_neighbours(elements.g_h)
    e_ocho = with_neighbours(elements.e_ocho)

    own = elements.log10_k
    shift_co = (e_co - elements.e_co) / DECADE
    off_apex_co = _off_apex(e_co, elements.e_co, CARBON_MONOXIDE_APEX)
    water = own[:, 2] - 0.30 * _off_apex(g_h, elements.g_h, HYDROGEN_APEX)
    ensemble = torch.log10((1.0 - (surface * elements.blocker).sum(-1, keepdim=True)).clamp_min(_TINY))
    ensemble = ensemble * (1.0 - elements.blocker)
    columns = (
        own[:, 0] - 0.10 * shift_co,
        own[:, 1] - 0.30 * _off_apex(e_ocho, elements.e_ocho, FORMATE_APEX),
        water,
        own[:, 3] + 0.7 * (water - own[:, 2]).clamp_max(0.0),
        own[:, 4] + 0.50 * shift_co,
        own[:, 5] - 0.15 * off_apex_co + 2.0 * ensemble + _hydrogen_supply(surface, water, elements),
        own[:, 6] - 0.15 * off_apex_co + 3.0 * ensemble + _asymmetry(surface, elements, world),
    )
    return Sites(surface, torch.stack(columns, dim=-1), elements)


def _off_apex(energy: Tensor, own: Tensor, apex: float) -> Tensor:
    """How much farther a descriptor is from its Sabatier optimum than in the pure metal, in decades."""
    return ((energy - apex).abs() - (own - apex).abs()) / DECADE


def _hydrogen_supply(surface: Tensor, water: Tensor, elements: Elements) -> Tensor:
    """log10 of the supply of hydrogen to *CO, relative to the pure metal."""
    reference = elements.copper[2]
    here = (surface * 10.0 ** (0.5 * (water - reference))).sum(-1, keepdim=True).clamp(0.05, 3.0)
    pure = (10.0 ** (0.5 * (elements.log10_k[:, 2] - reference))).clamp(0.05, 3.0)
    return torch.log10(here / pure)


def _asymmetry(surface: Tensor, elements: Elements, world: World) -> Tensor:
    """log10 of the gain of C-C coupling where neighbouring sites bind CO differently."""
    mean = (surface * elements.e_co).sum(-1, keepdim=True)
    variance = (surface * (elements.e_co - mean).square()).sum(-1, keepdim=True)
    limit = world.asymmetry_limit
    return limit * torch.tanh(world.asymmetry * variance / limit) / math.log(10.0)
