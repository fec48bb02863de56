"""What limits a campaign: known answers, and a queue that is simulated."""

import heapq

import numpy as np
import pytest

from orchestrator.campaign.bottleneck import loads
from orchestrator.store.records import AttemptRecord


def attempt(id, cell, seconds, began=0.0, state="finished", **used):
    return AttemptRecord(
        experiment=id, number=1, state=state, cell=cell, clock_started=began, duration=seconds, used=used
    )


def test_the_greatest_load_comes_first_and_waiting_is_nobodys():
    ran = [attempt(n, f"cell-{n % 2}", 3600.0, gc=(720.0, 600.0), robot=(60.0, 0.0)) for n in range(4)]
    found = loads(ran)
    assert [load.resource for load in found] == ["cells", "gc", "robot"]
    assert [load.seconds for load in found] == [1500.0, 720.0, 60.0]  # (3600 - 600) / 2
    assert [load.most for load in found] == pytest.approx([2.4, 5.0, 60.0])
    assert [load.waited for load in found] == [0.0, 600.0, 0.0]
    assert [load.sem for load in found] == [0.0, 0.0, 0.0]


def test_with_more_cells_the_chromatograph_limits():
    ran = [attempt(n, f"cell-{n}", 3600.0 + 1.0 * n, gc=(720.0, 0.0)) for n in range(8)]
    assert loads(ran)[0].resource == "gc"
    assert loads(ran, out=[f"cell-{n}" for n in range(3, 8)])[0].resource == "cells"


def test_experiments_without_a_device_count_with_nothing():
    ran = [attempt(1, "a", 100.0, gc=(60.0, 0.0)), attempt(2, "a", 100.0), attempt(3, "a", 100.0)]
    gc = loads(ran)[1]
    assert gc.seconds == pytest.approx(20.0)
    assert gc.sem == pytest.approx(20.0)  # stdev(60, 0, 0) / sqrt(3)


@pytest.mark.parametrize("states", [["finished", "finished", "running"], ["unknown"] * 5, []])
def test_too_little_is_known(states):
    assert loads([attempt(n, "a", 10.0, state=state) for n, state in enumerate(states)]) == []


def test_no_cell_in_service_limits_all():
    assert loads([attempt(n, "a", 10.0) for n in range(5)], out=["a"]) == []


def test_the_last_ones_count():
    old = [attempt(n, "a", 1000.0, began=n) for n in range(300)]
    new = [attempt(n, "a", 10.0, began=n) for n in range(300, 500)]
    assert loads([*new, *old])[0].seconds == 10.0


@pytest.mark.parametrize(("cells", "bound"), [(2, "cells"), (16, "gc")])
def test_the_rate_of_a_simulated_laboratory_is_what_its_bottleneck_allows(cells, bound):
    rng, free_gc = np.random.default_rng(1), 0.0
    free = [(0.0, n) for n in range(cells)]
    ran = []
    for id in range(2000):
        began, cell = heapq.heappop(free)
        ready = began + rng.lognormal(np.log(3000.0), 0.3)
        injected = max(ready, free_gc)
        free_gc = injected + 720.0
        ran.append(attempt(id, str(cell), free_gc - began, began, gc=(720.0, injected - ready)))
        heapq.heappush(free, (free_gc, cell))
    first = loads(ran)[0]
    assert first.resource == bound
    assert 2000 / (free_gc / 3600.0) == pytest.approx(first.most, rel=0.05)
