"""What is installed: laboratories and strategies, by the names that campaign files use."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from orchestrator.config.hints import listed, nearest, unknown
from orchestrator.errors import InputError

LABS = "sabatier.labs"
STRATEGIES = "sabatier.strategies"


def _group(name: str) -> dict[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=name), key=lambda point: point.name):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            owners = " and ".join(sorted(p.dist.name if p.dist else p.value for p in (other, point)))
            raise InputError(
                f"two installed distributions, {owners}, both call something {point.name!r} ({name}).",
                mend="Uninstall one of them.",
            )
    return points


def lab_types() -> tuple[str, ...]:
    """The installed types of laboratory."""
    return tuple(_group(LABS))


def lab_class(name: object) -> type:
    """The class of the options of one type of laboratory.

    Raises:
        InputError: no such laboratory is installed, or its module cannot be imported.
    """
    points = _group(LABS)
    point = points.get(name) if isinstance(name, str) else None
    if point is None:
        near = nearest(str(name), points)
        raise InputError(
            f"no laboratory of type {name!r} is installed; known: {listed(points)}.",
            field="type",
            mend=f"Did you mean {near!r}?" if near else None,
        )
    try:
        found = point.load()
    except (ImportError, AttributeError) as problem:
        raise InputError(
            f"the laboratory {name!r} ({point.value}) cannot be loaded: {problem}.",
            field="type",
            mend="Install again the package that brings it.",
        ) from problem
    if not isinstance(found, type):
        raise InputError(f"the laboratory {name!r} ({point.value}) is no class of options.", field="type")
    return found


def strategy_names() -> tuple[str, ...]:
    """The installed strategies."""
    return tuple(_group(STRATEGIES))


def check_strategy(name: str) -> str:
    """Return the name of an installed strategy.

    Raises:
        InputError: no such strategy is installed.
    """
    known = strategy_names()
    if name not in known:
        raise InputError(unknown("strategy", name, known))
    return name
