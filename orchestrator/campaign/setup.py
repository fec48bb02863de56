"""What a campaign is made of, checked, and all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

from acquisition.costs import Costs
from acquisition.design import usual_initial
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Strategy
from acquisition.space import SearchSpace
from acquisition.strategies.registry import make_strategy
from instruments.metrics import METRICS
from orchestrator.campaign import checks
from orchestrator.campaign.checks import Replicates
from orchestrator.campaign.made import Conditions
from orchestrator.config.samples import SamplesBlock
from orchestrator.config.stages import check_stages


class Setup:
    """What a campaign is made of; an amendment may change it.

    Attributes:
        space: where to look.
        objectives: one or more, with different metrics.
        outcome_constraints: outcomes that must keep within bounds.
        strategy: chooses.
        initial: experiments before the model takes over.
        replicates: whether a point may be asked again.
        costs: of experiments, samples and changes of settings.
        fixed: columns that are equal in all experiments of one ask.
        conditions_per_sample: experiments on each sample.
        sample_limits: what a sample takes of the catalyst, and how long it may be used.
        metrics: of objectives and outcome constraints.
        tellable: metrics that may be told.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    outcome_constraints: tuple[OutcomeConstraint, ...]
    strategy: Strategy
    initial: int
    replicates: Replicates
    costs: Costs | None
    fixed: tuple[str, ...]
    conditions_per_sample: Conditions
    sample_limits: SamplesBlock | None
    metrics: tuple[str, ...]
    tellable: tuple[str, ...]

    def _adopt(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] | Objective,
        *,
        outcome_constraints: Sequence[OutcomeConstraint],
        strategy: str | Strategy,
        initial: int | None,
        replicates: Replicates,
        costs: Costs | None,
        fixed_within_batch: Sequence[str],
        conditions_per_sample: Conditions,
        sample_limits: SamplesBlock | None,
        metrics: Sequence[str],
    ) -> None:
        """Become what arguments of :class:`Campaign` say; raises as that does, and changes nothing then."""
        goals = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
        bounds = tuple(outcome_constraints)
        chooses = make_strategy(strategy) if isinstance(strategy, str) else strategy
        again = checks.replicates(replicates)
        checks.check(space, chooses, goals, bounds, metrics, 1 if initial is None else initial)
        fixed = check_stages(space, again, costs, fixed_within_batch, conditions_per_sample)
        if initial is None:
            conditions = conditions_per_sample if isinstance(conditions_per_sample, int) else None
            initial = usual_initial(space, conditions)
        self.space, self.objectives, self.outcome_constraints = space, goals, bounds
        self.strategy, self.initial, self.replicates = chooses, initial, again
        self.costs, self.fixed = costs, fixed
        self.conditions_per_sample, self.sample_limits = conditions_per_sample, sample_limits
        self.metrics = tuple(dict.fromkeys([*(o.metric for o in goals), *(c.metric for c in bounds)]))
        self.tellable = tuple(dict.fromkeys([*self.metrics, *metrics, *METRICS]))
