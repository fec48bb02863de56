"""The driver of New Era pumps."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import TYPE_CHECKING, Final

from instruments.device import Attribute, Identity, Safety, Value, Wiring
from instruments.drivers.new_era.dispensing import Direction, Dispense, Syringe, in_unit
from instruments.drivers.new_era.frames import MOVING, STATES, VOLUMES, digits, number, parse_version, parse_volume
from instruments.drivers.new_era.pumping import CODES, Pumping
from instruments.drivers.new_era.talk import Alarm
from instruments.errors import DeviceError, DeviceFault, DeviceTimeout, ExecutionCancelled, LimitError

if TYPE_CHECKING:
    from instruments.drivers.new_era.options import NewEraOptions

logger = logging.getLogger(__name__)

ROOT_3: Final = math.sqrt(3.0)
"""Of a data sheet's limit of error over its standard uncertainty, for a rectangular distribution."""
SPEED: Final[Mapping[str, float]] = {"NE-1000": 5.1005}
"""cm min-1 of the fastest plunger, by model (manual, chapter 12.5)."""
LOOK: Final = 0.2
"""Between looks at a pump that moves a volume, s of the laboratory."""


class NewEra(Pumping):
    """A syringe pump of the NE-1000 family. Its data sheet has an accuracy of 1 %, taken as rectangular limits.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: NewEraOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._syringe = Syringe(name, options.syringe_volume, options.syringe_volume)
        self._model = ""
        self._attributes = self._described()

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Rate, volumes, direction and state."""
        return self._attributes

    def _described(self) -> Mapping[str, Attribute]:
        area = math.pi * (self._options.diameter / 20.0) ** 2  # cm2
        fastest = area * SPEED.get(self._model, math.inf)
        capacity, accuracy = self._options.syringe_volume, 0.01 / ROOT_3
        step = VOLUMES[self._unit] * 1e-3
        found = [
            Attribute("rate", "mL/min", True, 0.0, fastest, (), accuracy, 0.0, "of pumping; 0 stops"),
            Attribute("direction", settable=True, choices=tuple(CODES), description="of the next pumping"),
            Attribute("volume", "mL", low=0.0, high=capacity or 9999.0, description="of one dispense; 0: without end"),
            Attribute("infused", "mL", accuracy=accuracy, floor=step, description="since the counters were cleared"),
            Attribute("withdrawn", "mL", accuracy=accuracy, floor=step, description="since the counters were cleared"),
            Attribute("diameter", "mm", description="inside of the syringe"),
            Attribute("state", choices=tuple(STATES.values())),
        ]
        if capacity is not None:
            found.append(Attribute("left", "mL", low=0.0, high=capacity, floor=step, description="in the syringe"))
        return {attribute.name: attribute for attribute in found}

    # Getting acquainted

    def connect(self) -> None:
        """Open the port, bring the pump into its mode, and tell it its syringe; moves nothing.

        Raises:
            DeviceError: it cannot be reached, is not what it should be, or pumps with another syringe.
        """
        self._guarded = True
        super().connect()
        self._keep()

    def identify(self) -> Identity:
        """Ask for model and firmware; these pumps have no serial number that they know.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        model, firmware = parse_version(self._command("VER").data, self.name)
        return Identity("New Era", model, "", firmware)

    def _learn(self, identity: Identity) -> None:
        self._model = identity.model
        self._attributes = self._described()
        wanted = digits(self._options.diameter) or ""
        if number(self._command("DIA").data, self.name) != float(wanted):
            self._command(f"DIA{wanted}")
            self._lose_count("it has another diameter than before")
        if parse_volume(self._command("VOL").data, self.name)[1] != self._unit:
            self._command(f"VOL{self._unit}")

    def _lose_count(self, why: str) -> None:
        if self._options.syringe_volume is not None:
            logger.warning("%s: %s; how much is left in the syringe is not known any more", self.name, why)
            self._syringe.content = None

    def _matters(self, alarm: Alarm) -> bool:
        pumping = self._pumping
        self._pumping = False  # whatever the alarm, it has stopped
        if alarm.code == "R":
            self._lose_count(alarm.text)
        return pumping or super()._matters(alarm)

    def close(self) -> None:
        """Let go of the port. A pump that stands is told that it need not watch any more; one that pumps will stop."""
        self._keep_no_longer()
        if self._guarded and self._options.watchdog and self.stream.is_open:
            with contextlib.suppress(DeviceError):
                if self._command("", attempts=1).prompt == "S":
                    self._command("SAF0", attempts=1)
        self._guarded = False
        super().close()

    # Reading and setting

    def _read(self, attribute: Attribute) -> Value:
        value = self._value(attribute.name)
        self._tell()
        return value

    def _value(self, name: str) -> Value:
        ways: Mapping[str, Callable[[], Value]] = {
            "state": lambda: STATES[self._prompt()],
            "rate": self._rate,
            "direction": lambda: self._direction_of(self._command("DIR").data),
            "diameter": lambda: number(self._command("DIA").data, self.name),
            "volume": self._target,
            "left": lambda: self._syringe.left(*self._counted()),
            "infused": lambda: self._counted()[0],
            "withdrawn": lambda: self._counted()[1],
        }
        return ways[name]()

    def _write(self, attribute: Attribute, value: Value) -> None:  # noqa: ARG002  a word is a direction, a number a rate
        self._tell()
        if isinstance(value, str):
            self._turn(value)
        elif value == 0.0:
            self._stop()
        else:
            self._pump(value)
        self._tell()

    def _turn(self, direction: str) -> None:
        if self._prompt() != "S":
            raise DeviceFault(
                "its direction cannot be changed while it pumps.",
                device=self.name,
                code="pumping",
                field="direction",
                mend="Set the rate to 0 first.",
            )
        self._command("PHN1")
        self._command(f"DIR{CODES[direction]}")
        if (stands := self._direction_of(self._command("DIR").data)) != direction:
            raise DeviceFault(
                f"its direction stands at {stands}.", device=self.name, code="direction", field="direction"
            )

    def rounded_rate(self, rate: float) -> float:
        """A rate as the pump can be told it: with four digits in the best of its units.

        Args:
            rate: mL min-1.

        Raises:
            LimitError: it is too small or too large for the pump's digits.
        """
        return self._told(rate)[2]

    def _pump(self, rate: float) -> None:
        """Pump without end, or until the syringe is empty (or full)."""
        prompt = self._prompt()
        if prompt in ("I", "W") and self._pumping and self._change(rate):
            return
        if prompt != "S":
            self._stop()
        direction = self._direction_of(self._command("DIR").data)
        counted = self._counted()
        volume = "0.000"
        if self._options.syringe_volume is not None:
            self._syringe.check(0.001 * VOLUMES[self._unit], direction, *counted)
            room = self._syringe.room(direction, *counted)
            volume, _ = in_unit(room, self._unit, self.name, down=True)
        self._program(volume, rate, direction)
        self._run(counted, float(volume) * VOLUMES[self._unit])

    # Volumes

    def dispense(self, volume: float, rate: float, direction: Direction = "infuse") -> Dispense:
        """Begin to move a volume; the pump stops by itself when it is done. Wait for that with :meth:`wait`.

        Args:
            volume: mL; rounded to four digits in the unit of the pump's counters.
            rate: mL min-1; rounded to four digits in the best of the pump's units.
            direction: ``infuse`` or ``withdraw``.

        Returns:
            What the pump was really told.

        Raises:
            LimitError: it is outside a limit, or more than is left or fits in; nothing moves.
            Interlocked: the rig does not permit it now; nothing moves.
            DeviceFault: it pumps already, refused, or has an alarm.
            CommunicationError: no answer. Whether the volume is moved is then found out from status and counters, and
                never by starting it again where it may have begun.
        """
        self._tell()
        text, actual = in_unit(volume, self._unit, self.name)
        told = self.rounded_rate(rate)
        for name, value in (("direction", direction), ("rate", rate), ("volume", actual)):
            self.allow(name, value)
        if (prompt := self._prompt()) != "S":
            raise DeviceFault(f"it is {STATES[prompt]}.", device=self.name, code="pumping", mend="Stop it first.")
        counted = self._counted()
        if self._options.syringe_volume is not None:
            self._syringe.check(actual, direction, *counted)
        self._program(text, rate, direction)
        self._tell()
        self._run(counted, actual)
        return Dispense(actual, told, direction, *counted)

    def wait(self, dispense: Dispense, cancelled: Event | None = None) -> float:
        """Wait until a volume is moved.

        Args:
            dispense: what :meth:`dispense` gave.
            cancelled: ends the waiting; the pump goes on.

        Returns:
            mL that the pump counted.

        Raises:
            ExecutionCancelled: it was.
            DeviceTimeout: it takes longer than it can.
            DeviceFault: an alarm, or the pump stopped before the volume was moved.
        """
        ended, pace = cancelled or Event(), self._wiring.pace
        limit = time.monotonic() + 1.2 * dispense.volume / dispense.rate * 60.0 / pace + 10.0
        while self._prompt() in MOVING:
            self._tell()
            if time.monotonic() > limit:
                raise DeviceTimeout(f"{dispense.volume:g} mL take longer than they can.", device=self.name)
            if ended.wait(max(LOOK / pace, 0.01)):
                raise ExecutionCancelled(f"{self.name}: the wait for {dispense.volume:g} mL was cancelled.")
        self._pumping = False
        self._tell()
        moved = dispense.moved(*self._counted())
        if moved < dispense.volume - self._step(dispense.volume + dispense.infused + dispense.withdrawn):
            raise DeviceFault(
                f"it stopped after {moved:.4g} of {dispense.volume:.4g} mL.", device=self.name, code="incomplete"
            )
        return moved

    def refill(self, volume: float | None = None) -> None:
        """Tell that the syringe was filled by hand: the counters begin anew. Moves nothing.

        Args:
            volume: that it holds now, mL; a full syringe where not given.

        Raises:
            LimitError: no ``syringe_volume`` was given, or the syringe does not hold as much.
            DeviceFault: it pumps.
        """
        capacity = self._options.syringe_volume
        if capacity is None:
            raise LimitError("its syringe has no volume.", device=self.name, field="syringe_volume", mend="Give it.")
        content = capacity if volume is None else volume
        if not 0.0 <= content <= capacity:
            raise LimitError(
                f"a syringe of {capacity:g} mL does not hold {content:g} mL.", device=self.name, field="left"
            )
        self._command("CLDINF")
        self._command("CLDWDR")
        self._syringe.content = content

    # Making safe

    def make_safe(self) -> Safety:
        """Stop the pump, and ask it whether it stands. Works in either mode of the pump.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        try:
            prompt = self._halted()
        except DeviceTimeout:  # perhaps it is in the other mode; the basic one hears both forms
            self._safe_form = not self._safe_form
            try:
                prompt = self._halted()
            finally:
                self._safe_form = self._options.watchdog > 0
        self._pumping = False
        alarm, self._untold = self._untold, None
        said = f"; {alarm.text}" if alarm is not None else ""
        return Safety(prompt == "S", f"it is {STATES[prompt]}{said}")
