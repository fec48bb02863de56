"""Refuses to start when another distribution has taken the place of one of the five packages."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGES: Final = ("orchestrator", "acquisition", "instruments", "surrogates", "simulators")
MARK: Final = '__part_of__ = "sabatier"'


def foreign() -> list[tuple[str, str]]:
    """Packages that are not Sabatier's, with the place where Python finds them."""
    return [(name, place) for name in PACKAGES if (place := _elsewhere(name)) is not None]


def _elsewhere(name: str) -> str | None:
    spec = find_spec(name)
    if spec is None:
        return "nowhere"
    origin = spec.origin
    if origin is None:  # a folder without __init__.py
        return ", ".join(spec.submodule_search_locations or ["nowhere"])
    return None if MARK in Path(origin).read_text(encoding="utf-8", errors="replace") else origin


def _owners(name: str) -> str:
    from importlib.metadata import packages_distributions

    others = sorted({d for d in packages_distributions().get(name, []) if d.lower() != "sabatier"})
    return f"the distribution {' or '.join(others)}" if others else "no installed distribution"


def check_packages() -> None:
    """End with status 2 and one clear message where a package resolves elsewhere."""
    wrong = foreign()
    if not wrong:
        return
    for name, place in wrong:
        sys.stderr.write(
            f"sabatier: the package `{name}` resolves to {place}, which belongs to {_owners(name)}, "
            f"not to the distribution sabatier.\n"
        )
    sys.stderr.write("Install sabatier into an environment of its own, without the other distribution.\n")
    raise SystemExit(2)
