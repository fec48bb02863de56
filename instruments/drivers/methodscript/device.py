"""A potentiostat that speaks MethodSCRIPT."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock
from typing import Final, Literal

from pydantic import Field

from instruments.device import DEFAULT_TIMEOUT, Attribute, Device, DeviceOptions, Identity, Safety, Value, Wiring
from instruments.drivers.methodscript.families import FAMILIES
from instruments.drivers.methodscript.protocol import parse_firmware, parse_package, parse_serial
from instruments.drivers.methodscript.reader import Reader, Run, voltage_of
from instruments.drivers.methodscript.record import Point, Record
from instruments.drivers.methodscript.scripts import Plan, currents_ranged, mode_set, potentials_ranged
from instruments.drivers.methodscript.talk import DEAF, Bounds, Ending, Script, Talk
from instruments.drivers.methodscript.techniques import Impedance, OpenCircuit, Technique
from instruments.errors import CommunicationError, DeviceError, DeviceFault, DeviceTimeout, ProtocolError
from instruments.transport.stream import SerialSettings, Stream

logger = logging.getLogger(__name__)

PATIENCE: Final = 8.0
"""Answers' time for which another thread's exchange is waited for."""
MARGIN: Final = 5.0
"""Answers' time that a script may take beyond its planned duration, and between its points."""
UNSUPPORTED: Final = frozenset({"0002", "001B", "0024", "4001", "4008", "4206", "4209"})
"""Errors that say that a type of variable cannot be measured."""
OFF: Final = "the cell is off: the instrument ran a script that switches it off, and said so"
SAFE_MEANWHILE: Final = "made safe"
CANCELLED: Final = "cancelled"


