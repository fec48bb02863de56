"""The block of a New Era pump in a rig file."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from instruments.device import Device, Wiring
from instruments.drivers._serial import SerialOptions
from instruments.errors import LabError

SHORTEST_WATCHDOG: Final = 4
"""s; whoever watches over a rig must have noticed a dead controller before, which takes 3 s."""


class NewEraOptions(SerialOptions):
    """A syringe pump of the NE-1000 family. Several on one line have the same ``port`` and different addresses.

    Attributes:
        kind: ``new_era``.
        address: of the pump on its line.
        diameter: inside of the syringe, mm; the pump is set to it when connecting.
        syringe_volume: that the syringe holds when it is full, mL. Where it is given, the pump never dispenses more
            than is left, and never draws in more than there is room for.
        watchdog: s without a word after which the pump stops by itself; 0 is the basic mode, without watchdog and
            checksums.
        baudrate: as its menu says; 19200 as delivered.
        timeout: of one answer, s.
    """

    kind: Literal["new_era"] = "new_era"
    address: int = Field(0, ge=0, le=99)
    diameter: float = Field(ge=0.1, le=50.0)
    syringe_volume: float | None = Field(None, gt=0.0, le=500.0)
    watchdog: int = Field(10, ge=0, le=255)
    baudrate: int = Field(19200, ge=300, le=19200)
    timeout: float = Field(0.5, ge=0.05, le=10.0)

    @model_validator(mode="after")
    def _watches(self) -> NewEraOptions:
        if 0 < self.watchdog < SHORTEST_WATCHDOG:
            raise LabError(
                f"a watchdog of {self.watchdog} s ends experiments whose controller only pauses.",
                field="watchdog",
                mend=f"Give at least {SHORTEST_WATCHDOG} s, or 0 for none.",
            )
        return self

    def build(self, name: str, wiring: Wiring) -> Device:
        """The device, not yet connected.

        Raises:
            LabError: another device has the same port with other settings.
        """
        from instruments.drivers.new_era.device import NewEra

        return NewEra(name, self, wiring)
