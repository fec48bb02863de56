"""A rig's devices as a procedure sees them: by the role that they fill for a cell, or for all cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from instruments.device import Device, Reading, Value
from instruments.errors import LabError
from instruments.rig.cells import CellBlock
from instruments.rig.names import Place
from instruments.rig.roles import Chromatograph, Handoff, Instrument, Potentiostat, Robot


@dataclass(frozen=True, slots=True)
class Contact:
    """One attribute of a device that fills a role by itself, such as a contact of a relay."""

    device: Device
    attribute: str

    def set(self, value: Value) -> None:
        """Set it, within the limits and with the rig's permission."""
        self.device.set(self.attribute, value)

    def read(self) -> Reading:
        """Its value."""
        return self.device.read(self.attribute)


class Roles:
    """Devices by role.

    Args:
        where: dotted name of the block in the rig file, for errors.
        roles: as the block says.
        devices: of the rig.
    """

    def __init__(self, where: str, roles: Mapping[str, str], devices: Mapping[str, Device]) -> None:
        self._where, self._devices = where, devices
        self._places = {role: Place.of(text) for role, text in roles.items()}

    @property
    def roles(self) -> Mapping[str, Place]:
        """Who fills which role."""
        return self._places

    def has(self, role: str) -> bool:
        """Whether the role is filled."""
        return role in self._places

    def place(self, role: str) -> Place:
        """Who fills a role.

        Raises:
            LabError: nobody.
        """
        try:
            return self._places[role]
        except KeyError:
            raise LabError(
                f"{self._where}: nothing fills the role {role!r}.",
                field=f"{self._where}.{role}",
                mend="Name a device for it in the rig file.",
            ) from None

    def device(self, role: str) -> Device:
        """The device that fills a role.

        Raises:
            LabError: nobody.
        """
        return self._devices[self.place(role).device]

    def contact(self, role: str) -> Contact:
        """The attribute that fills a role by itself.

        Raises:
            LabError: nobody, or a whole device.
        """
        place = self.place(role)
        if not place.attribute:
            raise LabError(f"{self._where}.{role}: {place} is a whole device.", field=f"{self._where}.{role}")
        return Contact(self._devices[place.device], place.attribute)

    def _as(self, role: str, kind: Any) -> Any:
        device = self.device(role)
        if not isinstance(device, kind):
            raise LabError(
                f"{self._where}.{role}: {device.name} does not offer what a {role} must.",
                field=f"{self._where}.{role}",
                mend="Name a device of another kind.",
            )
        return device


class CellView(Roles):
    """One cell of a rig.

    Args:
        name: of the cell.
        block: of the rig file.
        devices: of the rig.
    """

    def __init__(self, name: str, block: CellBlock, devices: Mapping[str, Device]) -> None:
        super().__init__(f"cells.{name}.roles", block.roles, devices)
        self.name, self.block = name, block

    @property
    def potentiostat(self) -> Potentiostat:
        """What drives its current."""
        found: Potentiostat = self._as("potentiostat", Potentiostat)
        return found

    @property
    def gas(self) -> Instrument:
        """What feeds its gas."""
        return self.device("gas")

    @property
    def outlet(self) -> Instrument:
        """What measures or holds its gas outlet."""
        return self.device("outlet")

    @property
    def back_pressure(self) -> Instrument:
        """What holds its pressure."""
        return self.device("back_pressure")

    @property
    def electrolyte_pump(self) -> Instrument:
        """What pumps its catholyte."""
        return self.device("electrolyte_pump")


class SharedView(Roles):
    """What all cells share; whoever uses it holds its lease."""

    def __init__(self, roles: Mapping[str, str], devices: Mapping[str, Device]) -> None:
        super().__init__("shared", roles, devices)

    @property
    def chromatograph(self) -> Chromatograph:
        """What analyses gas."""
        found: Chromatograph = self._as("chromatograph", Chromatograph)
        return found

    @property
    def robot(self) -> Robot:
        """What moves liquids."""
        found: Robot = self._as("robot", Robot)
        return found

    @property
    def handoff(self) -> Handoff:
        """What hands samples to an analysis elsewhere."""
        found: Handoff = self._as("handoff", Handoff)
        return found

    @property
    def selector(self) -> Instrument:
        """What brings a cell's gas to the chromatograph."""
        return self.device("selector")

    @property
    def bath(self) -> Instrument:
        """What holds the temperature."""
        return self.device("bath")
