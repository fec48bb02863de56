"""What models see: features of order one, from native values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, overload

import numpy as np
from numpy.typing import NDArray

from acquisition import elements
from acquisition.errors import SpaceError
from acquisition.features import Described, Feature, Fractions, Mixed, OneHot, Scaled
from acquisition.layout import Column, Floats
from acquisition.parameters import Categorical, Composition, Parameter

if TYPE_CHECKING:
    from torch import Tensor


class Encoding:
    """Turns native arrays (n, c) into features (n, d) of order one.

    Compositions give their fractions, and where asked the square roots of these, and the means and spreads of their
    components' descriptors; numbers are scaled to 0..1 by their bounds (by the logarithm where asked); categories are
    one-hot, divided by the root of two so that two of them are one apart, or their standardised descriptors. Columns
    that never vary give no feature.

    Attributes:
        names: (d,) such as ``x_Cu``, ``sqrt(x_Cu)``, ``potential``, ``cation=Li``, ``cation.radius``,
            ``x.mean(electronegativity)``.
        kinds: (d,) ``fraction``, ``root_fraction``, ``continuous``, ``category`` or ``descriptor``.
        groups: (d,) position of the parameter that each feature comes from.
    """

    def __init__(self, features: Sequence[Feature], owners: Sequence[int]) -> None:
        self._features = tuple(features)
        self.names: tuple[str, ...] = tuple(name for feature in features for name in feature.names)
        self.kinds: tuple[str, ...] = tuple(kind for feature in features for kind in feature.kinds)
        widths = [len(feature.names) for feature in features]
        self.groups: NDArray[np.intp] = np.repeat(np.array(owners, dtype=np.intp), widths)

    @overload
    def __call__(self, array: Tensor) -> Tensor: ...
    @overload
    def __call__(self, array: Floats) -> Floats: ...

    def __call__(self, array: Floats | Tensor) -> Floats | Tensor:
        """Features of native values, (n, d); of a tensor as a tensor, with gradients to numbers and fractions."""
        if not isinstance(array, np.ndarray) and hasattr(array, "requires_grad"):
            import torch

            parts = [feature.tensor(array) for feature in self._features]
            return torch.cat(parts, 1) if parts else array.new_zeros((len(array), 0))
        array = np.asarray(array, dtype=float)
        if not self._features:
            return np.zeros((len(array), 0))
        return np.concatenate([feature(array) for feature in self._features], axis=1)


ROOTS: Final = "roots"
DESCRIPTORS: Final = "descriptors"


class Encodings(Mapping[str, Encoding]):
    """The ways in which models may see a space, by name, each made when first asked for.

    With a composition: ``fractions`` alone, ``roots`` of these too, fractions with ``descriptors`` of the components
    (given ones, or the usual ones of chemical elements where all components are such), or ``roots+descriptors``. Other
    spaces have one way, ``plain``.

    Args:
        columns: of the space.
        parameters: that describe them.

    Attributes:
        usual: the name of the one to take without a reason for another: with roots, and with descriptors where they
            are given.
    """

    def __init__(self, columns: Sequence[Column], parameters: Sequence[Parameter]) -> None:
        self._columns, self._parameters = tuple(columns), tuple(parameters)
        self._made: dict[str, Encoding] = {}
        mixtures = [p for p in parameters if isinstance(p, Composition)]
        given = any(mixture.descriptors is not None for mixture in mixtures)
        self.usual: str = "plain" if not mixtures else f"{ROOTS}+{DESCRIPTORS}" if given else ROOTS

    @cached_property
    def _names(self) -> tuple[str, ...]:
        if self.usual == "plain":
            return ("plain",)
        described = any(_described(p) is not None for p in self._parameters if isinstance(p, Composition))
        return ("fractions", ROOTS) + ((DESCRIPTORS, f"{ROOTS}+{DESCRIPTORS}") if described else ())

    def __getitem__(self, name: str) -> Encoding:
        if name not in self._made:
            if name != self.usual and name not in self._names:
                raise KeyError(name)
            parts = name.split("+")
            self._made[name] = _encoding(
                self._columns, self._parameters, roots=ROOTS in parts, descriptors=DESCRIPTORS in parts
            )
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def metric(columns: Sequence[Column], parameters: Sequence[Parameter]) -> Encoding:
    """Coordinates whose distances treat all components, all categories and all numbers alike; no roots."""
    return _encoding(columns, parameters, unit_spread=True)


def _encoding(
    columns: Sequence[Column],
    parameters: Sequence[Parameter],
    roots: bool = False,
    descriptors: bool = False,
    unit_spread: bool = False,
) -> Encoding:
    """An encoding, its features in the order of the columns, descriptors of compositions last.

    Raises:
        SpaceError: descriptors that are the same for all categories or components.
    """
    owner = {name: i for i, parameter in enumerate(parameters) for name in parameter.columns}
    features: list[tuple[int, Feature]] = []
    varying = [i for i, column in enumerate(columns) if not column.constant]
    at = 0
    while at < len(varying):
        i = varying[at]
        column, own = columns[i], owner[columns[i].name]
        parameter = parameters[own]
        at += 1
        if isinstance(parameter, Composition):
            index = [i]
            while at < len(varying) and owner[columns[varying[at]].name] == own:
                index.append(varying[at])
                at += 1
            features.append((own, Fractions(index, [columns[k].name for k in index], roots)))
        elif column.kind != "category":
            features.append((own, Scaled(i, column)))
        elif isinstance(parameter, Categorical) and parameter.descriptors is not None:
            features.append((own, _categories(i, parameter, unit_spread)))
        else:
            features.append((own, OneHot(i, column)))
    if descriptors:
        place = {column.name: i for i, column in enumerate(columns)}
        for own, parameter in enumerate(parameters):
            if isinstance(parameter, Composition) and (mixed := _described(parameter)) is not None:
                names, table = mixed
                features.append((own, Mixed([place[c] for c in parameter.columns], parameter.name, names, table)))
    return Encoding([feature for _, feature in features], [own for own, _ in features])


def _described(parameter: Composition) -> tuple[list[str], Floats] | None:
    """Names and standardised values of a composition's descriptors, (components, descriptors), or None.

    Descriptors that say the same of the components are taken once.
    """
    frame = parameter.described
    if frame is None:
        if elements.symbols(parameter.components) is None:
            return None
        frame = elements.describe(parameter.components)
    table = frame.to_numpy(dtype=float)
    spread = table.std(axis=0)
    varies = spread > 1e-12 * np.abs(table).max(axis=0, initial=0.0)
    table = (table[:, varies] - table[:, varies].mean(axis=0)) / spread[varies]
    alike = np.abs(table.T @ table) / len(table) > 1 - 1e-9
    kept = [j for j in range(alike.shape[1]) if not alike[j, :j].any()]
    if not kept:
        if parameter.descriptors is None:
            return None
        raise SpaceError(
            f"composition {parameter.name!r}: all components have the same descriptors.",
            field="descriptors",
            mend="Give descriptors that tell them apart, or none.",
        )
    return [str(name) for name in frame.columns[varies][kept]], np.ascontiguousarray(table[:, kept])


def _categories(index: int, parameter: Categorical, unit_spread: bool) -> Described:
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
    return Described(index, names, table)
