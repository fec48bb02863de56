"""What all strategies with a model share: initial design, fits, one proposal after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from acquisition.beliefs import Beliefs, fit, promising
from acquisition.criteria.again import worth_again
from acquisition.errors import SpaceExhaustedError
from acquisition.maximise import best_candidate
from acquisition.problem import Array, Problem, Proposal, Proposals
from acquisition.strategies.candidates import draw, without_taken
from surrogates.threads import one_thread

Criterion: TypeAlias = Callable[[Tensor], Tensor]
"""How good candidates are: native points (m, c) to finite values (m,), a logarithm of a gain where ``is_log``."""


@dataclass(frozen=True, eq=False)
class Situation:
    """What a criterion is made of.

    Attributes:
        beliefs: the fitted models and the problem.
        waiting: (k, c) points that are pending or chosen for this batch already.
        anchors: (a, c) the most promising measured points, the best first.
        seed: for the samples of this ask, the same for the whole batch.
        position: of the proposal in its batch, from 0.
    """

    beliefs: Beliefs
    waiting: Array
    anchors: Array
    seed: int
    position: int

    @property
    def problem(self) -> Problem:
        """What was asked."""
        return self.beliefs.problem

    @property
    def known(self) -> Array:
        """(b, c) points whose uncertain values matter: the most promising measured ones and those waiting."""
        return np.vstack([self.anchors, self.waiting])


class ModelBased(ABC):
    """A strategy that fits models and maximises a criterion; subclasses say which.

    Class attributes:
        what: the criterion's name, for reasons.
        is_log: whether the criterion is the logarithm of a gain; then probabilities and costs weigh it.
        values_repeats: whether the criterion itself knows what measuring a point again is worth; otherwise, where
            replicates are wanted, it chooses among new points, and the knowledge gradient between these and repeats.
    """

    what: str = "criterion"
    is_log: bool = True
    values_repeats: bool = False

    @abstractmethod
    def criterion(self, situation: Situation) -> Criterion:
        """The criterion for the next proposal of a batch."""

    def check(self, problem: Problem) -> None:  # noqa: B027  most refuse nothing
        """Refuse problems that the strategy cannot work on.

        Raises:
            StrategyError: with what does not fit.
        """

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        self.check(problem)
        known = {m: bool(np.isfinite(problem.observations.values[m]).any()) for m in problem.metrics}
        first = min(n, problem.initial - len(problem.observations) - len(problem.pending))
        proposals: tuple[Proposal, ...] = ()
        state = dict(problem.state)
        if not all(known.values()):
            first = n  # a metric without a single value: there is nothing to learn from yet
        if first > 0:
            proposals, state["design"] = initial(problem, first)
        else:
            state.pop("design", None)
        if len(proposals) < n and first < n:
            with one_thread(), torch.no_grad():
                beliefs = self.fit(problem)
                proposals += self._choose(beliefs, n - len(proposals), [p.point for p in proposals])
                state["models"] = beliefs.state()
        return Proposals(proposals, state)

    def fit(self, problem: Problem) -> Beliefs:
        """The models that the criterion is made of."""
        return fit(problem)

    def _choose(self, beliefs: Beliefs, n: int, chosen: list[Array]) -> tuple[Proposal, ...]:
        """n proposals, one after the other, each with those before it waiting."""
        problem = beliefs.problem
        generator = problem.generator(2)
        seed = int(generator.integers(2**31))
        anchors = promising(problem, beliefs.models)
        proposals = []
        for position in range(n):
            waiting = np.vstack([problem.pending, *chosen])
            situation = Situation(beliefs, waiting, anchors, seed, position)
            score = self._score(situation)
            taken = np.vstack([problem.taken, *chosen])
            try:
                point = self._best(replace(problem, taken=taken), score, situation, generator)
            except SpaceExhaustedError:
                if not chosen:
                    raise
                break
            chosen.append(point)
            proposals.append(self._proposal(beliefs, point, float(score(torch.from_numpy(point[None, :]))[0])))
        return tuple(proposals)

    def _best(self, problem: Problem, score: Criterion, situation: Situation, generator: np.random.Generator) -> Array:
        """The best point, or one measured before where that is wanted and worth more."""
        anchors = situation.anchors[:5]
        if problem.replicates == "none" or self.values_repeats:
            return best_candidate(problem, score, anchors, generator)
        try:
            point: Array | None = best_candidate(replace(problem, replicates="none"), score, anchors, generator)
        except SpaceExhaustedError:
            point = None
        again = worth_again(situation, point)
        if again is not None:
            return again
        return best_candidate(problem, score, anchors, generator) if point is None else point

    def _score(self, situation: Situation) -> Criterion:
        criterion, beliefs = self.criterion(situation), situation.beliefs
        if not self.is_log:
            return criterion
        return lambda points: criterion(points) + beliefs.log_success(points)

    def _proposal(self, beliefs: Beliefs, point: Array, score: float) -> Proposal:
        prediction = {}
        for metric, model in beliefs.models.items():
            belief = model.predict(point[None, :], noise=True)
            prediction[metric] = {"mean": float(belief.mean[0]), "std": float(belief.std[0])}
        expected = ", ".join(f"{metric} {b['mean']:.4g} ± {b['std']:.2g}" for metric, b in prediction.items())
        value = np.exp(score) if self.is_log else score
        return Proposal(point, f"highest {self.name(beliefs.problem)} ({value:.2g}): expects {expected}", prediction)

    def name(self, problem: Problem) -> str:  # noqa: ARG002  of one objective or of several
        """The criterion's name, for reasons."""
        return self.what


def initial(problem: Problem, n: int) -> tuple[tuple[Proposal, ...], list[list[float]]]:
    """The next n points of the initial design, and what is left of it.

    Pools are drawn from at random, since designs that favour far-off rows waste experiments on a table's rim.
    """
    if problem.space.pool is not None:
        points = draw(problem, n, problem.generator())
        return tuple(Proposal(p, "initial design: drawn at random from the pool") for p in points), []
    width = len(problem.space.columns)
    design = np.array(problem.state.get("design") or [], dtype=np.float64).reshape(-1, width)
    design = without_taken(problem, design)
    if len(design) < n:
        size = max(n, problem.initial - len(problem.observations) - len(problem.pending))
        existing = problem.taken if len(problem.taken) else None
        design = without_taken(problem, problem.space.design(size, problem.generator(), existing=existing))
    if not len(design):
        design = draw(problem, n, problem.generator(1))
    points, left = design[:n], design[n:]
    return tuple(Proposal(p, "initial design: fills the space evenly") for p in points), left.tolist()
