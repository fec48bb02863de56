"""The default strategy: chooses by the problem what to maximise, and says what it chose and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from acquisition.beliefs import Beliefs
from acquisition.problem import Array, Problem, Proposal
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Criterion, ModelBased, Situation


class Auto(ModelBased):
    """Chooses by itself.

    One objective is improved over the best feasible value so far, several by the hypervolume that they dominate; of a
    target window, the distance to it. Noise, pending experiments and batches enter through joint samples of the
    uncertain values. Where experiments have failed, the gain is weighted with the probability that the next one works;
    where experiments cost differently, it is the gain per cost. The models choose their own form by evidence.
    """

    in_unit = True

    def criterion(self, situation: Situation) -> Criterion:
        """Noisy log expected improvement, of the objective or of the hypervolume."""
        return noisy(situation)

    def name(self, problem: Problem) -> str:
        """The criterion's name."""
        return "expected improvement" if len(problem.objectives) == 1 else "expected gain in hypervolume"

    def remember(self, beliefs: Beliefs) -> Mapping[str, Any]:
        """What was chosen, to be told only when it changes."""
        return {"chosen": self._chosen(beliefs)}

    def _proposal(self, beliefs: Beliefs, criterion: Criterion, point: Array) -> Proposal:
        """With what was chosen and why, where that is new."""
        proposal = super()._proposal(beliefs, criterion, point)
        chosen = self._chosen(beliefs)
        if beliefs.problem.state.get("chosen") == chosen:
            return proposal
        return replace(proposal, reason=f"{proposal.reason}. Chosen: {chosen}")

    def _chosen(self, beliefs: Beliefs) -> str:
        """Criterion and models in words, with reasons."""
        problem = beliefs.problem
        parts = [f"{self.name(problem)}, since {_why(problem)}"]
        if beliefs.works is not None:
            parts.append("weighed with the probability to work, since experiments have failed")
        if problem.costs is not None:
            parts.append("per cost, since costs are given")
        models = {metric: model.surrogate.describe() for metric, model in beliefs.models.items()}
        if len(set(models.values())) == 1:
            parts.append(f"model: {next(iter(models.values()))}")
        else:
            parts += [f"model of {metric}: {text}" for metric, text in models.items()]
        return "; ".join(parts)


def _why(problem: Problem) -> str:
    """What about the problem speaks for the criterion."""
    if len(problem.objectives) > 1:
        return f"{len(problem.objectives)} objectives have no single best point"
    objective = problem.objectives[0]
    what = {"maximize": "be as high", "minimize": "be as low", "target": "come as close to its target"}[objective.goal]
    return f"one metric is to {what} as can be"
