"""The ways on which a running rig becomes safe: asked to, tripped, one cell of it, or taken over by its guardian.

Nothing waits for a disk before it makes safe; what is written down is written beside it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Final

from instruments.rig.gate import Gate
from instruments.rig.halting import Halting
from instruments.rig.safety import DeviceSafety, SafetyReport
from instruments.rig.securing import Securing

logger = logging.getLogger(__name__)

SETTLE: Final = 0.3
"""s, after which sources of current are made safe once more: a command that was under way has arrived by then."""
AGAIN: Final = 2.0
"""s, after which devices that did not confirm are asked again."""
GUARDIAN: Final = "guardian"
"""The source of a halt with which the guardian takes the rig over."""


class Stopping:
    """Makes a rig safe; may be called from any thread, and more than once.

    Args:
        gate: which is closed first.
        halting: where a trip is written down.
        securing: does it.
        told: called with the report of each trip, and with those of later tries.
    """

    def __init__(self, gate: Gate, halting: Halting, securing: Securing, told: Callable[[SafetyReport], None]) -> None:
        self.tripped = Event()
        self.reason = ""
        self.is_fenced = False
        self._gate, self._halting, self._securing, self._told = gate, halting, securing, told
        self._making, self._deciding = Lock(), Lock()
        self._done = Event()
        self._over = Event()
        self._whole: tuple[float, SafetyReport] | None = None
        self._report: SafetyReport | None = None
        plan = securing.plan
        self._longest = len(plan.stages) * plan.bounds.stage + 2.0

    def begin(self) -> None:
        """Forget an earlier run of the rig."""
        self.tripped.clear()
        self._done.clear()
        self._over.clear()
        self.reason, self.is_fenced, self._whole, self._report = "", False, None, None

    def end(self) -> None:
        """Ask devices that did not confirm no more."""
        self._over.set()

    def make_safe(self, reason: str) -> SafetyReport:
        """Make everything safe and permit nothing any more; a rig that does not confirm it is tripped."""
        self._gate.close(reason)
        if self.is_fenced:
            return self._of_the_guardian(reason)
        report = self.secured(reason)
        if report.confirmed or self.tripped.is_set():
            return report
        return self.trip(f"{reason}, which is not confirmed", "making safe")

    def last(self, reason: str) -> SafetyReport:
        """What came of the latest making safe of everything; empty where there was none."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return SafetyReport(reason, now, {}) if self._whole is None else self._whole[1]

    def part(self, devices: Iterable[str], reason: str) -> SafetyReport:
        """Make some devices safe; a rig on which one of them does not confirm is tripped."""
        if self.is_fenced or self.tripped.is_set():
            return self.make_safe(reason)
        report = self._run(reason, devices)
        if report.confirmed or self.tripped.is_set():
            return report
        return self.trip(f"{reason}, which {' and '.join(report.unconfirmed)} did not confirm", "making safe")

    def trip(self, reason: str, source: str) -> SafetyReport:
        """Make everything safe, and stay halted; a second trip waits for what the first one is doing."""
        self._gate.close(reason)
        with self._deciding:
            first = not self.tripped.is_set()
            if first:
                self.reason = reason
                self.tripped.set()
        note = Thread(target=self._write, args=(reason, source, None), name="halt", daemon=True)
        note.start()
        if not first:
            self._done.wait(self._longest)
            return self._report or self.make_safe(reason)
        logger.critical("the rig %s was tripped by %s: %s", self._halting.rig, source, reason)
        report = self.secured(reason)
        self._over.wait(SETTLE)
        report = report.updated(self._run(reason, self._securing.plan.currents))
        note.join(1.0)
        self._publish(reason, source, report)
        self._done.set()
        if not report.confirmed:
            Thread(target=self._again, args=(reason, source, report), name="make safe again", daemon=True).start()
        return report

    def fenced(self, why: str) -> bool:
        """The guardian has taken the rig over: this process touches it no more.

        Returns:
            Whether that is new.
        """
        with self._deciding:
            new, self.is_fenced = not self.is_fenced, True
            self.reason = self.reason or why
            self._gate.close(why)
            self.tripped.set()
        self._done.set()
        self._over.set()
        if new:
            logger.critical("the rig %s was taken from this process: %s", self._halting.rig, why)
        return new

    def secured(self, reason: str) -> SafetyReport:
        """Make everything safe. Who asks while that goes on gets the report of what goes on."""
        asked = time.monotonic()
        with self._making:
            if self._whole is not None and self._whole[0] >= asked:
                return self._whole[1]
            report = self._run(reason, None)
            self._whole = (time.monotonic(), report)
            return report

    def _run(self, reason: str, only: Iterable[str] | None) -> SafetyReport:
        report = self._securing.run(reason, only, self._gate.switched_off)
        self._gate.switched_off(name for name, found in report.devices.items() if found.confirmed)
        return report

    def _again(self, reason: str, source: str, report: SafetyReport) -> None:
        """Ask those that did not confirm until they do, or until the rig is let go."""
        while not report.confirmed and not self._over.wait(AGAIN):
            later = report.updated(self._run(reason, report.unconfirmed))
            if later.unconfirmed != report.unconfirmed:
                self._publish(reason, source, later)
            report = later

    def _publish(self, reason: str, source: str, report: SafetyReport) -> None:
        self._report = report
        self._write(reason, source, report)
        self._told(report)

    def _write(self, reason: str, source: str, report: SafetyReport | None) -> None:
        try:
            self._halting.write(reason, source, report)
        except OSError as problem:
            logger.critical("the halted state of the rig %s could not be written: %s", self._halting.rig, problem)

    def _of_the_guardian(self, reason: str) -> SafetyReport:
        """What the guardian wrote down, once it has."""
        end = time.monotonic() + self._longest
        while time.monotonic() < end:
            halt = self._halting.read()
            if halt is not None and halt.report is not None:
                return SafetyReport.of(halt.report)
            time.sleep(0.05)
        unknown = DeviceSafety("unsafe_unconfirmed", "the guardian has not told yet", self._longest)
        return SafetyReport(reason, "", dict.fromkeys(self._securing.plan.devices, unknown))
