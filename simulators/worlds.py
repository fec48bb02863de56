"""Worlds: the constants of the model that a benchmark may redraw.

``nominal`` is the calibrated model. ``shifted`` draws rate constants and alloy rules anew by seed, so that a strategy
cannot have been tuned to them. ``null`` has no synergy at all: every metal works as a patch of its own, with its own
boundary layer, so that rates are mean values over the composition and every efficiency peaks at a pure metal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from simulators._schema import nearest
from simulators.errors import ChemistryError

WorldName: TypeAlias = Literal["nominal", "shifted", "null"]
WORLDS: Final[tuple[str, ...]] = get_args(WorldName)

RATE_SPREAD: Final = 0.35
"""Standard deviation of redrawn rate constants, decades."""


@dataclass(frozen=True)
class World:
    """Alloy rules and rate constants beside the element table. All numbers are simulator parameters.

    Attributes:
        name: which world.
        seed: what it was drawn with.
        mixing: weight of the neighbours in a site's descriptors (ligand effect).
        segregation: surface enrichment by surface energy, m2 J-1.
        strain: largest shift of the CO energy by strain, eV.
        asymmetry: strength of the C-C coupling gain by a spread of CO energies, eV-2.
        asymmetry_limit: largest natural logarithm of that gain.
        ligand_scale: factor on each element's sp-ligand shift.
        rate_shift: decades added to an element's rate constant, by (element, step).
        patches: whether the metals do not feel one another at all.
    """

    name: WorldName = "nominal"
    seed: int = 0
    mixing: float = 0.25
    segregation: float = 0.8
    strain: float = 0.08
    asymmetry: float = 20.0
    asymmetry_limit: float = 1.2
    ligand_scale: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    rate_shift: Mapping[tuple[str, str], float] = field(default_factory=lambda: MappingProxyType({}))
    patches: bool = False


def stream(*parts: object) -> np.random.Generator:
    """A random generator of its own for everything that has a name, whatever else is drawn before or after it."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def make_world(name: str, seed: int, elements: tuple[str, ...], steps: tuple[str, ...]) -> World:
    """A world by name.

    Args:
        name: ``nominal``, ``shifted`` or ``null``.
        seed: picks one of the shifted worlds; the other two are the same for every seed.
        elements: elements whose constants may be redrawn.
        steps: names of the rate constants.

    Raises:
        ChemistryError: there is no such world.
    """
    if name == "nominal":
        return World(seed=seed)
    if name == "null":
        return World(name="null", seed=seed, patches=True)
    if name != "shifted":
        raise ChemistryError(f"there is no world {name!r}.", field="world", mend=nearest(name, WORLDS))
    rules = stream("world", seed, "rules")
    return World(
        name="shifted",
        seed=seed,
        mixing=float(rules.uniform(0.1, 0.4)),
        segregation=float(rules.uniform(0.0, 1.2)),
        strain=float(rules.uniform(0.04, 0.12)),
        asymmetry=float(rules.uniform(10.0, 40.0)),
        asymmetry_limit=float(rules.uniform(0.8, 1.6)),
        ligand_scale=MappingProxyType({e: float(stream("world", seed, "ligand", e).uniform(0, 2)) for e in elements}),
        rate_shift=MappingProxyType(
            {(e, s): float(stream("world", seed, "rate", e, s).normal(0, RATE_SPREAD)) for e in elements for s in steps}
        ),
    )
