"""The default strategy: a short initial design, then a Gaussian process with noisy log expected improvement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch

from acquisition.functions import NoisyImprovement
from acquisition.improvement import utility
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
    samples of the uncertain values.
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
        anchors = self._promising(problem, models)
        proposals = []
        for _ in range(n):
            pending = np.vstack([problem.pending, *(p[None, :] for p in chosen)])
            known = torch.from_numpy(encode(np.vstack([anchors, pending])))
            function = NoisyImprovement(
                models, problem.objectives, problem.outcome_constraints, known, samples=SAMPLES, seed=seed
            )

            def score(points: Array, function: NoisyImprovement = function) -> Array:
                return np.asarray(function(torch.from_numpy(encode(points))).numpy())

            taken = np.vstack([problem.taken, *(p[None, :] for p in chosen)])
            point = best_candidate(_with_taken(problem, taken), score, anchors[:5], generator)
            chosen.append(point)
            proposals.append(self._proposal(problem, models, point, float(score(point[None, :])[0])))
        return tuple(proposals), {metric: model.state() for metric, model in models.items()}

    def _promising(self, problem: Problem, models: Mapping[str, GaussianProcess]) -> Array:
        """Measured points in falling order of their optimistic utility, the most promising ones only."""
        points = problem.observations.points
        columns = problem.space.encoding(points)
        total = np.zeros(len(points))
        for objective in problem.objectives:
            belief = models[objective.metric].predict(columns)
            values = torch.from_numpy(belief.mean)
            total += utility(objective, values).numpy() / models[objective.metric].scale.width
        return points[np.argsort(-total, kind="stable")[:MOST_KNOWN]]

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


def _with_taken(problem: Problem, taken: Array) -> Problem:
    from dataclasses import replace

    return replace(problem, taken=taken)
