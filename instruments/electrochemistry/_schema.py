"""Frozen records whose constructors speak this package's own exceptions."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from instruments.errors import InstrumentsError, LabError, SignalError


class Record(BaseModel):
    """A frozen record without unknown keys, not-a-numbers or infinities.

    Raises:
        SignalError: (or the class's ``_error``) a value is impossible; ``field`` says which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def _error(cls, message: str, field: str, mend: str | None) -> InstrumentsError:
        return SignalError(message, field=field, mend=mend)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as problem:
            raise self._spoken(problem) from None

    @classmethod
    def _spoken(cls, problem: ValidationError) -> InstrumentsError:
        first = problem.errors()[0]
        own = first.get("ctx", {}).get("error")
        place = [str(part) for part in first["loc"]]
        if not isinstance(own, InstrumentsError):
            field = ".".join(place)
            known = f"Known: {', '.join(cls.model_fields)}." if first["type"] == "extra_forbidden" else None
            return cls._error(f"{cls.__name__}: {field}: {first['msg']}.", field, known)
        inner = own.field if own.field and own.field not in ("quantity", *place) else None
        if inner and place and inner.startswith(f"{place[-1]}."):
            inner = inner.removeprefix(f"{place[-1]}.")
        field = ".".join([*place, *([inner] if inner else [])])
        message = str(own.args[0]).removeprefix("quantity: ")
        return cls._error(message if inner else f"{field}: {message}", field, own.mend)


class Declared(Record):
    """A record of a file that a user writes about a laboratory.

    Raises:
        LabError: a value is impossible; ``field`` says which.
    """

    @classmethod
    def _error(cls, message: str, field: str, mend: str | None) -> InstrumentsError:
        return LabError(message, field=field, mend=mend)
