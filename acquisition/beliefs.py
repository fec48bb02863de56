"""What the models believe about a problem: one surrogate a metric, and where experiments are likely to work."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.encoding import Encoding
from acquisition.errors import StrategyError
from acquisition.improvement import feasible, log_probability, utility
from acquisition.problem import Array, Problem
from surrogates.data import OWN_SAMPLE, Data, Spec
from surrogates.errors import DataError
from surrogates.gaussian_process import GaussianProcess
from surrogates.mixture import Mixture
from surrogates.models import choose
from surrogates.surrogate import Belief, Covariance, Draws, Path, Surrogate

AUTO = "auto"
UNIFORM = 12.0**-0.5
"""Of a column of order one of which nothing is known, the standard deviation; no uncertainty counts as larger."""

WORKS = "(works)"
"""Where the state of the model of success stands beside those of the metrics."""

MOST_KNOWN = 128
"""The best value so far is sampled among so many of the most promising measured points."""


@dataclass(frozen=True, eq=False)
class Model:
    """A surrogate with the encoding of its inputs: it takes points in the native form of the space.

    Attributes:
        encoding: native points to columns.
        surrogate: fitted to these columns.
        samples: the surrogate's ids of the electrodes, by name.
    """

    encoding: Encoding
    surrogate: Surrogate
    samples: Mapping[str, int] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """Size of typical differences between outcomes, in their unit."""
        return self.surrogate.scale.width

    def predict(self, points: Array, *, noise: bool = False) -> Belief:
        """Belief about native points (m, c), see :meth:`surrogates.surrogate.Surrogate.predict`."""
        return self.surrogate.predict(self.encoding(points), noise=noise)

    def moments(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (m,) of the noise-free function at native points, in units of the data."""
        mean, variance = self.surrogate.moments(self.encoding(points))
        scale = self.surrogate.scale
        return scale.centre + scale.width * mean, scale.width * variance.sqrt()

    def fantasies(self, points: Array, samples: int, seed: int) -> Fantasy:
        """Joint samples at native points (b, c)."""
        columns = torch.from_numpy(self.encoding(points))
        return Fantasy(self.encoding, self.surrogate.fantasies(columns, samples, seed))

    def path(self, samples: int, seed: int) -> Path:
        """Functions drawn from the posterior, of native points."""
        path = self.surrogate.path(samples, seed)
        return lambda points: path(self.encoding(points))

    def on_sample(self, name: str) -> Model:
        """The same model of measurements on an electrode that exists, as far as something is known of it."""
        surrogate = self.surrogate
        if name not in self.samples or not isinstance(surrogate, GaussianProcess | Mixture):
            return self
        return Model(self.encoding, surrogate.on_sample(self.samples[name]), self.samples)

    def covariance_with(self, points: Array) -> Covariance:
        """Posterior covariance of the noise-free function at native points (k, c) with others; standardised."""
        covariance = self.surrogate.covariance_with(torch.from_numpy(self.encoding(points)))
        return lambda others: covariance(self.encoding(others))


