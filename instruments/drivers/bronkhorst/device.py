"""The driver of Bronkhorst devices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import propar

from instruments.device import Attribute, Device, Identity, Safety, Value, Wiring
from instruments.drivers._gas import ROOT_3, Look, await_safe
from instruments.drivers.bronkhorst.bus import Parameter, shared_bus
from instruments.drivers.bronkhorst.units import bar_in, is_gauge, sccm_in
from instruments.errors import CommunicationError, DeviceError, DeviceFault, LimitError, ProtocolError

if TYPE_CHECKING:
    from instruments.drivers.bronkhorst.options import BronkhorstOptions

TRIES: Final = 2
"""Of what may be asked or set again."""
FULL: Final = 32000
"""Of the integer measure and set point: 100 %."""
TAKEN: Final = 1e-4
"""Of full scale, by which a set point that reads back may differ: integer set points have steps of 1 / 32000."""
FOLLOWING: Final = frozenset({0, 11, 18})
"""Control modes in which the valve follows the set point from the line."""
IDLE: Final = 4
"""Control mode in which the valve stays as it is."""
MODES: Final = {
    1: "its analogue input",
    2: "another device",
    3: "a closed valve",
    4: "a valve that stays",
    12: "no flow",
}
ALARMS: Final = {0x01: "an error", 0x80: "a fault of its hardware"}
"""Bits of the alarm information that make its values worthless."""
_UNKNOWN: Final = frozenset(("PP_STATUS_PROC_NUMBER", "PP_STATUS_PARM_NUMBER", "PP_STATUS_PARM_TYPE"))

_INT8, _INT16, _FLOAT, _STRING = propar.PP_TYPE_INT8, propar.PP_TYPE_INT16, propar.PP_TYPE_FLOAT, propar.PP_TYPE_STRING
MEASURE: Final = Parameter(1, 0, propar.PP_TYPE_BSINT16, "measure")
SETPOINT: Final = Parameter(1, 1, _INT16, "setpoint")
CONTROL_MODE: Final = Parameter(1, 4, _INT8, "control mode")
CAPACITY: Final = Parameter(1, 13, _FLOAT, "capacity")
FLUID: Final = Parameter(1, 17, _STRING, "fluid name")
ALARM: Final = Parameter(1, 20, _INT8, "alarm info")
UNIT: Final = Parameter(1, 31, _STRING, "capacity unit")
FMEASURE: Final = Parameter(33, 0, _FLOAT, "fmeasure")
FSETPOINT: Final = Parameter(33, 3, _FLOAT, "fsetpoint")
TEMPERATURE: Final = Parameter(33, 7, _FLOAT, "temperature")
MODEL: Final = Parameter(113, 2, _STRING, "model number")
SERIAL: Final = Parameter(113, 3, _STRING, "serial number")
FIRMWARE: Final = Parameter(113, 5, _STRING, "firmware version")
CHANNELLED: Final = frozenset({1, 33})
"""Processes of which a device with several channels has one each."""


class Bronkhorst(Device):
    """A mass-flow controller or meter (EL-FLOW), or a pressure controller (EL-PRESS), of Bronkhorst.

    Uncertainties are those of the data sheets of EL-FLOW Select (0.5 % of reading and 0.1 % of full scale) and EL-PRESS
    Select (0.5 % of full scale), each taken as the limits of a rectangular distribution; temperature within 1 degree.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: BronkhorstOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._options = options
        self._bus = shared_bus(name, options.port, options.settings, wiring.record(name))
        self._factor: float | None = None
        self._capacity = math.nan
        self._gauge = False
        self._has: Mapping[Parameter, bool] = {}
        self._attributes = self._described()

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Flow or pressure, set point, temperature and gas, as far as the device has them."""
        return self._attributes

    # Getting acquainted

    def connect(self) -> None:
        """Open the port, and learn what the device is and can; moves nothing.

        Raises:
            DeviceError: it cannot be reached, or is not what it should be.
        """
        self._check_serial(self.identify())
        self._acquaint()
        if self._options.controls != "meter":
            self._check_mode()
        gas = self._text(FLUID) if self._has.get(FLUID) else ""
        if self._options.gas is not None and gas != self._options.gas:
            raise DeviceError(
                f"it is set to {gas or 'no gas'}, and must be to {self._options.gas}.",
                device=self.name,
                field="gas",
                mend="Select the fluid on the device, or correct the rig file.",
            )

    def identify(self) -> Identity:
        """Ask for model, serial number and firmware.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        serial, model, firmware = (self._text(p) if self._knows(p) else "" for p in (SERIAL, MODEL, FIRMWARE))
        return Identity("Bronkhorst", model, serial, firmware)

    def close(self) -> None:
        """Let go of the line; the last device on it ends the library's threads."""
        self._bus.leave(self)

    def _acquaint(self) -> None:
        """Learn unit, full scale, and which parameters there are."""
        if self._factor is not None:
            return
        unit = self._text(UNIT)
        of_pressure = self._options.controls == "pressure"
        factor = bar_in(unit) if of_pressure else sccm_in(unit)
        if factor is None:
            other = sccm_in(unit) if of_pressure else bar_in(unit)
            raise DeviceError(
                f"its unit {unit!r} is {'not known' if other is None else 'not of ' + self._options.controls}.",
                device=self.name,
                field="controls" if other is not None else "unit",
                mend="Set its capacity unit to mln/min, ln/min or mls/min, or bara or barg; or correct `controls`.",
            )
        capacity = self._float(CAPACITY)
        if capacity <= 0.0:
            raise ProtocolError(f"a full scale of {capacity:g} {unit}.", device=self.name)
        self._has = {p: self._knows(p) for p in (FMEASURE, FSETPOINT, TEMPERATURE, ALARM, FLUID)}
        self._capacity, self._gauge, self._factor = capacity, is_gauge(unit), factor
        self._attributes = self._described()

    def _described(self) -> Mapping[str, Attribute]:
        controls = self._options.controls
        high = self._capacity * self._factor if self._factor is not None else math.inf
        scale = high if math.isfinite(high) else 0.0
        if controls == "pressure":
            kind = "above the atmosphere's" if self._gauge else "absolute"
            measured = Attribute("pressure", "bar", floor=0.005 * scale / ROOT_3, description=kind)
        else:
            measured = Attribute(
                "flow", "sccm", accuracy=0.005 / ROOT_3, floor=0.001 * scale / ROOT_3, description="mass flow"
            )
        found = [measured]
        if controls != "meter":
            found.append(
                Attribute(
                    "setpoint", measured.unit, settable=True, low=0.0, high=high, description="that its valve follows"
                )
            )
        if self._has.get(TEMPERATURE, True):
            found.append(Attribute("temperature", "degC", floor=1.0 / ROOT_3, description="of the gas"))
        if self._has.get(FLUID, True):
            found.append(Attribute("gas", description="that it reckons with"))
        return {attribute.name: attribute for attribute in found}

    def _check_mode(self) -> None:
        mode = self._int(CONTROL_MODE)
        if mode not in FOLLOWING and not (mode == IDLE and self._options.safe == "hold"):
            raise DeviceError(
                f"its valve follows {MODES.get(mode, 'something else')} (control mode {mode}), not the line.",
                device=self.name,
                field="setpoint",
                mend="Set its control mode to 0, the set point from the bus.",
            )

    # Reading and setting

    def alarms(self) -> int:
        """The bits of the alarm information; 0 where the device has none.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        self._acquaint()
        return self._int(ALARM) if self._has[ALARM] else 0

    def _read(self, attribute: Attribute) -> Value:
        self._acquaint()
        if attribute.name == "gas":
            return self._text(FLUID)
        if attribute.name == "temperature":
            return self._float(TEMPERATURE)
        if attribute.name == "setpoint":
            return self._setpoint()
        alarm = self.alarms()
        if worthless := [said for bit, said in ALARMS.items() if alarm & bit]:
            raise DeviceFault(
                f"it reports {worthless[0]}: its {attribute.name} is worth nothing.",
                device=self.name,
                code=f"alarm {alarm}",
                field=attribute.name,
            )
        return self._measure()

    def _measure(self) -> float:
        """Flow in sccm, or pressure in bar."""
        if self._has[FMEASURE]:
            return self._float(FMEASURE) * self._scale
        return self._int(MEASURE) / FULL * self._capacity * self._scale

    def _setpoint(self) -> float:
        if self._has[FSETPOINT]:
            return self._float(FSETPOINT) * self._scale
        return self._int(SETPOINT) / FULL * self._capacity * self._scale

    @property
    def _scale(self) -> float:
        if self._factor is None:
            raise ProtocolError("its unit is not known.", device=self.name)
        return self._factor

    def _write(self, attribute: Attribute, value: Value) -> None:
        if isinstance(value, str):
            raise LimitError(f"{attribute.name} is a number.", device=self.name, field=attribute.name)
        self._acquaint()
        mode = self._int(CONTROL_MODE)
        if mode == IDLE and self._options.safe == "hold":
            # what made it safe ends with the next set point that is permitted
            self._command(CONTROL_MODE, 0)
        else:
            self._check_mode()
        self._command_setpoint(value)

    def _command_setpoint(self, value: float) -> None:
        """Set the set point, and read it back. Setting it twice does no harm.

        Raises:
            DeviceFault: the device did not take it.
        """
        raw = value / self._scale
        if self._has[FSETPOINT]:
            self._command(FSETPOINT, raw)
        else:
            self._command(SETPOINT, round(raw / self._capacity * FULL))
        stands = self._setpoint()
        if abs(stands - value) > TAKEN * self._capacity * self._scale:
            unit = self._attributes["setpoint"].unit
            raise DeviceFault(
                f"it did not take the set point {value:g} {unit}: it stands at {stands:g} {unit}.",
                device=self.name,
                code="setpoint",
                field="setpoint",
            )

    # Making safe

    def make_safe(self) -> Safety:
        """Bring flow or pressure to its safe state, and wait within a bound until the device shows it.

        A flow controller gets its safe flow and a valve that follows it again, whatever it followed before; the flow
        itself must come down. A pressure controller does what ``safe`` says. A meter has no valve: it is safe as it is.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        options = self._options
        if options.controls == "meter":
            return Safety(True, "a meter: it has no valve")
        if options.controls == "pressure" and options.safe == "hold":
            self._command(CONTROL_MODE, IDLE)
            held = self._int(CONTROL_MODE) == IDLE
            return Safety(held, "its valve stays as it is" if held else "it does not say that its valve stays")
        if options.safe_target == 0.0:  # before anything is asked that may fail
            self._command(SETPOINT, 0)
        self._acquaint()
        try:
            self._command_setpoint(options.safe_target)
        except DeviceFault as fault:
            return Safety(False, str(fault))
        if self._int(CONTROL_MODE) not in FOLLOWING:
            self._command(CONTROL_MODE, 0)
        what, unit = ("flow", "sccm") if options.controls == "flow" else ("pressure", "bar")
        bound = options.safe_bound(self._capacity * self._scale, gauge=self._gauge)
        return await_safe(self._look, what, unit, bound, options.settle)

    def _look(self) -> Look:
        alarm, mode = self.alarms(), self._int(CONTROL_MODE)
        trouble = [said for bit, said in ALARMS.items() if alarm & bit]
        if mode not in FOLLOWING:
            trouble.append(f"control mode {mode}")
        return Look(self._measure(), self._setpoint(), ", ".join(trouble))

    # On the bus

    def _ask(self, parameter: Parameter) -> Any:
        """A value; asked again once where the wire failed."""
        for left in reversed(range(TRIES)):
            try:
                (value,) = self._bus.read(
                    self, self.name, self._options.node, self._options.timeout, [self._on_channel(parameter)]
                )
            except (CommunicationError, ProtocolError):
                if not left:
                    raise
            else:
                return value
        raise RuntimeError("unreachable: the last attempt returns or raises")

    def _command(self, parameter: Parameter, value: float) -> None:
        """Set a value; set again where the wire failed, which does no harm."""
        for left in reversed(range(TRIES)):
            try:
                self._bus.write(
                    self, self.name, self._options.node, self._options.timeout, self._on_channel(parameter), value
                )
            except (CommunicationError, ProtocolError):
                if not left:
                    raise
            else:
                return

    def _on_channel(self, parameter: Parameter) -> Parameter:
        if parameter.process not in CHANNELLED:
            return parameter
        process = parameter.process + self._options.channel - 1
        return Parameter(process, parameter.number, parameter.kind, parameter.name)

    def _knows(self, parameter: Parameter) -> bool:
        """Whether the device has a parameter."""
        try:
            self._ask(parameter)
        except DeviceFault as fault:
            if fault.code in _UNKNOWN:
                return False
            raise
        return True

    def _float(self, parameter: Parameter) -> float:
        value = self._ask(parameter)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ProtocolError(f"{value!r} for {parameter.name}.", device=self.name)
        return float(value)

    def _int(self, parameter: Parameter) -> int:
        return int(self._float(parameter))

    def _text(self, parameter: Parameter) -> str:
        value = self._ask(parameter)
        if not isinstance(value, str) or not value.isprintable():
            raise ProtocolError(f"{value!r} for {parameter.name}.", device=self.name)
        return value.strip()
