"""What ``status`` counts in the store is what all records say, and it reads no more of a longer campaign."""

from __future__ import annotations

import importlib
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from acquisition import Objective, OutcomeConstraint
from orchestrator.campaign.merit import incumbent, non_dominated
from orchestrator.campaign.progress import observed, spent
from orchestrator.cli.looking import summary
from orchestrator.store import (
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    MemoryStore,
    PutAttempt,
    PutExperiment,
    Value,
    codec,
)
from orchestrator.store.sql import open_sqlite

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
OBJECTIVES = [{"metric": "y", "goal": "maximize"}, {"metric": "z", "goal": "minimize"}]
STATES = ("completed", "completed", "completed", "awaiting_analysis", "failed", "rejected", "queued", "proposed")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    opened = MemoryStore() if request.param == "memory" else open_sqlite(tmp_path / "store.db", durable=False)
    yield opened
    opened.close()


def put(store, n: int, rng: np.random.Generator) -> None:
    """Experiments of all sorts."""
    for id in range(1, n + 1):
        state = STATES[rng.integers(len(STATES))]
        values = {m: Value(round(float(rng.random()), 1)) for m in ("y", "z", "w") if rng.random() < 0.9}
        record = ExperimentRecord(
            id=id,
            state="proposed" if state == "rejected" else state,
            origin=rng.choice(["asked", "asked", "manual", "prior", "confirm"]).item(),
            asked={"a": 0.5},
            values=values if state in ("completed", "awaiting_analysis") else {},
            verdict=rng.choice(["valid", "suspect", "invalid"]).item(),
            failure_cause="material" if state == "failed" else None,
            cost=float(rng.integers(1, 9)) / 7,
            told=id,
        )
        store.apply("c", [PutExperiment(record, None)], who="me")
        if state == "rejected":
            rejected = ExperimentRecord(id=id, state="rejected", asked={"a": 0.5}, origin=record.origin)
            store.apply("c", [PutExperiment(rejected, "proposed")], who="me")
        if state == "completed":
            began = AttemptRecord(experiment=id, number=1, cell=f"cell-{id % 3}", clock_started=100.0 * id)
            ended = AttemptRecord(
                experiment=id, number=1, cell=began.cell, clock_started=100.0 * id, state="finished",
                duration=float(rng.random()) * 900.0, started=began.started, finished=began.started,
            )  # fmt: skip
            store.apply("c", [PutAttempt(began), PutAttempt(ended)], who="me")


@pytest.mark.parametrize(("objectives", "seed"), [(1, 0), (1, 1), (2, 2), (2, 3)])
def test_what_is_counted_is_what_all_records_say(store, objectives, seed):
    definition = {
        "objectives": OBJECTIVES[:objectives],
        "outcome_constraints": [{"metric": "w", "upper": 0.6}],
        "stop": {"experiments": 99, "hours": 50.0, "expected_gain": {"below": 0.1}},
        "costs": {"experiment": 1.0, "unit": "min"},
    }
    store.create(CampaignRecord(name="c", definition=definition, definition_hash=""))
    put(store, 60, np.random.default_rng(seed))
    records, attempts = store.experiments("c"), store.attempts("c")
    found = summary(store, store.campaign("c"))

    wanted = [Objective(**block) for block in definition["objectives"]]
    metrics = [*(o.metric for o in wanted), "w"]
    best = incumbent(records, wanted, [OutcomeConstraint("w", upper=0.6)])
    assert best
    assert [one["experiment"] for one in found["best"]] == [r.id for r in best]
    assert (found["results"], found["observed"]) == observed(records, metrics)
    assert found["experiments"] == store.counts("c")
    verdicts = Counter(r.verdict for r in records if r.state == "completed")
    assert found["verdicts"] == {verdict: verdicts[verdict] for verdict in ("valid", "suspect", "invalid")}
    counted = spent(records)
    assert found["cost"]["spent"] == pytest.approx(math.fsum(r.cost or 0.0 for r in counted))
    now = {part["rule"]: part["now"] for part in found["stop"]["parts"]}
    assert now["experiments"] == len(counted)
    assert now["hours"] == pytest.approx(max(a.clock_started + a.duration for a in attempts) / 3600.0)


def test_the_front_is_what_no_other_row_beats():
    rng = np.random.default_rng(0)
    for columns in (1, 2, 3):
        utilities = np.round(rng.random((80, columns)), 1)  # many equal ones
        among = rng.random(80) < 0.8
        beaten = [
            any((u >= v).all() and (u > v).any() for u in utilities[among]) or not there
            for v, there in zip(utilities, among, strict=True)
        ]
        assert non_dominated(utilities, among).tolist() == (~np.array(beaten)).tolist()
    assert not non_dominated(utilities, np.zeros(80, dtype=bool)).any()


def test_a_longer_campaign_is_not_read_in_more_documents(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr("orchestrator.campaign.progress.LATEST", 50)
    monkeypatch.setattr("orchestrator.cli.looking.LATEST", 50)
    fill = importlib.import_module("status_speed").fill
    decoded = []
    inner = codec.decode
    monkeypatch.setattr(codec, "decode", lambda document: decoded.append(1) or inner(document))
    read = []
    for count in (100, 300):
        store = open_sqlite(tmp_path / f"{count}.db", durable=False)
        fill(store, count)
        record = store.campaign("long")
        decoded.clear()
        found = summary(store, record)
        assert (found["experiments"]["completed"], found["observed"]["fe_c2h4"]) == (count - 8, count - 8)
        assert found["finish"]["experiments"] == 500 + 8
        read.append(len(decoded))
        store.close()
    assert read[0] == read[1] <= 100
