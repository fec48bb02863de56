"""The block of an Alicat device in a rig file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from instruments.device import Device, Wiring
from instruments.drivers._gas import GasOptions


class AlicatOptions(GasOptions):
    """An Alicat device. Several on one RS-485 line have the same ``port`` and different letters.

    Attributes:
        kind: ``alicat``.
        unit: the letter of the device on its line.
        baudrate: as its menu says; 19200 as delivered.
        timeout: of one answer, s. Devices answer within 0.05 s.
        full_scale: sccm (flow) or bar (pressure), for devices that do not say it.
        standard_temperature: degrees Celsius that the device reckons its standard flow (SCCM, SLPM) at.
        normal_temperature: degrees Celsius that it reckons its normal flow (NCCM, NLPM) at.
    """

    kind: Literal["alicat"] = "alicat"
    unit: str = Field("A", pattern="^[A-Z]$")
    baudrate: int = Field(19200, ge=2400, le=115200)
    timeout: float = Field(0.5, ge=0.05, le=10.0)
    full_scale: float | None = Field(None, gt=0.0)
    standard_temperature: float = Field(25.0, ge=-20.0, le=60.0)
    normal_temperature: float = Field(0.0, ge=-20.0, le=60.0)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The device, not yet connected.

        Raises:
            LabError: another device has the same port with other settings.
        """
        from instruments.drivers.alicat.device import Alicat

        return Alicat(name, self, wiring)
