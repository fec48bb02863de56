"""Kinds of thresholds, and the levels that quality control knows."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from instruments.electrochemistry._schema import Record
from instruments.electrochemistry.tables import Floats
from instruments.errors import SignalError

NOT_ASSESSED, FINE, INFO, SUSPECT, INVALID = -1, 0, 1, 2, 3
LEVELS: Final = MappingProxyType(
    {NOT_ASSESSED: "not assessed", FINE: "fine", INFO: "info", SUSPECT: "suspect", INVALID: "invalid"}
)


def _partial(schema: dict[str, Any]) -> None:
    """In a campaign file any threshold may be left out: it stays as it is by default."""
    schema.pop("required", None)


class Limits(Record):
    """Thresholds of one rule."""

    model_config = ConfigDict(json_schema_extra=_partial)


class Above(Limits):
    """Suspect above one number, invalid above another; ``None`` for never."""

    suspect: float | None
    invalid: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Above:
        if self.suspect is not None and self.invalid is not None and self.invalid < self.suspect:
            raise SignalError("invalid begins before suspect", field="invalid", mend="Give it the larger number.")
        return self

    def judge(self, values: Floats) -> Floats:
        """Level of each value."""
        level = np.where(np.isnan(values), NOT_ASSESSED, FINE)
        if self.suspect is not None:
            level = np.where(values > self.suspect, SUSPECT, level)
        if self.invalid is not None:
            level = np.where(values > self.invalid, INVALID, level)
        return level

    def bound(self, level: int) -> str:
        """The bound that a level has crossed, in words."""
        return f"> {self.invalid if level == INVALID else self.suspect:g}"


class Below(Limits):
    """Suspect below one number, invalid below another; ``None`` for never."""

    suspect: float | None
    invalid: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Below:
        if self.suspect is not None and self.invalid is not None and self.invalid > self.suspect:
            raise SignalError("invalid begins before suspect", field="invalid", mend="Give it the smaller number.")
        return self

    def judge(self, values: Floats) -> Floats:
        """Level of each value."""
        return Above(
            suspect=None if self.suspect is None else -self.suspect,
            invalid=None if self.invalid is None else -self.invalid,
        ).judge(-values)

    def bound(self, level: int) -> str:
        """The bound that a level has crossed, in words."""
        return f"< {self.invalid if level == INVALID else self.suspect:g}"


class Outside(Limits):
    """Suspect outside one window, invalid outside another."""

    suspect: tuple[float, float]
    invalid: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> Outside:
        (a, b), (c, d) = self.suspect, self.invalid
        if not c <= a < b <= d:
            raise SignalError("the window of suspect must lie within that of invalid", field="suspect")
        return self

    def judge(self, values: Floats) -> Floats:
        """Level of each value."""
        level = np.where(np.isnan(values), NOT_ASSESSED, FINE)
        for name, found in (("suspect", SUSPECT), ("invalid", INVALID)):
            low, high = getattr(self, name)
            level = np.where((values < low) | (values > high), found, level)
        return level

    def bound(self, level: int) -> str:
        """The bound that a level has crossed, in words."""
        low, high = self.invalid if level == INVALID else self.suspect
        return f"outside {low:g} to {high:g}"


class Closure(Outside):
    """Bounds of the sum of efficiencies.

    Attributes:
        sigmas: also suspect where the sum is off 1 by more standard uncertainties than that; ``None`` for never.
    """

    sigmas: float | None = Field(default=3.0, gt=0.0)


class Sigmas(Limits):
    """Bounds of one efficiency, the first in its standard uncertainties.

    Attributes:
        sigmas: suspect beyond so many standard uncertainties.
        invalid: invalid beyond that much.
    """

    sigmas: float = Field(gt=0.0)
    invalid: float = Field(gt=0.0)


class Range(Limits):
    """Bounds of signals in units of the calibrated range.

    Attributes:
        suspect: times the largest standard.
        invalid: times the largest standard.
        major: efficiency from which a product below the range is suspect rather than told.
    """

    suspect: float = Field(gt=0.0)
    invalid: float = Field(gt=0.0)
    major: float = Field(default=0.05, ge=0.0)


class Agreement(Limits):
    """Bounds of the difference of consecutive injections.

    Attributes:
        suspect: relative difference from which it is suspect,
        sigmas: unless it is less than so many standard uncertainties, where the repeatability of peaks is known.
        invalid: relative difference from which it is invalid.
        injections: how many there must be.
    """

    suspect: float = Field(gt=0.0)
    sigmas: float = Field(default=3.5, ge=0.0)
    invalid: float = Field(gt=0.0)
    injections: int = Field(default=2, ge=1)


class Conversion(Limits):
    """Conversion near its limit: suspect from so much below, invalid from so many uncertainties above."""

    suspect: float = Field(ge=0.0)
    sigmas: float = Field(gt=0.0)


class Thermodynamic(Limits):
    """Products above their equilibrium potential.

    Attributes:
        margin: V above it that is allowed.
        invalid: efficiency from which it is invalid.
    """

    margin: float = Field(ge=0.0)
    invalid: float = Field(gt=0.0)


class Told(Limits):
    """Told above a number, without consequence."""

    info: float


class Quantified(Limits):
    """Liquids near the least that can be quantified: suspect, for a major product, below so many times of it."""

    suspect: float = Field(gt=0.0)
    major: float = Field(default=0.05, ge=0.0)


class Required(Limits):
    """What happens where mandatory metadata are missing."""

    level: Literal["suspect", "invalid"] = "invalid"
