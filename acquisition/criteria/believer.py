"""Moments of a model to which pending and chosen points count as measured, at what is expected there."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from acquisition.beliefs import Model
from acquisition.problem import Array

SAMPLES: Final = 8
"""Deviations of surrogates that mix several models differ by sample; their squares are averaged over so many."""


class Believer:
    """Moments (m,) of one metric given that the points that wait turn out as expected.

    That leaves the mean as it is and shrinks the deviation around them: parallel proposals keep apart without a guess
    of the outcomes (Desautels et al., J. Mach. Learn. Res. 15, 4053 (2014), GP-BUCB).
    """

    def __init__(self, model: Model, waiting: Array) -> None:
        """Take a model and the points (k, c) that wait, k from 0."""
        self._model = model
        self._draws = model.fantasies(waiting, SAMPLES, 0) if len(waiting) else None

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the noise-free function at native points (m, c), m from 0."""
        if not len(points):  # a finite space has nothing left beside what waits; models need something to be asked
            return points.new_empty(0), points.new_empty(0)
        mean, std = self._model.moments(points)
        if self._draws is None:
            return mean, std
        _, left = self._draws.given(points)
        return mean, left if left.ndim == 1 else left.square().mean(0).sqrt()
