"""What a surrogate is fitted to, and which kind of surrogate is asked for: plain, checked records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surrogates.errors import DataError

Array: TypeAlias = NDArray[np.float64]
Kernel: TypeAlias = Literal["auto", "matern", "additive", "saas"]
Inference: TypeAlias = Literal["auto", "map", "bayesian"]
Outliers: TypeAlias = Literal["auto", "none", "robust"]
Noise: TypeAlias = Literal["auto", "constant", "heteroscedastic"]
Switch: TypeAlias = bool | Literal["auto"]

OWN_SAMPLE = -1
"""Id of a measurement that has its sample to itself."""


@dataclass(frozen=True, eq=False)
class Data:
    """Checked data of one metric. Build it with :meth:`of`.

    Attributes:
        columns: (n, d) model inputs of order one.
        outcomes: (n,) in their own units.
        sem: (n,) one standard uncertainty of each outcome, in the same unit; 0 where not assessed.
        inflation: (n,) factors, 1 or more, on the whole noise variance of doubtful rows.
        censored: (n,) -1 where the truth lies below the outcome, 1 where above, else 0.
        column_sem: (n, d) one standard uncertainty of the inputs, 0 where exact.
        sample: (n,) ids of the samples; ``OWN_SAMPLE`` for a measurement alone on its sample.
        order: (n,) when each row was told, increasing: drift follows it.
        kinds: (d,) what each column is: ``fraction``, ``root_fraction``, ``continuous``, ``category``, ``descriptor``.
        groups: (d,) the parameter that each column describes.
    """

    columns: Array
    outcomes: Array
    sem: Array
    inflation: Array
    censored: NDArray[np.int8]
    column_sem: Array
    sample: NDArray[np.intp]
    order: Array
    kinds: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def of(
        cls,
        columns: ArrayLike,
        outcomes: ArrayLike,
        *,
        sem: ArrayLike | None = None,
        inflation: ArrayLike | None = None,
        censored: ArrayLike | None = None,
        column_sem: ArrayLike | None = None,
        sample: ArrayLike | None = None,
        order: ArrayLike | None = None,
        kinds: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> Data:
        """Check data; see the attributes. What is left out is exact, uncensored, on its own sample, in order.

        Raises:
            DataError: shapes that do not fit together, values that are not finite, or no row at all.
        """
        x = matrix(columns)
        y = np.array(outcomes, dtype=np.float64)
        n, d = x.shape
        if y.shape != (n,):
            raise DataError(f"{n} rows of columns, but outcomes of shape {y.shape}.", field="outcomes")
        if not n:
            raise DataError("there are no data to fit.", field="outcomes")
        if not np.isfinite(y).all():
            raise DataError("outcomes must be finite.", field="outcomes", mend="Leave out what is not measured yet.")
        stated = np.zeros(n) if sem is None else np.nan_to_num(np.array(sem, dtype=np.float64), nan=0.0)
        if stated.shape != (n,) or not (np.isfinite(stated).all() and (stated >= 0).all()):
            raise DataError("sem must be one finite, non-negative number a row, or NaN.", field="sem")
        inflate = np.ones(n) if inflation is None else np.array(inflation, dtype=np.float64)
        if inflate.shape != (n,) or not (np.isfinite(inflate).all() and (inflate >= 1).all()):
            raise DataError("inflation must be one finite factor of 1 or more a row.", field="inflation")
        cut = np.zeros(n, dtype=np.int8) if censored is None else np.asarray(censored)
        if cut.shape != (n,) or not np.isin(cut, (-1, 0, 1)).all():
            raise DataError("censored must be -1, 0 or 1 a row.", field="censored")
        spread = np.zeros((n, d)) if column_sem is None else np.array(column_sem, dtype=np.float64)
        if spread.shape != (n, d) or not (np.isfinite(spread).all() and (spread >= 0).all()):
            raise DataError("column_sem must be finite, non-negative, and of the columns' shape.", field="column_sem")
        ids = np.full(n, OWN_SAMPLE) if sample is None else np.asarray(sample)
        if ids.shape != (n,) or ids.dtype.kind not in "iu":
            raise DataError("sample must be one whole number a row.", field="sample")
        when = np.arange(n, dtype=np.float64) if order is None else np.array(order, dtype=np.float64)
        if when.shape != (n,) or not np.isfinite(when).all():
            raise DataError("order must be one finite number a row.", field="order")
        what = ("continuous",) * d if kinds is None else tuple(kinds)
        whose = tuple(str(j) for j in range(d)) if groups is None else tuple(groups)
        for field, names in (("kinds", what), ("groups", whose)):
            if len(names) != d:
                raise DataError(f"{field} must name each of the {d} columns, not {len(names)}.", field=field)
        return cls(x, y, stated, inflate, cut.astype(np.int8), spread, ids.astype(np.intp), when, what, whose)

    def __len__(self) -> int:
        return len(self.outcomes)

    def take(self, index: NDArray[np.intp]) -> Data:
        """Some of the rows."""
        by_row = ("columns", "outcomes", "sem", "inflation", "censored", "column_sem", "sample", "order")
        return replace(self, **{name: getattr(self, name)[index] for name in by_row})

    @property
    def shares_samples(self) -> bool:
        """Whether any sample was measured more than once."""
        known = self.sample[self.sample != OWN_SAMPLE]
        return len(np.unique(known)) < len(known)


@dataclass(frozen=True, slots=True)
class Spec:
    """Which surrogate is wanted; ``auto`` lets the data decide.

    Attributes:
        kernel: ``matern``: one lengthscale a column; ``additive``: a sum over parameters besides; ``saas``: most
            columns are thought not to matter (Eriksson & Jankowiak 2021).
        inference: ``map``: the most probable hyperparameters; ``bayesian``: an average over likely ones.
        outliers: ``none``: each value is believed; ``robust``: wild ones are discounted; ``auto``: only on strong
            evidence.
        noise: ``heteroscedastic``: the scatter may differ from place to place.
        drift: the whole level wanders with time; predictions are for now.
        samples: a random effect for each sample; ``auto``: where samples were measured repeatedly.
    """

    kernel: Kernel = "auto"
    inference: Inference = "auto"
    outliers: Outliers = "auto"
    noise: Noise = "auto"
    drift: Switch = "auto"
    samples: Switch = "auto"

    def __post_init__(self) -> None:
        """Refuse what is not on the list.

        Raises:
            DataError: with the field and what it may be.
        """
        allowed = {"kernel": Kernel, "inference": Inference, "outliers": Outliers, "noise": Noise}
        for field, kind in allowed.items():
            if getattr(self, field) not in get_args(kind):
                raise DataError(
                    f"{field} {getattr(self, field)!r} is not known.",
                    field=field,
                    mend=f"Use one of {', '.join(get_args(kind))}.",
                )
        for field in ("drift", "samples"):
            value = getattr(self, field)
            if not isinstance(value, bool) and value != "auto":  # 1 and 0 equal true and false, but are not they
                raise DataError(
                    f"{field} {getattr(self, field)!r} is not known.", field=field, mend="Use true, false or auto."
                )


PLAIN = Spec(kernel="matern", inference="map", outliers="none", noise="constant", drift=False, samples=False)
"""The simplest surrogate, with nothing left to the data but its hyperparameters."""


def matrix(columns: ArrayLike, d: int | None = None) -> Array:
    """Columns as a finite (n, d) matrix.

    Raises:
        DataError: another shape, or values that are not finite.
    """
    x = np.array(columns, dtype=np.float64)
    if x.ndim != 2 or (d is not None and x.shape[1] != d):
        wanted = "a matrix" if d is None else f"a matrix with {d} columns"
        raise DataError(f"columns must be {wanted}, not of shape {x.shape}.", field="columns")
    if not np.isfinite(x).all():
        raise DataError("columns must be finite.", field="columns")
    return x
