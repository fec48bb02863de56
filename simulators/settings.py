"""From the columns of a search space to what the virtual cell understands, with clear words where that fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from instruments.errors import LabError
from simulators._schema import nearest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Value: TypeAlias = float | int | str
Points: TypeAlias = Mapping[str, Sequence[Any]]
"""Values of every column, one an experiment."""

SUM_TOLERANCE: Final = 2e-3
"""How far fractions may miss a sum of one; they are renormalised."""

METAL: Final = "metal"
"""A categorical column that names a pure metal instead of a composition."""

CATION: Final = "cation"


@dataclass(frozen=True, slots=True)
class Setting:
    """A numeric setting: its unit, the range in which the model means something, and its default."""

    unit: str
    low: float
    high: float
    default: float


SETTINGS: Final = MappingProxyType(
    {
        "potential": Setting("V vs RHE", -2.0, -0.2, -1.0),
        "temperature": Setting("K", 273.15, 353.15, 298.15),
        "concentration": Setting("mol L-1", 0.01, 3.0, 0.1),
        "co2_pressure": Setting("atm", 0.01, 10.0, 1.0),
        "boundary_layer": Setting("um", 10.0, 300.0, 100.0),
    }
)
"""Numeric settings by column name; potentials refer to the bulk pH and are iR-corrected."""

CATION_NAMES: Final = ("Li", "Na", "K", "Rb", "Cs")
DEFAULT_CATION: Final = "K"


@dataclass(frozen=True)
class Layout:
    """What the columns of a search space mean.

    Attributes:
        columns: all of them, in order.
        fractions: element to its composition column; empty where the composition does not vary.
        default: composition where no column gives one.
    """

    columns: tuple[str, ...]
    fractions: Mapping[str, str]
    default: Mapping[str, float]

    @classmethod
    def of(cls, columns: Sequence[str], elements: Sequence[str], default: Mapping[str, float]) -> Layout:
        """Recognise columns.

        Args:
            columns: of the search space.
            elements: symbols that the model knows.
            default: composition where no column gives one.

        Raises:
            LabError: a column means nothing here, or compositions are given twice.
        """
        fractions: dict[str, str] = {}
        prefixes: dict[str, str] = {}
        for column in columns:
            if column in SETTINGS or column in {CATION, METAL}:
                continue
            prefix, separator, symbol = column.rpartition("_")
            if not separator or not prefix:
                raise _unknown_column(column, elements)
            if symbol not in elements:
                raise _unknown_element(column, symbol, elements)
            prefixes.setdefault(prefix, column)
            if len(prefixes) > 1:
                first, second = prefixes.values()
                raise LabError(
                    f"{first!r} and {second!r} belong to two compositions; an electrode has one.", field=column
                )
            fractions[symbol] = column
        if fractions and METAL in columns:
            raise LabError("the space has both a composition and a metal.", field=METAL, mend="Keep one of the two.")
        return cls(tuple(columns), MappingProxyType(fractions), MappingProxyType(dict(default)))

    def elements(self, known: Sequence[str]) -> tuple[str, ...]:
        """Elements that a batch may hold, in the order of the tensors."""
        if METAL in self.columns:
            return tuple(known)
        return tuple(self.fractions or self.default)

    def check(self, parameters: Mapping[str, Value], known: Sequence[str]) -> None:
        """Raise :class:`LabError` for settings that are missing, unknown, of the wrong type or out of range."""
        for name in parameters:
            if name not in self.columns:
                raise LabError(
                    f"{name!r} is no parameter of this laboratory.", field=name, mend=nearest(name, self.columns)
                )
        for name in self.columns:
            if name not in parameters:
                raise LabError(f"the setting {name!r} is missing.", field=name)
            self._check_value(name, parameters[name], known)
        if self.fractions:
            total = math.fsum(float(parameters[column]) for column in self.fractions.values())
            if abs(total - 1.0) > SUM_TOLERANCE:
                raise LabError(
                    f"the fractions {', '.join(self.fractions.values())} sum to {total:g}, not to 1.",
                    field=next(iter(self.fractions.values())),
                )

    def _check_value(self, name: str, value: object, known: Sequence[str]) -> None:
        if name in {CATION, METAL}:
            allowed = CATION_NAMES if name == CATION else known
            if value not in allowed:
                raise LabError(f"{name} is {value!r}.", field=name, mend=nearest(str(value), allowed))
            return
        if isinstance(value, bool) or not isinstance(value, Real):
            raise LabError(f"{name} is {value!r}, where a number is wanted.", field=name)
        number = float(value)
        if not math.isfinite(number):
            raise LabError(f"{name} is {number}, which is no setting.", field=name)
        setting = SETTINGS.get(name)
        low, high, unit = (0.0, 1.0, "") if setting is None else (setting.low, setting.high, f" {setting.unit}")
        if not low - 1e-9 <= number <= high + 1e-9:
            raise LabError(
                f"{name} = {number:g}{unit} is outside what this laboratory can do.",
                field=name,
                mend=f"Keep it within {low:g} and {high:g}{unit}.",
            )

    def compositions(self, points: Points, known: Sequence[str]) -> npt.NDArray[np.float64]:
        """Atomic fractions [experiments, elements] in the order of :meth:`elements`, each row summing to one."""
        import numpy as np

        names = self.elements(known)
        if METAL in self.columns:
            return np.array([[float(metal == name) for name in names] for metal in points[METAL]])
        if not self.fractions:
            row = np.array([self.default[name] for name in names], dtype=float)
            return np.tile(row / row.sum(), (_count(points), 1))
        values = np.column_stack([np.asarray(points[self.fractions[name]], dtype=float) for name in names]).clip(0, 1)
        fractions: npt.NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
        return fractions

    def numbers(self, points: Points, name: str) -> npt.NDArray[np.float64]:
        """A numeric setting for every point; its default where the space does not hold it."""
        import numpy as np

        if name in self.columns:
            return np.asarray(points[name], dtype=float)
        return np.full(_count(points), SETTINGS[name].default)

    def cations(self, points: Points) -> list[str]:
        """The cation of every point."""
        return list(points[CATION]) if CATION in self.columns else [DEFAULT_CATION] * _count(points)


def _count(points: Points) -> int:
    return len(next(iter(points.values())))


def _unknown_column(column: str, elements: Sequence[str]) -> LabError:
    names = [*SETTINGS, CATION, METAL]
    return LabError(
        f"the column {column!r} means nothing to the simulated laboratory.",
        field=column,
        mend=f"{nearest(column, names)} Compositions are columns such as x_{elements[0]}.",
    )


def _unknown_element(column: str, symbol: str, elements: Sequence[str]) -> LabError:
    names = [*SETTINGS, CATION, METAL]
    whole = nearest(column, names)
    if whole.startswith("Did you mean"):
        return LabError(f"the column {column!r} means nothing to the simulated laboratory.", field=column, mend=whole)
    return LabError(
        f"the column {column!r} names an element {symbol!r} that the model does not know.",
        field=column,
        mend=f"{nearest(symbol, elements)} The model knows {', '.join(elements)}.",
    )
