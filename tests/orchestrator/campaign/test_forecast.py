"""The expected end of a campaign: known answers, and how near it is to what then happens."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from orchestrator.campaign.forecast import finish
from orchestrator.campaign.progress import Spent
from orchestrator.store.glance import Kind
from orchestrator.store.records import AttemptRecord

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = 3600.0


def ended(id, began, hours, cell="cell-1", *, virtual=True):
    started = NOW if virtual else NOW + timedelta(seconds=began)
    wall = timedelta(seconds=0.01 if virtual else hours * HOUR)
    return AttemptRecord(
        experiment=id,
        number=1,
        state="finished",
        cell=cell,
        started=started,
        finished=started + wall,
        clock_started=began,
        duration=hours * HOUR,
    )


def said(attempts, left, states=None, out=(), now=NOW, cost=None):
    states = states or ["completed" if a.finished else "running" for a in attempts]
    tally = Counter(Kind(state, "asked", None, cost) for state in states)
    return finish(attempts, Spent.of(tally), left, out, now)


FOUR = [ended(1, 0.0, 1.0), ended(2, 0.0, 1.0, "cell-2"), ended(3, HOUR, 1.0), ended(4, HOUR, 1.0, "cell-2")]


@pytest.mark.parametrize(
    ("left", "out", "hours", "experiments"),
    [
        ({"experiments": 6.0}, (), 3.0, 6),
        ({"experiments": 5.0}, (), 3.0, 5),
        ({"experiments": 6.0}, ("cell-2",), 6.0, 6),
        ({"hours": 2.0}, (), 2.0, 4),
        ({"experiments": 6.0, "hours": 1.0}, (), 1.0, 2),
        ({"cost": 50.0}, (), 3.0, 5),
        ({"catalyst_mass": 1.5}, (), 3.0, 6),
        ({"catalyst_mass": 0.0, "experiments": 6.0}, (), 0.0, 0),
        ({"experiments": 0.0}, (), 0.0, 0),
    ],
)
def test_equal_experiments_take_their_turns_in_the_cells_that_are_left(left, out, hours, experiments):
    found = said(FOUR, left, out=out, cost=10.0)
    assert found.hours == pytest.approx(hours)
    assert found.experiments == experiments
    assert found.sem == pytest.approx(0.0)
    assert found.at is None  # simulated


@pytest.mark.parametrize(
    ("attempts", "left", "out"),
    [(FOUR[:2], {"experiments": 6.0}, ()), (FOUR, {}, ()), (FOUR, {"experiments": 6.0}, ("cell-1", "cell-2"))],
    ids=["too few", "no budget", "no cell"],
)
def test_nothing_is_said_where_nothing_can_be(attempts, left, out):
    assert said(attempts, left, out=out) is None


def test_what_runs_has_the_rest_of_its_time_to_go_and_the_end_is_on_the_wall():
    attempts = [ended(i + 1, i * HOUR, 1.0, virtual=False) for i in range(3)]
    now = NOW + timedelta(hours=3.25)
    running = AttemptRecord(
        experiment=4, number=1, cell="cell-1", started=NOW + timedelta(hours=3), clock_started=3 * HOUR
    )
    found = said([*attempts, running], {"experiments": 2.0}, now=now)
    assert found.hours == pytest.approx(2.75)
    assert found.experiments == 3
    assert found.at == now + timedelta(hours=2.75)
    assert found.plain()["at"] == "2026-03-02T14:00:00+00:00"


def test_what_waits_is_counted_with_what_is_still_to_be_proposed():
    states = ["completed"] * 4 + ["queued", "approved", "cancelled"]
    assert said(FOUR, {"experiments": 2.0}, states).experiments == 4


def test_the_end_is_as_near_as_its_uncertainty_says():
    """Log-normal durations on four cells: little bias, and deviations of about one standard uncertainty."""
    errors, sems = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        times, free, attempts = rng.lognormal(0.0, 0.5, 60), np.zeros(4), []
        for i, hours in enumerate(times):
            cell = int(free.argmin())
            attempts.append(ended(i + 1, free[cell] * HOUR, hours, f"cell-{cell + 1}"))
            free[cell] += hours
        order = sorted(attempts, key=lambda a: a.clock_started + a.duration)
        then = order[29].clock_started + order[29].duration
        known = [a for a in attempts if a.clock_started + a.duration <= then]
        flying = [
            AttemptRecord(experiment=a.experiment, number=1, cell=a.cell, clock_started=a.clock_started)
            for a in attempts
            if a.clock_started < then < a.clock_started + a.duration
        ]
        found = said([*known, *flying], {"experiments": float(60 - len(known) - len(flying))})
        errors.append(free.max() - then / HOUR - found.hours)
        sems.append(found.sem)
    assert abs(np.mean(errors)) < 0.35 * np.mean(sems)
    assert 0.8 < np.std(errors) / np.sqrt(np.mean(np.square(sems))) < 1.3


def test_thousands_of_experiments_are_summed_up():
    found = said(FOUR, {"experiments": 10_000.0})
    assert found.hours == pytest.approx(5000.0)
    rng = np.random.default_rng(1)
    many = [ended(i + 1, i * HOUR, hours) for i, hours in enumerate(rng.lognormal(0.0, 0.5, 50))]
    one_by_one, summed = (said(many, {"experiments": n}) for n in (500.0, 501.0))
    assert summed.hours == pytest.approx(one_by_one.hours, rel=0.05)
    assert summed.sem == pytest.approx(one_by_one.sem, rel=0.3)
