"""The ``safety`` block of a rig file: the order of making safe, its bounds, and the interlocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Quantity, Time
from instruments.errors import LabError
from instruments.rig.interlocks import Interlock
from instruments.rig.roles import CURRENT, DEFAULT_ORDER, DISCONNECT, Stages


class SafetyBlock(Declared):
    """What keeps a rig safe.

    Attributes:
        heartbeat: after so long without a sign of life from the controller the guardian makes the rig safe.
        order: stages of making safe: roles, or lists of roles that are made safe at once.
        tries: how often each device is asked.
        bound: after so long a stage is over, whatever its devices say.
        disconnect_after: after so long a potentiostat that has not confirmed is cut off by its relay.
        interlocks: conditions over readings.
    """

    heartbeat: Time = Quantity(3.0, "s")
    order: tuple[tuple[str, ...], ...] | None = None
    tries: int = Field(default=3, ge=1, le=10)
    bound: Time = Quantity(5.0, "s")
    disconnect_after: Time = Quantity(0.5, "s")
    interlocks: tuple[Interlock, ...] = ()

    @property
    def stages(self) -> Stages:
        """The order, as declared or as usual."""
        return DEFAULT_ORDER if self.order is None else self.order

    @field_validator("order", mode="before")
    @classmethod
    def _single_roles(cls, given: Any) -> Any:
        if isinstance(given, str) or not isinstance(given, Sequence):
            return given
        return [[stage] if isinstance(stage, str) else stage for stage in given]

    @model_validator(mode="after")
    def _possible(self) -> SafetyBlock:
        for name, low, high in (("heartbeat", 0.5, 60.0), ("bound", 0.5, 60.0), ("disconnect_after", 0.05, 5.0)):
            value: Quantity = getattr(self, name)
            if not low <= value.value <= high:
                raise LabError(f"{name}: {value.value:g} s is outside {low:g} to {high:g} s.", field=name)
        if self.order is not None:
            self._check_order(self.order)
        names = [interlock.name for interlock in self.interlocks]
        for number, name in enumerate(names):
            if name in names[:number]:
                field = f"interlocks.{number}.name"
                raise LabError(f"{field}: there is another interlock {name!r}.", field=field)
        return self

    @staticmethod
    def _check_order(order: Stages) -> None:
        roles = [role for stage in order for role in stage]
        twice = [role for number, role in enumerate(roles) if role in roles[:number]]
        if twice:
            raise LabError(f"order: {twice[0]} stands in it twice.", field="order")
        if DISCONNECT in roles:
            raise LabError(
                "order: disconnect is no stage.",
                field="order",
                mend="Leave it out: it opens where a potentiostat does not confirm, see `disconnect_after`.",
            )
        if not CURRENT & set(roles):
            raise LabError("order: nothing in it stops the current.", field="order", mend="Begin with potentiostat.")
