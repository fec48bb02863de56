"""Making a rig safe: stage after stage, the current before the flow, each device in a thread of its own.

A device that does not answer holds up nobody: a stage ends when each of its devices has confirmed, has been cut off by
its relay, has been given up, or when its time is over. The controller and the guardian both run this.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from threading import Condition, Event, Thread, local
from typing import Final, Protocol, Self, TypeAlias

from instruments.device import Reading, Safety, Value
from instruments.errors import CommunicationError, InstrumentsError
from instruments.rig.brief import brief
from instruments.rig.names import Place
from instruments.rig.safety import OPEN, DeviceSafety, SafetyPlan, SafetyReport, State

logger = logging.getLogger(__name__)

PAUSE: Final = 0.1
"""Between two tries of one device, s."""
MOST_THREADS: Final = 3
"""Of one device that have not come back; further tries wait for them."""


class Securable(Protocol):
    """What making safe needs of a device."""

    name: str

    def make_safe(self) -> Safety:
        """Bring it to its safe state."""

    def set(self, name: str, value: Value) -> None:
        """Open a contact."""

    def read(self, name: str) -> Reading:
        """Look whether it is open."""


class Override(local):
    """Lets the thread that makes safe open a relay, whatever the rig permits."""

    def __init__(self) -> None:
        self._place: Place | None = None

    def permits(self, device: str, attribute: str, value: Value) -> bool:
        """Whether this thread is just opening this contact."""
        return self._place == Place(device, attribute) and value == OPEN

    def opening(self, place: Place) -> Self:
        """Use as a context: within it the contact may be opened."""
        self._place = place
        return self

    def __enter__(self) -> None:
        """Nothing more to do."""

    def __exit__(self, *problem: object) -> None:
        self._place = None


Alarm: TypeAlias = Callable[[str, BaseException], None]
"""Told of each try that failed, with the device's name and the problem."""


class Securing:
    """Makes devices safe by a plan; may be called from any thread and more than once, also at once.

    Args:
        devices: by name.
        plan: what is made safe when.
        override: which the devices' permit asks before it refuses an opening relay.
        failed: told of each try that failed.
    """

    def __init__(
        self,
        devices: Mapping[str, Securable],
        plan: SafetyPlan,
        override: Override | None = None,
        failed: Alarm | None = None,
    ) -> None:
        self.plan = plan
        self._devices, self._override, self._failed = devices, override or Override(), failed
        self._threads: dict[str, list[Thread]] = {}

    def run(
        self, reason: str, only: Iterable[str] | None = None, settled: Callable[[Iterable[str]], None] | None = None
    ) -> SafetyReport:
        """Make everything safe, or some of it. Takes at most the stages' time, and never raises for a device.

        Args:
            reason: for the report and the log.
            only: names of devices; all where it is not given.
            settled: told after each stage which of its devices can do no harm any more, before the next one begins:
                a flow that stops then breaks no condition that held for the current.
        """
        plan = self.plan if only is None else self.plan.only(only)
        began, stamp = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
        jobs: dict[str, _Job] = {}
        for stage in plan.stages:
            changed = Condition()
            stage_jobs = [self._start(name, changed, began) for name in stage]
            jobs.update((job.name, job) for job in stage_jobs)
            _wait(stage_jobs, changed, plan.bounds.stage)
            if settled is not None:
                settled([job.name for job in stage_jobs if job.result().confirmed])
        report = SafetyReport(reason, stamp, {name: job.result() for name, job in jobs.items()})
        _tell(report)
        return report

    def _start(self, name: str, changed: Condition, began: float) -> _Job:
        places = self.plan.disconnects.get(name, ())
        job = _Job(name, began, changed, bool(places))
        threads = self._threads[name] = [thread for thread in self._threads.get(name, []) if thread.is_alive()]
        if len(threads) >= MOST_THREADS:
            job.gave_up("earlier tries have not come back")
        else:
            thread = Thread(target=self._secure, args=(job,), name=f"safe {name}", daemon=True)
            threads.append(thread)
            thread.start()
        if places:
            Thread(target=self._disconnect, args=(job, places), name=f"cut off {name}", daemon=True).start()
        return job

    def _secure(self, job: _Job) -> None:
        """Ask a device until it confirms, is out of tries, or out of time."""
        bounds, problem = self.plan.bounds, "there is no such device"
        end = time.monotonic() + bounds.stage
        device = self._devices[job.name]
        for _ in range(bounds.tries):
            job.tries += 1
            try:
                found = device.make_safe()
            except Exception as trouble:  # noqa: BLE001  a driver's mistake must not end the making safe
                problem = str(trouble) if isinstance(trouble, InstrumentsError) else repr(trouble)
                logger.info("%s was not made safe yet: %s", job.name, problem)
                if self._failed is not None:
                    self._failed(job.name, trouble)
                job.answered = not isinstance(trouble, CommunicationError)
            else:
                job.answered = True
                if found.confirmed:
                    job.confirmed(found.detail)
                    return
                problem = found.detail
            if time.monotonic() + PAUSE >= end:
                break
            time.sleep(PAUSE)
        job.gave_up(problem)

    def _disconnect(self, job: _Job, places: tuple[Place, ...]) -> None:
        """Cut off what a device drives, unless the device is safe soon."""
        job.finished.wait(self.plan.bounds.disconnect_after)
        if job.safe:
            return
        problems = [problem for place in places if (problem := self._opened(place))]
        if problems:
            job.not_cut_off("; ".join(problems))
        else:
            job.cut_off(" and ".join(map(str, places)))

    def _opened(self, place: Place) -> str | None:
        """Open a contact and look whether it is; what went wrong, or ``None``."""
        relay, problem = self._devices[place.device], ""
        for _ in range(self.plan.bounds.tries):
            try:
                with self._override.opening(place):
                    relay.set(place.attribute, OPEN)
                found = relay.read(place.attribute).value
            except Exception as trouble:  # noqa: BLE001  see above
                problem = str(trouble) if isinstance(trouble, InstrumentsError) else repr(trouble)
                logger.info("%s was not opened yet: %s", place, problem)
            else:
                if found == OPEN:
                    return None
                problem = f"{place} reads {found!r}"
            time.sleep(PAUSE)
        return f"{place} was not opened ({problem})"


