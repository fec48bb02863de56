"""The rig at run time: its devices, the gate that all commands pass, and the ways on which everything becomes safe.

What a procedure needs to know:

* Every command of a driver asks :class:`~instruments.rig.gate.Gate`; whoever is refused gets
  :class:`~instruments.errors.Interlocked`, and nothing was sent.
* What drives a current counts as on from its first permitted command until :meth:`Rig.cell_off` (or another way of
  making safe) has confirmed that it is off. As long as it does, interlocks with ``when: current`` are in force, and
  stopping the gas that one of them asks for is refused. So a procedure ends each technique with ``cell_off``, then
  stops the flow.
* Points of a running technique go to :meth:`Rig.observe`, so that interlocks see them at once.
* Each wait is a :meth:`Rig.wait`; a failed procedure calls :meth:`Rig.make_safe_cell` before it lets its exception go.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

from instruments.device import Device, Identity, Value, Wiring
from instruments.errors import DeviceError, ExecutionCancelled, LabError
from instruments.rig.attributes import check_attributes
from instruments.rig.brief import with_notes
from instruments.rig.claim import Claim
from instruments.rig.clock import RigClock
from instruments.rig.errors import RigBusy, RigHolds, RigTripped, RigUnsafe
from instruments.rig.file import RigFile
from instruments.rig.gate import Gate, always
from instruments.rig.halting import Halting
from instruments.rig.identifying import identified
from instruments.rig.interlocks import Breach, Conditions
from instruments.rig.link import GuardianLink
from instruments.rig.monitor import Monitor
from instruments.rig.names import near
from instruments.rig.overseer import Overseer
from instruments.rig.roles import CURRENT, HEATING
from instruments.rig.safety import SafetyReport
from instruments.rig.securing import Override, Securing
from instruments.rig.stopping import Stopping
from instruments.rig.views import CellView, SharedView

logger = logging.getLogger(__name__)

SLICE: Final = 0.05
"""The longest wait that looks at nothing, s."""


class Rig:
    """A rig. Nothing is opened before :meth:`start`.

    Args:
        file: what it consists of.
        folder: where its halted state, stock and calibrations are kept.
        fence: whether this process may still command the rig; asked before every command.
        ready: called when all devices are known and before anything may move; raises where a start must not be.
        guarded: whether a guardian is started. Only for devices that no other process can reach.

    Raises:
        LabError: file and devices do not fit together.
    """

    def __init__(
        self,
        file: RigFile,
        folder: Path,
        *,
        fence: Callable[[], bool] = always,
        ready: Callable[[], None] | None = None,
        guarded: bool = True,
    ) -> None:
        self.file, self.folder = file, folder
        self.clock = RigClock(file.pace)
        self.halting = Halting(folder, file.name)
        self.identities: Mapping[str, Identity] = {}
        """What each device says that it is, once the rig has started."""
        self._ready, self._guarded = ready, guarded
        override = Override()
        heaters = {name for role in HEATING for name in file.devices_of(role)}
        currents = {name: file.cells_of(name) for role in CURRENT for name in file.devices_of(role)}
        self._gate = Gate(currents, heaters, self.halting, override, self._unit, fence)
        transcripts = None if file.transcripts is None else folder / file.transcripts
        wiring = Wiring(self._gate, transcripts, file.pace, self._alarmed)
        self.devices: Mapping[str, Device] = {name: o.build(name, wiring) for name, o in file.options.items()}
        check_attributes(file, self.devices)
        self._conditions = Conditions(file.interlocks, self._gate.is_on)
        self._gate.conditions = self._conditions
        securing = Securing(self.devices, file.safety_plan, override)
        self._stopping = Stopping(self._gate, self.halting, securing, self._tell_guardian)
        self.tripped = self._stopping.tripped
        """Set when everything is being made safe for good; every wait honours it."""
        self._monitor = Monitor(self.devices, self._conditions, self.act)
        self._claim = Claim(folder / f"{file.name}.lock")
        self._holds: dict[str, str] = {}
        self._overseer: Overseer | None = None

    # Life

    def start(self) -> None:
        """Take hold of the rig: make everything safe first of all, then identify, then watch.

        Raises:
            RigHalted: it is halted; nothing was touched.
            RigBusy: another process controls it; nothing was touched.
            RigUnsafe: a device did not confirm that it is safe.
            DeviceError: a device is not what it should be.
            LabHolds: whoever uses the rig says that it must not start.
        """
        self.halting.refuse()
        self._take()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def reset(self, who: str) -> None:
        """End the halted state, once every device has said what it is and has confirmed that it is safe.

        Args:
            who: says that the rig was looked at.

        Raises:
            RigBusy: another process controls the rig.
            RigUnsafe: a device did not confirm; the rig stays halted.
            DeviceError: a device is not what it should be; the rig stays halted.
        """
        self._take()
        try:
            self._check_all("the rig is reset")
            self.halting.clear(who)
            logger.warning("the rig %s was reset by %s", self.file.name, who)
        finally:
            self.close()

    def hold_unstarted(self) -> bool:
        """Take hold of a rig that nobody controls, only to make it safe.

        Returns:
            Whether it is held; otherwise another process has it.
        """
        return self._claim.take()

    def _take(self) -> None:
        if self._claim.held:
            raise RigBusy(f"the rig {self.file.name} has been started already.", mend="Close it first.")
        if not self._claim.take(patience=1.0):
            holder = self._claim.holder()
            raise RigBusy(
                f"the rig {self.file.name} is controlled by another process"
                f" ({'unknown' if holder is None else holder.pid}).",
                mend="Stop that one first.",
            )

    def _check_all(self, why: str) -> GuardianLink | None:
        """Make everything safe first of all, and see that every device is what it should be."""
        link = GuardianLink(self.file, self.folder) if self._guarded else None
        if link is not None:
            link.relieve()  # one of an earlier controller may still hold ports
        self._stopping.begin()
        report = self._stopping.secured(why)
        if not report.confirmed:
            raise _unsafe(self.file.name, report)
        self.identities = identified(self.devices)
        return link

    def _begin(self) -> None:
        link = self._check_all("the rig starts")
        self.halting.refuse()  # an earlier guardian may have halted it while this process waited
        if self._ready is not None:
            self._ready()
        self._overseer = Overseer(self, self._gate, self._conditions, link)
        self._overseer.start()
        self._conditions.begin()
        self._gate.open()
        self._monitor.start()
        logger.info("the rig %s has started", self.file.name)

    def close(self) -> None:
        """Make everything safe and let go; may be called at any time, and more than once.

        Where something is not confirmed the rig is halted and the guardian goes on trying.
        """
        overseer, self._overseer = self._overseer, None
        confirmed = True
        if overseer is not None:
            confirmed = self._stopping.make_safe("the rig is closed").confirmed
        self._gate.close("the rig is closed")
        self._stopping.end()
        self._monitor.stop()
        for device in self.devices.values():
            device.close()
        if overseer is not None:
            overseer.stop(confirmed)
        self._claim.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    # What there is

    def device(self, name: str) -> Device:
        """A device by name.

        Raises:
            LabError: there is none of this name.
        """
        try:
            return self.devices[name]
        except KeyError:
            raise LabError(
                f"there is no device {name!r}.", field=f"devices.{name}", mend=near(name, self.devices)
            ) from None

    def cell(self, name: str) -> CellView:
        """A cell by name.

        Raises:
            LabError: there is none of this name.
        """
        if name not in self.file.cells:
            raise LabError(f"there is no cell {name!r}.", field=f"cells.{name}", mend=near(name, self.file.cells))
        return CellView(name, self.file.cells[name], self.devices)

    @property
    def shared(self) -> SharedView:
        """What all cells share."""
        return SharedView(self.file.shared, self.devices)

    # Time

    def wait(self, seconds: float, cancelled: Event | None = None) -> None:
        """Wait for seconds of the laboratory.

        Args:
            seconds: of the laboratory's clock.
            cancelled: ends the wait.

        Raises:
            RigTripped: the rig was tripped or made safe.
            ExecutionCancelled: the wait was cancelled.
        """
        end = time.monotonic() + self.clock.real(seconds)
        while True:
            self.go_on(cancelled)
            left = end - time.monotonic()
            if left <= 0.0:
                return
            self.tripped.wait(min(left, SLICE))

    def go_on(self, cancelled: Event | None = None) -> None:
        """Raise where a procedure must not go on.

        Raises:
            RigTripped: the rig was tripped or made safe.
            ExecutionCancelled: the execution was cancelled.
        """
        if self.tripped.is_set():
            raise RigTripped(f"the rig {self.file.name} was tripped: {self._stopping.reason}.")
        if cancelled is not None and cancelled.is_set():
            raise ExecutionCancelled("the execution was cancelled.")
        if (closed := self._gate.closed) is not None:
            raise RigTripped(f"the rig {self.file.name} permits nothing any more: {closed}.")

    # What may start

    def ready(self) -> None:
        """Raise where nothing new may start.

        Raises:
            RigHalted: the rig is halted or was tripped.
            RigHolds: an interlock of the action ``hold`` does not hold, or somebody holds the rig.
        """
        self.halting.refuse()
        self.go_on()
        for why in tuple(self._holds.values()):
            raise RigHolds(f"the rig {self.file.name} holds: {why}.", mend="It goes on when that is mended.")
        for interlock in self.file.interlocks:
            if interlock.action == "hold" and interlock.when == "always":
                breach = self._conditions.breach(interlock)
                if breach is not None:
                    raise RigHolds(
                        f"the rig {self.file.name} holds: {breach}.", mend="It goes on when the condition holds again."
                    )

    def hold(self, key: str, why: str) -> None:
        """Start nothing new until :meth:`release`."""
        logger.warning("the rig %s holds: %s", self.file.name, why)
        self._holds[key] = why

    def release(self, key: str) -> None:
        """Take back a :meth:`hold`."""
        self._holds.pop(key, None)

    # Readings

    def observe(self, device: str, attribute: str, value: Value) -> None:
        """Let the interlocks see a value that came by another way than their own readings."""
        self.act(self._conditions.note(device, attribute, value))

    def act(self, breaches: Iterable[Breach]) -> None:
        """Do what interlocks ask for that do not hold."""
        for breach in breaches:
            if self._gate.closed is not None:
                return
            if breach.interlock.action == "trip":
                self.trip(str(breach), f"interlock {breach.interlock.name}")
            else:
                logger.warning("the rig %s holds: %s", self.file.name, breach)

    # Making safe

    def make_safe(self, reason: str = "the rig is made safe") -> SafetyReport:
        """Make every device safe, and permit nothing any more until the rig is started again.

        May be called at any time, from any thread, and more than once. A rig that this process has not taken hold of
        is left alone: it may be another one's.

        Returns:
            What each device confirmed. Where one did not, the rig is halted. Without a hold: what was last confirmed.
        """
        if not self._claim.held:
            return self._stopping.last(reason)
        return self._stopping.make_safe(reason)

    def make_safe_cell(self, cell: str) -> SafetyReport:
        """Make the devices of one cell safe, current before flow; what other cells use too is left alone.

        Where something is not confirmed the whole rig is tripped.
        """
        used = {name: {p.device for p in self.cell(name).roles.values()} for name in self.file.cells}
        whole = {place.device for place in self.cell(cell).roles.values() if not place.attribute}
        others = set().union(*(devices for name, devices in used.items() if name != cell))
        return self._stopping.part(whole - others, f"{cell} is made safe")

    def cell_off(self, cell: str) -> SafetyReport:
        """Switch the current of one cell off and have that confirmed. Where it is not, the whole rig is tripped."""
        devices = {name for role in CURRENT for name in self.file.devices_of(role, cell)}
        return self._stopping.part(devices, f"{cell} is switched off")

    def trip(self, reason: str, source: str) -> SafetyReport:
        """Make every device safe in the declared order, and stay halted until a person resets the rig.

        Args:
            reason: in words.
            source: who found it.

        Raises:
            OSError: a rig that this process has not taken hold of is only halted, and that cannot be written.
        """
        if not self._claim.held:
            self.halting.write(reason, source)
            return self._stopping.last(reason)
        return self._stopping.trip(reason, source)

    def emergency_stop(self, reason: str = "emergency stop") -> SafetyReport:
        """Trip because somebody says so."""
        return self.trip(reason, "emergency stop")

    @property
    def is_fenced(self) -> bool:
        """Whether the guardian has taken the rig over."""
        return self._stopping.is_fenced

    def fenced(self, why: str) -> None:
        """The guardian has taken the rig over: touch nothing any more, and let go of the ports."""
        if self._stopping.fenced(why):
            for device in self.devices.values():
                device.close()

    def _alarmed(self, device: str, problem: DeviceError) -> None:
        """A driver cannot talk with its device: make it safe or cut it off while the driver goes on trying."""
        text = str(problem.args[0]).removeprefix(f"{device}: ").rstrip(".")
        why = f"{device} is made safe, because of this: {text}"
        Thread(target=self._stopping.part, args=((device,), why), name=f"alarm {device}", daemon=True).start()

    def _unit(self, device: str, attribute: str) -> str:
        return self.devices[device].attributes[attribute].unit

    def _tell_guardian(self, report: SafetyReport) -> None:
        if self._overseer is not None:
            self._overseer.report(report)


def _unsafe(rig: str, report: SafetyReport) -> RigUnsafe:
    names = report.unconfirmed
    problem = RigUnsafe(
        f"the rig {rig}: {len(names)} of {len(report.devices)} devices did not confirm that they are safe:"
        f" {', '.join(names)}.",
        devices=names,
        mend="Look at these devices, their power and their cables.",
    )
    return with_notes(problem, {name: report.devices[name].detail for name in names})
