"""Which proposals wait for a person's word before they run. Light to import: commands of people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator

from orchestrator.config.block import Block
from orchestrator.config.hints import listed, nearest
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from acquisition.space import SearchSpace


class TrustedRegion(Block):
    """A region of the space in which experiments run without being approved."""

    outside: dict[str, tuple[float, float] | tuple[str, ...]] = Field(min_length=1)
    """Column to the lowest and highest value that are trusted, or to the trusted categories."""

    @field_validator("outside", mode="before")
    @classmethod
    def _plain(cls, outside: Any) -> Any:
        if not isinstance(outside, dict):
            return outside
        for column, trusted in outside.items():
            numbers = isinstance(trusted, list | tuple) and all(_number(value) for value in trusted)
            labels = isinstance(trusted, list | tuple) and all(isinstance(value, str) for value in trusted)
            if not trusted or not (labels or (numbers and len(trusted) == 2)):
                raise InputError(
                    "must be the lowest and highest trusted number, or the trusted categories as text.",
                    field=str(column),
                    mend="Write `potential: [-1.0, -0.7]` or `cation: [Na, K]`.",
                )
            if numbers and trusted[0] > trusted[1]:
                raise InputError(
                    f"the lowest trusted value, {trusted[0]:g}, is above the highest, {trusted[1]:g}.",
                    field=str(column),
                    mend="Swap them.",
                )
        return outside


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _approval(value: Any) -> Any:
    """Tell the kinds of approval apart, so that messages speak of one of them only."""
    if isinstance(value, dict):
        return TrustedRegion.model_validate(value)
    if isinstance(value, TrustedRegion) or value in ("none", "all"):
        return value
    shown = "empty" if value is None else repr(value)
    raise InputError(
        f"must be none, all, or a trusted region, not {shown}.",
        mend="Write `approval: all`, or `approval: {outside: {potential: [-1.0, -0.7]}}`.",
    )


Approval: TypeAlias = Annotated[Literal["none", "all"] | TrustedRegion, BeforeValidator(_approval)]
"""Who decides what runs: the loop alone, a person about everything, or a person about what is not trusted."""


def needs_approval(approval: Literal["none", "all"] | TrustedRegion, parameters: Mapping[str, Any]) -> bool:
    """Whether an experiment with these settings waits for a person.

    Args:
        approval: of the campaign.
        parameters: settings by column. A column that is missing is not trusted.
    """
    if isinstance(approval, str):
        return approval == "all"
    return not all(_trusted(trusted, parameters.get(column)) for column, trusted in approval.outside.items())


def _trusted(trusted: tuple[Any, ...], value: Any) -> bool:
    if isinstance(trusted[0], str):
        return str(value) in trusted
    return _number(value) and trusted[0] <= value <= trusted[1]


def check_approval(approval: Literal["none", "all"] | TrustedRegion, space: SearchSpace) -> None:
    """Check that a trusted region is one of this space.

    Raises:
        InputError: a column is none of the space, or what is trusted of it are no values of it.
    """
    from acquisition.parameters import Categorical

    if isinstance(approval, str):
        return
    categories = {p.name: [str(v) for v in p.values] for p in space.parameters if isinstance(p, Categorical)}
    for column, trusted in approval.outside.items():
        field = f"approval.outside.{column}"
        if column not in space.columns:
            near = nearest(column, space.columns)
            raise InputError(
                f"{column!r} is no column of the search space.",
                field=field,
                mend=f"Did you mean {near!r}?" if near else f"Its columns are {listed(space.columns)}.",
            )
        named = isinstance(trusted[0], str)
        if named != (column in categories):
            kind, mend = (
                ("numbers, not names", "Give the lowest and the highest that are trusted.")
                if named
                else ("names, not numbers", "Give those that are trusted, in quotes where they look like numbers.")
            )
            raise InputError(f"the values of {column!r} are {kind}.", field=field, mend=mend)
        for label in trusted if named else ():
            if label not in categories[column]:
                raise InputError(
                    f"{label!r} is no category of {column!r}.",
                    field=field,
                    mend=f"Its categories are {listed(categories[column])}.",
                )
