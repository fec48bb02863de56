"""Expressions over columns: right values, and nothing but arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import SpaceError
from acquisition.arithmetic import Expression

COLUMNS = {
    "a": np.array([1.0, 4.0, 0.25]),
    "b": np.array([2.0, -3.0, 0.5]),
    "Ag wt%": np.array([10.0, 20.0, 30.0]),
    "salt": np.array(["K", "Cs", "K"], dtype=object),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a * b", [2, -12, 0.125]),
        ("-a + 2 * b ** 2 - 1", [6, 13, -0.75]),
        ("(a + b) / 2", [1.5, 0.5, 0.375]),
        ("min(a, b, 1.5)", [1, -3, 0.25]),
        ("max(abs(b), sqrt(a))", [2, 3, 0.5]),
        ("exp(log(a))", [1, 4, 0.25]),
        ("`Ag wt%` / 10 + a", [2, 6, 3.25]),
        ("2 ** -1 * a", [0.5, 2, 0.125]),
        ("1 < a", [False, True, False]),
        ("0.5 < a <= 4", [True, True, False]),
        ("salt == 'K'", [True, False, True]),
        ("salt != 'K' or a < 0.5", [False, True, True]),
        ("not (salt == 'K' and b > 1)", [False, True, True]),
        ("(salt == 'K') * a", [1, 0, 0.25]),
    ],
)
def test_values(text, expected):
    values = Expression(text)(COLUMNS)
    assert values.shape == (3,)
    assert values == pytest.approx(np.array(expected))
    assert (values.dtype == bool) == isinstance(expected[0], bool)


@given(
    st.recursive(
        st.sampled_from(["a", "b", "1.5", "3"]),
        lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        max_leaves=12,
    )
)
def test_it_says_what_python_says(text):
    if not ({"a", "b"} & set(text)):
        return
    expected = [eval(text, {"a": a, "b": b}) for a, b in zip(COLUMNS["a"], COLUMNS["b"], strict=True)]
    assert Expression(text)(COLUMNS) == pytest.approx(expected)


def test_columns_are_found():
    assert Expression("b * (a + `Ag wt%`) - b").columns == ("b", "a", "Ag wt%")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true')", "no arithmetic"),
        ("a.__class__", "no arithmetic"),
        ("eval('1') + a", "no function 'eval'"),
        ("[a for a in b]", "no arithmetic"),
        ("lambda: a", "no arithmetic"),
        ("a if b else 1", "no arithmetic"),
        ("a[0]", "no arithmetic"),
        ("f'{a}'", "no arithmetic"),
        ("a @ b", "no arithmetic"),
        ("a // b", "no arithmetic"),
        ("a & b", "no arithmetic"),
        ("a in b", "no arithmetic"),
        ("True * a", "no arithmetic"),
        ("1j * a", "no arithmetic"),
        ("(b := 2) * a", "no arithmetic"),
        ("max(*a)", "two values or more"),
        ("max(a)", "two values or more"),
        ("sqrt(a, b)", "takes one value"),
        ("sqrt()", "takes one value"),
        ("log(a, base=2)", "no arithmetic"),
        ("a +", "cannot be read"),
        ("", "cannot be read"),
        ("a = 2", "cannot be read"),
        ("import os", "cannot be read"),
        ("1 + 2", "names no column"),
        ("(" * 400 + "a" + ")" * 400, "cannot be read"),
        ("-" * 900 + "a", "cannot be read"),
        ("9" * 900 + "0 * a" + " " * 200, "longer than"),
    ],
)
def test_anything_else_is_refused(text, said):
    with pytest.raises(SpaceError, match=said) as caught:
        Expression(text)
    assert caught.value.field == "expression"


def test_texts_do_not_calculate():
    for text, said in [
        ("salt + 1", "calculates"),
        ("salt < 'K'", "orders"),
        ("abs(salt)", "calculates"),
        ("'x' * a", "calculates"),
    ]:
        with pytest.raises(SpaceError, match=said):
            Expression(text)(COLUMNS)


def test_what_is_not_finite_is_left_to_those_who_ask():
    assert math.isnan(Expression("sqrt(b)")(COLUMNS)[1])
    assert Expression("9 ** 999 * a")(COLUMNS)[0] == math.inf
