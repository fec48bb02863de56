from __future__ import annotations

import pandas as pd
import pytest

from simulators import CHEMISTRIES, chemistry
from simulators.constants import FIGURES
from simulators.optimum import searched, stored


@pytest.mark.parametrize("world", ["nominal", "null"])
@pytest.mark.parametrize("name", sorted(CHEMISTRIES))
def test_kept_optima_are_those_of_the_model_as_it_is(name: str, world: str) -> None:
    """After a change of the physics: ``python benchmarks/optima.py --write``."""
    virtual, kept = chemistry(name, world=world), stored(name, world)
    assert set(kept) == set(FIGURES)
    rows = [(metric, goal) for metric in FIGURES for goal in ("maximize", "minimize")]
    truth = virtual.truth(pd.DataFrame([kept[metric][goal]["parameters"] for metric, goal in rows]))
    for place, (metric, goal) in enumerate(rows):
        value = kept[metric][goal]["value"]
        assert truth[metric].iloc[place] == pytest.approx(value, rel=1e-6, abs=1e-9), (metric, goal)


@pytest.mark.parametrize("name", ["cu_alloys", "gde_alloys", "tandem", "gde_conditions"])
def test_searching_again_finds_no_better_point(name: str) -> None:
    target = CHEMISTRIES[name].target
    kept = stored(name, "nominal")[target]["maximize"]
    _, value = searched(name, "nominal", 0, target, "maximize")
    assert value == pytest.approx(kept["value"], rel=1e-4)


@pytest.mark.parametrize("name", ["cu_alloys", "gde_alloys", "tandem", "electrolyte_cations"])
def test_optima_are_mixtures_and_pure_without_synergy(name: str) -> None:
    target = CHEMISTRIES[name].target
    best, none = (chemistry(name, world=world).optimum(target) for world in ("nominal", "null"))
    shares = [v for k, v in best["parameters"].items() if k.startswith("x_")]
    pure = [v for k, v in none["parameters"].items() if k.startswith("x_")]
    assert max(shares) < 0.97
    assert max(pure) > 0.99
    assert best["value"] > 1.05 * none["value"]


def test_a_shifted_world_is_searched_once() -> None:
    virtual = chemistry("tandem", world="shifted", seed=11)
    first = virtual.optimum("j_c2plus")
    hits = searched.cache_info().hits
    assert virtual.optimum("j_c2plus") == first
    assert searched.cache_info().hits == hits + 1
    assert virtual.truth(pd.DataFrame([first["parameters"]]))["j_c2plus"].iloc[0] == pytest.approx(first["value"])
