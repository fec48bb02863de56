"""Inputs that are themselves uncertain: their uncertainty, carried through the slope of the mean.

McHutchon & Rasmussen 2011 (NIGP), eq. 4: a row whose input has the covariance S is as uncertain as its noise plus
g^T S g, with g the gradient of the posterior mean there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from surrogates.gaussian_process import GaussianProcess

SAME = ("fraction", "root_fraction")
"""Columns of these kinds and of one parameter move together: one is a function of the other that rises with it."""


def input_variance(
    model: GaussianProcess, column_sem: Tensor, kinds: tuple[str, ...], groups: tuple[str, ...]
) -> Tensor:
    """(n,) variance that each row's uncertain input adds to its outcome, standardised.

    Args:
        model: fitted to the rows.
        column_sem: (n, d).
        kinds: (d,) of the columns.
        groups: (d,) their parameters.
    """
    with torch.enable_grad():
        at = model.columns.detach().clone().requires_grad_(True)
        mean, _ = model.moments(at)
        (slope,) = torch.autograd.grad(mean.sum(), at)
    moved = slope.detach() * column_sem
    owners: dict[tuple[str, object], int] = {}
    index = [
        owners.setdefault((group, "") if kind in SAME else (group, j), len(owners))
        for j, (kind, group) in enumerate(zip(kinds, groups, strict=True))
    ]
    together = moved.new_zeros(len(moved), len(owners)).index_add_(1, torch.tensor(index, dtype=torch.long), moved)
    return together.square().sum(1)
