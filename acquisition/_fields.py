"""What the records of parameters share: types of fields, and checks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeGuard

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from acquisition.errors import SpaceError

if TYPE_CHECKING:
    import pandas as pd

Stage: TypeAlias = Literal["preparation", "condition"]
"""``preparation`` fixes the sample, ``condition`` is set anew for each experiment."""

Label: TypeAlias = str | int | float
SUM_TOLERANCE = 1e-9
"""How far bounds may miss a sum of one by rounding."""

_TABLE = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}}}


def _table(value: Any) -> Any:
    """Accept a DataFrame (index: what is described) or its ``{column: {value: number}}`` form."""
    if value is None:
        return None
    import pandas as pd  # most spaces have no table, and the command line need not wait for it

    return pd.DataFrame(value).copy()


def is_table(value: object) -> TypeGuard[pd.DataFrame]:
    """Whether a value is a DataFrame; if pandas was never imported, it is none."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _table_or_names(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(value)
    return value if isinstance(value, str) else _table(value)


def _plain(value: Any) -> Any:
    if is_table(value):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


Descriptors: TypeAlias = Annotated[
    Any,
    BeforeValidator(_table),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_TABLE, {"type": "null"}], "description": "descriptor name -> category -> number"}),
]

ElementDescriptors: TypeAlias = Annotated[
    Any,
    BeforeValidator(_table_or_names),
    PlainSerializer(_plain),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "elements"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                _TABLE,
                {"type": "null"},
            ],
            "description": "`elements`, names of properties of elements, or descriptor name -> component -> number",
        }
    ),
]


def check_name(name: str) -> None:
    """Refuse names that no column can have.

    Raises:
        SpaceError: such a name.
    """
    if not name or name != name.strip() or name == "experiment":
        raise SpaceError(f"{name!r} cannot name a parameter.", field="name", mend="Use a plain, non-empty name.")


def repeated(values: Sequence[Label]) -> list[Label]:
    """Values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


def check_descriptors(name: str, values: Sequence[Label], frame: pd.DataFrame) -> None:
    """Put a table's index right where JSON made texts of numbers, and refuse gaps.

    Raises:
        SpaceError: a value without descriptors, or descriptors that are no finite numbers.
    """
    import pandas as pd

    texts = {str(value): value for value in values}
    known = set(values)
    frame.index = pd.Index([key if key in known else texts.get(key, key) for key in frame.index], dtype=object)
    missing = [value for value in values if value not in frame.index]
    if missing:
        raise SpaceError(f"parameter {name!r}: no descriptors for {', '.join(map(str, missing))}.", field="descriptors")
    numbers = frame.loc[list(values)].apply(pd.to_numeric, errors="coerce")
    if not frame.shape[1] or not numbers.map(lambda number: abs(number) < float("inf")).all(axis=None):
        raise SpaceError(f"parameter {name!r}: descriptors must be finite numbers.", field="descriptors")


def identity(values: Sequence[Label], descriptors: Any) -> object:
    """Descriptors as something that compares to one truth value, which tables do not."""
    if is_table(descriptors):
        frame = descriptors.loc[list(values)]
        return (tuple(frame.columns), tuple(map(float, frame.to_numpy(dtype=float).ravel())))
    return descriptors
