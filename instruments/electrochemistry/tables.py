"""One table of raw signals, read by quantity and turned into SI units."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from instruments.electrochemistry.units import scale
from instruments.errors import SignalError

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

CONCENTRATION: Final = "mol m-3"
QUANTITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "time": "s",
        "retention": "s",
        "current": "A",
        "set_current": "A",
        "potential": "V",
        "set_potential": "V",
        "cell_voltage": "V",
        "temperature": "K",
        "frequency": "Hz",
        "z_real": "ohm",
        "z_imag": "ohm",
        "fraction": "1",
        "pressure_drop": "Pa",
        "back_pressure": "Pa",
        "concentration": CONCENTRATION,
        "concentration_sem": CONCENTRATION,
        "detection_limit": CONCENTRATION,
        "recovery": "1",
        "signal_to_noise": "1",
        "dilution": "1",
    }
)
"""Canonical unit of each quantity; flows and peak areas have rules of their own."""


IMPOSSIBLE: Final[Mapping[str, float]] = MappingProxyType(
    {
        "time": 1e9,
        "retention": 1e9,
        "current": 1e4,
        "set_current": 1e4,
        "potential": 1e3,
        "set_potential": 1e3,
        "cell_voltage": 1e3,
        "temperature": 1e3,
        "frequency": 1e12,
        "z_real": 1e12,
        "z_imag": 1e12,
        "pressure_drop": 1e9,
        "back_pressure": 1e9,
        "concentration": 1e5,
        "concentration_sem": 1e5,
        "detection_limit": 1e5,
        "recovery": 1e3,
        "signal_to_noise": 1e12,
        "dilution": 1e9,
        "area": 1e18,
        "inlet": 1e2,
        "outlet": 1e2,
    }
)
"""Magnitudes, in canonical units, that no electrolysis in a laboratory has: a number beyond is a wrong unit or a marker
for nothing, such as 9.9e37."""


class Table:
    """One table whose columns are read by quantity, in SI units."""

    def __init__(self, name: str, frame: pd.DataFrame, notices: list[str]) -> None:
        if not hasattr(frame, "columns"):
            raise SignalError(f"the table {name!r} is {type(frame).__name__}.", field=name, mend="Give a DataFrame.")
        if len(frame) == 0:
            raise SignalError(
                f"the table {name!r} is empty.", field=name, mend="Leave it out where nothing was measured."
            )
        self.name, self._frame, self._notices = name, frame, notices
        self._columns: dict[str, list[str]] = {}
        for column in frame.columns:
            self._columns.setdefault(str(column).partition("/")[0].strip(), []).append(str(column))

    def error(self, column: str, message: str, mend: str | None = None) -> SignalError:
        """An error that names table and column."""
        return SignalError(
            f"table {self.name!r}, column {column!r}: {message}", field=f"{self.name}.{column}", mend=mend
        )

    def __len__(self) -> int:
        return len(self._frame)

    def has(self, quantity: str) -> bool:
        """Whether there is a column of a quantity."""
        return quantity in self._columns

    def column(self, quantity: str, unit: str | None = None) -> str:
        """The one column that holds a quantity."""
        found = self._columns.get(quantity, [])
        if len(found) == 1:
            return found[0]
        wanted = quantity if unit is None else f"{quantity}/{unit}"
        if found:
            raise self.error(quantity, f"is there {len(found)} times: {', '.join(found)}.", "Keep one of them.")
        raise self.error(wanted, "is missing.", f"Add it; the table has {', '.join(map(str, self._frame.columns))}.")

    def numbers(self, quantity: str, *, gaps: bool = False) -> Floats:
        """A quantity in its canonical unit; ``gaps`` allows values that are not there."""
        unit = QUANTITIES[quantity]
        column = self.column(quantity, unit)
        found = scale(self.unit(column), unit)
        if found is None:
            raise self.error(column, f"{self.unit(column)!r} is no unit of {quantity}.", f"Use one like {unit!r}.")
        return self.possible(quantity, column, found[0] * self.raw(column, gaps=gaps) + found[1])

    def possible(self, quantity: str, column: str, values: Floats) -> Floats:
        """Values in canonical units, none of which is beyond what there is."""
        beyond = np.flatnonzero(np.abs(values) > IMPOSSIBLE.get(quantity, np.inf))
        if len(beyond):
            row = int(beyond[0])
            raise self.error(column, f"row {row + 1} is impossible: {values[row]:g} in SI units.", "Is the unit right?")
        return values

    def optional(self, quantity: str, *, gaps: bool = False) -> Floats | None:
        """As :meth:`numbers`, or ``None`` without such a column."""
        return self.numbers(quantity, gaps=gaps) if self.has(quantity) else None

    def unit(self, column: str) -> str:
        """What stands after the slash."""
        quantity, slash, unit = column.partition("/")
        if not slash:
            wanted = QUANTITIES.get(quantity.strip(), "unit")
            raise self.error(column, "has no unit.", f"Name it with its unit after a slash, like {column}/{wanted}.")
        return unit.strip()

    def raw(self, column: str, *, gaps: bool = False) -> Floats:
        """The numbers of a column as they stand, all finite unless gaps are allowed."""
        series = self._frame[column]
        if series.dtype.kind in "cmM":
            raise self.error(column, f"holds {series.dtype}, and no plain numbers.", "Convert it to real numbers.")
        try:
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise self.error(column, "holds something that is no number.") from None
        wrong = np.isinf(values) if gaps else ~np.isfinite(values)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            what = "infinite" if np.isinf(values[row]) else "missing or not a number"
            raise self.error(
                column, f"row {row + 1} of {len(values)} is {what}.", "Drop such rows, or say why they are there."
            )
        return values

    def times(self, quantity: str = "time") -> Floats:
        """Times that do not decrease."""
        values = self.numbers(quantity)
        back = np.flatnonzero(np.diff(values) < 0.0)
        if len(back):
            row = int(back[0]) + 2
            raise self.error(
                self.column(quantity), f"runs backwards in row {row}.", "Sort the table, or split its parts."
            )
        return values

    def texts(self, quantity: str) -> list[str]:
        """A column of texts, none missing."""
        column = self.column(quantity)
        values = self._frame[column]
        if values.isna().any():
            row = int(np.flatnonzero(values.isna().to_numpy())[0]) + 1
            raise self.error(column, f"row {row} is missing.")
        return [str(value) for value in values.tolist()]

    def flags(self, quantity: str) -> Flags:
        """A column of true and false."""
        values = self.raw(self.column(quantity))
        if not np.isin(values, (0.0, 1.0)).all():
            raise self.error(quantity, "holds something else than true and false.")
        return values.astype(bool)

    def notice_unused(self, *used: str) -> None:
        """Tell which columns nothing is done with: a misspelt one is among them."""
        unused = sorted(set(self._columns) - set(used))
        if unused:
            self._notices.append(f"table {self.name!r}: nothing is done with {', '.join(unused)}")

    def notice(self, text: str) -> None:
        """Tell something that is odd but no error."""
        self._notices.append(f"table {self.name!r}: {text}")

    def check(self, quantity: str, wrong: Any, message: str) -> None:
        """Raise where any row is wrong."""
        rows = np.flatnonzero(np.asarray(wrong))
        if len(rows):
            raise self.error(self.column(quantity), f"row {int(rows[0]) + 1} {message}.")
