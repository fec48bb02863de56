"""A campaign of a file, in a store, to be amended."""

from copy import deepcopy

from orchestrator.config.definition import Definition
from orchestrator.config.model import CampaignFile
from orchestrator.loop import ThreadEngine
from orchestrator.loop.assembly import assemble, loop_of, register

FILE = {
    "name": "c",
    "seed": 3,
    "space": {
        "parameters": [
            {"type": "composition", "name": "x", "components": ["Cu", "Ag"], "stage": "preparation"},
            {"type": "continuous", "name": "potential", "low": -1.3, "high": -0.7, "unit": "V vs RHE"},
            {"type": "categorical", "name": "cation", "values": ["Na", "K"]},
        ],
    },
    "objectives": [{"metric": "fe_c2h4", "goal": "maximize"}],
    "strategy": {"name": "random", "initial": 3},
    "lab": {"type": "simulated", "chemistry": "cu_alloys", "cells": 1},
    "stop": {"experiments": 8},
}


def defined(changes=None, base=None):
    """A definition with some entries, given by dotted names, that differ; ``None`` takes one out."""
    data = deepcopy(base or FILE)
    for field, value in (changes or {}).items():
        *path, last = (int(part) if part.isdigit() else part for part in field.split("."))
        block = data
        for part in path:
            block = block[part]
        if value is None:
            del block[last]
        else:
            block[last] = value
    return Definition.of(CampaignFile.model_validate(data), {})


def begun(store, changes=None):
    """A registered campaign."""
    definition = defined(changes)
    register(store, definition)
    return assemble(store, "c").campaign


def run(store, tmp_path, *listeners, cancelled=None, name="c"):
    """One sitting in threads."""
    parts = assemble(store, name)
    engine = ThreadEngine(len(parts.lab.cells))
    loop = loop_of(parts, store, engine=engine, files=str(tmp_path), cancelled=cancelled, listeners=listeners)
    return loop.run()


def asked(store, name="c"):
    """What was asked, by id."""
    return {r.id: (r.asked, r.prediction) for r in store.experiments(name) if r.origin == "asked"}
