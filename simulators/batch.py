"""Experiments as tensors: the way from points of a search space to figures of merit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simulators._torch import double, one_thread
from simulators.cell import Conditions, conditions, steady_state
from simulators.constants import FARADAY, MA_PER_CM2, MULTICARBON, SIMULATED
from simulators.elements import element_names
from simulators.kinetics import ELECTRONS, Electrode
from simulators.materials import TYPICAL_MIXING, Elements, elements_of, surface_sites
from simulators.settings import Layout, Points
from simulators.worlds import World

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry

Floats: TypeAlias = npt.NDArray[np.float64]

CHUNK: Final = 4096
"""Experiments solved at a time: as many as fit the processor's caches."""

IN_C2PLUS: Final = np.array([float(product in MULTICARBON) for product in SIMULATED])
"""One for products with two or more carbon atoms, in the order of all rate tensors."""


@dataclass(frozen=True)
class Batch:
    """A batch of experiments in one world.

    Attributes:
        world: constants.
        elements: of the composition's last axis.
        fractions: bulk atomic fractions [experiments, elements].
        run: conditions.
        mixing: degree of mixing of each electrode [experiments].
        electrode: individuality of each electrode; ideal where ``None``.
    """

    world: World
    elements: Elements
    fractions: Tensor
    run: Conditions
    mixing: Tensor
    electrode: Electrode | None = None

    def rates(self) -> Tensor:
        """Rates of the products, mol m-2 s-1, [experiments, products].

        In a world of patches each metal has a cell of its own, and the electrode shows their mean.

        Raises:
            ConvergenceError: an experiment has no steady state within tolerance.
        """
        if not self.world.patches:
            sites = surface_sites(self.fractions, self.elements, self.world, self.mixing)
            return steady_state(sites, self.run, self.electrode).rates
        count, metals = self.fractions.shape
        pure = torch.eye(metals, dtype=self.fractions.dtype).repeat(count, 1)
        sites = surface_sites(pure, self.elements, self.world)

        def repeated(column: Tensor) -> Tensor:
            return column.repeat_interleave(metals, dim=0)

        electrode = None if self.electrode is None else self.electrode.each(repeated)
        rates = steady_state(sites, self.run.each(repeated), electrode).rates
        return (self.fractions.unsqueeze(-1) * rates.reshape(count, metals, -1)).sum(1)


def average_batch(world: World, elements: Elements, layout: Layout, points: Points) -> Batch:
    """Average electrodes at points that were checked."""
    fractions = double(layout.compositions(points, elements.names))
    return Batch(
        world=world,
        elements=elements,
        fractions=fractions,
        run=conditions(
            layout.numbers(points, "potential"),
            temperature=layout.numbers(points, "temperature"),
            concentration=1e3 * layout.numbers(points, "concentration"),
            cation=layout.cations(points),
            thickness=1e-6 * layout.numbers(points, "boundary_layer"),
            pressure=layout.numbers(points, "co2_pressure"),
        ),
        mixing=torch.full((len(fractions),), TYPICAL_MIXING, dtype=fractions.dtype),
    )


def partial_currents(rates: Tensor) -> Tensor:
    """Positive cathodic magnitudes in mA cm-2 of rates in mol m-2 s-1, [..., products]."""
    return rates * (ELECTRONS * (FARADAY / MA_PER_CM2))


def figures(partials: Floats, total: Floats | float, potential: Floats | float) -> Floats:
    """Figures of merit in the order of ``chemistries.FIGURES``, [..., figures].

    Args:
        partials: partial current densities, mA cm-2, [..., products].
        total: current density, mA cm-2, [...]; not the sum of the partial ones once there is noise.
        potential: V vs RHE, [...].
    """
    total, potential = np.asarray(total)[..., None], np.asarray(potential)[..., None]
    efficiencies = partials / total
    parts = (
        efficiencies,
        (efficiencies * IN_C2PLUS).sum(-1, keepdims=True),
        efficiencies.sum(-1, keepdims=True),
        total,
        partials,
        (partials * IN_C2PLUS).sum(-1, keepdims=True),
        potential,
    )
    return np.concatenate(parts, axis=-1)


def truth(chemistry: Chemistry, layout: Layout, points: Points) -> Floats:
    """Noise-free figures of merit [experiments, figures] at one or more points that were checked."""
    count = len(next(iter(points.values())))
    elements = elements_of(layout.elements(element_names()), chemistry.world)
    parts = []
    with one_thread(), torch.no_grad():
        for start in range(0, count, CHUNK):
            part = {name: values[start : start + CHUNK] for name, values in points.items()}
            batch = average_batch(chemistry.world, elements, layout, part)
            currents = partial_currents(batch.rates()).numpy()
            parts.append(figures(currents, currents.sum(-1), batch.run.potential.numpy()))
    return np.concatenate(parts)
