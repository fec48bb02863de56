"""From the columns of a search space to what the virtual cell understands, with clear words where that fails."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from instruments.errors import LabError
from simulators._schema import nearest
from simulators.elements import element_names

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Value: TypeAlias = float | int | str
Points: TypeAlias = Mapping[str, Sequence[Any]]
"""Values of every column, one an experiment."""

CellKind: TypeAlias = Literal["h_cell", "gde", "mea"]
"""A stirred H-cell, a flowing cell with a gas-diffusion electrode, or a membrane-electrode assembly."""

SUM_TOLERANCE: Final = 2e-3
"""How far fractions may miss a sum of one; they are renormalised."""

METAL, CATION, ELECTROLYTE = "metal", "cation", "electrolyte"
"""Categorical columns: a pure metal instead of a composition, the cation, and the anion of the electrolyte."""

POTENTIAL, CURRENT = "potential", "current_density"
"""What the potentiostat holds: one of the two."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A numeric setting: its unit, the range in which the model means something, and its default."""

    unit: str
    low: float
    high: float
    default: float


_EVERYWHERE: Final = {
    POTENTIAL: Setting("V vs RHE", -2.0, -0.2, -1.0),
    "temperature": Setting("K", 273.15, 353.15, 298.15),
    "co2_pressure": Setting("atm", 0.01, 10.0, 1.0),
}
_GAS_FED: Final = {
    **_EVERYWHERE,
    CURRENT: Setting("mA cm-2", 1.0, 1000.0, 200.0),
    "concentration": Setting("mol L-1", 0.05, 5.0, 1.0),
    "boundary_layer": Setting("um", 10.0, 200.0, 50.0),
    "gas_flow": Setting("sccm", 1.0, 200.0, 20.0),
}

SETTINGS: Final[Mapping[CellKind, Mapping[str, Setting]]] = MappingProxyType(
    {
        "h_cell": {
            **_EVERYWHERE,
            CURRENT: Setting("mA cm-2", 0.05, 50.0, 5.0),
            "concentration": Setting("mol L-1", 0.01, 3.0, 0.1),
            "boundary_layer": Setting("um", 10.0, 300.0, 100.0),
        },
        "gde": _GAS_FED,
        "mea": _GAS_FED,
    }
)
"""Numeric settings of each kind of cell by column name.

Potentials refer to the bulk pH and are iR-corrected, current densities are positive cathodic magnitudes, gas flows are
standard cubic centimetres a minute (0 degrees Celsius, 101.325 kPa) over one square centimetre of electrode.
"""

CATION_NAMES: Final = ("Li", "Na", "K", "Rb", "Cs")
ANIONS: Final = ("bicarbonate", "hydroxide")
_DEFAULT: Final = MappingProxyType({CATION: "K", ELECTROLYTE: "bicarbonate"})


@dataclass(frozen=True)
class Vocabulary:
    """The columns that a virtual cell understands.

    Attributes:
        kind: of cell.
        numbers: numeric settings by column, each with the default that holds here.
        categories: categorical columns to their values.
        composition: of the electrode where no column gives one.
    """

    kind: CellKind
    numbers: Mapping[str, Setting]
    categories: Mapping[str, tuple[str, ...]]
    composition: Mapping[str, float]

    @classmethod
    def of(
        cls, kind: CellKind, composition: Mapping[str, float], defaults: Mapping[str, float] = MappingProxyType({})
    ) -> Vocabulary:
        """The columns of a kind of cell.

        Args:
            kind: of cell.
            composition: of the electrode where no column gives one.
            defaults: numeric settings that have another default than :data:`SETTINGS` says.
        """
        numbers = {
            name: replace(setting, default=defaults.get(name, setting.default))
            for name, setting in SETTINGS[kind].items()
        }
        categories = {CATION: CATION_NAMES, METAL: element_names()}
        if kind != "h_cell":
            categories[ELECTROLYTE] = ANIONS
        return cls(kind, MappingProxyType(numbers), MappingProxyType(categories), MappingProxyType(dict(composition)))

    def __contains__(self, column: object) -> bool:
        return column in self.numbers or column in self.categories

    def __iter__(self) -> Iterator[str]:
        return iter([*self.numbers, *self.categories])