class MethodScriptOptions(DeviceOptions):
    """How a potentiostat is reached.

    Attributes:
        port: ``/dev/ttyACM0``, ``COM3``, ``socket://host:port``, ``rfc2217://host:port`` or ``replay://FILE``.
        family: of the instrument: ``espico``, ``es4_lr``, ``es4_hr`` or ``nexus1``; another one is refused.
        cell_voltage: where the voltage between the electrodes comes from: the variable ``ag`` (working against counter
            electrode) or ``ac`` (counter electrode against ground, where the working electrode is), ``auto`` for the
            first that the instrument can measure, or ``none``.
        baudrate: of a serial line; that of the family where it is missing.
        rtscts: whether the serial line has hardware flow control; as the family's has where it is missing. USB passes
            over it.
        timeout: of one answer, s.
    """

    kind: Literal["methodscript"] = "methodscript"
    port: str = Field(min_length=1)
    family: Literal["espico", "es4_lr", "es4_hr", "nexus1"]
    cell_voltage: Literal["auto", "ag", "ac", "none"] = "auto"
    baudrate: int | None = Field(None, ge=1200, le=4_000_000)
    rtscts: bool | None = None
    timeout: float = Field(DEFAULT_TIMEOUT, gt=0.0, le=60.0)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The port."""
        return (self.port,)

    def build(self, name: str, wiring: Wiring) -> MethodScriptPotentiostat:
        """The device, not yet connected."""
        return MethodScriptPotentiostat(name, self, wiring)


class MethodScriptPotentiostat(Device):
    """A potentiostat that speaks MethodSCRIPT: EmStat Pico, EmStat4 or Nexus.

    Attributes ``potential`` (V against the reference electrode), ``current`` (A, cathodic negative) and
    ``cell_voltage`` (V) are read: while a technique runs, its latest point; else measured with the cell as it is. What
    techniques apply is held to the limits of ``potential``, ``current`` and ``duration`` (s), and needs the rig's
    permission. Its safe state is the cell off.

    Args:
        name: in its rig.
        options: how it is reached.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: MethodScriptOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        family = self._family = FAMILIES[options.family]
        settings = SerialSettings(
            options.baudrate or family.baudrate,
            xonxoff=family.xonxoff,
            rtscts=not family.xonxoff if options.rtscts is None else options.rtscts,
        )
        self.stream = Stream(name, options.port, settings, record=wiring.record(name))
        self._talk = Talk(self.stream, options.timeout)
        self._timeout, self._pace = options.timeout, wiring.pace
        asked = options.cell_voltage
        self._counters = {"auto": family.counter, "none": ()}.get(asked, (asked,))
        self._counter: str | None = None
        self._counter_known = not self._counters
        self._choosing = asked == "auto"
        self._state = Lock()
        self._run: Run | None = None

    # What every device offers

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """What can be read; ranges are those of the family."""
        family = self._family
        found = [
            Attribute(
                "potential", "V", low=family.low, high=family.high, accuracy=family.accuracy, floor=family.offset,
                description="of the working electrode against the reference electrode, as recorded",
            ),
            Attribute(
                "current", "A", low=-family.current, high=family.current, accuracy=family.accuracy,
                floor=min(family.ranges.values()), description="cathodic negative",
            ),
            Attribute("duration", "s", low=0.0, description="of a technique; for how long the present one has run"),
        ]  # fmt: skip
        if self._counters and not (self._counter_known and self._counter is None):
            found.append(
                Attribute(
                    "cell_voltage", "V", accuracy=family.accuracy, floor=2.0 * family.offset,
                    description="between counter and working electrode, positive in electrolysis",
                )
            )  # fmt: skip
        return {attribute.name: attribute for attribute in found}

    def connect(self) -> None:
        """Open the port, and make sure that this is the device; moves nothing.

        Raises:
            DeviceError: it cannot be reached, is not what it should be, or runs a script.
        """
        self._check_serial(self.identify())

    def identify(self) -> Identity:
        """Ask what it is.

        Raises:
            DeviceError: no answer, one that is not understood, another family, or it runs a script.
        """
        with self._held():
            firmware = parse_firmware(self._talk.ask("t", "*"), self.name)
            serial = parse_serial(self._talk.ask("i"), self.name)
        found = FAMILIES.get(firmware.family)
        if found is not self._family:
            raise DeviceError(
                f"this is {found.model if found else repr(firmware.family)}, not {self._family.model}.",
                device=self.name,
                field="family",
                mend=f"Write family: {firmware.family}." if found else "Exchange the ports.",
            )
        return Identity("PalmSens", found.model, serial, firmware.version)

    def make_safe(self) -> Safety:
        """Abort what runs, and switch the cell off with a script that says so; from any thread.

        Takes some 40 times the time of one answer at the most, whatever the instrument does.

        Raises:
            DeviceError: the instrument did not confirm it: the cell may be on.
        """
        run = self._run
        if run is not None:
            run.stop.set()
            try:
                self._talk.abort()
            except CommunicationError as problem:
                logger.warning("%s", problem)  # below the connection is opened again
            time.sleep(DEAF)  # where its script ended just before, the abort was an error
        with self._held("its measurement does not let go of it: the cell is not known to be off"):
            self._talk.secure()
        return Safety(True, OFF)

    def close(self) -> None:
        """Let go of the port."""
        self.stream.close()

    # Techniques

    def run(
        self,
        technique: Technique,
        on_point: Callable[[Point], None] | None = None,
        cancelled: Event | None = None,
    ) -> Record:
        """Run a technique to its end, which leaves the cell off.

        Whatever goes wrong, the cell is switched off by a script of its own before the error is raised; an error
        that says that the cell is not known to be off asks for :meth:`make_safe` again, or for a relay.

        Args:
            technique: what to do.
            on_point: gets every point as it comes; it runs in this thread, must be quick, and may raise to end it.
            cancelled: ends it early, with the points that there are.

        Raises:
            LimitError: something is outside a limit; nothing was sent.
            Interlocked: the rig does not permit it; nothing was applied.
            DeviceFault: the instrument reports an error.
            DeviceError: another technique runs, it was made safe meanwhile, it stopped answering, or said less than
                it should have.
        """
        with self._state:
            if self._run is not None:
                raise DeviceError("another technique is running.", device=self.name, field="technique")
            run = self._run = Run()
        try:
            return self._run_technique(technique, run, on_point, cancelled or Event())
        finally:
            self._run = None

    def _run_technique(
        self, technique: Technique, run: Run, on_point: Callable[[Point], None] | None, cancelled: Event
    ) -> Record:
        if isinstance(technique, Impedance) and technique.potential is None:
            self.allow("duration", technique.at(0.0).plan(self._family, None, self.name).duration)
            rest = self._measure(OpenCircuit(2.0, 0.2), run, None, cancelled)
            found = [point.potential for point in rest.points if point.potential is not None]
            if not found:
                raise ProtocolError("there is no open-circuit potential to measure at.", device=self.name)
            technique = technique.at(round(sum(found) / len(found), 6))
        return self._measure(technique, run, on_point, cancelled)

    def _measure(
        self, technique: Technique, run: Run, on_point: Callable[[Point], None] | None, cancelled: Event
    ) -> Record:
        self._permit(technique, technique.plan(self._family, None, self.name))
        with self._held():
            plan = technique.plan(self._family, self._find_counter(), self.name)
            reader = Reader(plan, run, on_point, self._pace, self.name)

            def stop() -> str:
                return SAFE_MEANWHILE if run.stop.is_set() else CANCELLED if cancelled.is_set() else ""

            bounds = Bounds(self._allowed(1.2 * plan.duration), self._allowed(2.0 * plan.gap), stop)
            run.patience = bounds.gap
            with self._secured():
                self._check_not_stopped(stop())
                ending = self._talk.execute(Script(plan.lines, ("cell_off",)), reader.read, bounds)
                if not ending.finished:
                    self._talk.secure()
                self._check_not_stopped(ending.stopped)
                self._check_complete(plan, reader, ending)
        return Record(
            technique,
            tuple(reader.points),
            reader.began,
            "cancelled" if ending.stopped else "planned",
            ending.malformed,
            OFF,
        )

    def _permit(self, technique: Technique, plan: Plan) -> None:
        """Check what a plan applies, and ask for permission where it applies anything."""
        if isinstance(technique, OpenCircuit):
            self.check("duration", plan.duration)
            return
        self.allow("duration", plan.duration)
        for potential in plan.potentials:
            self.allow("potential", potential)
        for current in plan.currents:
            self.allow("current", current)

    def _check_not_stopped(self, why: str) -> None:
        if why == SAFE_MEANWHILE:
            raise DeviceError("the measurement ended because the device was made safe.", device=self.name)

    def _check_complete(self, plan: Plan, reader: Reader, ending: Ending) -> None:
        """Refuse a measurement that ended early of itself; a scan more or less may have a point more or less."""
        found = len(reader.points) + ending.malformed
        if not ending.stopped and found < plan.points - 2 - plan.points // 50 - reader.scan:
            raise ProtocolError(f"the script ended after {found} of {plan.points} points.", device=self.name)

    # Reading without a technique

    def _read(self, attribute: Attribute) -> Value:
        run = self._run
        if attribute.name == "duration":
            return 0.0 if run is None else (time.monotonic() - run.began) * self._pace
        if run is not None:
            return self._latest(run, attribute.name)
        with self._held():
            if attribute.name == "cell_voltage":
                counter = self._find_counter()
                if counter is None:
                    raise DeviceFault("it cannot measure the cell voltage.", device=self.name, code="4209")
                return voltage_of(counter, self._single(counter))
            return self._single("ab" if attribute.name == "potential" else "ba")

    def _latest(self, run: Run, name: str) -> float:
        """Of the latest point of a technique."""
        point = run.last if time.monotonic() - run.heard <= run.patience else None
        value = None if point is None else getattr(point, name)
        if value is None:
            raise DeviceTimeout(f"the technique that runs tells no {name} now.", device=self.name, field=name)
        return float(value)

    def _single(self, kind: str) -> float:
        """One measurement of one type of variable, with the cell as it is."""
        family, values = self._family, list[float]()
        lines = (
            "var v",
            *mode_set(family.mode(0.0, 0.0, 10.0, self.name), 10.0),
            *(currents_ranged(None, True, family, self.name) if kind == "ba" else potentials_ranged(family)),
            f"meas 100m v {kind}",
        )

        def read(line: str) -> None:
            variables = parse_package(line, self.name)
            if len(variables) != 1 or variables[0].type != kind:
                raise ProtocolError(f"{line[:40]!r} is not what was asked for.", device=self.name)
            values.append(variables[0].value)

        sending = ("pck_start", "pck_add v", "pck_end")
        bound = self._allowed(1.0)
        self._talk.execute(Script((*lines, *sending)), read, Bounds(bound, bound))
        if len(values) != 1 or values[0] != values[0]:
            raise ProtocolError("the instrument did not tell one value.", device=self.name)
        return values[0]

    def _find_counter(self) -> str | None:
        """The type of variable that tells the cell voltage, asked for once."""
        while not self._counter_known:
            kind, *others = self._counters
            try:
                self._single(kind)
                self._counter = kind
            except DeviceFault as problem:
                if problem.code not in UNSUPPORTED or not self._choosing:
                    raise
                logger.info("%s: it cannot measure %s: %s", self.name, kind, problem)
                self._counters = tuple(others)
            self._counter_known = self._counter is not None or not self._counters
        return self._counter

    # Inside

    def _allowed(self, seconds: float) -> float:
        """Real time within which something must come that takes so many seconds of the laboratory."""
        return seconds / self._pace + MARGIN * self._timeout

    @contextmanager
    def _secured(self) -> Iterator[None]:
        """Switch the cell off before whatever goes wrong is told; where that may take long, an alarm goes before it."""
        alarms: list[DeviceError] = []

        def alarm(found: DeviceError) -> None:
            if not alarms:
                alarms.append(found)
                self._wiring.alarm(self.name, found)

        try:
            yield
        except BaseException as problem:
            logger.warning("%s: its cell is switched off, because of this: %s", self.name, _words(problem))
            if isinstance(problem, CommunicationError | ProtocolError):
                alarm(problem)
            try:
                self._talk.secure(alarm)
            except DeviceError as second:
                logger.error("%s: the cell is not known to be off: %s", self.name, second)
                raise DeviceError(
                    f"{_words(problem)} Moreover the cell is not known to be off: {_words(second)}",
                    device=self.name,
                    mend="Make it safe, or cut the cell off.",
                ) from problem
            raise

    @contextmanager
    def _held(self, otherwise: str = "another exchange does not end") -> Iterator[None]:
        """Hold the stream; another thread's exchange is waited for within a bound."""
        if not self.stream.lock.acquire(timeout=PATIENCE * self._timeout):
            raise DeviceTimeout(f"{otherwise}.", device=self.name)
        try:
            yield
        finally:
            self.stream.lock.release()


def _words(problem: BaseException) -> str:
    """What an error says, without its device's name before it."""
    if isinstance(problem, DeviceError):
        return str(problem.args[0]).removeprefix(f"{problem.device}: ")
    return f"{type(problem).__name__}: {problem}."
