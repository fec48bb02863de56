"""The parameters that span a search space, as frozen records that are also the schema of campaign files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._fields import Descriptors, Label, Stage, check_descriptors, check_name, identity, repeated
from acquisition._schema import CONFIG, speaks
from acquisition.composition import Composition
from acquisition.errors import SpaceError

__all__ = ["Categorical", "Composition", "Continuous", "Discrete", "Integer", "Label", "Parameter", "Stage"]


def _check_order(name: str, low: float, high: float) -> None:
    if not low < high:
        raise SpaceError(
            f"parameter {name!r}: low ({low:g}) is not below high ({high:g}).", field="low", mend="Exchange the bounds."
        )


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
        check_name(self.name)
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
        check_name(self.name)
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
        check_name(self.name)
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
        check_name(self.name)
        _check_choices(self.name, self.values)
        if self.descriptors is not None:
            check_descriptors(self.name, self.values, self.descriptors)

    def _identity(self) -> tuple[object, ...]:
        """What makes two of them equal."""
        kinds = tuple(map(type, self.values))
        return (self.name, self.values, kinds, identity(self.values, self.descriptors), self.stage)

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Categorical) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this parameter fills."""
        return (self.name,)


def _check_choices(name: str, values: Sequence[Label]) -> None:
    if len(values) < 2:
        raise SpaceError(f"parameter {name!r} has fewer than two values.", field="values", mend="Leave it out.")
    if again := repeated(values):
        raise SpaceError(f"parameter {name!r}: value {again[0]!r} is there twice.", field="values")


Parameter: TypeAlias = Annotated[
    Continuous | Integer | Discrete | Categorical | Composition, Field(discriminator="type")
]
"""Any parameter, told apart by ``type``."""
