"""Samples of a campaign on an emulated rig that is tripped: over real sockets, by the commands of a user."""

import json
import os

import pytest
from rig_bench import RigBench, drawing
from ruamel.yaml import YAML

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

QUICK = {
    "duration": "24 min",
    "purge": "4 min",
    "injections": {"first": "8 min", "every": "6 min", "flush": "60 s"},
}


def _two_conditions(file):
    """Two conditions on each sample, of which each takes half a milligram."""
    yaml = YAML(typ="safe", pure=True)
    campaign = yaml.load(file.read_text())
    campaign["strategy"] = {"name": "random", "conditions_per_sample": 2}
    campaign["samples"] = {"catalyst_mass": 0.5, "hours": 24, "uses": 2}
    campaign["stop"] |= {"catalyst_mass": 5}
    yaml.dump(campaign, file)


@pytest.mark.soak
def test_samples_that_were_in_a_rig_when_it_was_tripped_are_not_used_again(bench, tmp_path):
    rig = RigBench(tmp_path / "bench", pace=60.0, procedure=QUICK, experiments=4)
    file = rig.folder / "campaign.yaml"
    _two_conditions(file)

    def status():
        return json.loads(bench.run("status", "rig-emulated", "--json").stdout)

    with rig.emulated():
        process = bench.start("run", file, "--engine", "threads")
        rig.until(lambda cells: len(drawing(cells)) == 2)
        bench.run("rig", "stop", rig.rig)
        process.communicate(timeout=60)
        assert process.returncode == 1
        tripped = status()
        assert tripped["state"] == "halted"
        lost = tripped["samples"]["out"]
        assert len(lost) == tripped["experiments"]["needs_inspection"] == 2
        assert all("tripped" in why for why in lost.values())
        assert f"{min(lost)} is not used again: " in bench.run("status", "rig-emulated").stdout
        bench.run("rig", "reset", rig.rig)
        for id in (1, 2):
            bench.run("resolve", "rig-emulated", id, "rerun")
        bench.run("resume", "rig-emulated", "--engine", "threads", timeout=400)
        ended = status()
    assert (ended["state"], ended["experiments"]["completed"]) == ("completed", 4)
    assert ended["samples"]["out"] == lost
    (mass,) = [part for part in ended["stop"]["parts"] if part["rule"] == "catalyst_mass"]
    assert (mass["now"], mass["left"]) == (2.0, 3.0)
    log = json.loads(bench.run("log", "rig-emulated", "--json").stdout)["events"]
    given_up = [event for event in log if event["kind"] == "sample"]
    assert {event["data"]["sample"] for event in given_up} == set(lost)
    assert {event["who"] for event in given_up} == {"campaign"}
    assert "in use" in bench.run("sample", "rig-emulated", min(lost), "in", "--why", "it is whole").stdout
    assert set(status()["samples"]["out"]) == {max(lost)}
