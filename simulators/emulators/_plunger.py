"""The plunger of a syringe pump: its program of phases, and what it moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from simulators.emulators.pace import Pace
from simulators.emulators.roles import Flow

Way: TypeAlias = Literal["INF", "WDR"]

RATES: Final[Mapping[str, float]] = MappingProxyType({"MM": 1.0, "UM": 1e-3, "MH": 1.0 / 60.0, "UH": 1e-3 / 60.0})
"""mL min-1."""
FASTEST: Final = 5.1005
"""Of the plunger, cm min-1."""
SLOWEST: Final = 0.004205 / 60.0
"""The same."""
PHASES: Final = 41


@dataclass
class Phase:
    """One phase of the program."""

    function: str = "RAT"
    rate: float = 1.0
    unit: str = "MM"
    volume: float = 0.0
    direction: Way = "INF"


@dataclass
class Memory:
    """What outlives a power failure."""

    diameter: float = 14.43
    unit: str | None = None
    phases: dict[int, Phase] = field(default_factory=dict)
    watchdog: int = 0


class Plunger:
    """Moves through the phases of its program, in the laboratory's time.

    Args:
        flow: the line that it pumps into.
        pace: of the laboratory.
        stalls: whether the motor stalls now; it is asked whenever the plunger moves.

    Attributes:
        moved: mL in each direction since the counters were cleared.
        delivered: mL that truly left the syringe, whatever the counters say.
    """

    def __init__(self, flow: Flow, pace: Pace, stalls: Callable[[], bool]) -> None:
        self.flow, self._pace, self._stalls = flow, pace, stalls
        self.memory = Memory()
        self.moved: dict[Way, float] = {"INF": 0.0, "WDR": 0.0}
        self.delivered = 0.0
        self.running = self.paused = self.purging = False
        self.number, self._done = 1, 0.0
        self._then = pace.now()

    def phase(self, number: int | None = None) -> Phase:
        """A phase of the program; the present one where no number is given."""
        return self.memory.phases.setdefault(self.number if number is None else number, Phase())

    @property
    def unit(self) -> str:
        """Of volumes."""
        return self.memory.unit or ("UL" if self.memory.diameter <= 14.0 else "ML")

    @property
    def factor(self) -> float:
        """mL in one unit of volume."""
        return 1e-3 if self.unit == "UL" else 1.0

    @property
    def rates(self) -> tuple[float, float]:
        """The slowest and the fastest, mL min-1."""
        area = math.pi * (self.memory.diameter / 20.0) ** 2
        return area * SLOWEST, area * FASTEST

    def speed(self) -> float:
        """mL min-1 of the present phase."""
        return self.rates[1] if self.purging else self.phase().rate * RATES[self.phase().unit]

    def advance(self) -> str:
        """Move up to now; the alarm that this raises, if any."""
        now = self._pace.now()
        minutes, self._then = (now - self._then) / 60.0, now
        while self.running and minutes > 0.0:
            if self._stalls():
                self.halt()
                return "S"
            phase, speed = self.phase(), self.speed()
            target = 0.0 if self.purging else phase.volume * self.factor
            step = min(speed * minutes, target - self._done) if target > 0.0 else speed * minutes
            self.moved[phase.direction] += step
            self.delivered += step if phase.direction == "INF" else -step
            self._done += step
            minutes -= step / speed
            if target > 0.0 and self._done >= target * (1.0 - 1e-9) and self._next():
                return "O"
        return ""

    def _next(self) -> bool:
        """Go on with the next phase, or end with the program; whether there is none."""
        self.number, self._done = self.number + 1, 0.0
        if self.number > PHASES or self.phase().function == "STP":
            beyond = self.number > PHASES
            self.halt()
            return beyond
        self.flow_on()
        return False

    def start(self, number: int, purging: bool) -> None:
        """Go on after a pause, or begin with a phase."""
        if not self.paused:
            self.number, self._done = number, 0.0
        if self.phase().function == "STP":
            return
        self.paused, self.running, self.purging = False, True, purging
        self._then = self._pace.now()
        self.flow_on()

    def flow_on(self) -> None:
        """Let the line have what the present phase says."""
        sign = 1.0 if self.phase().direction == "INF" else -1.0
        self.flow.set(sign * self.speed())

    def pause(self) -> None:
        """The first command to stop pauses, the next one ends the program."""
        if self.running and not self.purging:
            self.running, self.paused = False, True
            self.flow.set(0.0)
        else:
            self.halt()

    def halt(self) -> None:
        """End the program."""
        self.running = self.paused = self.purging = False
        self.number, self._done = 1, 0.0
        self.flow.set(0.0)

    def clear(self) -> None:
        """Begin to count anew."""
        self.moved = {"INF": 0.0, "WDR": 0.0}
