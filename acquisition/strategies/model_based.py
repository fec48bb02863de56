"""What all strategies with a model share: initial design, fits, one proposal after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from acquisition.beliefs import Beliefs, check_encoding, fit, promising, spec_of
from acquisition.costs import in_place, log_cost
from acquisition.criteria.again import worth_again
from acquisition.errors import SpaceExhaustedError, StrategyError
from acquisition.maximise import Staged, best_candidate
from acquisition.problem import Array, Problem, Proposal, Proposals
from acquisition.strategies.candidates import draw, without_taken
from surrogates.threads import one_thread

MOST_DESIGNED = 256
"""Points of a design that are made at a time."""

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
        batch: (position, c) what was chosen for this batch already; ``None`` for nothing.
    """

    beliefs: Beliefs
    waiting: Array
    anchors: Array
    seed: int
    position: int
    batch: Array | None = None

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

    Args:
        model: how the models are made: fields of :class:`surrogates.data.Spec`, and ``encoding``, see
            :func:`acquisition.beliefs.fit`. What is left out is left to the data.

    Attributes:
        model: these options; none, where a subclass does not hand them on.

    Class attributes:
        what: the criterion's name, for reasons.
        is_log: whether the criterion is the logarithm of a gain; then probabilities and costs weigh it.
        in_unit: whether that gain is in the objective's unit (of several, in that of their hypervolume).
        values_repeats: whether the criterion itself knows what measuring a point again is worth; otherwise, where
            replicates are wanted, it chooses among new points, and the knowledge gradient between these and repeats.
    """

    what: str = "criterion"
    is_log: bool = True
    in_unit: bool = False
    values_repeats: bool = False
    model: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *, model: Mapping[str, Any] | None = None) -> None:
        if model is not None and not isinstance(model, Mapping):
            raise StrategyError(
                f"model must be a mapping of options, not {model!r}.",
                field="strategy.options.model",
                mend="Give such as `{inference: map}`.",
            )
        spec_of(model)
        self.model = dict(model or {})

    @abstractmethod
    def criterion(self, situation: Situation) -> Criterion:
        """The criterion for the next proposal of a batch."""

    def check(self, problem: Problem) -> None:
        """Refuse problems that the strategy cannot work on: here, a space without the encoding that is asked for.

        Raises:
            StrategyError: with what does not fit.
        """
        check_encoding(problem, self.model.get("encoding"))

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        self.check(problem)
        known = {m: bool(np.isfinite(problem.observations.values[m]).any()) for m in problem.metrics}
        first = min(n, problem.initial - len(problem.observations) - len(problem.pending))
        proposals: tuple[Proposal, ...] = ()
        state = dict(problem.state)
        if not all(known.values()) or 2 * len(problem.observations) < problem.initial:
            first = n  # too little is known to learn from, however much is under way
        if first > 0:
            proposals, state["design"] = initial(problem, first)
            if why := _no_model(problem, [m for m in problem.metrics if not known[m]]):
                proposals = tuple(replace(p, reason=f"{p.reason}; {why}") for p in proposals)
        else:
            state.pop("design", None)
        if len(proposals) < n and first < n:
            with one_thread(), torch.no_grad():
                beliefs = self.believe(problem)
                proposals += self._choose(beliefs, n - len(proposals), [p.point for p in proposals])
                state |= {"models": beliefs.state(), **self.remember(beliefs)}
        return Proposals(proposals, state)

    def fit(self, problem: Problem) -> Beliefs:
        """Models of all that is known, as the strategy wants them; those of its campaign too."""
        return fit(problem, self.model)

    def believe(self, problem: Problem) -> Beliefs:
        """What the criterion is made of; by default all that is known."""
        return self.fit(problem)

    def remember(self, beliefs: Beliefs) -> Mapping[str, Any]:  # noqa: ARG002  most remember nothing
        """What else is to be handed back with the next ask, JSON values."""
        return {}

    def _choose(self, beliefs: Beliefs, n: int, chosen: list[Array]) -> tuple[Proposal, ...]:
        """n proposals, one after the other, each with those before it waiting."""
        problem = beliefs.problem
        generator = problem.generator(2)
        seed = int(generator.integers(2**31))
        anchors = promising(problem, beliefs.models)
        proposals = []
        for position in range(n):
            waiting = np.vstack([problem.pending, *chosen])
            batch = np.array(chosen).reshape(-1, problem.pending.shape[1])
            situation = Situation(beliefs, waiting, anchors, seed, position, batch)
            criterion = self.criterion(situation)
            taken = np.vstack([problem.taken, *chosen])
            try:
                rest = replace(problem, taken=taken)
                point = self._best(rest, self._score(criterion, situation), situation, generator)
            except SpaceExhaustedError:
                if not chosen:
                    raise
                break
            chosen.append(point)
            proposals.append(self._proposal(beliefs, criterion, point))
        return tuple(proposals)

    def _best(self, problem: Problem, score: Criterion, situation: Situation, generator: np.random.Generator) -> Array:
        """The best point, or one measured before where that is wanted and worth more."""
        settings = in_place(problem, situation.anchors[:5], situation.batch)
        anchors = np.vstack([situation.anchors[:5], settings])
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

    def _score(self, criterion: Criterion, situation: Situation) -> Criterion:
        """The criterion, weighed with the probability that the experiment works, per cost."""
        beliefs, problem = situation.beliefs, situation.problem
        if not self.is_log or (beliefs.works is None and problem.costs is None):
            return criterion

        def weight(points: Tensor) -> Tensor:
            return beliefs.log_success(points) - log_cost(problem, points, situation.batch)

        if isinstance(criterion, Staged):
            return criterion.weighed(weight)
        return lambda points: criterion(points) + weight(points)

    def _proposal(self, beliefs: Beliefs, criterion: Criterion, point: Array) -> Proposal:
        problem, here = beliefs.problem, torch.from_numpy(point[None, :])
        prediction = {}
        for metric, model in beliefs.models.items():
            if problem.space.fixed and len(problem.open_samples) == 1:  # what is known of the sample tells of this too
                model = model.on_sample(problem.open_samples[0].name)  # noqa: PLW2901
            belief = model.predict(point[None, :], noise=True)
            prediction[metric] = {"mean": float(belief.mean[0]), "std": float(belief.std[0])}
        expected = ", ".join(f"{metric} {b['mean']:.4g} ± {b['std']:.2g}" for metric, b in prediction.items())
        value, gain = float(criterion(here)[0]), None
        if self.is_log:
            value = float(np.exp(value))
            gain = value * float(beliefs.log_success(here).exp()[0]) if self.in_unit else None
        reason = f"highest {self.name(problem)} ({value:.2g}): expects {expected}"
        if beliefs.works is not None:
            reason += f", works with probability {float(beliefs.log_success(here).exp()[0]):.2g}"
        return Proposal(point, reason, prediction, gain=gain)

    def name(self, problem: Problem) -> str:  # noqa: ARG002  of one objective or of several
        """The criterion's name, for reasons."""
        return self.what


def _no_model(problem: Problem, missing: Sequence[str]) -> str:
    """Why the design goes on although it is done; empty while it is not, or where nothing is missing."""
    results = len(problem.observations)
    if not missing or problem.initial > results + len(problem.pending):
        return ""
    have = "has" if len(missing) == 1 else "have"
    return f"no model can be built, since {' and '.join(missing)} {have} not been observed in {results} results"


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
        size = max(n, min(problem.initial - len(problem.observations) - len(problem.pending), MOST_DESIGNED))
        existing = problem.taken if len(problem.taken) else None
        design = without_taken(problem, problem.space.design(size, problem.generator(), existing=existing))
    if not len(design):
        design = draw(problem, n, problem.generator(1))
    points, left = design[:n], design[n:]
    return tuple(Proposal(p, "initial design: fills the space evenly") for p in points), left.tolist()
