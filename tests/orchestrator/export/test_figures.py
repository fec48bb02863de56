"""Figures say what the table says, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.parameters import Categorical, Composition, Continuous, Discrete, Integer
from acquisition.space import SearchSpace
from orchestrator.campaign import Campaign
from orchestrator.export import figures, look, readings
from orchestrator.export.where import MOST_AXES, ends, most_varied


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.name}


def progress_of(campaign: Campaign) -> Any:
    return figures.progress(
        campaign.to_dataframe(), campaign.objectives[0], campaign.outcome_constraints, campaign.space
    )


def test_progress_marks_every_kind(alloys: Campaign) -> None:
    frame = alloys.to_dataframe()
    named = traces(progress_of(alloys))
    assert set(named) == {"best so far", "valid", "breaks a constraint", "suspect", "invalid", "failed"}
    assert list(named["failed"].x) == [3]
    assert list(named["suspect"].x) == [4]
    valid = named["valid"]
    assert list(valid.y) == frame.loc[list(valid.x), "fe_c2h4"].tolist()
    assert list(valid.error_y.array) == [0.02] * len(valid.x)
    best = [y for y in named["best so far"].y if y is not None]
    assert best == sorted(best)
    assert best[-1] == max(valid.y)


def test_progress_tells_settings_units_and_direction(alloys: Campaign) -> None:
    figure = progress_of(alloys)
    text = traces(figure)["valid"].hovertext[0]
    for part in ("experiment 1", "± 0.02", "V vs RHE", "cation", "sample s1"):
        assert part in text
    assert figure.layout.annotations[0].text == "fe_c2h4 (fraction) · higher is better ↑"
    assert figure.layout.shapes[0].x1 >= 4.5  # the initial design is shaded


def test_target_window_is_shown(plain: Campaign) -> None:
    campaign = plain
    batch = campaign.ask(3)
    campaign.tell(batch.assign(y=[0.1, 0.5, 0.9]))
    window = Objective("y", "target", target=(0.4, 0.6))
    figure = figures.progress(campaign.to_dataframe(), window)
    assert (figure.layout.shapes[-1].y0, figure.layout.shapes[-1].y1) == (0.4, 0.6)
    value = figures.progress(campaign.to_dataframe(), Objective("y", "target", target=0.5))
    assert value.layout.shapes[-1].y0 == value.layout.shapes[-1].y1 == 0.5


@pytest.mark.parametrize("told", [{}, {"y": 1.0}, {"status": "failed", "failure_cause": "material"}, {"y": 0.0}])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_every_figure_of_every_campaign_is_valid_json(plain: Campaign, told: dict[str, Any], n: int) -> None:
    campaign = plain
    if n:
        batch = campaign.ask(n)
        if told:
            campaign.tell(batch.assign(**told))
    frame, objectives = campaign.to_dataframe(), [Objective("y"), Objective("other", "minimize")]
    drawn = [
        figures.progress(frame, objectives[0], (), campaign.space),
        figures.predictions(frame, objectives[0], (), campaign.space),
        figures.pareto(frame, objectives, (), campaign.space),
        figures.parallel(frame, objectives[0], campaign.space),
    ]
    for figure in drawn:
        json.loads(figure.to_json(), parse_constant=pytest.fail)
    assert figures.ternary(frame, objectives[0], campaign.space) is None


def test_texts_of_users_are_escaped() -> None:
    space = SearchSpace([Categorical("<b>kind</b>", ["<i>one</i>", "two"]), Continuous("a<b", 0, 1)])
    campaign = Campaign(space, [Objective("<script>y</script>")], strategy="random", name="x")
    batch = campaign.ask(6)
    results = batch.assign(**{"<script>y</script>": np.arange(6.0)}, sample="<a href='x'>s</a>")
    campaign.tell(results)
    frame, objective = campaign.to_dataframe(), campaign.objectives[0]
    for figure in (figures.progress(frame, objective, (), space), figures.parallel(frame, objective, space)):
        text = figure.to_json().replace("\\u003c", "<").replace("\\u003e", ">")
        for bad in ("<script", "<i>one", "<a href", "<b>kind"):
            assert bad not in text.replace("<b>&lt;", "")


def test_predictions_lie_against_results(alloys: Campaign) -> None:
    frame = alloys.to_dataframe()
    named = traces(figures.predictions(frame, alloys.objectives[0], alloys.outcome_constraints))
    told = frame[frame["fe_c2h4_predicted"].notna() & frame["fe_c2h4"].notna()]
    points = [
        (x, y) for name, trace in named.items() if name != "as predicted" for x, y in zip(trace.x, trace.y, strict=True)
    ]
    assert sorted(points) == sorted(zip(told["fe_c2h4_predicted"], told["fe_c2h4"], strict=True))
    assert list(named["as predicted"].x) == list(named["as predicted"].y)


def test_parallel_draws_a_line_an_experiment(alloys: Campaign) -> None:
    figure = figures.parallel(alloys.to_dataframe(), alloys.objectives[0], alloys.space)
    n = sum(list(t.x).count(None) for t in figure.data if t.mode == "lines+markers" and t.name != "best measured")
    assert n == 13
    places = [x for trace in figure.data for x in trace.x if x is not None]
    assert 0 <= min(places) <= max(places) <= 1


def test_parallel_shows_a_limited_number_of_parameters() -> None:
    space = SearchSpace(
        [
            *(Continuous(f"p{i}", 0, 1) for i in range(28)),
            Integer("n", 1, 9),
            Discrete("d", [1.0, 10.0, 100.0], log=True),
        ]
    )
    campaign = Campaign(space, [Objective("y")], strategy="random", name="wide")
    batch = campaign.ask(40)
    campaign.tell(batch.assign(y=batch["p3"] + batch["d"]))
    figure = figures.parallel(campaign.to_dataframe(), campaign.objectives[0], space)
    names = [a.text for a in figure.layout.annotations if a.text.startswith("<b>")]
    assert len(names) == MOST_AXES
    assert {"<b>p3</b>", "<b>d</b>"} <= set(names)


def test_ternary_shows_the_three_most_varied(alloys: Campaign) -> None:
    frame = alloys.to_dataframe()
    spread = frame[["x_Cu", "x_Ag", "x_Zn", "x_Al"]].astype(float).std(ddof=0)
    figure = figures.ternary(frame, alloys.objectives[0], alloys.space)
    assert figure is not None
    shown = {figure.layout.ternary[axis].title.text for axis in ("aaxis", "baxis", "caxis")}
    assert shown == set(spread.nlargest(3).index)
    for trace in figure.data:
        for a, b, c in zip(trace.a, trace.b, trace.c, strict=True):
            assert a + b + c == pytest.approx(1)


def test_two_components_make_no_triangle() -> None:
    space = SearchSpace([Composition("m", ["A", "B"])])
    campaign = Campaign(space, [Objective("y")], strategy="random", name="two")
    campaign.ask(2)
    assert figures.ternary(campaign.to_dataframe(), campaign.objectives[0], space) is None


def test_most_varied_before_any_experiment(alloys: Campaign) -> None:
    campaign = Campaign(alloys.space, [Objective("y")], name="none")
    assert most_varied(readings.read(campaign.to_dataframe(), campaign.objectives[0]), campaign.space) is not None


def test_pareto_front_stands_out() -> None:
    space = SearchSpace([Continuous("a", 0, 1)])
    objectives = [Objective("y"), Objective("z", "minimize")]
    campaign = Campaign(space, objectives, strategy="random", name="two")
    batch = campaign.ask(4)
    campaign.tell(batch.assign(y=[1.0, 2.0, 3.0, 0.5], z=[1.0, 2.0, 3.0, 2.5]))
    named = traces(figures.pareto(campaign.to_dataframe(), objectives, [OutcomeConstraint("z", upper=2.9)]))
    assert list(named["best compromises"].x) == [1.0, 2.0]
    assert list(named["valid"].x) == [0.5]
    assert list(named["breaks a constraint"].x) == [3.0]


def test_one_disaster_does_not_flatten_all_colours() -> None:
    good = np.linspace(0.3, 0.4, 30)
    assert ends(np.append(good, 9.0), False) == pytest.approx((0.3, 0.4), abs=0.01)
    assert ends(np.append(good, -9.0), True) == pytest.approx((0.3, 0.4), abs=0.01)
    assert ends(np.array([1.0, np.nan, 3.0]), True) == (1.0, 3.0)
    assert ends(np.full(20, 2.0), True) == (2.0, 2.0)
    assert ends(np.array([np.nan]), True) == (0.0, 1.0)


def test_colours_are_a_scale() -> None:
    assert look.shade(0.0) == look.SCALE[0]
    assert look.shade(1.0) == look.shade(7.0) == look.SCALE[-1]


@pytest.mark.parametrize("colour", [*look.SCALE, *(mark.colour for mark in look.MARKS.values()), look.ORANGE])
@pytest.mark.parametrize("paper", ["#ffffff", "#1b1f24"])
def test_marks_stand_out_from_light_and_dark_paper(colour: str, paper: str) -> None:
    """WCAG asks for a contrast of 3 for graphics; the ends of the colour scale may fall a little short on white."""

    def luminance(text: str) -> float:
        parts = [c / 255 for c in bytes.fromhex(text[1:])]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted([luminance(colour), luminance(paper)], reverse=True)
    assert (light + 0.05) / (dark + 0.05) > (2.4 if colour in look.SCALE else 3.0)
