"""The block of a Bronkhorst device in a rig file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from instruments.device import Device, Wiring
from instruments.drivers._gas import GasOptions


class BronkhorstOptions(GasOptions):
    """A Bronkhorst device. Several behind one FLOW-BUS interface have the same ``port`` and different nodes.

    Attributes:
        kind: ``bronkhorst``.
        node: of the device on its line; 128 is the one at the port itself.
        channel: of a device with several, from 1.
        baudrate: as its settings say; 38400 as delivered.
        timeout: of one answer, s.
    """

    kind: Literal["bronkhorst"] = "bronkhorst"
    node: int = Field(128, ge=1, le=128)
    channel: int = Field(1, ge=1, le=16)
    baudrate: int = Field(38400, ge=9600, le=460_800)
    timeout: float = Field(0.5, ge=0.05, le=10.0)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The device, not yet connected.

        Raises:
            LabError: another device has the same port with other settings.
        """
        from instruments.drivers.bronkhorst.device import Bronkhorst

        return Bronkhorst(name, self, wiring)
