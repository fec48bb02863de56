"""Fixed points of many small systems at once: relaxed sweeps, then Newton's method, row by row.

A problem is a map from the unknowns [unknowns, shifts, rows] to their images; the solution is where both are equal.
Every row (an experiment) takes its own steps and leaves the batch when it has converged, so that its result does not
depend on the rows beside it. Jacobians are taken by differences, as one more call of the map with shifted unknowns.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

CLOSE: Final = 1e-5
"""Length of a Newton step (the unknowns are logarithms) after which a row has converged: to about its square."""

_STEP: Final = 1e-6
_LONGEST, _RELAXATION = 2.0, 0.8


class Problem(Protocol):
    """A batch of fixed points."""

    def sweep(self, state: Any) -> Any:
        """Images [unknowns, shifts, rows] of trial states of the same shape."""
        ...

    def rows(self: P, index: Any) -> P:
        """The problem of some rows only."""
        ...


P = TypeVar("P", bound=Problem)


def relax(problem: Problem, state: Floats, sweeps: int, relaxation: float) -> Floats:
    """States [unknowns, rows] after some relaxed sweeps."""
    for _ in range(sweeps):
        state = state + relaxation * (problem.sweep(state[:, None])[:, 0] - state)
    return state


def newton(problem: Problem, state: Floats, steps: int) -> tuple[Floats, Mask]:
    """Newton's method: states [unknowns, rows], and which rows have not converged.

    Rows whose step is very long are swept on instead.

    Args:
        problem: the fixed points.
        state: first guesses [unknowns, rows].
        steps: at most so many for each row.
    """
    finished = state.copy()
    rows = np.arange(state.shape[1])
    for _ in range(steps):
        jacobian, image = linearise(problem, state)
        step = newton_step(jacobian, state - image)
        length = np.abs(step).max(axis=0)
        swept = state + _RELAXATION * (image - state)
        state = np.where(length < _LONGEST, state - step, swept)
        finished[:, rows] = state
        going = ~(length < CLOSE)
        if not going.any():
            return finished, np.zeros(finished.shape[1], dtype=np.bool_)
        if not going.all():
            state, rows, problem = state[:, going], rows[going], problem.rows(going)
    unfinished = np.zeros(finished.shape[1], dtype=np.bool_)
    unfinished[rows] = True
    return finished, unfinished


def linearise(problem: Problem, state: Floats) -> tuple[Floats, Floats]:
    """Jacobians of ``state - sweep(state)``, [rows, unknowns, unknowns], and the images [unknowns, rows]."""
    count = len(state)
    shifts = np.concatenate([np.zeros((count, 1)), _STEP * np.eye(count)], axis=1)
    images = problem.sweep(state[:, None] + shifts[:, :, None])
    slopes = (images[:, 1:] - images[:, :1]) / _STEP
    jacobian: Floats = np.eye(count) - slopes.transpose(2, 0, 1)
    return jacobian, images[:, 0]


def newton_step(jacobian: Floats, residual: Floats) -> Floats:
    """What Newton's method subtracts [unknowns, rows]; not finite where a Jacobian is singular."""
    right = residual.T[:, :, None]
    try:
        solved = np.linalg.solve(jacobian, right)
    except np.linalg.LinAlgError:
        solved = np.full_like(right, np.nan)
        regular = np.linalg.matrix_rank(np.nan_to_num(jacobian)) == len(residual)
        solved[regular] = np.linalg.solve(jacobian[regular], right[regular])
    step: Floats = np.asarray(solved[:, :, 0].T, dtype=np.float64)
    return step
