"""Non-linear constraints: functions and expressions that every point must meet."""

import pickle
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from scipy import stats

from acquisition import (
    Categorical,
    Composition,
    Continuous,
    ExpressionConstraint,
    InfeasibleSpaceError,
    Integer,
    LinearConstraint,
    NonlinearConstraint,
    SearchSpace,
    SpaceError,
)
from acquisition.constraints import Constraint
from acquisition.restricted import Restricted
from tests.acquisition.test_space import spaces


def rng(seed=0):
    return np.random.default_rng(seed)


def solubility(frame):
    """A module's own function, by import path."""
    return frame["x_A"] * frame["p"]


PARAMETERS = [
    Composition("x", ["A", "B", "C"], stage="preparation"),
    Continuous("p", 0, 1),
    Categorical("salt", ["K", "Cs"]),
]


def ring(inner, outer):
    return ExpressionConstraint("a ** 2 + b ** 2", lower=inner**2, upper=outer**2)


def plane():
    return [Continuous("a", -1, 1), Continuous("b", -1, 1)]


@given(spaces(), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.05, 0.005]))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_holds_for_any_space(space, seed, share):
    """Near a random point, in units of the ranges: a ball that holds about a share of the space."""
    trials = space.sample(400, rng(seed))
    spread = trials.std(axis=0)
    weights = np.where(spread > 0, 1 / np.maximum(spread, 1e-300), 0.0)
    centre = dict(zip(space.columns, trials[0], strict=True))
    lookup = {p.name: list(p.values) for p in space.parameters if isinstance(p, Categorical)}

    def distance(frame):
        total = np.zeros(len(frame))
        for name, weight in zip(space.columns, weights, strict=True):
            values = frame[name].map(lookup[name].index) if name in lookup else frame[name]
            total += (weight * (values.to_numpy(dtype=float) - centre[name])) ** 2
        return total

    limit = float(np.quantile(distance(space.to_frame(trials)), share))
    part = SearchSpace(space.parameters, [*space.constraints, NonlinearConstraint(distance, upper=limit)])
    x = part.sample(50, rng(seed))
    assert part.contains(x, 1e-7).all()
    assert (distance(space.to_frame(x)) <= limit).all()
    assert space.contains(x).all()
    assert part.violations(x) == [""] * 50
    assert np.array_equal(x, part.sample(50, rng(seed)))
    for scale in (0.5, 0.01):
        moved = part.perturb(x, scale, rng(seed))
        assert part.contains(moved).all(), part.violations(moved)
    design = part.design(4, rng(seed))
    assert part.contains(design).all()
    assert part.encoding.names == space.encoding.names
    points = part.enumerate()
    if points is not None:
        everything = space.enumerate()
        assert len(points) == part.size == (distance(space.to_frame(everything)) <= limit).sum()
    held = part.given(x[0], [part.columns[0]])
    y = held.sample(10, rng(seed))
    assert (y[:, 0] == x[0, 0]).all()
    assert part.contains(y).all()


@pytest.mark.parametrize(("inner", "outer"), [(0.0, 0.9), (0.55, 0.6), (0.29, 0.3)])
def test_draws_are_uniform_over_the_set(inner, outer):
    space = SearchSpace(plane(), [ring(inner, outer)])
    x = space.sample(1024, rng())
    square = (x**2).sum(axis=1)
    assert stats.kstest((square - inner**2) / (outer**2 - inner**2), stats.uniform.cdf).pvalue > 1e-3
    assert stats.kstest(np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi) + 0.5, stats.uniform.cdf).pvalue > 1e-3


@pytest.mark.parametrize("options", [{}, {"max_components": 2}, {"min_present": 0.1}])
def test_chains_draw_what_rejection_draws(options):
    parameters = [Composition("x", ["A", "B", "C", "D"], **options), Continuous("p", 0.01, 1, log=True)]
    product = ExpressionConstraint("x_A * x_B + p * x_C", lower=0.2)
    linear = LinearConstraint({"x_A": 1, "p": -0.5}, lower=0.0)
    space = SearchSpace(parameters, [product, linear])
    restricted = space._domain
    assert isinstance(restricted, Restricted)
    assert restricted._starts is None
    exact = space.sample(4000, rng())
    # one draw a chain: more would be alike
    chains = Restricted(restricted._base, restricted._rules)
    chains._starts = exact[:3]
    walked = chains.sample(1024, rng(1))
    assert space.contains(walked).all()
    for i in range(5):
        assert stats.ks_2samp(walked[:, i], exact[:, i]).pvalue > 1e-3
    supports, codes = np.unique(np.concatenate([walked > 0, exact > 0]), axis=0, return_inverse=True)
    if len(supports) > 1:
        table = np.array([np.bincount(part, minlength=len(supports)) for part in np.split(codes, [1024])])
        assert stats.chi2_contingency(table[:, table.sum(axis=0) >= 10]).pvalue > 1e-3


