"""Tests of the laboratory between experiments: when they are due, and what follows where one fails.

A failed control makes what was measured since it was last good suspect, whatever else follows. A good one later does
not undo that: nobody can know which of the two was right about the time between them, so that a person decides.

A control runs in the thread of the experiment that waits for it, before that begins. Its result, and what it makes of
earlier experiments, is written by the loop's own thread. Controls are no experiments: they never count in a budget.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from instruments.errors import ExecutionCancelled, InstrumentsError, LabHalted, LabHolds
from instruments.lab import Controlled
from orchestrator.loop.context import AttemptContext
from orchestrator.loop.keeping import beside
from orchestrator.store.changes import Change, Note, PutExperiment
from orchestrator.store.records import AttemptRecord, EventRecord, ExperimentRecord

if TYPE_CHECKING:
    from instruments.rig.controls import ControlBlock, ControlResult, Done

T = TypeVar("T")

logger = logging.getLogger(__name__)

NOTE: Final = "control"
"""Kind of the events that hold results."""


class Controls:
    """The controls of one campaign.

    Args:
        lab: tests itself.
        hours: of the laboratory's clock, now.
    """

    def __init__(self, lab: Controlled, hours: Callable[[], float]) -> None:
        self._lab, self._hours = lab, hours
        self._blocks = {block.name: block for block in lab.controls}
        self._cells: tuple[str, ...] = lab.cells  # type: ignore[attr-defined]
        self._history: list[Done] = []
        self._landed: list[tuple[int, str]] = []  # experiment and cell, in the order of their ends
        self._shared, self._lock = Lock(), Lock()
        self._written: SimpleQueue[tuple[ControlResult, Done, tuple[int, ...]]] = SimpleQueue()
        self._meanwhile: SimpleQueue[tuple[int, str]] = SimpleQueue()  # what ran while a control failed

    # What the loop tells

    def load(self, attempts: list[AttemptRecord], events: list[EventRecord]) -> None:
        """Take over what earlier sittings did."""
        from instruments.rig.controls import Done

        ended = [a for a in attempts if a.state == "finished" and a.finished is not None]
        self._landed = [(a.experiment, a.cell) for a in sorted(ended, key=lambda a: (str(a.finished), a.experiment))]
        self._history = [Done(**event.data["done"]) for event in events if event.kind == NOTE]

    def take(self, blocks: Sequence[ControlBlock]) -> None:
        """Do these controls from now on; those of the same names go on from where they are."""
        with self._lock:
            self._blocks = {block.name: block for block in blocks}

    def landed(self, experiment: int, cell: str) -> None:
        """An experiment has ended on a cell."""
        with self._lock:
            self._landed.append((experiment, cell))
            for name, where in dict.fromkeys((d.name, d.cell) for d in self._history if d.cell in ("", cell)):
                last = next(d for d in reversed(self._history) if (d.name, d.cell) == (name, where))
                block = self._blocks.get(name)
                # nothing starts before that one is good again, so that this ran while it failed
                if block is not None and block.on_fail != "flag_since_last_good" and last.verdict == "failed":
                    self._meanwhile.put((experiment, f"control {name}"))

    def before(self, context: AttemptContext) -> None:
        """Do what is due before an experiment on the context's cell; in that experiment's thread.

        Raises:
            LabHolds: one was not good, and the laboratory must wait for a person.
            ExecutionCancelled, LabHalted: see :class:`~instruments.lab.Lab`.
        """
        for name, block in self._due("", context.cell).items():
            with self._shared:  # one cell does it, the others wait for what it finds
                if name in self._due("", context.cell):
                    self._do(block, "", context)
        for block in self._due(context.cell, context.cell).values():
            self._do(block, context.cell, context)

    def changes(self, known: Callable[[int], ExperimentRecord]) -> list[Change]:
        """What is to be written since this was last asked: results, and experiments that became suspect."""
        found: list[Change] = []
        suspects: dict[int, ExperimentRecord] = {}

        def suspect(id: int, control: str, why: str) -> None:
            record = suspects.get(id) or known(id)
            if record.state == "completed" and (id in suspects or record.verdict == "valid"):
                reasons = tuple(dict.fromkeys((*record.verdict_reasons, control)))
                suspects[id] = replace(record, verdict="suspect", verdict_reasons=reasons, updated=datetime.now(UTC))
                found.append(PutExperiment(suspects[id], record.state, why))

        for result, done, flagged in _taken(self._written):
            said = f"control {result.name} {result.cell}".rstrip() + f": {result.verdict}"
            data: dict[str, Any] = {"result": asdict(result), "done": asdict(done)}
            found.append(Note(NOTE, "; ".join([said, *result.reasons]), data=data))
            for id in flagged:
                suspect(id, f"control {result.name}", f"{said}, after it was measured")
        for id, control in _taken(self._meanwhile):
            suspect(id, control, f"{control} failed while it ran")
        return found

    # Inside

    def _due(self, cell: str, on: str) -> dict[str, ControlBlock]:
        from instruments.rig.controls import due

        with self._lock:
            counts = Counter(where for _, where in self._landed)
            done = {name: counts[name] for name in self._cells} | {on: counts[on]}
            wanted = due(self._blocks.values(), self._history, done, self._hours())
            return {one.name: self._blocks[one.name] for one in wanted if one.cell == cell}

    def _do(self, block: ControlBlock, cell: str, context: AttemptContext) -> None:
        result = self._measured(block, cell, context)
        if result.verdict != "good" and block.on_fail == "recalibrate":
            logger.warning("control %s: %s; calibrating anew", block.name, "; ".join(result.reasons))
            self._lab.recalibrate(context)
            result = self._measured(block, cell, context)
        if result.verdict == "good":
            return
        why = f"control {block.name} {cell}".rstrip() + f": {'; '.join(result.reasons) or result.verdict}"
        if block.on_fail != "flag_since_last_good":
            raise LabHolds(f"{why}.", field="controls", mend="Find out why, then continue: it is tested again first.")
        logger.warning("%s; experiments since it was last good are suspect", why)

    def _measured(self, block: ControlBlock, cell: str, context: AttemptContext) -> ControlResult:
        from instruments.rig.controls import Done, since_last_good, unmeasured

        with self._lock:
            number = len(self._history) + 1
        own = replace(
            context,
            sample=f"control-{block.name}",
            log=None if context.log is None else replace(context.log, control=block.name),
            location=beside(context.location, f"control-{number}"),
            about={**context.about, "attempt": None, "control": block.name},
            kept=[],
            used={},
        )
        try:
            result: ControlResult = self._lab.control(block.name, own)
        except (ExecutionCancelled, LabHolds, LabHalted):
            raise
        except InstrumentsError as problem:
            result = unmeasured(block, cell, str(problem))
        with self._lock:
            here = [id for id, where in self._landed if not cell or where == cell]
            done = Done(block.name, cell, len(here), self._hours(), result.verdict)
            flagged: tuple[int, ...] = ()
            if result.verdict == "failed" or (result.verdict != "good" and block.on_fail == "flag_since_last_good"):
                flagged = tuple(here[since_last_good(self._history, block.name, cell) :])
            self._history.append(done)
        self._written.put((result, done, flagged))
        return result


def controls_of(
    lab: object, hours: Callable[[], float], attempts: list[AttemptRecord], events: list[EventRecord]
) -> Controls | None:
    """The controls of a laboratory, with what earlier sittings did; ``None`` where it has none."""
    if not (isinstance(lab, Controlled) and lab.controls):
        return None
    controls = Controls(lab, hours)
    controls.load(attempts, events)
    return controls


def _taken(queue: SimpleQueue[T]) -> Iterator[T]:
    """What is in a queue now."""
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return
