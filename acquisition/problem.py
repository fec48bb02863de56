"""What a strategy is asked, and what it answers: plain records of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import SpaceExhaustedError
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.space import SearchSpace

Array: TypeAlias = NDArray[np.float64]
Replicates: TypeAlias = Literal["none", "auto"]


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known of n executed experiments, in the order in which it became known.

    Attributes:
        points: (n, c) inputs as best known (measured, else executed), in the native form of the space.
        values: by metric, (n,) in the metric's unit; NaN where not measured (yet).
        sems: by metric, (n,) one standard uncertainty; NaN where not assessed.
        inflation: (n,) factor on the noise variance: 1, more for suspect measurements.
        samples: (n,) ids of the electrodes.
    """

    points: Array
    values: Mapping[str, Array]
    sems: Mapping[str, Array]
    inflation: Array
    samples: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that the choice of the next experiments may depend on.

    Attributes:
        space: where to look.
        objectives: one or more.
        outcome_constraints: outcomes that must keep within bounds.
        observations: what is known.
        pending: (p, c) experiments that are under way, in the native form of the space.
        failed: (f, c) experiments that did not work for a reason that lies in material or condition, or is unknown.
        taken: (t, c) points that were proposed or executed before, pending ones included.
        initial: experiments before the model takes over, prior data and pending ones included.
        seed: of the campaign.
        ask: number of the ask, from 1.
        replicates: ``"none"``: no point twice; ``"auto"``: the strategy may propose a point again where it pays.
        state: what the strategy returned with the last ask; empty at first.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    outcome_constraints: tuple[OutcomeConstraint, ...]
    observations: Observations
    pending: Array
    failed: Array
    taken: Array
    initial: int
    seed: int
    ask: int
    replicates: Replicates = "none"
    state: Mapping[str, Any] = field(default_factory=dict)

    def generator(self, purpose: int = 0) -> np.random.Generator:
        """Random numbers that depend on the seed, the number of the ask and the purpose alone."""
        return np.random.default_rng([self.seed, self.ask, purpose])

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that the choice depends on, each once."""
        names = [o.metric for o in self.objectives] + [c.metric for c in self.outcome_constraints]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Proposal:
    """One experiment to do next.

    Attributes:
        point: (c,) in the native form of the space.
        reason: why, in words.
        prediction: by metric, the ``mean`` and ``std`` of the measurement that the model expects, the scatter between
            samples included, the stated uncertainty of that measurement not; empty without a model.
    """

    point: Array
    reason: str
    prediction: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposals:
    """At least one proposal, and what the strategy wants to be handed with the next ask (JSON values only)."""

    proposals: tuple[Proposal, ...]
    state: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Strategy(Protocol):
    """Chooses the next experiments. A pure function of the problem: no state of its own, no global generator.

    Entry-point group ``sabatier.strategies`` names classes of this kind; options of the campaign file are the
    arguments of their constructors.
    """

    def propose(self, problem: Problem, n: int) -> Proposals:
        """Propose up to ``n`` experiments, fewer only where a finite space has fewer left.

        Raises:
            SpaceExhaustedError: a finite space has none left.
            StrategyError: the strategy cannot work on this problem.
        """


def exhausted(problem: Problem) -> SpaceExhaustedError:
    """The exception for a finite space with nothing left to propose."""
    size = problem.space.size
    every = "every point" if size is None else "the only point" if size == 1 else f"each of the {size} points"
    return SpaceExhaustedError(
        f"{every} of the space has been proposed.",
        mend="Allow replicates, or widen the space.",
    )
