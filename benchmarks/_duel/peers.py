"""Strategies of other packages, each as its own documentation has it. Runs in their environment, without ours.

``python peers.py NAME`` reads JSON lines and answers each with one: ``begin`` (a question, see ``players.py``, and a
seed), ``ask``, ``tell``, ``best``. Seconds are those of the ask and of the tells since the last one.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from typing import Any

import numpy as np


def columns_of(question: dict[str, Any]) -> list[str]:
    """Names of the columns: those of a composition are its fractions."""
    names = []
    for p in question["parameters"]:
        names += [f"{p['name']}_{c}" for c in p["components"]] if p["type"] == "composition" else [p["name"]]
    return names


class Ax:
    """``ax.api.client.Client`` with its defaults; the last fraction of a composition is what the others leave."""

    def __init__(self, question: dict[str, Any], seed: int) -> None:
        from ax.api.client import Client
        from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

        self.client, parameters, limits, self.rest = Client(random_seed=seed), [], [], {}
        for p in question["parameters"]:
            if p["type"] == "composition":
                *free, last = [f"{p['name']}_{c}" for c in p["components"]]
                parameters += [RangeParameterConfig(name=n, bounds=(0.0, 1.0), parameter_type="float") for n in free]
                limits.append(" + ".join(free) + " <= 1")
                self.rest[last] = free
            elif p["type"] == "categorical":
                config = ChoiceParameterConfig(
                    name=p["name"], values=list(p["values"]), parameter_type="str", is_ordered=False
                )
                parameters.append(config)
            else:
                scaling = "log" if p.get("log") else None
                bounds = (float(p["low"]), float(p["high"]))
                parameters.append(
                    RangeParameterConfig(name=p["name"], bounds=bounds, parameter_type="float", scaling=scaling)
                )
        self.client.configure_experiment(parameters=parameters, parameter_constraints=limits or None)
        objective = ", ".join(metric if goal == "maximize" else f"-{metric}" for metric, goal in question["objectives"])
        bounds_on = [f"{metric} <= {upper}" for metric, upper in question.get("constraints", {}).items()]
        self.client.configure_optimization(objective=objective, outcome_constraints=bounds_on or None)

    def ask(self) -> dict[str, Any]:
        ((self.trial, parameters),) = self.client.get_next_trials(1).items()
        return self._whole(parameters)

    def tell(self, point: Any, values: dict[str, float]) -> None:
        self.client.complete_trial(self.trial, raw_data=values)

    def best(self) -> dict[str, Any]:
        return self._whole(self.client.get_best_parameterization(use_model_predictions=True)[0])

    def _whole(self, parameters: Any) -> dict[str, Any]:
        point = dict(parameters)
        for last, free in self.rest.items():
            point[last] = max(0.0, 1.0 - sum(point[name] for name in free))
        return point


class BaybeContinuous:
    """``baybe.Campaign`` with its defaults. It recommends nothing of its own: the best posterior mean measured."""

    def __init__(self, question: dict[str, Any], seed: int) -> None:
        from baybe import Campaign
        from baybe.constraints import ContinuousLinearConstraint
        from baybe.parameters import NumericalContinuousParameter
        from baybe.searchspace import SearchSpace
        from baybe.targets import NumericalTarget
        from baybe.utils.random import set_random_seed

        set_random_seed(seed)
        self.names, limits, parameters = columns_of(question), [], []
        for p in question["parameters"]:
            mine = columns_of({"parameters": [p]})
            bounds = (0.0, 1.0) if p["type"] == "composition" else (p["low"], p["high"])
            parameters += [NumericalContinuousParameter(name, bounds) for name in mine]
            if p["type"] == "composition":
                limits.append(ContinuousLinearConstraint(mine, "=", [1.0] * len(mine), 1.0))
        ((self.metric, goal),) = question["objectives"]
        target = NumericalTarget(self.metric, minimize=goal == "minimize")
        self.sign = -1.0 if goal == "minimize" else 1.0
        self.campaign = Campaign(SearchSpace.from_product(parameters, limits), target.to_objective())

    def ask(self) -> dict[str, float]:
        self.row = self.campaign.recommend(1)
        return {name: float(self.row[name].iloc[0]) for name in self.names}

    def tell(self, point: Any, values: dict[str, float]) -> None:
        self.campaign.add_measurements(self.row.assign(**values))

    def best(self) -> dict[str, float]:
        measured = self.campaign.measurements[self.names]
        means = self.sign * self.campaign.posterior_stats(measured, ["mean"])[f"{self.metric}_mean"]
        return {name: float(v) for name, v in measured.iloc[int(np.argmax(means))].items()}


class BaybePool:
    """BayBE's default recommender on the rows that are left."""

    def __init__(self, question: dict[str, Any], seed: int) -> None:
        import pandas as pd
        from baybe.objectives import SingleTargetObjective
        from baybe.recommenders import BotorchRecommender
        from baybe.targets import NumericalTarget
        from baybe.utils.random import set_random_seed

        set_random_seed(seed)
        ((metric, goal),) = question["objectives"]
        rows = np.array(question["pool"])
        self.names = [f"c{i}" for i in range(rows.shape[1])]
        self.frame, self.metric = pd.DataFrame(rows, columns=self.names), metric
        self.objective = SingleTargetObjective(NumericalTarget(metric, minimize=goal == "minimize"))
        self.recommender = BotorchRecommender()
        self.rows = {tuple(np.round(row, 6)): i for i, row in enumerate(rows)}
        self.done: dict[int, float] = {}

    def ask(self) -> int:
        from baybe.searchspace import SearchSpace, SubspaceDiscrete

        measured = self.frame.iloc[list(self.done)].assign(**{self.metric: list(self.done.values())})
        left = self.frame.drop(index=list(self.done))
        space = SearchSpace(discrete=SubspaceDiscrete.from_dataframe(left))
        row = self.recommender.recommend(1, space, self.objective, measured)
        return self.rows[tuple(np.round(row[self.names].to_numpy()[0].astype(float), 6))]

    def tell(self, point: int, values: dict[str, float]) -> None:
        self.done[point] = values[self.metric]

    def best(self) -> None:
        return None


