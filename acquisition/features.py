"""The features of single columns and of compositions, of numpy arrays and of torch tensors alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from acquisition.layout import Column, Floats

if TYPE_CHECKING:
    from torch import Tensor


class Feature(Protocol):
    """Some columns of what models see.

    Attributes:
        names: (d,).
        kinds: (d,).
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]

    def __call__(self, array: Floats) -> Floats:
        """Features of native points (n, c); (n, d)."""

    def tensor(self, points: Tensor) -> Tensor:
        """The same of a tensor, with gradients to numbers and fractions."""


def _torch() -> Any:
    import torch

    return torch


class Fractions:
    """Fractions as they are, then their roots: near zero a root tells apart what the fraction hardly does."""

    def __init__(self, index: Sequence[int], names: Sequence[str], roots: bool = True) -> None:
        self._index = np.array(index)
        self._roots = roots
        self.names = tuple(names) + (tuple(f"sqrt({name})" for name in names) if roots else ())
        self.kinds = ("fraction",) * len(names) + (("root_fraction",) * len(names) if roots else ())

    def __call__(self, array: Floats) -> Floats:
        """Features, (n, d)."""
        x = np.maximum(array[:, self._index], 0.0)
        return np.concatenate([x, np.sqrt(x)], axis=1) if self._roots else x

    def tensor(self, points: Tensor) -> Tensor:
        """Features, (n, d)."""
        torch = _torch()
        x = points[:, self._index].clamp_min(0.0)
        # a root has no slope at zero: there it is given none, so that a gradient stays finite
        there = x > 0.0
        root = torch.where(there, torch.where(there, x, 1.0).sqrt(), 0.0)
        columns: Tensor = torch.cat([x, root], 1) if self._roots else x
        return columns


class Scaled:
    """A number between its bounds as 0 to 1, by its logarithm where asked."""

    def __init__(self, index: int, column: Column) -> None:
        self._index, self._column = index, column
        self.names: tuple[str, ...] = (column.name,)
        self.kinds: tuple[str, ...] = ("continuous",)

    def __call__(self, array: Floats) -> Floats:
        """Features, (n, d)."""
        x, low, high = array[:, self._index, None], self._column.low, self._column.high
        if self._column.log:
            # Executed values may lie outside the bounds, at or below zero even; a logarithm must stay finite.
            scaled: Floats = np.log(np.maximum(x, low * 1e-6) / low) / np.log(high / low)
        else:
            scaled = (x - low) / (high - low)
        return scaled

    def tensor(self, points: Tensor) -> Tensor:
        """Features, (n, d)."""
        x, low, high = points[:, self._index, None], self._column.low, self._column.high
        if self._column.log:
            return (x.clamp_min(low * 1e-6) / low).log() / float(np.log(high / low))
        return (x - low) / (high - low)


class OneHot:
    """A category as one coordinate each, such that two categories are one apart."""

    def __init__(self, index: int, column: Column) -> None:
        self._index, self._count = index, len(column.labels)
        self.names = tuple(f"{column.name}={label}" for label in column.labels)
        self.kinds = ("category",) * self._count

    def __call__(self, array: Floats) -> Floats:
        """Features, (n, d)."""
        out = np.zeros((len(array), self._count))
        out[np.arange(len(array)), np.rint(array[:, self._index]).astype(np.intp)] = np.sqrt(0.5)
        return out

    def tensor(self, points: Tensor) -> Tensor:
        """Features, (n, d)."""
        torch = _torch()
        index = points[:, self._index].detach().round().long()
        columns: Tensor = torch.nn.functional.one_hot(index, self._count).to(points) * float(np.sqrt(0.5))
        return columns


class Described:
    """A category as its descriptors."""

    def __init__(self, index: int, names: Sequence[str], table: Floats) -> None:
        self._index, self._table = index, table
        self.names, self.kinds = tuple(names), ("descriptor",) * len(names)

    def __call__(self, array: Floats) -> Floats:
        """Features, (n, d)."""
        return self._table[np.rint(array[:, self._index]).astype(np.intp)]

    def tensor(self, points: Tensor) -> Tensor:
        """Features, (n, d)."""
        table = _torch().from_numpy(self._table)
        columns: Tensor = table[points[:, self._index].detach().round().long()]
        return columns


class Mixed:
    """Descriptors of components, averaged over each mixture, and how much they vary within it.

    Mean and standard deviation weighted by fractions, as alloys are described (for instance L. Ward et al., npj Comput.
    Mater. 2, 16028 (2016)).
    """

    def __init__(self, index: Sequence[int], name: str, names: Sequence[str], table: Floats) -> None:
        self._index, self._table = np.array(index), table
        self.names = tuple(f"{name}.mean({d})" for d in names) + tuple(f"{name}.spread({d})" for d in names)
        self.kinds = ("descriptor",) * (2 * len(names))

    def __call__(self, array: Floats) -> Floats:
        """Features, (n, d)."""
        x = np.maximum(array[:, self._index], 0.0)
        x = x / np.maximum(x.sum(axis=1, keepdims=True), 1e-9)
        mean = x @ self._table
        gaps = [self._table[:, j] - mean[:, j, None] for j in range(mean.shape[1])]
        variance = np.stack([(x * gap**2).sum(axis=1) for gap in gaps], axis=1)
        return np.concatenate([mean, np.sqrt(variance)], axis=1)

    def tensor(self, points: Tensor) -> Tensor:
        """Features, (n, d)."""
        torch = _torch()
        x = points[:, self._index].clamp_min(0.0)
        x = x / x.sum(1, keepdim=True).clamp_min(1e-9)
        table = torch.from_numpy(self._table)
        mean = x @ table
        variance = (x[:, :, None] * (table - mean[:, None, :]) ** 2).sum(1)
        # a pure component has no spread, and the root no slope: there it is given none, as in Fractions
        there = variance > 0.0
        spread = torch.where(there, torch.where(there, variance, 1.0).sqrt(), 0.0)
        columns: Tensor = torch.cat([mean, spread], 1)
        return columns
