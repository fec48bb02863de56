"""The parameters that span a search space, as frozen records that are also the schema of campaign files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import pandas as pd
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import InfeasibleSpaceError, SpaceError

Stage: TypeAlias = Literal["preparation", "condition"]
"""``preparation`` fixes the sample, ``condition`` is set anew for each experiment."""

Label: TypeAlias = str | int | float
SUM_TOLERANCE = 1e-9
"""How far bounds may miss a sum of one by rounding."""


def _descriptors(value: Any) -> Any:
    """Accept a DataFrame (index: values of the category) or its ``{column: {value: number}}`` form."""
    return None if value is None else pd.DataFrame(value).copy()


Descriptors: TypeAlias = Annotated[
    Any,
    BeforeValidator(_descriptors),
    PlainSerializer(lambda frame: None if frame is None else frame.to_dict()),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}},
                },
                {"type": "null"},
            ],
            "description": "descriptor name -> category -> number",
        }
    ),
]


def _check_name(name: str) -> None:
    if not name or name != name.strip() or name == "experiment":
        raise SpaceError(f"{name!r} cannot name a parameter.", field="name", mend="Use a plain, non-empty name.")


def _check_order(name: str, low: float, high: float) -> None:
    if not low < high:
        raise SpaceError(
            f"parameter {name!r}: low ({low:g}) is not below high ({high:g}).", field="low", mend="Exchange the bounds."
        )


def _repeated(values: Sequence[Label]) -> list[Label]:
    return [value for value, count in Counter(values).items() if count > 1]


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class Continuous:
    """A real number between two bounds, both included.

    Attributes:
        name: the column's name.
        low: lower bound, in ``unit``.
        high: upper bound, in ``unit``.
        unit: such as ``"V vs RHE"``.
        log: model and sample its logarithm; then ``low`` must be positive.
        stage: whether it fixes the sample or is set for each experiment.

    Raises:
        SpaceError: bounds in the wrong order, or not positive on a log scale.
    """

    name: str
    low: float
    high: float
    unit: str | None = None
    log: bool = False
    stage: Stage = "condition"
    type: Literal["continuous"] = Field(default="continuous", kw_only=True)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_order(self.name, self.low, self.high)
        if self.log and self.low <= 0:
            raise SpaceError(
                f"parameter {self.name!r}: a log scale needs positive bounds, low is {self.low:g}.", field="low"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this parameter fills."""
        return (self.name,)


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class Integer:
    """A whole number between two bounds, both included.

    Raises:
        SpaceError: bounds in the wrong order, or not positive on a log scale.
    """

    name: str
    low: int
    high: int
    unit: str | None = None
    log: bool = False
    stage: Stage = "condition"
    type: Literal["integer"] = Field(default="integer", kw_only=True)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_order(self.name, self.low, self.high)
        if self.log and self.low <= 0:
            raise SpaceError(
                f"parameter {self.name!r}: a log scale needs positive bounds, low is {self.low}.", field="low"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this parameter fills."""
        return (self.name,)


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class Discrete:
    """One of several numbers, whose distances mean something (25, 40 and 60 degrees).

    Raises:
        SpaceError: fewer than two values, or a value twice.
    """

    name: str
    values: tuple[float, ...]
    unit: str | None = None
    log: bool = False
    stage: Stage = "condition"
    type: Literal["discrete"] = Field(default="discrete", kw_only=True)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_choices(self.name, self.values)
        if self.log and min(self.values) <= 0:
            raise SpaceError(f"parameter {self.name!r}: a log scale needs positive values.", field="values")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this parameter fills."""
        return (self.name,)


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG, eq=False)
class Categorical:
    """One of several names without an order.

    Attributes:
        name: the column's name.
        values: the categories.
        descriptors: numbers that say how categories resemble one another: a DataFrame whose index holds every value,
            one numeric column a descriptor; without it all categories are equally different.
        stage: whether it fixes the sample or is set for each experiment.

    Raises:
        SpaceError: fewer than two values, a value twice, or descriptors that miss a value or are not finite numbers.
    """

    name: str
    values: tuple[Label, ...]
    descriptors: Descriptors = None
    stage: Stage = "condition"
    type: Literal["categorical"] = Field(default="categorical", kw_only=True)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_choices(self.name, self.values)
        if self.descriptors is not None:
            # The keys of JSON objects are always text, the categories need not be.
            texts = {str(value): value for value in self.values}
            known = set(self.values)
            self.descriptors.index = [key if key in known else texts.get(key, key) for key in self.descriptors.index]
            self._check_descriptors(self.descriptors)

    def _identity(self) -> tuple[object, ...]:
        """What makes two of them equal; tables do not compare to one truth value by themselves."""
        table: tuple[object, ...] | None = None
        if self.descriptors is not None:
            frame = self.descriptors.loc[list(self.values)]
            table = (tuple(frame.columns), tuple(map(float, frame.to_numpy(dtype=float).ravel())))
        return (self.name, self.values, tuple(map(type, self.values)), table, self.stage)

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Categorical) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def _check_descriptors(self, frame: pd.DataFrame) -> None:
        missing = [value for value in self.values if value not in frame.index]
        if missing:
            raise SpaceError(
                f"parameter {self.name!r}: no descriptors for {', '.join(map(str, missing))}.", field="descriptors"
            )
        numbers = frame.loc[list(self.values)].apply(pd.to_numeric, errors="coerce")
        if not frame.shape[1] or not numbers.map(math.isfinite).all(axis=None):
            raise SpaceError(f"parameter {self.name!r}: descriptors must be finite numbers.", field="descriptors")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this parameter fills."""
        return (self.name,)


def _check_choices(name: str, values: Sequence[Label]) -> None:
    if len(values) < 2:
        raise SpaceError(f"parameter {name!r} has fewer than two values.", field="values", mend="Leave it out.")
    if again := _repeated(values):
        raise SpaceError(f"parameter {name!r}: value {again[0]!r} is there twice.", field="values")


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class Composition:
    """Mole fractions that sum to one, one column a component, named ``<name>_<component>``.

    Attributes:
        name: the prefix of the columns.
        components: two or more.
        max_components: at most so many of them are present (above zero); ``None``: all may be.
        step: fractions are multiples of it; it must divide 1.
        bounds: lowest and highest fraction of single components; a positive lower bound means always present.
        stage: whether it fixes the sample or is set for each experiment.
        column_names: names of the columns, one a component, where a table has names of its own for them.

    Raises:
        SpaceError: wrong names or bounds outside [0, 1].
        InfeasibleSpaceError: bounds that cannot sum to 1.
    """

    name: str
    components: tuple[str, ...]
    max_components: int | None = None
    step: float | None = None
    bounds: dict[str, tuple[float, float]] = Field(default_factory=dict)
    stage: Stage = "condition"
    column_names: tuple[str, ...] | None = Field(default=None, kw_only=True)
    type: Literal["composition"] = Field(default="composition", kw_only=True)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.components) < 2:
            raise SpaceError(f"composition {self.name!r} needs at least two components.", field="components")
        if again := _repeated(self.components):
            raise SpaceError(f"composition {self.name!r}: component {again[0]!r} is there twice.", field="components")
        if self.column_names is not None and len(set(self.column_names)) != len(self.components):
            raise SpaceError(
                f"composition {self.name!r}: column_names must name one column for each component.",
                field="column_names",
            )
        if self.max_components is not None and not 1 <= self.max_components <= len(self.components):
            raise SpaceError(
                f"composition {self.name!r}: max_components is {self.max_components}, with "
                f"{len(self.components)} components.",
                field="max_components",
            )
        if self.step is not None and not (
            0 < self.step <= 1 and abs(1 / self.step - round(1 / self.step)) < SUM_TOLERANCE / self.step
        ):
            raise SpaceError(f"composition {self.name!r}: a step of {self.step:g} does not divide 1.", field="step")
        self._check_bounds()

    def _check_bounds(self) -> None:
        for component, (low, high) in self.bounds.items():
            if component not in self.components:
                raise SpaceError(
                    f"composition {self.name!r}: bounds for {component!r}, which is no component.", field="bounds"
                )
            if not 0 <= low <= high <= 1:
                raise SpaceError(
                    f"composition {self.name!r}: bounds of {component} are {low:g} to {high:g}.",
                    field="bounds",
                    mend="They must rise within 0 and 1.",
                )
        lows = [self.bounds.get(c, (0.0, 1.0))[0] for c in self.components]
        highs = [self.bounds.get(c, (0.0, 1.0))[1] for c in self.components]
        limit = self.max_components or len(self.components)
        forced = sum(low > 0 for low in lows)
        if forced > limit:
            raise InfeasibleSpaceError(
                f"composition {self.name!r}: {forced} components have a positive lower bound, but at most {limit} may "
                "be present.",
                field="max_components",
            )
        optional = sorted((h for h, low in zip(highs, lows, strict=True) if low == 0), reverse=True)
        most = sum(h for h, low in zip(highs, lows, strict=True) if low > 0) + sum(optional[: limit - forced])
        if sum(lows) > 1 + SUM_TOLERANCE or most < 1 - SUM_TOLERANCE:
            raise InfeasibleSpaceError(
                f"composition {self.name!r}: bounds cannot sum to 1 (lower bounds sum to {sum(lows):g}, the highest "
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


Parameter: TypeAlias = Annotated[
    Continuous | Integer | Discrete | Categorical | Composition, Field(discriminator="type")
]
"""Any parameter, told apart by ``type``."""
