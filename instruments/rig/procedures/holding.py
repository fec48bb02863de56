"""The electrolysis itself: the potentiostat holds, the chromatograph injects, flows are read, all on one clock.

The chromatograph's slots are booked before the current starts, so that no analysis comes late because another cell has
one. An injection that fails is noted and the electrolysis goes on; with too few of them the analysis has failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from instruments.errors import ExecutionCancelled, InstrumentsError, LabHalted, LabHolds
from instruments.lab import Failure
from instruments.rig.procedures.execution import Execution, Point
from instruments.rig.procedures.options import ElectrolysisOptions

if TYPE_CHECKING:
    import pandas as pd

PACED: Final = 0.2
"""Real s, at least between readings of the same device."""


class Trace:
    """What the potentiostat recorded in one or more parts, on the clock of the electrolysis, which its first point
    starts.
    """

    def __init__(self, run: Execution) -> None:
        self._run = run
        self._zero: float | None = None
        self._frames: list[pd.DataFrame] = []
        self.over = Event()
        """Set when the current has ended."""

    def part(self, technique: Any, stop: Event) -> Any:
        """Run a technique, which ends with the cell off.

        Returns:
            The driver's record.

        Raises:
            ExecutionCancelled: it was told to stop.
        """
        offset: float | None = None

        def seen(point: Point) -> None:
            nonlocal offset
            if offset is None:
                began = self._run.rig.clock.now() - point.time
                if self._zero is None:
                    self._zero = began
                offset = began - self._zero
            row = {"time/s": offset + point.time, "potential/V": point.potential, "current/A": point.current}
            self._run.recorder.stream("potentiostat", {**row, "cell_voltage/V": point.cell_voltage})

        record = self._run.apply(technique, stop, seen)
        if stop.is_set():
            raise ExecutionCancelled("it was told to stop.")
        frame = record.table()
        self._frames.append(frame.assign(**{"time/s": frame["time/s"] + (offset or 0.0)}))
        return record

    def at(self, now: float) -> float | None:
        """A time of the rig's clock on that of the electrolysis; ``None`` before its first point."""
        return None if self._zero is None else now - self._zero

    def table(self) -> pd.DataFrame:
        """All parts in the raw-signal form."""
        import pandas as pd

        whole = pd.concat(self._frames, ignore_index=True)
        later = whole["time/s"] > whole["time/s"].cummax().shift(fill_value=-1.0)  # parts may meet, never overlap
        return whole[later].reset_index(drop=True)


Hold: TypeAlias = Callable[[Execution, Trace, Event], None]
"""Holds a current or a potential for the whole electrolysis, in parts of a trace."""


@dataclass(frozen=True, slots=True)
class Occupation:
    """For how long an injection occupies the chromatograph and the selector: before it, and after it, s."""

    flush: float
    busy: float


def occupation(options: ElectrolysisOptions) -> Occupation:
    """As the options say."""
    return Occupation(options.injections.flush.value, options.injections.busy.value)


def electrolyse(run: Execution, options: ElectrolysisOptions, hold: Hold, times: Sequence[float]) -> None:
    """Run the electrolysis with its injections and readings.

    Args:
        run: of the step.
        options: of the procedure.
        hold: what the potentiostat does.
        times: of the injections, s after the start.

    Raises:
        DeviceError: the potentiostat failed; the cell is safe.
    """
    slot = occupation(options)
    delays = [0.0]
    calendar = run.calendar(run.site.place("chromatograph").device)
    ready = run.rig.clock.now()
    booking = calendar.book([at - slot.flush for at in times], slot.flush + slot.busy, ready)
    run.waited("chromatograph", booking.start - ready)
    trace = Trace(run)

    def drive(stop: Event) -> None:
        try:
            hold(run, trace, stop)
        finally:
            trace.over.set()

    try:
        run.wait(booking.start - run.rig.clock.now())
        run.during(
            drive,
            lambda stop: _inject(run, options, trace, [booking.start + at for at in times], delays, stop),
            lambda stop: _watch_flows(run, options, trace, stop),
        )
    finally:
        calendar.release(booking)
    run.recorder.put("potentiostat", trace.table())
    run.notes["compensated"] = "0"
    run.notes["checks"] = {"injection_delay": f"{max(delays)!r} s"}
    got = len({row["injection"] for row in run.recorder.rows("chromatograph")})
    if got < options.injections.least:
        why = "; ".join(run.problems) or "no peaks were found"
        run.failure = Failure("analysis", f"{got} of {len(times)} injections gave a result: {why}")


def _inject(
    run: Execution,
    options: ElectrolysisOptions,
    trace: Trace,
    due: Sequence[float],
    delays: list[float],
    stop: Event,
) -> None:
    """Inject at each of the times of the rig's clock, and note by how many seconds others made an injection late."""
    clock = run.rig.clock
    for number, at in enumerate(due, start=1):
        run.sleep(at - options.injections.flush.value - clock.now(), stop)
        if trace.over.is_set():
            run.problem(f"injection {number}: the current had ended before it")
            return
        asked = clock.now()
        try:
            with run.lease("chromatograph", "selector"):
                late = min(clock.now() - at, clock.now() - asked)
                if late > 0.0:
                    delays.append(late)
                if run.has("selector"):
                    run.set("selector", float(run.site.block.stream or 1))
                run.sleep(at - clock.now(), stop)
                _injection(run, options, trace, number, stop)
        except (ExecutionCancelled, LabHalted, LabHolds):
            raise
        except InstrumentsError as problem:
            run.problem(f"injection {number}: {problem}")


def _injection(run: Execution, options: ElectrolysisOptions, trace: Trace, number: int, stop: Event) -> None:
    chromatograph = run.device("chromatograph")
    token = chromatograph.start(f"{run.label}-{number}")
    asked = getattr(token, "asked", None)  # of the command itself; the driver may have asked more around it
    ago = 0.0 if asked is None else (time.monotonic() - asked) * run.rig.clock.pace
    at = trace.at(run.rig.clock.now() - ago)
    document = chromatograph.wait(token, stop, options.injections.timeout.value)
    run.recorder.keep(f"injection-{number}.json", document.content)
    table = document.recording.signals["chromatograph"]
    for peak in table.to_dict("records"):
        row = {str(name): value for name, value in peak.items()}
        run.recorder.row("chromatograph", {**row, "injection": number, "time/s": at})


def _watch_flows(run: Execution, options: ElectrolysisOptions, trace: Trace, stop: Event) -> None:
    """Read the flows until the current has ended; a reading that cannot be had is left out."""
    pause = max(options.flow_interval.value, PACED * run.rig.clock.pace)
    failed = 0
    while True:
        over = trace.over.is_set()
        at = trace.at(run.rig.clock.now())
        if at is not None:
            try:
                run.recorder.row("flow", _flows(run, at))
            except InstrumentsError as problem:
                failed += 1
                if failed == 1:
                    run.problem(f"flows could not be read: {problem}")
        if over:
            return
        trace.over.wait(run.rig.clock.real(pause))
        if stop.is_set():
            raise ExecutionCancelled("it was told to stop.")


def _flows(run: Execution, at: float) -> dict[str, float]:
    row = {"time/s": at}
    for role, name in (("gas", "inlet"), ("outlet", "outlet")):
        if run.has(role):
            reading = run.read(role)
            row[f"{name}/{reading.unit}"] = reading.number
            if reading.sem is not None and reading.number:
                run.accuracy.setdefault(name, abs(reading.sem / reading.number))
    return row
