"""Strategies by name: the ones of this package, and plug-ins."""

from acquisition.strategies.registry import make_strategy, strategy_names

__all__ = ["make_strategy", "strategy_names"]
