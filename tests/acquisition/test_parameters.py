"""Parameters and constraints refuse what cannot be, in words, and compare by value."""

import pickle

import pandas as pd
import pytest
from pydantic import TypeAdapter

from acquisition import (
    Categorical,
    Composition,
    Continuous,
    Discrete,
    InfeasibleSpaceError,
    Integer,
    LinearConstraint,
    SpaceError,
)
from acquisition.parameters import Parameter


@pytest.mark.parametrize(
    ("make", "field", "text"),
    [
        (lambda: Continuous("", 0, 1), "name", "cannot name a parameter"),
        (lambda: Continuous("experiment", 0, 1), "name", "cannot name a parameter"),
        (lambda: Continuous("p", 1, 0), "low", "not below high"),
        (lambda: Continuous("p", 1, 1), "low", "not below high"),
        (lambda: Continuous("p", 0, float("inf")), "high", "finite"),
        (lambda: Continuous("p", 0, 1, log=True), "low", "log scale needs positive"),
        (lambda: Continuous("p", "a", 1), "low", "valid number"),
        (lambda: Integer("n", 0, 5, log=True), "low", "log scale"),
        (lambda: Integer("n", 0, 2.5), "high", "integer"),
        (lambda: Discrete("d", [1]), "values", "fewer than two"),
        (lambda: Discrete("d", [1, 1]), "values", "twice"),
        (lambda: Discrete("d", [0, 1], log=True), "values", "positive"),
        (lambda: Categorical("c", ["a"]), "values", "fewer than two"),
        (lambda: Categorical("c", ["a", "a"]), "values", "twice"),
        (lambda: Categorical("c", ["a", "b"], descriptors={"r": {"a": 1.0}}), "descriptors", "no descriptors for b"),
        (lambda: Categorical("c", ["a", "b"], descriptors={"r": {"a": 1.0, "b": "x"}}), "descriptors", "finite"),
        (lambda: Composition("x", ["A"]), "components", "at least two"),
        (lambda: Composition("x", ["A", "A"]), "components", "twice"),
        (lambda: Composition("x", ["A", "B"], max_components=3), "max_components", "max_components is 3"),
        (lambda: Composition("x", ["A", "B"], step=0.3), "step", "does not divide 1"),
        (lambda: Composition("x", ["A", "B"], bounds={"C": (0, 1)}), "bounds", "no component"),
        (lambda: Composition("x", ["A", "B"], bounds={"A": (0.5, 0.2)}), "bounds", "rise within 0 and 1"),
        (lambda: Composition("x", ["A", "B"], column_names=["a"]), "column_names", "one column for each"),
        (lambda: LinearConstraint({}, lower=0), "coefficients", "not zero"),
        (lambda: LinearConstraint({"a": 1.0}), "lower", "needs a bound"),
        (lambda: LinearConstraint({"a": 1.0}, lower=1, upper=0), "lower", "above upper"),
    ],
)
def test_refused(make, field, text):
    with pytest.raises(SpaceError, match=text) as caught:
        make()
    assert caught.value.field.split(".")[0] == field


@pytest.mark.parametrize(
    "options",
    [
        {"bounds": {"A": (0.6, 1), "B": (0.6, 1)}},
        {"bounds": {"A": (0, 0.2), "B": (0, 0.2), "C": (0, 0.2)}},
        {"bounds": {"A": (0, 0.4), "B": (0, 0.4), "C": (0, 0.4)}, "max_components": 2},
        {"bounds": {"A": (0.1, 1), "B": (0.1, 1)}, "max_components": 1},
    ],
)
def test_bounds_that_cannot_sum_to_one(options):
    with pytest.raises(InfeasibleSpaceError, match="composition 'x'"):
        Composition("x", ["A", "B", "C"], **options)


def test_categories_with_descriptors_compare_and_hash_by_value():
    table = pd.DataFrame({"radius": [0.76, 1.02]}, index=["Li", "Na"])
    one = Categorical("cation", ["Li", "Na"], descriptors=table)
    same = Categorical("cation", ["Li", "Na"], descriptors={"radius": {"Na": 1.02, "Li": 0.76}})
    other = Categorical("cation", ["Li", "Na"], descriptors={"radius": {"Na": 1.02, "Li": 0.77}})
    assert one == same
    assert hash(one) == hash(same)
    assert one not in (other, Categorical("cation", ["Li", "Na"]), "cation")
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_copy_of_descriptors_is_kept():
    table = pd.DataFrame({"radius": [0.76, 1.02]}, index=["Li", "Na"])
    cation = Categorical("cation", ["Li", "Na"], descriptors=table)
    before = hash(cation)
    table.loc["Li", "radius"] = 99
    assert hash(cation) == before


def test_labels_keep_their_type():
    assert Categorical("c", [1, 2]) != Categorical("c", ["1", "2"])
    assert Categorical("c", [1, 2]).values == (1, 2)


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (LinearConstraint({"x_Cu": 1.0, "x_Ag": -2.0}, lower=0.2), "0.2 <= x_Cu - 2 x_Ag"),
        (LinearConstraint({"a": -1.0, "b": 0.5}, upper=3), "-a + 0.5 b <= 3"),
        (LinearConstraint({"a": 1.0}, lower=-1, upper=1), "-1 <= a <= 1"),
        (LinearConstraint({"a": 1.0, "b": 1.0}, lower=0.5, upper=0.5), "a + b = 0.5"),
    ],
)
def test_constraints_read_like_formulae(constraint, text):
    assert str(constraint) == text


def test_columns():
    assert Composition("x", ["Cu", "Ag"]).columns == ("x_Cu", "x_Ag")
    named = Composition("x", ["Cu", "Ag"], column_names=["cu_load", "ag_load"])
    assert named.columns == ("cu_load", "ag_load")


@pytest.mark.parametrize(
    "parameter",
    [
        Categorical("c", [1, 2.5, "x"], descriptors={"r": {1: 0.3, 2.5: 1.0, "x": 5.0}}),
        Categorical("c", ["a", "b"]),
        Composition("x", ["Cu", "Ag"], bounds={"Cu": (0.1, 1)}, step=0.1, column_names=["cu", "ag"]),
        Continuous("p", -1.5, -0.5, unit="V vs RHE", stage="preparation"),
        Integer("n", 1, 5, log=True),
        Discrete("T", [60, 25]),
    ],
)
def test_parameters_survive_json(parameter):
    adapter = TypeAdapter(Parameter)
    assert adapter.validate_json(adapter.dump_json(parameter)) == parameter
