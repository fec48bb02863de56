"""From a problem to what is believed: every kind of knowledge of the observations reaches the models."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from acquisition import Composition, Continuous, Objective, SearchSpace
from acquisition.beliefs import fit
from acquisition.errors import StrategyError
from acquisition.problem import Observations, Problem
from surrogates import DataError, GaussianProcess

SPACE = SearchSpace([Composition("x", ["Cu", "Ag", "Zn"], stage="preparation"), Continuous("potential", -1.5, -0.5)])


def _problem(n: int = 30, seed: int = 0, **known: object) -> Problem:
    rng = np.random.default_rng(seed)
    points = SPACE.sample(n, rng)
    y = np.sin(4 * points[:, 0]) + points[:, 3] + 0.05 * rng.normal(size=n)
    state = known.pop("state", {})
    values = {"values": {"y": known.pop("y", y)}, "sems": {"y": np.full(n, np.nan)}, "inflation": np.ones(n)}
    observations = Observations(points, **(values | known))
    return Problem(
        space=SPACE,
        objectives=(Objective("y", "maximize"),),
        outcome_constraints=(),
        observations=observations,
        pending=np.empty((0, 4)),
        failed=np.empty((0, 4)),
        taken=points,
        initial=5,
        seed=0,
        ask=1,
        state=state,
    )


def test_options_reach_the_surrogate():
    model = fit(_problem(), {"kernel": "additive", "encoding": "roots"}).models["y"]
    assert isinstance(model.surrogate, GaussianProcess)
    # each component with its root is one part, and the potential another
    assert [len(part) for part in model.surrogate.form.parts] == [2, 2, 2, 1]
    assert "sum over 4 parameters" in model.surrogate.describe()


def test_unknown_options_are_named():
    with pytest.raises(StrategyError) as caught:
        fit(_problem(), {"kernal": "additive"})
    assert caught.value.field == "strategy.options.kernal"
    with pytest.raises(StrategyError, match="no encoding 'ilr'"):
        fit(_problem(), {"encoding": "ilr"})
    with pytest.raises(DataError, match="kernel 'cubic' is not known"):
        fit(_problem(), {"kernel": "cubic"})


def test_samples_have_an_effect_and_a_model_of_their_own():
    rng = np.random.default_rng(0)
    names = tuple(f"e{i // 3}" for i in range(30))
    effects = 2.0 * rng.normal(size=10)
    plain = _problem()
    y = plain.observations.values["y"] + np.repeat(effects, 3)
    model = fit(_problem(y=y, samples=names)).models["y"]
    assert model.surrogate.between > 0.5
    best, worst = f"e{np.argmax(effects)}", f"e{np.argmin(effects)}"
    at = plain.observations.points[:1]
    assert (
        model.on_sample(best).predict(at).mean[0]
        > model.predict(at).mean[0]
        > model.on_sample(worst).predict(at).mean[0]
    )
    assert model.on_sample("not measured yet") is model


def test_limits_and_uncertain_inputs_reach_the_surrogate():
    y = _problem().observations.values["y"]
    low = y < np.quantile(y, 0.3)
    limit = y[low].max()
    told = np.where(low, limit, y)
    censored = fit(_problem(y=told, censored={"y": -low.astype(np.int8)})).models["y"]
    exact = fit(_problem(y=told)).models["y"]
    points = _problem().observations.points[low]
    assert censored.predict(points).mean.mean() < exact.predict(points).mean.mean() - 0.05
    sure, unsure = (
        fit(_problem(point_sems=sems), {"inference": "map"}).models["y"].surrogate
        for sems in (None, np.full((30, 4), 0.05) * [1, 1, 1, 0])
    )
    assert unsure.noise_variance.mean() > sure.noise_variance.mean()


def test_rows_that_are_not_measured_are_left_out_and_keep_their_order():
    y = _problem().observations.values["y"].copy()
    y[[3, 7]] = np.nan
    surrogate = fit(_problem(y=y), {"inference": "map"}).models["y"].surrogate
    assert len(surrogate.rows) == 28
    assert surrogate.rows.order.tolist() == [i for i in range(30) if i not in {3, 7}]


def test_the_state_is_json_and_warm_starts_without_changing_what_was_decided():
    first = fit(_problem())
    state = json.loads(json.dumps({"models": first.state()}))
    second = fit(_problem(state=state))
    assert second.models["y"].surrogate.state()["encoding"] == first.models["y"].surrogate.state()["encoding"]
    at = SPACE.sample(20, np.random.default_rng(5))
    np.testing.assert_allclose(second.models["y"].predict(at).mean, first.models["y"].predict(at).mean, atol=0.02)


def test_moments_are_differentiable_in_native_points():
    model = fit(_problem()).models["y"]
    points = torch.from_numpy(SPACE.sample(3, np.random.default_rng(1))).requires_grad_(True)
    model.moments(points)[0].sum().backward()
    assert torch.isfinite(points.grad).all()
    assert points.grad.abs().sum() > 0


def test_a_pool_is_seen_as_plain_columns():
    table = pd.DataFrame(np.random.default_rng(0).random((20, 2)), columns=["a", "b"])
    assert list(SearchSpace.from_pool(table).encodings) == ["plain"]
