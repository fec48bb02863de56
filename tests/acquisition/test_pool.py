"""Pools: any honest table becomes a space, any other is refused with a reason."""

import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from acquisition import Categorical, Composition, Continuous, SearchSpace, SpaceError

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def rng(seed=0):
    return np.random.default_rng(seed)


def table(name):
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not there: the shared data folder is no part of the repository")
    return pd.read_csv(DATA / name)


def plate():
    return pd.DataFrame(
        {
            "x_Cu": [1.0, 0.5, 0.5, 0.25],
            "x_Ag": [0.0, 0.5, 0.0, 0.25],
            "x_Zn": [0.0, 0.0, 0.5, 0.5],
            "T": [25, 25, 40, 60],
            "cation": ["K", "Li", "K", "K"],
        }
    )


class TestReading:
    def test_columns_rows_and_records(self):
        space = SearchSpace.from_pool(plate())
        assert space.columns == ("x_Cu", "x_Ag", "x_Zn", "T", "cation")
        assert space.size == 4
        assert space.notices == ()
        assert space.parameters == (
            Composition("x", ["Cu", "Ag", "Zn"], max_components=3),
            Continuous("T", 25, 60),
            Categorical("cation", ["K", "Li"]),
        )
        pd.testing.assert_frame_equal(space.pool, plate())
        pd.testing.assert_frame_equal(space.to_frame(space.to_array(plate())), plate())

    def test_encoding(self):
        encoding = SearchSpace.from_pool(plate().assign(pH=7.2)).encoding
        assert encoding.names == (
            *("x_Cu", "x_Ag", "x_Zn", "sqrt(x_Cu)", "sqrt(x_Ag)", "sqrt(x_Zn)"),
            *("T", "cation=K", "cation=Li"),
        )
        space = SearchSpace.from_pool(plate())
        features = space.encoding(space.to_array(plate()))
        assert np.allclose(features[:, 6], [0, 0, 15 / 35, 1])
        assert features.min() == 0
        assert features.max() == 1

    def test_the_table_given_is_left_alone(self):
        frame = plate().assign(x_Cu=lambda f: f["x_Cu"] + [0.001, 0, 0, 0])
        before = frame.copy()
        space = SearchSpace.from_pool(frame)
        pd.testing.assert_frame_equal(frame, before)
        frame.loc[0, "T"] = 99
        copy = space.pool
        copy.loc[0, "T"] = 98
        assert space.pool.loc[0, "T"] == 25

    def test_equal_rows_are_one_candidate(self):
        frame = pd.concat([plate(), plate().iloc[[2, 0]].assign(x_Cu=lambda f: f["x_Cu"] + 1e-13)])
        space = SearchSpace.from_pool(frame)
        assert space.size == 4
        assert space.notices == ("2 rows repeat others; equal rows are one candidate",)
        assert space.pool.index.tolist() == [0, 1, 2, 3]
        assert space.row_of(space.to_array(frame)).tolist() == [0, 1, 2, 3, 2, 0]

    def test_rounded_fractions_are_renormalised_with_a_notice(self):
        frame = plate()
        frame.loc[3, ["x_Cu", "x_Ag", "x_Zn"]] = [0.333, 0.333, 0.333]
        space = SearchSpace.from_pool(frame)
        assert space.notices == ("1 row of fractions renormalised to a sum of 1",)
        assert np.allclose(space.pool.loc[3, ["x_Cu", "x_Ag", "x_Zn"]].astype(float), 1 / 3, atol=1e-15)
        assert space.row_of(space.to_array(frame)).tolist() == [0, 1, 2, 3]

    def test_constant_columns_are_kept_but_mean_nothing(self):
        space = SearchSpace.from_pool(plate().assign(pH=7.2, electrolyte="KHCO3"))
        assert space.columns[-2:] == ("pH", "electrolyte")
        assert [parameter.name for parameter in space.parameters] == ["x", "T", "cation"]
        assert space.encoding.names == SearchSpace.from_pool(plate()).encoding.names

    def test_a_single_row(self):
        space = SearchSpace.from_pool(plate().iloc[:1])
        assert space.size == 1
        assert space.design(1, rng()).shape == (1, 5)
        assert space.encoding(space.enumerate()).shape == (1, 0)
        assert np.array_equal(space.perturb(space.enumerate(), 0.5, rng()), space.enumerate())

    def test_dtypes_come_back(self):
        frame = pd.DataFrame(
            {
                "small": np.array([1, 2, 3], dtype=np.int8),
                "flag": [True, False, True],
                "nullable": pd.array([1, 2, 3], dtype="Int64"),
                "single": np.array([0.5, 1.5, 2.5], dtype=np.float32),
                "text": ["1.5", "2", "3"],
                "exact": [Decimal("0.1"), Decimal("0.2"), Decimal("3")],
                "kind": pd.Categorical(["b", "a", "b"]),
            }
        )
        space = SearchSpace.from_pool(frame)
        back = space.to_frame(space.to_array(frame))
        assert back.dtypes.astype(str).to_dict() == {
            "small": "int8",
            "flag": "bool",
            "nullable": "Int64",
            "single": "float64",
            "text": "float64",
            "exact": "float64",
            "kind": "str",
        }
        assert back["flag"].tolist() == [True, False, True]
        assert back["kind"].tolist() == ["b", "a", "b"]

    def test_numbers_may_be_declared_categories(self):
        space = SearchSpace.from_pool(pd.DataFrame({"batch": [3, 1, 3], "p": [1.0, 2, 3]}), categorical=["batch"])
        assert space.parameters[0] == Categorical("batch", [1, 3])
        assert space.encoding.names == ("batch=1", "batch=3", "p")
        assert space.to_frame(space.enumerate())["batch"].tolist() == [3, 1, 3]

    def test_mixed_entries_may_be_declared_categories(self):
        space = SearchSpace.from_pool(pd.DataFrame({"alloy": ["316", "Pt", "304"]}), categorical=["alloy"])
        assert space.parameters[0].values == ("304", "316", "Pt")
        mixed = SearchSpace.from_pool(pd.DataFrame({"alloy": [316, "Pt", 304]}), categorical=["alloy"])
        assert mixed.parameters[0].values == (304, 316, "Pt")

    def test_stages(self):
        space = SearchSpace.from_pool(plate(), stages={"x": "preparation", "cation": "preparation"})
        assert {p.name: p.stage for p in space.parameters} == {
            "x": "preparation",
            "T": "condition",
            "cation": "preparation",
        }
        by_column = SearchSpace.from_pool(plate(), stages={"x_Ag": "preparation"})
        assert by_column.parameters[0].stage == "preparation"

    def test_labels_that_never_repeat_are_noticed(self):
        space = SearchSpace.from_pool(plate().assign(id=["a", "b", "c", "d"]))
        assert "column 'id' has another label in every row" in space.notices[0]


