"""Pools, replayed tables, and definitions that outlive their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config.definition import Definition
from orchestrator.config.load import load
from orchestrator.errors import InputError

Load = Callable[..., Definition]

POOL = """\
name: plate
space:
  pool: plate.csv
  parameters: [ni, fe]
objectives:
  - {metric: eta, goal: minimize}
lab: {type: replay, table: plate.csv}
stop: {experiments: 2}
"""

PLATE = "ni,fe,eta,extra,run\n0.5,0.5,0.41,1,a\n1,0,0.40,,a\n0,1,0.39,2,b\n0,1,0.38,2,b\n"


def test_a_pool_that_replays_its_own_file(load_text: Load) -> None:
    definition = load_text(POOL, plate_csv=PLATE)
    assert definition.space.columns == ("ni", "fe")
    assert definition.space.size == 3
    assert set(definition.tables) == {"pool", "lab.table"}
    assert definition.build_lab().metrics.keys() >= {"eta"}
    assert definition.build_lab() is not definition.build_lab()
    assert definition.blobs() == {hashlib.sha256(PLATE.encode()).hexdigest(): PLATE.encode()}


def test_rows_that_the_replay_does_not_answer_are_no_candidates(load_text: Load) -> None:
    replayed = POOL.replace("table: plate.csv", "table: plate.csv, where: {run: b}")
    assert load_text(replayed, plate_csv=PLATE).space.size == 1
    pinned = POOL.replace("  parameters:", "  where: {run: a}\n  parameters:")
    assert load_text(pinned, plate_csv=PLATE).space.size == 2


def test_gaps_and_texts_in_rows_that_are_not_used_do_not_matter(load_text: Load) -> None:
    text = POOL.replace("table: plate.csv", "table: plate.csv, where: {run: a}")
    definition = load_text(text, plate_csv=PLATE.replace("0.38", "n.d.").replace("0.39", ""))
    assert definition.tables["lab.table"]["eta"].tolist()[:2] == [0.41, 0.40]


def test_patterns_stand_for_columns(load_text: Load) -> None:
    text = POOL.replace("[ni, fe]", "['t_*']\n  compositions: {t: [t_*]}\n  stages: {t: preparation}")
    content = PLATE.replace("ni,fe", "t_ni,t_fe")
    definition = load_text(text, plate_csv=content)
    assert definition.resolved()["space"]["parameters"] == ["t_ni", "t_fe"]
    assert definition.space.parameters[0].stage == "preparation"
    written = text.replace("['t_*']", "[t_ni, t_fe]").replace("[t_*]", "[t_ni, t_fe]")
    assert load_text(written, plate_csv=content).hash == definition.hash


def test_columns_of_text_are_categories(load_text: Load) -> None:
    definition = load_text(POOL.replace("[ni, fe]", "[ni, fe, run]"), plate_csv=PLATE)
    assert definition.space.pool is not None
    assert sorted(definition.space.pool["run"].unique()) == ["a", "b"]


def test_table_takes_the_place_of_pool_and_replayed_table(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "mine.csv"
    other.write_text(PLATE.replace("0.38", "0.37"))
    definition = load_text(POOL, other)
    assert definition.tables["pool"]["eta"].tolist()[-1] == 0.37
    assert definition.resolved()["space"]["pool"]["name"] == "mine.csv"


def test_a_table_for_a_campaign_without_tables(load_text: Load, campaign: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_text(campaign, tmp_path / "mine.csv")
    assert str(caught.value) == (
        "campaign.yaml:1: a table is given, but this campaign has neither a pool nor a replayed table. "
        "Leave the option --table out."
    )


def test_paths_are_relative_to_the_campaign_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "plate.csv").write_text(PLATE)
    (tmp_path / "deep" / "c.yaml").write_text(POOL)
    assert load(tmp_path / "deep" / "c.yaml").space.size == 3


WRONG = [
    ("plate.csv\n", "plaet.csv\n", PLATE,
     "campaign.yaml:3: space.pool: the file plaet.csv does not exist. Correct the path (it is relative to the campaign "
     "file), or name the file with --table PATH."),
    ("table: plate.csv", "table: plaet.csv", PLATE,
     "campaign.yaml:7: lab.table: the file plaet.csv does not exist. Correct the path (it is relative to the campaign "
     "file), or name the file with --table PATH."),
    ("", "", "", "plate.csv: the file is empty."),
    ("", "", "ni,fe,eta\n", "plate.csv: the table has a header, but no rows."),
    ("", "", "ni,fe,ni,eta\n1,0,1,2\n", "plate.csv:1: the column 'ni' is there twice. Rename one of the two."),
    ("", "", PLATE.replace("0.5,0.5", "0.5,half"),
     "plate.csv:2: column 'fe': 'half' is not a number. If the column holds names, list it under `categorical`."),
    ("", "", PLATE.replace("0.5,0.5", '0.5,"0,5"'),
     "plate.csv:2: column 'fe': '0,5' is not a number. Write decimal points."),
    ("", "", PLATE.replace("1,0,", ",0,"),
     "plate.csv:3: column 'ni': the value is missing. Fill it in, or leave that row out."),
    ("[ni, fe]", "[ni, fe, run]", PLATE.replace(",b\n", ",\n"),
     "plate.csv:4: column 'run': the value is missing. Fill it in, or leave that row out."),
    ("", "", PLATE.replace("0.40", ""),
     "plate.csv:3: column 'eta': the value is missing. Fill it in, or leave that row out."),
    ("", "", PLATE.replace("0.40", "n.d."), "plate.csv:3: column 'eta': 'n.d.' is not a number."),
    ("lab:", "metrics: [extra]\nlab:", PLATE.replace(",2,", ",n.d.,"),
     "plate.csv:4: column 'extra': 'n.d.' is not a number."),
    ("[ni, fe]", "[ni, fee]", PLATE,
     "campaign.yaml:4: space.parameters: plate.csv: unknown column 'fee'; did you mean 'fe'?"),
    ("[ni, fe]", "[x_*]", PLATE,
     "campaign.yaml:4: space.parameters: plate.csv: unknown column 'x_*'. Known: ni, fe, eta, extra, run."),
    ("[ni, fe]", "[ni, ni]", PLATE, "campaign.yaml:4: space.parameters: column 'ni' is named twice."),
    ("[ni, fe]", "[ni]\n  compositions: {x: [ni, fe]}", PLATE,
     "campaign.yaml:5: space.compositions.x: column 'fe' is not among the pool's `parameters`. Name it there too."),
    ("[ni, fe]", "[ni, fe]\n  compositions: {x: [ni, fe]}", PLATE.replace("0.5,0.5", "0.5,0.6"),
     "campaign.yaml:5: space.compositions: "),
    ("[ni, fe]", "[ni, fe]\n  where: {run: c}", PLATE,
     "campaign.yaml:5: space.where.run: no row of plate.csv has run = 'c'. There are: a, b."),
    ("table: plate.csv", "table: plate.csv, where: {rum: a}", PLATE,
     "campaign.yaml:7: lab.where.rum: plate.csv: unknown column 'rum'; did you mean 'run'?"),
    ("table: plate.csv", "table: plate.csv, where: {run: 3}", PLATE,
     "campaign.yaml:7: lab.where.run: column 'run' of plate.csv holds text, but 3 is given. Write the value as the "
     "column holds it."),
    ("[ni, fe]", "[ni, fe]\n  where: {run: a}", "other", "campaign.yaml:3: space.pool: "),
    ("metric: eta", "metric: eta_V", PLATE,
     "campaign.yaml:6: objectives[0].metric: unknown metric 'eta_V'; did you mean 'eta'? Known: eta, extra."),
    ("metric: eta", "metric: ni", PLATE,
     "campaign.yaml:6: objectives[0].metric: 'ni' is a parameter of the search space, so it cannot be a metric too. "
     "Name a result."),
    ("[ni, fe]", "[ni, fe]\n  bounds: []", PLATE,
     "campaign.yaml:5: space.bounds: unknown key 'bounds'. Known here: pool, parameters, categorical, "
     "compositions, stages, where, constraints."),
    ("[ni, fe]", "[ni, fe]\n  constraints: [{type: expression, expression: ni * fe, lower: 0.3}]", PLATE,
     "campaign.yaml:5: space.constraints: none of the pool's 3 rows meets the constraint '0.3 <= ni * fe'."),
    ("table: plate.csv", "table: plate.csv, sample: electrode", PLATE, "campaign.yaml:7: lab.sample: "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "plate", "message"), WRONG)
def test_one_clear_message(load_text: Load, old: str, new: str, plate: str, message: str) -> None:
    text = POOL.replace(old, new, 1) if old else POOL
    if plate == "other":
        text, plate = text.replace("table: plate.csv", "table: half.csv"), PLATE
    with pytest.raises(InputError) as caught:
        load_text(text, plate_csv=plate, half_csv="ni,fe,eta,run\n1,0,0.4,a\n")
    if message.endswith(": "):  # what follows is another package's wording
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
    else:
        assert str(caught.value) == message
    assert caught.value.file in {"campaign.yaml", "plate.csv"}


def test_candidates_that_the_table_cannot_answer_are_counted(load_text: Load) -> None:
    text = POOL.replace("table: plate.csv", "table: half.csv")
    with pytest.raises(InputError) as caught:
        load_text(text, plate_csv=PLATE, half_csv="ni,fe,eta\n1,0,0.4\n")
    message = str(caught.value)
    assert message.startswith(
        "campaign.yaml:3: space.pool: the laboratory cannot execute 2 of the pool's 3 candidates;"
    )
    assert message.endswith("Leave these rows out of the pool.")


def test_parameters_that_a_table_cannot_answer(load_text: Load) -> None:
    text = POOL.replace(
        "  pool: plate.csv\n  parameters: [ni, fe]", "  parameters: [{type: continuous, name: ni, low: 0, high: 1}]"
    )
    with pytest.raises(
        InputError, match=r"campaign\.yaml:3: space\.parameters: the laboratory cannot execute this space"
    ):
        load_text(text, plate_csv=PLATE)
    with pytest.raises(InputError, match=r"campaign\.yaml:3: space\.parameters: .* 'nickel'"):
        load_text(text.replace("name: ni,", "name: nickel,"), plate_csv=PLATE)


def test_a_finite_space_is_shown_to_the_laboratory_whole(load_text: Load) -> None:
    text = POOL.replace(
        "  pool: plate.csv\n  parameters: [ni, fe]",
        "  parameters:\n    - {type: discrete, name: ni, values: [0, 0.5, 1]}",
    )
    assert load_text(text, plate_csv=PLATE).space.size == 3
    with pytest.raises(InputError, match="cannot execute this space"):
        load_text(text.replace("0.5, 1]", "0.5, 0.7, 1]"), plate_csv=PLATE)


def test_a_budget_beyond_the_space_is_a_notice(load_text: Load) -> None:
    text = POOL.replace("experiments: 2", "experiments: 9")
    expected = (
        "the space has 3 points and no replicates are wanted: the campaign will end after 3 experiments, before its "
        "budget of 9."
    )
    assert expected in load_text(text, plate_csv=PLATE).notices
    assert expected not in load_text(POOL, plate_csv=PLATE).notices
    again = text.replace("lab:", "strategy: {replicates: auto}\nlab:")
    assert expected not in load_text(again, plate_csv=PLATE).notices


@pytest.mark.parametrize(
    ("strategy", "stop", "said"),
    [
        ("{initial: 3}", "{experiments: 3}", "takes 3 experiments, and there will be no more than 3"),
        ("{initial: 2}", "{experiments: 3}", ""),
        ("{initial: 5}", "{experiments: 9}", "takes 5 experiments, and there will be no more than 3"),  # of the pool
        ("{initial: 5, replicates: auto}", "{experiments: 9}", ""),
        ("{name: thompson, initial: 2}", "{any: [{experiments: 2}, {hours: 9}]}", "takes 2 experiments"),
        ("{name: thompson}", "{hours: 9}", "takes 10 experiments, and there will be no more than 3"),
        ("{name: random, initial: 3}", "{experiments: 3}", ""),
    ],
)
def test_a_budget_that_leaves_nothing_to_a_model_is_a_notice(
    load_text: Load, strategy: str, stop: str, said: str
) -> None:
    text = POOL.replace("lab:", f"strategy: {strategy}\nlab:").replace("{experiments: 2}", stop)
    told = [notice for notice in load_text(text, plate_csv=PLATE).notices if "no model will ever be used" in notice]
    assert len(told) == bool(said)
    assert said in "".join(told)


def test_a_rule_that_the_strategy_never_meets_is_a_notice(load_text: Load) -> None:
    rules = "{experiments: 2, all: [{expected_gain: {below: 0.1}}, {plateau: {experiments: 2}}]}"
    text = POOL.replace("stop: {experiments: 2}", f"stop: {rules}")
    assert rules in text
    for strategy, never in (("auto", False), ("saas", False), ("random", True), ("thompson", True)):
        notices = load_text(text.replace("lab:", f"strategy: {strategy}\nlab:"), plate_csv=PLATE).notices
        assert any("the rule expected_gain is never met" in notice for notice in notices) is never


def test_a_definition_outlives_its_files(load_text: Load) -> None:
    definition = load_text(POOL, plate_csv=PLATE)
    resolved = json.loads(json.dumps(definition.resolved()))
    stored = definition.blobs()
    Path("plate.csv").unlink()
    again = Definition.from_resolved(resolved, stored.__getitem__)
    assert again.hash == definition.hash
    assert again.resolved() == definition.resolved()
    assert again.blobs() == stored
    pd.testing.assert_frame_equal(again.space.pool, definition.space.pool)
    assert again.build_lab().metrics == definition.build_lab().metrics


def test_damaged_copies_are_refused(load_text: Load) -> None:
    resolved = load_text(POOL, plate_csv=PLATE).resolved()
    with pytest.raises(InputError, match=r"the stored copy of plate\.csv is damaged"):
        Definition.from_resolved(resolved, lambda _: PLATE.replace("0.38", "0.37").encode())


def test_a_stored_definition_that_this_version_does_not_know(load_text: Load, campaign: str) -> None:
    resolved = load_text(campaign).resolved() | {"novelty": 1}
    with pytest.raises(InputError, match=r"^stored definition of test:1: novelty: unknown key 'novelty'"):
        Definition.from_resolved(resolved, lambda _: b"")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: test", "# a comment\nname: renamed"),
        ("low: -1.5, high: -0.5", "high: -0.5, low: -15.0e-1"),
        ("name: test\n", "version: 1\nname: test\nseed: 0\nstrategy: auto\n"),
    ],
)
def test_the_hash_ignores_what_does_not_change_the_campaign(load_text: Load, campaign: str, old: str, new: str) -> None:
    assert old in campaign
    assert load_text(campaign.replace(old, new)).hash == load_text(campaign).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [("-1.5", "-1.4"), ("name: test", "name: test\nseed: 1"), ("experiments: 40", "experiments: 41"),
     ("goal: maximize", "goal: minimize"), ("type: bench", "type: bench, cells: 2")],
)  # fmt: skip
def test_the_hash_tells_campaigns_apart(load_text: Load, campaign: str, old: str, new: str) -> None:
    assert load_text(campaign.replace(old, new)).hash != load_text(campaign).hash


def test_the_hash_depends_on_every_byte_of_a_table_but_not_on_its_name(load_text: Load) -> None:
    definition = load_text(POOL, plate_csv=PLATE)
    assert load_text(POOL.replace("plate.csv", "other.csv"), other_csv=PLATE).hash == definition.hash
    assert load_text(POOL, plate_csv=PLATE.replace("0.41", "0.42")).hash != definition.hash


names = st.sampled_from(["a", "b", "T", "x_y", "potential"])
numbers = st.integers(-1000, 1000).map(lambda i: i / 8)
labels = st.one_of(st.sampled_from(["Li", "Na", "No", "1e3", "true"]), st.integers(-5, 5), st.sampled_from([0.5, 2.25]))


@st.composite
def parameters(draw: st.DrawFn, index: int) -> dict[str, Any]:
    name = f"{draw(names)}{index}"
    stage = draw(st.sampled_from(["preparation", "condition"]))
    low, high = sorted(draw(st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1])))
    kind = draw(st.sampled_from(["continuous", "integer", "discrete", "categorical", "composition"]))
    common = {"type": kind, "name": name, "stage": stage}
    if kind == "continuous":
        return common | {"low": low, "high": high, "unit": draw(st.sampled_from([None, "V vs RHE"]))}
    if kind == "integer":
        return common | {"low": int(low) - 1, "high": int(high) + 1}
    if kind == "discrete":
        return common | {"values": [low, high]}
    if kind == "categorical":
        values = draw(st.lists(labels, min_size=2, max_size=4, unique_by=str))
        described = {"size": {value: float(i) for i, value in enumerate(values)}}
        return common | {"values": values} | draw(st.sampled_from([{}, {"descriptors": described}]))
    return common | {"components": ["Cu", "Ag", "Zn"], "max_components": draw(st.sampled_from([None, 2])),
                     "step": draw(st.sampled_from([None, 0.1])), "bounds": {"Cu": [0.1, 0.9]}}  # fmt: skip


@st.composite
def campaigns(draw: st.DrawFn) -> dict[str, Any]:
    spans = [draw(parameters(index)) for index in range(draw(st.integers(1, 4)))]
    goal = draw(
        st.sampled_from(
            [{"goal": "maximize"}, {"goal": "target", "target": [0.1, 0.2]}, {"goal": "target", "target": 1}]
        )
    )
    return {
        "name": "drawn",
        "seed": draw(st.integers(0, 2**40)),
        "space": {"parameters": spans},
        "objectives": [{"metric": "fe_co"} | goal],
        "outcome_constraints": draw(st.sampled_from([[], [{"metric": "fe_h2", "upper": 0.3}]])),
        "strategy": {"name": "random", "replicates": draw(st.sampled_from(["none", "auto", 3]))},
        "lab": {"type": "bench", "coldest": -200, "cells": draw(st.integers(1, 3))},
        "stop": {"experiments": draw(st.integers(1, 10**6))},
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(campaigns())
def test_what_is_stored_comes_back(tmp_path: Path, drawn: dict[str, Any]) -> None:
    from ruamel.yaml import YAML

    with (tmp_path / "c.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(drawn, file)
    definition = load(tmp_path / "c.yaml")
    again = Definition.from_resolved(json.loads(json.dumps(definition.resolved())), {}.__getitem__)
    assert again.hash == definition.hash
    assert again.resolved() == definition.resolved()
    assert again.file.model_dump() == definition.file.model_dump()
    points = definition.space.sample(3, np.random.default_rng(0))
    assert np.array_equal(again.space.sample(3, np.random.default_rng(0)), points)
    pd.testing.assert_frame_equal(again.space.to_frame(points), definition.space.to_frame(points))
