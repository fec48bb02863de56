"""From a problem to what is believed: every kind of knowledge of the observations reaches the models."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from acquisition import Composition, Continuous, Objective, SearchSpace
from acquisition.beliefs import fit
from acquisition.errors import StrategyError
from acquisition.problem import Observations, Problem
from surrogates import GaussianProcess

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
    assert caught.value.field == "strategy.options.model.kernal"
    with pytest.raises(StrategyError, match="no encoding 'ilr'"):
        fit(_problem(), {"encoding": "ilr"})
    with pytest.raises(StrategyError, match="kernel 'cubic' is not known"):
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


@pytest.mark.parametrize("sem", [1e200, 1e308])
def test_inputs_of_which_nothing_is_known_do_not_overflow(sem):
    problem = _problem(point_sems=np.full((30, 4), sem) * [1, 1, 1, 0])
    belief = fit(problem).models["y"].predict(problem.observations.points)
    assert np.isfinite(belief.mean).all()
    assert np.isfinite(belief.std).all()


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


def _worked_below(limit: float, n: int = 60) -> Problem:
    """Experiments that fail where there is more copper than a limit."""
    problem = _problem(n)
    points = problem.observations.points
    lost = points[:, 0] > limit
    kept = int((~lost).sum())
    observations = Observations(
        points[~lost], {"y": np.zeros(kept) + points[~lost, 3]}, {"y": np.full(kept, np.nan)}, np.ones(kept)
    )
    return replace(problem, observations=observations, failed=points[lost])


def test_probabilities_of_success_follow_where_experiments_failed():
    with torch.no_grad():
        beliefs = fit(_worked_below(0.5))
        at = torch.tensor([[0.1, 0.4, 0.5, -1.0], [0.5, 0.2, 0.3, -1.0], [0.9, 0.05, 0.05, -1.0]], dtype=torch.float64)
        safe, rim, lost = beliefs.log_success(at).exp().tolist()
    assert safe > 0.9
    assert 0.2 < rim < 0.9
    assert 0.0 < lost < 0.2


def test_probabilities_of_success_are_calibrated():
    """Of new points, as many work as the probabilities say; they say much more than the share that works does."""
    new = SPACE.sample(2000, np.random.default_rng(5))
    works = new[:, 0] <= 0.4
    with torch.no_grad():
        said = fit(_worked_below(0.4)).log_success(torch.from_numpy(new)).exp().numpy()
    assert said.mean() == pytest.approx(works.mean(), abs=0.07)
    assert np.square(said - works).mean() < 0.35 * works.mean() * (1.0 - works.mean())


def test_the_model_of_success_is_warm_started():
    problem = _worked_below(0.5)
    with torch.no_grad():
        state = fit(problem).state()
        again = fit(replace(problem, ask=2, state={"models": json.loads(json.dumps(state))})).state()
    assert set(state) == {"y", "(works)"}
    for kind, values in state["(works)"]["theta"].items():
        assert again["(works)"]["theta"][kind] == pytest.approx(values, abs=0.3)


def test_the_less_is_known_of_an_input_the_less_is_known_of_the_outcome():
    """However large an uncertainty is told: beyond the range of the parameter nothing is left to lose."""
    points = np.stack([*np.full((3, 14), 1 / 3), np.linspace(-1.5, -0.5, 14)], axis=1)
    y = np.sin(5.0 * points[:, 3])
    plain = replace(_problem(14), observations=Observations(points, {"y": y}, {"y": np.full(14, np.nan)}, np.ones(14)))
    stds = []
    for sem in (0.0, 0.05, 0.3, 3.0, 1e6):
        sems = np.zeros_like(points)
        sems[:, 3] = sem
        observations = replace(plain.observations, point_sems=sems)
        with torch.no_grad():
            model = fit(replace(plain, observations=observations)).models["y"]
        stds.append(float(model.predict(points[[6]]).std[0]))
    assert stds[0] < stds[1] < stds[2]
    assert stds[2] * 0.8 < stds[3] == pytest.approx(stds[4])
