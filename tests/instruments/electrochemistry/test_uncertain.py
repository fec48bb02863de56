"""First-order propagation compared with the package ``uncertainties``, which does the same for scalars."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import uncertainties
from hypothesis import given
from hypothesis import strategies as st
from uncertainties import umath

from instruments.electrochemistry import uncertain
from instruments.electrochemistry.uncertain import Uncertain

Step = tuple[str, int, int]

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def calculation() -> st.SearchStrategy[list[Step]]:
    """A program: each step combines two earlier numbers, or maps one."""
    step = st.tuples(st.sampled_from([*BINARY, "exp", "log", "square"]), st.integers(0, 30), st.integers(0, 30))
    return st.lists(step, min_size=1, max_size=8)


def run(steps: list[Step], inputs: list[Any], exp: Callable[[Any], Any], log: Callable[[Any], Any]) -> list[Any]:
    numbers = list(inputs)
    for name, i, j in steps:
        a, b = numbers[i % len(numbers)], numbers[j % len(numbers)]
        if name in BINARY:
            if name == "/" and abs(float(getattr(b, "nominal_value", getattr(b, "values", b)))) < 1e-2:
                continue
            result = BINARY[name](a, b)
        elif name == "square":
            result = a**2.0
        elif name == "exp":
            result = exp(a * 1e-3)
        else:
            result = log(a * a + 1.0)
        value = float(getattr(result, "nominal_value", getattr(result, "values", result)))
        if abs(value) < 1e6:
            numbers.append(result)
    return numbers


@given(
    calculation(),
    st.lists(st.tuples(st.floats(0.5, 5.0), st.floats(0.01, 0.5)), min_size=2, max_size=4),
)
def test_any_calculation_agrees_with_uncertainties(steps: list[Step], inputs: list[tuple[float, float]]) -> None:
    ours = run(
        steps,
        [Uncertain.systematic(value, sem, f"source {i}") for i, (value, sem) in enumerate(inputs)],
        uncertain.exp,
        uncertain.log,
    )
    theirs = run(steps, [uncertainties.ufloat(*each) for each in inputs], umath.exp, umath.log)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose([float(x) for x in ours], [x.nominal_value for x in theirs], rtol=1e-9, atol=1e-12)
    expected = np.array(uncertainties.covariance_matrix(theirs))
    found = uncertain.stack(ours).covariance_matrix()
    deviations = np.sqrt(expected.diagonal()) + 1e-8  # a difference of equals has one of rounding
    scale = np.outer(deviations, deviations)
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-7)


def test_independent_errors_average_out_and_shared_ones_do_not() -> None:
    own = Uncertain.independent(np.full(4, 10.0), 2.0, "reading")
    shared = Uncertain.systematic(np.full(4, 10.0), 2.0, "meter")
    assert own.mean().sem == pytest.approx(1.0)
    assert shared.mean().sem == pytest.approx(2.0)
    np.testing.assert_allclose(own.covariance_matrix(), 4.0 * np.eye(4))
    np.testing.assert_allclose(shared.covariance_matrix(), 4.0)
    mixed = own + shared
    assert mixed.mean().sem == pytest.approx(np.sqrt(5.0))
    assert mixed.mean().share("meter") == pytest.approx(0.8)


def test_leading_axes_are_separate_experiments() -> None:
    number = Uncertain.independent(np.ones((5, 2, 3)), 0.1, "peak", leading=1)
    assert number.sources["peak"].shape == (5, 2, 3, 6)
    np.testing.assert_allclose(number.sum(1).sum(1).sem, 0.1 * np.sqrt(6.0))


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_weighted_sums_are_sums_of_products(rows: int, columns: int, data: st.DataObject) -> None:
    values = np.arange(1.0, rows * columns + 1.0).reshape(rows, columns)
    weights = np.array(data.draw(st.lists(st.floats(-2, 2), min_size=columns, max_size=columns)))
    number = Uncertain.independent(values, 0.1 * values, "a") * Uncertain.systematic(2.0, 0.1, "b")
    direct, weighted = (number * weights).sum(), number.weighted(weights)
    np.testing.assert_allclose(weighted.values, direct.values)
    np.testing.assert_allclose(weighted.sem, direct.sem)
    np.testing.assert_allclose(number.weighted(np.ones((rows, 1)), axis=0).sem, number.sum(0).sem)


def test_arrays_on_the_left_keep_the_uncertainty() -> None:
    number = Uncertain.systematic(2.0, 0.5, "a")
    factors = np.array([1.0, 3.0])
    for product in (factors * number, number * factors):
        assert isinstance(product, Uncertain)
        np.testing.assert_allclose(product.sem, [0.5, 1.5])
    np.testing.assert_allclose((1.0 / number).sem, 0.125)
    np.testing.assert_allclose((factors - number).values, [-1.0, 1.0])
    assert float(abs(-number)) == 2.0


def test_choosing_places_keeps_their_uncertainty() -> None:
    number = Uncertain.independent(np.array([[1.0, 2.0], [3.0, 4.0]]), 0.1, "a")
    np.testing.assert_allclose(number[:, 1].values, [2.0, 4.0])
    np.testing.assert_allclose(number[:, 1].sem, 0.1)
    assert number[0].shape == (2,)
    assert number[np.array([True, False])].shape == (1, 2)
    chosen = uncertain.where(np.array([True, False]), Uncertain.systematic(np.ones(2), 0.1, "a"), 5.0)
    np.testing.assert_allclose(chosen.values, [1.0, 5.0])
    np.testing.assert_allclose(chosen.sem, [0.1, 0.0])


def test_side_by_side() -> None:
    a, b = Uncertain.systematic(np.ones(3), 0.1, "a"), Uncertain.systematic(np.ones(3), 0.2, "b")
    joined = uncertain.concatenate([a, b, np.zeros(1)])
    np.testing.assert_allclose(joined.sem, [0.1] * 3 + [0.2] * 3 + [0.0])
    stacked = uncertain.stack([a, b], axis=0)
    assert stacked.shape == (2, 3)
    assert stacked.sources["a"].shape == (2, 3, 1)
    with pytest.raises(ValueError, match="different numbers of components"):
        uncertain.stack([Uncertain.independent(np.ones(2), 0.1, "c"), Uncertain.systematic(np.ones(2), 0.1, "c")])


def test_contributions_must_fit() -> None:
    with pytest.raises(ValueError, match="have shape"):
        Uncertain(np.ones(2), {"a": np.ones(2)})
    with pytest.raises(KeyError):
        Uncertain(np.ones(2)).share("a")
