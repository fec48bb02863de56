"""The one stateful class of the house: proposes experiments, is told what came of them, and remembers both."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from acquisition.costs import Costs
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Problem, Strategy
from acquisition.space import SearchSpace
from acquisition.stopping import Standing, StoppingRule
from orchestrator.campaign import asking, checks, frames, modelling, registering, samples, telling
from orchestrator.campaign.affording import Means
from orchestrator.campaign.books import Books
from orchestrator.campaign.checks import Replicates
from orchestrator.campaign.defining import amended, stored
from orchestrator.campaign.history import History
from orchestrator.campaign.ledger import Ledger
from orchestrator.campaign.made import Conditions
from orchestrator.campaign.progress import hours_passed, problem, progress
from orchestrator.campaign.setup import Setup
from orchestrator.campaign.told import ID, Told, read
from orchestrator.config.samples import SamplesBlock
from orchestrator.errors import CampaignError, NoModelWarning, StaleWrite
from orchestrator.store.changes import Change, PutAsk, PutExperiment
from orchestrator.store.memory import MemoryStore
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord, EventRecord, ExperimentRecord, ExperimentState

if TYPE_CHECKING:
    from orchestrator.config.definition import Definition

logger = logging.getLogger(__name__)

T = TypeVar("T")
FirstState: TypeAlias = ExperimentState | Callable[[Mapping[str, Any]], ExperimentState]
"""State of a proposed experiment, or what says it for given settings."""

MOST_TRIES: Final = 3


def unfenced() -> None:
    """The fence of a campaign that no process controls."""


class Campaign(Setup):
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
        sample_limits: what a sample takes of the catalyst, and how long it may be used.
        metrics: names beyond the standard ones that may be told as well.
        name: of the campaign, in its store.
        store: where it is kept; by default in memory.
        definition: what else the store is to keep of it.

    Raises:
        CampaignError: objectives that do not fit together, a wrong number, or samples without a preparation.
        ObjectiveError: costs of what is no parameter.
        StrategyError: no such strategy.
    """

    definition: Definition | None = None
    """The last one that was taken over by :meth:`amend`, or from the store."""

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
        sample_limits: SamplesBlock | None = None,
        metrics: Sequence[str] = (),
        name: str = "campaign",
        store: Store | None = None,
        definition: Mapping[str, Any] | None = None,
    ) -> None:
        checks.whole("seed", seed, 0)
        if budget is not None:
            checks.whole("budget", budget, 1)
        self.seed, self.budget = seed, budget
        self.reserved = 0
        """Experiments of the budget that are kept to confirm the best."""
        self.name = name
        self.token: int | None = None
        """Fencing number of the lease under which this process writes, if it holds one."""
        self.who = "campaign"
        """By whom the log says that something was written."""
        self.fence: Callable[[], None] = unfenced
        """Asked before every write; raises :class:`~orchestrator.errors.LeaseLost` where the lease has run out."""
        self._adopt(
            space,
            objectives,
            outcome_constraints=outcome_constraints,
            strategy=strategy,
            initial=initial,
            replicates=replicates,
            costs=costs,
            fixed_within_batch=fixed_within_batch,
            conditions_per_sample=conditions_per_sample,
            sample_limits=sample_limits,
            metrics=metrics,
        )
        self._lock = RLock()
        self.store = MemoryStore() if store is None else store
        if definition is None:
            registering.register(self)
        self._books = Books(self.store, name, self._ledger_of, self._follow)

    def __repr__(self) -> str:
        goals = ", ".join(f"{o.goal} {o.metric}" for o in self.objectives)
        return f"<Campaign {self.name!r}: {goals}; {len(self._books.ledger)} experiments>"

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
        if self.budget is not None and not self._books.asks and (why := checks.never_modelled(self, self.problem())):
            warnings.warn(why, NoModelWarning, stacklevel=2)
        records = self.propose(n, state="proposed")
        index = pd.Index([r.id for r in records], name=ID)
        points = self._books.ledger.array(records)
        frame = self.space.to_frame(points).set_index(index)
        return frame if self.conditions_per_sample is None else frame.assign(sample=[str(r.sample) for r in records])

    def propose(
        self,
        n: int,
        *,
        state: FirstState,
        apart: bool = False,
        purse: float = math.inf,
        fresh: float = math.inf,
        ask: int | None = None,
    ) -> list[ExperimentRecord]:
        """As :meth:`ask`, but gives the experiments as records.

        Args:
            n: how many.
            state: of the records, or what says it for given settings.
            apart: each on a sample of its own on which nothing is pending: for cells that work at the same time.
            purse: what they may cost in all; what does not fit is not proposed. Where nothing of it fits, one that does
                is looked for, so that there is none only where nothing can be paid.
            fresh: so many new samples they may need; what needs more is not proposed, and the same holds.
            ask: the number that this ask must get, where several processes may make it.

        Raises:
            StaleWrite: another process has made the ask of that number.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise CampaignError(f"ask({n!r}): the number of experiments must be a positive whole number.", field="n")
        with self._lock:
            self._catch_up()
            return self._again_if_stale(lambda: self._propose(int(n), state, apart, Means(purse, fresh), ask))

    def _propose(
        self, n: int, state: FirstState, apart: bool, means: Means, number: int | None
    ) -> list[ExperimentRecord]:
        books = self._books
        if number not in (None, books.asks + 1):
            raise StaleWrite(f"ask {number} of campaign {self.name!r} was made by another process.", field="ask")
        ask, records = asking.proposed(self, books.ledger, n, state, apart=apart, means=means)
        if records:
            self._apply([PutAsk(ask), *(PutExperiment(record, None) for record in records)])
            books.asks, books.state = ask.number, ask.state
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
        return problem(self, self._books, idle=idle)

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
        rows = read(table, self.space.columns, self.tellable, amend=amend)
        with self._lock:
            self._again_if_stale(lambda: self._take(rows, prior=prior, amend=amend))

    def record(self, told: Told, *extra: Change, amend: bool = False, why: str = "") -> ExperimentRecord:
        """Take in one result as the loop has it, with further changes in the same transaction."""
        with self._lock:
            return self._again_if_stale(lambda: self._take([told], prior=False, amend=amend, extra=extra, why=why))[0]

    def _take(
        self, rows: Sequence[Told], *, prior: bool, amend: bool, extra: Sequence[Change] = (), why: str = ""
    ) -> list[ExperimentRecord]:
        pairs = telling.take(self._books.ledger, self.space, rows, seed=self.seed, prior=prior, amend=amend)
        pairs = [(before, samples.used(before, after, self.store, self.name)) for before, after in pairs]
        why = why or ("amended" if amend else "")
        changes = [
            PutExperiment(after, None if before is None else before.state, why, before) for before, after in pairs
        ]
        self._apply([*changes, *samples.renamed(self._books.ledger, pairs), *extra])
        return [after for _, after in pairs]

    # Looking

    def best(self) -> pd.DataFrame:
        """The best feasible executed point by posterior mean, or with several objectives the Pareto front.

        Returns:
            One row a point: index ``experiment``; the parameters as best known; ``<metric>_mean`` and ``<metric>_std``
            of the noise-free function; ``<metric>`` as measured; ``samples``, the number of electrodes at that point.
            Once the best are being confirmed also ``<metric>_confirmed``, the mean over fresh samples, with its
            standard error ``<metric>_confirmed_sem``, and ``confirmed``: whether that is what was expected.
            No rows where no executed point is expected to be feasible.

        Raises:
            NothingTold: a metric of an objective or outcome constraint was never observed; says which.
        """
        with self._lock:
            return frames.best(self, self._books.ledger, self.models())

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
        with self._lock:
            return frames.predicted(self, self._books.ledger, points)

    def to_dataframe(self) -> pd.DataFrame:
        """Everything asked and told, one row an experiment, in the order of the ids.

        Columns: ``state``, ``origin``; each parameter as asked, as ``_executed``, as ``_measured`` with its
        ``_measured_sem``; each metric with ``_sem``, ``_censored``, and what was ``_predicted`` with its
        ``_predicted_std``; ``sample``, ``verdict``, ``verdict_reasons``, ``failure_cause``, ``failure_reason``,
        ``reason``.
        """
        with self._lock:
            return frames.everything(self, list(self._books.ledger))

    @property
    def next_id(self) -> int:
        """The id of the next experiment."""
        return self._books.ledger.next_id

    def experiments(self) -> list[ExperimentRecord]:
        """All experiments by id."""
        with self._lock:
            return list(self._books.ledger)

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
                hours = hours_passed(self.store, self.name, self._books.ledger)
            now = progress(self, self._books.ledger, hours, rule)
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
            if metric not in modelling.observed(self._books.ledger):
                raise modelling.unobserved(self, self._books.ledger, metric)
        return self.known_models()

    def known_models(self) -> Mapping[str, Any]:
        """The fitted models of those metrics of which something is known."""
        if self._books.fitted is None:
            self._books.fitted = modelling.fit(self, modelling.observed(self._books.ledger))
        return self._books.fitted

    # Changing

    def put(self, *changes: Change) -> None:
        """Apply changes of experiments, attempts or the campaign itself, all in one transaction."""
        with self._lock:
            self._apply(changes)

    def amend(self, definition: Definition) -> None:
        """Go on by another definition; what was asked and told stays as it is.

        Only this object changes. A definition that is amended in the store is followed by itself, before the next
        choice and with the next :meth:`news`.

        Args:
            definition: of the same columns and objectives.

        Raises:
            CampaignError: its columns or objectives are others.
        """
        with self._lock:
            self._adopt(**amended(self, definition))
            self.definition = definition
            self._books.recast()

    def _follow(self, record: CampaignRecord) -> None:
        definition = stored(record, self.store)
        self._adopt(**amended(self, definition))
        self.definition = definition

    def _ledger_of(self, records: Iterable[ExperimentRecord]) -> Ledger:
        return Ledger(self.space, self.metrics, records)

    @property
    def version(self) -> int:
        """Of the definition: 1, and one more with every amendment."""
        return self._books.version

    @property
    def history(self) -> History:
        """What cells and samples have been through."""
        return self._books.history

    def refresh(self) -> None:
        """Take over what other processes have written."""
        with self._lock:
            self._load()

    @property
    def asks(self) -> int:
        """How many asks there were."""
        return self._books.asks

    @property
    def seen(self) -> int:
        """Sequence number of the last event that was taken over."""
        return self._books.seen

    def news(self) -> list[EventRecord]:
        """Take over what others have written; the events of that since this was last asked, oldest first."""
        with self._lock:
            self._catch_up()
            return self._books.news()

    def _catch_up(self) -> None:
        self._books.catch_up(listening=self.token is not None)

    def _load(self) -> None:
        self._books.load(listening=self.token is not None)

    def _apply(self, changes: Sequence[Change]) -> None:
        self.fence()
        self._books.apply(changes, who=self.who, token=self.token)