def test_thin_sets_are_found_by_search():
    parameters = [Continuous(f"a{i}", 0, 1) for i in range(6)]
    corner = ExpressionConstraint(" + ".join(f"(a{i} - 0.9) ** 2" for i in range(6)), upper=0.003)
    started = time.perf_counter()
    space = SearchSpace(parameters, [corner])
    x = space.sample(100, rng())
    assert time.perf_counter() - started < 10
    assert space.contains(x).all()
    assert np.abs(x.mean(axis=0) - 0.9).max() < 0.01


def test_grids_and_whole_numbers_are_listed_exactly():
    space = SearchSpace([Integer("n", 0, 20), Integer("m", 0, 20)], [ExpressionConstraint("n * m == 12")])
    assert {tuple(row) for row in space.enumerate()} == {(1, 12), (2, 6), (3, 4), (4, 3), (6, 2), (12, 1)}
    assert space.size == 6
    counts = np.unique(space.sample(6000, rng())[:, 0], return_counts=True)[1]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_functions_see_labels_and_the_columns_that_they_ask_for():
    seen = []

    def rule(frame):
        seen.append(list(frame.columns))
        return (frame["salt"] == "K") | (frame["p"] < 0.3)

    space = SearchSpace(PARAMETERS, [NonlinearConstraint(rule, columns=["salt", "p"])])
    frame = space.to_frame(space.sample(200, rng()))
    assert ((frame["salt"] == "K") | (frame["p"] < 0.3)).all()
    assert all(columns == ["salt", "p"] for columns in seen)
    bad = space.to_array(pd.DataFrame({"x_A": [1.0], "x_B": 0.0, "x_C": 0.0, "p": 0.5, "salt": "Cs"}))
    assert space.violations(bad) == ["the constraint rule is broken"]
    assert not space.contains(bad).any()


def test_what_violations_say():
    space = SearchSpace(PARAMETERS, [ExpressionConstraint("x_A * p", upper=0.25)])
    bad = np.array([[1.0, 0.0, 0.0, 0.5, 0.0]])
    assert space.violations(bad) == ["the constraint x_A * p <= 0.25 is broken: it is 0.5"]
    outside = np.array([[1.0, 0.0, 0.0, 7.0, 0.0]])
    assert space.violations(outside) == ["p is 7, above 1"]


def test_given_values_decide_constraints_on_them_alone():
    copper = ExpressionConstraint("x_A ** 2", upper=0.25)
    both = ExpressionConstraint("x_A * p", upper=0.1)
    space = SearchSpace(PARAMETERS, [copper, both])
    part = space.given(np.array([0.51, 0.49, 0.0, 0.0, 0.0]), ["x"])
    x = part.sample(50, rng())
    assert (x[:, 0] == 0.51).all()
    assert x[:, 3].max() <= 0.1 / 0.51
    assert part.contains(x).all()
    none = ExpressionConstraint("x_A - p", upper=-0.2)
    with pytest.raises(InfeasibleSpaceError, match="none meets"):
        SearchSpace(PARAMETERS, [none]).given(np.array([0.9, 0.1, 0.0, 0.0, 0.0]), ["x"])


def test_pools_keep_the_rows_that_meet_them():
    table = pd.DataFrame({"n": [1.0, 2.0, 3.0, 4.0], "m": [1.0, 1.0, 5.0, 2.0], "s": ["a", "b", "a", "c"]})
    space = SearchSpace.from_pool(
        table, constraints=[ExpressionConstraint("n * m", upper=8), LinearConstraint({"n": 1}, lower=2)]
    )
    assert space.pool["n"].tolist() == [2.0, 4.0]
    assert space.parameters[-1].values == ("b", "c")
    assert space.notices[-1] == "2 rows break a constraint; only the others are candidates"
    assert len(space.constraints) == 2
    with pytest.raises(InfeasibleSpaceError, match=r"none of the pool's 4 rows meets the constraint 'n \* m <= 0'"):
        SearchSpace.from_pool(table, constraints=[ExpressionConstraint("n * m", upper=0)])
    with pytest.raises(SpaceError, match="no column 'k'"):
        SearchSpace.from_pool(table, constraints=[ExpressionConstraint("n * k", upper=0)])


def test_contradictions_say_how_hard_was_looked():
    with pytest.raises(InfeasibleSpaceError, match=r"of \d{4,} points looked at, by chance and by search, none meets"):
        SearchSpace(plane(), [ring(1.5, 2.0)])
    with pytest.raises(InfeasibleSpaceError, match="none of the 11 points"):
        SearchSpace([Integer("n", 0, 10)], [ExpressionConstraint("n ** 2", lower=101)])
    with pytest.raises(InfeasibleSpaceError, match=r"'a \+ b <= -3' is never met"):
        SearchSpace(plane(), [ring(0, 1), ExpressionConstraint("a + b", upper=-3)])


