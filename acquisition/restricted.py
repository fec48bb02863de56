"""The kind of search space that non-linear constraints leave of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acquisition.chains import Chains
from acquisition.domains import Spanned
from acquisition.errors import InfeasibleSpaceError
from acquisition.groups import Group
from acquisition.layout import Floats
from acquisition.polyhedron import Polyhedron
from acquisition.rules import Rule, holding

LISTED = 20_000
"""Spaces of up to so many points (before the constraints) are simply listed."""

_TRIALS = 2048
_DECENT = 24
_CHUNK = 16_384
_TRIES = 5
_CHAINS = 1024
_STARTS = 16
_PATIENCE = 15
_SEARCHERS, _OFFSPRING, _SEARCHED = 64, 4, 120


class Restricted:
    """The points of a space that meet non-linear constraints too.

    Small finite spaces are listed. Of others, draws are kept that meet the constraints, as long as one in a hundred
    does; where fewer do, feasible points are searched for, and Markov chains start from them: moves that leave the
    uniform law on the linear set alone, each refused where it leads out (Metropolis). So the law is uniform over all
    that is connected to the points found.

    Args:
        base: the space without them.
        rules: the constraints.

    Attributes:
        layout: the columns.
        metric: coordinates in which distances mean something.

    Raises:
        InfeasibleSpaceError: no point is found that meets them all.
        SpaceError: a constraint's function fails.
    """

    def __init__(self, base: Spanned, rules: Sequence[Rule]) -> None:
        self._base, self._rules = base, tuple(rules)
        self.layout, self.metric = base.layout, base.metric
        self._listed: Floats | None = None
        self._starts: Floats | None = None
        self._acceptance = 0.0
        if base.size is not None and base.size <= LISTED:
            points = base.points()
            self._listed = points[self._holds(points)]
            if not len(self._listed):
                raise self._infeasible(points, f"none of the {len(points)} points of the space meets")
            return
        rng = np.random.default_rng(0)
        trials = base.sample(_TRIALS, rng)
        hits = trials[self._holds(trials)]
        self._acceptance = len(hits) / len(trials)
        if len(hits) < _DECENT:
            # draws that happen to fit are the best starts, since they lie all over the set
            for _ in range(_PATIENCE if len(hits) else 0):
                more = base.sample(_TRIALS, rng)
                hits = np.concatenate([hits, more[self._holds(more)]])
            self._starts = self._found(trials, hits)

    def _holds(self, points: Floats, tolerance: float = 0.0) -> NDArray[np.bool_]:
        return holding(self._rules, points, tolerance)

    def _found(self, trials: Floats, hits: Floats) -> Floats:
        """Feasible points: those at hand if they are many, else by steps that miss the constraints by less and less.

        Each searcher goes its own way, so that they end in different places.
        """
        if len(hits) >= _STARTS:
            return hits
        rng = np.random.default_rng(1)
        missed = self._missed(trials)
        better = np.argsort(missed, kind="stable")[: 8 * _SEARCHERS]
        chosen = rng.permutation(better)[:_SEARCHERS]
        points, missed = trials[chosen], missed[chosen]
        seen = len(trials)
        for scale in np.geomspace(0.5, 1e-3, _SEARCHED):
            moved = self._base.perturb(np.repeat(points, _OFFSPRING, axis=0), float(scale), rng)
            by_parent = self._missed(moved).reshape(len(points), _OFFSPRING)
            best = by_parent.argmin(axis=1)
            rows = np.arange(len(points))
            closer = by_parent[rows, best] <= missed
            points = np.where(closer[:, None], moved[rows * _OFFSPRING + best], points)
            missed = np.where(closer, by_parent[rows, best], missed)
            seen += len(moved)
            if (missed == 0).sum() >= len(points) / 2:
                break
        found = np.concatenate([hits, points[missed == 0]])
        found = found[self._holds(found)]
        if not len(found):
            raise self._infeasible(points, f"of {seen} points looked at, by chance and by search, none meets")
        return found

    def _missed(self, points: Floats) -> Floats:
        """By how much points miss the constraints altogether, each relative to how it varies, (n,)."""
        total = np.zeros(len(points))
        for rule, size in zip(self._rules, self._sizes, strict=True):
            total += rule.shortfall(points) / size
        return total

    @cached_property
    def _sizes(self) -> list[float]:
        """Typical differences of the rules' values over the space."""
        points = self._base.sample(_SEARCHERS, np.random.default_rng(2))
        return [float(rule.values(points).std()) or 1.0 for rule in self._rules]

    def _infeasible(self, points: Floats, looked: str) -> InfeasibleSpaceError:
        quoted = " and ".join(f"'{rule.constraint}'" for rule in self._rules)
        never = [rule for rule in self._rules if not (rule.shortfall(points) == 0).any()]
        alone = f" '{never[0].constraint}' is never met." if never and len(self._rules) > 1 else ""
        return InfeasibleSpaceError(
            f"{looked} the non-linear {'constraint' if len(self._rules) == 1 else 'constraints'} {quoted}.{alone}",
            field="constraints",
            mend="Loosen one of them, or widen bounds.",
        )

    def given(self, point: Floats, columns: Sequence[int]) -> Restricted | Spanned:
        """The same with some columns held at a point's values; constraints on these alone are dropped."""
        base = self._base.given(point, columns)
        rules = [rule for rule in self._rules if not set(rule.columns) <= set(base.fixed)]
        return Restricted(base, rules) if rules else base

    @property
    def size(self) -> int | None:
        """Number of points of a listed space."""
        return None if self._listed is None else len(self._listed)

    def points(self) -> Floats:
        """Every point of a listed space.

        Raises:
            NotImplementedError: the space is not listed.
        """
        if self._listed is None:
            raise NotImplementedError("this space has no list of points")
        return self._listed.copy()

    @cached_property
    def _cumulated(self) -> Floats:
        weights = self._base.weights(self.points())
        return np.asarray(weights.cumsum() / weights.sum())

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniform draws, (n, c)."""
        if self._listed is not None:
            picks = np.searchsorted(self._cumulated, rng.random(n), side="right")
            return self._listed[np.minimum(picks, len(self._listed) - 1)]
        if self._starts is None:
            return np.concatenate([np.zeros((0, len(self.layout.names))), *self._rejected(n, rng)])
        settled = self._settled
        rounds = [rng.permutation(len(settled)) for _ in range(-(-n // len(settled)))]
        picks = np.concatenate([np.zeros(0, dtype=np.intp), *rounds])[:n]
        return self._walked(settled[picks], 4 * self._free + 20, rng)

    @property
    def _free(self) -> int:
        """Number of columns that can take more than one value."""
        return sum(group.free for group in self._base.groups)

    def _rejected(self, n: int, rng: np.random.Generator) -> Iterator[Floats]:
        while n > 0:
            trials = self._base.sample(min(_CHUNK, int(1.2 * n / self._acceptance) + 16), rng)
            kept = trials[self._holds(trials)][:n]
            n -= len(kept)
            yield kept

    @cached_property
    def _settled(self) -> Floats:
        """Chains that have forgotten where they started."""
        starts = self.points() if self._starts is None else self._starts
        x = starts[np.arange(_CHAINS) % len(starts)]
        return self._walked(x, 40 * self._free + 100, np.random.default_rng(3))

    def _walked(self, x: Floats, steps: int, rng: np.random.Generator) -> Floats:
        """Points after so many random moves, those refused that break a rule, (n, c)."""
        x = x.copy()
        groups = [group for group in self._base.groups if group.free]
        if not groups or not len(x):
            return x
        chains = [group.walk.start(x[:, group.columns], rng) for group in groups]
        weights = np.array([group.free for group in groups], dtype=float)
        for pick in rng.choice(len(groups), size=steps, p=weights / weights.sum()):
            x = self._moved(x, groups[pick], chains[pick], rng)
        return x

    def _moved(self, x: Floats, group: Group, chains: Chains, rng: np.random.Generator) -> Floats:
        before, active = chains.x.copy(), chains.active.copy()
        group.walk.step(chains, rng)
        trial = x.copy()
        trial[:, group.columns] = group.walk.points(chains)
        changed = np.flatnonzero((trial != x).any(axis=1))
        refused = changed[~self._holds(trial[changed])]
        chains.x[refused], chains.active[refused] = before[refused], active[refused]
        trial[refused] = x[refused]
        return trial

    def contains(self, array: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Which rows lie inside."""
        inside = self._base.contains(array, tolerance)
        rows = np.flatnonzero(inside)
        inside[rows] = self._holds(array[rows], tolerance)
        return inside

    def violations(self, array: Floats, tolerance: float) -> list[str]:
        """The first bound or constraint that each row breaks."""
        texts = self._base.violations(array, tolerance)
        # functions of the user's need not cope with what lies outside of the bounds
        rows = np.array([row for row, text in enumerate(texts) if not text], dtype=np.intp)
        for rule in self._rules:
            missed = rule.shortfall(array[rows], tolerance) > 0
            values = rule.values(array[rows[missed]])
            bounded = rule.constraint.lower is not None or rule.constraint.upper is not None
            for row, value in zip(rows[missed], values, strict=True):
                result = f": it is {value:.6g}" if bounded else ""
                texts[row] = texts[row] or f"the constraint {rule.constraint} is broken{result}"
        return texts

    def perturb(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A step of the space without the constraints, from each row, that meets them."""
        moved = points.copy()
        still = np.arange(len(points))
        for _ in range(_TRIES):
            trial = self._base.perturb(points[still], scale, rng)
            good = (trial != points[still]).any(axis=1)
            good[good] = self._holds(trial[good])
            moved[still[good]] = trial[good]
            still = still[~good]
            if not len(still):
                break
        return moved

    def polyhedron(self) -> Polyhedron:
        """That of the space without the constraints: points moved within it must be checked by ``contains``."""
        return self._base.polyhedron()
