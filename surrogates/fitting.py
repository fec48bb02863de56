"""From data to a fitted exact process: hyperparameters, adjusted rows, and what the evidence says about their form.

Whatever is special about a row becomes an adjustment of it that any Gaussian process understands: a censored value is
an equivalent Gaussian observation, an uncertain input adds variance, a wild value loses its weight, uneven noise is a
factor. Forms (a kernel, drift, uneven noise) are compared by evidence each time that the data have grown by a quarter,
and the present one stays unless another is clearly better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogates import outliers
from surrogates.censoring import with_sites
from surrogates.data import Data, Spec
from surrogates.form import Form
from surrogates.gaussian_process import GaussianProcess
from surrogates.inputs import input_variance
from surrogates.likelihood import Rows
from surrogates.scaling import Scale
from surrogates.scatter import FEWEST, noise_field
from surrogates.search import energy, evidence, kept, most_probable, rows_of
from surrogates.threads import one_thread

ROUNDS: Final = 2  # of adjusting rows and finding hyperparameters in turn
MARGIN: Final = 2.0  # log evidence by which another form must be better
MARGIN_DRIFT: Final = 10.0
"""Drift must be far more probable: a search climbs, and what climbs with time looks like drift."""
DECIDE_GROWTH: Final = 1.25
FEWEST_TO_DECIDE: Final = 10
FEWEST_FOR_DRIFT: Final = 15
MOST_TO_DECIDE: Final = 200
"""Forms of many rows are compared on so many of them."""
MANY_COLUMNS: Final = 15
"""From so many lengthscales on, sparse and additive forms are tried."""
FEWEST_TO_DOUBT: Final = 8
PREDICTABLE: Final = 0.5
"""Part of the variance that rows must explain of one another before an absurd one is disbelieved."""
MOST_TRIALS: Final = 3
MANY: Final = 60


@dataclass(frozen=True)
class Choice:
    """What was decided about the data; its fields are JSON values.

    Attributes:
        kernel: ``matern``, ``additive`` or ``saas``.
        drift: whether the level wanders.
        uneven: whether the noise differs from place to place.
        wild: names (orders) of rows that are not believed.
        cleared: by name of a row under suspicion, the number of rows with which a trial found nothing.
        decided: number of rows at the last comparison of forms.
        reasons: why, in words.
    """

    kernel: str = "matern"
    drift: bool = False
    uneven: bool = False
    wild: tuple[float, ...] = ()
    cleared: Mapping[str, int] = field(default_factory=dict)
    decided: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def first(cls, spec: Spec, warm: Mapping[str, Any]) -> Choice:
        """What the user fixed, and for the rest what was decided before."""
        known = dict(warm.get("choice", {}))
        known["wild"] = tuple(known.get("wild", ())) if spec.outliers != "none" else ()
        before = cls(**known)
        return replace(
            before,
            kernel=before.kernel if spec.kernel == "auto" else spec.kernel,
            drift=before.drift if spec.drift == "auto" else bool(spec.drift),
            uneven=before.uneven if spec.noise == "auto" else spec.noise == "heteroscedastic",
        )

    def state(self) -> dict[str, Any]:
        """As JSON values; what is as at first is left out."""
        plain = Choice()
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values = {name: value for name, value in values.items() if value != getattr(plain, name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def fit_exact(data: Data, spec: Spec, warm: Mapping[str, Any] | None = None) -> GaussianProcess:
    """The most probable exact process of the kind that ``spec`` asks for."""
    with one_thread(), torch.no_grad():
        return _Fit(data, spec, warm or {}).run()


class _Fit:
    """One fit: the data, what is asked for, and what is known from before."""

    def __init__(self, data: Data, spec: Spec, warm: Mapping[str, Any]) -> None:
        self.data, self.spec, self.warm = data, spec, warm
        self.samples = data.shares_samples if spec.samples == "auto" else bool(spec.samples)
        self.censored = torch.from_numpy(data.censored)
        self.column_sem = torch.from_numpy(data.column_sem) if data.column_sem.any() else None
        self.searched = 0
        self.kept = False
        self.widely = True  # search from more places than the known hyperparameters

    def run(self) -> GaussianProcess:
        choice = Choice.first(self.spec, self.warm)
        choice = replace(choice, wild=tuple(name for name in choice.wild if name in self.data.order))
        n = len(self.data)
        due = n >= FEWEST_TO_DECIDE and not choice.decided <= n < choice.decided * DECIDE_GROWTH
        self.widely = due or n < FEWEST_TO_DECIDE
        if due and n > MOST_TO_DECIDE:
            choice = self.decided_on_part(choice)
        model = self.settle(choice, self.warm.get("theta"), int(self.warm.get("searched", 0)))
        if self.spec.outliers != "none" and not self.kept:  # hyperparameters that are kept find nothing new
            model, choice = self.rehabilitate(model, choice)
            model, choice = self.disbelieve(model, choice)
        if due and n <= MOST_TO_DECIDE:
            model, choice = self.decide(model, choice)
        choice = replace(choice, decided=n if due else choice.decided)
        model.extras = {"searched": self.searched, "choice": choice.state()}
        model.notes = self.notes(choice)
        return model

    def decided_on_part(self, choice: Choice) -> Choice:
        """The form that an even part of many rows is best described with."""
        part = self.data.take(np.linspace(0, len(self.data) - 1, MOST_TO_DECIDE).round().astype(np.intp))
        fit = _Fit(part, self.spec, self.warm)
        model = fit.settle(choice, self.warm.get("theta"))
        if self.spec.outliers != "none":
            model, choice = fit.disbelieve(model, choice)
        return fit.decide(model, choice)[1]

    def settle(self, choice: Choice, known: Any, searched: int = 0) -> GaussianProcess:
        """The process of a form, its rows adjusted and its hyperparameters found in turn.

        Args:
            choice: the form, and the rows that are not believed.
            known: the state of hyperparameters to start from, or ``None``.
            searched: with how many rows they were found, if they may be kept; 0 to find them anew.
        """
        data = self.data
        form = Form.of(data, choice.kernel, samples=self.samples, drift=choice.drift)
        wild = np.isin(data.order, choice.wild)
        scale = Scale.of(data.outcomes[~wild])
        plain = outliers.without(rows_of(data, scale), torch.from_numpy(np.flatnonzero(wild)))
        theta = form.restored(known)
        keep = self.kept = theta is not None and form.is_whole(known) and kept(len(data), searched)
        if keep:
            self.searched = searched
        else:
            self.searched = len(data)
            start = self.with_sites(form, form.start() if theta is None else theta, plain)
            theta = most_probable(form, start, theta, alone=not self.widely)
        assert theta is not None  # noqa: S101  kept or found
        return self.adjusted(choice, form, theta, plain, scale, keep)

    def adjusted(
        self, choice: Choice, form: Form, theta: Tensor, plain: Rows, scale: Scale, keep: bool
    ) -> GaussianProcess:
        """Rows adjusted to hyperparameters, and these to the rows unless they are to be kept."""
        rows, field_ = self.with_sites(form, theta, plain), None
        model = GaussianProcess(form, theta, rows, scale)
        rounds = ROUNDS if self.column_sem is not None or bool(self.censored.any()) else 0
        for _ in range(rounds):
            rows = self.with_sites(form, theta, plain)
            if self.column_sem is not None:
                extra = input_variance(model, self.column_sem, self.data.kinds, self.data.groups)
                rows = replace(rows, stated=rows.stated + extra)
            if not keep:
                theta = most_probable(form, rows, theta, alone=True)
            model = GaussianProcess(form, theta, rows, scale)
        if choice.uneven and len(rows) >= FEWEST:
            field_, rows, _ = noise_field(model, rows)
            if not keep:
                theta = most_probable(form, rows, theta, alone=True)
            model = GaussianProcess(form, theta, rows, scale, noise_field=field_)
        return model

    def with_sites(self, form: Form, theta: Tensor, rows: Rows) -> Rows:
        return with_sites(form, theta, rows, self.censored)

    def rehabilitate(self, model: GaussianProcess, choice: Choice) -> tuple[GaussianProcess, Choice]:
        """Believe again what the other rows now predict."""
        if not choice.wild:
            return model, choice
        index = np.flatnonzero(np.isin(self.data.order, choice.wild))
        belief = model.predict(self.data.columns[index], noise=True)
        off = (self.data.outcomes[index] - belief.mean) / belief.std
        still = tuple(
            float(self.data.order[i]) for i, z in zip(index, off, strict=True) if outliers.gain(z) > 0.7 * self.odds
        )
        if len(still) == len(choice.wild):
            return model, choice
        choice = replace(choice, wild=still)
        return self.settle(choice, model.state()["theta"]), choice

    @property
    def odds(self) -> float:
        return outliers.LOG_ODDS_ROBUST if self.spec.outliers == "robust" else outliers.LOG_ODDS

    def disbelieve(self, model: GaussianProcess, choice: Choice) -> tuple[GaussianProcess, Choice]:
        """Set wild rows aside, as long as the evidence gains more than they are unlikely.

        Of few rows one after the other, hyperparameters found anew with each; of many all at once.
        """
        order, n = self.data.order, len(self.data)
        while True:
            left = model.leave_one_out()
            off = (self.data.outcomes - left.mean) / left.std
            off[(self.data.censored != 0) | np.isin(order, choice.wild) | ~self.doubtful(choice)] = 0.0
            if n > MOST_TO_DECIDE:
                found = [int(i) for i in np.flatnonzero(np.abs(off) > 1.0) if outliers.gain(off[i]) > self.odds]
                found = sorted(found, key=lambda i: -abs(off[i]))[: int(outliers.MOST * n) - len(choice.wild)]
                wilder = (*choice.wild, *(float(order[i]) for i in found))
                if not found or not self.predictable(wilder):
                    return model, choice
                choice = replace(choice, wild=wilder)
                return self.settle(choice, model.state()["theta"]), choice
            tried = outliers.suspects(off, order, choice.wild, choice.cleared)[: MOST_TRIALS if n <= MANY else 1]
            gains = {row: self.trial(model, row) for row in tried}
            best = max(gains, key=lambda row: gains[row], default=None)
            wilder = choice.wild if best is None else (*choice.wild, float(order[best]))
            if best is None or gains[best] <= self.odds or not self.predictable(wilder):
                cleared = {repr(float(order[row])): n for row in tried}
                return model, replace(choice, cleared={**choice.cleared, **cleared})
            choice = replace(choice, wild=wilder)
            model = self.settle(choice, model.state()["theta"])

    def doubtful(self, choice: Choice) -> NDArray[np.bool_]:
        """(n,) rows that may be called wild: all where some are expected, else only absurd ones."""
        y = self.data.outcomes
        if self.spec.outliers == "robust" or len(y) < FEWEST_TO_DOUBT:
            return np.full(len(y), self.spec.outliers == "robust")
        believed = ~np.isin(self.data.order, choice.wild)
        low, high = np.quantile(y[believed], [0.1, 0.9])
        rows = np.flatnonzero(believed & ((y < low) | (y > high)))
        found = np.zeros(len(y), dtype=np.bool_)
        for row in rows:
            others = believed.copy()
            others[row] = False
            found[row] = outliers.absurd(y[row], y[others])
        return found

    def predictable(self, wild: tuple[float, ...]) -> bool:
        """Whether the other rows predict one another, so that it can be said what a row should have been.

        A needle in a haystack looks like a mistake as long as nothing else is known. Where outliers are expected, this
        is not asked.
        """
        if self.spec.outliers == "robust":
            return True
        rest = np.flatnonzero(~np.isin(self.data.order, wild))
        rest = rest[np.linspace(0, len(rest) - 1, min(len(rest), MOST_TO_DECIDE)).round().astype(np.intp)]
        part = self.data.take(rest)
        left = _Fit(part, self.spec, {}).settle(Choice(), None).leave_one_out()
        explained = 1.0 - np.mean((part.outcomes - left.mean) ** 2) / max(float(part.outcomes.var()), 1e-300)
        return bool(explained > PREDICTABLE)

    def trial(self, model: GaussianProcess, row: int) -> float:
        """Log evidence gained by not believing a row, hyperparameters found anew without it."""
        form, rows, others = model.form, model.rows, torch.arange(len(model.rows)) != row
        believed = rows.take(others.nonzero().squeeze(-1))
        theta = most_probable(form, believed, model.theta if len(rows) > FEWEST else None, alone=True)
        rest = GaussianProcess(form, theta, believed, model.scale)
        mean, _ = rest.moments(rows.columns[row : row + 1])
        alone = outliers.own_energy(float(rows.outcomes[row] - mean[0]))
        everything = energy(form, model.theta, rows)
        return everything - energy(form, theta, believed) - alone + 0.5 * float(np.log(2 * np.pi))

    def decide(self, model: GaussianProcess, choice: Choice) -> tuple[GaussianProcess, Choice]:
        """Compare forms that the user left open, one property after the other, by evidence."""
        n, spec = len(self.data), self.spec
        if spec.kernel == "auto" and model.form.count >= MANY_COLUMNS:
            for kernel in ("matern", "saas", "additive"):
                model, choice = self.better(model, choice, replace(choice, kernel=kernel), "kernel")
        if spec.drift == "auto" and n >= FEWEST_FOR_DRIFT:
            model, choice = self.better(model, choice, replace(choice, drift=not choice.drift), "drift")
        if spec.noise == "auto" and n >= FEWEST:
            model, choice = self.even_or_not(model, choice)
        return model, choice

    def better(
        self, model: GaussianProcess, choice: Choice, other: Choice, what: str
    ) -> tuple[GaussianProcess, Choice]:
        """The better of two choices: the present one unless the other is clearly more probable."""
        if other == choice:
            return model, choice
        rival = self.settle(other, model.state()["theta"])
        if what == "kernel" and _left_out_density(rival) <= _left_out_density(model):
            return model, choice
        more = evidence(rival.form, rival.theta, rival.rows) - evidence(model.form, model.theta, model.rows)
        wanted = (MARGIN_DRIFT if other.drift else -MARGIN_DRIFT + MARGIN) if what == "drift" else MARGIN
        if more <= wanted:
            return model, choice
        return rival, replace(other, reasons={**choice.reasons, what: f"log evidence {more:.1f} higher than before"})

    def even_or_not(self, model: GaussianProcess, choice: Choice) -> tuple[GaussianProcess, Choice]:
        """Uneven noise is believed if, predicted for each row from the others, it makes the data more probable."""
        even = self.settle(replace(choice, uneven=False), model.state()["theta"]) if choice.uneven else model
        _, _, predicted = noise_field(even, even.rows)
        theta = most_probable(even.form, predicted, even.theta, alone=True)
        more = energy(even.form, even.theta, even.rows) - energy(even.form, theta, predicted)
        uneven = more > (-MARGIN if choice.uneven else MARGIN)
        reasons = {k: v for k, v in choice.reasons.items() if k != "uneven"}
        if uneven:
            reasons["uneven"] = f"makes the data more probable by {more:.1f} in the logarithm"
        choice = replace(choice, uneven=uneven, reasons=reasons)
        return (even if not uneven else self.settle(choice, even.state()["theta"])), choice

    def notes(self, choice: Choice) -> tuple[str, ...]:
        """What was found, in words."""
        notes = []
        if "kernel" in choice.reasons:
            notes.append(f"kernel chosen: {choice.reasons['kernel']}")
        if choice.drift:
            notes.append(f"drift of the level: {choice.reasons.get('drift', 'asked for')}")
        if choice.uneven:
            notes.append(f"noise differs from place to place: {choice.reasons.get('uneven', 'asked for')}")
        if choice.wild:
            rows = ", ".join(f"{name:g}" for name in choice.wild)
            notes.append(f"{len(choice.wild)} wild value{'s'[: len(choice.wild) > 1]} not believed (order {rows})")
        if self.censored.any():
            notes.append(f"{int((self.censored != 0).sum())} censored values")
        return tuple(notes)


def _left_out_density(model: GaussianProcess) -> float:
    """Log density of the rows, each predicted from all others."""
    left = model.leave_one_out()
    off = (model.scale.restore(model.outcomes.numpy()) - left.mean) / left.std
    return float(-(0.5 * off**2 + np.log(left.std)).sum())
