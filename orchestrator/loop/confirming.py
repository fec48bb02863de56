"""When the search is over, the best points are measured again on fresh samples."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from instruments.errors import LabError
from orchestrator.campaign.confirmation import confirmation, last_note, summed_up
from orchestrator.campaign.finalists import Finalist, finalists
from orchestrator.campaign.ledger import seed_of
from orchestrator.campaign.made import name_of
from orchestrator.campaign.progress import spent
from orchestrator.campaign.samples import prices
from orchestrator.campaign.words import CONFIRM
from orchestrator.config.confirm import ConfirmBlock
from orchestrator.errors import StaleWrite
from orchestrator.loop.ending import Ending
from orchestrator.loop.listener import told
from orchestrator.loop.proposing import Proposing
from orchestrator.loop.work import Work
from orchestrator.store.changes import Note, PutExperiment
from orchestrator.store.records import EventRecord, ExperimentRecord

logger = logging.getLogger(__name__)


class Confirming:
    """Has the best points of one loop confirmed.

    They are chosen once, and written down with what is expected of them in one transaction with the experiments that
    confirm them: whoever goes on after a crash finds all of that or nothing.

    Args:
        work: what is in hand; its terms say what is wanted.
        ending: whether the search is over.
        proposing: thinks, and knows what waits for approval.
    """

    def __init__(self, work: Work, ending: Ending, proposing: Proposing) -> None:
        self._work, self._ending, self._proposing = work, ending, proposing
        self._nothing = ""

    def take_up(self) -> None:
        """Go on with what was chosen before: the search stays over, unless the campaign is another since then."""
        campaign, rule = self._work.campaign, self._work.terms.rule.text()
        note = last_note(campaign.store, campaign.name)
        self._ending.over = ""
        if note is not None and (note.data["version"], note.data["rule"]) == (campaign.version, rule):
            self._ending.over = note.data["why"]

    @property
    def wanted(self) -> bool:
        """Whether it is still to be chosen what is confirmed."""
        campaign = self._work.campaign
        return self._work.terms.confirm is not None and not self._chosen(last_note(campaign.store, campaign.name))

    def begin(self) -> bool:
        """The search has come to its end: queue what confirms the best; whether there is something to do now."""
        work, block = self._work, self._work.terms.confirm
        if block is None or not self.wanted:
            return False
        try:
            records = self._proposing.think("choose what to confirm", lambda: self._choose(block))
        except StaleWrite as stale:  # somebody has written meanwhile: look again at what there is
            logger.info("what to confirm is chosen anew: %s", stale)
            work.campaign.refresh()
            work.stale = True
            return True
        if not records:
            return False
        work.queue.extend(record for record in records if record.state == "queued")
        told(work.listeners, "proposed", records)
        return True

    def outcome(self) -> str:
        """What is to be said of it at the end of the campaign, as the rest of a sentence."""
        if self._work.terms.confirm is None:
            return ""
        points = confirmation(self._work.campaign.store, self._work.campaign.name)
        return f"; {summed_up(points)}" if points else self._nothing

    # Inside

    def _chosen(self, note: EventRecord | None) -> bool:
        """Whether what is to be confirmed stands: after an amendment the search may have gone on."""
        if note is None:
            return False
        last = max((id for point in note.data["points"] for id in point["experiments"]), default=0)
        return not any(r.origin == "asked" and r.told is not None and r.id > last for r in self._records)

    @property
    def _records(self) -> list[ExperimentRecord]:
        return self._work.campaign.experiments()

    def _choose(self, block: ConfirmBlock) -> list[ExperimentRecord]:
        """Choose, and write it down; what was written."""
        campaign = self._work.campaign
        points = finalists(campaign, block.top, self._possible)
        if not points:
            self._nothing = "; no point that can be done again is expected to keep the outcome constraints"
            return []
        records, of = self._affordable(self._planned(points, block.samples))
        if not records:
            self._nothing = "; what is left of the budget pays nothing that would confirm the best"
            return []
        why = self._proposing.exhausted or self._ending.why
        what = "the best point is" if len(set(of)) == 1 else f"the {len(set(of))} best points are"
        text = f"{what} confirmed by {len(records)} experiments, since {why}"
        chosen = [
            {
                "experiment": point.experiment,
                "parameters": point.settings,
                "prediction": point.prediction,
                "experiments": [r.id for r, mine in zip(records, of, strict=True) if mine == rank],
            }
            for rank, point in enumerate(points)
            if rank in of
        ]
        about = {"version": campaign.version, "rule": self._work.terms.rule.text(), "why": why, "points": chosen}
        note = Note(CONFIRM, text, data=about)
        campaign.put(*(PutExperiment(record, None) for record in records), note)
        self._ending.over = why
        return records

    def _possible(self, settings: Mapping[str, Any]) -> bool:
        try:
            self._work.lab.check(dict(settings))
        except LabError as problem:
            logger.info("%s are not confirmed: %s", settings, problem)
            return False
        return True

    def _planned(self, points: Sequence[Finalist], samples: int) -> list[tuple[ExperimentRecord, int]]:
        """The experiments, with the rank of their points: a first sample of each, then a second one."""
        campaign = self._work.campaign
        first = max((r.id for r in self._records), default=0) + 1
        order = [(rank, number) for number in range(1, samples + 1) for rank in range(len(points))]
        at = campaign.space.to_array(pd.DataFrame([points[rank].settings for rank, _ in order]))
        names = [name_of(campaign.name, campaign.seed, first + i) for i in range(len(order))]
        costs = prices(campaign.problem(), at, names)
        return [
            (
                ExperimentRecord(
                    id=id,
                    state=self._proposing.state(points[rank].settings),
                    origin="confirm",
                    asked=points[rank].settings,
                    reason=f"confirms experiment {points[rank].experiment}: sample {number} of {samples}",
                    prediction=points[rank].measurement,
                    cost=cost,
                    seed=seed_of(campaign.seed, id),
                    sample=name,
                ),
                rank,
            )
            for id, (rank, number), name, cost in zip(
                range(first, first + len(order)), order, names, costs, strict=True
            )
        ]

    def _affordable(self, planned: Sequence[tuple[ExperimentRecord, int]]) -> tuple[list[ExperimentRecord], list[int]]:
        """As many as the whole budgets of experiments, cost and catalyst allow; time that is over hinders none."""
        campaign = self._work.campaign
        most = self._work.terms.rule.most
        room = math.inf if most is None else max(0, most - len(spent(self._records)))
        if campaign.costs is not None or campaign.sample_limits is not None:
            now = campaign.standing(self._work.terms.rule, hours=0.0)
            paid = int((np.cumsum([r.cost or 0.0 for r, _ in planned]) <= now.purse).sum())
            room = min(room, paid, now.fresh)
        kept = planned[: int(min(room, len(planned)))]
        return [record for record, _ in kept], [rank for _, rank in kept]
