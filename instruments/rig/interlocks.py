"""Interlocks: conditions over readings, and what happens where one does not hold.

A reading that cannot be had counts as one that is out of bounds, once it is older than the interlock allows: what
cannot be seen is not safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from instruments.device import Value
from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Quantity, Time
from instruments.errors import LabError

When: TypeAlias = Literal["always", "current", "heating"]
Action: TypeAlias = Literal["trip", "hold"]

SHORTEST_STALE: Final = 2.0
"""s; unless an interlock says otherwise, a reading is too old after this, or after four periods."""


class Interlock(Declared):
    """A condition over one reading.

    Attributes:
        name: for people.
        device: that is read.
        attribute: of the device.
        low: the smallest value that is allowed, in the attribute's unit.
        high: the largest.
        must_be: the word, or one of the words, that it must read.
        when: ``always``; only while a ``current`` may flow, which is then not switched on unless the condition holds;
            or only while something is ``heating``, likewise.
        cell: whose current is meant; all where it is not given.
        action: ``trip`` makes everything safe and halts; ``hold`` starts nothing new.
        after: so many readings in a row must be out of bounds.
        every: period of reading, in real time.
        stale: a reading older than this counts as out of bounds.
    """

    name: str = Field(min_length=1)
    device: str
    attribute: str
    low: float | None = None
    high: float | None = None
    must_be: tuple[str, ...] | None = None
    when: When = "always"
    cell: str | None = None
    action: Action = "trip"
    after: int = Field(default=1, ge=1, le=100)
    every: Time = Quantity(0.5, "s")
    stale: Time | None = None

    @field_validator("must_be", mode="before")
    @classmethod
    def _one_word(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _possible(self) -> Interlock:
        numbers = self.low is not None or self.high is not None
        if numbers == (self.must_be is not None):
            raise LabError("give either `low` and `high`, or `must_be`.", field="must_be" if numbers else "low")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise LabError(f"low ({self.low:g}) is above high ({self.high:g}).", field="low", mend="Exchange them.")
        if not 0.05 <= self.every.value <= 60.0:
            raise LabError(f"{self.every.value:g} s is outside 0.05 to 60 s.", field="every")
        if self.stale is not None and self.stale.value < self.every.value:
            raise LabError("a reading is older than this before the next is taken.", field="stale")
        if self.cell is not None and self.when != "current":
            raise LabError("a cell is meant only with `when: current`.", field="cell")
        return self

    @property
    def oldest(self) -> float:
        """Age at which a reading counts as none, s."""
        return max(SHORTEST_STALE, 4.0 * self.every.value) if self.stale is None else self.stale.value

    def violation(self, value: Value) -> str | None:
        """What is wrong with a value, or ``None``."""
        shown = f"{self.device} {self.attribute} is {value if isinstance(value, str) else format(value, 'g')}"
        if self.must_be is not None:
            wanted = " or ".join(self.must_be)
            return None if value in self.must_be else f"{shown}, must be {wanted}"
        if isinstance(value, str):
            return f"{shown}, which is no number"
        if self.low is not None and not value >= self.low:  # a not-a-number is no value within bounds
            return f"{shown}, below {self.low:g}"
        if self.high is not None and not value <= self.high:
            return f"{shown}, above {self.high:g}"
        return None


@dataclass(frozen=True, slots=True)
class Breach:
    """An interlock that does not hold.

    Attributes:
        interlock: which one.
        reason: in words.
    """

    interlock: Interlock
    reason: str

    def __str__(self) -> str:
        return f"{self.interlock.name}: {self.reason}"


@dataclass(slots=True)
class _Watch:
    """What is known of one interlock.

    ``wrong`` is what the latest value breached, whatever the count; ``since`` is from when the age counts: the latest
    value, or the moment at which the interlock began to be in force.
    """

    value_at: float | None = None
    wrong: str | None = None
    count: int = 0
    since: float = 0.0
    problem: str = ""


class Conditions:
    """All interlocks of a rig, and their latest readings. Reads nothing itself; any thread may call it.

    Args:
        interlocks: in the file's order.
        in_force: whether an interlock is to be acted on now, which depends on what is switched on.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        interlocks: Iterable[Interlock],
        in_force: Callable[[Interlock], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interlocks = tuple(interlocks)
        self._in_force, self._clock = in_force, clock
        self._watches = {interlock.name: _Watch(since=clock()) for interlock in self.interlocks}
        self._lock = Lock()

    def begin(self) -> None:
        """Readings are taken from now on: forget what was, and give them time to come."""
        with self._lock:
            self._watches = {name: _Watch(since=self._clock()) for name in self._watches}

    def note(self, device: str, attribute: str, value: Value, at: float | None = None) -> list[Breach]:
        """Take a reading into account.

        Args:
            device: that was read.
            attribute: of it.
            value: in the attribute's unit.
            at: when it was taken, monotonic seconds; now where it is not given.

        Returns:
            The interlocks to act on.
        """
        at = self._clock() if at is None else at
        found = []
        for interlock in self._about(device, attribute):
            wrong = interlock.violation(value)
            with self._lock:
                watch = self._watches[interlock.name]
                if watch.value_at is not None and at < watch.value_at:
                    continue  # an older reading than the one that is known
                watch.value_at, watch.wrong, watch.problem = at, wrong, ""
                watch.count = 0 if wrong is None else watch.count + 1
                counted = watch.count
            if wrong is not None and counted >= interlock.after and self._in_force(interlock):
                found.append(Breach(interlock, wrong))
        return found

    def failed(self, device: str, attribute: str, problem: str) -> None:
        """A reading could not be had; its age tells when that is too long."""
        for interlock in self._about(device, attribute):
            with self._lock:
                self._watches[interlock.name].problem = problem

    def overdue(self) -> list[Breach]:
        """Interlocks in force whose reading is too old."""
        found = []
        for interlock in self.interlocks:
            if self._in_force(interlock) and (reason := self._too_old(interlock)):
                found.append(Breach(interlock, reason))
        return found

    def breach(self, interlock: Interlock) -> Breach | None:
        """What speaks against a condition at this moment, in force or not: no reading, or a wrong one."""
        with self._lock:
            watch = self._watches[interlock.name]
            known, wrong = watch.value_at is not None, watch.wrong
        if not known:
            return Breach(interlock, f"{interlock.device} {interlock.attribute} has not been read yet")
        reason = wrong or self._too_old(interlock)
        return Breach(interlock, reason) if reason else None

    def latest(self, device: str, attribute: str) -> float | None:
        """When a reading was last taken, monotonic seconds; ``None`` where none was."""
        with self._lock:
            times = [self._watches[interlock.name].value_at for interlock in self._about(device, attribute)]
        known = [at for at in times if at is not None]
        return max(known) if known else None

    def _too_old(self, interlock: Interlock) -> str | None:
        with self._lock:
            watch = self._watches[interlock.name]
            last = watch.since if watch.value_at is None else watch.value_at
            age, problem = self._clock() - last, watch.problem
        if age <= interlock.oldest:
            return None
        why = f" ({problem})" if problem else ""
        return f"{interlock.device} {interlock.attribute} could not be read for {age:.1f} s{why}"

    def _about(self, device: str, attribute: str) -> list[Interlock]:
        return [i for i in self.interlocks if i.device == device and i.attribute == attribute]
