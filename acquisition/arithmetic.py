"""Arithmetic over columns, read from text without ever running it as a program."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import SpaceError

Values: TypeAlias = NDArray[Any]
_Evaluate: TypeAlias = Callable[[Mapping[str, Values]], Any]

LONGEST: Final = 1000
_QUOTED = re.compile(r"`([^`]+)`")
_PLACE = "column_{}_of_the_text"

_BINARY: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_UNARY: Final[dict[type, Callable[[Any], Any]]] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Not: np.logical_not,
}
_COMPARE: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "min": lambda *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "max": lambda *values: np.maximum.reduce(np.broadcast_arrays(*values)),
}


def _textual(value: Any) -> bool:
    """Whether a value, or a column, is made of names."""
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")


class Expression:
    """Arithmetic over columns: ``+ - * / **``, parentheses, ``min max abs sqrt exp log``, comparisons, ``and or not``.

    Columns go by their names; names with other signs than letters, digits and ``_`` stand in backticks. Categories
    compare with texts in quotes. ``log`` is natural.

    Args:
        text: the expression.

    Attributes:
        columns: the names that occur, in order.

    Raises:
        SpaceError: anything else in the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise self._wrong(f"it is longer than {LONGEST} signs")
        self._quoted: list[str] = []
        plain = _QUOTED.sub(self._place, text)
        self.columns: tuple[str, ...] = ()
        try:
            tree = ast.parse(plain.strip(), mode="eval")
            self._evaluate = self._compile(tree.body)
        except SpaceError:
            raise
        except SyntaxError as problem:
            raise self._wrong(f"it cannot be read: {problem.msg}") from None
        except (ValueError, RecursionError, MemoryError):
            raise self._wrong("it cannot be read") from None
        if not self.columns:
            raise self._wrong("it names no column")

    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        return Expression, (self.text,)

    def __call__(self, columns: Mapping[str, Values]) -> Values:
        """Values (n,) from columns (n,); truth values where the expression is a comparison."""
        rows = len(columns[self.columns[0]])
        with np.errstate(all="ignore"):  # what is not finite is reported by those who ask
            return np.broadcast_to(self._evaluate(columns), rows)

    def _wrong(self, text: str, mend: str | None = None) -> SpaceError:
        return SpaceError(f"the expression '{self.text[:80]}': {text}.", field="expression", mend=mend)

    def _place(self, match: re.Match[str]) -> str:
        self._quoted.append(match[1])
        return _PLACE.format(len(self._quoted) - 1)

    def _compile(self, node: ast.expr) -> _Evaluate:
        if isinstance(node, ast.Name):
            return self._column(node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, node.args)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
            return self._comparison(node.left, node.ops, node.comparators)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
            fixed: Any = node.value if isinstance(node.value, str) else float(node.value)  # type: ignore[arg-type]
            return lambda _: fixed
        return self._operation(node)

    def _operation(self, node: ast.expr) -> _Evaluate:
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._apply(_BINARY[type(op)], left, right)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return self._apply(_UNARY[type(op)], operand)
            case ast.BoolOp(op=op, values=values):
                join: Any = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return self._apply(lambda *parts: join.reduce(np.broadcast_arrays(*parts)), *values)
        raise self._wrong(
            f"{ast.unparse(node)!r} is no arithmetic",
            "Use + - * / **, parentheses, comparisons, and, or, not, and the functions " + ", ".join(_FUNCTIONS) + ".",
        )

    def _call(self, name: str, args: list[ast.expr]) -> _Evaluate:
        if name not in _FUNCTIONS:
            raise self._wrong(f"there is no function {name!r}", f"Known are {', '.join(_FUNCTIONS)}.")
        several = name in ("min", "max")
        if any(isinstance(arg, ast.Starred) for arg in args) or (len(args) < 2 if several else len(args) != 1):
            raise self._wrong(f"{name} takes {'two values or more' if several else 'one value'}")
        return self._apply(_FUNCTIONS[name], *args)

    def _column(self, name: str) -> _Evaluate:
        for i, quoted in enumerate(self._quoted):
            if name == _PLACE.format(i):
                name = quoted
        self.columns = tuple(dict.fromkeys((*self.columns, name)))
        return lambda columns: columns[name]

    def _apply(self, function: Callable[..., Any], *nodes: ast.expr) -> _Evaluate:
        parts = [self._compile(node) for node in nodes]

        def evaluate(columns: Mapping[str, Values]) -> Any:
            values = [part(columns) for part in parts]
            if any(_textual(value) for value in values):
                raise self._wrong("it calculates with categories or texts", "Categories only compare with == and !=.")
            return function(*values)

        return evaluate

    def _comparison(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> _Evaluate:
        parts = [self._compile(node) for node in (left, *others)]

        def evaluate(columns: Mapping[str, Values]) -> Any:
            values = [part(columns) for part in parts]
            pairs = zip(ops, values, values[1:], strict=False)
            return np.logical_and.reduce(
                np.broadcast_arrays(*(self._compared(op, first, second) for op, first, second in pairs))
            )

        return evaluate

    def _compared(self, op: ast.cmpop, first: Any, second: Any) -> Any:
        if (_textual(first) or _textual(second)) and not isinstance(op, ast.Eq | ast.NotEq):
            raise self._wrong("it orders categories or texts", "Categories only compare with == and !=.")
        return _COMPARE[type(op)](first, second)
