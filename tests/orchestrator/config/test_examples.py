"""The files that users see first: examples and the starter file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config.definition import Definition
from orchestrator.config.load import load
from orchestrator.config.template import template
from simulators import chemistry

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_demo() -> None:
    definition = load(EXAMPLES / "demo.yaml")
    assert definition.space.columns == ("x_Cu", "x_Ag", "x_Zn", "x_Al", "potential")
    assert [parameter.stage for parameter in definition.space.parameters] == ["preparation", "condition"]
    assert definition.file.stop.experiments == 40
    assert definition.notices == ()
    assert {"fe_c2h4", "fe_h2"} <= definition.build_lab().metrics.keys()


def test_oer_plate(shared: Path) -> None:
    definition = load(EXAMPLES / "oer_plate.yaml", shared / "oer_plate_3496.csv")
    assert definition.space.size == 2121
    assert definition.file.stop.experiments == 60
    assert definition.file.strategy.initial == 10
    assert tuple(definition.build_lab().metrics) == ("overpotential_V",)


def test_oer_plate_with_a_table_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "plate.csv").write_text("ni_load,fe_load,overpotential_V\n0.5,0.5,0.4\n1,0,0.5\n")
    text = (EXAMPLES / "oer_plate.yaml").read_text(encoding="utf-8")
    text = text.replace("[ni_load, fe_load, co_load, mn_load, ce_load, la_load]", "[ni_load, fe_load]")
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "c.yaml").space.size == 2


def test_ocx24(shared: Path) -> None:
    definition = load(EXAMPLES / "ocx24_co.yaml", shared / "ocx24_uoft.csv")
    assert definition.space.size == 93
    assert [parameter.name for parameter in definition.space.parameters] == ["t"]
    assert definition.space.parameters[0].stage == "preparation"
    lab = definition.build_lab()
    assert lab.metrics["fe_co"] == "1"
    assert any("renormalised" in notice for notice in definition.notices)


def test_gde_conditions() -> None:
    definition = load(EXAMPLES / "gde_conditions.yaml")
    assert definition.space.columns == tuple(chemistry("gde_conditions").columns)
    assert definition.notices == ()
    lab = definition.build_lab()
    assert len(lab.cells) == 2
    assert set(definition.file.metric_names) <= set(lab.metrics)


def test_two_stage() -> None:
    definition = load(EXAMPLES / "two_stage.yaml")
    assert definition.file.strategy.conditions_per_sample == 3
    assert definition.file.costs is not None
    assert definition.file.stop.rule().bounds()
    assert definition.notices == ()


def test_confirm() -> None:
    definition = load(EXAMPLES / "confirm.yaml")
    assert definition.file.confirm is not None
    assert definition.file.search().most == 20
    assert definition.notices == ()


def test_rig_emulated_asks_no_device() -> None:
    definition = load(EXAMPLES / "rig_emulated.yaml")
    assert definition.notices == ()
    lab = definition.build_lab()
    assert list(lab.cells) == ["cell-1", "cell-2"]
    assert set(definition.file.metric_names) <= set(lab.metrics)
    assert not lab.repeat_is_safe


def test_manual() -> None:
    definition = load(EXAMPLES / "manual.yaml")
    assert definition.notices == ()
    lab = definition.build_lab()
    assert lab.cells == ("left hood", "right hood")
    assert lab.metrics == {"fe_co": "1", "fe_h2": "1", "j_total": "mA cm-2"}


@pytest.mark.parametrize("name", ["my-campaign", "Cu_2026.11"])
def test_the_starter_file_loads_as_it_is(load_text: Callable[..., Definition], name: str) -> None:
    definition = load_text(template(name))
    assert definition.file.name == name
    assert definition.notices == ()


def test_what_the_starter_file_comments_out_is_right_too(load_text: Callable[..., Definition]) -> None:
    text = template()
    for line in ("constraints:", "  - {type: linear", "outcome_constraints:", "  - {metric: fe_h2"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    definition = load_text(text)
    assert len(definition.space.constraints) == len(definition.file.outcome_constraints) == 1
