"""Probabilistic models of the data: Gaussian processes over columns whose meaning they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surrogates.errors import DataError, SurrogatesError

if TYPE_CHECKING:
    from surrogates.gaussian_process import GaussianProcess
    from surrogates.surrogate import Belief, Surrogate
    from surrogates.threads import one_thread

__all__ = ["Belief", "DataError", "GaussianProcess", "Surrogate", "SurrogatesError", "one_thread"]

_HOMES = {
    "Belief": "surrogates.surrogate",
    "GaussianProcess": "surrogates.gaussian_process",
    "Surrogate": "surrogates.surrogate",
    "one_thread": "surrogates.threads",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__part_of__ = "sabatier"  # tells this package from others of its name
