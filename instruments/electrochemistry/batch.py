"""Many experiments of one kind as arrays: what the vectorised reduction works on.

Experiments are of one kind where they have the same tables, species, scales and methods: their :class:`Layout` is
equal. The leading axis of all arrays counts experiments. Tables of different length are padded: traces with their last
point, which adds nothing to an integral; injections, peaks and everything else that is not there with NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.tables import Flags, Floats

PADDED = ("time", "current", "potential", "cell_voltage", "set_point", "overload", "flow_time", "inlet", "outlet",
          "pressure_drop", "back_pressure")  # fmt: skip
"""Traces, which are padded with their last point."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a kind of experiment is.

    Attributes:
        species: of the chromatograph's channels.
        liquids: products found by liquid analysis.
        control: what the potentiostat held.
        scale: of the reference electrode, or ``None`` where the potential has none.
        flow_method: where the outlet flow comes from, ``None`` where gases cannot be reduced.
        outlet_wet: whether the outlet meter sees wet gas.
        standard: species of the internal standard, or ``""``.
        carbonate: as in the setup.
        liquid_mode: ``batch``, ``flow``, or ``None`` where liquids cannot be reduced.
        compartments: of the liquid analyses.
        cell: as in the setup.
        membrane: as in the setup.
        regime: as in the setup.
        phases: that were analysed.
        expected: keys of the products to be expected, or ``None`` for all.
        stability_of: metric whose trend is told, or ``""``.
        known: names of the scalars that are known.
        arrays: names of the optional arrays that are there.
        missing: metadata that the reduction should have had.
    """

    species: tuple[str, ...] = ()
    liquids: tuple[str, ...] = ()
    control: Literal["potential", "current"] | None = None
    scale: Literal["SHE", "RHE"] | None = None
    flow_method: str | None = None
    outlet_wet: bool = False
    standard: str = ""
    carbonate: str | None = None
    liquid_mode: str | None = None
    compartments: tuple[str, ...] = ()
    cell: str | None = None
    membrane: str | None = None
    regime: str | None = None
    phases: tuple[str, ...] = ()
    expected: tuple[str, ...] | None = None
    stability_of: str = ""
    known: frozenset[str] = frozenset()
    arrays: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()

    @property
    def gases(self) -> tuple[str, ...]:
        """Channels that are products."""
        return tuple(key for key in self.species if key in PRODUCTS)

    @property
    def products(self) -> tuple[str, ...]:
        """All products with an analysis that can be reduced, in the order of the table of products."""
        found = {*(self.gases if self.flow_method else ()), *(self.liquids if self.liquid_mode else ())}
        return tuple(key for key in PRODUCTS if key in found)

    @property
    def complete(self) -> bool:
        """Whether every phase in which a product is to be expected was analysed."""
        expected = PRODUCTS if self.expected is None else self.expected
        return {PRODUCTS[key].phase for key in expected} <= set(self.phases)


@dataclass(frozen=True, eq=False)
class Batch:
    """Experiments of one layout; E experiments, T points, N injections, S channels, F flow readings, L liquids.

    Attributes:
        layout: of all of them.
        time: s, [E, T].
        current: A, [E, T].
        points: number of points before padding, [E].
        scalars: values and standard uncertainties (NaN where not assessed) by name, [E] each.
        potential: V as recorded, [E, T].
        cell_voltage: V, [E, T].
        set_point: V or A, by the layout's control, [E, T].
        overload: 0 or 1, [E, T].
        injections: their times, s, [E, N].
        signal: areas or fractions by channel, [E, N, S].
        coefficients: of fraction = c0 + c1 * signal + ..., [E, S, powers].
        factor: of their covariance, [E, S, powers, powers].
        repeatability: relative standard deviation of a signal, [E, S].
        noise: standard deviation of a signal near nothing, [E, S].
        detection: limit of detection as a mole fraction, [E, S].
        low: the smallest calibrated fraction, [E, S].
        high: the largest calibrated fraction, [E, S].
        age: of the calibration, days, [E, S].
        r_squared: of the calibration, [E, S].
        expired: 1 where a calibration's validity had ended, [E, S].
        flow_time: s, [E, F].
        inlet: mol s-1, [E, F].
        outlet: mol s-1 of what the meter saw, [E, F].
        pressure_drop: Pa, [E, F].
        back_pressure: Pa, [E, F].
        concentration: corrected for dilution and recovery, mol m-3, [E, L, compartments].
        concentration_sem: mol m-3, [E, L, compartments].
        concentration_limit: of detection, mol m-3, [E, L, compartments].
        liquid_time: when the liquid was sampled, s, NaN for the end, [E].
    """

    layout: Layout
    time: Floats
    current: Floats
    points: Floats
    scalars: Mapping[str, tuple[Floats, Floats]]
    potential: Floats | None = None
    cell_voltage: Floats | None = None
    set_point: Floats | None = None
    overload: Floats | None = None
    injections: Floats | None = None
    signal: Floats | None = None
    coefficients: Floats | None = None
    factor: Floats | None = None
    repeatability: Floats | None = None
    noise: Floats | None = None
    detection: Floats | None = None
    low: Floats | None = None
    high: Floats | None = None
    age: Floats | None = None
    r_squared: Floats | None = None
    expired: Floats | None = None
    flow_time: Floats | None = None
    inlet: Floats | None = None
    outlet: Floats | None = None
    pressure_drop: Floats | None = None
    back_pressure: Floats | None = None
    concentration: Floats | None = None
    concentration_sem: Floats | None = None
    concentration_limit: Floats | None = None
    liquid_time: Floats | None = None

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, which: slice | Flags) -> Batch:
        """Some of the experiments."""
        picked: dict[str, Any] = {
            name: None if value is None else value[which] for name, value in self._arrays().items()
        }
        scalars = {name: (values[which], sems[which]) for name, (values, sems) in self.scalars.items()}
        return Batch(layout=self.layout, scalars=scalars, **picked)

    def _arrays(self) -> dict[str, Floats | None]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("layout", "scalars")}


def gather(batches: Sequence[Batch]) -> Batch:
    """Batches of one layout as one.

    Raises:
        ValueError: layouts differ, or there is none.
    """
    if not batches or any(batch.layout != batches[0].layout for batch in batches):
        raise ValueError("experiments of one layout are wanted")
    if len(batches) == 1:
        return batches[0]
    columns = [batch._arrays() for batch in batches]
    arrays: dict[str, Any] = {}
    for name, first in columns[0].items():
        if first is None:
            arrays[name] = None
            continue
        given = [column[name] for column in columns]
        shape = tuple(
            max(sizes) for sizes in zip(*(array.shape[1:] for array in given if array is not None), strict=True)
        )
        arrays[name] = np.concatenate([_padded(array, shape, name in PADDED) for array in given if array is not None])
    scalars = {
        name: (
            np.concatenate([batch.scalars[name][0] for batch in batches]),
            np.concatenate([batch.scalars[name][1] for batch in batches]),
        )
        for name in batches[0].scalars
    }
    return Batch(layout=batches[0].layout, scalars=scalars, **arrays)


def _padded(array: Floats, shape: tuple[int, ...], repeat: bool) -> Floats:
    """The array with its trailing axes grown to a shape."""
    missing = [(0, wanted - given) for wanted, given in zip(shape, array.shape[1:], strict=True)]
    if not any(after for _, after in missing):
        return array
    if repeat:
        return np.pad(array, [(0, 0), *missing], mode="edge")
    return np.pad(array, [(0, 0), *missing], constant_values=np.nan)
