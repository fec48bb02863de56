from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.document import parse
from orchestrator.config.schema import json_schema
from orchestrator.errors import InputError

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.fixture
def valid() -> Callable[[Any], bool]:
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(json_schema()).is_valid  # type: ignore[no-any-return]


def test_is_a_schema_of_its_draft() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid(path: Path, valid: Callable[[Any], bool]) -> None:
    data = parse(path.read_bytes(), path.name).data
    if "space" not in data:
        pytest.skip("no campaign file")
    assert valid(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [("objectives:", "objectve:"), ("type: bench", "type: rig"), ("type: bench", "type: bench, cels: 2"),
     ("type: continuous, ", ""), ("goal: maximize", "goal: up"), ("lab:", "strategy: atuo\nlab:"),
     ("lab:", "confirm: {tops: 3}\nlab:"), ("low: -1.5", "low: deep")],
)  # fmt: skip
def test_what_is_wrong_is_found_while_typing(campaign: str, valid: Callable[[Any], bool], old: str, new: str) -> None:
    assert valid(parse(campaign.encode(), "c.yaml").data)
    assert not valid(parse(campaign.replace(old, new).encode(), "c.yaml").data)


def test_installed_laboratories_are_described() -> None:
    schema = json_schema()
    titles = {entry["$ref"].rsplit("/", 1)[1] for entry in schema["properties"]["lab"]["oneOf"]}
    assert {"BenchOptions", "ReplayOptions", "SimulatedOptions"} <= titles
    bench = schema["$defs"]["BenchOptions"]
    assert bench["description"] == "A bench."
    assert bench["properties"]["coldest"]["description"] == "the lowest temperature that it reaches."
    assert bench["properties"]["type"] == {"const": "bench"}


def test_every_key_of_a_campaign_is_described() -> None:
    schema = json_schema()
    assert all(entry.get("description") for entry in schema["properties"].values())
    assert schema["$defs"]["Continuous"]["properties"]["low"]["description"] == "lower bound, in ``unit``."


def test_a_laboratory_that_cannot_be_loaded_is_named(install: Callable[[str, str, str], None]) -> None:
    install("sabatier_test_broken", "", "[sabatier.labs]\nbroken = sabatier_test_missing:Options\n")
    with pytest.raises(InputError, match="'broken'"):
        json_schema()
