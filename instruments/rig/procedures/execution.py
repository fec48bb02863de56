"""What the steps of a procedure work with: devices by role, waits, shared devices, stock, and places for results."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from instruments.device import Device, Reading, Value
from instruments.electrochemistry.setup import Setup
from instruments.errors import DeviceError, ExecutionCancelled, LabError, LabHalted
from instruments.lab import Context, Failure, Job, StepKind, Use
from instruments.rig.leases import Holder, Leases
from instruments.rig.ledger import Reservation
from instruments.rig.mounted import Mounted, MountedSamples
from instruments.rig.procedures.recorder import Recorder
from instruments.rig.procedures.step import READS, SETS, Site, Step, attribute_of
from instruments.rig.slots import Calendar

if TYPE_CHECKING:
    from instruments.rig.rig import Rig

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOK: Final = 0.05
"""s, between looks at what runs in other threads."""
PATIENCE: Final = 10.0
"""s, for threads that were told to stop; the cell is safe by then."""
_APPLIED: Final[Mapping[str, str]] = {
    "current": "current",
    "potential": "potential",
    "begin": "potential",
    "end": "potential",
    "vertex1": "potential",
    "vertex2": "potential",
}
"""Fields of techniques that set something, and the potentiostat's attribute that they set."""


class Point(Protocol):
    """What a potentiostat measured at one moment; see the driver."""

    time: float
    potential: float | None
    current: float | None
    cell_voltage: float | None


