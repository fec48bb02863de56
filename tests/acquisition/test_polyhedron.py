"""Bounds and linear rows as optimisers need them."""

import numpy as np
import pandas as pd

from acquisition import Categorical, Composition, Continuous, Discrete, Integer, LinearConstraint, SearchSpace


def rng(seed=0):
    return np.random.default_rng(seed)


def mixed():
    return SearchSpace(
        [
            Composition("x", ["Cu", "Ag", "Zn"], max_components=2, bounds={"Zn": (0.0, 0.3)}),
            Continuous("p", -1.0, 1.0),
            Integer("n", 0, 5),
            Discrete("T", [20.0, 40.0]),
            Categorical("salt", ["a", "b"]),
        ],
        [LinearConstraint({"p": 2.0}, upper=1.0), LinearConstraint({"x_Cu": 1.0, "p": 1.0}, lower=0.0)],
    )


def test_bounds_are_tightened_and_rows_hold_for_all_points():
    space = mixed()
    box = space.polyhedron()
    assert np.array_equal(box.low, [0, 0, 0, -1, 0, 20, 0])
    assert np.array_equal(box.high, [1, 1, 0.3, 0.5, 5, 40, 1])
    assert box.movable.tolist() == [True, True, True, True, False, False, False]
    assert box.fractions.tolist() == [True, True, True, False, False, False, False]
    assert np.array_equal(box.matrix[0], [1, 1, 1, 0, 0, 0, 0])
    assert np.array_equal(box.matrix[-1], [1, 0, 0, 1, 0, 0, 0])
    x = space.sample(200, rng())
    value = x @ box.matrix.T
    assert (value >= box.lower - 1e-9).all()
    assert (value <= box.upper + 1e-9).all()


def test_what_keeps_within_the_bounds_around_a_point_and_the_rows_is_feasible():
    space = mixed()
    box = space.polyhedron()
    x = space.sample(200, rng())
    low, high = box.around(x)
    assert (low <= x).all()
    assert (x <= high).all()
    assert np.array_equal(low[:, 4:], x[:, 4:])
    absent = x[:, :3] == 0
    assert (high[:, :3][absent] == 0).all()
    moved = x.copy()
    # the two that are present exchange as much as the bounds allow, p takes its upper end
    for row in range(len(x)):
        first, second = np.flatnonzero(x[row, :3] > 0)[:2]
        amount = min(high[row, first] - x[row, first], x[row, second] - low[row, second])
        moved[row, first] += amount
        moved[row, second] -= amount
        moved[row, 3] = high[row, 3]
    rows = moved @ box.matrix.T
    holds = ((rows >= box.lower - 1e-9) & (rows <= box.upper + 1e-9)).all(axis=1)
    assert holds.sum() > 100
    assert space.contains(moved[holds]).all()
    assert not space.contains(moved[~holds]).any()


def test_nothing_moves_in_pools_and_on_grids():
    pool = SearchSpace.from_pool(pd.DataFrame({"x_a": [0.2, 0.5], "x_b": [0.8, 0.5], "p": [1.0, 2.0]}))
    assert not pool.polyhedron().movable.any()
    grid = SearchSpace([Composition("x", ["a", "b", "c"], step=0.1), Integer("n", 0, 3)])
    assert not grid.polyhedron().movable.any()
    fixed = SearchSpace([Composition("x", ["a", "b", "c"], bounds={"a": (0.2, 0.2)}), Continuous("p", 0, 1)])
    assert fixed.polyhedron().movable.tolist() == [False, True, True, True]
