"""Sensor circuits EZO of Atlas Scientific in UART mode: pH, conductivity, redox potential, temperature.

Commands and answers are lines of ASCII that end with CR. What a command asks comes first, then ``*OK``; ``*ER`` refuses
it (EZO data sheets, chapters on UART mode). A circuit leaves the factory saying a reading each second; the first
command, ``C,0``, ends that, since readings would come between questions and answers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from instruments.device import Attribute, Device, Identity, Safety, Value, Wiring
from instruments.drivers._serial import STRAY, SerialDevice, SerialOptions, Timeout, number_of, text_of
from instruments.errors import DeviceFault, DeviceTimeout, LimitError, ProtocolError
from instruments.transport.stream import Stream

Sensor: TypeAlias = Literal["ph", "ec", "orp", "rtd"]

_HALF_WIDTH: Final = 1.0 / math.sqrt(3.0)
"""Standard uncertainty of what a data sheet gives as plus or minus one."""
_SENSORS: Final[Mapping[str, tuple[str, Attribute]]] = MappingProxyType(
    {
        "ph": ("PH", Attribute("ph", "", low=0.0, high=14.0, floor=0.002 * _HALF_WIDTH)),
        "ec": ("EC", Attribute("conductivity", "uS/cm", low=0.0, high=500e3, accuracy=0.02 * _HALF_WIDTH)),
        "orp": ("ORP", Attribute("orp", "mV", low=-1020.0, high=1020.0, floor=1.0 * _HALF_WIDTH)),
        "rtd": (
            "RTD",
            Attribute("temperature", "degC", low=-126.0, high=1254.0, accuracy=0.0017 * _HALF_WIDTH, floor=0.1),
        ),
    }
)
"""What the circuit calls itself, and what it reads. Accuracies are those of the circuits (data sheets: pH 0.002;
EC 2 %; ORP 1 mV; RTD 0.1 + 0.0017 T); that of a probe and its calibration comes on top."""

CALIBRATIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ph": ("mid", "low", "high", "clear"),
        "ec": ("dry", "single", "low", "high", "clear"),
        "orp": ("single", "clear"),
        "rtd": ("single", "clear"),
    }
)
"""Points of calibration of each sensor. ``mid`` of a pH probe comes first: it clears the others."""

_EVENTS: Final = ("*RS", "*RE", "*WA", "*SL", "*DONE")
_SUPPLY: Final = MappingProxyType({"*OV": "its supply voltage is too high", "*UV": "its supply voltage is too low"})
NO_PROBE: Final = -1023.0
"""What a temperature circuit says without a probe, degC."""


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a circuit.

    Attributes:
        kind: ``done`` (``*OK``), ``event``, ``answer`` (begins with ``?``) or ``reading``.
        words: between the commas.
    """

    kind: Literal["done", "event", "answer", "reading"]
    words: tuple[str, ...] = ()


def parse_line(line: bytes, device: str = "atlas_ezo") -> Said:
    """One line.

    Raises:
        DeviceFault: ``*ER``, or a supply voltage out of range.
        ProtocolError: it is no line of such a circuit.
    """
    text = text_of(line, device)
    if text == "*OK":
        return Said("done")
    if text == "*ER":
        raise DeviceFault("it does not take this command or value.", device=device, code="*ER")
    if text in _SUPPLY:
        raise DeviceFault(f"{_SUPPLY[text]}.", device=device, code=text)
    if text in _EVENTS:
        return Said("event", (text,))
    words = tuple(word.strip() for word in text.lstrip("?").strip(",").split(","))
    if text.startswith("?"):
        return Said("answer", words)
    for word in words:
        number_of(word, device)
    return Said("reading", words)


def reading_of(said: Sequence[Said], device: str = "atlas_ezo") -> float:
    """The first number of the one reading among lines.

    Raises:
        DeviceFault: no probe is connected.
        ProtocolError: there is none, or several.
    """
    readings = [one.words for one in said if one.kind == "reading"]
    if len(readings) != 1:
        raise ProtocolError(f"{len(readings)} readings instead of one.", device=device)
    value = number_of(readings[0][0], device)
    if value <= NO_PROBE:
        raise DeviceFault("no probe is connected.", device=device, code="no_probe", mend="Connect the probe.")
    return value


def answer_of(said: Sequence[Said], name: str, device: str = "atlas_ezo") -> tuple[str, ...]:
    """The words of the one answer ``?name,...`` among lines, without its name.

    Raises:
        ProtocolError: there is none, or it says nothing.
    """
    answers = [one.words for one in said if one.kind == "answer" and one.words[0].lower() == name]
    if len(answers) != 1 or len(answers[0]) < 2:
        raise ProtocolError(f"no answer ?{name}.", device=device)
    return answers[0][1:]


class AtlasEzoOptions(SerialOptions):
    """An EZO circuit.

    Attributes:
        sensor: ``ph``, ``ec``, ``orp`` or ``rtd``; another circuit is refused.
        reading_time: the longest time of a reading or a calibration, s; data sheets say at most 0.9 s.
    """

    kind: Literal["atlas_ezo"] = "atlas_ezo"
    sensor: Sensor = "ph"
    reading_time: Timeout = 1.5

    def build(self, name: str, wiring: Wiring) -> Device:
        """The circuit, not yet connected."""
        return AtlasEzo(name, self, wiring)


