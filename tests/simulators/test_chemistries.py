from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from instruments import METRICS, LabError
from simulators import CHEMISTRIES, ChemistryError, chemistry
from simulators.chemistries import FIGURES
from simulators.constants import SIMULATED
from simulators.settings import SETTINGS

ALLOYS = ("Cu", "Ag", "Au", "Zn", "Sn", "Al")


def random_points(count: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    fractions = generator.dirichlet(np.full(len(ALLOYS), 0.5), count)
    points = pd.DataFrame(fractions, columns=[f"x_{name}" for name in ALLOYS])
    return points.assign(potential=generator.uniform(-1.5, -0.5, count))


@pytest.mark.parametrize("name", sorted(CHEMISTRIES))
@pytest.mark.parametrize("world", ["nominal", "shifted", "null"])
def test_every_chemistry_has_a_space_and_a_truth(name: str, world: str) -> None:
    virtual = chemistry(name, world=world, seed=2)
    row: dict[str, object] = {}
    for parameter in virtual.space["parameters"]:
        if parameter["type"] == "composition":
            components = parameter["components"]
            row |= {f"{parameter['name']}_{component}": 1 / len(components) for component in components}
        elif parameter["type"] == "categorical":
            row[parameter["name"]] = parameter["values"][0]
        else:
            row[parameter["name"]] = 0.5 * (parameter["low"] + parameter["high"])
    assert set(row) == set(virtual.columns)
    truth = virtual.truth(pd.DataFrame([row]))
    assert list(truth.columns) == list(FIGURES)
    assert set(FIGURES) <= set(METRICS)
    assert virtual.definition.target in FIGURES
    assert truth["fe_total"].iloc[0] == pytest.approx(1.0, abs=1e-9)


def test_the_space_is_a_copy() -> None:
    virtual = chemistry("cu_alloys")
    virtual.space["parameters"].clear()
    virtual.space["parameters"][0]["components"].append("Pt")
    assert virtual.space["parameters"][0]["components"] == list(ALLOYS)


def test_the_truth_is_consistent() -> None:
    points = random_points(300).set_index(pd.Index(range(1000, 1300), name="experiment"))
    truth = chemistry("cu_alloys").truth(points)
    assert truth.index.equals(points.index)
    assert set(truth.columns) <= set(METRICS)
    assert np.isfinite(truth.to_numpy()).all()
    assert truth["fe_total"].to_numpy() == pytest.approx(1.0, abs=1e-9)
    carbon = ["c2h4", "c2h5oh", "ch3coo", "c3h7oh"]
    np.testing.assert_allclose(truth["fe_c2plus"], truth[[f"fe_{p}" for p in carbon]].sum(axis=1))
    np.testing.assert_allclose(truth["j_total"], truth[[f"j_{p}" for p in SIMULATED]].sum(axis=1))
    np.testing.assert_allclose(truth["fe_co"] * truth["j_total"], truth["j_co"])
    np.testing.assert_allclose(truth["e_rhe"], points["potential"])


def test_the_callers_threads_and_types_do_not_matter() -> None:
    points = random_points(64)
    before, kind = torch.get_num_threads(), torch.get_default_dtype()
    answers = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        answers.append(chemistry("cu_alloys").truth(points))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    pd.testing.assert_frame_equal(*answers, check_exact=True)
    assert torch.get_default_dtype() is kind


def test_what_a_space_leaves_out_takes_its_default() -> None:
    virtual = chemistry("cu_alloys")
    short = virtual.truth(pd.DataFrame({"potential": [-1.0]}))
    full = virtual.truth(
        pd.DataFrame(
            [
                {"alloy_Cu": 1.0, "alloy_Pt": 0.0, "cation": "K", "potential": -1.0}
                | {
                    n: each.default
                    for n, each in SETTINGS["h_cell"].items()
                    if n not in ("potential", "current_density")
                }
            ]
        )
    )
    pd.testing.assert_frame_equal(short, full, rtol=1e-9)


def test_settings_act_as_they_should() -> None:
    virtual = chemistry("cu_alloys")
    points = pd.DataFrame({"potential": -1.0, "cation": ["Li", "K", "Cs"]})
    assert virtual.truth(points)["j_c2h4"].is_monotonic_increasing
    points = pd.DataFrame({"potential": -1.1, "boundary_layer": [50.0, 100.0, 200.0]})
    assert virtual.truth(points)["fe_h2"].is_monotonic_increasing
    points = pd.DataFrame({"potential": -1.0, "temperature": [280.0, 298.15, 320.0]})
    assert virtual.truth(points)["j_total"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ({"x_Cu": [1.0], "potental": [-1.0]}, "Did you mean 'potential'"),
        ({"x_Cu": [0.5], "x_Xx": [0.5]}, "element 'Xx' that the model does not know. The model knows Cu, Ag"),
        ({"x_Cu": [0.5], "x_Agg": [0.5]}, r"Did you mean 'Ag'\?"),
        ({"electrolyte": ["hydroxide"]}, r"'electrolyte' means nothing in a cell of this kind \(h_cell\)"),
        ({"gas_flow": [20.0]}, r"'gas_flow' means nothing in a cell of this kind \(h_cell\)"),
        ({"x_Cu": [0.5], "y_Ag": [0.5]}, "two compositions"),
        ({"x_Cu": [0.5], "x_Ag": [0.4]}, "sum to 0.9"),
        ({"x_Cu": [1.2], "x_Ag": [-0.2]}, "within 0 and 1"),
        ({"x_Cu": [np.nan], "x_Ag": [1.0]}, "no setting"),
        ({"potential": [np.inf]}, "no setting"),
        ({"potential": ["low"]}, "number is wanted"),
        ({"potential": [0.3]}, "within -2 and -0.2 V vs RHE"),
        ({"temperature": [25.0]}, "within 273.15 and 353.15 K"),
        ({"cation": ["Na+"]}, "Did you mean 'Na'"),
        ({"metal": ["cu"]}, "Did you mean 'Cu'"),
        ({"metal": ["Cu"], "x_Cu": [1.0]}, "both a composition and a metal"),
        ({}, "need columns"),
    ],
)
def test_impossible_points_say_why(points: dict[str, list[object]], words: str) -> None:
    with pytest.raises(LabError, match=words):
        chemistry("cu_alloys").truth(pd.DataFrame(points))


