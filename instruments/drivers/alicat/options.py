"""The block of an Alicat device in a rig file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from instruments.device import Device, Wiring
from instruments.drivers._serial import SerialOptions
from instruments.errors import LabError


class AlicatOptions(SerialOptions):
    """An Alicat device. Several on one RS-485 line have the same ``port`` and different letters.

    Attributes:
        kind: ``alicat``.
        unit: the letter of the device on its line.
        baudrate: as its menu says; 19200 as delivered.
        timeout: of one answer, s. Devices answer within 0.05 s.
        controls: what its set point is of; a ``meter`` has none.
        gas: what it must be set to, by the device's short name; another one is refused when connecting.
        full_scale: sccm (flow) or bar (pressure), for devices that do not say it.
        safe_flow: sccm, which makes a flow controller safe.
        safe_below: sccm that may still flow in the safe state, beyond ``safe_flow``; 2 % of full scale where not given.
        safe: state of a pressure controller that is safe: its valve ``open`` (set point 0), its valve on ``hold`` as it
            is, or the set point ``safe_pressure``.
        safe_pressure: bar, absolute (or gauge, for a gauge controller). For ``setpoint``: what is set. For ``open``:
            what the pressure must fall below to be confirmed; 1.3 where not given.
        settle: s, in which flow or pressure must reach its safe state.
        standard_temperature: degrees Celsius that the device reckons its standard flow (SCCM, SLPM) at.
        normal_temperature: degrees Celsius that it reckons its normal flow (NCCM, NLPM) at.
    """

    kind: Literal["alicat"] = "alicat"
    unit: str = Field("A", pattern="^[A-Z]$")
    baudrate: int = Field(19200, ge=2400, le=115200)
    timeout: float = Field(0.5, ge=0.05, le=10.0)
    controls: Literal["flow", "pressure", "meter"] = "flow"
    gas: str | None = Field(None, min_length=1, max_length=12)
    full_scale: float | None = Field(None, gt=0.0)
    safe_flow: float = Field(0.0, ge=0.0)
    safe_below: float | None = Field(None, gt=0.0)
    safe: Literal["open", "hold", "setpoint"] = "open"
    safe_pressure: float | None = Field(None, ge=0.0)
    settle: float = Field(5.0, ge=0.0, le=60.0)
    standard_temperature: float = Field(25.0, ge=-20.0, le=60.0)
    normal_temperature: float = Field(0.0, ge=-20.0, le=60.0)

    @model_validator(mode="after")
    def _fits_together(self) -> AlicatOptions:
        if self.controls == "pressure" and self.safe == "setpoint" and self.safe_pressure is None:
            raise LabError("the safe set point is missing.", field="safe_pressure", mend="Give it in bar.")
        if self.controls != "pressure" and (self.safe != "open" or self.safe_pressure is not None):
            raise LabError(
                f"safe and safe_pressure are of pressure controllers, and this one controls: {self.controls}.",
                field="safe",
                mend="Leave them out, or say `controls: pressure`.",
            )
        return self

    def build(self, name: str, wiring: Wiring) -> Device:
        """The device, not yet connected.

        Raises:
            LabError: another device has the same port with other settings.
        """
        from instruments.drivers.alicat.device import Alicat

        return Alicat(name, self, wiring)
