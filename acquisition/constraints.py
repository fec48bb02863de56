"""Constraints between parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.arithmetic import Expression
from acquisition.errors import SpaceError

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


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
        _check_order("linear", self.lower, self.upper)

    def __str__(self) -> str:
        terms = ""
        for column, weight in self.coefficients.items():
            sign = " - " if weight < 0 else " + "
            size = "" if abs(weight) == 1 else f"{abs(weight):g} "
            terms += (sign if terms else sign.strip(" +")) + size + column
        return _between(terms, self.lower, self.upper)


def _check_order(kind: str, lower: float | None, upper: float | None) -> None:
    if lower is not None and upper is not None and lower > upper:
        raise SpaceError(f"a {kind} constraint has lower ({lower:g}) above upper ({upper:g}).", field="lower")


def _between(what: str, lower: float | None, upper: float | None) -> str:
    if lower is not None and lower == upper:
        return f"{what} = {lower:g}"
    low = "" if lower is None else f"{lower:g} <= "
    high = "" if upper is None else f" <= {upper:g}"
    return f"{low}{what}{high}"


def _path(function: Any) -> str:
    """The import path of a function, by which files and stores know it."""
    if isinstance(function, str):
        return function
    path = f"{getattr(function, '__module__', None)}:{getattr(function, '__qualname__', None)}"
    if path.startswith("__main__:") or not _PATH.fullmatch(path) or _imported(path) is not function:
        raise SpaceError(
            f"the function {function!r} has no import path, so that it cannot be written down.",
            field="function",
            mend="Put it at the top level of a module, and name it as module:function.",
        )
    return path


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    found = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


Function: TypeAlias = Annotated[
    Any,
    PlainSerializer(_path),
    WithJsonSchema({"type": "string", "pattern": _PATH.pattern}),
]
"""A function, or its import path ``module:function``."""


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class NonlinearConstraint:
    """``lower <= function(columns) <= upper``, or a function that says yes or no.

    The function is called with a DataFrame, one row a point, categories by their labels. It returns one number a row,
    or without bounds one truth value a row, which must be true. It must depend on its row alone, and answer always
    alike.

    Attributes:
        function: the function, or its import path ``module:function``; campaign files know paths only.
        lower: least value, in the function's unit.
        upper: greatest value.
        columns: the columns that it needs; it is called with these alone. Without it, with all.
        name: for messages; by default that of the function.

    Raises:
        SpaceError: no function, or bounds in the wrong order.
    """

    function: Function
    lower: float | None = None
    upper: float | None = None
    columns: tuple[str, ...] | None = None
    name: str | None = None
    type: Literal["nonlinear"] = Field(default="nonlinear", kw_only=True)

    def __post_init__(self) -> None:
        if not (callable(self.function) or (isinstance(self.function, str) and _PATH.fullmatch(self.function))):
            raise SpaceError(
                f"{self.function!r} is neither a function nor the import path of one.",
                field="function",
                mend="Write the path as module:function, such as mylab.rules:solubility.",
            )
        _check_order("non-linear", self.lower, self.upper)
        if self.columns is not None and not self.columns:
            raise SpaceError("a non-linear constraint needs a column.", field="columns", mend="Leave `columns` out.")

    @property
    def title(self) -> str:
        """What messages call it."""
        if self.name is not None:
            return self.name
        return str(self.function if isinstance(self.function, str) else getattr(self.function, "__name__", "function"))

    def __str__(self) -> str:
        return _between(self.title, self.lower, self.upper)

    def resolve(self) -> Callable[[Any], Any]:
        """The function itself.

        Raises:
            SpaceError: its module or its name is not there, or fails when it is imported.
        """
        if not isinstance(self.function, str):
            function: Callable[[Any], Any] = self.function
            return function
        try:
            found = _imported(self.function)
        except Exception as problem:  # whatever a module of the user's raises when it is imported
            raise SpaceError(
                f"the function {self.function} cannot be imported: {type(problem).__name__}: {problem}.",
                field="function",
                mend="Its module must be installed, or lie in the folder of the campaign file or the current one.",
            ) from problem
        if not callable(found):
            raise SpaceError(f"{self.function} is no function, but {type(found).__name__}.", field="function")
        resolved: Callable[[Any], Any] = found
        return resolved


@speaks(SpaceError)
@dataclass(frozen=True, config=CONFIG)
class ExpressionConstraint:
    """``lower <= expression <= upper``, or without bounds a comparison that must be true.

    Attributes:
        expression: arithmetic over columns: ``+ - * / **``, parentheses, ``min max abs sqrt exp log``, comparisons,
            ``and or not``; names with blanks or other signs stand in backticks, categories compare with quoted texts.
        lower: least value.
        upper: greatest value.
        name: for messages; by default the expression itself.

    Raises:
        SpaceError: no arithmetic, or bounds in the wrong order.
    """

    expression: str
    lower: float | None = None
    upper: float | None = None
    name: str | None = None
    type: Literal["expression"] = Field(default="expression", kw_only=True)

    def __post_init__(self) -> None:
        _check_order("non-linear", self.lower, self.upper)
        Expression(self.expression)

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.name or self.expression

    def __str__(self) -> str:
        return _between(self.title, self.lower, self.upper)


def _typed(value: Any) -> Any:
    """Coefficients without a type make a linear constraint."""
    return {"type": "linear", **value} if isinstance(value, dict) and "coefficients" in value else value


Constraint: TypeAlias = Annotated[
    Annotated[LinearConstraint | NonlinearConstraint | ExpressionConstraint, Field(discriminator="type")],
    BeforeValidator(_typed),
]
"""Any constraint between parameters, told apart by ``type``."""