class Execution:
    """One attempt on one cell.

    Args:
        rig: started.
        site: the cell, with the rig file.
        job: what is executed.
        context: of the loop.
        stock: what was reserved for it.
        leases: of shared devices.
        recorder: of raw signals.
        calendars: of shared instruments, by name.
        mounted: what is in the cells.
    """

    def __init__(
        self,
        rig: Rig,
        site: Site,
        job: Job,
        context: Context,
        stock: Reservation,
        leases: Leases,
        recorder: Recorder,
        calendars: Callable[[str], Calendar],
        mounted: MountedSamples,
    ) -> None:
        self.rig, self.site, self.job, self.context = rig, site, job, context
        self.stock, self.recorder = stock, recorder
        self._holder = Holder(leases, context.lease, self.give_up, rig.clock.now)
        self.notes: dict[str, Any] = {}
        """Fields of the :class:`~instruments.electrochemistry.Setup` that the experiment found out."""
        self.accuracy: dict[str, float] = {}
        """Relative standard uncertainties of instruments that they state themselves; see ``Setup.accuracy``."""
        self.problems: list[str] = []
        """What went wrong and did not end the experiment."""
        self.failure: Failure | None = None
        """Set by a step where the experiment has failed, but goes through its remaining steps in good order."""
        self.prepared: Mounted | None = None
        """The sample that was made and is not mounted yet."""
        self.blank = ""
        """Where it is."""
        self.label_of_vial = ""
        """Of the sample that was handed over."""
        self.calendar = calendars
        self._mounted, self._stop = mounted, Event()
        self._step: Step | None = None
        self._began = rig.clock.now()

    # The cell

    @property
    def cell(self) -> str:
        """Its name."""
        return self.site.name

    @property
    def label(self) -> str:
        """Names the attempt, for instruments, vials and files."""
        return f"{self.job.campaign}-{self.job.experiment}-{self.context.attempt}"

    def has(self, role: str) -> bool:
        """Whether a device fills a role."""
        return self.site.has(role)

    def device(self, role: str) -> Any:
        """The device of a role, for what only its driver offers.

        Raises:
            LabError: no device fills it, or it is shared and not held.
        """
        device = self.rig.device(self.site.place(role).device)
        self._refuse_unheld(role, device.name)
        return device

    def set(self, role: str, value: Value, *, attribute: str | None = None) -> None:
        """Set something that the step has announced.

        Raises:
            LabError: the step has not announced it, or its device is shared and not held.
            LimitError, Interlocked, DeviceError: see :meth:`instruments.device.Device.set`.
        """
        place = self.site.place(role)
        name = attribute_of(place, role, attribute, SETS)
        device: Device = self.device(role)
        self.announced(device.name, name, value)
        device.set(name, value)

    def read(self, role: str, *, attribute: str | None = None) -> Reading:
        """Read something.

        Raises:
            DeviceError: see :meth:`instruments.device.Device.read`.
        """
        place = self.site.place(role)
        return self.rig.device(place.device).read(attribute_of(place, role, attribute, READS))

    def announced(self, device: str, attribute: str, value: Value) -> None:
        """Raise where the running step has not announced a set point.

        Raises:
            LabError: it has not: the dry run could not check it.
        """
        step = self._step
        if step is None or not any(point.covers(device, attribute, value) for point in step.sets):
            raise LabError(
                f"{device}.{attribute} = {value} is not among what this step has announced.",
                field=f"{device}.{attribute}",
                mend="Add it to `sets` of the step.",
            )

    def number(self, field: str) -> float | None:
        """A note of an earlier step as a number in SI units; ``None`` where it was not taken."""
        setup = Setup(**{field: self.notes[field]}) if field in self.notes else None
        return None if setup is None else float(getattr(setup, field).value)

    @property
    def mounted(self) -> Mounted:
        """What is in the cell."""
        return self._mounted.at(self.cell)

    def rig_state(self, mounted: Mounted) -> None:
        """What is in the cell from now on; remembered beyond the program's end."""
        self._mounted.put(self.cell, mounted)

    # Electrochemistry

    def technique(self, technique: Any, *, on_point: Callable[[Any], None] | None = None) -> Any:
        """Run a technique to its end and switch the cell off; interlocks see each point.

        Returns:
            The driver's record.

        Raises:
            LabError: the step has not announced what it applies.
            DeviceError: it failed; the cell is made safe.
        """
        (record,) = self.during(lambda stop: self.apply(technique, stop, on_point))
        return record

    def apply(self, technique: Any, stop: Event, on_point: Callable[[Any], None] | None = None) -> Any:
        """The same in a thread of :meth:`during`."""
        potentiostat = self.device("potentiostat")
        for field, attribute in _APPLIED.items():
            value = getattr(technique, field, None)
            if value is not None:
                self.announced(potentiostat.name, attribute, value)

        def seen(point: Any) -> None:
            for attribute in ("current", "potential", "cell_voltage"):
                value = getattr(point, attribute, None)
                if value is not None:
                    self.rig.observe(potentiostat.name, attribute, value)
            if on_point is not None:
                on_point(point)

        record = potentiostat.run(technique, on_point=seen, cancelled=stop)
        self.rig.cell_off(self.cell)
        return record

    def confirm_off(self) -> None:
        """Raise unless what drives the cell says itself that it is off; that a relay cuts it off is not enough.

        Raises:
            DeviceError: it does not say so.
            RigTripped: it did not answer, and the rig was tripped.
        """
        report = self.rig.cell_off(self.cell)
        self.go_on()
        for name, found in report.devices.items():
            if found.state != "safe":
                raise DeviceError(f"it does not say that it is off: {found.detail}.", device=name)

    # Time

    def now(self) -> float:
        """Laboratory seconds since the attempt began."""
        return self.rig.clock.now() - self._began

    def go_on(self) -> None:
        """Raise where the attempt must end.

        Raises:
            ExecutionCancelled: it was cancelled.
            RigTripped: the rig was tripped.
        """
        self.rig.go_on(self.context.cancelled)

    def give_up(self) -> None:
        """The same for waits in threads of :meth:`during`, which also end with each other."""
        self.go_on()
        if self._stop.is_set():
            raise ExecutionCancelled("it was told to stop.")

    def wait(self, seconds: float) -> None:
        """Wait for laboratory seconds; raises like :meth:`go_on`."""
        self.rig.wait(seconds, self.context.cancelled)

    def sleep(self, seconds: float, stop: Event) -> None:
        """Wait for laboratory seconds in a thread of :meth:`during`.

        Raises:
            ExecutionCancelled: the threads were told to stop.
        """
        if stop.wait(self.rig.clock.real(seconds)):
            raise ExecutionCancelled("it was told to stop.")

    def until(self, role: str, low: float, high: float, timeout: float, *, attribute: str | None = None) -> Reading:
        """Wait until a reading is within bounds.

        Args:
            role: whose device is read.
            low: the lower bound.
            high: the upper bound.
            timeout: laboratory s.
            attribute: of the device.

        Raises:
            DeviceTimeout: it is not, in time.
        """
        from instruments.errors import DeviceTimeout

        end = self.now() + timeout
        while True:
            reading = self.read(role, attribute=attribute)
            if low <= reading.number <= high:
                return reading
            if self.now() >= end:
                raise DeviceTimeout(
                    f"{reading.number:g} {reading.unit} is not within {low:g} to {high:g} after {timeout:g} s.",
                    device=self.site.place(role).device,
                )
            self.wait(min(5.0, max(timeout / 100.0, 0.2 * self.rig.clock.pace)))

    def during(self, *calls: Callable[[Event], T]) -> list[T]:
        """Run calls at once, each in a thread, until all have ended.

        Where one raises, the execution is cancelled or the rig is tripped, the cell is made safe first, then all are
        told to stop and waited for.

        Args:
            calls: each is given the event that tells it to stop.

        Returns:
            What they returned.
        """
        stop = self._stop = Event()
        futures = [Future[T]() for _ in calls]
        threads = [
            Thread(target=_into, args=(future, call, stop), name=f"{self.cell} {number}", daemon=True)
            for number, (future, call) in enumerate(zip(futures, calls, strict=True), start=1)
        ]
        for thread in threads:
            thread.start()
        try:
            while True:
                done, running = wait(futures, timeout=LOOK, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if not running:
                    return [future.result() for future in futures]
                self.go_on()
        except BaseException as problem:
            stop.set()
            self.make_safe(problem)
            end = time.monotonic() + PATIENCE
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
                if thread.is_alive():
                    logger.error("%s does not end although it was told to", thread.name)
            raise

    # Shared devices and stock

    def lease(self, *roles: str) -> AbstractContextManager[None]:
        """Hold the devices of some roles, those that only this cell uses left out."""
        return self.holding(self.site.leases(roles))

    @property
    def used(self) -> Mapping[str, Use]:
        """What it had of each shared device so far."""
        return self._holder.used

    def waited(self, role: str, seconds: float) -> None:
        """Remember that the experiment waited so long for the time slots of a shared device, s."""
        self._holder.count(self.site.place(role).device, 0.0, seconds)

    def holding(self, devices: Iterable[str]) -> AbstractContextManager[None]:
        """Hold shared devices by name."""
        return self._holder.hold(devices)

    @contextmanager
    def take(self, needs: Mapping[str, float]) -> Iterator[Mapping[str, tuple[str, ...]]]:
        """Take stock while something is done; what is not declared in the rig file is not counted.

        Args:
            needs: by item, in mL or pieces.

        Yields:
            The places of pieces, by item.
        """
        declared = self.site.program.stock.items()
        with self.stock.taking({name: amount for name, amount in needs.items() if name in declared}) as places:
            yield places

    def journal(self, step: str, kind: StepKind) -> AbstractContextManager[None]:
        """Write down that something begins, and that it has ended."""
        return self.context.journal(step, kind)

    # The way out

    def enter(self, step: Step) -> None:
        """The step that runs from now on. Before it uses up the sample, that is written down."""
        self._step = step
        if step.kind != "idempotent" and not step.kept:
            self._mounted.change(self.cell, spoiled=True)
        logger.info("%s: %s", self.cell, step.name)

    def make_safe(self, problem: BaseException) -> None:
        """Make the cell safe because of a problem, current before flow; may be called more than once."""
        logger.warning("%s is made safe, because of this: %s", self.cell, problem)
        self.rig.make_safe_cell(self.cell)

    def halted(self) -> LabHalted | None:
        """Why the whole rig was tripped; ``None`` where it was not."""
        if not self.rig.tripped.is_set():
            return None
        try:
            self.rig.go_on()
        except LabHalted as problem:
            return problem
        return None

    def problem(self, text: str) -> None:
        """Note what went wrong and does not end the experiment."""
        logger.warning("%s: %s", self.cell, text)
        self.problems.append(text)

    def _refuse_unheld(self, role: str, device: str) -> None:
        if self.site.shared(role) and len(self.rig.file.cells) > 1 and device not in self._holder.held:
            raise LabError(
                f"{device} ({role}) is shared by the cells and not held.",
                field=f"shared.{role}",
                mend="Name it in `leases` of the step, or use it within `lease`.",
            )


def _into(future: Future[T], call: Callable[[Event], T], stop: Event) -> None:
    try:
        future.set_result(call(stop))
    except BaseException as problem:  # noqa: BLE001  it is raised in the thread that waits
        future.set_exception(problem)
