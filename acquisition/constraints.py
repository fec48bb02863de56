"""Constraints between parameters."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import SpaceError


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class LinearConstraint:
    """``lower <= sum of coefficient times column <= upper`` over numeric columns.

    Raises:
        SpaceError: no coefficient, no bound, or bounds in the wrong order.
    """

    coefficients: dict[str, float]
    lower: float | None = None
    upper: float | None = None
    type: Literal["linear"] = Field(default="linear", kw_only=True)

    def __post_init__(self) -> None:
        if not any(self.coefficients.values()):
            raise SpaceError("a linear constraint needs a coefficient that is not zero.", field="coefficients")
        if self.lower is None and self.upper is None:
            raise SpaceError("a linear constraint needs a bound.", field="lower", mend="Give `lower`, `upper` or both.")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise SpaceError(
                f"a linear constraint has lower ({self.lower:g}) above upper ({self.upper:g}).", field="lower"
            )

    def __str__(self) -> str:
        terms = ""
        for column, weight in self.coefficients.items():
            sign = " - " if weight < 0 else " + "
            size = "" if abs(weight) == 1 else f"{abs(weight):g} "
            terms += (sign if terms else sign.strip(" +")) + size + column
        if self.lower is not None and self.lower == self.upper:
            return f"{terms} = {self.lower:g}"
        low = "" if self.lower is None else f"{self.lower:g} <= "
        high = "" if self.upper is None else f" <= {self.upper:g}"
        return f"{low}{terms}{high}"


Constraint: TypeAlias = Annotated[LinearConstraint, Field()]
"""Any constraint between parameters."""