class AtlasEzo(SerialDevice):
    """A sensor circuit.

    Attributes to read: ``ph``, ``conductivity``, ``orp`` or ``temperature``, by its sensor. pH and conductivity are
    corrected for ``compensation``, the liquid's temperature, which can be set. A sensor's safe state is any.
    """

    def __init__(self, name: str, options: AtlasEzoOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self.sensor, self._reading_time = options.sensor, options.reading_time
        self._label, reads = _SENSORS[options.sensor]
        points = Attribute("calibration", choices=CALIBRATIONS[options.sensor], description="points, see calibrate")
        compensation = Attribute("compensation", "degC", settable=True, low=-126.0, high=1254.0)
        known = [reads, points, *([compensation] if options.sensor in ("ph", "ec") else [])]
        self._attributes = MappingProxyType({attribute.name: attribute for attribute in known})

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """By the sensor."""
        return self._attributes

    def identify(self) -> Identity:
        """Ask with ``i``.

        Raises:
            DeviceError: no answer, or another circuit than the options say.
        """
        words = self._query("i", "i")
        if len(words) != 2:
            raise ProtocolError(f"{','.join(words)!r} does not say what the circuit is.", device=self.name)
        if words[0].replace(".", "").upper() != self._label:
            raise ProtocolError(
                f"this is a circuit for {words[0]}, not for {self._label}.",
                device=self.name,
                field="sensor",
                mend="Correct `sensor`, or exchange the ports.",
            )
        return Identity("Atlas Scientific", f"EZO-{words[0]}", "", words[1])

    def calibrated(self) -> int:
        """The number of points that the circuit is calibrated at.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return int(number_of(self._query("Cal,?", "cal")[-1], self.name))

    def calibrate(self, point: str, value: float | None = None) -> int:
        """Calibrate at a point, with the probe in its standard.

        Args:
            point: one of :data:`CALIBRATIONS`.
            value: of the standard: pH, uS/cm, mV or degC; none for ``dry`` and ``clear``.

        Returns:
            The number of points that the circuit is calibrated at now.

        Raises:
            LimitError: there is no such point, or the value does not fit it; nothing was sent.
            Interlocked: the rig does not permit it.
            DeviceError: the circuit did not take it.
        """
        alone = point in ("dry", "clear")
        if alone != (value is None):
            raise LimitError(
                f"the point {point} takes {'no' if alone else 'a'} value.", device=self.name, field="calibration"
            )
        if value is not None:
            self.check(next(iter(self.attributes)), value)
        self.allow("calibration", point)
        words = ["Cal", *([] if point == "single" else [point]), *([] if value is None else [f"{value:.10g}"])]
        self._exchange(lambda stream: self._talk(stream, ",".join(words), self._reading_time))
        return self.calibrated()

    def make_safe(self) -> Safety:
        """Nothing to do: a sensor acts on nothing."""
        return Safety(True, "a sensor acts on nothing")

    def sleep(self) -> None:
        """Save power until the next command, which wakes it.

        Raises:
            DeviceError: it did not answer.
        """
        self._exchange(lambda stream: self._talk(stream, "Sleep", self._timeout, end=("*SL",)))
        self._prepared = False

    def _read(self, attribute: Attribute) -> Value:
        if attribute.name == "calibration":
            raise self._unreadable("calibration")
        if attribute.name == "compensation":
            return number_of(self._query("T,?", "t")[-1], self.name)
        return self._exchange(
            lambda stream: reading_of(self._talk(stream, "R", self._reading_time), self.name), attempts=2
        )

    def _write(self, attribute: Attribute, value: Value) -> None:
        self._exchange(lambda stream: self._talk(stream, f"T,{float(value):.2f}", self._timeout), attempts=2)
        found = float(self._read(attribute))
        if abs(found - float(value)) > 0.006:
            raise DeviceFault(
                f"asked for {value:g} degC it compensates for {found:g} degC.", device=self.name, code="not taken"
            )

    def _query(self, command: str, name: str) -> tuple[str, ...]:
        return self._exchange(
            lambda stream: answer_of(self._talk(stream, command, self._timeout), name, self.name), attempts=2
        )

    def _talk(self, stream: Stream, command: str, timeout: float, end: tuple[str, ...] = ()) -> list[Said]:
        """Send a command; what came until ``*OK``."""
        stream.write(command.encode() + b"\r")
        return self._until_done(stream, timeout, end)

    def _until_done(self, stream: Stream, timeout: float, end: tuple[str, ...] = ()) -> list[Said]:
        said: list[Said] = []
        deadline = time.monotonic() + timeout
        while len(said) < STRAY:
            one = parse_line(self._line(stream, deadline, b"\r"), self.name)
            if one.kind == "done" or one.words[:1] == end:
                return said
            said.append(one)
        raise ProtocolError(f"{STRAY} lines without *OK.", device=self.name)

    def _prepare(self, stream: Stream) -> None:
        """End readings unasked and turn codes on. A circuit that slept takes the first command only as a call."""
        stream.write(b"C,0\r")
        try:
            self._until_done(stream, self._timeout)
        except (DeviceTimeout, ProtocolError, DeviceFault):
            stream.clear()  # it slept, said a reading in between, or says no codes: the next two lines tell
        stream.write(b"*OK,1\r")
        self._await(stream, lambda line: line.strip() == b"*OK", ends=b"\r")
        self._talk(stream, "C,0", self._timeout)

    def _resync(self, stream: Stream) -> None:
        stream.write(b"i\r")
        self._await(stream, lambda line: line.strip().lower().startswith(b"?i,"), ends=b"\r")
        self._await(stream, lambda line: line.strip() == b"*OK", ends=b"\r")
