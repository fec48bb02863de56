"""Features: right names, of order one, and the same distances for alike things."""

import numpy as np
import pandas as pd
import pytest

from acquisition import Categorical, Composition, Continuous, Discrete, Integer, SearchSpace


def rng(seed=0):
    return np.random.default_rng(seed)


def test_names_kinds_and_values():
    radii = pd.DataFrame({"radius": [0.76, 1.02, 1.38], "charge": 1.0, "x": [0, 0, 3]}, index=["Li", "Na", "K"])
    space = SearchSpace(
        [
            Composition("x", ["Cu", "Ag"]),
            Continuous("p", -1.5, -0.5),
            Continuous("rate", 0.01, 100, log=True),
            Integer("n", 1, 5),
            Discrete("T", [60, 20, 30]),
            Categorical("acid", ["a", "b"]),
            Categorical("cation", ["K", "Na", "Li"], descriptors=radii),
        ]
    )
    assert space.encoding.names == (
        *("x_Cu", "x_Ag", "sqrt(x_Cu)", "sqrt(x_Ag)", "p", "rate", "n", "T"),
        *("acid=a", "acid=b", "cation.radius", "cation.x"),
    )
    assert space.encoding.kinds == (
        *("fraction",) * 2,
        *("root_fraction",) * 2,
        *("continuous",) * 4,
        *("category",) * 2,
        *("descriptor",) * 2,
    )
    (row,) = space.encoding(np.array([[0.25, 0.75, -1.25, 1.0, 2, 30, 1, 0]]))
    assert np.allclose(row[:10], [0.25, 0.75, 0.5, np.sqrt(0.75), 0.25, 0.5, 0.25, 0.25, 0, np.sqrt(0.5)])
    table = space.encoding(np.array([[0.5, 0.5, -1, 1, 1, 20, 0, k] for k in range(3)]))[:, 10:]
    assert np.allclose(table.mean(axis=0), 0)
    assert np.allclose(table.std(axis=0), 1)
    assert table[0, 0] > table[1, 0] > table[2, 0]


def test_categories_are_all_one_apart():
    space = SearchSpace([Categorical("c", ["a", "b", "d"])])
    z = space.encoding(space.enumerate())
    gaps = np.linalg.norm(z[:, None] - z, axis=2)
    assert np.allclose(gaps, 1 - np.eye(3))


def test_what_was_executed_outside_the_bounds_stays_finite():
    space = SearchSpace([Composition("x", ["A", "B"]), Continuous("r", 0.1, 10, log=True), Continuous("p", 0, 1)])
    z = space.encoding(np.array([[-0.01, 1.01, 0.0, 1.5], [0.5, 0.5, -3.0, -1.0]]))
    assert np.isfinite(z).all()
    assert z[0, space.encoding.names.index("x_A")] == 0
    assert z[0, -1] == 1.5


def test_components_that_cannot_vary_give_no_feature():
    space = SearchSpace([Composition("x", ["A", "B", "C"], bounds={"A": (0, 0)})])
    assert space.encoding.names == ("x_B", "x_C", "sqrt(x_B)", "sqrt(x_C)")


@pytest.mark.parametrize("n", [0, 1, 5000])
def test_any_number_of_rows(n):
    space = SearchSpace([Composition("x", list("ABCDE")), Categorical("c", ["a", "b"])])
    assert space.encoding(space.sample(n, rng())).shape == (n, 12)