@dataclass(frozen=True)
class Layout:
    """What the columns of a search space mean.

    Attributes:
        columns: all of them, in order.
        vocabulary: of the cell.
        fractions: element to its composition column; empty where the composition does not vary.
    """

    columns: tuple[str, ...]
    vocabulary: Vocabulary
    fractions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Sequence[str], vocabulary: Vocabulary) -> Layout:
        """Recognise columns.

        Raises:
            LabError: a column means nothing here, or two columns say the same thing twice.
        """
        fractions: dict[str, str] = {}
        prefixes: dict[str, str] = {}
        for column in columns:
            if column in vocabulary:
                continue
            prefix, separator, symbol = column.rpartition("_")
            if not separator or not prefix:
                raise _unknown_column(column, vocabulary)
            if symbol not in vocabulary.categories[METAL]:
                raise _unknown_element(column, symbol, vocabulary)
            prefixes.setdefault(prefix, column)
            if len(prefixes) > 1:
                first, second = prefixes.values()
                raise LabError(
                    f"{first!r} and {second!r} belong to two compositions; an electrode has one.", field=column
                )
            fractions[symbol] = column
        if fractions and METAL in columns:
            raise LabError("the space has both a composition and a metal.", field=METAL, mend="Keep one of the two.")
        if POTENTIAL in columns and CURRENT in columns:
            raise LabError(
                "the space sets both the potential and the current density; a potentiostat holds one of them.",
                field=CURRENT,
                mend="Keep one of the two.",
            )
        return cls(tuple(columns), vocabulary, MappingProxyType(fractions))

    @property
    def galvanostatic(self) -> bool:
        """Whether the current density is set, and the potential follows."""
        return CURRENT in self.columns

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements that a batch may hold, in the order of the tensors."""
        if METAL in self.columns:
            return self.vocabulary.categories[METAL]
        return tuple(self.fractions or self.vocabulary.composition)

    def check(self, parameters: Mapping[str, Value]) -> None:
        """Raise :class:`LabError` for settings that are missing, unknown, of the wrong type or out of range."""
        for name in parameters:
            if name not in self.columns:
                raise LabError(
                    f"{name!r} is no parameter of this laboratory.", field=name, mend=nearest(name, self.columns)
                )
        for name in self.columns:
            if name not in parameters:
                raise LabError(f"the setting {name!r} is missing.", field=name)
            self._check_value(name, parameters[name])
        if self.fractions:
            total = math.fsum(float(parameters[column]) for column in self.fractions.values())
            if abs(total - 1.0) > SUM_TOLERANCE:
                raise LabError(
                    f"the fractions {', '.join(self.fractions.values())} sum to {total:g}, not to 1.",
                    field=next(iter(self.fractions.values())),
                )

    def _check_value(self, name: str, value: object) -> None:
        if name in self.vocabulary.categories:
            allowed = self.vocabulary.categories[name]
            if value not in allowed:
                raise LabError(f"{name} is {value!r}.", field=name, mend=nearest(str(value), allowed))
            return
        if isinstance(value, bool) or not isinstance(value, Real):
            raise LabError(f"{name} is {value!r}, where a number is wanted.", field=name)
        number = float(value)
        if not math.isfinite(number):
            raise LabError(f"{name} is {number}, which is no setting.", field=name)
        setting = self.vocabulary.numbers.get(name)
        low, high, unit = (0.0, 1.0, "") if setting is None else (setting.low, setting.high, f" {setting.unit}")
        if not low - 1e-9 <= number <= high + 1e-9:
            raise LabError(
                f"{name} = {number:g}{unit} is outside what this laboratory can do.",
                field=name,
                mend=f"Keep it within {low:g} and {high:g}{unit}.",
            )

    def compositions(self, points: Points) -> npt.NDArray[np.float64]:
        """Atomic fractions [experiments, elements] in the order of :attr:`elements`, each row summing to one."""
        import numpy as np

        names = self.elements
        if METAL in self.columns:
            return np.array([[float(metal == name) for name in names] for metal in points[METAL]])
        if not self.fractions:
            row = np.array([self.vocabulary.composition[name] for name in names], dtype=float)
            return np.tile(row / row.sum(), (_count(points), 1))
        values = np.column_stack([np.asarray(points[self.fractions[name]], dtype=float) for name in names]).clip(0, 1)
        fractions: npt.NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
        return fractions

    def numbers(self, points: Points, name: str) -> npt.NDArray[np.float64]:
        """A numeric setting for every point; its default where the space does not hold it."""
        import numpy as np

        if name in self.columns:
            return np.array(points[name], dtype=float)
        return np.full(_count(points), self.vocabulary.numbers[name].default)

    def labels(self, points: Points, name: str) -> list[str]:
        """The cation or the electrolyte of every point; the default where the space does not hold it."""
        return list(points[name]) if name in self.columns else [_DEFAULT[name]] * _count(points)


def _count(points: Points) -> int:
    return len(next(iter(points.values())))


def _unknown_column(column: str, vocabulary: Vocabulary) -> LabError:
    if column == ELECTROLYTE or any(column in settings for settings in SETTINGS.values()):
        return LabError(
            f"the column {column!r} means nothing in a cell of this kind ({vocabulary.kind}).",
            field=column,
            mend=f"Known here: {', '.join(vocabulary)}.",
        )
    return LabError(
        f"the column {column!r} means nothing to the simulated laboratory.",
        field=column,
        mend=f"{nearest(column, vocabulary)} Compositions are columns such as x_{vocabulary.categories[METAL][0]}.",
    )


def _unknown_element(column: str, symbol: str, vocabulary: Vocabulary) -> LabError:
    whole = nearest(column, vocabulary)
    if whole.startswith("Did you mean"):
        return LabError(f"the column {column!r} means nothing to the simulated laboratory.", field=column, mend=whole)
    if any(column in settings for settings in SETTINGS.values()):
        return _unknown_column(column, vocabulary)
    elements = vocabulary.categories[METAL]
    near = nearest(symbol, elements)
    return LabError(
        f"the column {column!r} names an element {symbol!r} that the model does not know.",
        field=column,
        mend=f"{near if near.startswith('Did you mean') else ''} The model knows {', '.join(elements)}.".lstrip(),
    )
