"""The independent parts of a space: parameters that constraints tie together, each part with its sampler."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Block, Fixed, build
from acquisition.layout import Floats
from acquisition.parameters import Parameter
from acquisition.polytope import Polytope, Rows
from acquisition.sampling import Sampler, sampler
from acquisition.walk import Walk


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that constraints tie together, directly or through others.

    Attributes:
        columns: (g,) their columns in the space.
        sampler: of their values.
    """

    columns: NDArray[np.intp]
    sampler: Sampler

    @cached_property
    def free(self) -> int:
        """Number of columns that can take more than one value."""
        polytope = self.sampler.polytope
        return int((polytope.low < polytope.high).sum())

    @cached_property
    def walk(self) -> Walk:
        """Random moves that leave the uniform law alone."""
        return Walk(self.sampler.polytope)

    def weights(self, x: Floats) -> Floats:
        """Relative probabilities of points of a finite group, (n,)."""
        polytope = self.sampler.polytope
        weights = np.ones(len(x))
        for start, block in zip(polytope.starts, polytope.blocks, strict=True):
            weights *= block.weights(x[:, start : start + block.width])
        return weights

    def step(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A step of one block in each row, or along the constraints; (m, g)."""
        polytope = self.sampler.polytope
        moved = x.copy()
        widths = np.array([float((block.low < block.high).sum()) for block in polytope.blocks])
        picks = rng.choice(len(widths), size=len(x), p=widths / widths.sum())
        for i, (start, block) in enumerate(zip(polytope.starts, polytope.blocks, strict=True)):
            rows = np.flatnonzero(picks == i)
            part = np.s_[start : start + block.width]
            moved[rows, part] = block.nudge(x[rows, part], scale, rng)
        if len(polytope.rows):
            along = self.walk.local(x, scale, rng)
            moved = np.where(rng.random(len(x))[:, None] < 0.5, along, moved)
        return moved


Made: TypeAlias = dict[Hashable, Group | Block]
"""Groups and blocks by all that they depend on, so that a space that differs in one part shares the others."""


class Builder:
    """Makes the groups of a space.

    Args:
        parameters: of the space.
        rows: its constraints, over all columns.
        fixed: column -> the value that it is held at, inside its bounds or not.
        made: what was built before; what is used again is not built again.

    Attributes:
        groups: in the order of their first parameters.
        made: what this space is built of.

    Raises:
        InfeasibleSpaceError: nothing meets all constraints.
    """

    def __init__(
        self, parameters: Sequence[Parameter], rows: Rows, fixed: Mapping[int, float], made: Made | None = None
    ) -> None:
        self._parameters, self._fixed = parameters, fixed
        self._known: Made = made or {}
        self.made: Made = {}
        self._ends = np.cumsum([len(parameter.columns) for parameter in parameters])
        self._starts = self._ends - [len(parameter.columns) for parameter in parameters]
        rows = rows.holding(fixed)
        single = (rows.coefficients != 0).sum(axis=1) == 1
        self._low, self._high = _tightened(rows, np.flatnonzero(single))
        self.groups = [self._group(members, rows, single) for members in self._connected(rows.coefficients[~single])]

    def _connected(self, coefficients: Floats) -> list[list[int]]:
        """Positions of parameters, those that share a constraint together."""
        label = list(range(len(self._parameters)))
        for row in coefficients:
            owners = np.searchsorted(self._ends, np.flatnonzero(row), side="right")
            merged = {label[owner] for owner in owners}
            label = [min(merged) if own in merged else own for own in label]
        return [[p for p, own in enumerate(label) if own == group] for group in sorted(set(label))]

    def _group(self, members: Sequence[int], rows: Rows, single: NDArray[np.bool_]) -> Group:
        columns = np.concatenate([np.arange(self._starts[p], self._ends[p]) for p in members])
        part = rows.part(~single & (rows.coefficients[:, columns] != 0).any(axis=1), columns)
        keys = tuple(self._key(p) for p in members)
        key = (keys, part.coefficients.tobytes(), part.lower.tobytes(), part.upper.tobytes())
        found = self._known.get(key)
        if not isinstance(found, Group):
            blocks = tuple(self._block(p, own) for p, own in zip(members, keys, strict=True))
            found = Group(columns, sampler(Polytope(blocks, part)))
        self.made |= {key: found, **dict(zip(keys, found.sampler.polytope.blocks, strict=True))}
        return found

    def _held(self, p: int) -> dict[int, float]:
        """Columns of a parameter, counted from its first, with given values."""
        first = int(self._starts[p])
        return {i: self._fixed[i + first] for i in range(int(self._ends[p]) - first) if i + first in self._fixed}

    def _key(self, p: int) -> Hashable:
        """All that a parameter's block depends on."""
        part = slice(self._starts[p], self._ends[p])
        return (p, self._low[part].tobytes(), self._high[part].tobytes(), tuple(self._held(p).items()))

    def _block(self, p: int, key: Hashable) -> Block:
        found = self._known.get(key)
        if found is not None and not isinstance(found, Group):
            return found
        held, parameter = self._held(p), self._parameters[p]
        if len(held) == len(parameter.columns):
            return Fixed(np.array(list(held.values())))
        part = slice(self._starts[p], self._ends[p])
        return build(parameter, self._low[part], self._high[part], held)


def _tightened(rows: Rows, single: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Bounds of columns by the constraints that weigh one column only."""
    width = rows.coefficients.shape[1]
    low, high = np.full(width, -np.inf), np.full(width, np.inf)
    for i in single:
        column = int(np.flatnonzero(rows.coefficients[i])[0])
        ends = np.sort(np.array([rows.lower[i], rows.upper[i]]) / rows.coefficients[i, column])
        low[column], high[column] = max(low[column], ends[0]), min(high[column], ends[1])
    return low, high
