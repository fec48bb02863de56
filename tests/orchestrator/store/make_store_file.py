"""Writes a small store of the present schema, and what is in it, as test data for all later releases.

Run it once for each released schema: ``python tests/orchestrator/store/make_store_file.py``. It never overwrites: a
file of an old schema can only be made by the release of that schema.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.store import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    Note,
    Owner,
    PutAsk,
    PutAttempt,
    PutExperiment,
    SetCampaignState,
    Store,
    Value,
    backup,
)
from orchestrator.store.schema import REVISIONS
from orchestrator.store.sql import open_sqlite

DATA = Path(__file__).parent / "data"
TABLE = b"x_Cu,fe_c2h4\n0.5,0.31\n"


class Clock:
    """One second later with every look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        self.seconds += 1
        return datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def fill(store: Store, clock: Clock) -> None:
    """A campaign in which everything has happened, and one that was only created."""
    digest = hashlib.sha256(TABLE).hexdigest()
    start = clock.now()
    dates = {"created": start, "updated": start}
    definition = {"space": {"low": 0.1 + 0.2, "pool": digest}, "metrics": ["fe_c2h4"]}
    store.create(
        CampaignRecord(name="alloys", definition=definition, definition_hash="abc", seed=2**70, **dates),
        {digest: TABLE},
    )
    store.create(CampaignRecord(name="other – ü", definition={}, definition_hash="", **dates))
    lease = store.acquire("alloys", Owner("rig", 17, 3.25, "boot", "ada"))
    one = ExperimentRecord(
        id=1,
        state="proposed",
        ask=1,
        asked={"x_Cu": 1 / 3, "cation": "K"},
        reason="unsure",
        prediction={"fe_c2h4": {"mean": 0.3, "std": 0.05}},
        gain=0.02,
        cost=40.0,
        seed=2**63 + 1,
        **dates,
    )
    attempt = AttemptRecord(experiment=1, number=1, cell="c1", sample="s1", started=start, clock_started=0.125)
    told = dataclasses.replace(
        one,
        state="completed",
        executed={"x_Cu": 0.333, "cation": "K"},
        measured={"x_Cu": 0.3331},
        measured_sem={"x_Cu": 1e-4},
        values={"fe_c2h4": Value(0.1, 0.01), "t80": Value(3.0, censored="above"), "co2": Value(None)},
        sample="s1",
        verdict="suspect",
        verdict_reasons=("drift",),
        told=1,
    )
    failed = ExperimentRecord(
        id=2, state="failed", origin="prior", failure_cause="material", failure_reason="flooded", told=2, **dates
    )
    changes = [
        SetCampaignState("created", "running", "start"),
        PutAsk(AskRecord(1, 1, {"lengthscales": [0.1, 1e300]}, start)),
        PutExperiment(one, None),
        PutExperiment(dataclasses.replace(one, state="queued"), "proposed"),
        PutExperiment(dataclasses.replace(one, state="running"), "queued"),
        PutAttempt(attempt),
        PutAttempt(
            dataclasses.replace(attempt, state="finished", finished=clock.now(), duration=60.5, files="f", digest="d")
        ),
        PutExperiment(told, "running"),
        PutExperiment(dataclasses.replace(told, verdict="invalid"), "completed", "wrong electrode"),
        PutExperiment(failed, None),
        Note("comment", "looks odd", experiment=1, data={"x": [0.1, None, True]}),
        SetCampaignState("running", "completed", "budget"),
    ]
    store.apply("alloys", changes, who="ada", token=lease.token)


def content(store: Store) -> dict[str, object]:
    """Everything in a store, as JSON has it."""
    everything = {
        record.name: {
            "campaign": dataclasses.asdict(record),
            "asks": [dataclasses.asdict(one) for one in store.asks(record.name)],
            "experiments": [dataclasses.asdict(one) for one in store.experiments(record.name)],
            "attempts": [dataclasses.asdict(one) for one in store.attempts(record.name)],
            "events": [dataclasses.asdict(one) for one in store.events(record.name)],
            "figures": [one._asdict() for one in store.figures(record.name, ["fe_c2h4", "t80", "co2"])],
            "experiment_rows": [one._asdict() for one in store.experiment_rows(record.name)],
            "tally": [[*kind, count] for kind, count in sorted(store.tally(record.name).items())],
            "clock": store.clock(record.name),
        }
        for record in store.campaigns()
    }
    read: dict[str, object] = json.loads(json.dumps(everything, default=datetime.isoformat))
    return read


def main() -> None:
    """Write ``schema_<revision>.db`` and ``.json``."""
    target = DATA / f"schema_{REVISIONS[-1]}.db"
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        store = open_sqlite(Path(folder) / "store.db", clock=clock)
        fill(store, clock)
        kept = content(store)
        store.close()
        with closing(sqlite3.connect(store.url.removeprefix("sqlite:///"))) as connection:
            connection.execute("VACUUM")
        backup(store.url, target)
    target.with_suffix(".json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
