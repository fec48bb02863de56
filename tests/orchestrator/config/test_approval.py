"""Which proposals wait for a person, and campaign files that say it wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.config.approval import TrustedRegion, needs_approval
from orchestrator.config.definition import Definition
from orchestrator.config.schema import json_schema
from orchestrator.errors import InputError

Load = Callable[..., Definition]

REGION = TrustedRegion.model_validate({"outside": {"potential": [-1, -0.7], "cation": ["Na", "K"]}})


@pytest.mark.parametrize(
    ("parameters", "waits"),
    [
        ({"potential": -0.8, "cation": "K"}, False),
        ({"potential": -1.0, "cation": "Na"}, False),
        ({"potential": -1.0001, "cation": "Na"}, True),
        ({"potential": -0.8, "cation": "Cs"}, True),
        ({"potential": -0.8}, True),  # unknown is not trusted
        ({"potential": float("nan"), "cation": "K"}, True),
    ],
)
def test_a_proposal_waits_outside_the_trusted_region(parameters: dict[str, Any], waits: bool) -> None:
    assert needs_approval(REGION, parameters) is waits


def test_all_and_none() -> None:
    assert needs_approval("all", {})
    assert not needs_approval("none", {"potential": 100.0})


def test_a_file_that_says_nothing_needs_no_approval(load_text: Load, campaign: str) -> None:
    assert load_text(campaign).file.approval == "none"


@pytest.mark.parametrize("text", ["all", "none", "{outside: {potential: [-1.2, -0.7], x_Cu: [0, 1]}}"])
def test_the_definition_keeps_it(load_text: Load, campaign: str, text: str) -> None:
    definition = load_text(f"{campaign}approval: {text}\n")
    again = Definition.from_resolved(definition.resolved(), lambda digest: b"")
    assert again.file.approval == definition.file.approval
    assert again.hash == definition.hash
    assert (definition.hash == load_text(campaign).hash) is (text == "none")


def test_names_that_are_numbers_stand_in_quotes(load_text: Load, campaign: str) -> None:
    named = campaign.replace("parameters:", "parameters:\n    - {type: categorical, name: salt, values: [1, 2]}")
    definition = load_text(f'{named}approval: {{outside: {{salt: ["1"]}}}}\n')
    assert not needs_approval(definition.file.approval, {"salt": 1})
    assert needs_approval(definition.file.approval, {"salt": 2})


WRONG = [
    ("maybe", "campaign.yaml:11: approval: must be none, all, or a trusted region, not 'maybe'."),
    ("", "campaign.yaml:11: approval: must be none, all, or a trusted region, not empty."),
    ("{outsde: {potential: [-1, 0]}}", "approval.outsde: unknown key 'outsde'; did you mean 'outside'?"),
    ("{outside: {}}", "approval.outside: needs at least 1."),
    ("{outside: {potentail: [-1, -0.5]}}", "'potentail' is no column of the search space. Did you mean 'potential'?"),
    ("{outside: {potential: [-0.5, -1]}}", "the lowest trusted value, -0.5, is above the highest, -1. Swap them."),
    ("{outside: {potential: [-1]}}", "approval.outside.potential: must be the lowest and highest trusted number"),
    ("{outside: {potential: -1}}", "approval.outside.potential: must be the lowest and highest trusted number"),
    ("{outside: {potential: [true, false]}}", "approval.outside.potential: must be the lowest and highest"),
    ("{outside: {potential: [.nan, 0]}}", "approval.outside.potential"),
    ("{outside: {potential: [low]}}", "approval.outside.potential: the values of 'potential' are numbers, not names."),
    ("{outside: {cation: [1, 2]}}", "approval.outside.cation: the values of 'cation' are names, not numbers."),
    (
        "{outside: {cation: [Rb]}}",
        "approval.outside.cation: 'Rb' is no category of 'cation'. Its categories are Na, K.",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_approval_is_one_message(load_text: Load, campaign: str, text: str, message: str) -> None:
    named = campaign.replace("step: 0.01}", "step: 0.01}\n    - {type: categorical, name: cation, values: [Na, K]}")
    with pytest.raises(InputError) as refused:
        load_text(f"{named}approval: {text}\n")
    assert message in str(refused.value)


def test_editors_know_the_key() -> None:
    approval = json_schema()["properties"]["approval"]
    assert approval["default"] == "none"
    assert "'none'" in str(approval)
    assert "TrustedRegion" in str(approval)
