"""Parameters as axes: every setting a place between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd

from acquisition.parameters import Composition, Continuous, Integer, Parameter
from acquisition.space import SearchSpace
from orchestrator.config.spaces import units_of
from orchestrator.export import readings, words
from orchestrator.export.readings import Floats, Reading

GOLDEN: Final = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Axis:
    """One parameter's column on a line from 0 to 1.

    Attributes:
        name: of the column.
        label: with its unit, escaped.
        places: (n,) of the experiments, NaN where unknown.
        said: (n,) the settings in words, escaped.
        ticks: what to write at which place.
    """

    name: str
    label: str
    places: Floats
    said: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]


def axes_of(reading: Reading, space: SearchSpace, names: Sequence[str]) -> list[Axis]:
    """The axes of some parameter columns."""
    known = readings.inputs(reading.frame)
    owners = {c: p for p in space.parameters for c in p.columns}
    units = units_of(space)
    axes = []
    for name in names:
        unit = words.pretty_unit(units.get(name))
        label = escape(f"{name} ({unit})" if unit else name)
        owner = owners.get(name)
        if pd.api.types.is_numeric_dtype(known[name]):
            axes.append(_axis(name, label, known[name], _range(known, name, owner), bool(getattr(owner, "log", False))))
        else:
            axes.append(_named_axis(name, label, known[name], owner, reading))
    return axes


def _range(known: pd.DataFrame, name: str, owner: Parameter | None) -> tuple[float, float]:
    """Where an axis begins and ends: the declared range and all values; one for all components of a composition."""
    low, high = float(known[name].min()), float(known[name].max())
    if isinstance(owner, Composition):
        highest = float(np.nanmax(known[list(owner.columns)].to_numpy(dtype=np.float64)))
        return 0.0, math.ceil(highest * 10 - 1e-9) / 10
    if isinstance(owner, Continuous | Integer):
        return min(low, float(owner.low)), max(high, float(owner.high))
    return low, high


def _axis(name: str, label: str, settings: pd.Series[Any], ends: tuple[float, float], logarithmic: bool) -> Axis:
    values = settings.to_numpy(dtype=np.float64)
    low, high = ends
    logarithmic = logarithmic and low > 0
    scaled, start, end = (np.log(values), math.log(low), math.log(high)) if logarithmic else (values, low, high)
    places = (scaled - start) / ((end - start) or 1.0)
    middle = math.exp((start + end) / 2) if logarithmic else (low + high) / 2
    said = tuple(words.number(value) for value in values)
    ticks = ((0.0, words.number(low)), (0.5, f"{middle:.3g}{' (log)' if logarithmic else ''}"))
    return Axis(name, label, places, said, (*ticks, (1.0, words.number(high))))


def _named_axis(name: str, label: str, settings: pd.Series[Any], owner: Parameter | None, reading: Reading) -> Axis:
    declared = list(getattr(owner, "values", ()))
    seen = sorted({v for v in settings.dropna() if v not in declared}, key=str)
    choices = [*declared, *seen]
    step = 1 / max(len(choices) - 1, 1)
    where = {choice: i * step for i, choice in enumerate(choices)}
    # a little to the side, each its own way, so that lines of one category can be told apart
    aside = ((reading.ids * GOLDEN) % 1 - 0.5) * min(0.4 * step, 0.06)
    places = np.array([where.get(v, np.nan) for v in settings], dtype=np.float64)
    ticks = tuple((where[c], escape(_short(str(c)))) for c in choices)
    thin = math.ceil(len(ticks) / 8)
    said = tuple(escape(words.number(value)) for value in settings)
    return Axis(name, label, np.clip(places + aside, 0, 1), said, ticks[::thin])


def _short(text: str, most: int = 14) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