def failing(frame):
    if (frame["p"] > 0.9).any():
        raise ZeroDivisionError("no pressure")
    return frame["p"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (failing, r"'failing': it fails with ZeroDivisionError: no pressure at .*p = 0\.9"),
        (lambda frame: 1.0, "gives a single float"),
        (lambda frame: frame["p"].head(3), "gives 3 values"),
        (lambda frame: frame[["p", "p"]], "values of shape"),
        (lambda frame: np.where(frame["p"] > 0.5, np.nan, 1.0), r"gives nan at .*p = 0\.[5-9].*finite"),
        (lambda frame: frame["salt"], "which is no number"),
        (lambda frame: frame["q"], "KeyError: 'q'"),
        (lambda frame: None, "gives a single NoneType"),
    ],
)
def test_functions_that_misbehave(function, said):
    with pytest.raises(SpaceError, match=said) as caught:
        SearchSpace(PARAMETERS, [NonlinearConstraint(function, upper=0.5)])
    assert caught.value.field == "constraints.0"


def test_numbers_need_a_bound_and_truth_values_none():
    with pytest.raises(SpaceError, match="has no bound"):
        SearchSpace(PARAMETERS, [ExpressionConstraint("p * 2")])
    assert SearchSpace(PARAMETERS, [ExpressionConstraint("p * 2 < 1")]).sample(50, rng())[:, 3].max() < 0.5
    with pytest.raises(SpaceError, match=r"lower .* above upper"):
        ExpressionConstraint("p", lower=2, upper=1)
    with pytest.raises(SpaceError, match=r"no column 'q'.*'p'"):
        SearchSpace(PARAMETERS, [ExpressionConstraint("q", upper=1)])
    with pytest.raises(SpaceError, match="no column 'potential'"):
        SearchSpace(PARAMETERS, [NonlinearConstraint(solubility, columns=["potential"])])
    with pytest.raises(SpaceError, match="needs a column"):
        NonlinearConstraint(solubility, columns=[])
    with pytest.raises(SpaceError, match="neither a function nor the import path"):
        NonlinearConstraint("solubility")
    with pytest.raises(SpaceError, match="is no constraint"):
        SearchSpace(PARAMETERS, ["p < 1"])


def test_import_paths(tmp_path, monkeypatch):
    (tmp_path / "house_rules.py").write_text(
        "LIMIT = 3\n\ndef mild(frame):\n    return frame['p'] * 2\n\nclass Rules:\n    @staticmethod\n    def own(frame):\n        return frame['p'] < 0.2\n"
    )
    (tmp_path / "broken_rules.py").write_text("raise RuntimeError('not today')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "house_rules", raising=False)
    space = SearchSpace(PARAMETERS, [NonlinearConstraint("house_rules:mild", upper=0.5)])
    assert space.sample(50, rng())[:, 3].max() <= 0.25
    assert SearchSpace(PARAMETERS, [NonlinearConstraint("house_rules:Rules.own")]).sample(9, rng())[:, 3].max() < 0.2
    for path, said in {
        "house_rules:wild": "no attribute 'wild'|has no attribute",
        "house_rulez:mild": "No module named 'house_rulez'",
        "broken_rules:mild": "RuntimeError: not today",
        "house_rules:LIMIT": "is no function, but int",
    }.items():
        with pytest.raises(SpaceError, match=said):
            SearchSpace(PARAMETERS, [NonlinearConstraint(path, upper=1)])


def test_a_space_with_them_can_be_sent_to_other_processes():
    rules = [ExpressionConstraint("x_A * p", upper=0.2), NonlinearConstraint(solubility, lower=0.01)]
    space = SearchSpace(PARAMETERS, rules)
    again = pickle.loads(pickle.dumps(space))
    assert np.array_equal(again.sample(9, rng()), space.sample(9, rng()))


def test_written_down_and_read_again():
    adapter = TypeAdapter(Constraint)
    for constraint in [
        LinearConstraint({"p": 1.0}, upper=2),
        ExpressionConstraint("x_A * p", upper=2, name="load"),
        NonlinearConstraint("house_rules:mild", lower=1, columns=("p",)),
    ]:
        assert adapter.validate_json(adapter.dump_json(constraint)) == constraint
    named = adapter.dump_python(NonlinearConstraint(np.sinc, upper=1))
    assert named["function"] == "numpy:sinc"
    with pytest.raises(PydanticSerializationError, match="no import path"):
        adapter.dump_python(NonlinearConstraint(lambda frame: frame["p"], upper=1))
