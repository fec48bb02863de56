"""Named virtual chemistries: a search space, the noise-free truth on it, and where that is best."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from instruments.errors import LabError
from simulators._schema import nearest
from simulators.constants import FIGURES
from simulators.elements import STEPS, element_names
from simulators.errors import ChemistryError
from simulators.settings import CATION_NAMES, CURRENT, POTENTIAL, CellKind, Layout, Vocabulary
from simulators.worlds import World, make_world

if TYPE_CHECKING:
    import pandas as pd

    from simulators.materials import Elements

Goal = Literal["maximize", "minimize"]

_METALS = ("Cu", "Ag", "Au", "Zn", "Pd", "Sn", "Al", "Ga", "In", "Bi", "Ni", "Fe", "Pt", "Ti", "Pb", "Cd")
_POTENTIAL = {"type": "continuous", "name": "potential", "low": -1.5, "high": -0.5, "unit": "V vs RHE"}
_CURRENT = {"type": "continuous", "name": "current_density", "low": 50.0, "high": 500.0, "unit": "mA cm-2"}


def _composition(*components: str) -> dict[str, Any]:
    return {"type": "composition", "name": "x", "components": list(components), "stage": "preparation"}


@dataclass(frozen=True)
class Definition:
    """What a name stands for.

    Attributes:
        summary: in one line.
        space: the ``space:`` block of a campaign file.
        cell: its kind.
        composition: of the electrode where a space has no composition.
        defaults: numeric settings that have another default than the kind of cell gives them.
        separate: whether the metals lie beside one another as particles of their own that share only the film (a tandem
            electrode), instead of being alloyed.
        target: the metric for which the chemistry was made, always to be maximised.
    """

    summary: str
    space: Mapping[str, Any]
    cell: CellKind = "h_cell"
    composition: Mapping[str, float] = field(default_factory=lambda: {"Cu": 1.0})
    defaults: Mapping[str, float] = field(default_factory=dict)
    separate: bool = False
    target: str = "fe_c2h4"


CHEMISTRIES: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "cu_alloys": Definition(
            "Copper with five partners in a stirred H-cell of 0.1 M KHCO3, under potential control",
            {"parameters": [_composition("Cu", "Ag", "Au", "Zn", "Sn", "Al"), _POTENTIAL]},
        ),
        "metals": Definition(
            "Sixteen pure metals in a stirred H-cell of 0.1 M KHCO3, under potential control",
            {
                "parameters": [
                    {"type": "categorical", "name": "metal", "values": list(_METALS), "stage": "preparation"},
                    _POTENTIAL,
                ]
            },
            target="fe_co",
        ),
        "gde_alloys": Definition(
            "Copper with five partners on a gas-diffusion electrode in 1 M KHCO3, under current control",
            {"parameters": [_composition("Cu", "Ag", "Zn", "Pd", "Sn", "Al"), _CURRENT]},
            cell="gde",
        ),
        "tandem": Definition(
            "Particles of copper beside particles that make CO for it, in a well stirred H-cell of 0.5 M KHCO3, under "
            "potential control",
            {"parameters": [_composition("Cu", "Ag", "Au", "Zn"), {**_POTENTIAL, "low": -1.4}]},
            defaults={"concentration": 0.5, "boundary_layer": 50.0},
            separate=True,
            target="j_c2plus",
        ),
        "electrolyte_cations": Definition(
            "Copper and silver under different cations and concentrations of bicarbonate",
            {
                "parameters": [
                    _composition("Cu", "Ag"),
                    _POTENTIAL,
                    {"type": "categorical", "name": "cation", "values": list(CATION_NAMES)},
                    {
                        "type": "continuous",
                        "name": "concentration",
                        "low": 0.03,
                        "high": 1.0,
                        "unit": "mol L-1",
                        "log": True,
                    },
                ]
            },
        ),
        "gde_conditions": Definition(
            "A copper gas-diffusion electrode whose current, gas flow, electrolyte and temperature vary",
            {
                "parameters": [
                    _CURRENT,
                    {"type": "continuous", "name": "gas_flow", "low": 3.0, "high": 50.0, "unit": "sccm", "log": True},
                    {"type": "categorical", "name": "electrolyte", "values": ["bicarbonate", "hydroxide"]},
                    {
                        "type": "continuous",
                        "name": "concentration",
                        "low": 0.1,
                        "high": 3.0,
                        "unit": "mol L-1",
                        "log": True,
                    },
                    {"type": "categorical", "name": "cation", "values": ["Na", "K", "Cs"]},
                    {"type": "continuous", "name": "temperature", "low": 283.15, "high": 333.15, "unit": "K"},
                ]
            },
            cell="gde",
            target="ee_c2h4",
        ),
    }
)
"""Every named chemistry."""


def chemistry(name: str, world: str = "nominal", seed: int = 0) -> Chemistry:
    """A virtual chemistry by name.

    Args:
        name: one of :data:`CHEMISTRIES`.
        world: ``nominal``, ``shifted`` (constants re-drawn by seed) or ``null`` (no alloy synergy).
        seed: which of the shifted worlds.

    Raises:
        ChemistryError: there is no such chemistry or world.
    """
    if name not in CHEMISTRIES:
        raise ChemistryError(f"there is no chemistry {name!r}.", field="chemistry", mend=nearest(name, CHEMISTRIES))
    constants = make_world(world, seed, element_names(), STEPS)
    if CHEMISTRIES[name].separate:  # particles of their own neither segregate nor couple across their border
        constants = replace(constants, segregation=0.0, asymmetry=0.0)
    return Chemistry(name, constants)


@dataclass(frozen=True)
class Chemistry:
    """A search space and the physics behind it.

    Attributes:
        name: in campaign files.
        world: its constants.
    """

    name: str
    world: World

    @property
    def definition(self) -> Definition:
        """What the name stands for."""
        return CHEMISTRIES[self.name]

    @property
    def space(self) -> dict[str, Any]:
        """The ``space:`` block of a campaign file, as a dict of its own."""
        return copy.deepcopy(dict(self.definition.space))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The parameter columns of :attr:`space`."""
        return tuple(column for parameter in self.space["parameters"] for column in _columns_of(parameter))

    def elements(self, names: tuple[str, ...]) -> Elements:
        """The element table of this world, for some of its elements."""
        if names not in self._elements:
            from simulators.materials import elements_of

            self._elements[names] = elements_of(names, self.world)
        return self._elements[names]

    @cached_property
    def _elements(self) -> dict[tuple[str, ...], Elements]:
        return {}

    def layout(self, columns: Sequence[str]) -> Layout:
        """What columns of a search space mean to this chemistry.

        Raises:
            LabError: a column means nothing to it.
        """
        return Layout.of(columns, self.vocabulary)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The columns that the laboratory of this chemistry understands."""
        definition = self.definition
        return Vocabulary.of(definition.cell, definition.composition, definition.defaults)

    def truth(self, points: pd.DataFrame) -> pd.DataFrame:
        """Noise-free figures of merit of an average electrode.

        Args:
            points: one row an experiment, with any of the columns that the simulated laboratory knows; what is missing
                takes its default. Further columns (of results, as in a campaign's tables) are passed over where all
                columns of :attr:`space` are there; otherwise they are taken for misspelt settings.

        Returns:
            one row a point with its index; Faradaic efficiencies as fractions, current densities in mA cm-2.

        Raises:
            LabError: a column means nothing, or a value is not finite or out of range.
        """
        import pandas as pd

        from simulators.batch import truth

        if points.columns.has_duplicates or not len(points.columns):
            raise LabError(f"points need columns that are there once: {list(points.columns)}.", field="points")
        if set(self.columns) <= set(points.columns):
            further = {column for column in self.vocabulary if column not in (POTENTIAL, CURRENT)}
            points = points[[c for c in points.columns if c in self.columns or c in further]]
        columns = {str(name): points[name].tolist() for name in points.columns}
        layout = self.layout(tuple(columns))
        for row in zip(*columns.values(), strict=True):
            layout.check(dict(zip(columns, row, strict=True)))
        if not len(points):
            return pd.DataFrame(index=points.index, columns=list(FIGURES), dtype=float)
        return pd.DataFrame(truth(self, layout, columns), columns=list(FIGURES), index=points.index)

    def optimum(self, metric: str, goal: Goal = "maximize") -> dict[str, Any]:
        """The best point of :attr:`space` for a metric, by brute force.

        Returns:
            ``{"parameters": {column: value}, "value": number}``.

        Raises:
            ChemistryError: the metric or the goal is unknown.
        """
        from simulators.optimum import optimum

        return optimum(self, metric, goal)


def _columns_of(parameter: Mapping[str, Any]) -> list[str]:
    if parameter["type"] == "composition":
        return [f"{parameter['name']}_{component}" for component in parameter["components"]]
    return [parameter["name"]]
