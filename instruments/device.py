"""Devices: what every driver offers, the attributes that it reads and sets, and the limits that hold for each.

A driver knows one protocol. Whatever it sends that changes the world first passes :meth:`Device.allow`, which holds the
device's own range, the rig's limits, and the rig's permission (interlocks, the emergency stop, the lease): there is no
other way to a set point. Making safe needs no permission.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from pydantic import Field, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.errors import DeviceError, LabError, LimitError

Value: TypeAlias = float | str
"""Of an attribute: a number in its unit, or one of its choices."""

DEFAULT_TIMEOUT: Final = 1.0
"""Of an exchange with a device, s."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something of a device that has a value: a reading, or a setting.

    Attributes:
        name: within the device, such as ``flow``.
        unit: of its values; empty for choices.
        settable: whether it can be set.
        low: the smallest value that the device takes or can show.
        high: the largest.
        choices: the values, where they are words.
        accuracy: standard uncertainty relative to the value.
        floor: standard uncertainty near zero, in ``unit``; both are added in quadrature.
        description: for people.
    """

    name: str
    unit: str = ""
    settable: bool = False
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    accuracy: float = 0.0
    floor: float = 0.0
    description: str = ""

    def sem(self, value: float) -> float | None:
        """Standard uncertainty of a value; ``None`` where nothing is known of it."""
        return math.hypot(self.accuracy * value, self.floor) or None


@dataclass(frozen=True, slots=True)
class Reading:
    """A value as a device gave it.

    Attributes:
        value: a number in ``unit``, or a word.
        unit: of the value.
        sem: one standard uncertainty; ``None`` where it is not known.
        time: ``time.monotonic()`` when it came.
    """

    value: Value
    unit: str = ""
    sem: float | None = None
    time: float = field(default_factory=time.monotonic)

    @property
    def number(self) -> float:
        """The value as a number.

        Raises:
            TypeError: it is a word.
        """
        if isinstance(self.value, str):
            raise TypeError(f"{self.value!r} is no number")
        return self.value


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says that it is; empty texts where it does not say."""

    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class Safety:
    """What came of making a device safe.

    Attributes:
        confirmed: whether the device itself said afterwards that it is in its safe state.
        detail: what was read back, or why nothing was.
    """

    confirmed: bool
    detail: str


class Band(Declared):
    """Limits of an attribute in its unit; a missing one does not hold."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _not_crossed(self) -> Band:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise LabError(f"low ({self.low:g}) is above high ({self.high:g}).", field="low", mend="Exchange them.")
        return self


class Permit(Protocol):
    """Gives or refuses leave for each command that changes the world."""

    def __call__(self, device: str, attribute: str, value: Value) -> None:
        """Return, or raise.

        Raises:
            Interlocked: not now.
            LimitError: not this value.
        """


def anything_goes(device: str, attribute: str, value: Value) -> None:
    """Permit everything: for a device by itself, without a rig around it."""


def nobody_hears(device: str, problem: DeviceError) -> None:
    """Of an alarm: for a device by itself, which has nobody who could cut it off."""


@dataclass(frozen=True)
class Wiring:
    """What a rig gives to each of its devices.

    Attributes:
        permit: asked before every command that changes the world.
        alarm: called by a driver at once when it cannot talk with a device that may be driving something, before it
            tries again: whoever hears it can cut the device off meanwhile. Returns at once.
        transcripts: a folder for recordings of what goes over the wire; ``None`` records nothing.
        pace: seconds of the laboratory that pass in one real second; other than 1 only where instruments are emulated.
    """

    permit: Permit = anything_goes
    transcripts: Path | None = None
    pace: float = 1.0
    alarm: Callable[[str, DeviceError], None] = nobody_hears

    def record(self, device: str) -> Path | None:
        """The file of a device's transcript."""
        return None if self.transcripts is None else self.transcripts / f"{device}.jsonl"


class DeviceOptions(Declared, ABC):
    """The block of one device in a rig file: how to reach it, and its limits. Each driver has a subclass of its own.

    Entry-point group ``sabatier.drivers`` names these classes by their ``kind``.

    Attributes:
        kind: names the driver.
        limits: of its attributes, within those of the device itself.
        serial_number: what the device must say that it is; another one is refused.
    """

    kind: str
    limits: Mapping[str, Band] = Field(default_factory=dict)
    serial_number: str | None = None

    @property
    @abstractmethod
    def addresses(self) -> tuple[str, ...]:
        """Where the device is: ports and web addresses."""

    @abstractmethod
    def build(self, name: str, wiring: Wiring) -> Device:
        """The device, not yet connected.

        Raises:
            LabError: options contradict one another.
        """


