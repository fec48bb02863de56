"""Search spaces as a whole: what holds for any valid space, and what is said of invalid ones."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

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

ELEMENTS = ["Cu", "Ag", "Zn", "Al", "Sn", "In"]


def rng(seed=0):
    return np.random.default_rng(seed)


def cu_alloys(*constraints, **options):
    return SearchSpace(
        [
            Composition("x", ELEMENTS[:4], max_components=3, stage="preparation", **options),
            Continuous("potential", -1.5, -0.5, unit="V vs RHE"),
            Categorical("cation", ["Li", "Na", "K", "Cs"]),
        ],
        constraints,
    )


@st.composite
def compositions(draw):
    m = draw(st.integers(2, 6))
    bounds = {}
    for element in ELEMENTS[:m]:
        if draw(st.booleans()):
            bounds[element] = (draw(st.sampled_from([0.0, 0.0, 0.1])), draw(st.sampled_from([0.4, 0.6, 1.0])))
    most, step = draw(st.none() | st.integers(1, m)), draw(st.sampled_from([None, 0.1, 0.05, 0.25]))
    least = draw(st.sampled_from([None, None, 0.1, {"Cu": 0.2, "Ag": 0.05}]))
    try:
        composition = Composition("x", ELEMENTS[:m], max_components=most, step=step, bounds=bounds, min_present=least)
        SearchSpace([composition])
    except InfeasibleSpaceError:
        composition = Composition("x", ELEMENTS[:m])
    return composition


@st.composite
def spaces(draw):
    pieces = {
        "composition": draw(compositions()),
        "real": Continuous("p", *draw(st.sampled_from([(-1.5, -0.5), (0.0, 1e6), (0.0, 1e-9)]))),
        "log": Continuous("rate", 1e-4, 10.0, log=True),
        "integer": Integer("n", *draw(st.sampled_from([(0, 1), (-5, 20), (1, 10**12)]))),
        "log integer": Integer("pulses", 1, 1000, log=True),
        "discrete": Discrete("T", draw(st.sampled_from([(25.0, 40.0, 60.0), (60.0, 25.0), (0.0, 1e-6, 1.0)]))),
        "category": Categorical("cation", ["Li", "Na", "K"]),
        "described": Categorical("anion", [1, 2, "x"], descriptors={"r": {1: 0.3, 2: 1.0, "x": 5.0}}),
    }
    names = draw(st.lists(st.sampled_from(sorted(pieces)), min_size=1, max_size=5, unique=True))
    parameters = [pieces[name] for name in names]
    free = SearchSpace(parameters)
    numeric = [c for c in free.columns if c not in ("cation", "anion")]
    constraints = []
    anchor = free.sample(1, rng(draw(st.integers(0, 99))))[0]
    for _ in range(draw(st.integers(0, 2)) if numeric else 0):
        chosen = draw(st.lists(st.sampled_from(numeric), min_size=1, max_size=3, unique=True))
        weights = {c: draw(st.sampled_from([1.0, -1.0, 2.0, 0.3])) for c in chosen}
        value = sum(w * anchor[free.columns.index(c)] for c, w in weights.items())
        size = sum(abs(w) * max(abs(anchor[free.columns.index(c)]), 1e-9) for c, w in weights.items())
        slack = draw(st.sampled_from([0.3, 0.02])) * size
        bounds = draw(st.sampled_from([(-1, None), (None, 1), (-1, 1)]))
        low, high = (None if side is None else value + side * slack for side in bounds)
        constraints.append(LinearConstraint(weights, low, high))
    return SearchSpace(parameters, constraints)


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_holds_for_any_space(space, seed):
    x = space.sample(40, rng(seed))
    assert x.shape == (40, len(space.columns))
    assert space.contains(x).all(), space.violations(x)
    assert space.violations(x) == [""] * 40
    assert np.array_equal(x, space.sample(40, rng(seed)))

    frame = space.to_frame(x)
    assert list(frame.columns) == list(space.columns)
    again = space.to_array(frame)
    assert np.array_equal(again, x)
    assert space.keys(again) == space.keys(x)
    noise = np.where(np.abs(x) > 0, x * (1 + 1e-15), x)
    assert sum(a != b for a, b in zip(space.keys(noise), space.keys(x), strict=True)) <= 1

    features = space.encoding(x)
    assert features.shape == (40, len(space.encoding.names))
    assert len(space.encoding.kinds) == len(space.encoding.names)
    assert np.isfinite(features).all()
    assert np.abs(features).max(initial=0) < 5

    for scale in (1.0, 0.01):
        moved = space.perturb(x, scale, rng(seed))
        assert space.contains(moved).all(), space.violations(moved)

    design = space.design(7, rng(seed), existing=x[:3])
    assert design.shape == (7, len(space.columns))
    assert space.contains(design).all()
    assert np.array_equal(design, space.design(7, rng(seed), existing=x[:3]))
    points = space.enumerate()
    if points is None:
        assert space.size is None or space.size > 200_000
    else:
        assert len(points) == space.size == len(set(space.keys(points)))
        assert space.contains(points).all()
    if space.size is None or space.size >= 10:
        few = points is None and len(set(space.keys(space.sample(500, rng(1))))) < 50
        assert few or len(set(space.keys(np.concatenate([design, x[:3]])))) == 7 + len(set(space.keys(x[:3])))


def test_every_point_of_a_finite_space_is_drawn_and_counted():
    space = SearchSpace(
        [Integer("n", 1, 4), Discrete("T", [25, 40, 60]), Categorical("c", ["a", "b"])],
        [LinearConstraint({"n": 10, "T": 1}, upper=70)],
    )
    points = space.enumerate()
    assert space.size == len(points) == 2 * (4 + 3 + 1)
    counts = pd.Series(space.keys(space.sample(8000, rng()))).value_counts()
    assert len(counts) == space.size
    assert stats.chisquare(counts).pvalue > 1e-3
    assert space.enumerate(limit=15) is None


def test_logarithms_are_sampled_evenly():
    space = SearchSpace([Continuous("r", 1e-3, 1e3, log=True), Integer("n", 1, 1000, log=True)])
    x = space.sample(4000, rng())
    assert stats.kstest(np.log10(x[:, 0]), stats.uniform(-3, 6).cdf).pvalue > 1e-3
    assert np.isclose((x[:, 1] <= 31).mean(), np.log(31.5 / 0.5) / np.log(1000.5 / 0.5), atol=0.03)


def test_sizes():
    assert SearchSpace([Composition("x", ELEMENTS, max_components=4, step=0.1)]).size == 2121
    big = SearchSpace([Composition("x", [f"e{i}" for i in range(20)], step=0.01), Integer("n", 1, 10)])
    assert big.size == 10 * 4910371215196105953021
    assert big.enumerate() is None
    assert cu_alloys().size is None
    assert cu_alloys(step=0.05).size is None


def test_tiny_scales_are_no_rounding():
    space = SearchSpace(
        [Discrete("T", (0.0, 1e-6, 1.0)), Continuous("p", 0, 1e-9)],
        [LinearConstraint({"T": 1.0, "p": 1.0}, upper=9.6e-10)],
    )
    x = space.sample(100, rng())
    assert (x[:, 0] == 0).all()
    assert x[:, 1].max() <= 9.6e-10


def test_dtypes_and_labels():
    space = SearchSpace(
        [Integer("n", 1, 3), Discrete("T", [25, 40]), Categorical("c", ["a", "b"]), Categorical("k", [10, 20])]
    )
    frame = space.to_frame(space.sample(5, rng()))
    assert frame.dtypes.astype(str).to_dict() == {"n": "int64", "T": "float64", "c": "str", "k": "int64"}
    assert set(frame["k"]) <= {10, 20}


def test_tables_may_have_other_columns_rows_and_orders():
    space = cu_alloys()
    x = space.sample(4, rng())
    frame = space.to_frame(x)[list(space.columns)[::-1]].assign(fe_c2h4=np.nan)
    frame.index = pd.Index([7, 8, 9, 10], name="experiment")
    assert np.array_equal(space.to_array(frame), x)
    assert space.to_array(frame.iloc[:0]).shape == (0, len(space.columns))


def test_single_column_constraints_tighten_bounds():
    space = cu_alloys(
        LinearConstraint({"x_Cu": 1.0}, lower=0.2),
        LinearConstraint({"x_Al": 2.0}, upper=0.0),
        LinearConstraint({"potential": -1.0}, lower=1.0),
    )
    x = space.to_frame(space.sample(2000, rng()))
    assert x["x_Cu"].min() >= 0.2
    assert (x["x_Al"] == 0).all()
    assert x["potential"].max() <= -1.0
    assert (x["x_Cu"] > 0.2).all()
    assert stats.kstest((x["x_Cu"] - 0.2) / 0.8, stats.beta(1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x_Cu": 0.5}, "x: the fractions sum to"),
        ({"x_Cu": 0.85, "x_Ag": 0.05, "x_Zn": 0.05, "x_Al": 0.05}, "4 components are present, more than 3"),
        ({"x_Cu": 1.2, "x_Ag": -0.2, "x_Zn": 0.0}, "x_Cu is 1.2, above 1"),
        ({"potential": -1.6}, "potential is -1.6 V vs RHE, below -1.5 V vs RHE"),
        ({"n": 1.5}, "n is 1.5, not a whole number"),
        ({"n": 5}, "n is 5, above 4"),
        ({"T": 30}, "T is 30, which is none of its values"),
        ({"x_Cu": 0.1, "x_Ag": 0.9}, "the constraint 0.2 <= x_Cu is broken: the sum is 0.1"),
        ({"x_Cu": 0.33, "x_Ag": 0.67}, "off the step of 0.1"),
    ],
)
def test_violations_say_what_is_broken(change, text):
    space = SearchSpace(
        [
            Composition("x", ELEMENTS[:4], max_components=3, step=0.1),
            Continuous("potential", -1.5, -0.5, unit="V vs RHE"),
            Integer("n", 1, 4),
            Discrete("T", [25, 40]),
        ],
        [LinearConstraint({"x_Cu": 1.0}, lower=0.2)],
    )
    good = {"x_Cu": 0.6, "x_Ag": 0.4, "x_Zn": 0.0, "x_Al": 0.0, "potential": -1.0, "n": 2, "T": 40}
    array = space.to_array(pd.DataFrame([good, good | change]))
    first, second = space.violations(array)
    assert first == ""
    assert text in second
    assert space.contains(array).tolist() == [True, False]


def test_tolerance_forgives_rounding():
    space = cu_alloys()
    rounded = pd.DataFrame(
        [{"x_Cu": 0.333333, "x_Ag": 0.333333, "x_Zn": 0.333333, "x_Al": 0, "potential": -1.5 - 1e-9, "cation": "K"}]
    )
    assert space.contains(space.to_array(rounded)).all()
    assert not space.contains(space.to_array(rounded), tolerance=1e-12).any()


class TestKeys:
    def test_signed_zero_and_rounding_do_not_matter(self):
        space = SearchSpace([Continuous("p", -1, 1), Integer("n", 0, 10**12)])
        keys = space.keys(np.array([[0.0, 1], [-0.0, 1], [1e-12, 1], [1e-6, 1], [0.0, 2], [0.1 + 0.2, 1], [0.3, 1]]))
        assert keys[0] == keys[1] == keys[2]
        assert keys[5] == keys[6]
        assert len(set(keys)) == 4

    def test_logarithmic_columns_are_told_apart_at_their_low_end(self):
        space = SearchSpace([Continuous("r", 1e-9, 1, log=True)])
        assert len(set(space.keys(np.array([[1e-9], [1.1e-9], [0.0]])))) == 3

    def test_far_outside_is_no_overflow(self):
        space = SearchSpace([Continuous("p", 0, 1)])
        assert len(set(space.keys(np.array([[1e300], [-1e300]])))) == 2


class TestErrors:
    def test_no_parameters(self):
        with pytest.raises(SpaceError, match="needs a parameter"):
            SearchSpace([])

    def test_names_twice(self):
        with pytest.raises(SpaceError, match="two parameters have the name 'p'"):
            SearchSpace([Continuous("p", 0, 1), Integer("p", 0, 1)])
        with pytest.raises(SpaceError, match="two columns have the name 'x_Cu'"):
            SearchSpace([Composition("x", ["Cu", "Ag"]), Continuous("x_Cu", 0, 1)])

    @pytest.mark.parametrize("wrong", [{"type": "continuous", "name": "p"}, "p", LinearConstraint({"p": 1}, 0)])
    def test_no_parameter_at_all(self, wrong):
        with pytest.raises(SpaceError, match="is no parameter"):
            SearchSpace([Continuous("p", 0, 1), wrong])

    def test_no_constraint_at_all(self):
        with pytest.raises(SpaceError, match="is no constraint"):
            SearchSpace([Continuous("p", 0, 1)], [{"p": 1}])

    def test_unknown_column_in_a_constraint(self):
        with pytest.raises(SpaceError, match=r"no column 'x_Cuu'\. Did you mean 'x_Cu'\?") as caught:
            cu_alloys(LinearConstraint({"x_Cuu": 1.0}, lower=0))
        assert caught.value.field == "constraints.0.coefficients"

    def test_category_in_a_constraint(self):
        with pytest.raises(SpaceError, match="column 'cation' is categorical"):
            cu_alloys(LinearConstraint({"cation": 1.0}, lower=0))

    def test_the_constraints_in_conflict_are_named_and_no_others(self):
        with pytest.raises(InfeasibleSpaceError) as caught:
            cu_alloys(
                LinearConstraint({"potential": 1.0}, upper=-0.7),
                LinearConstraint({"x_Cu": 1.0, "x_Ag": 1.0}, lower=0.9),
                LinearConstraint({"x_Zn": 1.0}, lower=0.2),
                LinearConstraint({"x_Al": 1.0, "potential": 1.0}, upper=5),
            )
        text = str(caught.value)
        assert caught.value.field == "constraints"
        assert "'0.9 <= x_Cu + x_Ag' and '0.2 <= x_Zn' cannot hold together" in text
        assert "potential" not in text

    def test_one_constraint_against_the_bounds(self):
        with pytest.raises(InfeasibleSpaceError, match="the constraint '2 <= x_Cu' leaves no point"):
            cu_alloys(LinearConstraint({"x_Cu": 1.0}, lower=2))
        with pytest.raises(InfeasibleSpaceError, match="leaves no point"):
            cu_alloys(LinearConstraint({"x_Cu": 1.0, "potential": 1.0}, lower=0.6))

    def test_presence_counts_for_feasibility(self):
        constraints = [LinearConstraint({f"x_{e}": 1.0}, lower=0.1) for e in ELEMENTS[:4]]
        with pytest.raises(InfeasibleSpaceError, match="cannot hold together"):
            cu_alloys(*constraints)

    def test_steps_and_whole_numbers_count_for_feasibility(self):
        with pytest.raises(InfeasibleSpaceError):
            SearchSpace(
                [Composition("x", [f"e{i}" for i in range(20)], step=0.1), Integer("n", 0, 10**6)],
                [LinearConstraint({"x_e0": 1.0, "x_e1": 1.0, "n": 1.0}, lower=0.42, upper=0.48)],
            )

    def test_a_step_that_no_bounds_meet(self):
        with pytest.raises(InfeasibleSpaceError, match="grid of the step"):
            SearchSpace([Composition("x", ["A", "B"], step=0.5, bounds={"A": (0.1, 0.4)})])

    def test_descriptors_that_tell_nothing_apart(self):
        with pytest.raises(SpaceError, match="all categories have the same descriptors"):
            SearchSpace([Categorical("c", ["a", "b"], descriptors={"r": {"a": 1.0, "b": 1.0}})])

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"potential": None}, r"column 'potential', row 11: the value is missing"),
            ({"potential": "low"}, r"column 'potential', row 11: the value is 'low', no finite number"),
            ({"potential": np.inf}, r"row 11: the value is inf, no finite number"),
            ({"cation": "Kk"}, r"column 'cation', row 11: the value is 'Kk', no known category. Did you mean 'K'?"),
            ({"cation": None}, r"column 'cation', row 11: the value is missing"),
        ],
    )
    def test_entries_of_tables(self, change, text):
        space = cu_alloys()
        good = space.to_frame(space.sample(1, rng())).iloc[0].to_dict()
        frame = pd.DataFrame([good, good | change], index=[10, 11])
        with pytest.raises(SpaceError, match=text):
            space.to_array(frame)

    def test_columns_of_tables(self):
        space = cu_alloys()
        frame = space.to_frame(space.sample(2, rng()))
        with pytest.raises(SpaceError, match=r"column 'potential' is missing\. Did you mean 'potentail'\?"):
            space.to_array(frame.rename(columns={"potential": "potentail"}))
        with pytest.raises(SpaceError, match="'potential' is there more than once"):
            space.to_array(pd.concat([frame, frame[["potential"]]], axis=1))

    def test_arrays_of_a_wrong_shape(self):
        space = cu_alloys()
        for call in (space.contains, space.keys, space.to_frame, space.violations):
            with pytest.raises(SpaceError, match="do not fit 6 columns"):
                call(np.zeros((2, 5)))

    def test_rows_of_no_pool(self):
        with pytest.raises(SpaceError, match="no pool"):
            cu_alloys().row_of(np.zeros((1, 6)))


class TestPerturb:
    def test_scale_sets_the_length(self):
        space = SearchSpace([Continuous("p", 0, 10), Continuous("q", 1e-6, 1, log=True)])
        x = np.tile([5.0, 1e-3], (2000, 1))
        near, far = space.perturb(x, 0.01, rng()), space.perturb(x, 0.5, rng())
        assert 0.05 < np.abs(near[:, 0] - 5)[near[:, 0] != 5].mean() < 0.15
        assert np.abs(far[:, 0] - 5).mean() > 0.5
        assert np.abs(np.log10(near[:, 1]) + 3).max() < 0.5

    def test_every_composition_is_reached(self):
        """A walk of small moves comes everywhere, faces and corners included."""
        space = SearchSpace([Composition("x", ELEMENTS[:4], max_components=2, step=0.25)])
        x = np.tile(space.enumerate()[0], (400, 1))
        seen = set()
        for i in range(60):
            x = space.perturb(x, 0.1, rng(i))
            seen |= set(space.keys(x))
        assert len(seen) == space.size

    def test_continuous_walks_reach_all_faces(self):
        space = SearchSpace([Composition("x", ELEMENTS[:5], max_components=2)])
        x = np.tile(space.sample(1, rng()), (300, 1))
        supports = set()
        for i in range(60):
            x = space.perturb(x, 0.2, rng(i))
            supports |= set(map(tuple, x > 0))
        assert len(supports) == 5 + 10

    def test_equalities_do_not_stop_the_walk(self):
        space = cu_alloys(LinearConstraint({"x_Cu": 1.0, "potential": 1.0}, lower=-0.5, upper=-0.5))
        x = space.sample(500, rng())
        moved = space.perturb(x, 0.2, rng())
        changed = (np.abs(moved - x) > 1e-6).any(axis=0)
        assert changed[:5].all()

    def test_numbers_and_labels_move_one_at_least(self):
        space = SearchSpace([Integer("n", 0, 10), Discrete("T", [25, 40, 60]), Categorical("c", ["a", "b", "d"])])
        x = space.sample(500, rng())
        assert (space.perturb(x, 1e-6, rng()) != x).any(axis=1).all()

    def test_no_points(self):
        assert cu_alloys().perturb(np.zeros((0, 6)), 0.1, rng()).shape == (0, 6)


def test_spaces_survive_pickling():
    space = cu_alloys(LinearConstraint({"x_Cu": 1.0, "x_Ag": 1.0}, lower=0.5, upper=0.5))
    before = space.sample(20, rng())
    copy = pickle.loads(pickle.dumps(space))
    assert np.array_equal(copy.sample(20, rng()), before)
    assert copy.parameters == space.parameters
    assert np.array_equal(copy.encoding(before), space.encoding(before))


def test_what_a_space_shows():
    space = cu_alloys()
    assert space.columns == ("x_Cu", "x_Ag", "x_Zn", "x_Al", "potential", "cation")
    assert space.pool is None
    assert space.notices == ()
    assert repr(space).startswith("SearchSpace([Composition(")
    with pytest.raises(AttributeError):
        space.columns = ()


def test_importing_the_package_costs_nothing():
    code = "import sys, acquisition; print([m for m in ('pandas', 'numpy', 'pydantic', 'scipy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
    code = "import sys; from acquisition import SearchSpace; print([m for m in ('scipy', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_unknown_public_name():
    import acquisition

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        acquisition.Nothing  # noqa: B018
    assert set(acquisition.__all__) <= set(dir(acquisition))
