"""Uniformly random experiments: the baseline of every benchmark."""

from __future__ import annotations

from acquisition.problem import Problem, Proposal, Proposals
from acquisition.strategies.candidates import draw


class Random:
    """Draws uniformly from the points that were not proposed before."""

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        points = draw(problem, n, problem.generator())
        return Proposals(tuple(Proposal(point, "drawn uniformly from the space") for point in points))