@dataclass(frozen=True, eq=False)
class Fantasy:
    """Joint samples with the encoding of their model; see :class:`surrogates.surrogate.Draws`."""

    encoding: Encoding
    draws: Draws

    @property
    def values(self) -> Tensor:
        """(samples, b), in the units of the data."""
        return self.draws.values

    def given(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (samples, m) and standard deviation at native points (m, c), given each sample."""
        return self.draws.given(self.encoding(points))


Models: TypeAlias = Mapping[str, Model]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed about a problem.

    Attributes:
        problem: as given.
        models: by metric.
        works: model of a quantity that is above zero where experiments work; ``None`` where nothing failed.
        options: how the surrogates were made.
    """

    problem: Problem
    models: Models
    works: Model | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def log_success(self, points: Tensor) -> Tensor:
        """Log of the probability that an experiment works, (m,); never minus infinity, so that nothing is forbidden.

        A Gaussian process whose sign, with noise, decides (probit classification).
        """
        if self.works is None:
            return points.new_zeros(len(points))
        mean, std = self.works.moments(points)
        spread = (std.square() + self.works.surrogate.noise**2).sqrt()
        log: Tensor = torch.special.log_ndtr(mean / spread)
        return log

    def state(self) -> dict[str, Any]:
        """What warm-starts the fits of the next ask."""
        known = self.models if self.works is None else {**self.models, WORKS: self.works}
        return {metric: model.surrogate.state() for metric, model in known.items()}


def fit(problem: Problem, options: Mapping[str, Any] | None = None) -> Beliefs:
    """Fit a surrogate to each metric, from the rows where it was measured, and one to where experiments failed.

    An ask about several samples asks about the very same data in several spaces, which is answered at once.

    Args:
        problem: what is known.
        options: fields of :class:`surrogates.data.Spec`, of which what is left out is left to the data, and
            ``encoding``: a name out of the space's encodings (the usual one if left out), or ``auto``: the most
            probable of them.

    Raises:
        StrategyError: an option that is not known, or a value that it cannot have.
    """
    last: Beliefs | None = getattr(_last, "beliefs", None)
    if last is not None and _same(last, problem, options):
        return replace(last, problem=problem)
    _last.beliefs = beliefs = _fit(problem, options)
    return beliefs


_last = threading.local()
"""The last beliefs of each thread."""


def _same(last: Beliefs, problem: Problem, options: Mapping[str, Any] | None) -> bool:
    """Whether a fit to the problem would be the last one once more: nothing differs but space, batch and costs."""
    was = last.problem
    return (
        was.observations is problem.observations
        and was.failed is problem.failed
        and was.space.encodings is problem.space.encodings
        and was.metrics == problem.metrics
        and last.options == (options or {})
        and (was.state.get("models") or {}) == (problem.state.get("models") or {})
    )


def _fit(problem: Problem, options: Mapping[str, Any] | None) -> Beliefs:
    warm: Mapping[str, Any] = problem.state.get("models") or {}
    spec = spec_of(options)
    if spec.inference == AUTO and problem.space.pool is not None:
        # averages over hyperparameters explore more; in tables that found the first good row later, at four times the
        # cost (`benchmarks/plate_duel.py`), while in continuous spaces they pay
        spec = replace(spec, inference="map")
    encodings = _encodings(problem, (options or {}).get("encoding"))
    columns = {name: encoding(problem.observations.points) for name, encoding in encodings.items()}
    spread = {name: _column_sems(problem, encoding) for name, encoding in encodings.items()}
    samples = {name: i for i, name in enumerate(dict.fromkeys(s for s in problem.observations.samples if s))}
    models = {}
    for metric in problem.metrics:
        data = {
            name: _data(problem, metric, encoding, columns[name], spread[name], samples)
            for name, encoding in encodings.items()
        }
        name, surrogate = choose(data, spec=spec, warm=warm.get(metric))
        models[metric] = Model(encodings[name], surrogate, samples)
    return Beliefs(problem, models, _success(problem, warm.get(WORKS)), options or {})


def spec_of(options: Mapping[str, Any] | None) -> Spec:
    """The kind of surrogate that options ask for.

    Raises:
        StrategyError: an option that is not known, or a value that it cannot have.
    """
    wanted = dict(options or {})
    encoding = wanted.pop("encoding", None)
    if encoding is not None and not isinstance(encoding, str):
        raise StrategyError(
            f"encoding must be a name, not {encoding!r}.",
            field="strategy.options.model.encoding",
            mend=f"Use {AUTO}, or the name of an encoding of the space.",
        )
    unknown = [name for name in wanted if name not in Spec.__dataclass_fields__]
    if unknown:
        raise StrategyError(
            f"{unknown[0]!r} is no option of a model.",
            field=f"strategy.options.model.{unknown[0]}",
            mend=f"Use {', '.join(['encoding', *Spec.__dataclass_fields__])}.",
        )
    try:
        return Spec(**wanted)
    except DataError as problem:
        field = f"strategy.options.model.{problem.field}"
        raise StrategyError(str(problem.args[0]), field=field, mend=problem.mend) from None


def check_encoding(problem: Problem, wanted: str | None) -> None:
    """Refuse an encoding that the space does not have.

    Raises:
        StrategyError: it has no such encoding.
    """
    known = problem.space.encodings
    if wanted is not None and wanted != AUTO and wanted not in known:
        raise StrategyError(
            f"this space has no encoding {wanted!r}.",
            field="strategy.options.model.encoding",
            mend=f"Use {', '.join([AUTO, *known])}.",
        )


def _encodings(problem: Problem, wanted: str | None) -> dict[str, Encoding]:
    """The encodings to choose from, the usual one first.

    Without a word it is the only one: on tables and chemistries the evidence rarely chose another, and then predictions
    were no better, while comparing takes as many fits as there are encodings (`benchmarks/calibration.py`).
    """
    known = problem.space.encodings
    if wanted is None:
        return {known.usual: known[known.usual]}
    if wanted == AUTO:
        return {name: known[name] for name in dict.fromkeys([known.usual, *known])}
    check_encoding(problem, wanted)
    return {wanted: known[wanted]}


def _data(
    problem: Problem,
    metric: str,
    encoding: Encoding,
    columns: Array,
    spread: Array | None,
    samples: Mapping[str, int],
) -> Data:
    """What is known of a metric, as a surrogate sees it."""
    observations = problem.observations
    rows = np.isfinite(observations.values[metric])
    censored = observations.censored.get(metric)
    ids = [OWN_SAMPLE if name is None else samples[name] for name in observations.samples]
    return Data.of(
        columns[rows],
        observations.values[metric][rows],
        sem=observations.sems[metric][rows],
        inflation=observations.inflation[rows],
        censored=None if censored is None else censored[rows],
        column_sem=None if spread is None else spread[rows],
        sample=np.array(ids, dtype=np.intp)[rows] if ids else None,
        order=np.flatnonzero(rows).astype(np.float64),
        kinds=encoding.kinds,
        groups=_groups(encoding),
    )


def _groups(encoding: Encoding) -> list[str]:
    """What each column describes: a component of a composition with its root, else the parameter."""
    roots = {f"sqrt({name})": name for name in encoding.names}
    return [
        roots.get(name, name) if kind in {"fraction", "root_fraction"} else f"parameter {owner}"
        for name, kind, owner in zip(encoding.names, encoding.kinds, encoding.groups, strict=True)
    ]


def _column_sems(problem: Problem, encoding: Encoding) -> Array | None:
    """(n, d) uncertainty of the columns, from that of the native inputs by central differences over one of it."""
    points, sems = problem.observations.points, problem.observations.point_sems
    if sems is None or not sems.any():
        return None
    total = np.zeros((len(points), len(encoding.names)))
    for j in np.flatnonzero(sems.any(axis=0)):
        step = np.zeros_like(points)
        step[:, j] = sems[:, j]
        total = np.hypot(total, encoding(points + step) / 2.0 - encoding(points - step) / 2.0)
    return np.minimum(total, UNIFORM)


def _success(problem: Problem, warm: Mapping[str, Any] | None) -> Model | None:
    """Of each experiment only the sign of a latent quantity is known: above zero it worked, below it failed.

    Probit classification by expectation propagation (Rasmussen & Williams 2006, section 3.6), as values are censored.
    """
    if not len(problem.failed):
        return None
    worked = problem.observations.points
    sides = np.concatenate([np.ones(len(worked)), -np.ones(len(problem.failed))]).astype(np.int8)
    encoding = problem.space.encoding
    columns = encoding(np.vstack([worked, problem.failed]))
    data = Data.of(columns, np.zeros(len(sides)), censored=sides, kinds=encoding.kinds, groups=_groups(encoding))
    plain = Spec(kernel="matern", inference="map", outliers="none", noise="constant", drift=False)
    _, surrogate = choose({problem.space.encodings.usual: data}, spec=plain, warm=warm)
    return Model(encoding, surrogate)


def promising(problem: Problem, models: Models, most: int = MOST_KNOWN) -> Array:
    """Measured points that the best value so far may be at, the best by the model first; (k, c), k at most ``most``.

    Always kept are those that the model's means put on the front of the feasible ones (evenly thinned, if it is very
    long); the rest are the most optimistic about utility and feasibility.
    """
    points = problem.observations.points
    beliefs = {m: model.predict(points) for m, model in models.items()}
    mean = {m: torch.from_numpy(b.mean) for m, b in beliefs.items()}
    std = {m: torch.from_numpy(b.std) for m, b in beliefs.items()}
    utilities = torch.stack([utility(o, mean[o.metric]) / models[o.metric].width for o in problem.objectives], 1)
    hope = utilities + torch.stack([std[o.metric] / models[o.metric].width for o in problem.objectives], 1)
    possible = torch.zeros(len(points), dtype=torch.float64)
    good = torch.ones(len(points), dtype=torch.bool)
    for constraint in problem.outcome_constraints:
        good &= feasible(constraint, mean[constraint.metric])
        possible += log_probability(constraint, mean[constraint.metric], std[constraint.metric])
    order = torch.argsort(-(hope.sum(1) + possible), stable=True).numpy()
    front = _front(utilities.numpy(), good.numpy(), most)
    return points[list(dict.fromkeys([*front, *order]))[:most]]


def _front(utilities: Array, good: NDArray[np.bool_], most: int) -> Sequence[int]:
    """Rows of the non-dominated good points, best first along the first objective, at most half of ``most``."""
    rows = np.flatnonzero(good)
    rivals = utilities[rows]
    kept = [
        int(row) for row in rows if not ((rivals >= utilities[row]).all(1) & (rivals > utilities[row]).any(1)).any()
    ]
    kept.sort(key=lambda row: -utilities[row, 0])
    if len(kept) > most // 2:
        kept = [kept[i] for i in np.unique(np.linspace(0, len(kept) - 1, most // 2).round().astype(int))]
    return kept