def baybe(question: dict[str, Any], seed: int) -> Any:
    """BayBE, of pools or of continuous parameters."""
    return (BaybePool if "pool" in question else BaybeContinuous)(question, seed)


class Optuna:
    """A study with one of its samplers; a composition comes from exponential variables, since it knows no sums."""

    def __init__(self, question: dict[str, Any], seed: int, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        ((self.metric, goal),) = question["objectives"]
        self.study = optuna.create_study(direction=goal, sampler=getattr(optuna.samplers, sampler)(seed=seed))
        self.parameters = question["parameters"]

    def ask(self) -> dict[str, Any]:
        self.trial = self.study.ask()
        return self._point(self.trial)

    def _point(self, trial: Any) -> dict[str, Any]:
        point: dict[str, Any] = {}
        for p in self.parameters:
            if p["type"] == "composition":
                names = columns_of({"parameters": [p]})
                draws = -np.log([min(max(trial.suggest_float(n, 0.0, 1.0), 1e-9), 1.0) for n in names])
                point |= dict(zip(names, (draws / draws.sum()).tolist(), strict=True))
            elif p["type"] == "categorical":
                point[p["name"]] = trial.suggest_categorical(p["name"], list(p["values"]))
            else:
                point[p["name"]] = trial.suggest_float(p["name"], p["low"], p["high"], log=bool(p.get("log")))
        return point

    def tell(self, point: Any, values: dict[str, float]) -> None:
        self.study.tell(self.trial, values[self.metric])

    def best(self) -> dict[str, Any]:
        import optuna

        return self._point(optuna.trial.FixedTrial(self.study.best_params))


def optuna_tpe(question: dict[str, Any], seed: int) -> Optuna:
    """Optuna's default, the tree-structured Parzen estimator."""
    return Optuna(question, seed, "TPESampler")


def optuna_gp(question: dict[str, Any], seed: int) -> Optuna:
    """Optuna's Gaussian process."""
    return Optuna(question, seed, "GPSampler")


class Pool:
    """What the peers below share: rows, what was measured of them (to be maximised), what is left."""

    def __init__(self, question: dict[str, Any], seed: int) -> None:
        ((self.metric, goal),) = question["objectives"]
        self.sign = -1.0 if goal == "minimize" else 1.0
        self.X, self.seed = np.array(question["pool"], dtype=float), seed
        self.done: dict[int, float] = {}

    def tell(self, point: int, values: dict[str, float]) -> None:
        self.done[point] = self.sign * values[self.metric]

    def best(self) -> None:
        return None

    @property
    def measured(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, d) and (n,)."""
        return self.X[list(self.done)], np.array(list(self.done.values()))

    @property
    def left(self) -> np.ndarray:
        """Rows not measured yet."""
        return np.setdiff1d(np.arange(len(self.X)), list(self.done))


class Physbo(Pool):
    """PHYSBO with expected improvement and exact inference."""

    def ask(self) -> int:
        import physbo

        policy = physbo.search.discrete.policy(test_X=self.X)
        policy.set_seed(self.seed * 1000 + len(self.done))
        policy.write(np.array(list(self.done)), self.measured[1])
        search = {"max_num_probes": 1, "simulator": None, "interval": 0, "num_rand_basis": 0}
        return int(policy.bayes_search(score="EI", **search)[0])


class Botorch(Pool):
    """BoTorch's default model and log expected improvement."""

    def __init__(self, question: dict[str, Any], seed: int) -> None:
        import torch

        super().__init__(question, seed)
        torch.manual_seed(seed)

    def ask(self) -> int:
        import torch
        from botorch.acquisition import LogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Normalize, Standardize
        from gpytorch.mlls import ExactMarginalLogLikelihood

        X, y = (torch.tensor(each, dtype=torch.double) for each in self.measured)
        scaling = {"input_transform": Normalize(X.shape[1]), "outcome_transform": Standardize(1)}
        model = SingleTaskGP(X, y.unsqueeze(-1), **scaling)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            gain = LogExpectedImprovement(model, best_f=y.max())(torch.tensor(self.X[self.left]).unsqueeze(1))
        return int(self.left[int(gain.argmax())])


class Forest(Pool):
    """A random forest and an upper confidence bound of its trees."""

    def ask(self) -> int:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(100, random_state=self.seed, n_jobs=1).fit(*self.measured)
        trees = np.stack([tree.predict(self.X[self.left]) for tree in forest.estimators_])
        return int(self.left[int((trees.mean(0) + 2.0 * trees.std(0)).argmax())])


PEERS = {
    "ax": Ax,
    "baybe": baybe,
    "botorch": Botorch,
    "optuna_gp": optuna_gp,
    "optuna_tpe": optuna_tpe,
    "physbo": Physbo,
    "random_forest": Forest,
}


def main(name: str) -> None:
    """Answer lines of the standard input until it ends."""
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever packages print is no answer
    import torch

    torch.set_num_threads(1)
    peer: Any = None
    seconds = 0.0
    for line in sys.stdin:
        message = json.loads(line)
        began, answer = time.perf_counter(), {}
        if message["do"] == "begin":
            peer = PEERS[name](message["question"], message["seed"])
        elif message["do"] == "tell":
            peer.tell(message["point"], message["values"])
            seconds += time.perf_counter() - began
        elif message["do"] == "ask":
            point = peer.ask()
            answer, seconds = {"point": point, "seconds": seconds + time.perf_counter() - began}, 0.0
        else:
            answer = {"point": peer.best()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
