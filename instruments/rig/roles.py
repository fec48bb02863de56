"""Roles: what a device is for in a rig, what a rig expects of it, and in which order roles are made safe.

A rig sees its devices only through the protocols here; any driver that offers these methods can fill the role.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from instruments.device import Attribute, Identity, Reading, Safety, Value

CURRENT: Final = frozenset({"potentiostat", "supply"})
"""Roles that can drive a current through a cell."""
HEATING: Final = frozenset({"heater", "bath"})
"""Roles that can heat."""
FLOWING: Final = frozenset({"electrolyte_pump", "anolyte_pump", "rinse_pump", "drain", "gas", "back_pressure"})
"""Roles that keep gas or liquid flowing, which must outlast the current."""

DISCONNECT: Final = "disconnect"
"""The role of the relay contact that cuts a cell off where its potentiostat does not confirm that it is off."""

OWN: Final = CURRENT | FLOWING | {DISCONNECT, "outlet", "cell_voltage"}
"""Roles that a device fills for one cell only, unless it is declared as shared."""

Stages: TypeAlias = tuple[tuple[str, ...], ...]

DEFAULT_ORDER: Final[Stages] = (
    ("potentiostat", "supply"),
    ("heater", "bath"),
    ("electrolyte_pump", "anolyte_pump", "rinse_pump", "drain"),
    ("gas", "back_pressure"),
    ("robot", "node"),
    ("selector", "valve"),
)
"""Stages of making safe, one after another; devices of other roles, and of none, come last."""

ROLES: Final = frozenset(
    {role for stage in DEFAULT_ORDER for role in stage}
    | {DISCONNECT, "outlet", "ph", "temperature", "pressure", "cell_voltage", "balance", "chromatograph", "handoff"}
    | {"relay", "detector", "meter", "emergency"}
)
"""Roles with a meaning here. A rig file may name others in its `safety.order`."""


@runtime_checkable
class Instrument(Protocol):
    """What every device offers."""

    name: str

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """What can be read and set."""

    def connect(self) -> None:
        """Open the connection."""

    def identify(self) -> Identity:
        """Ask what it is."""

    def read(self, name: str) -> Reading:
        """A value, with its unit and uncertainty."""

    def set(self, name: str, value: Value) -> None:
        """Set a value, within the limits and with the rig's permission."""

    def check(self, name: str, value: Value) -> None:
        """Whether a value is within the limits; sends nothing."""

    def make_safe(self) -> Safety:
        """Bring it to its safe state."""

    def close(self) -> None:
        """Let go of the connection."""


@runtime_checkable
class Potentiostat(Instrument, Protocol):
    """Runs electrochemical techniques on one cell. Currents are cathodic negative."""

    def run(self, technique: Any, on_point: Callable[[Any], None] | None = None, cancelled: Event | None = None) -> Any:
        """Run a technique to its end, which leaves the cell off; points are handed on as they come."""


@runtime_checkable
class Chromatograph(Instrument, Protocol):
    """Analyses gas that it draws itself."""

    def start(self, annotations: Mapping[str, str]) -> Any:
        """Inject; the token says which run is the new one."""

    def wait(self, token: Any, cancelled: Event, timeout: float) -> Any:
        """The run that a token began, once it is complete."""


@runtime_checkable
class Robot(Instrument, Protocol):
    """Moves liquids between vessels."""

    def transfer(self, source: str, target: str, volume: float) -> None:
        """Move a volume in uL; places are ``labware/well``."""


@runtime_checkable
class Handoff(Instrument, Protocol):
    """Hands samples to an analysis elsewhere."""

    folder: Path
