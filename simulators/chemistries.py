"""Named virtual chemistries: a search space, the noise-free truth on it, and where that is best."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from instruments.errors import LabError
from simulators._schema import nearest
from simulators.constants import SIMULATED
from simulators.elements import STEPS, element_names
from simulators.errors import ChemistryError
from simulators.settings import CATION, CATION_NAMES, SETTINGS, Layout
from simulators.worlds import World, make_world

if TYPE_CHECKING:
    import pandas as pd

Goal = Literal["maximize", "minimize"]

_METALS = ("Cu", "Ag", "Au", "Zn", "Pd", "Sn", "Al", "Ga", "In", "Bi", "Ni", "Fe", "Pt", "Ti", "Pb", "Cd")
_POTENTIAL = {"type": "continuous", "name": "potential", "low": -1.5, "high": -0.5, "unit": "V vs RHE"}

FIGURES: Final = (
    *(f"fe_{product}" for product in SIMULATED),
    "fe_c2plus",
    "fe_total",
    "j_total",
    *(f"j_{product}" for product in SIMULATED),
    "j_c2plus",
    "e_rhe",
)
"""The figures of merit of a simulated experiment, in the order of their tensors."""


@dataclass(frozen=True)
class Definition:
    """What a name stands for.

    Attributes:
        summary: in one line.
        space: the ``space:`` block of a campaign file.
        default: composition where a space has no composition.
    """

    summary: str
    space: Mapping[str, Any]
    default: Mapping[str, float] = field(default_factory=lambda: {"Cu": 1.0})


CHEMISTRIES: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "cu_alloys": Definition(
            "Copper with five partners in a stirred H-cell of 0.1 M KHCO3, under potential control",
            {
                "parameters": [
                    {
                        "type": "composition",
                        "name": "x",
                        "components": ["Cu", "Ag", "Au", "Zn", "Sn", "Al"],
                        "stage": "preparation",
                    },
                    _POTENTIAL,
                ]
            },
        ),
        "metals": Definition(
            "Sixteen pure metals in a stirred H-cell of 0.1 M KHCO3, under potential control",
            {
                "parameters": [
                    {"type": "categorical", "name": "metal", "values": list(_METALS), "stage": "preparation"},
                    _POTENTIAL,
                ]
            },
        ),
        "electrolyte_cations": Definition(
            "Copper and silver under different cations and concentrations of bicarbonate",
            {
                "parameters": [
                    {"type": "composition", "name": "x", "components": ["Cu", "Ag"], "stage": "preparation"},
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
    return Chemistry(name, make_world(world, seed, element_names(), STEPS))


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

    def layout(self, columns: Sequence[str]) -> Layout:
        """What columns of a search space mean to this chemistry.

        Raises:
            LabError: a column means nothing to it.
        """
        return Layout.of(columns, element_names(), self.definition.default)

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
            points = points[[c for c in points.columns if c in {*self.columns, *SETTINGS, CATION}]]
        layout = self.layout([str(column) for column in points.columns])
        for row in points.to_dict("records"):
            layout.check({str(name): value for name, value in row.items()}, element_names())
        if not len(points):
            return pd.DataFrame(index=points.index, columns=list(FIGURES), dtype=float)
        columns = {str(name): points[name].tolist() for name in points.columns}
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
