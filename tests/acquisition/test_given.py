"""Spaces in which some columns have their values: conditions on a sample that exists, settings that a batch shares."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition import (
    Categorical,
    Composition,
    Continuous,
    Discrete,
    InfeasibleSpaceError,
    Integer,
    LinearConstraint,
    SearchSpace,
    SpaceError,
)
from tests.acquisition.test_space import spaces


def rng(seed=0):
    return np.random.default_rng(seed)


def electrodes(*constraints, **options):
    return SearchSpace(
        [
            Composition("x", ["Cu", "Ag", "Zn", "Al"], max_components=3, stage="preparation", **options),
            Continuous("potential", -1.5, -0.5, unit="V vs RHE"),
            Integer("pulses", 0, 9),
            Categorical("cation", ["Li", "Na", "K", "Cs"]),
        ],
        constraints,
    )


@given(spaces(), st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_holds_for_any_space_and_any_of_its_points(space, seed, data):
    point = space.sample(1, rng(seed))[0]
    names = data.draw(st.lists(st.sampled_from([p.name for p in space.parameters]), unique=True))
    part = space.given(point, names)
    held = [space.columns.index(c) for c in space.columns_named(names)]
    assert part.columns == space.columns
    assert part.encoding is space.encoding
    assert part.contains(point[None]).all(), part.violations(point[None])

    x = part.sample(30, rng(seed))
    assert (x[:, held] == point[held]).all()
    assert part.contains(x).all(), part.violations(x)
    assert space.contains(x).all(), space.violations(x)
    assert part.keys(x) == space.keys(x)
    moved = part.perturb(x, 0.3, rng(seed))
    assert (moved[:, held] == point[held]).all()
    assert space.contains(moved).all()
    design = part.design(5, rng(seed), existing=x[:2])
    assert (design[:, held] == point[held]).all()
    box = part.polyhedron()
    assert not box.movable[held].any()
    assert np.array_equal(box.low[held], point[held])
    points = part.enumerate()
    if points is not None:
        assert len(points) == part.size
        assert (points[:, held] == point[held]).all()
    others = space.sample(30, rng(seed + 1))
    same = (others[:, held] == point[held]).all(axis=1)
    assert np.array_equal(part.contains(others), same)


def test_conditions_on_a_sample_as_it_was_measured():
    space = electrodes(step=0.05)
    measured = np.array([0.512, 0.493, 0.0, 0.004, -0.7, 3, 1])  # off the grid, and it does not sum to one
    part = space.given(measured, space.columns_of("preparation"))
    x = part.sample(50, rng())
    assert (x[:, :4] == measured[:4]).all()
    assert np.ptp(x[:, 4]) > 0.5
    assert part.contains(x).all(), part.violations(x)
    assert part.fixed == {"x_Cu": 0.512, "x_Ag": 0.493, "x_Zn": 0.0, "x_Al": 0.004}
    assert part.size is None
    assert "given" in repr(part)
    shifted = x[:1] + np.array([0.01, 0, 0, 0, 0, 0, 0])
    assert part.violations(shifted) == ["x_Cu is 0.522, but is given as 0.512"]


def test_settings_that_a_batch_shares_may_be_given_on_top():
    space = electrodes()
    point = space.sample(1, rng())[0]
    part = space.given(point, ["x"]).given(space.sample(1, rng(1))[0], ["cation", "pulses"])
    x = part.sample(20, rng())
    assert (x[:, :4] == point[:4]).all()
    assert np.ptp(x[:, 5:], axis=0).max() == 0
    all_given = part.given(x[0], ["potential"])
    assert all_given.size == 1
    assert np.array_equal(all_given.enumerate(), x[:1])
    assert np.array_equal(all_given.perturb(x[:1], 1.0, rng()), x[:1])
    assert np.array_equal(all_given.design(2, rng()), x[[0, 0]])


def test_single_components_may_be_given():
    space = electrodes()
    part = space.given(np.array([0.3, 0, 0, 0, 0, 0, 0]), ["x_Cu", "x_Ag"])
    x = part.sample(100, rng())
    assert (x[:, 0] == 0.3).all()
    assert (x[:, 1] == 0).all()
    assert np.allclose(x[:, 2:4].sum(axis=1), 0.7)
    with pytest.raises(InfeasibleSpaceError, match="given values leave no room"):
        space.given(np.array([0.9, 0.3, 0, 0, 0, 0, 0]), ["x_Cu", "x_Ag"])
    with pytest.raises(InfeasibleSpaceError, match="given values leave no room"):
        electrodes(step=0.1).given(np.array([0.33, 0, 0, 0, 0, 0, 0]), ["x_Cu"])


def test_a_measured_component_may_be_less_than_the_least_fraction():
    space = electrodes(min_present=0.1)
    part = space.given(np.array([0.004, 0, 0, 0, 0, 0, 0]), ["x_Cu"])
    x = part.sample(100, rng())
    assert (x[:, 0] == 0.004).all()
    assert part.contains(x).all(), part.violations(x)
    others = x[:, 1:4]
    assert ((others == 0) | (others >= 0.1 - 1e-9)).all()


def test_constraints_bind_what_is_left():
    coupled = LinearConstraint({"x_Cu": 1.0, "potential": 1.0}, lower=0.0)
    copper = LinearConstraint({"x_Cu": 1.0}, upper=0.8)
    space = electrodes(coupled, copper)
    part = space.given(np.array([0.7, 0.3, 0, 0, 0, 0, 0]), ["x"])
    x = part.sample(200, rng())
    assert x[:, 4].min() >= -0.7 - 1e-9
    assert x[:, 4].min() < -0.68
    assert part.contains(x).all()
    # copper beyond its bound is there already, and is no reason to refuse the sample
    more = space.given(np.array([0.81, 0.19, 0, 0, 0, 0, 0]), ["x"])
    assert more.contains(more.sample(20, rng())).all()
    with pytest.raises(InfeasibleSpaceError, match=r"'0 <= x_Cu \+ potential' leaves no point.*given values"):
        space.given(np.array([0.2, 0.8, 0, 0, 0, 0, 0]), ["x"])


def test_a_constraint_among_discrete_values_and_whole_numbers():
    space = SearchSpace(
        [Integer("a", 0, 12), Integer("b", 0, 12), Discrete("c", [1.0, 2.0, 5.0])],
        [LinearConstraint({"a": 2, "b": 3, "c": 4}, lower=30, upper=30)],
    )
    part = space.given(np.array([5.0, 0, 0]), ["a"])
    assert {tuple(row) for row in part.enumerate()} == {(5, 0, 5), (5, 4, 2)}
    with pytest.raises(InfeasibleSpaceError, match="given values"):
        space.given(np.array([3.0, 0, 0]), ["a"])


def pool():
    fractions = np.array([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]])
    rows = [(*x, t, s) for x in fractions for t in (20.0, 40.0) for s in ("K", "Cs")]
    return SearchSpace.from_pool(pd.DataFrame(rows, columns=["x_a", "x_b", "T", "salt"]), stages={"x": "preparation"})


def test_in_a_pool_the_rows_with_the_values_are_left():
    space = pool()
    assert space.columns_of("preparation") == ("x_a", "x_b")
    assert space.columns_of("condition") == ("T", "salt")
    point = space.to_array(pd.DataFrame({"x_a": [0.2], "x_b": [0.8], "T": [20.0], "salt": ["K"]}))[0]
    part = space.given(point, ["x"])
    assert part.size == 4
    assert (part.pool["x_a"] == 0.2).all()
    assert part.contains(part.sample(9, rng())).all()
    assert part.row_of(point[None]) == [part.pool.index[(part.pool["T"] == 20) & (part.pool["salt"] == "K")][0]]
    assert part.keys(point[None]) == space.keys(point[None])
    assert part.given(point, ["salt"]).size == 2
    # measured, so not quite that of the row: the rows of the sample all the same, as they are
    point[:2] = 0.213, 0.787
    near = space.given(point, ["x"])
    assert near.size == 4
    assert (near.pool["x_a"] == 0.2).all()
    point[:2] = 0.35, 0.65
    with pytest.raises(InfeasibleSpaceError, match="no row of the pool"):
        space.given(point, ["x"])


def test_what_cannot_be_given():
    space = electrodes()
    point = space.sample(1, rng())[0]
    with pytest.raises(SpaceError, match=r"'potentail' is neither column nor parameter.*'potential'"):
        space.given(point, ["potentail"])
    with pytest.raises(SpaceError, match="'potential': nan"):
        space.given(np.where(np.arange(7) == 4, np.nan, point), ["potential"])
    with pytest.raises(SpaceError, match="'cation': 4"):
        space.given(np.where(np.arange(7) == 6, 4, point), ["cation"])
    with pytest.raises(SpaceError, match="do not fit"):
        space.given(point[:3], ["cation"])


def test_it_is_cheap():
    space = electrodes(LinearConstraint({"x_Cu": 1.0, "x_Ag": -1.0}, lower=0.0), step=0.01)
    points = space.sample(20, rng())
    started = time.perf_counter()
    for point in points:
        space.given(point, space.columns_of("preparation")).sample(10, rng())
        space.given(point, ["potential"]).sample(10, rng())
    assert (time.perf_counter() - started) / 40 < 0.02
