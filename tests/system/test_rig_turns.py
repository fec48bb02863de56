"""Two campaigns in processes of their own take turns on one emulated rig."""

import json
import os

import pytest
from rig_bench import RigBench, drawing, gas_on
from ruamel.yaml import YAML

from orchestrator.store.opening import open_store

pytestmark = [pytest.mark.soak, pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

QUICK = {
    "duration": "12 min",
    "purge": "2 min",
    "injections": {"first": "5 min", "every": "6 min", "flush": "60 s"},
}


def _said(process, wanted):
    """Read on until a line has these words."""
    for line in process.stdout:
        if wanted in line:
            return line
    raise AssertionError(f"{wanted!r} was never said")


def test_the_urgent_campaign_has_the_rig_between_two_experiments_of_the_other(bench, tmp_path):
    rig = RigBench(tmp_path / "bench", experiments=4, pace=120.0, procedure=QUICK)
    yaml = YAML(typ="safe", pure=True)
    urgent = yaml.load((rig.folder / "campaign.yaml").read_text())
    urgent |= {"name": "urgent", "turns": {"priority": 5}, "stop": {"experiments": 2}}
    yaml.dump(urgent, rig.folder / "urgent.yaml")
    with rig.emulated():
        first = bench.start("run", rig.folder / "campaign.yaml", "--engine", "threads")
        rig.until(lambda cells: len(drawing(cells)) == 2)
        second = bench.start("run", rig.folder / "urgent.yaml", "--engine", "threads")
        _said(second, "waits for its turn: ")
        status = json.loads(bench.run("status", "urgent", "--json").stdout)
        assert status["turn"]["used_by"] == ["campaign rig-emulated"]
        assert "waits for    its turn since" in bench.run("status", "urgent").stdout
        said = _said(first, "gives way: ")
        assert "campaign urgent (priority 5) goes before this one (priority 0)" in said
        out, _ = second.communicate(timeout=300)
        assert second.returncode == 0, out
        rest, _ = first.communicate(timeout=300)
        assert first.returncode == 0, rest
        assert "has its turn after" in rest
        cells = rig.cells()
    assert drawing(cells) == gas_on(cells) == []
    store = open_store(bench.store, durable=False, create=False)
    try:
        ran = {name: store.attempts(name) for name in ("rig-emulated", "urgent")}
        assert store.held() == []
    finally:
        store.close()
    assert {name: [a.state for a in attempts] for name, attempts in ran.items()} == {
        "rig-emulated": ["finished"] * 4,
        "urgent": ["finished"] * 2,
    }
    begin, end = min(a.started for a in ran["urgent"]), max(a.finished for a in ran["urgent"])
    before = [a for a in ran["rig-emulated"] if a.finished <= begin]
    after = [a for a in ran["rig-emulated"] if a.started >= end]
    assert len(before) + len(after) == 4  # none was broken off, and none ran meanwhile
    assert after
