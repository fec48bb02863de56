"""Campaigns from files, in a store that others use, too."""

import json

import pytest

from orchestrator.config.load import load
from orchestrator.errors import CampaignExists
from orchestrator.loop.assembly import register
from orchestrator.store.opening import open_store

CAMPAIGN = {
    "name": "c",
    "space": {"parameters": [{"type": "continuous", "name": "potential", "low": -1.5, "high": -0.5}]},
    "objectives": [{"metric": "fe_c2h4", "goal": "maximize"}],
    "lab": {"type": "manual"},
    "stop": {"experiments": 3},
}


class Early:
    """A store as a process saw it a moment before another registered a campaign."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def campaigns(self):
        return []


def definition(folder, **changes):
    path = folder / "c.yaml"
    path.write_text(json.dumps(CAMPAIGN | changes))
    return load(path)


def test_who_registers_the_same_campaign_a_moment_later_finds_it_there(tmp_path):
    store = open_store("memory:")
    assert register(store, definition(tmp_path))
    assert not register(Early(store), definition(tmp_path))
    with pytest.raises(CampaignExists, match="another definition"):
        register(Early(store), definition(tmp_path, seed=4))
