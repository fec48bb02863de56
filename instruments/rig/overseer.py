"""Looks after a running rig beside its monitors: readings that do not come, a halt by others, the guardian's life."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Event, Thread
from typing import Any, Final, Protocol

from instruments.rig.errors import LinkLost
from instruments.rig.gate import Gate
from instruments.rig.halting import Halting
from instruments.rig.interlocks import Breach, Conditions
from instruments.rig.link import GuardianLink
from instruments.rig.safety import SafetyReport
from instruments.rig.stopping import GUARDIAN

logger = logging.getLogger(__name__)

TICK: Final = 0.1
"""s between two looks."""
LATE: Final = 1.0
"""s after which a look that has not come back stops the heartbeat: what does not look is not alive."""


class Overseen(Protocol):
    """What of a rig is looked after."""

    tripped: Event
    halting: Halting

    @property
    def is_fenced(self) -> bool:
        """Whether the guardian has the rig."""

    def act(self, breaches: Iterable[Breach]) -> None:
        """Do what interlocks ask for."""

    def trip(self, reason: str, source: str) -> SafetyReport:
        """Make everything safe."""

    def fenced(self, why: str) -> None:
        """The guardian has the rig."""

    def hold(self, key: str, why: str) -> None:
        """Start nothing new."""

    def release(self, key: str) -> None:
        """Take back a hold."""


class Overseer:
    """Two threads: one looks, one tells the guardian that somebody does.

    Args:
        rig: that is looked after.
        gate: whose lease the guardian's answers extend.
        conditions: of the interlocks.
        link: to the guardian; without one nobody guards.
    """

    def __init__(self, rig: Overseen, gate: Gate, conditions: Conditions, link: GuardianLink | None) -> None:
        self._rig, self._gate, self._conditions, self._link = rig, gate, conditions, link
        self._stop = Event()
        self._looked = time.monotonic()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Start the guardian, then look.

        Raises:
            RigBusy: another process guards the rig.
            RigUnsafe: the guardian does not start.
        """
        tasks: dict[str, Callable[[], None]] = {"overseer": self._look}
        if self._link is not None:
            self._link.start()
            self._gate.lease_ends = float(self._link.beat()["lease_ends"])
            tasks["heartbeat"] = self._beat
        else:
            self._gate.lease_ends = None
        self._looked = time.monotonic()
        self._threads = [Thread(target=task, name=name, daemon=True) for name, task in tasks.items()]
        for thread in self._threads:
            thread.start()

    def report(self, report: SafetyReport) -> None:
        """Let the guardian know what a trip has come to; it goes on where this process ends."""
        if self._link is not None:
            try:
                self._link.report(report)
            except LinkLost as problem:
                logger.error("the guardian could not be told of the trip: %s", problem)

    def stop(self, confirmed: bool) -> None:
        """Look no more, and take leave of the guardian.

        Args:
            confirmed: whether all is safe; otherwise the guardian goes on trying.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join(2.0)
        if self._link is not None:
            self._link.goodbye(confirmed)

    def _look(self) -> None:
        while not self._stop.wait(TICK):
            self._looked = time.monotonic()
            if self._rig.tripped.is_set():
                if self._rig.halting.is_set:
                    self._obey()
                continue
            if self._rig.halting.is_set:
                self._obey()
            else:
                self._rig.act(self._conditions.overdue())

    def _obey(self) -> None:
        """Somebody else has halted the rig: the guardian makes it safe itself, for others this process does."""
        halt = self._rig.halting.read()
        if halt is None:
            return
        if GUARDIAN in halt.sources:
            self._rig.fenced(halt.reason)
        elif not self._rig.tripped.is_set():
            self._trip(halt.reason, halt.source)

    def _beat(self) -> None:
        """Tell the guardian that this process looks after the rig; one that is lost is started again once."""
        link, again = self._link, True
        if link is None:
            return
        while not self._stop.wait(link.period):
            if time.monotonic() - self._looked > LATE and not self._rig.is_fenced:
                logger.error("the rig is not being looked after; the guardian will see that")
                if self._rig.halting.is_set:
                    self._obey()  # the one who looks does not see that it has
                continue
            try:
                self._hear(link.beat(tripped=self._rig.tripped.is_set(), fenced=self._rig.is_fenced))
            except LinkLost as problem:
                if self._stop.is_set() or self._rig.tripped.is_set() or self._rig.halting.is_set:
                    return
                if not again or not self._restart(link, problem):
                    self._rig.trip(f"the guardian is lost ({problem})", "heartbeat")
                    return
                again = False

    def _hear(self, answer: Mapping[str, Any]) -> None:
        """What the guardian answers; the halted file says the same, but a disk may hang."""
        self._gate.lease_ends = float(answer["lease_ends"])
        if answer["state"] in ("acting", "halted"):
            self._rig.fenced("the guardian has taken the rig over")
        elif answer["stop"] is not None and not self._rig.tripped.is_set():
            self._trip(str(answer["stop"]), "emergency stop")

    def _trip(self, reason: str, source: str) -> None:
        """Trip in a thread of its own, since looking and beating go on."""
        Thread(target=self._rig.trip, args=(reason, source), name="trip", daemon=True).start()
        self._rig.tripped.wait(LATE)

    def _restart(self, link: GuardianLink, problem: LinkLost) -> bool:
        self._rig.hold("guardian", f"the guardian is lost ({problem}) and is started again")
        try:
            link.start()
            self._hear(link.beat())
        except Exception:  # whatever it is, nobody guards
            logger.exception("the guardian could not be started again")
            return False
        self._rig.release("guardian")
        logger.warning("the guardian was lost (%s) and has been started again", problem)
        return True
