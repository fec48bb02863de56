"""Which samples there are, and which of them take further conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from acquisition.problem import Array, OpenSample, Problem, Proposal
from acquisition.strategies.two_stage import NEW
from orchestrator.campaign.history import History
from orchestrator.campaign.ledger import Ledger
from orchestrator.campaign.made import Conditions, name_of, still_open
from orchestrator.config.samples import SamplesBlock
from orchestrator.errors import CampaignError
from orchestrator.store.changes import PutExperiment
from orchestrator.store.protocol import Store
from orchestrator.store.records import ExperimentRecord

BUSY: Final = frozenset({"proposed", "approved", "queued", "running", "needs_inspection"})
"""States of experiments that a sample waits for."""


def open_samples(
    ledger: Ledger, wanted: Conditions, history: History, limits: SamplesBlock | None = None, *, idle: bool
) -> tuple[OpenSample, ...]:
    """The samples that take further conditions, the oldest first; see :func:`still_open`.

    Args:
        ledger: the experiments.
        wanted: conditions per sample.
        history: what was done so far.
        limits: what a campaign says of its samples.
        idle: leave out samples that an experiment is pending on.
    """
    groups = still_open(ledger, wanted, history, limits)
    return tuple(
        OpenSample(name, ledger.array([replace(records[0], measured={})])[0], len(records))
        for name, records in groups.items()
        if not (idle and any(r.state in BUSY for r in records))
    )


def named(
    proposals: Sequence[Proposal], open_: Sequence[OpenSample], campaign: str, seed: int, first: int
) -> list[str]:
    """The sample of each proposal: an open one's name, or a new name that holds the first experiment's id.

    Raises:
        CampaignError: the strategy names a sample that is not open.
    """
    known = {sample.name: sample.name for sample in open_}
    names = []
    for id, proposal in enumerate(proposals, first):
        fresh = name_of(campaign, seed, id)
        wanted = proposal.sample
        if wanted is None:
            names.append(fresh)
        elif wanted in known or wanted.startswith(NEW):
            names.append(known.setdefault(wanted, fresh))
        else:
            raise CampaignError(f"the strategy proposes sample {wanted!r}, which is not open.", field="strategy")
    return names


def used(before: ExperimentRecord | None, after: ExperimentRecord, store: Store, name: str) -> ExperimentRecord:
    """A told experiment with the sample of its attempt, where nobody names another.

    Args:
        before: as it was; ``None``: it is new.
        after: with what is told.
        store: where the campaign is kept.
        name: of the campaign.
    """
    if before is None or after.sample is not None or before.state not in ("running", "needs_inspection"):
        return after
    attempts = store.attempts(name, after.id)
    return replace(after, sample=attempts[-1].sample) if attempts else after


def renamed(ledger: Ledger, pairs: Sequence[tuple[ExperimentRecord | None, ExperimentRecord]]) -> list[PutExperiment]:
    """Where a planned sample turned out to be another, what else is planned on it is on that one too.

    Args:
        ledger: the experiments as they were.
        pairs: experiments before and after a tell.
    """
    names = {
        before.sample: after.sample
        for before, after in pairs
        if before is not None and before.sample is not None and before.sample != after.sample
    }
    told = {after.id for _, after in pairs}
    return [
        PutExperiment(replace(r, sample=names[r.sample]), r.state, f"its sample turned out to be {names[r.sample]}")
        for r in ledger
        if r.sample in names and r.executed is None and r.id not in told and r.state in BUSY
    ]


def prices(problem: Problem, points: Array, names: Sequence[str | None]) -> list[float | None]:
    """What each proposal of a batch costs, in its order; nothing where no costs are given.

    Args:
        problem: what was asked.
        points: (n, c) proposed.
        names: of their samples; ``None`` where each has its own.
    """
    if problem.costs is None:
        return [None] * len(points)
    import torch

    from acquisition.costs import cost

    known = {sample.name: sample for sample in problem.open_samples}
    found: list[float | None] = []
    for i, (point, name) in enumerate(zip(points, names, strict=True)):
        sample = known.get(name) if name is not None else None
        one = replace(problem, open_samples=() if sample is None else (sample,))
        found.append(float(cost(one, torch.from_numpy(point[None, :]), points[:i])[0]))
        if name is not None:
            known.setdefault(name, OpenSample(name, point, 1))
    return found
