"""The door of the package: data in, the surrogate that fits them best out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from surrogates.data import Data, Spec
from surrogates.errors import DataError
from surrogates.fitting import fit_exact
from surrogates.gaussian_process import GaussianProcess
from surrogates.likelihood import LogPosterior
from surrogates.mixture import Mixture
from surrogates.outliers import absurd, without
from surrogates.sampling import draws
from surrogates.search import GROWTH, evidence, rows_of
from surrogates.sparse import SparseProcess
from surrogates.surrogate import Surrogate
from surrogates.threads import one_thread

MOST_EXACT: Final = 2000
"""Beyond so many rows the process is sparse."""
SUBSET: Final = 600
"""Rows from which a sparse process has its hyperparameters and its form."""
FEW: Final = 20
"""Up to so many rows hyperparameters are averaged over, if nothing else is asked for."""
MOST_SAMPLED: Final = 200
"""Beyond so many rows hyperparameters are so well known that the most probable ones stand for all."""
MEMBERS: Final = 16
WILD: Final = 6.0
"""Standard deviations off from which a row of a sparse process is not believed."""
HYSTERESIS: Final = 3.0
"""Log evidence by which another encoding must be better than the present one."""
CHOOSE_GROWTH: Final = 1.25


def fit(data: Data, *, spec: Spec | None = None, warm: Mapping[str, Any] | None = None) -> Surrogate:
    """Fit a surrogate.

    Args:
        data: of one metric, see :meth:`surrogates.data.Data.of`.
        spec: which kind; all is left to the data if not given.
        warm: the ``state()`` of an earlier fit: where to start, and what was decided with fewer data.
    """
    spec = spec or Spec()
    with one_thread(), torch.no_grad():
        if len(data) > MOST_EXACT:
            return _sparse(data, spec, warm or {})
        best = fit_exact(data, spec, warm)
        bayesian = spec.inference == "bayesian" or (spec.inference == "auto" and len(data) <= FEW)
        return average(best) if bayesian and len(data) <= MOST_SAMPLED else best


def choose(
    candidates: Mapping[str, Data], *, spec: Spec | None = None, warm: Mapping[str, Any] | None = None
) -> tuple[str, Surrogate]:
    """Fit the most probable of several encodings of the same outcomes.

    They are compared by log evidence each time that the data have grown by a quarter; in between, and unless another
    is clearly better, the present one stays. The state of what is returned remembers the choice.

    Args:
        candidates: by name, the same outcomes with different columns; the first is preferred at first.
        spec: which kind of surrogate.
        warm: the ``state()`` of what was chosen before.

    Returns:
        The name of the encoding, and the surrogate.

    Raises:
        DataError: no candidates, or outcomes that differ between them.
    """
    if not candidates:
        raise DataError("there is no encoding to choose from.", field="candidates")
    names, spec, warm = list(candidates), spec or Spec(), dict(warm or {})
    first = candidates[names[0]]
    for name, data in candidates.items():
        if not np.array_equal(data.outcomes, first.outcomes):
            raise DataError(f"encoding {name!r} has other outcomes than {names[0]!r}.", field="candidates")
    known = str(warm.get("encoding"))
    present = known if known in candidates else names[0]
    compared, n = int(warm.get("compared", 0)), len(first)
    why = str(warm.get("encoding_reason", ""))
    if len(names) > 1 and not compared <= n < CHOOSE_GROWTH * compared:
        with one_thread(), torch.no_grad():
            score = {
                name: _evidence(data, spec, warm if name == present else None) for name, data in candidates.items()
            }
        best = max(names, key=lambda name: score[name])
        if score[best] > score[present] + HYSTERESIS:
            why = f"log evidence {score[best] - score[present]:.1f} higher than with {present}"
            present, warm = best, {}
        compared = n
    chosen = fit(candidates[present], spec=spec, warm=warm)
    extras = (chosen.best if isinstance(chosen, Mixture) else chosen).extras  # type: ignore[attr-defined]
    extras.update(encoding=present, compared=compared)
    if why:
        extras["encoding_reason"] = why
    return present, chosen


def _evidence(data: Data, spec: Spec, warm: Mapping[str, Any] | None) -> float:
    if len(data) > SUBSET:
        data = data.take(np.linspace(0, len(data) - 1, SUBSET).round().astype(np.intp))
    model = fit_exact(data, replace(spec, inference="map"), warm)
    return evidence(model.form, model.theta, model.rows)


def average(best: GaussianProcess) -> Mixture:
    """Processes with likely hyperparameters over the rows of the most probable one."""
    posterior = LogPosterior(best.form, best.rows)
    members = [best.having(theta) for theta in draws(posterior, best.theta, MEMBERS, seed=len(best.rows))]
    return Mixture(members, best)


def _sparse(data: Data, spec: Spec, warm: Mapping[str, Any]) -> SparseProcess:
    """Hyperparameters and form of an even part of the rows, conditioned on all of them.

    Wild rows are looked for when hyperparameters are.
    """
    part = data.take(np.linspace(0, len(data) - 1, SUBSET).round().astype(np.intp))
    total = int(warm.get("total", 0))
    again = not total <= len(data) <= total * (1.0 + GROWTH)
    if again:
        warm = {name: value for name, value in warm.items() if name not in {"searched", "wild_rows"}}
    model = fit_exact(part, replace(spec, drift=False), warm)
    rows = rows_of(data, model.scale)
    if model.noise_field is not None:
        rows = replace(rows, factor=rows.factor * model.noise_field(rows.columns))
    wild = np.flatnonzero(np.isin(data.order, warm.get("wild_rows", ())))
    sparse = SparseProcess(
        model.form,
        model.theta,
        without(rows, torch.from_numpy(wild)),
        model.scale,
        noise_field=model.noise_field,
        notes=(*model.notes, *(["drift is not modelled for so many rows"] if spec.drift is True else [])),
        extras={**model.extras, "total": len(data) if again else total},
    )
    if again and spec.outliers != "none":
        left = sparse.leave_one_out()
        off = np.abs(data.outcomes - left.mean) > WILD * left.std
        if spec.outliers == "auto":
            off &= [absurd(value, part.outcomes) for value in data.outcomes]
        wild = np.flatnonzero(off)
        sparse = sparse.having(without(rows, torch.from_numpy(wild))) if len(wild) else sparse
    if len(wild):
        sparse.extras["wild_rows"] = [float(name) for name in data.order[wild]]
        sparse.notes = (*sparse.notes, f"{len(wild)} wild values not believed")
    return sparse
