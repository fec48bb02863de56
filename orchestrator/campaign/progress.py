"""How far a campaign is, in the form that stopping rules judge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from acquisition.stopping import Progress
from orchestrator.campaign.made import catalyst
from orchestrator.errors import NothingTold
from orchestrator.store.glance import ExperimentRow, Kind
from orchestrator.store.records import AttemptRecord, ExperimentRecord

if TYPE_CHECKING:
    from acquisition.costs import Costs
    from acquisition.problem import Problem
    from acquisition.stopping import StoppingRule
    from orchestrator.campaign.books import Books
    from orchestrator.campaign.campaign import Campaign
    from orchestrator.campaign.ledger import Ledger
    from orchestrator.store.protocol import Store


NOTE: Final = "stop"
"""The kind of the notes in which a loop keeps what its rules say."""

LEARNED: Final = ("completed", "awaiting_analysis")
"""States of experiments that models learn from."""


WAITING: Final = ("proposed", "approved", "queued")
"""States of experiments that have not been started yet."""

LATEST: Final = 500
"""So many attempts tell how long one takes, the last ones: all of a long campaign would take long to read."""

COUNTED: Final = ("asked", "confirm")
"""Origins of experiments that count in a budget."""


E = TypeVar("E", ExperimentRecord, ExperimentRow, Kind)


def spent(records: Iterable[E]) -> list[E]:
    """The experiments that count in a budget: proposed, or chosen to confirm the best, and not called off."""
    return [r for r in records if r.origin in COUNTED and r.state not in ("rejected", "cancelled")]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a campaign has used of its budgets.

    Attributes:
        experiments: so many count.
        waiting: so many of these have not been started yet.
        cost: of all, in the unit of the campaign's costs.
        priced: so many have a cost.
    """

    experiments: int
    waiting: int
    cost: float
    priced: int

    @classmethod
    def of(cls, tally: Mapping[Kind, int]) -> Spent:
        """From what the store counts."""
        kinds = {kind: tally[kind] for kind in spent(tally)}
        return cls(
            experiments=sum(kinds.values()),
            waiting=sum(count for kind, count in kinds.items() if kind.state in WAITING),
            cost=math.fsum((kind.cost or 0.0) * count for kind, count in kinds.items()),
            priced=sum(count for kind, count in kinds.items() if kind.cost),
        )


def ended(records: Iterable[ExperimentRecord]) -> int:
    """How many experiments that count in a budget have a result."""
    return sum(r.told is not None and r.origin in COUNTED for r in records)


def measured(record: ExperimentRecord, metrics: Iterable[str]) -> bool:
    """Whether an experiment has a value of one of the metrics at least."""
    return any(m in record.values and record.values[m].value is not None for m in metrics)


def teaches(record: ExperimentRecord, metrics: Iterable[str]) -> bool:
    """Whether a model of one of the metrics at least learns from an experiment."""
    return record.state in LEARNED and record.verdict != "invalid" and measured(record, metrics)


def observed(records: Iterable[ExperimentRecord], metrics: Sequence[str]) -> tuple[int, dict[str, int]]:
    """How many experiments models learn from, and by metric how many of these have a value of it."""
    known = [r for r in records if teaches(r, metrics)]
    return len(known), {m: sum(measured(r, (m,)) for r in known) for m in metrics}


def outline(campaign: Campaign) -> Problem:
    """The campaign's problem without what is known of it."""
    from acquisition.problem import Observations, Problem

    nothing = np.empty((0, len(campaign.space.columns)))
    return Problem(
        space=campaign.space,
        objectives=campaign.objectives,
        outcome_constraints=campaign.outcome_constraints,
        observations=Observations(nothing, {}, {}, np.empty(0)),
        pending=nothing,
        failed=nothing,
        taken=nothing,
        initial=campaign.initial,
        seed=campaign.seed,
        ask=1,
        replicates="auto" if campaign.replicates == "auto" else "none",
        costs=campaign.costs,
    )


