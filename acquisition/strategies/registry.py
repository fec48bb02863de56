"""Finds strategies by name through the entry-point group ``sabatier.strategies``."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from acquisition.errors import StrategyError
from acquisition.problem import Strategy

GROUP: Final = "sabatier.strategies"


def _known() -> dict[str, EntryPoint]:
    known: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = known.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise StrategyError(
                f"two installed strategies are called {entry.name!r}: {other.value} and {entry.value}.",
                field="strategy.name",
                mend="Uninstall the distribution of one of them.",
            )
    return known


def strategy_names() -> tuple[str, ...]:
    """Names of all installed strategies."""
    return tuple(sorted(_known()))


def make_strategy(name: str, options: Mapping[str, Any] | None = None) -> Strategy:
    """Build a strategy.

    Args:
        name: as in campaign files, such as ``"auto"``.
        options: arguments of its constructor.

    Raises:
        StrategyError: no such strategy, options that it does not take, or a plug-in that is no strategy.
    """
    known = _known()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(known))}."
        raise StrategyError(f"there is no strategy {name!r}.", field="strategy.name", mend=hint)
    cls = known[name].load()
    takes = [p.name for p in inspect.signature(cls).parameters.values() if p.kind is not p.VAR_KEYWORD]
    unknown = [option for option in options or {} if option not in takes]
    if unknown and len(takes) == len(inspect.signature(cls).parameters):
        raise StrategyError(
            f"strategy {name!r} has no option {unknown[0]!r}.",
            field="strategy.options",
            mend=f"It takes {', '.join(takes)}." if takes else "It takes none.",
        )
    given = {*(options or {})}
    parameters = inspect.signature(cls).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    missing = [p.name for p in named if p.default is p.empty and p.name not in given]
    if missing:
        raise StrategyError(
            f"strategy {name!r} needs the option {missing[0]!r}.", field="strategy", mend="Give it under `options`."
        )
    try:
        strategy = cls(**(options or {}))
    except TypeError as problem:
        raise StrategyError(f"strategy {name!r}: {problem}.", field="strategy.options") from problem
    if not isinstance(strategy, Strategy):
        raise StrategyError(f"strategy {name!r} has no method `propose`.", field="strategy.name")
    return strategy