class TestCompositions:
    def test_found_by_prefix(self):
        frame = pd.DataFrame({
            "x_Cu": [0.5, 1.0], "x_Ag": [0.5, 0.0], "gas_CO2": [0.9, 0.2], "gas_N2": [0.1, 0.8], "load_mg": [0.3, 0.2],
        })  # fmt: skip
        space = SearchSpace.from_pool(frame)
        assert [p.name for p in space.parameters] == ["x", "gas", "load_mg"]
        assert space.encoding.kinds.count("fraction") == 4

    def test_found_without_a_prefix(self):
        frame = pd.DataFrame({"ni_load": [0.5, 1.0], "fe_load": [0.5, 0.0], "T": [25.0, 40.0]})
        (composition, _) = SearchSpace.from_pool(frame).parameters
        assert composition.columns == ("ni_load", "fe_load")

    def test_long_prefixes(self):
        frame = pd.DataFrame({"cat_x_Cu": [0.5, 1.0], "cat_x_Ag": [0.5, 0.0], "cat_mg": [3.0, 4.0]})
        assert SearchSpace.from_pool(frame).parameters[0] == Composition("cat_x", ["Cu", "Ag"], max_components=2)

    def test_declared(self):
        frame = pd.DataFrame({"cu": [0.5, 1.0], "ag": [0.5, 0.0], "p": [0.2, 0.3]})
        assert SearchSpace.from_pool(frame).encoding.kinds == ("continuous",) * 3
        space = SearchSpace.from_pool(frame, compositions={"x": ["cu", "ag"]})
        assert space.parameters[0].columns == ("cu", "ag")
        assert space.encoding.kinds == ("fraction",) * 2 + ("root_fraction",) * 2 + ("continuous",)

    def test_none_wanted(self):
        assert "fraction" not in SearchSpace.from_pool(plate(), compositions={}).encoding.kinds

    @pytest.mark.parametrize(
        ("compositions", "text"),
        [
            ({"x": ["x_Cu", "x_Zm"]}, r"no column 'x_Zm'\. Did you mean 'x_Zn'\?"),
            ({"x": ["x_Cu"]}, "needs two columns"),
            ({"x": "x_Cu"}, "needs two columns"),
            ({"x": ["x_Cu", "x_Ag"], "y": ["x_Ag", "x_Zn"]}, "column 'x_Ag' is there twice"),
            ({"x": ["x_Cu", "cation"]}, "no numbers"),
            ({"x": ["x_Cu", "x_Ag"]}, r"composition 'x', row 2: the fractions sum to 0\.5, not to 1"),
            ({"x": ["x_Cu", "T"]}, "row 0: the fractions sum to 26"),
        ],
    )
    def test_declared_wrongly(self, compositions, text):
        with pytest.raises(SpaceError, match=text):
            SearchSpace.from_pool(plate(), compositions=compositions)

    def test_per_cent_and_negatives(self):
        frame = pd.DataFrame({"cu": [50.0, 100.0], "ag": [50.0, 0.0]}, index=["first", "second"])
        with pytest.raises(SpaceError, match=r"row 'first': the fractions sum to 100, not to 1\. Divide per cent"):
            SearchSpace.from_pool(frame, compositions={"x": ["cu", "ag"]})
        frame = pd.DataFrame({"cu": [0.5, 1.1], "ag": [0.5, -0.1]})
        with pytest.raises(SpaceError, match="row 1: a fraction is negative"):
            SearchSpace.from_pool(frame, compositions={"x": ["cu", "ag"]})


