"""Every point of a finite space, once."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal, get_args

import numpy as np

from acquisition.errors import StrategyError
from acquisition.problem import Array, Problem, Proposal, Proposals, exhausted

Order = Literal["random", "table"]

MOST: Final = 1_000_000


class Exhaustive:
    """Proposes every point of a finite space once; where replicates are allowed, then all of them again.

    Args:
        order: ``random``: shuffled by the campaign's seed, so that neither drift nor an early end favours a part of the
            space; ``table``: as the rows of a pool stand, or with the last parameter changing fastest.
    """

    def __init__(self, order: Order = "random") -> None:
        if order not in get_args(Order):
            raise StrategyError(
                f"there is no order {order!r}.",
                field="strategy.options.order",
                mend=f"Orders are {' and '.join(get_args(Order))}.",
            )
        self.order = order

    def check(self, problem: Problem) -> None:
        """Refuse spaces that cannot be listed."""
        size = problem.space.size
        if size is None or size > MOST:
            raise StrategyError(
                "exhaustive lists every point, but the space has "
                + (f"{size}." if size is not None else "infinitely many, or constraints keep them from being counted."),
                field="strategy.name",
                mend="Give parameters steps or values, or use space_filling.",
            )

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        points = self._ordered(problem)
        keys = problem.space.keys(points)
        known = set(keys)
        rounds = Counter(key for key in problem.space.keys(problem.taken) if key in known)
        counts = np.array([rounds[key] for key in keys])
        if problem.replicates == "none" and counts.min() > 0:
            raise exhausted(problem)
        left = int((counts == 0).sum())
        chosen = np.flatnonzero(counts == 0)[:n] if left else np.argsort(counts, kind="stable")[:n]
        first = len(points) - left
        reason = f"point {{0}} of {len(points)}, in {self.order} order" if left else "every point again"
        return Proposals(
            tuple(Proposal(points[row], reason.format(first + i + 1)) for i, row in enumerate(chosen)),
            dict(problem.state),
        )

    def _ordered(self, problem: Problem) -> Array:
        self.check(problem)
        points: Array = problem.space.enumerate(MOST)  # type: ignore[assignment]  # the check has seen to it
        if self.order == "table":
            return points
        return points[np.random.default_rng([problem.seed, 0, 12]).permutation(len(points))]
