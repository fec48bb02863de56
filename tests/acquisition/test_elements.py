"""Properties of elements, and what models see of them through compositions."""

import math
from importlib import resources

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition import Categorical, Composition, Continuous, SearchSpace, SpaceError, elements
from acquisition.elements import describe, symbols
from tests.acquisition.test_space import spaces


def rng(seed=0):
    return np.random.default_rng(seed)


def test_known_values():
    table = describe(["Cu", "Ag", "Pb", "Na"], elements.properties())
    assert table.loc["Cu", "atomic_number"] == 29
    assert table.loc["Ag", "electronegativity"] == 1.93
    assert table.loc["Pb", "melting_point"] == pytest.approx(600.6, abs=0.1)
    assert table.loc["Cu", "ionisation_energy"] == pytest.approx(7.72638, abs=1e-4)
    assert table.loc["Na", "group"] == 1
    assert table.loc["Cu", "d_electrons"] == 10
    # the work function of copper is 4.5 eV, that of lead 4.25 eV
    assert table.loc["Cu", "work_function_scale"] == pytest.approx(4.5, abs=0.1)
    assert table.loc["Pb", "work_function_scale"] == pytest.approx(4.25, abs=0.2)


def test_the_table_says_what_it_holds():
    text = resources.files("acquisition").joinpath("data/README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in elements.properties())


def test_what_is_not_known_of_a_component_is_left_out():
    assert "electron_affinity" not in describe(["Cu", "Zn"], ["electron_affinity", "density"])
    assert list(describe(["Cu", "O"]).columns) == [
        "group",
        "electronegativity",
        "covalent_radius",
        "heat_of_atomisation",
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Cu", "Ag"], ("Cu", "Ag")),
        (["ni_load", "fe_load"], ("Ni", "Fe")),
        (["Cu wt", "In wt"], ("Cu", "In")),
        (["ni", "c"], ("Ni", "C")),
        (["b", "c"], None),
        (["Cu", "Cu_load"], None),
        (["ni_load", "fe_mass"], None),
        (["Cu_1", "Cu_1"], None),
        (["Cu", "Xx"], None),
        (["CU", "AG"], None),
    ],
)
def test_names_of_elements(names, expected):
    assert symbols(names) == expected


def test_ways_to_see_a_space():
    alloys = SearchSpace([Composition("x", ["Cu", "Ag", "Zn"]), Continuous("p", 0, 1)])
    assert list(alloys.encodings) == ["fractions", "roots", "descriptors", "roots+descriptors"]
    assert alloys.encodings["fractions"].names == ("x_Cu", "x_Ag", "x_Zn", "p")
    assert alloys.encoding is alloys.encodings["roots"]
    names = alloys.encodings["descriptors"].names
    assert names[:4] == ("x_Cu", "x_Ag", "x_Zn", "p")
    assert names[4] == "x.mean(group)"
    assert names[-1].startswith("x.spread(")
    assert set(alloys.encodings["descriptors"].kinds[4:]) == {"descriptor"}
    assert alloys.encodings["descriptors"].groups.tolist() == [0, 0, 0, 1] + [0] * (len(names) - 4)
    strange = SearchSpace([Composition("x", ["A", "B"])])
    assert list(strange.encodings) == ["fractions", "roots"]
    plain = SearchSpace([Continuous("p", 0, 1), Categorical("salt", ["a", "b"])])
    assert list(plain.encodings) == ["plain"]
    assert plain.encoding.groups.tolist() == [0, 1, 1]
    with pytest.raises(KeyError):
        plain.encodings["roots"]
    asked = SearchSpace([Composition("x", ["Cu", "Ag", "Zn"], descriptors=["density"])])
    assert asked.encoding is asked.encodings["roots+descriptors"]
    assert asked.encoding.names[-2:] == ("x.mean(density)", "x.spread(density)")


