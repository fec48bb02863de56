"""Multimeters and source meters that speak SCPI, as meters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from pydantic import Field

from instruments.device import Attribute, Device, Safety, Value, Wiring
from instruments.drivers._scpi import Dialect, ScpiDevice, ScpiOptions, parse_value

Model: TypeAlias = Literal["generic", "keithley_2450"]
Quantity: TypeAlias = Literal["voltage", "current", "resistance", "temperature"]

_HALF_WIDTH: Final = 1.0 / math.sqrt(3.0)
_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {"voltage": "V", "current": "A", "resistance": "ohm", "temperature": "degC"}
)

DIALECTS: Final[Mapping[Model, Dialect]] = MappingProxyType(
    {
        # SCPI-99 volume 4, class of multimeters, as Keysight 344xx, Keithley DMM6500, Rigol DM3000, Siglent have it
        "generic": Dialect(
            ask={
                "voltage": "MEAS:VOLT:DC?",
                "current": "MEAS:CURR:DC?",
                "resistance": "MEAS:RES?",
                "temperature": "MEAS:TEMP?",
            },
            tell={},
            most={},
            accuracy={},
            floor={},
        ),
        # data sheet of the 2450, one year, ranges of 20 V, 1 A and 20 kohm: 0.015 % + 1 mV, 0.03 % + 500 uA,
        # 0.045 % + 1 ohm
        "keithley_2450": Dialect(
            ask={"voltage": ":MEAS:VOLT?", "current": ":MEAS:CURR?", "resistance": ":MEAS:RES?"},
            tell={},
            most={},
            accuracy={
                "voltage": 1.5e-4 * _HALF_WIDTH,
                "current": 3e-4 * _HALF_WIDTH,
                "resistance": 4.5e-4 * _HALF_WIDTH,
            },
            floor={"voltage": 1e-3 * _HALF_WIDTH, "current": 5e-4 * _HALF_WIDTH, "resistance": 1.0 * _HALF_WIDTH},
        ),
    }
)
"""Questions by family. Where no data sheet holds for all models, readings have no ``sem``."""


class ScpiMeterOptions(ScpiOptions):
    """A meter.

    Attributes:
        dialect: ``generic`` (SCPI-99) or ``keithley_2450``.
        accuracy: standard uncertainty relative to the value, by quantity, from the meter's own certificate.
        floor: standard uncertainty near zero, by quantity, in V, A, ohm or degC.
    """

    kind: Literal["scpi_meter"] = "scpi_meter"
    dialect: Model = "generic"
    timeout: float = Field(10.0, gt=0.0, le=60.0)
    accuracy: Mapping[Quantity, float] = Field(default_factory=dict)
    floor: Mapping[Quantity, float] = Field(default_factory=dict)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The meter, not yet connected."""
        return ScpiMeter(name, self, wiring)


class ScpiMeter(ScpiDevice):
    """A meter.

    Attributes to read: ``voltage`` (V), ``current`` (A), ``resistance`` (ohm), ``temperature`` (degC), as the model has
    them. A meter sets nothing, and its safe state is any: it does not touch the output of a source meter.
    """

    def __init__(self, name: str, options: ScpiMeterOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        dialect = DIALECTS[options.dialect]
        self._questions = dialect.ask
        accuracy: dict[str, float] = {
            **dialect.accuracy,
            **{str(key): value for key, value in options.accuracy.items()},
        }
        floor: dict[str, float] = {**dialect.floor, **{str(key): value for key, value in options.floor.items()}}
        self._attributes = MappingProxyType(
            {
                key: Attribute(key, unit, accuracy=accuracy.get(key, 0.0), floor=floor.get(key, 0.0))
                for key, unit in _UNITS.items()
                if key in self._questions
            }
        )

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """By the model."""
        return self._attributes

    def make_safe(self) -> Safety:
        """Nothing to do: a meter acts on nothing."""
        return Safety(True, "a meter acts on nothing")

    def _read(self, attribute: Attribute) -> Value:
        return self._query(self._questions[attribute.name], parse_value)
