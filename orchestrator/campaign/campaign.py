"""The one stateful class of the house: proposes experiments, is told what came of them, and remembers both."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from acquisition.costs import Costs
from acquisition.design import usual_initial
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Problem, Strategy
from acquisition.space import SearchSpace
from acquisition.stopping import Standing, StoppingRule
from acquisition.strategies.registry import make_strategy
from instruments.metrics import METRICS
from orchestrator.campaign import affording, asking, checks, frames, modelling, registering, samples, telling
from orchestrator.campaign.checks import Replicates
from orchestrator.campaign.ledger import Ledger
from orchestrator.campaign.progress import hours_of, progress
from orchestrator.campaign.samples import Conditions
from orchestrator.campaign.told import ID, Told, read
from orchestrator.config.stages import check_stages
from orchestrator.errors import (
    CampaignError,
    NoModelWarning,
    StaleWrite,
)
from orchestrator.store.changes import Change, PutAsk, PutAttempt, PutExperiment
from orchestrator.store.memory import MemoryStore
from orchestrator.store.protocol import Store
from orchestrator.store.records import AskRecord, EventRecord, ExperimentRecord, ExperimentState

logger = logging.getLogger(__name__)

T = TypeVar("T")
FirstState: TypeAlias = ExperimentState | Callable[[Mapping[str, Any]], ExperimentState]
"""State of a proposed experiment, or what says it for given settings."""

MOST_TRIES: Final = 3


def unfenced() -> None:
    """The fence of a campaign that no process controls."""


class Campaign:
    """A closed loop's memory and mind: ask it for experiments, tell it results.

    Args:
        space: where to look.
        objectives: one or more, with different metrics.
        outcome_constraints: outcomes that must keep within bounds.
        strategy: a strategy's name, or a strategy.
        initial: experiments before the model takes over, prior data included; without it 4 to 10, one for each number
            that can be chosen freely, and 10 for pools.
        budget: experiments that will be asked in all, prior data not among them, where that is known: strategies that
            look ahead heed it. Asking on is not refused. The first ask warns where the initial design uses it up.
        seed: of all random choices.
        replicates: ``"none"``: no point is asked twice; ``"auto"``: where it seems to pay; a number: each so often.
        costs: of experiments, samples and changes of settings; by default all experiments cost the same.
        fixed_within_batch: parameters that are equal in all experiments of one ask (one temperature for all cells).
        conditions_per_sample: experiments on each sample, or ``"auto"``: as many as pay. By default each experiment has
            a sample of its own.
        metrics: names beyond the standard ones that may be told as well.
        name: of the campaign, in its store.
        store: where it is kept; by default in memory.
        definition: what else the store is to keep of it.

    Raises:
        CampaignError: objectives that do not fit together, a wrong number, or samples without a preparation.
        ObjectiveError: costs of what is no parameter.
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
        budget: int | None = None,
        seed: int = 0,
        replicates: Replicates = "none",
        costs: Costs | None = None,
        fixed_within_batch: Sequence[str] = (),
        conditions_per_sample: Conditions = None,
        metrics: Sequence[str] = (),
        name: str = "campaign",
        store: Store | None = None,
        definition: Mapping[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.objectives = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
        self.outcome_constraints = tuple(outcome_constraints)
        self.strategy = make_strategy(strategy) if isinstance(strategy, str) else strategy
        self.initial = 1 if initial is None else initial
        self.budget = budget
        self.seed = seed
        self.replicates = checks.replicates(replicates)
        self.costs, self.conditions_per_sample = costs, conditions_per_sample
        self.name = name
        self.token: int | None = None
        """Fencing number of the lease under which this process writes, if it holds one."""
        self.who = "campaign"
        """By whom the log says that something was written."""
        self.fence: Callable[[], None] = unfenced
        """Asked before every write; raises :class:`~orchestrator.errors.LeaseLost` where the lease has run out."""
        checks.check(self, metrics)
        self.fixed = check_stages(space, self.replicates, costs, fixed_within_batch, conditions_per_sample)
        """Columns that are equal in all experiments of one ask."""
        if initial is None:
            conditions = conditions_per_sample if isinstance(conditions_per_sample, int) else None
            self.initial = usual_initial(space, conditions)
        wanted = dict.fromkeys([o.metric for o in self.objectives] + [c.metric for c in self.outcome_constraints])
        self.metrics = tuple(wanted)
        self._tellable = tuple(dict.fromkeys([*wanted, *metrics, *METRICS]))
        self._lock = RLock()
        if store is None:
            store = MemoryStore()
        self.store = store
        if definition is None:
            registering.register(self)
        self._state: Mapping[str, Any] = {}
        self._fitted: Mapping[str, Any] | None = None
        self._ledger = Ledger(space, self.metrics)
        self._cells = samples.Cells()
        self._seen = 0
        self._news: list[EventRecord] = []
        self._load()

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
            One row an experiment, index ``experiment`` (the ids), one column a parameter. Where experiments share
            samples, a column ``sample`` names the electrode: an open one, or one to be made.

        Raises:
            CampaignError: ``n`` is not a positive whole number.
            SpaceExhaustedError: a finite space has nothing left.

        Warns:
            NoModelWarning: at the first ask: the initial design uses the whole budget up.
        """
        if self.budget is not None and not self._asks and (why := checks.never_modelled(self, self.problem())):
            warnings.warn(why, NoModelWarning, stacklevel=2)
        records = self.propose(n, state="proposed")
        index = pd.Index([r.id for r in records], name=ID)
        points = self._ledger.array(records)
        frame = self.space.to_frame(points).set_index(index)
        return frame if self.conditions_per_sample is None else frame.assign(sample=[str(r.sample) for r in records])

    def propose(
        self, n: int, *, state: FirstState, apart: bool = False, purse: float = math.inf
    ) -> list[ExperimentRecord]:
        """As :meth:`ask`, but gives the experiments as records.

        Args:
            n: how many.
            state: of the records, or what says it for given settings.
            apart: each on a sample of its own on which nothing is pending: for cells that work at the same time.
            purse: what they may cost in all; what does not fit is not proposed. Where nothing of it fits, one that does
                is looked for, so that there is none only where nothing can be paid.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise CampaignError(f"ask({n!r}): the number of experiments must be a positive whole number.", field="n")
        with self._lock:
            self._catch_up()
            return self._again_if_stale(lambda: self._propose(int(n), state, apart, purse))

    def _propose(self, n: int, state: FirstState, apart: bool, purse: float) -> list[ExperimentRecord]:
        problem = self.problem(idle=apart)
        answer = asking.choose(self, self._ledger, problem, n, apart=apart)
        records = asking.records(self, problem, answer, self._ledger.next_id, state)
        records = records[: int((np.cumsum([r.cost or 0.0 for r in records]) <= purse).sum())]
        if not records:
            other = affording.cheaper(self.strategy, problem, purse)
            if other is None:
                return []
            answer, records = other, asking.records(self, problem, other, self._ledger.next_id, state)
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

    def problem(self, *, idle: bool = False) -> Problem:
        """Everything that the next choice depends on.

        Args:
            idle: samples that an experiment is pending on are not open.
        """
        ledger = self._ledger
        pending = ledger.pending()
        return Problem(
            space=self.space,
            objectives=self.objectives,
            outcome_constraints=self.outcome_constraints,
            observations=ledger.observations(),
            pending=ledger.array(pending),
            failed=ledger.array(ledger.failed()),
            taken=ledger.array(ledger.taken()),
            initial=self.initial,
            seed=self.seed,
            ask=self._asks + 1,
            replicates="auto" if self.replicates == "auto" else "none",
            state=self._state,
            pending_samples=tuple(r.sample for r in pending),
            costs=self.costs,
            current=self._cells.current(ledger),
            fixed=self.fixed,
            conditions_per_sample=self.conditions_per_sample,
            open_samples=samples.open_samples(ledger, self.conditions_per_sample, self._cells, idle=idle),
            remaining=None if self.budget is None else max(0, self.budget - ledger.asked()),
        )

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

    def record(self, told: Told, *extra: Change, amend: bool = False, why: str = "") -> ExperimentRecord:
        """Take in one result as the loop has it, with further changes in the same transaction."""
        with self._lock:
            return self._again_if_stale(lambda: self._take([told], prior=False, amend=amend, extra=extra, why=why))[0]

    def _take(
        self, rows: Sequence[Told], *, prior: bool, amend: bool, extra: Sequence[Change] = (), why: str = ""
    ) -> list[ExperimentRecord]:
        pairs = telling.take(self._ledger, self.space, rows, seed=self.seed, prior=prior, amend=amend)
        pairs = [(before, samples.used(before, after, self.store, self.name)) for before, after in pairs]
        why = why or ("amended" if amend else "")
        changes = [
            PutExperiment(after, None if before is None else before.state, why, before) for before, after in pairs
        ]
        self._apply([*changes, *samples.renamed(self._ledger, pairs), *extra])
        return [after for _, after in pairs]

    # Looking

    def best(self) -> pd.DataFrame:
        """The best feasible executed point by posterior mean, or with several objectives the Pareto front.

        Returns:
            One row a point: index ``experiment``; the parameters as best known; ``<metric>_mean`` and ``<metric>_std``
            of the noise-free function; ``<metric>`` as measured; ``samples``, the number of electrodes at that point.
            No rows where no executed point is expected to be feasible.

        Raises:
            NothingTold: a metric of an objective or outcome constraint was never observed; says which.
        """
        with self._lock:
            return frames.best(self, self._ledger, self.models())

    def predict(self, points: pd.DataFrame) -> pd.DataFrame:
        """What the model expects of the noise-free outcomes, of those metrics of which something is known.

        Args:
            points: one row a point, with all parameter columns.

        Returns:
            Columns ``<metric>_mean`` and ``<metric>_std`` (one standard deviation), in the metric's unit; same index.
            A metric that was never observed has no columns.

        Raises:
            NothingTold: no result is known yet.
            SpaceError: a column is missing or holds no value of its parameter.
            CampaignError: ``points`` is no DataFrame.
        """
        if not isinstance(points, pd.DataFrame):
            raise CampaignError(f"predict takes a DataFrame, not {type(points).__name__}.", field="points")
        with self._lock:
            if not modelling.observed(self._ledger):
                raise modelling.unobserved(self, self._ledger, self.metrics[0])
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

    def standing(self, rule: StoppingRule, *, hours: float | None = None) -> Standing:
        """How near a stopping rule is: a pure function of what is recorded.

        Args:
            rule: a rule, or a combination of rules.
            hours: that have passed by the laboratory's clock; by default as recorded.

        Raises:
            StoppingError: the rule means nothing for this campaign.
        """
        with self._lock:
            if hours is None:
                hours = hours_of(self.store.attempts(self.name), self._ledger)
            now = progress(self, self._ledger, hours, known=rule.looks_ahead, timed=rule.needs_durations)
            rule.check(now.problem)
            return rule.standing(now)

    def stop_reason(self, rule: StoppingRule) -> str | None:
        """Why the campaign is over by a stopping rule; ``None`` while it is not."""
        return self.standing(rule).reason or None

    def models(self) -> Mapping[str, Any]:
        """The fitted models by metric, of the kind that the strategy uses.

        Raises:
            NothingTold: a metric has no value yet.
        """
        for metric in self.metrics:
            if metric not in modelling.observed(self._ledger):
                raise modelling.unobserved(self, self._ledger, metric)
        return self._models()

    def _models(self) -> Mapping[str, Any]:
        """The fitted models of those metrics of which something is known."""
        if self._fitted is None:
            self._fitted = modelling.fit(self, modelling.observed(self._ledger))
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

    @property
    def seen(self) -> int:
        """Sequence number of the last event that was taken over."""
        return self._seen

    def news(self) -> list[EventRecord]:
        """Take over what others have written; the events of that since this was last asked, oldest first."""
        with self._lock:
            self._catch_up()
            news, self._news = self._news, []
            return news

    def _catch_up(self) -> None:
        """Take over what changed since this was last done, so that late results told by another process count too."""
        if self.store.last_event(self.name) == self._seen:
            return
        events = self.store.events(self.name, after=self._seen)
        if self.token is not None:  # a loop runs, and wants to know
            self._news += events
        changed = sorted({event.experiment for event in events if event.kind == "experiment" and event.experiment})
        self._ledger.put(self.store.experiments(self.name, ids=changed) if changed else ())
        if self.token is None and any(event.kind == "attempt" for event in events):  # else they are this process's own
            self._cells = samples.Cells(self.store.attempts(self.name))
        self._seen = events[-1].sequence
        if changed:
            self._fitted = None

    def _load(self) -> None:
        last = self.store.last_event(self.name)
        if self.token is not None and self._seen:  # a loop must not miss what a new start passes over
            self._news += [e for e in self.store.events(self.name, after=self._seen) if e.sequence <= last]
        self._seen = last
        self._ledger = Ledger(self.space, self.metrics, self.store.experiments(self.name))
        self._cells = samples.Cells(self.store.attempts(self.name))
        asks = self.store.asks(self.name)
        self._asks = len(asks)
        self._state = asks[-1].state if asks else {}
        self._fitted = None

    def _apply(self, changes: Sequence[Change]) -> None:
        self.fence()
        last, written = self.store.apply(self.name, changes, who=self.who, token=self.token), len(changes)
        if last == self._seen + written:  # else others have written too, which is read when it is wanted
            self._seen = last
        self._ledger.put(change.record for change in changes if isinstance(change, PutExperiment))
        for change in changes:
            if isinstance(change, PutAttempt):
                self._cells.put(change.record)
        self._fitted = None
