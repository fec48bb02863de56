"""The example whose best points are confirmed, as its user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "confirm.yaml"
QUICK = "strategy: random"


def _file(bench) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    bench.write(text.replace("strategy: {name: auto, initial: 8}", QUICK).replace("upper: 0.4", "upper: 1.0"))


@pytest.mark.soak
def test_from_file_to_export(bench):
    _file(bench)
    assert "26 experiments less 6 to confirm the best" in bench.run("validate", "campaign.yaml").stdout
    done = bench.run("run", "campaign.yaml", "--engine", "threads")
    assert done.stdout.count("(confirms experiment ") == 6
    assert "is completed: the budget of 26 experiments less 6 to confirm the best is used; of the 2 best" in done.stdout
    assert done.stdout.count("checked: experiment ") == 4
    state = json.loads(bench.run("status", "confirm", "--json").stdout)
    assert state["experiments"]["completed"] + state["experiments"]["failed"] == 26
    assert len(state["confirmation"]) == 2
    assert bench.run("status", "confirm").stdout.count("  checked  ") == 4
    bench.run("export", "confirm", "-o", "out")
    rows = pd.read_csv(bench.folder / "out" / "experiments.csv")
    ours = rows[rows["origin"] == "confirm"]
    assert ours["sample"].nunique() == 6
    for point in state["confirmation"]:
        mine = rows[rows["experiment"].isin(point["experiments"]) & (rows["verdict"] == "valid")]
        seen = point["metrics"]["fe_c2h4"]
        assert seen["samples"] == len(mine)
        assert seen["mean"] == pytest.approx(mine["fe_c2h4"].mean())
        assert seen["sem"] == pytest.approx(mine["fe_c2h4"].sem())
    assert json.loads((bench.folder / "out" / "campaign.json").read_text())["confirmation"] == state["confirmation"]


@pytest.mark.soak
def test_killed_while_it_confirms(bench):
    _file(bench)
    calm = bench.folder / "calm.yaml"
    calm.write_text((bench.folder / "campaign.yaml").read_text().replace("name: confirm", "name: calm"))
    bench.run("run", "calm.yaml", "--engine", "threads", "-q")
    with bench.start("run", "campaign.yaml", "--engine", "threads") as running:
        assert any("(confirms experiment " in line for line in running.stdout), "it ended too soon"
        running.kill()
    bench.run("resume", "confirm", "--engine", "threads", "-q")
    before, after = (json.loads(bench.run("status", name, "--json").stdout) for name in ("calm", "confirm"))
    assert after["state"] == "completed"
    assert [p["parameters"] for p in after["confirmation"]] == [p["parameters"] for p in before["confirmation"]]
    assert sum(after["experiments"].values()) == 26
