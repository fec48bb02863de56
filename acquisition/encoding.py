"""What models see: features of order one, from native values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from acquisition.errors import SpaceError
from acquisition.layout import Column, Floats
from acquisition.parameters import Categorical, Parameter

if TYPE_CHECKING:
    from torch import Tensor


class _Feature(Protocol):
    names: tuple[str, ...]
    kinds: tuple[str, ...]

    def __call__(self, array: Floats) -> Floats: ...

    def tensor(self, points: Tensor) -> Tensor: ...


def _torch() -> Any:
    import torch

    return torch


class _Fractions:
    """Fractions as they are, then their roots: near zero a root tells apart what the fraction hardly does."""

    def __init__(self, index: Sequence[int], names: Sequence[str], roots: bool = True) -> None:
        self._index = np.array(index)
        self._roots = roots
        self.names = tuple(names) + (tuple(f"sqrt({name})" for name in names) if roots else ())
        self.kinds = ("fraction",) * len(names) + (("root_fraction",) * len(names) if roots else ())

    def __call__(self, array: Floats) -> Floats:
        x = np.maximum(array[:, self._index], 0.0)
        return np.concatenate([x, np.sqrt(x)], axis=1) if self._roots else x

    def tensor(self, points: Tensor) -> Tensor:
        torch = _torch()
        x = points[:, self._index].clamp_min(0.0)
        # a root has no slope at zero: there it is given none, so that a gradient stays finite
        there = x > 0.0
        root = torch.where(there, torch.where(there, x, 1.0).sqrt(), 0.0)
        columns: Tensor = torch.cat([x, root], 1) if self._roots else x
        return columns


class _Scaled:
    """A number between its bounds as 0 to 1, by its logarithm where asked."""

    def __init__(self, index: int, column: Column) -> None:
        self._index, self._column = index, column
        self.names: tuple[str, ...] = (column.name,)
        self.kinds: tuple[str, ...] = ("continuous",)

    def __call__(self, array: Floats) -> Floats:
        x, low, high = array[:, self._index, None], self._column.low, self._column.high
        if self._column.log:
            # Executed values may lie outside the bounds, at or below zero even; a logarithm must stay finite.
            scaled: Floats = np.log(np.maximum(x, low * 1e-6) / low) / np.log(high / low)
        else:
            scaled = (x - low) / (high - low)
        return scaled

    def tensor(self, points: Tensor) -> Tensor:
        x, low, high = points[:, self._index, None], self._column.low, self._column.high
        if self._column.log:
            return (x.clamp_min(low * 1e-6) / low).log() / float(np.log(high / low))
        return (x - low) / (high - low)


class _OneHot:
    """A category as one coordinate each, such that two categories are one apart."""

    def __init__(self, index: int, column: Column) -> None:
        self._index, self._count = index, len(column.labels)
        self.names = tuple(f"{column.name}={label}" for label in column.labels)
        self.kinds = ("category",) * self._count

    def __call__(self, array: Floats) -> Floats:
        out = np.zeros((len(array), self._count))
        out[np.arange(len(array)), np.rint(array[:, self._index]).astype(np.intp)] = np.sqrt(0.5)
        return out

    def tensor(self, points: Tensor) -> Tensor:
        torch = _torch()
        index = points[:, self._index].detach().round().long()
        columns: Tensor = torch.nn.functional.one_hot(index, self._count).to(points) * float(np.sqrt(0.5))
        return columns


class _Described:
    """A category as its descriptors."""

    def __init__(self, index: int, names: Sequence[str], table: Floats) -> None:
        self._index, self._table = index, table
        self.names, self.kinds = tuple(names), ("descriptor",) * len(names)

    def __call__(self, array: Floats) -> Floats:
        return self._table[np.rint(array[:, self._index]).astype(np.intp)]

    def tensor(self, points: Tensor) -> Tensor:
        table = _torch().from_numpy(self._table)
        columns: Tensor = table[points[:, self._index].detach().round().long()]
        return columns


class Encoding:
    """Turns native arrays (n, c) into features (n, d) of order one.

    Compositions give their fractions and the square roots of these; numbers are scaled to 0..1 by their bounds (by the
    logarithm where asked); categories are one-hot, divided by the root of two so that two of them are one apart, or
    their standardised descriptors. Columns that never vary give no feature.

    Attributes:
        names: (d,) such as ``x_Cu``, ``sqrt(x_Cu)``, ``potential``, ``cation=Li``, ``cation.radius``.
        kinds: (d,) ``fraction``, ``root_fraction``, ``continuous``, ``category`` or ``descriptor``.
    """

    def __init__(self, features: Sequence[_Feature]) -> None:
        self._features = tuple(features)
        self.names: tuple[str, ...] = tuple(name for feature in features for name in feature.names)
        self.kinds: tuple[str, ...] = tuple(kind for feature in features for kind in feature.kinds)

    @overload
    def __call__(self, array: Tensor) -> Tensor: ...
    @overload
    def __call__(self, array: Floats) -> Floats: ...

    def __call__(self, array: Floats | Tensor) -> Floats | Tensor:
        """Features of native values, (n, d); of a tensor as a tensor, with gradients to numbers and fractions."""
        if not isinstance(array, np.ndarray) and hasattr(array, "requires_grad"):
            parts = [feature.tensor(array) for feature in self._features]
            return _torch().cat(parts, 1) if parts else array.new_zeros((len(array), 0))
        array = np.asarray(array, dtype=float)
        if not self._features:
            return np.zeros((len(array), 0))
        return np.concatenate([feature(array) for feature in self._features], axis=1)


def encode(columns: Sequence[Column], parameters: Sequence[Parameter]) -> Encoding:
    """The encoding of a space's columns.

    Raises:
        SpaceError: descriptors that are the same for all categories.
    """
    described = {p.name: p for p in parameters if isinstance(p, Categorical) and p.descriptors is not None}
    return Encoding(_features(columns, described))


def metric(columns: Sequence[Column], parameters: Sequence[Parameter]) -> Encoding:
    """Coordinates whose distances treat all components, all categories and all numbers alike; no roots."""
    described = {p.name: p for p in parameters if isinstance(p, Categorical) and p.descriptors is not None}
    return Encoding(_features(columns, described, roots=False))


def _features(columns: Sequence[Column], described: Mapping[str, Categorical], roots: bool = True) -> list[_Feature]:
    features: list[_Feature] = []
    i = 0
    while i < len(columns):
        column = columns[i]
        if column.constant:
            pass
        elif column.kind == "fraction":
            last = i
            while last < len(columns) and columns[last].kind == "fraction":
                last += 1
            index = [k for k in range(i, last) if not columns[k].constant]
            features.append(_Fractions(index, [columns[k].name for k in index], roots))
            i = last - 1
        elif column.kind != "category":
            features.append(_Scaled(i, column))
        elif column.name in described:
            features.append(_descriptors(i, described[column.name], unit_spread=not roots))
        else:
            features.append(_OneHot(i, column))
        i += 1
    return features


def _descriptors(index: int, parameter: Categorical, unit_spread: bool) -> _Described:
    table = parameter.descriptors.loc[list(parameter.values)].to_numpy(dtype=float)
    spread = table.std(axis=0)
    varies = spread > 1e-12 * np.abs(table).max(axis=0)
    if not varies.any():
        raise SpaceError(
            f"parameter {parameter.name!r}: all categories have the same descriptors.",
            field="descriptors",
            mend="Give descriptors that tell them apart, or none.",
        )
    names = [f"{parameter.name}.{name}" for name in parameter.descriptors.columns[varies]]
    table = (table[:, varies] - table[:, varies].mean(axis=0)) / spread[varies]
    if unit_spread:
        table /= np.linalg.norm(table[:, None] - table[None], axis=2).max()
    return _Described(index, names, table)
