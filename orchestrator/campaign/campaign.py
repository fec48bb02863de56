"""The one stateful class of the house: proposes experiments, is told what came of them, and remembers both."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from threading import RLock
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd

from acquisition.errors import SpaceExhaustedError
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Array, Problem, Proposal, Proposals, Strategy
from acquisition.space import SearchSpace
from acquisition.strategies.registry import make_strategy
from instruments.metrics import METRICS
from orchestrator.campaign import checks, frames, telling
from orchestrator.campaign.checks import Replicates
from orchestrator.campaign.ledger import Ledger, seed_of
from orchestrator.campaign.told import ID, Told, read
from orchestrator.errors import (
    CampaignError,
    CampaignExists,
    NothingTold,
    StaleWrite,
)
from orchestrator.store.changes import Change, PutAsk, PutExperiment
from orchestrator.store.memory import MemoryStore
from orchestrator.store.protocol import Store
from orchestrator.store.records import AskRecord, CampaignRecord, ExperimentRecord, ExperimentState

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_TRIES: Final = 3

DEFAULT_INITIAL: Final = 10
"""Experiments before the model takes over; fewer were found to cost more later."""


class Campaign:
    """A closed loop's memory and mind: ask it for experiments, tell it results.

    Args:
        space: where to look.
        objectives: one or more, with different metrics.
        outcome_constraints: outcomes that must keep within bounds.
        strategy: a strategy's name, or a strategy.
        initial: experiments before the model takes over, prior data included.
        seed: of all random choices.
        replicates: ``"none"``: no point is asked twice; ``"auto"``: where it seems to pay; a number: each so often.
        metrics: names beyond the standard ones that may be told as well.
        name: of the campaign, in its store.
        store: where it is kept; by default in memory.
        definition: what else the store is to keep of it.

    Raises:
        CampaignError: objectives that do not fit together, or a wrong number.
        StrategyError: no such strategy.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] | Objective,
        *,
        outcome_constraints: Sequence[OutcomeConstraint] = (),
        strategy: str | Strategy = "auto",
        initial: int | None = None,
        seed: int = 0,
        replicates: Replicates = "none",
        metrics: Sequence[str] = (),
        name: str = "campaign",
        store: Store | None = None,
        definition: Mapping[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.objectives = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
        self.outcome_constraints = tuple(outcome_constraints)
        self.strategy = make_strategy(strategy) if isinstance(strategy, str) else strategy
        self.initial = DEFAULT_INITIAL if initial is None else initial
        self.seed = seed
        self.replicates = checks.replicates(replicates)
        self.name = name
        self.token: int | None = None
        """Fencing number of the lease under which this process writes, if it holds one."""
        checks.check(self, metrics)
        wanted = dict.fromkeys([o.metric for o in self.objectives] + [c.metric for c in self.outcome_constraints])
        self.metrics = tuple(wanted)
        self._tellable = tuple(dict.fromkeys([*wanted, *metrics, *METRICS]))
        self._lock = RLock()
        if store is None:
            store = MemoryStore()
        self.store = store
        if definition is None:
            self._register()
        self._state: Mapping[str, Any] = {}
        self._fitted: dict[str, Any] | None = None
        self._ledger = Ledger(space, self.metrics)
        self._seen = 0
        self._load()

    def _register(self) -> None:
        """Put a campaign that was made in Python into its store, or recognise it there.

        Raises:
            CampaignExists: one of this name differs in space, objectives, constraints or seed.
        """
        definition = {
            "made_in": "python",
            "name": self.name,
            "seed": int(self.seed),
            "space": {"columns": list(self.space.columns), "size": self.space.size},
            "objectives": [asdict(objective) for objective in self.objectives],
            "outcome_constraints": [asdict(constraint) for constraint in self.outcome_constraints],
        }
        definition = json.loads(json.dumps(definition))
        digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
        known = {record.name: record for record in self.store.campaigns()}.get(self.name)
        if known is None:
            record = CampaignRecord(name=self.name, definition=definition, definition_hash=digest, seed=int(self.seed))
            self.store.create(record)
        elif known.definition_hash != digest:
            raise CampaignExists(
                f"campaign {self.name!r} exists in {self.store.url} with another space, objective or seed.",
                field="name",
                mend="Give this one another name.",
            )

    def __repr__(self) -> str:
        goals = ", ".join(f"{o.goal} {o.metric}" for o in self.objectives)
        return f"<Campaign {self.name!r}: {goals}; {len(self._ledger)} experiments>"

    # Asking

    def ask(self, n: int = 1) -> pd.DataFrame:
        """Propose experiments.

        What is pending counts in the choice, so asking again before telling is fine. A finite space may give fewer
        than ``n``, but at least one.

        Args:
            n: how many.

        Returns:
            One row an experiment, index ``experiment`` (the ids), one column a parameter.

        Raises:
            CampaignError: ``n`` is not a positive whole number.
            SpaceExhaustedError: a finite space has nothing left.
        """
        records = self.propose(n, state="proposed")
        index = pd.Index([r.id for r in records], name=ID)
        points = self._ledger.array(records)
        return self.space.to_frame(points).set_index(index)

    def propose(self, n: int, *, state: ExperimentState) -> list[ExperimentRecord]:
        """As :meth:`ask`, but gives the experiments as records, in a state of the caller's choice."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise CampaignError(f"ask({n!r}): the number of experiments must be a positive whole number.", field="n")
        with self._lock:
            self._catch_up()
            return self._again_if_stale(lambda: self._propose(int(n), state))

    def _propose(self, n: int, state: ExperimentState) -> list[ExperimentRecord]:
        problem = self.problem()
        answer = self._choose(problem, n)
        records = self._records(answer, self._ledger.next_id, problem.ask, state)
        ask = AskRecord(problem.ask, n, dict(answer.state))
        self._apply([PutAsk(ask), *(PutExperiment(record, None) for record in records)])
        self._asks, self._state = problem.ask, ask.state
        return records

    def _again_if_stale(self, work: Callable[[], T]) -> T:
        """Do something that writes; where another process has written meanwhile, do it again on what is there now."""
        for _ in range(MOST_TRIES):
            try:
                return work()
            except StaleWrite as stale:
                logger.info("another process has written to campaign %s: %s", self.name, stale)
                self._load()
        return work()

    def _choose(self, problem: Problem, n: int) -> Proposals:
        """What the strategy wants; with a number of replicates, each point so many times before a new one."""
        if not isinstance(self.replicates, int):
            return self.strategy.propose(problem, n)
        chosen = [Proposal(point, "replicate") for point, missing in self._due() for _ in range(missing)][:n]
        if len(chosen) == n:
            return Proposals(tuple(chosen), problem.state)
        try:
            answer = self.strategy.propose(problem, -(-(n - len(chosen)) // self.replicates))
        except SpaceExhaustedError:
            if not chosen:
                raise
            return Proposals(tuple(chosen), problem.state)
        copies = [proposal for proposal in answer.proposals for _ in range(self.replicates)]
        return Proposals((*chosen, *copies[: n - len(chosen)]), answer.state)

    def _due(self) -> list[tuple[Array, int]]:
        """Points that were asked fewer times than wanted, and how many times more."""
        records = [r for r in self._ledger if r.origin == "asked" and r.state not in ("rejected", "cancelled")]
        points = self._ledger.array([replace(r, executed=None, measured={}) for r in records])
        keys = self.space.keys(points)
        counts = Counter(keys)
        first = dict(zip(reversed(keys), points[::-1], strict=True))
        wanted = self.replicates if isinstance(self.replicates, int) else 1
        return [(first[key], wanted - count) for key, count in counts.items() if count < wanted]

    def problem(self) -> Problem:
        """Everything that the next choice depends on."""
        ledger = self._ledger
        return Problem(
            space=self.space,
            objectives=self.objectives,
            outcome_constraints=self.outcome_constraints,
            observations=ledger.observations(),
            pending=ledger.array(ledger.pending()),
            failed=ledger.array(ledger.failed()),
            taken=ledger.array(ledger.taken()),
            initial=self.initial,
            seed=self.seed,
            ask=self._asks + 1,
            replicates="auto" if self.replicates == "auto" else "none",
            state=self._state,
        )

    def _records(self, answer: Proposals, first: int, ask: int, state: ExperimentState) -> list[ExperimentRecord]:
        points = np.stack([proposal.point for proposal in answer.proposals])
        rows = self.space.to_frame(points).to_dict("records")
        return [
            ExperimentRecord(
                id=first + i,
                state=state,
                ask=ask,
                asked={str(k): v for k, v in row.items()},
                reason=proposal.reason,
                prediction={metric: dict(belief) for metric, belief in proposal.prediction.items()},
                seed=seed_of(self.seed, first + i),
            )
            for i, (proposal, row) in enumerate(zip(answer.proposals, rows, strict=True))
        ]

    # Telling

    def tell(self, table: pd.DataFrame, *, prior: bool = False, amend: bool = False) -> None:
        """Take in results.

        Rows with an id (index or column named ``experiment``) belong to that experiment; rows without are prior data.
        Parameter columns hold inputs as executed, ``<parameter>_measured`` and ``<parameter>_measured_sem`` those
        measured afterwards; ``<metric>``, ``<metric>_sem`` and ``<metric>_censored`` the results; ``sample``,
        ``status``, ``failure_cause``, ``failure_reason`` and ``verdict`` are optional. NaN means not measured yet.

        Args:
            table: one row an experiment.
            prior: rows without an id are prior data even where they equal a pending experiment.
            amend: told values may change.

        Raises:
            TellError: or a subclass of it; then nothing at all was taken.
        """
        rows = read(table, self.space.columns, self._tellable, amend=amend)
        with self._lock:
            self._again_if_stale(lambda: self._take(rows, prior=prior, amend=amend))

    def record(self, told: Told, *extra: Change) -> ExperimentRecord:
        """Take in one result as the loop has it, with further changes in the same transaction."""
        with self._lock:
            return self._again_if_stale(lambda: self._take([told], prior=False, amend=False, extra=extra))[0]

    def _take(
        self, rows: Sequence[Told], *, prior: bool, amend: bool, extra: Sequence[Change] = ()
    ) -> list[ExperimentRecord]:
        pairs = telling.take(self._ledger, self.space, rows, seed=self.seed, prior=prior, amend=amend)
        why = "amended" if amend else ""
        changes = [PutExperiment(after, None if before is None else before.state, why) for before, after in pairs]
        self._apply([*changes, *extra])
        return [after for _, after in pairs]

    # Looking

    def best(self) -> pd.DataFrame:
        """The best feasible executed point by posterior mean, or with several objectives the Pareto front.

        Returns:
            One row a point: index ``experiment``; the parameters as best known; ``<metric>_mean`` and ``<metric>_std``
            of the noise-free function; ``<metric>`` as measured; ``samples``, the number of electrodes at that point.
            No rows where no executed point is expected to be feasible.

        Raises:
            NothingTold: no result is known yet.
        """
        with self._lock:
            return frames.best(self, self._ledger, self._models())

    def predict(self, points: pd.DataFrame) -> pd.DataFrame:
        """What the model expects of the noise-free outcomes.

        Args:
            points: one row a point, with all parameter columns.

        Returns:
            Columns ``<metric>_mean`` and ``<metric>_std`` (one standard deviation), in the metric's unit; same index.

        Raises:
            NothingTold: no result is known yet.
            SpaceError: a column is missing or holds no value of its parameter.
            CampaignError: ``points`` is no DataFrame.
        """
        if not isinstance(points, pd.DataFrame):
            raise CampaignError(f"predict takes a DataFrame, not {type(points).__name__}.", field="points")
        with self._lock:
            models = self._models()
        array = self.space.to_array(points)
        result = pd.DataFrame(index=points.index)
        for metric, model in models.items():
            belief = model.predict(array)
            result[f"{metric}_mean"], result[f"{metric}_std"] = belief.mean, belief.std
        return result

    def to_dataframe(self) -> pd.DataFrame:
        """Everything asked and told, one row an experiment, in the order of the ids.

        Columns: ``state``, ``origin``; each parameter as asked, as ``_executed``, as ``_measured`` with its
        ``_measured_sem``; each metric with ``_sem``, ``_censored``, and what was ``_predicted`` with its
        ``_predicted_std``; ``sample``, ``verdict``, ``verdict_reasons``, ``failure_cause``, ``failure_reason``,
        ``reason``.
        """
        with self._lock:
            return frames.everything(self, list(self._ledger))

    def experiments(self) -> list[ExperimentRecord]:
        """All experiments by id."""
        with self._lock:
            return list(self._ledger)

    def _models(self) -> dict[str, Any]:
        from acquisition.beliefs import fit

        if self._fitted is not None:
            return self._fitted
        problem = self.problem()
        for metric in self.metrics:
            if not np.isfinite(problem.observations.values[metric]).any():
                raise NothingTold(f"no value of {metric!r} is known yet.", mend="Tell results first.")
        self._fitted = dict(fit(problem).models)
        return self._fitted

    # Changing

    def put(self, *changes: Change) -> None:
        """Apply changes of experiments, attempts or the campaign itself, all in one transaction."""
        with self._lock:
            self._apply(changes)

    def refresh(self) -> None:
        """Take over what other processes have written."""
        with self._lock:
            self._load()

    def _catch_up(self) -> None:
        """Take over what changed since this was last done, so that late results told by another process count too."""
        events = self.store.events(self.name, after=self._seen)
        if not events:
            return
        changed = sorted({event.experiment for event in events if event.experiment is not None})
        self._ledger.put([self.store.experiment(self.name, id) for id in changed])
        self._seen = events[-1].sequence
        self._fitted = None

    def _load(self) -> None:
        events = self.store.events(self.name)
        self._seen = events[-1].sequence if events else 0
        self._ledger = Ledger(self.space, self.metrics, self.store.experiments(self.name))
        asks = self.store.asks(self.name)
        self._asks = len(asks)
        self._state = asks[-1].state if asks else {}
        self._fitted = None

    def _apply(self, changes: Sequence[Change]) -> None:
        self.store.apply(self.name, changes, who="campaign", token=self.token)
        self._ledger.put(change.record for change in changes if isinstance(change, PutExperiment))
        self._fitted = None