def test_unknown_names_say_what_is_near() -> None:
    with pytest.raises(ChemistryError, match="Did you mean 'cu_alloys'"):
        chemistry("cu_aloys")
    with pytest.raises(ChemistryError, match="Did you mean 'shifted'"):
        chemistry("cu_alloys", world="shiftd")
    with pytest.raises(ChemistryError, match="Did you mean 'fe_c2h4'"):
        chemistry("cu_alloys").optimum("fe_c2h44")
    with pytest.raises(ChemistryError, match="maximize or minimize"):
        chemistry("cu_alloys").optimum("fe_c2h4", "target")  # type: ignore[arg-type]


def test_no_points_give_no_figures() -> None:
    empty = chemistry("cu_alloys").truth(random_points(3).iloc[:0])
    assert empty.shape == (0, len(FIGURES))


def test_in_the_null_world_rates_are_means_over_the_metals() -> None:
    virtual = chemistry("cu_alloys", world="null")
    points = random_points(20, seed=5)
    rates = [f"j_{product}" for product in SIMULATED]
    expected = np.zeros((20, len(rates)))
    for metal in ALLOYS:
        pure = pd.DataFrame({"metal": metal, "potential": points["potential"]})
        expected += points[[f"x_{metal}"]].to_numpy() * virtual.truth(pure)[rates].to_numpy()
    np.testing.assert_allclose(virtual.truth(points)[rates].to_numpy(), expected, rtol=1e-8, atol=1e-15)


def test_in_the_null_world_no_alloy_beats_its_best_metal() -> None:
    virtual = chemistry("cu_alloys", world="null")
    points = random_points(200, seed=6)
    truth = virtual.truth(points)
    best = pd.concat([
        virtual.truth(pd.DataFrame({"metal": metal, "potential": points["potential"]})) for metal in ALLOYS
    ]).groupby(level=0).max()  # fmt: skip
    for product in SIMULATED:
        assert (truth[f"fe_{product}"] <= best[f"fe_{product}"] + 1e-12).all()


def test_shifted_worlds_differ_and_pure_metals_agree_between_nominal_and_null() -> None:
    points = random_points(10)
    shifted = [chemistry("cu_alloys", world="shifted", seed=seed).truth(points) for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(shifted[0], shifted[1])
    assert (shifted[0]["fe_h2"] - shifted[2]["fe_h2"]).abs().max() > 0.05
    pure = pd.DataFrame({"metal": ["Cu", "Ag", "Sn"], "potential": -1.0})
    pd.testing.assert_frame_equal(
        chemistry("metals").truth(pure), chemistry("metals", world="null").truth(pure), rtol=1e-8
    )


def test_the_ethylene_optimum_lies_inside_and_is_one() -> None:
    virtual = chemistry("cu_alloys")
    best = virtual.optimum("fe_c2h4", "maximize")
    point = pd.DataFrame([best["parameters"]])
    assert virtual.truth(point)["fe_c2h4"].iloc[0] == pytest.approx(best["value"], abs=1e-9)
    assert best["value"] == pytest.approx(0.451, abs=0.002)
    assert virtual.truth(random_points(4000, seed=9))["fe_c2h4"].max() <= best["value"]
    # a corner would make a useless benchmark
    copper = pd.DataFrame({"metal": "Cu", "potential": np.linspace(-1.5, -0.5, 201)})
    assert virtual.truth(copper)["fe_c2h4"].max() < 0.75 * best["value"]
    assert sum(value > 0.02 for name, value in best["parameters"].items() if name.startswith("x_")) >= 2


def test_minimising_finds_less_than_maximising() -> None:
    virtual = chemistry("metals")
    low, high = virtual.optimum("fe_h2", "minimize"), virtual.optimum("fe_h2", "maximize")
    assert low["value"] < 0.1 < high["value"]
    assert low["parameters"]["metal"] in {"Pb", "In", "Sn", "Zn", "Ag", "Au"}


def test_truth_passes_over_the_results_in_a_campaigns_tables():
    world = chemistry("cu_alloys")
    points = pd.DataFrame([world.optimum("fe_c2h4")["parameters"]])
    table = points.assign(fe_c2h4=0.4, fe_c2h4_mean=0.41, samples=1)
    pd.testing.assert_frame_equal(world.truth(table), world.truth(points))
    with pytest.raises(LabError):
        world.truth(table.drop(columns=points.columns[0]))
