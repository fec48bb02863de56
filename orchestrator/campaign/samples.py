"""Which samples there are, which of them take further conditions, and what is in place in each cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from acquisition.problem import Array, OpenSample, Problem, Proposal
from acquisition.strategies.two_stage import NEW
from orchestrator.campaign.ledger import Ledger
from orchestrator.errors import CampaignError
from orchestrator.store.changes import PutExperiment
from orchestrator.store.protocol import Store
from orchestrator.store.records import AttemptRecord, ExperimentRecord

Conditions: TypeAlias = int | Literal["auto"] | None
"""Experiments on each sample: one, a number, or as many as pay."""

BUSY: Final = frozenset({"proposed", "approved", "queued", "running", "needs_inspection"})
"""States of experiments that a sample waits for."""

MOST_YOUNG: Final = 4
"""So many of the youngest samples may be measured further where no cell says which ones are mounted."""


class Cells:
    """What each cell worked on last."""

    def __init__(self, attempts: Iterable[AttemptRecord] = ()) -> None:
        self._last: dict[str, AttemptRecord] = {}
        for attempt in attempts:
            self.put(attempt)

    def put(self, attempt: AttemptRecord) -> None:
        """Take an attempt into account."""
        last = self._last.get(attempt.cell)
        if last is None or _order(attempt) >= _order(last):
            self._last[attempt.cell] = attempt

    def experiments(self) -> dict[str, int]:
        """By cell, the experiment that began there last."""
        return {cell: self._last[cell].experiment for cell in sorted(self._last)}

    def current(self, ledger: Ledger) -> Array | None:
        """Settings that are in place, one row a cell; without cells those of the last experiment that was told."""
        records = [ledger.get(id) for id in self.experiments().values()] or ledger.told()[-1:]
        known = [replace(r, measured={}) for r in records if r is not None]
        return ledger.array(known) if known else None


def _order(attempt: AttemptRecord) -> tuple[float, int, int]:
    return attempt.clock_started, attempt.experiment, attempt.number


def open_samples(ledger: Ledger, wanted: Conditions, cells: Cells, *, idle: bool) -> tuple[OpenSample, ...]:
    """The samples that take further conditions, the oldest first.

    With a number, all that were measured less often. With ``auto``, those that are mounted in a cell; without cells the
    youngest few. One that has failed for its material takes none.

    Args:
        ledger: the experiments.
        wanted: conditions per sample.
        cells: what is mounted.
        idle: leave out samples that an experiment is pending on.
    """
    if wanted is None:
        return ()
    groups = _groups(ledger)
    if wanted == "auto":
        mounted = {getattr(ledger.get(id), "sample", None) for id in cells.experiments().values()}
        youngest = sorted(groups, key=lambda name: -groups[name][-1].id)[:MOST_YOUNG]
        kept = [name for name in groups if name in (mounted if cells.experiments() else youngest)]
    else:
        kept = [name for name, records in groups.items() if len(records) < wanted]
    return tuple(
        OpenSample(name, ledger.array([replace(groups[name][0], measured={})])[0], len(groups[name]))
        for name in kept
        if not any(r.failure_cause == "material" for r in groups[name])
        and not (idle and any(r.state in BUSY for r in groups[name]))
    )


def _groups(ledger: Ledger) -> dict[str, list[ExperimentRecord]]:
    """The experiments that were asked on each sample, the oldest sample first."""
    groups: dict[str, list[ExperimentRecord]] = {}
    for record in ledger:
        if record.sample is not None and record.origin != "prior" and record.state not in ("rejected", "cancelled"):
            groups.setdefault(record.sample, []).append(record)
    return groups


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


def name_of(campaign: str, seed: int, experiment: int) -> str:
    """The name of the sample that is made for an experiment."""
    return f"{campaign}.{seed}-{experiment}"