def test_pools_have_them_too():
    table = pd.DataFrame(rng().dirichlet(np.ones(3), 50), columns=["ni_load", "fe_load", "ce_load"])
    space = SearchSpace.from_pool(table.assign(T=np.arange(50.0)))
    assert "descriptors" in space.encodings
    features = space.encodings["descriptors"](space.array)
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 5


def test_means_and_spreads_of_mixtures():
    table = pd.DataFrame({"radius": [1.0, 2.0, 6.0], "same": 1.0, "again": [10.0, 20.0, 60.0]}, index=list("ABC"))
    space = SearchSpace([Composition("x", list("ABC"), descriptors=table)])
    encoding = space.encodings["descriptors"]
    assert encoding.names[3:] == ("x.mean(radius)", "x.spread(radius)")
    values = (table["radius"] - 3) / table["radius"].std(ddof=0)
    x = np.array([[1, 0, 0], [0.5, 0.25, 0.25], [0.2, 0.1, 0.1]])
    features = encoding(x)[:, 3:]
    assert features[0] == pytest.approx([values["A"], 0])
    mean = 0.5 * values["A"] + 0.25 * (values["B"] + values["C"])
    variance = 0.5 * values["A"] ** 2 + 0.25 * (values["B"] ** 2 + values["C"] ** 2) - mean**2
    assert features[1] == pytest.approx([mean, math.sqrt(variance)])
    assert features[2] == pytest.approx(features[1])  # a measured composition may sum to anything


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_way_holds_for_any_space(space, seed):
    x = space.sample(20, rng(seed))
    for encoding in space.encodings.values():
        features = encoding(x)
        assert features.shape == (20, len(encoding.names))
        assert len(encoding.kinds) == len(encoding.groups) == len(encoding.names) == len(set(encoding.names))
        for name, own in zip(encoding.names, encoding.groups, strict=True):
            parameter = space.parameters[own]
            assert name.startswith((parameter.name, f"sqrt({parameter.name}"))
        assert np.isfinite(features).all()
        points = torch.from_numpy(x).requires_grad_()
        columns = encoding(points)
        assert np.allclose(columns.detach().numpy(), features, atol=1e-12)
        if columns.requires_grad:
            columns.sum().backward()
            assert torch.isfinite(points.grad).all()


def test_descriptors_that_do_not_fit():
    with pytest.raises(SpaceError, match="'A' is no symbol"):
        Composition("x", ["A", "B"], descriptors="elements")
    with pytest.raises(SpaceError, match=r"no property 'colour'.*electronegativity"):
        Composition("x", ["Cu", "Ag"], descriptors=["colour"])
    with pytest.raises(SpaceError, match="descriptors are 'element'"):
        Composition("x", ["Cu", "Ag"], descriptors="element")
    with pytest.raises(SpaceError, match="no descriptors for Ag"):
        Composition("x", ["Cu", "Ag"], descriptors={"r": {"Cu": 1.0}})
    with pytest.raises(SpaceError, match="no property is known of all"):
        Composition("x", ["Cu", "Zn"], descriptors=["electron_affinity"])
    with pytest.raises(SpaceError, match="finite"):
        Composition("x", ["Cu", "Ag"], descriptors={"r": {"Cu": 1.0, "Ag": math.nan}})
    with pytest.raises(SpaceError, match="same descriptors"):
        SearchSpace([Composition("x", ["Cu", "Ag"], descriptors={"r": {"Cu": 1.0, "Ag": 1.0}})])


def test_equality_and_hash_know_of_descriptors():
    one = Composition("x", ["Cu", "Ag"], descriptors={"r": {"Cu": 1.0, "Ag": 2.0}})
    two = Composition("x", ["Cu", "Ag"], descriptors={"r": {"Ag": 2, "Cu": 1}})
    assert one == two
    assert hash(one) == hash(two)
    assert one != Composition("x", ["Cu", "Ag"], descriptors={"r": {"Ag": 2, "Cu": 3}})
    assert one != Composition("x", ["Cu", "Ag"])
    assert Composition("x", ["Cu", "Ag"], bounds={"Cu": (0, 1)}) == Composition("x", ["Cu", "Ag"])
