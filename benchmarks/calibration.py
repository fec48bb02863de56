"""How well predictions of new measurements are calibrated: intervals that hold, and the density of what came.

Each problem gives n noisy values to learn from and others to predict: functions and plates drawn by seed, the simulated
chemistries, and measured tables (n random rows, the rest predicted). For each group of problems and each model one line
tells how often the 50 and 90 % intervals held, the mean negative log predictive density (NLPD) and error, both in
standard deviations of the outcomes, and the seconds of a fit without a warm start. ``botorch`` is its ``SingleTaskGP``
as it comes, with standardised outcomes; ``map`` averages over no hyperparameters, ``bayesian`` always does;
``encodings`` chooses between encodings; ``plain`` is the simplest of our models.

    python benchmarks/calibration.py [--seeds 20] [--data FOLDER] [--models auto botorch] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
import pandas as pd
from _duel.functions import BROAD, family
from _duel.pools import MEASURED, drawn
from _duel.statistics import table as markdown

from acquisition import Categorical, Composition, Continuous, Objective, SearchSpace
from acquisition.beliefs import fit
from acquisition.problem import Observations, Problem
from surrogates import one_thread
from surrogates.surrogate import Belief

SIZES = (10, 20, 40, 100)
PREDICTED = 200
HALF, MOST = 0.6744897501960817, 1.6448536269514722
"""Standard deviations within which 50 and 90 % of normal values lie."""

CHEMISTRIES = (
    ("cu_alloys", "fe_c2h4"),
    ("cu_alloys", "j_total"),
    ("gde_conditions", "ee_c2h4"),
    ("tandem", "fe_c2plus"),
)
OPTIONS = {
    "auto": {},
    "map": {"inference": "map"},
    "bayesian": {"inference": "bayesian"},
    "encodings": {"encoding": "auto"},
    "plain": {
        "kernel": "matern",
        "inference": "map",
        "outliers": "none",
        "noise": "constant",
        "drift": False,
    },
}


@dataclass(frozen=True)
class Split:
    """Points (m, c) in the native form of a space with noisy values (m,); the first ``n`` are learned from."""

    group: str
    space: SearchSpace
    points: np.ndarray
    values: np.ndarray
    n: int


def drawn_functions(seeds: int) -> Iterator[Split]:
    for seed in range(seeds):
        for name in BROAD:
            task, rng = family(name, seed), np.random.default_rng([seed, 3])
            n = SIZES[seed % len(SIZES)]
            parts = [f"m{i}" for i in range(task.d)]
            space = SearchSpace([Composition("x", parts)] if task.simplex else [Continuous(p, 0.0, 1.0) for p in parts])
            points = space.sample(n + PREDICTED, rng)
            yield Split("functions", space, points, task.values(points) + task.noise * rng.normal(size=len(points)), n)


def drawn_plates(seeds: int) -> Iterator[Split]:
    for seed in range(seeds):
        for kind in ("mixing", "peaks", "phases"):
            pool, rng = drawn(kind, seed), np.random.default_rng([seed, 4])
            yield from _of_table("plates", _mixture(pool.rows.shape[1]), pool.rows, pool.outcomes, seed, rng)


def chemistries(seeds: int) -> Iterator[Split]:
    from simulators import chemistry

    for name, metric in CHEMISTRIES:
        world = chemistry(name)
        space = SearchSpace([_parameter(dict(block)) for block in world.space["parameters"]])
        for seed in range(max(1, seeds // 2)):
            rng, n = np.random.default_rng([seed, 5]), SIZES[seed % len(SIZES)]
            points = space.sample(n + PREDICTED, rng)
            truth = world.truth(space.to_frame(points))[metric].to_numpy()
            yield Split("chemistries", space, points, truth + 0.05 * truth.std() * rng.normal(size=len(truth)), n)


def tables(seeds: int, folder: Path) -> Iterator[Split]:
    for name, read in MEASURED.items():
        pool = read(folder)
        space = SearchSpace.from_pool(pd.DataFrame(pool.rows, columns=[f"c{j}" for j in range(pool.rows.shape[1])]))
        for seed in range(max(1, seeds // 2)):
            yield from _of_table(name, space, pool.rows, pool.outcomes, seed, np.random.default_rng([seed, 6]))


def _of_table(
    group: str, space: SearchSpace, rows: np.ndarray, values: np.ndarray, seed: int, rng: np.random.Generator
) -> Iterator[Split]:
    n = SIZES[seed % len(SIZES)]
    if n <= len(rows) // 2:
        chosen = rng.permutation(len(rows))[: n + PREDICTED]
        yield Split(group, space, rows[chosen], values[chosen], n)


def _mixture(parts: int) -> SearchSpace:
    return SearchSpace([Composition("x", [f"m{i}" for i in range(parts)])])


def _parameter(block: dict) -> Composition | Continuous | Categorical:
    kind = {"composition": Composition, "continuous": Continuous, "categorical": Categorical}[block.pop("type")]
    return kind(**block)


def ours(options: dict) -> Callable[[Split], Belief]:
    def predict(split: Split) -> Belief:
        n = split.n
        known = Observations(split.points[:n], {"y": split.values[:n]}, {"y": np.full(n, np.nan)}, np.ones(n))
        nothing = np.empty((0, split.points.shape[1]))
        goal = (Objective("y", "maximize"),)
        problem = Problem(split.space, goal, (), known, nothing, nothing, split.points[:n], 5, 0, 1)
        with one_thread():
            return fit(problem, options).models["y"].predict(split.points[n:], noise=True)

    return predict


def botorch(split: Split) -> Belief:
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    columns = torch.from_numpy(split.space.encoding(split.points))
    values = torch.from_numpy(split.values)[:, None]
    low, high = columns[: split.n].amin(0), columns[: split.n].amax(0)
    columns = (columns - low) / (high - low).clamp_min(1e-9)
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        model = SingleTaskGP(columns[: split.n], values[: split.n], outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            posterior = model.posterior(columns[split.n :], observation_noise=True)
    return Belief(posterior.mean.detach().numpy()[:, 0], posterior.variance.detach().sqrt().numpy()[:, 0])


def judged(split: Split, predict: Callable[[Split], Belief]) -> dict[str, float]:
    began = time.process_time()
    belief = predict(split)
    seconds, truth = time.process_time() - began, split.values[split.n :]
    z, scale = (truth - belief.mean) / belief.std, split.values.std()
    density = 0.5 * z**2 + np.log(belief.std / scale) + 0.5 * math.log(2 * math.pi)
    return {
        "within_50": float(np.mean(np.abs(z) < HALF)),
        "within_90": float(np.mean(np.abs(z) < MOST)),
        "nlpd": float(density.mean()),
        "rmse": float(np.sqrt(np.mean((truth - belief.mean) ** 2)) / scale),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, help="the folder of measured tables")
    parser.add_argument("--models", nargs="+", default=["auto", "botorch"], choices=[*OPTIONS, "botorch"])
    parser.add_argument("--out", type=Path, help="one JSON line a problem and model")
    given = parser.parse_args()
    models = {name: botorch if name == "botorch" else ours(OPTIONS[name]) for name in given.models}
    sources = [drawn_functions(given.seeds), drawn_plates(given.seeds), chemistries(given.seeds)]
    if given.data:
        sources.append(tables(given.seeds, given.data))
    lines = []
    for source in sources:
        for split in source:
            for name, predict in models.items():
                lines.append({"group": split.group, "n": split.n, "model": name, **judged(split, predict)})
                if given.out:
                    with given.out.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    results = pd.DataFrame(lines)
    for by in ("group", "n"):
        means = results.drop(columns="n" if by == "group" else "group").groupby([by, "model"], sort=False).mean()
        print(markdown(means.round(3).reset_index().to_dict("records")) + "\n")
    for name, held in results.groupby(["model", "group"])["within_90"].mean().groupby("model", sort=False):
        print(f"{name}: 90 % intervals held in {held.min():.1%} to {held.max():.1%} of a group's new values")


if __name__ == "__main__":
    main()
