"""What experiments and changes cost: prices, cells, samples, and costs that do not fit a space."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Categorical, Composition, Continuous, Discrete, Integer, Objective, ObjectiveError, SearchSpace
from acquisition.costs import LEAST, Costs, check_costs, cost, in_place, log_cost
from acquisition.problem import Observations, OpenSample, Problem

SPACE = SearchSpace(
    [
        Composition("x", ["Cu", "Ag"], stage="preparation"),
        Continuous("loading", 0.1, 1.0, stage="preparation"),
        Continuous("potential", -1.5, -0.5),
        Continuous("rate", 1e-6, 1.0, log=True),
        Categorical("cation", ["Li", "Na", "K"]),
    ]
)
#          Cu   Ag   loading potential rate cation
BASE = np.array([0.5, 0.5, 0.5, -1.0, 1e-3, 0.0])


def point(**changes):
    out = BASE.copy()
    for name, value in changes.items():
        out[SPACE.columns.index(name)] = value
    return out


def problem(costs, current=(), **changes):
    nothing = np.empty((0, len(SPACE.columns)))
    return Problem(
        space=SPACE,
        objectives=(Objective("y"),),
        outcome_constraints=(),
        observations=Observations(nothing, {"y": np.empty(0)}, {"y": np.empty(0)}, np.empty(0)),
        pending=nothing,
        failed=nothing,
        taken=nothing,
        initial=1,
        seed=0,
        ask=1,
        costs=costs,
        current=np.array(current) if len(current) else None,
        **changes,
    )


def of(asked, *points, chosen=None):
    return cost(asked, torch.from_numpy(np.stack(points)), chosen).numpy()


def test_without_costs_all_experiments_cost_the_same():
    np.testing.assert_array_equal(of(problem(None), BASE, point(cation=2)), [1, 1])
    assert (log_cost(problem(None), torch.from_numpy(BASE[None])) == 0).all()


def test_an_experiment_on_a_new_sample_costs_both():
    np.testing.assert_allclose(of(problem(Costs(experiment=40, preparation=60)), BASE), [100])


def test_a_change_costs_where_the_setting_differs():
    asked = problem(Costs(experiment=40, change={"cation": 20, "x": 5}), [BASE])
    costs = of(asked, BASE, point(cation=1), point(cation=2, x_Cu=0.6, x_Ag=0.4), point(potential=-0.7))
    np.testing.assert_allclose(costs, [40, 60, 65, 40])


def test_a_change_counts_from_the_cell_where_it_costs_least():
    asked = problem(Costs(experiment=1, change={"cation": 20, "potential": 3}), [BASE, point(cation=1, potential=-0.7)])
    costs = of(asked, point(cation=1), point(cation=1, potential=-0.7), point(cation=2))
    np.testing.assert_allclose(costs, [1 + 3, 1, 1 + 20])


def test_nothing_in_place_costs_no_change():
    np.testing.assert_allclose(of(problem(Costs(experiment=2, change={"cation": 20})), BASE), [2])


def test_settings_equal_to_rounding_are_in_place_also_on_a_log_scale():
    asked = problem(Costs(experiment=1, change={"rate": 9, "potential": 5}), [point(rate=1e-5)])
    costs = of(asked, point(rate=1.2e-5), point(rate=1e-5 * (1 + 1e-9), potential=-1 + 1e-9))
    np.testing.assert_allclose(costs, [10, 1])


def test_a_batch_takes_the_cells_one_after_the_other():
    """Two cells, one with each cation: the second experiment of a batch finds only the other cell."""
    asked = problem(Costs(experiment=1, change={"cation": 20}), [point(cation=0), point(cation=1)])
    chosen = np.stack([point(cation=1, potential=-0.6)])
    np.testing.assert_allclose(of(asked, point(cation=0), point(cation=1), chosen=chosen), [1, 21])
    # both cells are taken: the third experiment finds them as the first two leave them, one with cation 1, one with 2
    chosen = np.stack([point(cation=1), point(cation=2)])
    np.testing.assert_allclose(of(asked, *(point(cation=k) for k in range(3)), chosen=chosen), [21, 1, 1])


def test_an_open_sample_costs_no_preparation():
    asked = problem(
        Costs(experiment=40, preparation=60, change={"x": 7, "cation": 20}, slope={"loading": 10}),
        [point(x_Cu=0.9, x_Ag=0.1)],
        conditions_per_sample="auto",
        open_samples=(OpenSample("s1", point(cation=2), used=1),),
    )
    costs = of(asked, point(potential=-0.6, cation=1), point(loading=0.6))
    # on the sample: the condition alone, its composition is not set again; beside it: all
    np.testing.assert_allclose(costs, [40 + 20, 40 + 60 + 7 + 0.6 * 10])


def test_samples_are_not_shared_where_each_experiment_has_its_own():
    asked = problem(Costs(experiment=1, preparation=5), open_samples=(OpenSample("s1", BASE, used=1),))
    np.testing.assert_allclose(of(asked, BASE), [6])


def test_a_slope_has_a_gradient():
    asked = problem(Costs(experiment=3, slope={"potential": -2.0, "x_Ag": 10.0}))
    points = torch.from_numpy(BASE[None].copy()).requires_grad_()
    total = cost(asked, points)
    assert total.item() == pytest.approx(3 + 2 + 5)
    total.sum().backward()
    np.testing.assert_allclose(points.grad[0].numpy(), [0, 10, 0, -2, 0, 0])


def test_no_experiment_is_free():
    asked = problem(
        Costs(experiment=0, preparation=50),
        conditions_per_sample="auto",
        open_samples=(OpenSample("s1", BASE, used=1),),
    )
    np.testing.assert_allclose(of(asked, BASE, point(loading=0.2)), [50 * LEAST, 50])
    assert torch.isfinite(log_cost(asked, torch.from_numpy(BASE[None]))).all()


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_costs_are_within_what_they_can_be(seed, cells, batch):
    generator = np.random.default_rng(seed)
    current = SPACE.sample(cells, generator)
    costs = Costs(experiment=2, preparation=3, change={"cation": 20, "potential": 4}, slope={"loading": 1})
    points = SPACE.sample(20, generator)
    chosen = SPACE.sample(batch, generator)
    found = of(problem(costs, current), *points, *current, chosen=chosen)
    assert ((found >= 5) & (found <= 5 + 24 + 1)).all()
    alone = of(problem(costs, current[:1]), *points)
    assert (of(problem(costs, current), *points) <= alone + 1e-12).all()  # more cells never cost more


def test_variants_keep_what_is_in_place():
    asked = problem(Costs(experiment=1, change={"potential": 5, "cation": 5}), [point(potential=-0.81, cation=2)])
    points = SPACE.sample(6, np.random.default_rng(0))
    variants = in_place(asked, points)
    np.testing.assert_allclose(of(asked, *variants), np.ones(6))
    np.testing.assert_array_equal(variants[:, :3], points[:, :3])
    assert not len(in_place(problem(Costs()), points))


@pytest.mark.parametrize(
    ("costs", "field", "says"),
    [
        (Costs(change={"katoin": 20}), "change.katoin", "Did you mean 'cation'"),
        (Costs(change={"x_Cu": 20}), "change.x_Cu", "Give it for 'x'"),
        (Costs(slope={"cation": 2}), "slope.cation", "no numeric column"),
        (Costs(slope={"x": 2}), "slope.x", "no numeric column"),
        (Costs(experiment=1, slope={"potential": 2}), "slope", "as little as -2"),
        (Costs(experiment=1, slope={"x_Cu": -1}), "slope", "as little as 0"),
    ],
)
def test_costs_that_do_not_fit_are_refused(costs, field, says):
    with pytest.raises(ObjectiveError, match=says) as caught:
        check_costs(costs, SPACE)
    assert caught.value.field == field


def test_costs_that_fit():
    check_costs(
        Costs(experiment=2, change={"x": 5, "cation": 1}, slope={"potential": 1, "x_Ag": -0.4, "loading": 3}), SPACE
    )
    others = SearchSpace([Integer("n", 1, 5), Discrete("t", [10.0, 25.0, 60.0])])
    check_costs(Costs(change={"n": 1}, slope={"t": 0.1}), others)
    pool = SearchSpace.from_pool(pd.DataFrame({"a": [1.0, 2.0], "same": [3.0, 3.0], "kind": ["p", "q"]}))
    check_costs(Costs(change={"a": 1, "same": 1, "kind": 1}, slope={"same": 1}), pool)
