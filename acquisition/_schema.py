"""Frozen pydantic dataclasses whose constructors speak this package's own exceptions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from acquisition.errors import AcquisitionError

T = TypeVar("T")

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def speaks(error: type[AcquisitionError]) -> Callable[[type[T]], type[T]]:
    """Make a pydantic dataclass raise ``error`` instead of pydantic's exception when it is built in Python.

    Inside a larger pydantic model the class is validated without its constructor, and errors keep their location.
    """

    def decorate(cls: type[T]) -> type[T]:
        built = cls.__init__

        @functools.wraps(built)
        def build(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                built(self, *args, **kwargs)
            except ValidationError as problem:
                first = problem.errors()[0]
                own = first.get("ctx", {}).get("error")
                if isinstance(own, AcquisitionError):
                    raise own from None
                names = list(cls.__annotations__)
                where = ".".join(
                    names[p] if isinstance(p, int) and i == 0 else str(p) for i, p in enumerate(first["loc"])
                )
                raise error(f"{cls.__name__}: {where}: {first['msg']}".replace(": :", ":"), field=where) from None

        cls.__init__ = build  # type: ignore[method-assign]
        return cls

    return decorate
