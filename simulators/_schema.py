"""Option records whose constructors speak :class:`LabError`, and the wording of messages about unknown names."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from instruments.errors import LabError

T = TypeVar("T")

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known name nearest to a wrong one, or all of them where none is near."""
    names = [str(each) for each in known]
    folded = {each.casefold(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {folded[close[0]]!r}?"
    listed = ", ".join(repr(each) for each in names[:12]) + (", ..." if len(names) > 12 else "")
    return f"Known: {listed}." if listed else "There is none to choose from."


def speaks_lab_error(cls: type[T]) -> type[T]:
    """Make a pydantic dataclass raise :class:`LabError` instead of pydantic's exception when it is built in Python.

    Inside a larger pydantic model the class is validated without this constructor, and errors keep their location.
    """
    built: Callable[..., None] = cls.__init__

    @functools.wraps(built)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # it replaces the constructor
        try:
            built(self, *args, **kwargs)
        except ValidationError as problem:
            first = problem.errors()[0]
            own = first.get("ctx", {}).get("error")
            if isinstance(own, LabError):
                raise own from None
            where = ".".join(str(part) for part in first["loc"])
            raise LabError(f"{cls.__name__}: {where}: {first['msg']}.", field=where) from None

    cls.__init__ = __init__  # type: ignore[method-assign]
    return cls
