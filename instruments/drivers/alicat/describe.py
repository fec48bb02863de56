"""What the columns of a data frame are in this package's units, and the attributes that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from instruments.device import Attribute
from instruments.drivers._gas import ROOT_3
from instruments.drivers.alicat import units
from instruments.drivers.alicat.frames import Column, Frame, Layout
from instruments.errors import DeviceError, ProtocolError

if TYPE_CHECKING:
    from instruments.drivers.alicat.options import AlicatOptions

PRESSURES: Final = ("pressure", "gauge_pressure", "differential_pressure")
"""What a pressure controller may control."""
_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "flow": ("flow", "setpoint", "volumetric_flow", "pressure", "temperature", "gas"),
    "pressure": ("pressure", "setpoint"),
    "meter": ("flow", "volumetric_flow", "pressure", "temperature", "gas"),
}


def is_pressure(column: Column) -> bool:
    """Whether a set point is of a pressure."""
    return units.bar_in(column.unit) is not None


@dataclass(frozen=True, slots=True)
class Scales:
    """Turns a device's numbers into this package's units.

    Attributes:
        device: name for errors.
        standard: temperature of the device's standard flow, degrees Celsius.
        normal: that of its normal flow.
    """

    device: str
    standard: float
    normal: float

    def factor(self, column: Column) -> float:
        """This package's unit in one of the device's; 1 for a temperature.

        Raises:
            DeviceError: the unit is not known.
        """
        factor: float | None = 1.0
        if column.key == "flow" or (column.key == "setpoint" and not is_pressure(column)):
            factor = units.sccm_in(column.unit, self.standard, self.normal)
        elif column.key == "volumetric_flow":
            factor = units.millilitres_in(column.unit)
        elif column.key == "setpoint" or column.key in PRESSURES:
            factor = units.bar_in(column.unit)
        elif column.key == "temperature":
            factor = None if units.celsius(0.0, column.unit) is None else 1.0
        if factor is None:
            raise DeviceError(
                f"its unit {column.unit!r} of {column.key} is not known.",
                device=self.device,
                field=column.key,
                mend="Set it in the device's menu: mass flow in SCCM or SLPM, volume flow in CCM, pressure in PSIA.",
            )
        return factor

    def value(self, key: str, frame: Frame, layout: Layout) -> float:
        """A value of a data frame in this package's unit.

        Raises:
            ProtocolError: the frame does not have it.
        """
        column = layout.find(key)
        if column is None or key not in frame.values:
            raise ProtocolError(f"a data frame without {key}.", device=self.device)
        value = frame.values[key]
        if key == "temperature":
            return units.celsius(value, column.unit) or 0.0
        return value * self.factor(column)


def described(
    options: AlicatOptions, layout: Layout | None, full_scale: float, gases: Mapping[int, str]
) -> Mapping[str, Attribute]:
    """Attributes of the columns; of the usual ones, before the device said what it has.

    Args:
        options: of the driver.
        layout: of the data frame.
        full_scale: of what is controlled or metered; infinite where it is not known.
        gases: that can be selected.
    """
    controls = options.controls
    keys = _USUAL[controls] if layout is None else [column.key for column in layout.columns]
    of_pressure = controls == "pressure"
    scale = full_scale if math.isfinite(full_scale) else 0.0
    flow_floor, pressure_floor = 0.002 * scale / ROOT_3, (0.0025 * scale if of_pressure else 0.055) / ROOT_3
    controlled = "pressure" if of_pressure else "mass flow"
    known = (
        Attribute("flow", "sccm", accuracy=0.008 / ROOT_3, floor=flow_floor, description="mass flow"),
        Attribute(
            "volumetric_flow", "mL/min", accuracy=0.008 / ROOT_3, floor=flow_floor, description="at the gas's state"
        ),
        Attribute("pressure", "bar", floor=pressure_floor, description="absolute"),
        Attribute("gauge_pressure", "bar", floor=pressure_floor, description="above the atmosphere's"),
        Attribute("differential_pressure", "bar", floor=pressure_floor, description="between its two sides"),
        Attribute("temperature", "degC", floor=0.75 / ROOT_3, description="of the gas"),
        Attribute(
            "setpoint",
            "bar" if of_pressure else "sccm",
            settable=controls != "meter",
            low=0.0,
            high=full_scale,
            description=f"of the {controlled} that it controls",
        ),
        Attribute("gas", settable=True, choices=tuple(gases.values()), description="that it reckons with"),
    )
    return {a.name: a for a in known if a.name in keys and (controls != "meter" or a.name != "setpoint")}