def problem(campaign: Campaign, books: Books, *, idle: bool) -> Problem:
    """The campaign's problem with all that is known of it; see :meth:`Campaign.problem`."""
    from orchestrator.campaign.samples import open_samples

    ledger, pending = books.ledger, books.ledger.pending()
    wanted, limits = campaign.conditions_per_sample, campaign.sample_limits
    return replace(
        outline(campaign),
        observations=ledger.observations(),
        pending=ledger.array(pending),
        failed=ledger.array(ledger.failed()),
        taken=ledger.taken(),
        ask=books.asks + 1,
        state=books.state,
        pending_samples=tuple(r.sample for r in pending),
        current=books.history.current(ledger),
        fixed=campaign.fixed,
        conditions_per_sample=wanted,
        open_samples=open_samples(ledger, wanted, books.history, limits, idle=idle),
        remaining=None if campaign.budget is None else max(0, campaign.budget - campaign.reserved - ledger.asked()),
    )


def progress(campaign: Campaign, ledger: Ledger, hours: float, rule: StoppingRule) -> Progress:
    """See :meth:`Campaign.standing`.

    Args:
        campaign: how far it is.
        ledger: its experiments.
        hours: that have passed.
        rule: is to judge it; what it does not need is left out.
    """
    known, used = rule.looks_ahead, ledger.spending()
    timed = rule.needs_durations
    lasts, cells = pace(campaign.store.attempts(campaign.name, newest=LATEST)) if timed else (0.0, 1)
    learned = np.array([r.told for r in ledger.learned()] if known else [], dtype=np.int64)
    mass, each, wait = catalyst(
        campaign.sample_limits, campaign.conditions_per_sample, ledger, campaign.history, campaign.name, campaign.seed
    )

    def models() -> Mapping[str, Any] | None:
        try:
            return campaign.models()
        except NothingTold:
            return None

    return Progress(
        problem=campaign.problem() if known else outline(campaign),
        models=models,
        experiments=used.experiments,
        hours=hours,
        cost=used.cost,
        next_cost=least(campaign.costs, campaign.conditions_per_sample is not None),
        gains=tuple(None if np.isnan(gain) else float(gain) for gain in used.gains) if rule.needs_gains else (),
        ages=len(used.told) - np.searchsorted(np.sort(used.told), learned, side="right"),
        told=len(used.told),
        lasts=lasts,
        cells=cells,
        mass=mass,
        sample_mass=each,
        samples_wait=wait,
    )


def pace(attempts: Sequence[AttemptRecord]) -> tuple[float, int]:
    """So many hours an attempt took on average, 0 where none has ended; and in how many cells there were any."""
    took = [a.duration for a in attempts if a.state in ("finished", "failed") and a.duration is not None]
    return (sum(took) / len(took) / 3600.0 if took else 0.0), max(len({a.cell for a in attempts}), 1)


def least(costs: Costs | None, shared: bool) -> float:
    """What the cheapest experiment costs at least.

    Args:
        costs: of the campaign.
        shared: whether an experiment may do without a new sample.
    """
    if costs is None:
        return 1.0
    from acquisition.costs import LEAST

    whole = costs.experiment + costs.preparation
    alone = 0.0 if costs.slope else costs.experiment if shared else whole
    return max(alone, LEAST * whole)


def hours_passed(store: Store, name: str, records: Iterable[ExperimentRecord] | None = None) -> float:
    """Hours that have passed: by the laboratory's clock; without one, from the first question to the last answer.

    Args:
        store: where the campaign is kept.
        name: of the campaign.
        records: its experiments, where they are known already.
    """
    clock = store.clock(name)
    if clock is not None:
        return clock / 3600.0
    asked = spent(store.experiments(name) if records is None else records)
    last = [r.updated for r in asked if r.told is not None]
    return (max(last) - min(r.created for r in asked)).total_seconds() / 3600.0 if last else 0.0