class TestRefused:
    @pytest.mark.parametrize(
        ("frame", "text"),
        [
            (lambda: plate().iloc[:0], "the pool is empty"),
            (lambda: pd.DataFrame(index=range(3)), "no columns"),
            (lambda: pd.concat([plate(), plate()[["T"]]], axis=1), "has column 'T' more than once"),
            (lambda: plate().rename(columns={"T": 5}), "column 5 has no proper name"),
            (lambda: plate().rename(columns={"T": "experiment"}), "name of experiments' ids"),
            (lambda: plate().assign(T=[25, None, 40, None]), r"column 'T', row 1: the value is missing \(2 missing"),
            (lambda: plate().assign(cation=["K", None, "K", "K"]), "column 'cation', row 1: the value is missing"),
            (lambda: plate().assign(T=[25, np.inf, 40, 60]), "column 'T', row 1: inf is not finite"),
            (
                lambda: plate().assign(T=["25", "40", "n/a", "60"]),
                "column 'T', row 2: 'n/a' is no number, unlike 3 of 4",
            ),
            (lambda: plate().assign(T=[25, 40, "", 60]), "column 'T', row 2: '' is no number"),
            (lambda: plate().assign(T=pd.Timestamp("2026-01-01")), "holds datetime64"),
            (lambda: plate().assign(T=[1j, 2, 3, 4]), "holds complex128"),
            (lambda: plate().assign(T=[[1], [2], [3], [4]]), "holds object"),
            (lambda: [1, 2], "is a DataFrame, not list"),
        ],
    )
    def test_with_a_reason(self, frame, text):
        with pytest.raises(SpaceError, match=text):
            SearchSpace.from_pool(frame())

    def test_wrong_names(self):
        with pytest.raises(SpaceError, match=r"no column 'catoin'\. Did you mean 'cation'\?"):
            SearchSpace.from_pool(plate(), categorical=["catoin"])
        with pytest.raises(SpaceError, match="'y' is neither column nor composition"):
            SearchSpace.from_pool(plate(), stages={"y": "preparation"})
        with pytest.raises(SpaceError, match="columns of composition 'x' disagree"):
            SearchSpace.from_pool(plate(), stages={"x_Cu": "preparation", "x_Ag": "condition"})