class _Job:
    """What is known of one device while it is made safe. Whoever changes it wakes the stage that waits."""

    def __init__(self, name: str, began: float, changed: Condition, can_be_cut_off: bool) -> None:
        self.name, self.tries = name, 0
        self.finished = Event()
        """Set when the device has confirmed or was given up."""
        self.safe = self.answered = False
        self._began, self._changed = began, changed
        self._cutting = can_be_cut_off
        self._disconnected = ""
        self._details: list[str] = []
        self._seconds: float | None = None

    @property
    def resolved(self) -> bool:
        """Whether a stage need not wait for it any longer."""
        return self.safe or bool(self._disconnected) or (self.finished.is_set() and not self._cutting)

    def confirmed(self, detail: str) -> None:
        with self._changed:
            self.safe = True
            self._details.insert(0, detail)
            self._seconds = self._elapsed() if self._seconds is None else self._seconds
            self.finished.set()
            self._changed.notify_all()

    def gave_up(self, problem: str) -> None:
        with self._changed:
            self._details.append(problem)
            self.finished.set()
            self._changed.notify_all()

    def cut_off(self, places: str) -> None:
        with self._changed:
            self._disconnected, self._cutting = places, False
            self._seconds = self._elapsed() if self._seconds is None else self._seconds
            self._changed.notify_all()

    def not_cut_off(self, problem: str) -> None:
        with self._changed:
            self._cutting = False
            self._details.append(problem)
            self._changed.notify_all()

    def result(self) -> DeviceSafety:
        with self._changed:
            state: State = "safe" if self.safe else "disconnected" if self._disconnected else "unsafe_unconfirmed"
            details = list(self._details) or [f"no answer within {self._elapsed():.1f} s"]
            if self._disconnected:
                details.append(f"{self._disconnected} is open")
            seconds = self._elapsed() if self._seconds is None else self._seconds
            return DeviceSafety(state, "; ".join(details), seconds, self.tries, self.answered)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def _wait(jobs: list[_Job], changed: Condition, seconds: float) -> None:
    """Until all devices of a stage are settled, or its time is over."""
    with changed:
        changed.wait_for(lambda: all(job.resolved for job in jobs), seconds)


def _tell(report: SafetyReport) -> None:
    """Into the log, by how bad it is."""
    for name, found in report.devices.items():
        if not found.confirmed:
            text = brief(f"{name} did NOT confirm that it is safe", found.detail.removeprefix(f"{name}: "))
            logger.critical("%s: %s", report.reason, text)
        elif found.state == "disconnected":
            logger.error("%s: %s was cut off: %s", report.reason, name, found.detail)
        else:
            logger.info("%s: %s is safe: %s", report.reason, name, found.detail)
