"""The door of the package: data in, the surrogate that fits them best out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surrogates.data import Data, Spec
from surrogates.fitting import fit_exact
from surrogates.surrogate import Surrogate


def fit(data: Data, *, spec: Spec | None = None, warm: Mapping[str, Any] | None = None) -> Surrogate:
    """Fit a surrogate.

    Args:
        data: of one metric, see :meth:`surrogates.data.Data.of`.
        spec: which kind; all is left to the data if not given.
        warm: the ``state()`` of an earlier fit: where to start, and what was decided with fewer data.
    """
    return fit_exact(data, spec or Spec(), warm)
