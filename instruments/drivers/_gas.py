"""What controllers of gas flow and pressure share, whoever makes them: options, and the wait for a safe state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field, model_validator

from instruments.device import Safety
from instruments.drivers._serial import SerialOptions
from instruments.errors import LabError

ROOT_3: Final = math.sqrt(3.0)
"""Of a data sheet's limit of error over its standard uncertainty, for a rectangular distribution."""
POLL: Final = 0.05
"""Between looks at whether the safe state is reached, s."""
VENTED: Final = 1.3
"""bar, absolute, below which a line counts as vented."""


class GasOptions(SerialOptions):
    """What every controller of gas is told beside its line.

    Attributes:
        controls: what its set point is of; a ``meter`` has none.
        gas: what it must be set to, as the device names it; another one is refused when connecting.
        safe_flow: sccm, which makes a flow controller safe.
        safe_below: sccm that may still flow in the safe state, beyond ``safe_flow``; 2 % of full scale where not given.
        safe: state of a pressure controller that is safe: its valve ``open`` (set point 0, of one that controls back
            pressure), its valve on ``hold`` as it is, or the set point ``safe_pressure``.
        safe_pressure: bar. For ``setpoint``: what is set. For ``open``: what the pressure must fall below to be
            confirmed; 1.3 absolute where not given, or 0.3 gauge.
        settle: s, in which flow or pressure must reach its safe state.
    """

    controls: Literal["flow", "pressure", "meter"] = "flow"
    gas: str | None = Field(None, min_length=1, max_length=16)
    safe_flow: float = Field(0.0, ge=0.0)
    safe_below: float | None = Field(None, gt=0.0)
    safe: Literal["open", "hold", "setpoint"] = "open"
    safe_pressure: float | None = Field(None, ge=0.0)
    settle: float = Field(5.0, ge=0.0, le=60.0)

    @model_validator(mode="after")
    def _fits_together(self) -> GasOptions:
        if self.controls == "pressure" and self.safe == "setpoint" and self.safe_pressure is None:
            raise LabError("the safe set point is missing.", field="safe_pressure", mend="Give it in bar.")
        if self.controls != "pressure" and (self.safe != "open" or self.safe_pressure is not None):
            raise LabError(
                f"safe and safe_pressure are of pressure controllers, and this one controls: {self.controls}.",
                field="safe",
                mend="Leave them out, or say `controls: pressure`.",
            )
        return self

    @property
    def safe_target(self) -> float:
        """The set point that is safe, in sccm or bar."""
        if self.controls == "flow":
            return self.safe_flow
        return (self.safe_pressure or 0.0) if self.safe == "setpoint" else 0.0

    def safe_bound(self, full_scale: float, *, gauge: bool) -> float:
        """What flow or pressure must be at most to be safe.

        Args:
            full_scale: of a flow, sccm.
            gauge: whether a pressure is one above the atmosphere's.
        """
        if self.controls == "flow":
            return self.safe_flow + (self.safe_below or 0.02 * full_scale)
        if self.safe == "setpoint":
            return math.inf
        return self.safe_pressure or (VENTED - 1.0 if gauge else VENTED)


@dataclass(frozen=True, slots=True)
class Look:
    """What a controller shows at one moment.

    Attributes:
        value: of what it controls.
        setpoint: that it has.
        trouble: why neither is to be relied on; empty where they are.
    """

    value: float
    setpoint: float
    trouble: str = ""


def await_safe(look: Callable[[], Look], what: str, unit: str, bound: float, seconds: float) -> Safety:
    """Wait until what is controlled has come down; a set point alone says nothing about a valve that is stuck.

    Args:
        look: asks the device.
        what: is controlled.
        unit: of it.
        bound: that it must reach.
        seconds: that it may take.

    Raises:
        DeviceError: no answer, or one that is not understood.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        detail = f"set point {seen.setpoint:.4g} {unit}, {what} {seen.value:.4g} {unit}"
        if seen.value <= bound and not seen.trouble:
            return Safety(True, detail)
        if time.monotonic() >= deadline:
            said = f"; it says {seen.trouble}" if seen.trouble else ""
            late = "" if seen.value <= bound else f", not below {bound:.4g} {unit} within {seconds:g} s"
            return Safety(False, f"{detail}{late}{said}")
        time.sleep(POLL)
