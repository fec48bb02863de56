"""What makes a pump move: its program, its start, its stop, and the decision whether a start was heard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from instruments.drivers.new_era.dispensing import Direction
from instruments.drivers.new_era.frames import (
    ALARMS,
    MOVING,
    RATES,
    VOLUMES,
    Unit,
    best_rate,
    digits,
    parse_dispensed,
    parse_rate,
    parse_volume,
)
from instruments.drivers.new_era.talk import ACKNOWLEDGED, Talking
from instruments.errors import CommunicationError, DeviceError, DeviceFault, LimitError, ProtocolError

logger = logging.getLogger(__name__)

SMALL: Final = 14.0
"""mm; a pump reckons in uL for syringes up to this diameter."""
FINE: Final = 1e-3
"""Relative error of a rate that is changed while pumping; for more the pump is stopped, and told in another unit."""
CODES: Final[Mapping[str, str]] = {"infuse": "INF", "withdraw": "WDR"}


class Pumping(Talking):
    """A pump, as far as moving goes."""

    @property
    def _unit(self) -> Unit:
        """Of volumes: small syringes are reckoned in uL, whose counters end at 9999."""
        capacity = self._options.syringe_volume
        if capacity is None:
            return "UL" if self._options.diameter <= SMALL else "ML"
        return "UL" if capacity < 9.9 else "ML"

    def _prompt(self) -> str:
        prompt = self._command("").prompt
        self._pumping = self._pumping and prompt in MOVING
        return prompt

    def _rate(self) -> float:
        """At which it pumps now."""
        reply = self._command("RAT")
        if reply.prompt not in MOVING:
            return 0.0
        value, unit = parse_rate(reply.data, self.name)
        return value * RATES[unit]

    def _direction_of(self, data: str) -> Direction:
        found: dict[str, Direction] = {"INF": "infuse", "WDR": "withdraw"}
        if data not in found:
            raise ProtocolError(f"{data[:20]!r} where a direction should be.", device=self.name)
        return found[data]

    def _counted(self) -> tuple[float, float]:
        """Volumes infused and withdrawn, mL."""
        return parse_dispensed(self._command("DIS").data, self.name)

    def _target(self) -> float:
        """Volume of the program, mL; 0 without end."""
        value, unit = parse_volume(self._command("VOL").data, self.name)
        return value * VOLUMES[unit]

    def _stop(self) -> None:
        for _ in range(ACKNOWLEDGED):
            if self._halt() == "S":
                self._pumping = False
                return
        raise DeviceFault("it does not stop.", device=self.name, code="moving", field="rate")

    def _halt(self) -> str:
        """One command to stop: the first one pauses, the second one ends. What it does then."""
        return self._command("STP").prompt

    def _halted(self) -> str:
        """Stop until it says that it stands, as often as is sensible; then ask again."""
        for _ in range(ACKNOWLEDGED):
            try:
                if self._halt() == "S":
                    break
            except DeviceFault as fault:
                logger.warning("%s: %s", self.name, fault)
        return self._prompt()

    def _told(self, rate: float) -> tuple[str, str, float]:
        found = best_rate(rate) if rate > 0.0 else None
        if found is None:
            raise LimitError(
                f"a rate of {rate:g} mL/min cannot be told to the pump, which takes 0.001 uL/h to 9999 mL/min.",
                device=self.name,
                field="rate",
            )
        return found

    def _change(self, rate: float) -> bool:
        """Change the rate of a pump that pumps, in its present unit; whether that is fine enough."""
        _, unit = parse_rate(self._command("RAT").data, self.name)
        text = digits(rate / RATES[unit])
        if text is None or abs(float(text) * RATES[unit] - rate) > FINE * rate:
            return False
        self._command(f"RAT{text}")
        return self._rate() == float(text) * RATES[unit]

    def _program(self, volume: str, rate: float, direction: Direction) -> None:
        """Write the program: one phase, and a second one that ends it; and read it back."""
        text, unit, _ = self._told(rate)
        way = CODES[direction]
        if self._options.watchdog:  # another process that let go of the pump has told it not to watch
            self._command(f"SAF{self._options.watchdog}")
        for command in ("PHN1", "FUNRAT", f"VOL{volume}", f"RAT{text}{unit}", f"DIR{way}", "PHN2", "FUNSTP", "PHN1"):
            self._command(command)
        stands = (
            parse_volume(self._command("VOL").data, self.name),
            parse_rate(self._command("RAT").data, self.name),
            self._command("DIR").data,
        )
        if stands != ((float(volume), self._unit), (float(text), unit), way):
            raise DeviceFault(f"it did not take its program: {stands}.", device=self.name, code="program")

    def _run(self, counted: tuple[float, float], volume: float) -> None:
        """Start; where the answer is lost, find out whether it did, and start again only where it did not.

        Args:
            counted: infused and withdrawn before, mL.
            volume: that it will move, mL; 0 without end.
        """
        for left in (1, 0):
            self._pumping = True
            try:
                reply = self._exchange(lambda stream: self._ask(stream, "RUN"))
            except (CommunicationError, ProtocolError) as problem:
                if self._has_begun(counted, volume, problem):
                    return
                if not left:
                    raise
                continue
            if reply.alarm:
                self._alarmed(reply.alarm)
                self._untold = None
                raise DeviceFault(f"{ALARMS[reply.alarm]}: it did not start.", device=self.name, code=reply.alarm)
            self._pumping = reply.error is None
            self._accepted(reply, "RUN")
            return

    def _has_begun(self, counted: tuple[float, float], volume: float, problem: DeviceError) -> bool:
        """Whether a start was heard whose answer was lost.

        Raises:
            DeviceError: nobody can tell.
        """
        if self._prompt() in MOVING:
            self._pumping = True
            return True
        self._pumping = False
        self._tell()
        now = self._counted()
        if now != counted:
            return True
        if 0.0 < volume < self._step(max(counted) + volume):
            raise problem  # too little to show in the counters
        return False

    def _step(self, most: float) -> float:
        """Of a counter with four digits that has come to a volume, mL."""
        shown = digits(most / VOLUMES[self._unit]) or "9999"
        return float(10.0 ** -len(shown.partition(".")[2])) * VOLUMES[self._unit]