class Device(ABC):
    """One instrument.

    Args:
        name: in its rig, for errors and transcripts.
        options: of the driver.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: DeviceOptions, wiring: Wiring) -> None:
        self.name, self._wiring = name, wiring
        self._limits, self._expected = options.limits, options.serial_number

    # What drivers write

    @property
    @abstractmethod
    def attributes(self) -> Mapping[str, Attribute]:
        """What can be read and set, by name. Ranges may become narrower once the device is connected."""

    @abstractmethod
    def connect(self) -> None:
        """Open the connection and prepare the device; moves nothing. May be called more than once.

        Raises:
            DeviceError: it cannot be reached, or is not what it should be.
        """

    @abstractmethod
    def identify(self) -> Identity:
        """Ask what it is; moves nothing.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """

    @abstractmethod
    def make_safe(self) -> Safety:
        """Bring it to its safe state and read that back. May be called at any time, from any thread, more than once.

        Needs no permission and no earlier :meth:`connect`.

        Raises:
            DeviceError: it did not answer, or refused: its state is not known.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection; may be called at any time, and more than once."""

    def _read(self, attribute: Attribute) -> Value:
        """Ask for a value.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        raise NotImplementedError(attribute.name)

    def _write(self, attribute: Attribute, value: Value) -> None:
        """Set a value that is allowed, and make sure that the device took it.

        Raises:
            DeviceError: it did not answer, or did not take the value.
        """
        raise NotImplementedError(attribute.name)

    # What everyone calls

    def read(self, name: str) -> Reading:
        """A value, with its unit and uncertainty.

        Raises:
            DeviceError: there is no such attribute, no answer, or one that is not understood.
        """
        attribute = self._attribute(name)
        value = self._read(attribute)
        sem = None if isinstance(value, str) else attribute.sem(value)
        return Reading(value, attribute.unit, sem)

    def set(self, name: str, value: Value) -> None:
        """Set a value: checked against all limits and the rig's permission, sent, and confirmed by the device.

        Args:
            name: of an attribute that can be set.
            value: in its unit, or one of its choices.

        Raises:
            LimitError: it is outside a limit; nothing was sent.
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceError: the device did not answer, or did not take the value.
        """
        attribute = self._attribute(name)
        if not attribute.settable:
            settable = ", ".join(a.name for a in self.attributes.values() if a.settable) or "nothing"
            raise LimitError(f"{name} cannot be set.", device=self.name, field=name, mend=f"What can be: {settable}.")
        self.allow(name, value)
        self._write(attribute, value)

    def check(self, name: str, value: Value) -> None:
        """Whether a value is within the device's range and the rig's limits; sends nothing, asks no permission.

        Raises:
            LimitError: it is not.
        """
        attribute = self._attribute(name)
        if attribute.choices:
            if value not in attribute.choices:
                known = ", ".join(attribute.choices)
                raise LimitError(f"{name} cannot be {value!r}.", device=self.name, field=name, mend=f"Known: {known}.")
            return
        if isinstance(value, str) or not math.isfinite(value):
            raise LimitError(f"{name} must be a number, not {value!r}.", device=self.name, field=name)
        mend = "Ask for a value within, or change `limits` in the rig file."
        allowed = [("the rig allows", band.low, band.high, mend) for band in self._bands(attribute)]
        for whose, low, high, remedy in [("the device takes", attribute.low, attribute.high, None), *allowed]:
            if (low is not None and value < low) or (high is not None and value > high):
                raise LimitError(
                    f"{name} = {_quantity(value, attribute.unit)} is outside what {whose}"
                    f" ({_range(low, high, attribute.unit)}).",
                    device=self.name,
                    field=name,
                    mend=remedy,
                )

    def _bands(self, attribute: Attribute) -> list[Band]:
        """The limits that hold for an attribute: its own, and where it can be set, those of readings in its unit.

        Whoever limits the ``flow`` of a controller means its set point too.
        """
        bands = [self._limits[attribute.name]] if attribute.name in self._limits else []
        if attribute.settable and attribute.unit:
            bands += [
                self._limits[other.name]
                for other in self.attributes.values()
                if other.name in self._limits and other.unit == attribute.unit and not other.settable
            ]
        return bands

    def allow(self, name: str, value: Value) -> None:
        """Check a value, and ask the rig for its permission. Drivers call this before whatever changes the world.

        Raises:
            LimitError: it is outside a limit.
            Interlocked: the rig does not permit it now.
        """
        self.check(name, value)
        self._wiring.permit(self.name, name, value)

    def _attribute(self, name: str) -> Attribute:
        try:
            return self.attributes[name]
        except KeyError:
            known = ", ".join(self.attributes) or "none"
            raise LimitError(
                f"there is no attribute {name!r}.", device=self.name, field=name, mend=f"Known: {known}."
            ) from None

    def _check_serial(self, identity: Identity) -> None:
        """Refuse another device than the rig file names.

        Raises:
            DeviceError: it is another one.
        """
        if self._expected is not None and identity.serial != self._expected:
            raise DeviceError(
                f"this is the device with serial number {identity.serial!r}, not {self._expected!r}.",
                device=self.name,
                field="serial_number",
                mend="Exchange the ports, or correct the rig file.",
            )

    def __enter__(self) -> Device:
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def _quantity(value: float, unit: str) -> str:
    return f"{value:g} {unit}".strip()


def _range(low: float | None, high: float | None, unit: str) -> str:
    if low is None or math.isinf(low):
        return f"at most {_quantity(high if high is not None else math.inf, unit)}"
    return f"at least {_quantity(low, unit)}" if high is None or math.isinf(high) else f"{low:g} to {high:g} {unit}"
