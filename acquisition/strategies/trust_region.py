"""Long campaigns and many parameters: a local search whose reach follows its success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.beliefs import Beliefs
from acquisition.criteria.region import Box, Region, Rules, replay, scored
from acquisition.errors import StrategyError
from acquisition.maximise import Staged
from acquisition.parameters import Categorical, Composition
from acquisition.problem import Array, Observations, Problem, Proposals
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Criterion, ModelBased, Situation
from acquisition.strategies.thompson import Thompson
from surrogates.threads import one_thread

Inside = Literal["improvement", "thompson"]

MOST_MODELLED: Final = 300
"""So many observations nearest to the region's best are modelled; far ones say little about it."""


class TrustRegion(ModelBased):
    """Searches a region about the best point, which grows with success, shrinks without, and starts again elsewhere.

    TuRBO (Eriksson et al., NeurIPS 32 (2019)); the region is recomputed from the observations with every ask.

    Args:
        length: of a new region's sides, as a share of the parameters' ranges.
        shortest: a region that would become shorter has converged; the next begins with a new space-filling design.
        longest: no region becomes longer.
        successes: so many improvements in a row double the length.
        failures: so many experiments in a row without one halve it; by default as many as there are parameters to set,
            at least 4.
        inside: ``improvement`` or ``thompson``: what is maximised inside.
        model: see :class:`ModelBased`.
    """

    def __init__(
        self,
        length: float = 0.8,
        shortest: float = 2.0**-7,
        longest: float = 1.6,
        successes: int = 3,
        failures: int | None = None,
        inside: Inside = "improvement",
        *,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model=model)
        for name, value in (("length", length), ("shortest", shortest), ("longest", longest)):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise StrategyError(f"{name} must be a number, not {value!r}.", field=f"strategy.options.{name}")
        for name, count in (("successes", successes), ("failures", 1 if failures is None else failures)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise StrategyError(
                    f"{name} must be a whole number, 1 or more, not {count!r}.", field=f"strategy.options.{name}"
                )
        if not 0 < shortest <= length <= longest:
            raise StrategyError(
                f"lengths must rise: shortest {shortest:g}, length {length:g}, longest {longest:g}.",
                field="strategy.options.length",
            )
        if inside not in get_args(Inside):
            raise StrategyError(
                f"inside cannot be {inside!r}.",
                field="strategy.options.inside",
                mend=f"It is {' or '.join(get_args(Inside))}.",
            )
        self.lengths, self.successes, self.failures = (length, shortest, longest), successes, failures
        self.inside = inside
        self.in_unit = inside == "improvement"

    def check(self, problem: Problem) -> None:
        """Refuse several objectives."""
        super().check(problem)
        if len(problem.objectives) > 1:
            raise StrategyError(
                f"trust_region improves one objective, not {len(problem.objectives)}.",
                field="strategy.name",
                mend="Use hypervolume (or auto) for several objectives.",
            )

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        self.check(problem)
        region = self.region(problem)
        told = {"number": region.number, "length": region.length, "first": region.first}
        # a region that starts again has a design of its own
        begun = region.first + max(problem.initial, 1)
        return super().propose(replace(problem, initial=begun, state={**problem.state, "region": told}), n)

    def region(self, problem: Problem) -> Region:
        """The region after all observations, as the model judges each of them: one lucky value is no success."""
        length, shortest, longest = self.lengths
        free = sum(len(p.components) - 1 if isinstance(p, Composition) else 1 for p in problem.space.parameters)
        failures = self.failures or max(4, free)
        rules = Rules(length, shortest, longest, self.successes, failures, max(problem.initial, 1))
        values = self._means(problem) if len(problem.observations) > rules.design else problem.observations.values
        return replay(replace(problem, observations=replace(problem.observations, values=values)), rules)

    def _means(self, problem: Problem) -> Mapping[str, Array]:
        """Noise-free outcomes by the model where they were measured, of the newest observations; of others, values."""
        observations = problem.observations
        known = {metric: np.isfinite(observations.values[metric]) for metric in problem.metrics}
        newest = np.arange(len(observations))[-MOST_MODELLED:]
        if not all(rows[newest].any() for rows in known.values()):
            return observations.values
        with one_thread(), torch.no_grad():
            beliefs = self.fit(replace(problem, observations=_rows(observations, newest)))
            means = {metric: beliefs.models[metric].predict(observations.points[newest]).mean for metric in known}
        judged = {metric: np.array(observations.values[metric]) for metric in known}
        for metric, mean in means.items():
            judged[metric][newest] = np.where(known[metric][newest], mean, np.nan)
        return judged

    def believe(self, problem: Problem) -> Beliefs:
        """Models of what is near; only observations of the region itself are rivals to be improved on."""
        observations = problem.observations
        own = np.arange(len(observations))[problem.state["region"]["first"] :]
        if not len(own):  # the region's design is under way, nothing of it is known: all else stands in
            own = np.arange(len(observations))
        near = np.arange(len(observations))
        if len(near) > MOST_MODELLED:
            near = _nearest(problem, own)
        beliefs = self.fit(replace(problem, observations=_rows(observations, near)))
        return replace(beliefs, problem=replace(problem, observations=_rows(observations, own)))

    def criterion(self, situation: Situation) -> Criterion:
        """What is maximised inside, less a penalty outside."""
        problem = situation.problem
        inner = noisy(situation) if self.inside == "improvement" else Thompson().criterion(situation)
        names = {p.name for p in problem.space.parameters if isinstance(p, Categorical)}
        categories = [i for i, column in enumerate(problem.space.columns) if column in names]
        box = Box(problem.space.encoding, situation.anchors[0], problem.state["region"]["length"], categories)
        if isinstance(inner, Staged):
            return inner.weighed(lambda points: -box.penalty(points))
        return lambda points: inner(points) - box.penalty(points)

    def name(self, problem: Problem) -> str:
        """What is maximised, and where."""
        what = "expected improvement" if self.inside == "improvement" else Thompson.what
        return f"{what} within {0.5 * problem.state['region']['length']:.2g} of the ranges about the best"


def _nearest(problem: Problem, own: NDArray[np.intp]) -> NDArray[np.intp]:
    """The rows nearest to the best one of the region, complete ones first, in their order."""
    merits, violations = scored(problem)
    complete = np.isfinite(merits) & np.isfinite(violations)
    if not complete.any():  # each row tells of some metrics only: none can be spared
        return np.arange(len(complete))
    known = own[complete[own]]
    best = known[np.lexsort((-merits[known], violations[known]))[0]] if len(known) else own[-1]
    columns = problem.space.encoding(problem.observations.points)
    gaps = np.square(columns - columns[best]).sum(1)
    return np.sort(np.lexsort((gaps, ~complete))[:MOST_MODELLED])


def _rows(observations: Observations, rows: NDArray[np.intp]) -> Observations:
    """Some of the observations; all of them as they are, so that what was fitted to them serves again."""
    if len(rows) == len(observations):
        return observations
    return replace(
        observations,
        points=observations.points[rows],
        values={metric: values[rows] for metric, values in observations.values.items()},
        sems={metric: sems[rows] for metric, sems in observations.sems.items()},
        inflation=observations.inflation[rows],
        samples=tuple(observations.samples[row] for row in rows) if observations.samples else (),
        censored={metric: side[rows] for metric, side in observations.censored.items()},
        point_sems=None if observations.point_sems is None else observations.point_sems[rows],
    )