class TestUse:
    def test_rows_are_drawn_alike(self):
        space = SearchSpace.from_pool(plate())
        counts = np.bincount(space.row_of(space.sample(4000, rng())))
        assert stats.chisquare(counts).pvalue > 1e-3

    def test_matching_has_a_tolerance(self):
        space = SearchSpace.from_pool(plate())
        x = space.enumerate()
        near, far, other = x + 0, x + 0, x + 0
        near[:, 0] += 9e-7
        far[:, 3] += 1e-3
        other[:, 4] = 1 - other[:, 4]
        assert space.row_of(near).tolist() == [0, 1, 2, 3]
        assert space.row_of(far).tolist() == [-1] * 4
        assert space.row_of(far, tolerance=1e-3).tolist() == [0, 1, 2, 3]
        assert space.row_of(other).tolist() == [-1] * 4
        assert space.violations(np.concatenate([x[:1], far[:1]])) == ["", "no row of the pool"]

    def test_the_nearest_of_close_rows_matches(self):
        space = SearchSpace.from_pool(pd.DataFrame({"p": [0.0, 3e-7, 6e-7, 1.0], "q": [0.0, 0.0, 0.0, 1.0]}))
        assert space.row_of(space.enumerate()).tolist() == [0, 1, 2, 3]
        assert space.row_of(space.enumerate() + np.array([1e-7, 0])).tolist() == [0, 1, 2, 3]

    def test_perturb_goes_to_near_rows(self):
        grid = pd.DataFrame({"a": np.repeat(np.arange(30.0), 30), "b": np.tile(np.arange(30.0), 30)})
        space = SearchSpace.from_pool(grid)
        x = space.sample(500, rng())
        near, far = space.perturb(x, 0.005, rng()), space.perturb(x, 1.0, rng())
        assert (near != x).any(axis=1).all()
        assert space.contains(near).all()
        assert np.abs(near - x).max() <= 3
        assert np.abs(far - x).max() > 3

    def test_many_categories_are_no_burden(self):
        n = 3000
        frame = pd.DataFrame({"ligand": [f"L{i}" for i in range(n)], "p": rng().random(n)})
        space = SearchSpace.from_pool(frame)
        x = space.sample(20, rng())
        moved = space.perturb(x, 0.1, rng())
        assert (space.row_of(moved) >= 0).all()
        assert (space.row_of(moved) != space.row_of(x)).all()

    def test_enumeration_has_a_limit(self):
        space = SearchSpace.from_pool(plate())
        assert space.enumerate(limit=3) is None
        assert space.enumerate(limit=4).shape == (4, 5)


@st.composite
def pools(draw):
    n = draw(st.integers(1, 30))
    generator = rng(draw(st.integers(0, 999)))
    pieces = {
        "x": pd.DataFrame(generator.dirichlet(np.ones(3), n).round(3), columns=["x_a", "x_b", "x_c"]),
        "n": pd.DataFrame({"n": generator.integers(0, 4, n)}),
        "p": pd.DataFrame({"p": generator.normal(size=n) * draw(st.sampled_from([1e-9, 1.0, 1e9]))}),
        "c": pd.DataFrame({"c": generator.choice(["u", "v", "w"], n)}),
        "k": pd.DataFrame({"k": np.full(n, 3.5)}),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(pieces)), min_size=1, max_size=5, unique=True))
    return pd.concat([pieces[name] for name in chosen], axis=1)


