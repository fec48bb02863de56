"""Many cells at once: none waits while there is work, and nothing is done twice."""

from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
from loop_bench import Bench, answer, campaign_of, loop_of

from orchestrator.store.opening import open_store


def _hour(job, context):
    """An answer after about an hour: log-normal with a median of 60 virtual minutes."""
    spread = np.random.default_rng(context.seed).normal(0.0, 0.5)
    return answer(job, duration=float(3600.0 * np.exp(spread)))


@pytest.mark.parametrize(
    ("cells", "experiments"), [(16, 120), pytest.param(64, 2000, marks=pytest.mark.soak)], ids=["16", "64"]
)
def test_cells_are_busy_from_the_first_start_in_all_to_the_last(tmp_path, cells, experiments):
    with closing(open_store(f"sqlite:///{tmp_path}/s.db")) as store:
        campaign = campaign_of(store, strategy="space_filling")
        lab = Bench(_hour, cells=cells, virtual_time=True)
        assert loop_of(campaign, lab, tmp_path, experiments=experiments).run() == "completed"
        attempts, records = store.attempts("c"), store.experiments("c")
    assert sorted(lab.executed) == [r.id for r in records] == list(range(1, experiments + 1))
    assert len({tuple(r.asked.values()) for r in records}) == experiments
    assert {a.cell for a in attempts} == set(lab.cells)
    first = max(min(a.clock_started for a in attempts if a.cell == cell) for cell in lab.cells)
    last = max(a.clock_started for a in attempts)
    busy = sum(max(0.0, min(a.clock_started + a.duration, last) - max(a.clock_started, first)) for a in attempts)
    assert 0.95 < busy / (cells * (last - first)) < 1.0 + 1e-9
    for cell in lab.cells:  # one after the other
        own = sorted((a.clock_started, a.clock_started + a.duration) for a in attempts if a.cell == cell)
        assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(own))
