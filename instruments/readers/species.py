"""Names of species in files of instruments, and their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

UNIDENTIFIED: Final = "unidentified"
"""Stands for the species of a peak without a name."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "h2": ("hydrogen",),
        "co": ("carbon monoxide",),
        "ch4": ("methane",),
        "c2h4": ("ethylene", "ethene"),
        "c2h6": ("ethane",),
        "c3h6": ("propylene", "propene"),
        "c3h8": ("propane",),
        "hcoo": ("hcoo-", "formate", "formic acid", "hcooh"),
        "ch3oh": ("meoh", "methanol"),
        "c2h5oh": ("etoh", "ethanol"),
        "ch3coo": ("ch3coo-", "acetate", "acetic acid", "ch3cooh"),
        "c3h7oh": ("proh", "1-propanol", "n-propanol", "1-proh"),
        "ch3cho": ("acetaldehyde", "mecho"),
        "c2h5cho": ("propionaldehyde", "propanal", "etcho"),
        "c3h6o": ("acetone", "me2co"),
        "c3h5oh": ("allyl alcohol",),
        "hcho": ("formaldehyde",),
        "glycolaldehyde": (),
        "glycol": ("ethylene glycol",),
        "co2": ("carbon dioxide",),
        "n2": ("nitrogen",),
        "o2": ("oxygen",),
        "ar": ("argon",),
        "he": ("helium",),
        "h2o": ("water",),
    }
)

_KEYS: Final = MappingProxyType({name: key for key, names in _NAMES.items() for name in (key, *names)})


def key_of(label: str, given: Mapping[str, str] | None = None) -> str | None:
    """The key of a species by its name in a file; ``None`` where the name is not known.

    Args:
        label: as the file has it.
        given: keys by label, which go before the usual names.
    """
    if given and label in given:
        return given[label]
    return _KEYS.get(re.sub(r"\s+", " ", label.strip()).lower())
