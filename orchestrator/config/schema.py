"""The campaign file's JSON Schema, for editors that complete and check while one types."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import TypeAdapter

from orchestrator.config.model import CampaignFile
from orchestrator.config.plugins import lab_class, lab_types, strategy_names

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = "#/$defs/{model}"
_SECTION = re.compile(r"^(Attributes|Raises|Args|Returns):$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^    (\w+): (.*)$")


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of campaign files, with the laboratories and strategies that are installed.

    Raises:
        InputError: an installed laboratory cannot be loaded.
    """
    schema = CampaignFile.model_json_schema(ref_template=_REFERENCES)
    definitions: dict[str, Any] = schema["$defs"]
    laboratories = []
    for name in lab_types():
        options = TypeAdapter(lab_class(name)).json_schema(ref_template=_REFERENCES)
        definitions |= options.pop("$defs", {})
        definitions[options.get("title", name)] = _of_type(options, name)
        laboratories.append({"$ref": _REFERENCES.format(model=options.get("title", name))})
    keys = schema["properties"]
    keys["lab"] = {"description": keys["lab"].get("description", ""), "oneOf": laboratories}
    names = {"enum": list(strategy_names())}
    definitions["StrategyBlock"]["properties"]["name"] |= names
    keys["strategy"] = {
        "description": keys["strategy"].get("description", ""),
        "anyOf": [names, {"$ref": _REFERENCES.format(model="StrategyBlock")}],
    }
    parameters = definitions["ParameterSpace"]["properties"]["parameters"]["items"]["discriminator"]["mapping"]
    for name, reference in parameters.items():
        _of_type(definitions[reference.rsplit("/", 1)[1]], name)
    for definition in (schema, *definitions.values()):
        _describe(definition)
    return {"$schema": DIALECT, **schema, "title": "Sabatier campaign file"}


def _of_type(definition: dict[str, Any], name: str) -> dict[str, Any]:
    """Demand the key ``type`` with one value: it tells alternatives apart, so that it has no default in files."""
    described = definition["properties"].get("type", {}).get("description")
    definition["properties"]["type"] = {"const": name} | ({"description": described} if described else {})
    definition["required"] = sorted({"type", *definition.get("required", [])})
    return definition


def _describe(definition: dict[str, Any]) -> None:
    """Move what a docstring says about attributes to the keys that they describe."""
    text = definition.get("description", "")
    parts = _SECTION.split(text)
    if len(parts) == 1:
        return
    definition["description"] = parts[0].strip()
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    name = None
    for line in sections.get("Attributes", "").splitlines():
        if found := _ATTRIBUTE.match(line):
            name = found[1]
            if name in definition.get("properties", {}):
                definition["properties"][name]["description"] = found[2]
        elif name in definition.get("properties", {}) and line.strip():
            definition["properties"][name]["description"] += f" {line.strip()}"
