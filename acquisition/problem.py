"""What a strategy is asked, and what it answers: plain records of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from acquisition.costs import Costs
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
        samples: (n,) ids of the electrodes; empty where none is known.
        censored: by metric, (n,) -1 where the truth lies below the value (a detection limit), 1 where above, else 0;
            metrics without a censored value may be left out.
        point_sems: (n, c) one standard uncertainty of the inputs, 0 where exact; ``None`` where all are.
    """

    points: Array
    values: Mapping[str, Array]
    sems: Mapping[str, Array]
    inflation: Array
    samples: tuple[str | None, ...] = ()
    censored: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    point_sems: Array | None = None

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class OpenSample:
    """An electrode on which more conditions are to be measured.

    Attributes:
        name: its id.
        point: (c,) a point measured or pending on it: its preparation columns are those of the sample.
        used: experiments on it so far, pending ones included.
    """

    name: str
    point: Array
    used: int


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
        pending_samples: (p,) the electrodes of the pending experiments; empty where none is known.
        costs: what experiments and changes cost; ``None``: all cost the same.
        current: (k, c) the settings that are in place now, one row a cell: changes are counted from the cheapest of
            them; none where nothing was executed yet.
        fixed: columns that are equal in all experiments of one batch (one temperature for all cells).
        conditions_per_sample: experiments on each sample: ``None`` one, a number, or ``"auto"``: the strategy decides
            whether another condition on an open sample or a new sample pays more.
        open_samples: samples that may, or with a number must, be measured further, the oldest first.
        remaining: experiments that may still be proposed, these included; ``None`` where no budget is known.
        rough: the answer is only compared with others, and asked for again before it is proposed: strategies may search
            less.
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
    pending_samples: tuple[str | None, ...] = ()
    costs: Costs | None = None
    current: Array | None = None
    fixed: tuple[str, ...] = ()
    conditions_per_sample: int | Literal["auto"] | None = None
    open_samples: tuple[OpenSample, ...] = ()
    remaining: int | None = None
    rough: bool = False

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
        sample: the open sample to measure it on; ``None``: a new one. Proposals of one batch that are to share a new
            sample name it alike: ``"new-1"``, ``"new-2"`` and so on.
        gain: what the model expects to gain by it, in the objective's unit (with several objectives in that of their
            hypervolume); ``None`` without a model, or where its criterion is no gain.
    """

    point: Array
    reason: str
    prediction: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sample: str | None = None
    gain: float | None = None


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

    Samples and settings that a batch shares are taken care of for it (:mod:`acquisition.strategies.two_stage`): it is
    asked about the part of the space that they leave. One that has an attribute ``knows_samples = True`` is handed the
    whole problem instead, and heeds ``conditions_per_sample``, ``open_samples`` and ``fixed`` itself.
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
