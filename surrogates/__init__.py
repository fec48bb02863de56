"""Probabilistic models of the data: Gaussian processes over columns whose meaning they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surrogates.errors import DataError, SurrogatesError

if TYPE_CHECKING:
    from surrogates.data import Data, Spec
    from surrogates.gaussian_process import GaussianProcess
    from surrogates.models import choose, fit
    from surrogates.surrogate import Belief, Surrogate
    from surrogates.threads import one_thread

__all__ = [
    "Belief",
    "Data",
    "DataError",
    "GaussianProcess",
    "Spec",
    "Surrogate",
    "SurrogatesError",
    "choose",
    "fit",
    "one_thread",
]

_HOMES = {
    "Belief": "surrogates.surrogate",
    "Data": "surrogates.data",
    "GaussianProcess": "surrogates.gaussian_process",
    "Spec": "surrogates.data",
    "Surrogate": "surrogates.surrogate",
    "choose": "surrogates.models",
    "fit": "surrogates.models",
    "one_thread": "surrogates.threads",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__part_of__ = "sabatier"  # tells this package from others of its name
