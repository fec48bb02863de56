"""From a composition to the rate constants of its surface sites.

An element table (descriptors and calibrated constants) lies beside this module. A bulk composition becomes a surface
composition by segregation; the descriptors of each site then shift by their neighbours (ligand effect), strain and sp
ligands; the shifts change the rate constants by Bronsted-Evans-Polanyi and Sabatier relations.

The forms and their coefficients are simulator parameters: they are chosen so that motifs of the literature appear
(tandem copper-silver, copper-aluminium, tin and indium on copper), not fitted to alloy data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import torch
from torch import Tensor

from simulators._arrays import LN10, Array, functions, ten_to
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
    """Columns of the element table for some elements; each array has one entry an element.

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
    e_co: Array
    g_h: Array
    e_ocho: Array
    radius: Array
    surface_energy: Array
    sp_ligand: Array
    poisoned: Array
    d_metal: Array
    blocker: Array
    log10_k: Array
    copper: Array

    def each(self, change: Callable[[Any], Any]) -> Elements:
        """The same elements with every array changed."""
        return replace(self, **{f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "names"})


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
        fractions: surface atomic fractions, [..., sites].
        log10_k: site rate constants, [..., sites, steps], log10 of mol m-2 s-1.
        elements: what the sites are made of, one entry a site.
    """

    fractions: Array
    log10_k: Array
    elements: Elements


def surface_composition(
    bulk: Array, elements: Elements, segregation: float, lost: Array | float | None = None
) -> Array:
    """Surface fractions [..., elements]: what has a low surface energy (J m-2) comes to the surface.

    Args:
        bulk: atomic fractions, [..., elements], summing to one.
        elements: the elements of the last axis.
        segregation: m2 J-1.
        lost: share of each element that has left the surface since, [..., elements]; none by default.
    """
    weights = bulk * functions(bulk).exp(
        -segregation * (elements.surface_energy - _mean(bulk, elements.surface_energy))
    )
    if lost is not None:
        weights = weights * (1.0 - lost)
    return weights / weights.sum(-1)[..., None]


def surface_sites(
    bulk: Tensor,
    elements: Elements,
    world: World,
    mixing: Tensor | float = TYPICAL_MIXING,
    *,
    lost: Tensor | None = None,
    disorder: bool = False,
) -> Sites:
    """Site rate constants of alloys.

    Args:
        bulk: atomic fractions, [..., elements], summing to one.
        elements: the elements of the last axis.
        world: alloy rules.
        mixing: degree of mixing, [...]: 1 for a solid solution, 0 for separated phases.
        lost: share of each element that has left the surface, [..., elements]; none by default.
        disorder: whether sites of one element differ by their chance neighbours: there are then three for each
            element, of all elements one after the other.
    """
    mixed = double(mixing)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (bulk, mixed, lost)):
        return _sites(bulk, elements, world, mixed, lost, disorder)
    arrays = elements.each(Tensor.numpy)
    gone = None if lost is None else lost.numpy()
    made = _sites(bulk.detach().numpy(), arrays, world, mixed.detach().numpy(), gone, disorder)
    return Sites(torch.from_numpy(made.fractions), torch.from_numpy(made.log10_k), made.elements.each(torch.from_numpy))


def _sites(bulk: Array, elements: Elements, world: World, mixing: Array, lost: Array | None, disorder: bool) -> Sites:
    xp = functions(bulk)
    surface = surface_composition(bulk, elements, world.segregation, lost)
    mixed = mixing[..., None]

    def with_neighbours(own: Array) -> Array:
        return own + world.mixing * mixed * (_mean(surface, own) - own)

    stretch = _mean(bulk, elements.radius) / elements.radius - 1.0
    strain = -world.strain * xp.tanh(1.5 / 0.08 * stretch)
    shift = elements.d_metal * mixed * (strain + _mean(surface, elements.sp_ligand))
    descriptors = [with_neighbours(elements.e_co) + shift, with_neighbours(elements.g_h)]
    descriptors.append(with_neighbours(elements.e_ocho))
    own = (elements.e_co, elements.g_h, elements.e_ocho)
    average = _log10_k(surface, descriptors, elements, world)
    if not disorder:
        return Sites(surface, average, elements)
    spreads = [world.mixing / 3.0 * xp.sqrt(_variance(surface, each) + _TINY) for each in own]
    parts = [average]
    for node in (-math.sqrt(3.0), math.sqrt(3.0)):
        moved = [each + node * spread for each, spread in zip(descriptors, spreads, strict=True)]
        parts.append(_log10_k(surface, moved, elements, world))
    fractions = [surface * (2.0 / 3.0), surface / 6.0, surface / 6.0]
    thrice = elements.each(lambda column: column if column is elements.copper else xp.join([column] * 3, 0))
    return Sites(xp.join(fractions, -1), xp.join(parts, -2), replace(thrice, names=elements.names * 3))


def _log10_k(surface: Array, descriptors: Sequence[Array], elements: Elements, world: World) -> Array:
    """Rate constants [..., elements, steps] of sites with these descriptors: energies of CO, hydrogen, formate."""
    xp = functions(surface)
    e_co, g_h, e_ocho = descriptors
    own = elements.log10_k
    shift_co = (e_co - elements.e_co) / DECADE
    off_apex_co = _off_apex(e_co, elements.e_co, CARBON_MONOXIDE_APEX)
    water = own[:, 2] - 0.30 * _off_apex(g_h, elements.g_h, HYDROGEN_APEX)
    ensemble = xp.log(xp.at_least(1.0 - _mean(surface, elements.blocker), _TINY)) / LN10
    ensemble = ensemble * (1.0 - elements.blocker)
    columns = (
        own[:, 0] - 0.10 * shift_co,
        own[:, 1] - 0.30 * _off_apex(e_ocho, elements.e_ocho, FORMATE_APEX),
        water,
        own[:, 3] + 0.7 * xp.at_most(water - own[:, 2], 0.0),
        own[:, 4] + 0.50 * shift_co,
        own[:, 5] - 0.15 * off_apex_co + 2.0 * ensemble + _hydrogen_supply(surface, water, elements),
        own[:, 6] - 0.15 * off_apex_co + 3.0 * ensemble + _asymmetry(surface, elements, world),
    )
    return xp.last(columns)


def _mean(weights: Array, values: Array) -> Array:
    """Weighted mean over elements, [..., 1]."""
    return (weights * values).sum(-1)[..., None]


def _variance(weights: Array, values: Array) -> Array:
    away = values - _mean(weights, values)
    return _mean(weights, away * away)


def _off_apex(energy: Array, own: Array, apex: float) -> Array:
    """How much farther a descriptor is from its Sabatier optimum than in the pure metal, in decades."""
    return (abs(energy - apex) - abs(own - apex)) / DECADE


def _hydrogen_supply(surface: Array, water: Array, elements: Elements) -> Array:
    """log10 of the supply of hydrogen to *CO, relative to the pure metal."""
    xp = functions(surface)
    reference = elements.copper[STEPS.index("water_to_h2")]

    def limited(supply: Array) -> Array:
        return xp.log(xp.at_most(xp.at_least(supply, 0.05), 3.0)) / LN10

    here = limited(_mean(surface, ten_to(0.5 * (water - reference))))
    return here - limited(ten_to(0.5 * (elements.log10_k[:, 2] - reference)))


def _asymmetry(surface: Array, elements: Elements, world: World) -> Array:
    """log10 of the gain of C-C coupling where neighbouring sites bind CO differently."""
    limit = world.asymmetry_limit
    spread = _variance(surface, elements.e_co)
    return limit * functions(surface).tanh(world.asymmetry / limit * spread) / LN10
