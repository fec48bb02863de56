"""Power supplies and source meters that speak SCPI, as current or voltage sources of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from pydantic import Field

from instruments.device import Attribute, Device, Identity, Safety, Value, Wiring
from instruments.drivers._scpi import Dialect, ScpiDevice, ScpiOptions, parse_switch, parse_value
from instruments.errors import CommunicationError, DeviceError, DeviceFault, LabError, ProtocolError
from instruments.transport.stream import Stream

Model: TypeAlias = Literal["generic", "rigol", "keithley_2450"]

SAFE_ATTEMPTS: Final = 3
_HALF_WIDTH: Final = 1.0 / math.sqrt(3.0)
_MEASURED: Final = ("measured_voltage", "measured_current")

DIALECTS: Final[Mapping[Model, Dialect]] = MappingProxyType(
    {
        # SCPI-99 volume 4, class of DC supplies, as Keysight, Rohde & Schwarz, Siglent, TDK-Lambda... have it
        "generic": Dialect(
            ask={
                "voltage": "VOLT?",
                "current": "CURR?",
                "output": "OUTP?",
                "measured_voltage": "MEAS:VOLT?",
                "measured_current": "MEAS:CURR?",
                "over_voltage": "VOLT:PROT?",
                "over_current": "CURR:PROT?",
            },
            tell={
                "voltage": "VOLT {}",
                "current": "CURR {}",
                "output": "OUTP {}",
                "over_voltage": "VOLT:PROT {}",
                "over_current": "CURR:PROT {}",
            },
            most={"voltage": "VOLT? MAX", "current": "CURR? MAX"},
            accuracy={},
            floor={},
        ),
        # DP800 programming guide; DP832 data sheet: readback 0.05 % + 10 mV and 0.15 % + 5 mA
        "rigol": Dialect(
            ask={
                "voltage": "VOLT?",
                "current": "CURR?",
                "output": "OUTP?",
                "measured_voltage": "MEAS:VOLT?",
                "measured_current": "MEAS:CURR?",
                "over_voltage": "VOLT:PROT?",
                "over_current": "CURR:PROT?",
            },
            tell={
                "voltage": "VOLT {}",
                "current": "CURR {}",
                "output": "OUTP {}",
                "over_voltage": "VOLT:PROT {};VOLT:PROT:STAT ON",
                "over_current": "CURR:PROT {};CURR:PROT:STAT ON",
            },
            most={"voltage": "VOLT? MAX", "current": "CURR? MAX"},
            accuracy={"measured_voltage": 5e-4 * _HALF_WIDTH, "measured_current": 1.5e-3 * _HALF_WIDTH},
            floor={"measured_voltage": 10e-3 * _HALF_WIDTH, "measured_current": 5e-3 * _HALF_WIDTH},
        ),
        # 2450 reference manual, SCPI command set, as a source of voltage with a limit of current; data sheet, one year,
        # ranges of 20 V and 1 A: 0.015 % + 1 mV and 0.03 % + 500 uA
        "keithley_2450": Dialect(
            ask={
                "voltage": ":SOUR:VOLT?",
                "current": ":SOUR:VOLT:ILIM?",
                "output": ":OUTP?",
                "measured_voltage": ":MEAS:VOLT?",
                "measured_current": ":MEAS:CURR?",
            },
            tell={"voltage": ":SOUR:VOLT {}", "current": ":SOUR:VOLT:ILIM {}", "output": ":OUTP {}"},
            most={"voltage": ":SOUR:VOLT? MAX", "current": ":SOUR:VOLT:ILIM? MAX"},
            accuracy={"measured_voltage": 1.5e-4 * _HALF_WIDTH, "measured_current": 3e-4 * _HALF_WIDTH},
            floor={"measured_voltage": 1e-3 * _HALF_WIDTH, "measured_current": 5e-4 * _HALF_WIDTH},
        ),
    }
)
"""Commands by family. Where no data sheet holds for all models, readings have no ``sem``."""


class ScpiSupplyOptions(ScpiOptions):
    """A power supply.

    Attributes:
        dialect: ``generic`` (SCPI-99), ``rigol`` (DP800) or ``keithley_2450``.
        channel: number of the output, where there are several (``INST:NSEL``).
        rated_voltage: the largest that the supply gives, V; asked of the supply where it is left out.
        rated_current: the same in A.
    """

    kind: Literal["scpi_supply"] = "scpi_supply"
    dialect: Model = "generic"
    channel: int | None = Field(None, ge=1, le=16)
    rated_voltage: float | None = Field(None, gt=0.0, le=1e4)
    rated_current: float | None = Field(None, gt=0.0, le=1e4)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The supply, not yet connected.

        Raises:
            LabError: the dialect does not know channels.
        """
        if self.channel is not None and self.dialect == "keithley_2450":
            raise LabError(f"{name}: this model has one output.", field="channel", mend="Leave it out.")
        return ScpiSupply(name, self, wiring)


