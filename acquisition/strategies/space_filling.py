"""Experiments far from one another and from what is known: to map a space without a model."""

from __future__ import annotations

from acquisition.problem import Problem, Proposal, Proposals
from acquisition.strategies.candidates import draw, without_taken


class SpaceFilling:
    """Fills the space evenly, taking into account all points that were proposed or executed before."""

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        existing = problem.taken if len(problem.taken) else None
        points = without_taken(problem, problem.space.design(n, problem.generator(), existing=existing))
        if not len(points):  # a finite space that is nearly used up
            points = draw(problem, n, problem.generator(1))
        return Proposals(tuple(Proposal(point, "far from all experiments so far") for point in points[:n]))
