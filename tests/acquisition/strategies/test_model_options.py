"""How a strategy's models are made can be said with each of them."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from acquisition import Continuous, Objective, SearchSpace
from acquisition.errors import StrategyError
from acquisition.strategies import make_strategy, strategy_names
from acquisition.strategies.model_based import ModelBased
from orchestrator import Campaign
from surrogates.mixture import Mixture

from .conftest import SPACES, pose

NEEDED = {"level_set": {"level": 0.0}}
WITH_MODEL = [n for n in strategy_names() if isinstance(make_strategy(n, NEEDED.get(n)), ModelBased)]
OBJECTIVES = {
    "hypervolume": (Objective("y"), Objective("z", "minimize")),
    "target_window": (Objective("y", "target", target=(-0.6, -0.5)),),
}
LINE = SearchSpace([Continuous("a", 0.0, 1.0)])


def _make(name, **model):
    return make_strategy(name, {**NEEDED.get(name, {}), "model": model})


def _problem(name, space="mixture"):
    problem = pose(SPACES[space], 8)
    observed = problem.observations
    values, sems = observed.values["y"], observed.sems["y"]
    two = replace(observed, values={"y": values, "z": values[::-1].copy()}, sems={"y": sems, "z": sems})
    objectives = OBJECTIVES.get(name, problem.objectives)
    return replace(problem, objectives=objectives, observations=two if len(objectives) > 1 else observed)


def test_all_that_learn_take_them():
    assert set(strategy_names()) - {"random", "space_filling", "exhaustive"} <= set(WITH_MODEL)


@pytest.mark.parametrize("name", WITH_MODEL)
def test_they_reach_the_models(name):
    beliefs = _make(name, inference="map", encoding="fractions").fit(_problem(name))
    for model in beliefs.models.values():
        assert not isinstance(model.surrogate, Mixture)
        assert model.encoding is SPACES["mixture"].encodings["fractions"]
    assert isinstance(_make(name).fit(_problem(name)).models["y"].surrogate, Mixture)


@pytest.mark.parametrize("name", ["auto", "trust_region", "saas"])
def test_proposals_are_made_with_them(name):
    problem = _problem(name)
    answer = _make(name, inference="map", encoding="fractions").propose(problem, 1)
    assert answer.state["models"]["y"]["encoding"] == "fractions"
    assert _make(name).propose(problem, 1).state["models"]["y"]["encoding"] == "roots"


def test_kernels_are_kept():
    for name in ("additive", "saas"):
        assert _make(name, inference="map").fit(_problem(name)).options == {"inference": "map", "kernel": name}
        assert _make(name, kernel=name).model == {"kernel": name}


@pytest.mark.parametrize("name", WITH_MODEL)
@pytest.mark.parametrize(
    ("model", "field"),
    [
        ({"inferense": "map"}, "model.inferense"),
        ({"inference": "fast"}, "model.inference"),
        ({"inference": ["map"]}, "model.inference"),
        ({"drift": 1}, "model.drift"),
        ({"encoding": 3}, "model.encoding"),
        ("map", "model"),
    ],
)
def test_wrong_ones_are_refused_at_once(name, model, field):
    with pytest.raises(StrategyError) as caught:
        make_strategy(name, {**NEEDED.get(name, {}), "model": model})
    assert caught.value.field == f"strategy.options.{field}"
    assert caught.value.mend


@pytest.mark.parametrize("name", WITH_MODEL)
def test_an_encoding_that_the_space_does_not_have(name):
    with pytest.raises(StrategyError, match="this space has no encoding 'roots'") as caught:
        _make(name, encoding="roots").propose(_problem(name, "box"), 1)
    assert caught.value.field == "strategy.options.model.encoding"


def test_a_strategy_that_hands_none_on_has_none():
    class Mine(ModelBased):
        def __init__(self):
            pass

        def criterion(self, situation):
            return lambda points: points.sum(1)

    assert "model" not in inspect.signature(Mine).parameters
    assert Mine().propose(_problem("mine"), 1).proposals


def _campaign(strategy):
    campaign = Campaign(LINE, [Objective("y")], strategy=strategy, initial=4)
    for _ in range(8):
        points = campaign.ask(1)
        campaign.tell(points.assign(y=np.sin(5 * points["a"])))
    return campaign


def test_a_campaign_judges_with_the_models_of_its_strategy():
    assert isinstance(_campaign(make_strategy("auto")).models()["y"].surrogate, Mixture)
    assert not isinstance(_campaign(_make("auto", inference="map")).models()["y"].surrogate, Mixture)
    assert _campaign(_make("saas", inference="map")).models()["y"].surrogate.form.saas


def test_a_campaign_judges_by_all_that_is_known_where_its_strategy_looks_near_by(monkeypatch):
    from acquisition.strategies import trust_region

    monkeypatch.setattr(trust_region, "MOST_MODELLED", 5)
    model = _campaign(_make("trust_region", inference="map")).models()["y"]
    assert len(model.surrogate.rows) == 8
