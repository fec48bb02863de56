"""Properties of the chemical elements, as numbers that say how elements resemble one another.

The table is frozen: ``data/elements.csv``, with its sources and units in ``data/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from acquisition.errors import SpaceError

if TYPE_CHECKING:
    import pandas as pd

USUAL: Final = ("group", "electronegativity", "work_function_scale", "covalent_radius", "heat_of_atomisation")
"""What adsorption on metals and alloys is usually told by: filling of the bands, charge transfer, size, cohesion."""

_ENDING = re.compile(r"[ _-].*$")


@cache
def _table() -> pd.DataFrame:
    import pandas as pd  # here, since the command line need not wait for it

    with resources.files("acquisition").joinpath("data/elements.csv").open(encoding="utf-8") as file:
        # only empty cells are gaps: pandas takes names such as "NA" for one
        return pd.read_csv(file, index_col="symbol", keep_default_na=False, na_values=[""]).astype(float)


def properties() -> tuple[str, ...]:
    """Names of all properties."""
    return tuple(map(str, _table().columns))


def symbols(components: Iterable[str]) -> tuple[str, ...] | None:
    """The elements that components name, or None where they are not all different elements.

    Components are symbols (``Cu``), or symbols with one ending that all of them share (``Cu_load``); in lower case they
    count too, if one at least has two letters (``ni_load``, ``fe_load``): ``b`` and ``c`` may be anything.
    """
    names = list(components)
    endings = {match.group() if (match := _ENDING.search(name)) else "" for name in names}
    if len(endings) == 1:
        names = [_ENDING.sub("", name) for name in names]
    if all(name.islower() for name in names) and any(len(name) == 2 for name in names):
        names = [name.capitalize() for name in names]
    known = set(_table().index)
    return tuple(names) if set(names) <= known and len(set(names)) == len(names) else None


def describe(components: Sequence[str], wanted: Sequence[str] = USUAL) -> pd.DataFrame:
    """Properties of components, (components, properties), without those that are not known of each of them.

    Raises:
        SpaceError: a component is no element, or a property is unknown.
    """
    elements = symbols(components)
    if elements is None:
        known = set(_table().index)
        stranger = next((name for name in components if name not in known), components[0])
        raise SpaceError(
            f"{stranger!r} is no symbol of an element that has properties here.",
            field="descriptors",
            mend="Name components by their symbols (Cu, Ag), or give a table of descriptors.",
        )
    unknown = [name for name in wanted if name not in _table().columns]
    if unknown:
        raise SpaceError(
            f"there is no property {unknown[0]!r} of elements.",
            field="descriptors",
            mend=f"Known are {', '.join(properties())}.",
        )
    return _table().loc[list(elements), list(wanted)].dropna(axis="columns").set_axis(list(components), axis="index")
