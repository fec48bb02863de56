"""Commands that move a rig are refused while a campaign has its devices, before anything is opened."""

import shutil
from pathlib import Path
from threading import Event

import pytest

from orchestrator.cli import rigs
from orchestrator.errors import LeaseHeld, StoreUnreachable
from orchestrator.loop.devices import DEVICE, using
from orchestrator.store.opening import open_store

EXAMPLE = Path(__file__).parents[3] / "examples" / "rig" / "rig.yaml"


@pytest.fixture
def rig(tmp_path):
    path = tmp_path / "rig" / "rig.yaml"
    path.parent.mkdir()
    shutil.copy(EXAMPLE, path)
    return path


@pytest.mark.parametrize("command", ["calibrate", "reset"])
def test_a_command_is_refused_devices_that_a_campaign_has(rig, tmp_path, command):
    url = str(tmp_path / "s.db")
    store = open_store(url, durable=False)
    with using(store, ["twin-cells/pump-1"], "campaign c", Event()):
        with pytest.raises(LeaseHeld, match="pump-1 of twin-cells is in use by campaign c"):
            rigs.calibrate(rig, url) if command == "calibrate" else rigs.reset(rig, "ann", url)
        assert [hold.name for hold in store.held(DEVICE)] == ["twin-cells/pump-1"]
    store.close()
    assert not list(rig.parent.glob("*.lock"))


def test_a_store_that_is_named_must_be_there(rig, tmp_path):
    with pytest.raises(StoreUnreachable):
        rigs.calibrate(rig, str(tmp_path / "none.db"))
    assert not list(rig.parent.glob("*.lock"))
