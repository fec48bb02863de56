"""From what a strategy proposes to experiments: replicates, samples, costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from acquisition.errors import SpaceExhaustedError
from acquisition.problem import Array, Problem, Proposal, Proposals
from acquisition.strategies.two_stage import TwoStage
from orchestrator.campaign import affording, samples
from orchestrator.campaign.ledger import Ledger, seed_of
from orchestrator.campaign.progress import spent
from orchestrator.store.records import AskRecord, ExperimentRecord

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign, FirstState


def proposed(
    campaign: Campaign, ledger: Ledger, n: int, state: FirstState, *, apart: bool, means: affording.Means
) -> tuple[AskRecord, list[ExperimentRecord]]:
    """The next ask and its experiments, which may be none; see :meth:`Campaign.propose`."""
    problem = campaign.problem(idle=apart)
    answer = choose(campaign, ledger, problem, n, apart=apart)
    found = records(campaign, problem, answer, ledger.next_id, state)
    found = affording.within(found, problem, means)
    if not found and (other := affording.cheaper(campaign.strategy, problem, means)) is not None:
        answer, found = other, records(campaign, problem, other, ledger.next_id, state)
    return AskRecord(problem.ask, n, dict(answer.state)), found


def choose(campaign: Campaign, ledger: Ledger, problem: Problem, n: int, *, apart: bool) -> Proposals:
    """What the strategy wants; with a number of replicates, each point so many times before a new one.

    Args:
        campaign: whose strategy.
        ledger: its experiments.
        problem: what is asked.
        n: how many.
        apart: each on a sample of its own.
    """
    strategy, wanted = campaign.strategy, campaign.replicates
    shared = campaign.conditions_per_sample is not None or campaign.fixed
    if shared and not getattr(strategy, "knows_samples", False):
        strategy = TwoStage(strategy, apart=apart)
    if not isinstance(wanted, int):
        return strategy.propose(problem, n)
    chosen = [Proposal(point, "replicate") for point, missing in _due(campaign, ledger, wanted) for _ in range(missing)]
    chosen = chosen[:n]
    if len(chosen) == n:
        return Proposals(tuple(chosen), problem.state)
    try:
        answer = strategy.propose(problem, -(-(n - len(chosen)) // wanted))
    except SpaceExhaustedError:
        if not chosen:
            raise
        return Proposals(tuple(chosen), problem.state)
    copies = [proposal for proposal in answer.proposals for _ in range(wanted)]
    return Proposals((*chosen, *copies[: n - len(chosen)]), answer.state)


def _due(campaign: Campaign, ledger: Ledger, wanted: int) -> list[tuple[Array, int]]:
    """Points that were asked fewer times than wanted, and how many times more."""
    records = spent(ledger)
    points = ledger.array([replace(r, executed=None, measured={}) for r in records])
    keys = campaign.space.keys(points)
    counts = Counter(keys)
    first = dict(zip(reversed(keys), points[::-1], strict=True))
    return [(first[key], wanted - count) for key, count in counts.items() if count < wanted]


def records(
    campaign: Campaign, problem: Problem, answer: Proposals, first: int, state: FirstState
) -> list[ExperimentRecord]:
    """Proposals as experiments with ids from ``first``."""
    proposals = answer.proposals
    points = np.stack([proposal.point for proposal in proposals])
    rows = campaign.space.to_frame(points).to_dict("records")
    names: Sequence[str | None] = [None] * len(proposals)
    if campaign.conditions_per_sample is not None:
        names = samples.named(proposals, problem.open_samples, campaign.name, campaign.seed, first)
    prices = samples.prices(problem, points, names)
    settings = [{str(k): v for k, v in row.items()} for row in rows]
    return [
        ExperimentRecord(
            id=id,
            state=state(row) if callable(state) else state,
            ask=problem.ask,
            asked=row,
            reason=proposal.reason,
            prediction={metric: dict(belief) for metric, belief in proposal.prediction.items()},
            gain=None if proposal.gain is None else float(proposal.gain),
            cost=price,
            seed=seed_of(campaign.seed, id),
            sample=name,
        )
        for id, proposal, row, name, price in zip(
            range(first, first + len(proposals)), proposals, settings, names, prices, strict=True
        )
    ]
