"""Which cells are in service: a cell on which too much goes wrong in a row is taken out, a person puts it back.

What counts is an attempt without a usable result: its verdict is ``invalid``, or equipment or analysis failed. A usable
result ends a row. A failure of the material or of the condition, and an attempt that was called off, say nothing about
the cell: they neither lengthen a row nor end it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from orchestrator.campaign import words
from orchestrator.config.breakers import Breakers
from orchestrator.loop.listener import Listener, told
from orchestrator.store.changes import Change, Note
from orchestrator.store.records import AttemptRecord, EventRecord, ExperimentRecord

EQUIPMENT: Final = ("equipment", "analysis")
"""Causes of failure that say nothing about the experiment."""


class Cells:
    """The cells of one laboratory.

    Args:
        cells: all of them.
        breakers: how much may go wrong; ``None``: nothing is taken out of service by itself.
        listeners: are told what is.
    """

    def __init__(self, cells: Sequence[str], breakers: Breakers | None, listeners: Sequence[Listener] = ()) -> None:
        self._all, self.breakers, self._listeners = tuple(cells), breakers, listeners
        self._rows: dict[str, list[tuple[int, str]]] = {cell: [] for cell in cells}  # experiment, and what was wrong
        self._out: dict[str, str] = {}
        self._tripped: set[str] = set()  # since a person last let the campaign go on

    @property
    def in_service(self) -> tuple[str, ...]:
        """The cells that may be used."""
        return tuple(cell for cell in self._all if cell not in self._out) if self._out else self._all

    @property
    def holds(self) -> str:
        """Why the campaign must wait for a person; empty where it need not."""
        reasons = "; ".join(f"{cell}: {self._out[cell]}" for cell in self._all if cell in self._out)
        mend = "Mend a cell, then `sabatier cell NAME CELL in`, and continue."
        if not self.in_service:
            return f"no cell is in service ({reasons}). {mend}"
        if self.breakers is not None and len(self._tripped) >= self.breakers.cells:
            return f"{len(self._tripped)} cells were taken out of service ({reasons}). {mend}"
        return ""

    def load(
        self,
        attempts: Iterable[AttemptRecord],
        records: Mapping[int, ExperimentRecord],
        events: Iterable[EventRecord],
    ) -> list[Change]:
        """Take over what earlier sittings saw.

        Args:
            attempts: all of them.
            records: all experiments, by id.
            events: the log.

        Returns:
            What an earlier process had no time to write.
        """
        returned: dict[str, datetime] = {}
        for event in events:
            self.hear(event)
            if event.kind == words.CELL and event.data["in_service"]:
                returned[event.data["cell"]] = event.time
        ended = [a for a in attempts if a.finished is not None and a.cell in self._rows]
        changes: list[Change] = []
        for attempt in sorted(ended, key=lambda a: (str(a.finished), a.experiment)):
            back = returned.get(attempt.cell)
            if back is None or (attempt.finished is not None and attempt.finished > back):
                record = records[attempt.experiment]
                changes += self.ended(attempt, record if record.state != "running" else None)
        return changes

    def hear(self, event: EventRecord) -> None:
        """Heed an event of the log: somebody's word on a cell, or that the campaign goes on."""
        if event.kind == words.CELL:
            cell = str(event.data["cell"])
            if cell not in self._rows:
                return
            if event.data["in_service"]:
                self._out.pop(cell, None)
                self._tripped.discard(cell)
                self._rows[cell].clear()
            else:
                self._out.setdefault(cell, event.why)
                if event.data.get("breaker"):
                    self._tripped.add(cell)
        elif event.kind == "campaign" and (event.before, event.after) == ("holding", "running"):
            self._tripped.clear()

    def ended(self, attempt: AttemptRecord, record: ExperimentRecord | None) -> list[Change]:
        """An attempt has ended.

        Args:
            attempt: the one.
            record: its experiment with the result; ``None`` where there is none.

        Returns:
            The notes to write where its cell is taken out of service by this.
        """
        row, cell = self._rows.get(attempt.cell), attempt.cell
        if row is None:
            return []
        wrong = _wrong(attempt, record)
        if wrong is None:
            return []
        if not wrong:
            row.clear()
            return []
        row.append((attempt.experiment, wrong))
        if self.breakers is None or len(row) < self.breakers.cell or cell in self._out:
            return []
        last = "; ".join(f"experiment {id}: {what}" for id, what in row[-self.breakers.cell :])
        why = f"{len(row)} attempts in a row without a usable result ({last})"
        self._out[cell] = why
        self._tripped.add(cell)
        told(self._listeners, "noticed", words.BREAKER, f"{cell} is out of service: {why}")
        failed = {"cell": cell, "attempts": [id for id, _ in row]}
        return [
            Note(words.BREAKER, f"{cell}: {why}", data=failed),
            Note(words.CELL, why, data={"cell": cell, "in_service": False, "breaker": True}),
        ]

    def blamed(self, experiment: int) -> int:
        """How many failures of an experiment are put down to cells that are out of service now."""
        return sum(id == experiment for cell in self._out for id, _ in self._rows[cell])


def _wrong(attempt: AttemptRecord, record: ExperimentRecord | None) -> str | None:
    """What was wrong with an attempt; empty where it was of use, ``None`` where it says nothing about its cell."""
    if attempt.state == "failed":
        return attempt.message if attempt.message.split(":")[0] in EQUIPMENT else None
    if attempt.state != "finished" or record is None:
        return None
    if record.verdict == "invalid":
        return f"invalid ({', '.join(record.verdict_reasons)})" if record.verdict_reasons else "invalid"
    return ""
