"""The default strategy: a short initial design, then a Gaussian process with noisy log expected improvement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.errors import SpaceExhaustedError
from acquisition.functions import NoisyImprovement
from acquisition.improvement import feasible, log_probability, utility
from acquisition.maximise import best_candidate
from acquisition.problem import Array, Problem, Proposal, Proposals
from acquisition.strategies.candidates import draw, without_taken
from surrogates.gaussian_process import GaussianProcess
from surrogates.threads import one_thread

SAMPLES: Final = 32
MOST_KNOWN: Final = 128
"""The best value so far is sampled among so many of the most promising measured points."""


class Auto:
    """Chooses by itself: initial design while data are few, expected improvement afterwards.

    Initial experiments fill the space evenly; from a pool they are drawn at random, since designs that favour far-off
    rows of a table were found to waste experiments on its rim. One objective is improved over the best feasible value
    so far, several by the hypervolume that they dominate. Noise, pending experiments and batches enter through joint
    samples of the uncertain values. Where experiments have failed, the gain is weighted with the
    probability that the next one works.
    """

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        known = self._usable(problem)
        first = min(n, problem.initial - len(problem.observations) - len(problem.pending))
        proposals: tuple[Proposal, ...] = ()
        state = dict(problem.state)
        if not all(known.values()):
            first = n  # a metric without a single value: there is nothing to learn from yet
        if first > 0:
            proposals, state["design"] = self._initial(problem, first)
        else:
            state.pop("design", None)
        if len(proposals) < n and first < n:
            with one_thread(), torch.no_grad():
                chosen, state["models"] = self._improve(problem, n - len(proposals), [p.point for p in proposals])
            proposals += chosen
        return Proposals(proposals, state)

    def _usable(self, problem: Problem) -> dict[str, bool]:
        return {m: bool(np.isfinite(problem.observations.values[m]).any()) for m in problem.metrics}

    def _initial(self, problem: Problem, n: int) -> tuple[tuple[Proposal, ...], list[list[float]]]:
        """The next n points of the design, and what is left of it."""
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

    def _improve(
        self, problem: Problem, n: int, chosen: list[Array]
    ) -> tuple[tuple[Proposal, ...], dict[str, dict[str, Any]]]:
        """n proposals, one after the other, each with those before it pending."""
        models = fit_models(problem)
        encode = problem.space.encoding
        generator = problem.generator(2)
        seed = int(generator.integers(2**31))
        anchors = promising(problem, models)
        works = _log_feasibility(problem)
        proposals = []
        for _ in range(n):
            known = torch.from_numpy(encode(np.vstack([anchors, problem.pending, *chosen])))
            function = NoisyImprovement(
                models, problem.objectives, problem.outcome_constraints, known, samples=SAMPLES, seed=seed
            )

            def score(points: Array, function: NoisyImprovement = function) -> Array:
                columns = encode(points)
                return np.asarray(function(torch.from_numpy(columns)).numpy()) + works(columns)

            taken = np.vstack([problem.taken, *chosen])
            try:
                point = best_candidate(replace(problem, taken=taken), score, anchors[:5], generator)
            except SpaceExhaustedError:
                if not chosen:
                    raise
                break
            chosen.append(point)
            proposals.append(self._proposal(problem, models, point, float(score(point[None, :])[0])))
        return tuple(proposals), {metric: model.state() for metric, model in models.items()}

    def _proposal(
        self, problem: Problem, models: Mapping[str, GaussianProcess], point: Array, score: float
    ) -> Proposal:
        columns = problem.space.encoding(point[None, :])
        prediction = {}
        for metric, model in models.items():
            belief = model.predict(columns, noise=True)
            prediction[metric] = {"mean": float(belief.mean[0]), "std": float(belief.std[0])}
        expected = ", ".join(f"{metric} {b['mean']:.4g} ± {b['std']:.2g}" for metric, b in prediction.items())
        what = "expected improvement" if len(problem.objectives) == 1 else "expected gain in hypervolume"
        return Proposal(point, f"highest {what} ({np.exp(score):.2g}): expects {expected}", prediction)


def promising(problem: Problem, models: Mapping[str, GaussianProcess]) -> Array:
    """Measured points that the best value so far may be at, the best by the model first; (k, c), k at most MOST_KNOWN.

    Always kept are those that the model's means put on the front of the feasible ones (evenly thinned, if it is very
    long); the rest are the most optimistic about utility and feasibility.
    """
    points = problem.observations.points
    columns = problem.space.encoding(points)
    beliefs = {m: model.predict(columns) for m, model in models.items()}
    mean = {m: torch.from_numpy(b.mean) for m, b in beliefs.items()}
    std = {m: torch.from_numpy(b.std) for m, b in beliefs.items()}
    utilities = torch.stack([utility(o, mean[o.metric]) / models[o.metric].scale.width for o in problem.objectives], 1)
    hope = utilities + torch.stack([std[o.metric] / models[o.metric].scale.width for o in problem.objectives], 1)
    possible = torch.zeros(len(points), dtype=torch.float64)
    good = torch.ones(len(points), dtype=torch.bool)
    for constraint in problem.outcome_constraints:
        good &= feasible(constraint, mean[constraint.metric])
        possible += log_probability(constraint, mean[constraint.metric], std[constraint.metric])
    order = torch.argsort(-(hope.sum(1) + possible), stable=True).numpy()
    front = _front(utilities.numpy(), good.numpy())
    return points[list(dict.fromkeys([*front, *order]))[:MOST_KNOWN]]


def _front(utilities: Array, good: NDArray[np.bool_]) -> list[int]:
    """Rows of the non-dominated good points, best first along the first objective, at most half of MOST_KNOWN."""
    rows = np.flatnonzero(good)
    rivals = utilities[rows]
    kept = [
        int(row) for row in rows if not ((rivals >= utilities[row]).all(1) & (rivals > utilities[row]).any(1)).any()
    ]
    kept.sort(key=lambda row: -utilities[row, 0])
    if len(kept) > MOST_KNOWN // 2:
        kept = [kept[i] for i in np.unique(np.linspace(0, len(kept) - 1, MOST_KNOWN // 2).round().astype(int))]
    return kept


def _log_feasibility(problem: Problem) -> Callable[[Array], Array]:
    """Log of the probability that an experiment works, from where experiments did and did not.

    A Gaussian process over 1 (worked) and 0 (failed), read as a probit: never zero, so that no region is forbidden.
    """
    if not len(problem.failed):
        return lambda columns: np.zeros(len(columns))
    encode = problem.space.encoding
    worked = problem.observations.points
    labels = np.concatenate([np.ones(len(worked)), np.zeros(len(problem.failed))])
    model = GaussianProcess.fit(encode(np.vstack([worked, problem.failed])), labels)

    def log_probability_of_success(columns: Array) -> Array:
        belief = model.predict(columns)
        z = torch.from_numpy((belief.mean - 0.5) / belief.std)
        return np.asarray(torch.special.log_ndtr(z).numpy())

    return log_probability_of_success


def fit_models(problem: Problem) -> dict[str, GaussianProcess]:
    """One Gaussian process a metric, from the rows where it was measured, warm-started from the last ask."""
    observations = problem.observations
    columns = problem.space.encoding(observations.points)
    warm: Mapping[str, Any] = problem.state.get("models") or {}
    models = {}
    for metric in problem.metrics:
        values = observations.values[metric]
        rows = np.isfinite(values)
        models[metric] = GaussianProcess.fit(
            columns[rows],
            values[rows],
            sem=observations.sems[metric][rows],
            inflation=observations.inflation[rows],
            warm=warm.get(metric),
        )
    return models
