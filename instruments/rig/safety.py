"""What is made safe when, and what came of it: plain data that controller, guardian and files share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from instruments.rig.names import Place

State: TypeAlias = Literal["safe", "disconnected", "unsafe_unconfirmed"]

OPEN: Final = "open"
"""What a relay calls a contact that disconnects."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how often devices are asked.

    Attributes:
        tries: of each device.
        stage: s, of a stage.
        disconnect_after: s, after which a source of current that has not confirmed is cut off.
    """

    tries: int = 3
    stage: float = 5.0
    disconnect_after: float = 0.5


@dataclass(frozen=True)
class SafetyPlan:
    """What is made safe when.

    Attributes:
        stages: names of devices, one stage after another; each device stands in one of them.
        currents: devices that can drive a current.
        disconnects: the contacts that cut off what such a device drives, by its name.
        bounds: of time and tries.
    """

    stages: tuple[tuple[str, ...], ...]
    currents: frozenset[str] = frozenset()
    disconnects: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    bounds: Bounds = Bounds()

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices, in order."""
        return tuple(name for stage in self.stages for name in stage)

    def only(self, devices: Iterable[str]) -> SafetyPlan:
        """The same for some of the devices."""
        wanted = set(devices)
        stages = tuple(tuple(name for name in stage if name in wanted) for stage in self.stages)
        return replace(self, stages=tuple(stage for stage in stages if stage))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "stages": [list(stage) for stage in self.stages],
            "currents": sorted(self.currents),
            "disconnects": {name: [str(place) for place in places] for name, places in self.disconnects.items()},
            "bounds": {
                "tries": self.bounds.tries,
                "stage": self.bounds.stage,
                "disconnect_after": self.bounds.disconnect_after,
            },
        }

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> SafetyPlan:
        """From :meth:`to_json`.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another kind.
        """
        return cls(
            tuple(tuple(stage) for stage in found["stages"]),
            frozenset(found["currents"]),
            {name: tuple(Place.of(text) for text in places) for name, places in found["disconnects"].items()},
            Bounds(**found["bounds"]),
        )


@dataclass(frozen=True, slots=True)
class DeviceSafety:
    """What came of making one device safe.

    Attributes:
        state: ``safe``: the device itself confirmed; ``disconnected``: it did not, but its relay is open, confirmed;
            ``unsafe_unconfirmed``: nothing is known, which is never the same as off.
        detail: what was read back, or what went wrong.
        seconds: from the beginning to this state; to the end where nothing was confirmed.
        tries: how often it was asked.
        answered: whether it said anything when it was asked last.
    """

    state: State
    detail: str
    seconds: float
    tries: int = 1
    answered: bool = True

    @property
    def confirmed(self) -> bool:
        """Whether it can do no harm, for all that is known."""
        return self.state != "unsafe_unconfirmed"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "state": self.state,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "tries": self.tries,
            "answered": self.answered,
        }


@dataclass(frozen=True)
class SafetyReport:
    """What came of making a rig safe.

    Attributes:
        reason: why it was done.
        time: when it began, ISO 8601 in UTC.
        devices: by name, in the order in which they were made safe.
    """

    reason: str
    time: str
    devices: Mapping[str, DeviceSafety]

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Devices whose state is not known."""
        return tuple(name for name, found in self.devices.items() if not found.confirmed)

    @property
    def confirmed(self) -> bool:
        """Whether all can do no harm, for all that is known."""
        return not self.unconfirmed

    def updated(self, other: SafetyReport, at_rest: bool = False) -> SafetyReport:
        """With what a later report says of some devices.

        A cell that was cut off stays cut off, whatever its device says.

        Args:
            other: the later report.
            at_rest: nobody can have commanded the devices in between: one that had confirmed and now says nothing
                (somebody has switched it off) is what it was.
        """
        devices = dict(self.devices)
        for name, later in other.devices.items():
            before = devices.get(name)
            stays = before is not None and (
                before.state == "disconnected" or (before.confirmed and at_rest and not later.answered)
            )
            if before is None or later.confirmed or not stays:
                devices[name] = later
        return replace(self, devices=devices)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> SafetyReport:
        """From :meth:`to_json`.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another kind.
        """
        return cls(
            found["reason"], found["time"], {name: DeviceSafety(**one) for name, one in found["devices"].items()}
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "reason": self.reason,
            "time": self.time,
            "confirmed": self.confirmed,
            "unconfirmed": list(self.unconfirmed),
            "devices": {name: found.to_json() for name, found in self.devices.items()},
        }