@given(pools(), st.integers(0, 99))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_holds_for_any_pool(frame, seed):
    space = SearchSpace.from_pool(frame)
    array = space.to_array(frame)
    rows = space.row_of(array)
    assert (rows >= 0).all()
    assert len(set(rows.tolist())) == space.size == len(set(space.keys(array)))
    everything = space.enumerate()
    assert space.row_of(everything).tolist() == list(range(space.size))
    assert np.array_equal(space.to_array(space.to_frame(everything)), everything)
    x = space.sample(25, rng(seed))
    assert space.contains(x).all()
    assert np.isfinite(space.encoding(x)).all()
    assert (space.row_of(space.perturb(x, 0.3, rng(seed))) >= 0).all()
    design = space.design(8, rng(seed), existing=x[:2])
    assert len(design) == 8
    wanted = min(8, space.size - len(set(space.keys(x[:2]))))
    assert len(set(space.keys(design)) - set(space.keys(x[:2]))) >= wanted


def test_a_million_rows_take_seconds():
    n = 1_000_000
    frame = pd.DataFrame(rng().dirichlet(np.ones(4), n), columns=list("abcd")).assign(
        T=rng(1).choice([25.0, 40.0, 60.0], n), cation=rng(2).choice(["K", "Li", "Na"], n)
    )
    started = time.perf_counter()
    space = SearchSpace.from_pool(frame)
    x = space.sample(100, rng())
    assert (space.row_of(x) >= 0).all()
    assert space.design(20, rng()).shape == (20, 6)
    assert space.contains(space.perturb(x, 0.01, rng())).all()
    part = space.given(x[0], ["T", "cation"])
    assert part.size == (space.array[:, 4:] == x[0, 4:]).all(axis=1).sum()
    assert part.sample(9, rng()).shape == (9, 6)
    assert time.perf_counter() - started < 10
    assert space.size == n


class TestRealTables:
    def test_oxygen_evolution_plate(self):
        frame = table("oer_plate_3496.csv")
        space = SearchSpace.from_pool(frame[[c for c in frame if c.endswith("_load")]])
        assert space.size == 2121
        assert space.parameters[0].max_components == 4
        assert space.encoding.kinds == ("fraction",) * 6 + ("root_fraction",) * 6
        native = SearchSpace([Composition("x", list("abcdef"), max_components=4, step=0.1)])
        assert native.size == space.size
        assert native.contains(space.enumerate()).all()

    def test_open_catalyst_experiments(self):
        frame = table("ocx24_uoft.csv")
        space = SearchSpace.from_pool(frame[[c for c in frame if c.startswith("t_")]])
        assert [p.name for p in space.parameters] == ["t"]
        assert space.size < len(frame)
        assert space.row_of(space.to_array(frame)).min() >= 0

    def test_replicates(self):
        frame = table("crossed_barrel.csv")
        space = SearchSpace.from_pool(frame[["n", "theta", "r", "t"]])
        assert space.size == 600
        assert space.notices == ("1200 rows repeat others; equal rows are one candidate",)


def test_the_native_rows_are_there_without_a_copy():
    space = SearchSpace.from_pool(pd.DataFrame({"a": [1.0, 2.0, 1.0], "b": ["x", "y", "x"]}))
    assert np.array_equal(space.array, [[1, 0], [2, 1]])
    assert np.array_equal(space.to_array(space.pool), space.array)
    assert np.shares_memory(space.array, space.array)
    with pytest.raises(ValueError, match="read-only"):
        space.array[0, 0] = 5.0
    assert SearchSpace([Continuous("p", 0, 1)]).array is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1e-12, 1.0]), st.sampled_from([3.0, -1.0])), min_size=1))
def test_only_the_first_of_equal_rows_is_kept(rows):
    layout = SearchSpace([Continuous("a", 0, 1), Continuous("b", -1, 3)])._domain.layout
    array = np.array(rows)
    seen, expected = set(), []
    for key in layout.keys(array):
        expected.append(key not in seen)
        seen.add(key)
    assert layout.first(array).tolist() == expected
