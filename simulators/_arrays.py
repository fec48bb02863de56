"""One set of formulas for two kinds of arrays: numpy where numbers are wanted, torch where gradients are.

Numpy solves, for a single experiment is mostly overhead and numpy has the least of it; torch repeats the formulas once
at the solution to differentiate them. Formulas take either kind and ask :func:`functions` for what the two call by
different names. Inside, the experiments are the *last* axis and sites, products or unknowns the first, so that sums
over them run along whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

import numpy as np
import torch

Array: TypeAlias = Any
"""A numpy array or a torch tensor of double precision."""

LN10: Final = float(np.log(10.0))


def _torch_sum(parts: torch.Tensor) -> torch.Tensor:
    return parts.sum(0)


_sum: Callable[..., Any] = np.add.reduce

_NUMPY: Final = SimpleNamespace(
    exp=np.exp,
    log=np.log,
    sqrt=np.sqrt,
    tanh=np.tanh,
    expm1=np.expm1,
    arcsinh=np.arcsinh,
    where=np.where,
    at_least=np.maximum,
    at_most=np.minimum,
    larger=np.maximum,
    total=_sum,
    stack=np.array,
    last=lambda parts: np.stack(np.broadcast_arrays(*parts), axis=-1),
    join=np.concatenate,
    turned=lambda array: np.ascontiguousarray(array.T),
    ones=np.ones_like,
)


def _torch_stack(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(torch.broadcast_tensors(*parts))  # type: ignore[no-untyped-call]


_TORCH: Final = SimpleNamespace(
    exp=torch.exp,
    log=torch.log,
    sqrt=torch.sqrt,
    tanh=torch.tanh,
    expm1=torch.expm1,
    arcsinh=torch.asinh,
    where=torch.where,
    at_least=torch.clamp_min,
    at_most=torch.clamp_max,
    larger=torch.maximum,
    total=_torch_sum,
    stack=_torch_stack,
    last=lambda parts: _torch_stack(parts).movedim(0, -1),
    join=torch.cat,
    turned=lambda array: array.permute(*reversed(range(array.dim()))),
    ones=torch.ones_like,
)


def functions(array: Array) -> SimpleNamespace:
    """The functions for an array's kind: ``at_least`` and ``at_most`` take a number, ``larger`` an array of that kind.

    ``total`` sums over the first axis, ``stack`` makes a new first axis of arrays of one shape, ``last`` a
    new last one; ``join`` puts arrays one after the other along an axis, and ``turned`` reverses the order of axes.
    """
    return _TORCH if isinstance(array, torch.Tensor) else _NUMPY


def ten_to(exponent: Array) -> Array:
    """Ten to the power of an array."""
    return functions(exponent).exp(LN10 * exponent)