class ScpiSupply(ScpiDevice):
    """A power supply.

    Attributes to read and set: ``voltage`` (V) and ``current`` (A), between which the output regulates; ``output``
    (``on`` or ``off``); ``over_voltage`` and ``over_current``, where it trips. To read: ``measured_voltage``,
    ``measured_current``. Safe is ``output`` off. Signs are those of its terminals.
    """

    def __init__(self, name: str, options: ScpiSupplyOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._channel, self._dialect = options.channel, DIALECTS[options.dialect]
        units = {"voltage": "V", "over_voltage": "V", "current": "A", "over_current": "A"}
        rated = {"V": options.rated_voltage, "A": options.rated_current}
        low = -math.inf if options.dialect == "keithley_2450" else 0.0
        self._attributes = {
            key: Attribute(key, unit, settable=True, low=low if key == "voltage" else 0.0, high=rated[unit] or math.inf)
            for key, unit in units.items()
            if key in self._dialect.tell
        }
        self._attributes["output"] = Attribute("output", settable=True, choices=("off", "on"))
        for key, unit in zip(_MEASURED, ("V", "A"), strict=True):
            accuracy, floor = self._dialect.accuracy.get(key, 0.0), self._dialect.floor.get(key, 0.0)
            self._attributes[key] = Attribute(key, unit, accuracy=accuracy, floor=floor)

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Set points up to what the supply says that it can give."""
        return self._attributes

    def make_safe(self) -> Safety:
        """Switch the output off, confirmed by ``OUTP?``.

        Raises:
            DeviceError: it did not answer in several attempts.
        """
        problem: DeviceError | None = None
        for _ in range(SAFE_ATTEMPTS):
            try:
                if not self._talk(self._off):
                    return Safety(True, "output off")
                problem = None
            except (CommunicationError, ProtocolError) as trouble:
                problem = trouble
        if problem is not None:
            raise problem
        return Safety(False, "the supply says that its output is still on")

    def _off(self, stream: Stream) -> bool:
        """Whether it is still on afterwards. Errors in the queue do not matter here: the answer does."""
        stream.write(self._dialect.tell["output"].format("OFF").encode() + b"\n")
        return parse_switch(self._ask(stream, self._dialect.ask["output"]), self.name)

    def _select(self) -> str:
        return "" if self._channel is None else f"INST:NSEL {self._channel}"

    def _learn(self, identity: Identity) -> None:
        for key, question in self._dialect.most.items():
            if not math.isinf(self._attributes[key].high):
                continue
            try:
                most = self._query(question, parse_value)
            except DeviceFault as problem:
                raise DeviceError(
                    f"{identity.model} does not say its largest {key}.",
                    device=self.name,
                    field=f"rated_{key}",
                    mend=f"Write `rated_{key}`.",
                ) from problem
            low = -most if self._attributes[key].low < 0.0 else 0.0
            self._attributes[key] = replace(self._attributes[key], low=low, high=most)

    def _read(self, attribute: Attribute) -> Value:
        question = self._dialect.ask[attribute.name]
        if attribute.choices:
            return "on" if self._query(question, parse_switch) else "off"
        return self._query(question, parse_value)

    def _write(self, attribute: Attribute, value: Value) -> None:
        word = value.upper() if isinstance(value, str) else f"{value:.8g}"
        for command in self._dialect.tell[attribute.name].split(";"):
            self._command(command.format(word))
        found = self._read(attribute)
        same = (
            found == value if isinstance(value, str) else math.isclose(float(found), value, rel_tol=1e-3, abs_tol=2e-3)
        )
        if not same:
            raise DeviceFault(f"{attribute.name} is {found}, not {value}.", device=self.name, code="not taken")
