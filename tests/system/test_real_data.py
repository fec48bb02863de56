"""The examples on the real data that they are about."""

from pathlib import Path

import pandas as pd
import pytest

from orchestrator.config.load import load
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.loop.assembly import assemble, register
from orchestrator.store.opening import open_store

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def _run(example, table, tmp_path, seed):
    definition = load(EXAMPLES / example, table, seed=seed)
    store = open_store("memory:")
    register(store, definition)
    parts = assemble(store, definition.file.name, definition)
    loop = Loop(
        parts.campaign, parts.lab, experiments=definition.file.stop.experiments, engine=ThreadEngine(1), files=tmp_path
    )
    assert loop.run() == "completed"
    return parts.campaign


def _found(shared_data, tmp_path, seeds):
    """In how many seeds 60 experiments on the plate find one of the 21 catalysts that are its best 1 %."""
    limit = pd.read_csv(shared_data / "oer_plate_3496.csv")["overpotential_V"].nsmallest(21).iloc[-1]
    assert limit == pytest.approx(0.347741)
    hits = 0
    for seed in seeds:
        frame = _run("oer_plate.yaml", shared_data / "oer_plate_3496.csv", tmp_path, seed).to_dataframe()
        assert len(frame) == 60
        assert not frame.duplicated([c for c in frame.columns if c.endswith("_load")]).any()
        hits += bool((frame["overpotential_V"] <= limit + 1e-9).any())
    return hits


def test_the_plate_finds_a_catalyst_of_the_best_one_percent(shared_data, tmp_path):
    assert _found(shared_data, tmp_path, range(2)) == 2


@pytest.mark.soak
def test_the_plate_with_ten_seeds(shared_data, tmp_path):
    assert _found(shared_data, tmp_path, range(10)) >= 9


def test_electrodes_of_the_open_catalyst_experiments(shared_data, tmp_path):
    campaign = _run("ocx24_co.yaml", shared_data / "ocx24_uoft.csv", tmp_path, 0)
    frame = campaign.to_dataframe()
    table = pd.read_csv(shared_data / "ocx24_uoft.csv").query("reaction == 'CO2R' and current_density_mA_cm2 == 200")
    by_sample = table.set_index("sample_id")["fe_co"] / 100.0
    for _, row in frame.iterrows():
        assert row["fe_co"] == pytest.approx(by_sample[row["sample"]])
    assert frame["fe_co"].max() <= 1.1
    t = [c for c in frame.columns if c.startswith("t_") and c.count("_") == 1]
    assert frame[t].sum(axis=1).between(0.999999, 1.000001).all()
    best = campaign.best()
    assert best["fe_co_mean"].iloc[0] > by_sample.quantile(0.75)
