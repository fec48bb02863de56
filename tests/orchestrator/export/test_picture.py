"""The static picture: well-formed SVG that says what the table says."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.objectives import Objective
from orchestrator.campaign import Campaign
from orchestrator.export import progress_svg
from orchestrator.export.picture import HEIGHT, WIDTH, nice

SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> Any:
    return ElementTree.fromstring(text)


def test_shows_every_experiment(alloys: Campaign) -> None:
    picture = parse(
        progress_svg(alloys.to_dataframe(), alloys.objectives[0], "Ethylene & more <b>", alloys.outcome_constraints)
    )
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert "Ethylene & more <b>" in texts
    assert "fe_c2h4 (fraction) · higher is better ↑" in texts
    assert {"best so far", "valid", "suspect", "invalid", "failed", "breaks a constraint"} <= set(texts)
    for circle in picture.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx")) < WIDTH
        assert 0 < float(circle.get("cy")) < HEIGHT
    assert picture.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"


def test_has_no_background_scripts_or_links(alloys: Campaign) -> None:
    text = progress_svg(alloys.to_dataframe(), alloys.objectives[0], "x")
    assert "<script" not in text
    assert "href" not in text
    assert text.count("http") == 1  # the name space
    assert "url(" not in text


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("told", [{}, {"y": 0.0}, {"status": "failed"}])
def test_campaigns_with_little_in_them(plain: Campaign, n: int, told: dict[str, Any]) -> None:
    if n:
        batch = plain.ask(n)
        if told:
            plain.tell(batch.assign(**told))
    picture = parse(progress_svg(plain.to_dataframe(), Objective("y"), ""))
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert ("no result yet" in texts) == (n == 0 or "y" not in told)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_few_round_and_inside(low: float, span: float, most: int) -> None:
    ticks = nice(low, low + span, most)
    assert len(ticks) <= most
    assert ticks == sorted(ticks)
    for tick in ticks:
        assert low - 1e-6 * span - 1e-9 <= tick <= low + span + 1e-6 * span + 1e-9
