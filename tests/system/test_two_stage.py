"""The example of several conditions on one sample, in the simulated laboratory."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config.load import load
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.loop.assembly import assemble, register
from orchestrator.store.opening import open_store

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two_stage.yaml"


def test_three_conditions_on_each_electrode(tmp_path: Path) -> None:
    definition = load(EXAMPLE)
    store = open_store("memory:")
    register(store, definition)
    parts = assemble(store, "two-stage")
    rule = definition.file.stop.rule()
    Loop(parts.campaign, parts.lab, experiments=12, stop=rule, engine=ThreadEngine(2), files=tmp_path).run()
    frame = parts.campaign.to_dataframe()
    assert frame["sample"].value_counts().tolist() == [3] * 4
    assert len(frame[["sample", "x_Cu", "x_Ag", "x_Zn", "x_Al"]].drop_duplicates()) == 4
    assert frame["fe_c2h4"].notna().all()
    costs = [r.cost for r in parts.campaign.experiments()]
    assert sum(costs) < 12 * (40 + 120)  # fewer electrodes than experiments
    assert 4 * 120 + 12 * 40 <= sum(costs) <= 4 * 120 + 12 * 60
    cells = {a.experiment: a.cell for a in store.attempts("two-stage")}
    assert all(len({cells[id] for id in group.index}) == 1 for _, group in frame.groupby("sample"))
