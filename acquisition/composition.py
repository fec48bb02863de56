"""Compositions: mole fractions that sum to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition import elements
from acquisition._fields import (
    SUM_TOLERANCE,
    ElementDescriptors,
    Stage,
    check_descriptors,
    check_name,
    identity,
    is_table,
    repeated,
)
from acquisition._schema import CONFIG, speaks
from acquisition.errors import InfeasibleSpaceError, SpaceError

if TYPE_CHECKING:
    import pandas as pd


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG, eq=False)
class Composition:
    """Mole fractions that sum to one, one column a component, named ``<name>_<component>``.

    Attributes:
        name: the prefix of the columns.
        components: two or more.
        max_components: at most so many of them are present (above zero); ``None``: all may be.
        step: fractions are multiples of it; it must divide 1.
        bounds: lowest and highest fraction of single components; a positive lower bound means always present.
        stage: whether it fixes the sample or is set for each experiment.
        min_present: a component is absent (zero), or there is at least so much of it: one number for all, or numbers
            for single components. Less cannot be weighed or dispensed, or would not show.
        descriptors: numbers that say how components resemble one another, of which models see the mean and the spread
            over each mixture: ``"elements"`` (components are chemical elements; the usual properties of these), a list
            of properties of elements, or a DataFrame whose index holds every component.
        column_names: names of the columns, one a component, where a table has names of its own for them.

    Raises:
        SpaceError: wrong names, numbers outside [0, 1], or descriptors that do not fit.
        InfeasibleSpaceError: bounds that cannot sum to 1.
    """

    name: str
    components: tuple[str, ...]
    max_components: int | None = None
    step: float | None = None
    bounds: dict[str, tuple[float, float]] = Field(default_factory=dict)
    stage: Stage = "condition"
    min_present: float | dict[str, float] | None = None
    descriptors: ElementDescriptors = None
    column_names: tuple[str, ...] | None = Field(default=None, kw_only=True)
    type: Literal["composition"] = Field(default="composition", kw_only=True)

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.components) < 2:
            raise self._wrong("it needs at least two components.", "components")
        if again := repeated(self.components):
            raise self._wrong(f"component {again[0]!r} is there twice.", "components")
        if self.column_names is not None and len(set(self.column_names)) != len(self.components):
            raise self._wrong("column_names must name one column for each component.", "column_names")
        if self.max_components is not None and not 1 <= self.max_components <= len(self.components):
            raise self._wrong(
                f"max_components is {self.max_components}, with {len(self.components)} components.", "max_components"
            )
        if self.step is not None and not (
            0 < self.step <= 1 and abs(1 / self.step - round(1 / self.step)) < SUM_TOLERANCE / self.step
        ):
            raise self._wrong(f"a step of {self.step:g} does not divide 1.", "step")
        self._check_bounds()
        self._check_least()
        self._check_sum()
        if is_table(self.descriptors):
            check_descriptors(self.name, self.components, self.descriptors)
        elif isinstance(self.descriptors, str) and self.descriptors != "elements":
            raise self._wrong(f"descriptors are {self.descriptors!r}.", "descriptors", 'Known by name is "elements".')
        elif self.described is not None and not self.described.shape[1]:
            raise self._wrong("no property is known of all components.", "descriptors", "Give a table of descriptors.")

    def _wrong(self, text: str, field: str, mend: str | None = None) -> SpaceError:
        return SpaceError(f"composition {self.name!r}: {text}", field=field, mend=mend)

    def _check_bounds(self) -> None:
        for component, (low, high) in self.bounds.items():
            if component not in self.components:
                raise self._wrong(f"bounds for {component!r}, which is no component.", "bounds")
            if not 0 <= low <= high <= 1:
                raise self._wrong(
                    f"bounds of {component} are {low:g} to {high:g}.", "bounds", "They must rise within 0 and 1."
                )

    def _check_least(self) -> None:
        given = self.min_present if isinstance(self.min_present, dict) else {}
        for component in given:
            if component not in self.components:
                raise self._wrong(f"min_present for {component!r}, which is no component.", "min_present")
        for value in (self.min_present,) if isinstance(self.min_present, float) else given.values():
            if not 0 <= value <= 1:
                raise self._wrong(f"min_present is {value:g}.", "min_present", "It must lie within 0 and 1.")
        for component in self.components:
            high, least = self.limits(component)[1], self.least(component)
            if 0 < high < least - SUM_TOLERANCE:
                raise self._wrong(
                    f"{component} may be {high:g} at most, but {least:g} at least where it is present.",
                    "min_present",
                    f"Lower its min_present, raise its bound, or leave {component} out.",
                )

    def _check_sum(self) -> None:
        limits = {component: self.limits(component) for component in self.components}
        limit = self.max_components or len(self.components)
        forced = [component for component, (low, _) in limits.items() if low > 0]
        if len(forced) > limit:
            raise InfeasibleSpaceError(
                f"composition {self.name!r}: {len(forced)} components have a positive lower bound, but at most {limit} "
                "may be present.",
                field="max_components",
            )
        optional = sorted((high for low, high in limits.values() if low == 0), reverse=True)
        most = sum(limits[component][1] for component in forced) + sum(optional[: limit - len(forced)])
        lows = sum(self.least(component) for component in forced)
        if lows > 1 + SUM_TOLERANCE or most < 1 - SUM_TOLERANCE:
            raise InfeasibleSpaceError(
                f"composition {self.name!r}: bounds cannot sum to 1 (lower bounds sum to {lows:g}, the highest "
                f"possible sum is {most:g}).",
                field="bounds",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this parameter fills."""
        return self.column_names or tuple(f"{self.name}_{component}" for component in self.components)

    def limits(self, component: str) -> tuple[float, float]:
        """Lowest and highest fraction of a component."""
        return self.bounds.get(component, (0.0, 1.0))

    def least(self, component: str) -> float:
        """Lowest fraction of a component that is present."""
        given = self.min_present.get(component) if isinstance(self.min_present, dict) else self.min_present
        return max(given or 0.0, self.limits(component)[0])

    @property
    def described(self) -> pd.DataFrame | None:
        """The descriptors, (components, descriptors), or None without.

        Raises:
            SpaceError: components are no elements, or a property is unknown.
        """
        if self.descriptors is None:
            return None
        if is_table(self.descriptors):
            table: pd.DataFrame = self.descriptors.loc[list(self.components)].astype(float)
            return table
        wanted = elements.USUAL if self.descriptors == "elements" else self.descriptors
        return elements.describe(self.components, wanted)

    def _identity(self) -> tuple[object, ...]:
        """What makes two of them equal."""
        plain = [getattr(self, name) for name in ("name", "components", "max_components", "step", "stage")]
        bounds = tuple(self.limits(component) for component in self.components)
        least = tuple(self.least(component) for component in self.components)
        return (*plain, bounds, least, identity(self.components, self.descriptors), self.columns)

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Composition) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())
