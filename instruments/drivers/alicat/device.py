"""The driver of Alicat devices."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from instruments.device import Attribute, Identity, Safety, Value, Wiring
from instruments.drivers._gas import Look, await_safe
from instruments.drivers._serial import Conversing
from instruments.drivers.alicat import units
from instruments.drivers.alicat.describe import PRESSURES, Scales, described, is_pressure
from instruments.drivers.alicat.frames import (
    CONTROLLED,
    INVALID,
    NOT_FOLLOWED,
    STATUS_WORDS,
    Column,
    Frame,
    Layout,
    parse_firmware,
    parse_frame,
    parse_full_scale,
    parse_gases,
    parse_layout,
    parse_maker,
    parse_setpoint,
)
from instruments.drivers.alicat.talk import GAS_QUERY, SETPOINT_QUERY, Talk
from instruments.errors import DeviceError, DeviceFault, DeviceTimeout, ProtocolError
from instruments.transport.shared import shared_stream
from instruments.transport.stream import Stream

if TYPE_CHECKING:
    from instruments.drivers.alicat.options import AlicatOptions

logger = logging.getLogger(__name__)

READBACKS: Final = 3
"""Polls within which the data frame must show a new set point."""


class Alicat(Conversing):
    """A mass-flow controller or meter, or a pressure controller, of Alicat.

    Uncertainties are those of the data sheets of the MC and PC series: flow within 0.8 % of reading and 0.2 % of full
    scale, pressure within 0.25 % (PC) or 0.5 % (MC) of full scale, temperature within 0.75 degrees Celsius. Each is
    taken as the limits of a rectangular distribution.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: AlicatOptions, wiring: Wiring) -> None:
        stream = shared_stream(name, options.port, options.settings, record=wiring.record(name))
        super().__init__(name, options, wiring, stream, options.timeout)
        self._options = options
        self._talk = Talk(name, options.unit, options.timeout, options.baudrate)
        self._scales = Scales(name, options.standard_temperature, options.normal_temperature)
        self._layout: Layout | None = None
        self._gases: Mapping[int, str] = units.GASES
        self._words: tuple[str, ...] = ()
        self._attributes = described(options, None, math.inf, self._gases)

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Flows, pressure, temperature, set point and gas, as far as the device has them."""
        return self._attributes

    # Getting acquainted

    def identify(self) -> Identity:
        """Ask for model, serial number and firmware.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return self._exchange(self._identify, attempts=2)

    def _identify(self, stream: Stream) -> Identity:
        self._frame_or_streaming(stream)
        try:
            said = parse_maker(self._talk.table(stream, "??M*", last="M09"))
        except (DeviceFault, DeviceTimeout):
            said = {}
        firmware = said.get("firmware", "")
        if not parse_firmware(firmware):
            try:  # some firmware is silent here, but not where the table of the maker has none
                firmware = " ".join(self._talk.ask(stream, "VE").split()[1:2])
            except (DeviceFault, DeviceTimeout):
                firmware = ""
        numbers = parse_firmware(firmware)
        if numbers is None:
            raise DeviceError(
                f"its firmware {firmware!r} is not known.",
                device=self.name,
                mend="Devices with firmware GP have another protocol, which this driver does not speak.",
            )
        self._talk.firmware = numbers
        return Identity("Alicat", said.get("model", ""), said.get("serial", ""), firmware)

    def _frame_or_streaming(self, stream: Stream) -> None:
        """Make sure that the unit answers polls; one that sends without being asked is told to stop."""
        if stream.clear(quiet=0.06, longest=0.3):
            self._stop_streaming(stream)
        try:
            self._talk.ask(stream, "")
        except (DeviceTimeout, ProtocolError):
            self._stop_streaming(stream)
            self._talk.ask(stream, "")

    def _stop_streaming(self, stream: Stream) -> None:
        stream.write(f"@@ {self._options.unit}\r".encode("ascii"))
        stream.clear(quiet=0.1, longest=1.0)

    def _resync(self, stream: Stream) -> None:
        self._talk.resync(stream)

    def _learn(self, identity: Identity) -> None:
        layout = self._known_layout()
        self._check_controls(layout, identity)
        full_scale = self._full_scale(layout)
        if layout.find("gas") is not None:
            self._gases = self._exchange(self._ask_gases, attempts=2) or units.GASES
        self._attributes = described(self._options, layout, full_scale, self._gases)
        frame = self._poll()
        if self._options.gas is not None and frame.gas != self._options.gas:
            raise DeviceError(
                f"it is set to {frame.gas or 'no gas'}, and must be to {self._options.gas}.",
                device=self.name,
                field="gas",
                mend="Select the gas on the device or by `gas`, or correct the rig file.",
            )

    def _ask_gases(self, stream: Stream) -> Mapping[int, str]:
        try:
            return parse_gases(self._talk.table(stream, "??G*"))
        except (DeviceFault, DeviceTimeout):
            return {}

    def _known_layout(self) -> Layout:
        if self._layout is None:
            rows = self._exchange(lambda stream: self._talk.table(stream, "??D*"), attempts=2)
            layout = parse_layout(rows, self.name)
            for column in layout.columns:
                self._scales.factor(column)
            self._layout = layout
        return self._layout

    def _check_controls(self, layout: Layout, identity: Identity) -> None:
        setpoint, controls = layout.find("setpoint"), self._options.controls
        found = "meter" if setpoint is None else "pressure" if is_pressure(setpoint) else "flow"
        if controls not in ("meter", found):
            raise DeviceError(
                f"{identity.model or 'it'} controls {found if setpoint else 'nothing'}, not {controls}.",
                device=self.name,
                field="controls",
                mend=f"Say `controls: {found}`, or exchange the device.",
            )
        firmware = self._talk.firmware
        if controls != "meter" and firmware is not None and firmware >= GAS_QUERY:
            source = self._exchange(lambda stream: self._talk.ask(stream, "LSS"), attempts=2).split()[-1]
            if source == "A":
                raise DeviceError(
                    "it takes its set point from its analogue input.",
                    device=self.name,
                    field="setpoint",
                    mend="Set its set point source to serial, in its menu.",
                )

    def _full_scale(self, layout: Layout) -> float:
        """Of what is controlled or metered, in this package's unit; infinite where nobody knows."""
        if self._options.full_scale is not None:
            return self._options.full_scale
        column = layout.find("setpoint") or layout.find("flow")
        if column is None:
            return math.inf
        if column.high is not None:
            return column.high * self._scales.factor(column)
        statistic = CONTROLLED.get(column.statistic or 0, column.statistic)
        try:
            line = self._exchange(lambda stream: self._talk.ask(stream, f"FPF {statistic}"), attempts=2)
        except DeviceFault:
            if self._options.controls == "meter":
                return math.inf
            raise DeviceError(
                "it does not say its full scale.",
                device=self.name,
                field="full_scale",
                mend="Give `full_scale` in the rig file.",
            ) from None
        value, unit = parse_full_scale(line, self.name)
        return value * self._scales.factor(Column(column.key, unit, statistic=column.statistic))

    # Reading and setting

    def status(self) -> tuple[str, ...]:
        """The words after the data frame, such as ``HLD``: see :data:`~.frames.STATUS_WORDS`.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return self._poll().words

    def _poll(self) -> Frame:
        layout = self._known_layout()
        return self._exchange(lambda stream: self._frame(self._talk.ask(stream, ""), layout), attempts=2)

    def _frame(self, line: str, layout: Layout) -> Frame:
        frame = parse_frame(line, layout, self.name)
        if frame.words != self._words:
            told = ", ".join(f"{word}: {STATUS_WORDS[word]}" for word in frame.words) or "nothing more"
            logger.info("%s says %s", self.name, told)
            self._words = frame.words
        return frame

    def _read(self, attribute: Attribute) -> Value:
        frame = self._poll()
        for word in frame.words:
            if attribute.name in INVALID.get(word, ()):
                raise DeviceFault(
                    f"{STATUS_WORDS[word]} ({word}): {attribute.name} is worth nothing.",
                    device=self.name,
                    code=word,
                    field=attribute.name,
                )
        return frame.gas if attribute.name == "gas" else self._ours(attribute.name, frame)

    def _ours(self, key: str, frame: Frame) -> float:
        return self._scales.value(key, frame, self._known_layout())

    def _write(self, attribute: Attribute, value: Value) -> None:  # noqa: ARG002  a word is a gas, a number the set point
        if isinstance(value, str):
            self._select(value)
            return
        if self._options.safe == "hold":  # what made it safe ends with the next set point that is permitted
            self._let_go()
        self._command_setpoint(value)
        self._check_followed()

    def _select(self, gas: str) -> None:
        """Select a gas by its name. Setting it twice does no harm."""
        code = next(code for code, name in self._gases.items() if name == gas)
        layout = self._known_layout()
        modern = self._talk.firmware is not None and self._talk.firmware >= GAS_QUERY

        def talk(stream: Stream) -> str:
            self._talk.ask(stream, f"GS {code}" if modern else f"G {code}")
            return self._frame(self._talk.ask(stream, ""), layout).gas

        taken = self._exchange(talk, attempts=2)
        if taken != gas:
            raise DeviceFault(
                f"it did not take the gas {gas}: it reckons with {taken}.", device=self.name, code="gas", field="gas"
            )

    def _command_setpoint(self, value: float) -> None:
        """Set the set point, and read it back. Setting it twice does no harm.

        Raises:
            DeviceFault: the device did not take it.
        """
        layout = self._known_layout()
        column = layout.find("setpoint")
        if column is None:
            raise ProtocolError("a data frame without a set point.", device=self.name)
        raw = value / self._scales.factor(column)
        step = 10.0**-column.decimals
        text = f"{raw:.{column.decimals + 2}f}"

        def talk(stream: Stream) -> float:
            if self._talk.firmware is not None and self._talk.firmware >= SETPOINT_QUERY:
                return parse_setpoint(self._talk.ask(stream, f"LS {text}"), self.name)
            stands = self._frame(self._talk.ask(stream, f"S {text}"), layout).values["setpoint"]
            for _ in range(READBACKS):
                if abs(stands - raw) <= step:
                    break
                stands = self._frame(self._talk.ask(stream, ""), layout).values["setpoint"]
            return stands

        stands = self._exchange(talk, attempts=2)
        if abs(stands - raw) > step:
            raise DeviceFault(
                f"it did not take the set point {raw:g} {column.unit}: it stands at {stands:g} {column.unit}.",
                device=self.name,
                code="setpoint",
                field="setpoint",
                mend="Check that its menu takes set points from the serial line, and that it is not locked.",
            )

    def _check_followed(self) -> None:
        words = self._poll().words
        if stopped := [word for word in words if word in NOT_FOLLOWED]:
            raise DeviceFault(
                f"it does not follow its set point: {STATUS_WORDS[stopped[0]]} ({stopped[0]}).",
                device=self.name,
                code=stopped[0],
                field="setpoint",
            )

    # Making safe

    def make_safe(self) -> Safety:
        """Bring flow or pressure to its safe state, and wait within a bound until the device shows it.

        A flow controller gets its safe flow, and a held valve is let go; the flow itself must come down, since a set
        point that reads back says nothing about a valve that is stuck. A pressure controller does what ``safe`` says.
        A meter has no valve: it is safe as it is.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        if self._options.controls == "meter":
            return Safety(True, "a meter: it has no valve")
        if self._options.controls == "pressure" and self._options.safe == "hold":
            return self._hold()
        target = self._options.safe_target
        if target == 0.0:  # before anything is asked that may fail
            self._exchange(lambda stream: self._talk.ask(stream, "S 0"), attempts=3)
        self._acquaint()
        try:
            self._command_setpoint(target)
        except DeviceFault as fault:
            return Safety(False, str(fault))
        self._let_go()
        return self._settled()

    def _let_go(self) -> None:
        """End the holding of a valve."""
        if {"HLD", "EXH"} & set(self._poll().words):
            self._exchange(lambda stream: self._talk.ask(stream, self._dialect("C", "$$C")), attempts=2)

    def _acquaint(self) -> None:
        """Learn firmware and layout, where no connecting did."""
        if self._talk.firmware is None:
            self.identify()
        self._known_layout()

    def _dialect(self, modern: str, old: str) -> str:
        return modern if self._talk.firmware is not None and self._talk.firmware >= SETPOINT_QUERY else old

    def _hold(self) -> Safety:
        self._acquaint()
        self._exchange(lambda stream: self._talk.ask(stream, self._dialect("HP", "$$H")), attempts=3)
        held = "HLD" in self._poll().words
        return Safety(held, "its valve is held" if held else "it does not say that its valve is held")

    def _settled(self) -> Safety:
        """Wait until what is controlled is where it is safe."""
        layout = self._known_layout()
        is_flow = self._options.controls == "flow"
        key = "flow" if is_flow else next(key for key in PRESSURES if layout.find(key))
        scale = self._attributes["setpoint"].high
        if is_flow and self._options.safe_below is None and not math.isfinite(scale):
            scale = self._full_scale(layout)

        def look() -> Look:
            frame = self._poll()
            worthless = (w for w in frame.words if key in INVALID.get(w, ()) or w in ("HLD", "EXH"))
            return Look(self._ours(key, frame), self._ours("setpoint", frame), " ".join(worthless))

        bound = self._options.safe_bound(scale, gauge=key != "pressure")
        return await_safe(look, key, "sccm" if is_flow else "bar", bound, self._options.settle)
