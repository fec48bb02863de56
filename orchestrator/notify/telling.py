"""Listens to a loop and tells people what they wanted to know."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Final

from orchestrator.campaign import Campaign, text, words
from orchestrator.campaign.merit import incumbent
from orchestrator.campaign.progress import ended
from orchestrator.config.definition import Definition
from orchestrator.config.notify import Event, Notify
from orchestrator.errors import StoreError
from orchestrator.loop.assembly import Assembly
from orchestrator.loop.listener import Listener, told
from orchestrator.notify.addresses import addresses_of
from orchestrator.notify.message import Happening, Message
from orchestrator.notify.notifier import Notifier, notifier_of
from orchestrator.notify.outbox import Outbox, Pace
from orchestrator.store.changes import Note
from orchestrator.store.records import AttemptRecord, CampaignState, ExperimentRecord

logger = logging.getLogger(__name__)

LOOKS: Final = 60.0
"""Seconds after which the best is looked for anew, though no better result came: results are judged again."""

NOTICED: Final[dict[str, Event]] = {words.INSPECTION: "inspection", words.BREAKER: "breaker"}
STATES: Final[dict[CampaignState, Event]] = {
    "halted": "halted",
    "failed": "failed",
    "holding": "holding",
    "stopped": "stopped",
    "completed": "completed",
}


class Notifications(Listener):
    """Tells people what happens in a campaign; never holds up its loop.

    What an address was told is noted in the campaign's log, so that a resumed campaign does not tell it again.

    Args:
        campaign: whose loop this listens to.
        block: who is told of what.
        notifiers: who delivers, by the name of the address.
        approval: whether proposals wait for a person.
        others: are told by :meth:`~orchestrator.loop.Listener.noticed` what did not arrive.
        pace: how fast; by default as usual, and as the block says for a new best.
    """

    def __init__(
        self,
        campaign: Campaign,
        block: Notify,
        notifiers: dict[str, Notifier],
        *,
        approval: bool = False,
        others: Sequence[Listener] = (),
        pace: Pace | None = None,
    ) -> None:
        self._campaign, self._on, self._approval, self._others = campaign, frozenset(block.on), approval, others
        self._pace = pace or replace(Pace(), best_every=60.0 * block.best_every)
        self._last: tuple[CampaignState, str] | None = None
        self._front: list[ExperimentRecord] = []
        self._looked = float("-inf")
        self._closed, self._noting = False, Lock()
        already = _told_before(campaign)
        host = platform.node() or "unknown"
        self._boxes = [
            Outbox(name, notifier, campaign.name, host, self._pace, already.get(name, frozenset()), self._report)
            for name, notifier in notifiers.items()
        ]

    def proposed(self, records: list[ExperimentRecord]) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        waiting = [record.id for record in records if record.state == "proposed"]
        if self._approval and waiting and "approval" in self._on:
            ids = " ".join(map(str, waiting))
            what = "1 proposal waits" if len(waiting) == 1 else f"{len(waiting)} proposals wait"
            todo = f"sabatier approve {self._campaign.name} {ids}    (or reject, or edit)"
            self._tell("approval", f"{what} for approval: {ids}", todo, keys={f"approval {id}" for id in waiting})

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        self._look()

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        self._look(record)

    def state_changed(self, state: CampaignState, why: str) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        if (state, why) == self._last:
            return
        first, self._last = self._last is None, (state, why)
        if first:  # a loop begins: what waits since an earlier one is told where that had no time to
            self.proposed(self._campaign.experiments())
        event = STATES.get(state)
        if event is not None and event in self._on:
            reason = f": {why}" if why else ""
            said = f"{self._campaign.name} is {state}{reason}"
            moved = max((record.updated for record in self._campaign.experiments()), default=None)
            # the same reason is something new once an experiment has moved
            self._tell(event, said, self._todo(state), keys={f"{state}: {why} ({moved})"})

    def amended(self, version: int, definition: Definition) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        self._approval = definition.file.approval != "none"

    def noticed(self, kind: str, text: str) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        event = NOTICED.get(kind)
        if event is None or event not in self._on:
            return
        name = self._campaign.name
        todo = self._inspections() if event == "inspection" else f"mend it, then: sabatier cell {name} CELL in"
        self._tell(event, text, todo)

    def close(self) -> None:
        """Let what waits go out, for a bounded time."""
        give_up = time.monotonic() + self._pace.patience
        for box in self._boxes:
            box.begin_to_close()
        for box in self._boxes:
            box.close(give_up - time.monotonic())
        with self._noting:  # the store may be closed from now on
            self._closed = True

    # Inside

    def _tell(self, event: Event, text: str, todo: str = "", keys: set[str] | None = None) -> None:
        happening = Happening(event, text, todo, self._standing(), frozenset(keys or ()))
        for box in self._boxes:
            box.put(happening)

    def _look(self, record: ExperimentRecord | None = None) -> None:
        """Tell of a new best, if there is one."""
        if "best" not in self._on:
            return
        objectives, constraints = self._campaign.objectives, self._campaign.outcome_constraints
        rivals = [*self._front, *([] if record is None else [record])]
        leads = incumbent(rivals, objectives, constraints) if record is not None else []
        better = record is not None and record.id in {one.id for one in leads}
        if not better and time.monotonic() - self._looked < LOOKS:
            return
        self._looked = time.monotonic()
        known = {one.id for one in self._front}
        self._front = incumbent(self._campaign.experiments(), objectives, constraints)
        new = [one for one in self._front if one.id not in known]
        if new:
            ids = ", ".join(str(one.id) for one in new)
            what = f"experiment {ids} is the best so far" if len(objectives) == 1 else f"on the front now: {ids}"
            self._tell("best", f"{what}, as measured", keys={f"best {one.id}" for one in new})

    def _standing(self) -> tuple[str, ...]:
        """The best so far and the number of experiments, in lines."""
        campaign = self._campaign
        records = campaign.experiments()
        best = incumbent(records, campaign.objectives, campaign.outcome_constraints)
        fractions = text.fractions_of(campaign.space.parameters)
        goals = [*(o.metric for o in campaign.objectives), *(c.metric for c in campaign.outcome_constraints)]
        lines = []
        for one in best[:3]:
            settings = text.settings({**(one.asked or {}), **(one.executed or {})}, fractions)
            lines.append(f"Best so far: experiment {one.id}: {text.result(one, goals)}, as measured")
            lines.append(f"  at {settings}")
        if len(best) > 3:
            lines.append(f"  and {len(best) - 3} more on the front")
        if not best:
            lines.append("Best so far: no result that keeps the outcome constraints")
        done = ended(records)
        budget = campaign.budget
        return (*lines, f"Experiments done: {done}{'' if budget is None else f' of {budget}'}")

    def _todo(self, state: CampaignState) -> str:
        name = self._campaign.name
        if state == "halted":
            return self._inspections() or f"look at the laboratory, then: sabatier resume {name}"
        if state == "holding":
            return f"mend what it says, then: sabatier resume {name}"
        if state == "failed":
            return f"find out why (sabatier log {name}), then: sabatier resume {name}"
        return f"sabatier report {name} -o {name}.html"

    def _inspections(self) -> str:
        ids = [record.id for record in self._campaign.experiments() if record.state == "needs_inspection"]
        name = self._campaign.name
        return "\n  ".join(f"sabatier resolve {name} {id} rerun    (or discard)" for id in ids)

    def _report(self, to: str, message: Message, told_now: Sequence[Happening], problem: str | None) -> None:
        """Say what did not arrive, and note what was told; in the thread of an address."""
        about = ", ".join(message.events)
        if problem is not None:
            said = f"{to} was not told of {about}: {problem}"
            logger.warning(said)
            told(self._others, "noticed", words.NOTIFIED, said)
        if not told_now:
            return
        keys = sorted(frozenset().union(*(happening.keys for happening in told_now)))
        data = {"to": to, "events": list(message.events), "keys": keys, "delivered": problem is None}
        why = f"{to} was told of {about}" if problem is None else f"{to} was not told of {about}: {problem}"
        with self._noting:
            if self._closed:
                return
            try:
                self._campaign.store.apply(self._campaign.name, (Note(words.NOTIFIED, why, data=data),), who="sabatier")
            except StoreError as trouble:
                logger.warning("that %s is not in the log: %s", why, trouble)


def _told_before(campaign: Campaign) -> dict[str, frozenset[str]]:
    """By the name of an address, the keys of what earlier runs told it."""
    found: dict[str, frozenset[str]] = {}
    for note in campaign.store.events(campaign.name, kinds=(words.NOTIFIED,)):
        if note.data["delivered"]:
            found[note.data["to"]] = found.get(note.data["to"], frozenset()) | frozenset(note.data["keys"])
    return found


def check_people(block: Notify | None) -> None:
    """Check that everybody who is to be told can be, before a campaign begins.

    Raises:
        InputError: an address is not known on this computer, or nothing that is installed can use it.
    """
    if block is not None:
        _notifiers(block)


def _notifiers(block: Notify) -> dict[str, Notifier]:
    return {address.name: notifier_of(address) for address in addresses_of(block.to)}


@contextmanager
def notifying(parts: Assembly, others: Sequence[Listener] = ()) -> Iterator[tuple[Listener, ...]]:
    """The listeners that tell people what happens in a campaign, while the block lasts: one, or none.

    Args:
        parts: the campaign, with its definition.
        others: are told what did not arrive.

    Raises:
        InputError: an address is not known on this computer, or nothing that is installed can use it.
    """
    file = parts.definition.file
    if file.notify is None:
        yield ()
        return
    notifiers = _notifiers(file.notify)
    approval = file.approval != "none"
    notifications = Notifications(parts.campaign, file.notify, notifiers, approval=approval, others=others)
    try:
        yield (notifications,)
    finally:
        notifications.close()
