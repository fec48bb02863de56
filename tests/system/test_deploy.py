"""Campaigns that workers run: handed over by a command, continued by another worker where one died, nothing twice."""

import os
from collections import Counter

import pandas as pd
import psutil
import pytest
from prefect_bench import kill_all, prefect_bench, until

from orchestrator.campaign.line import BRAIN
from orchestrator.loop.assembly import assemble
from orchestrator.store.opening import open_store

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL"),
]

CAMPAIGN = """\
name: plate
seed: 3
space: {{pool: plate.csv, parameters: [ni, fe, co, ce]}}
objectives: [{{metric: overpotential_V, goal: minimize}}]
strategy: {{name: {strategy}}}
lab: {{type: patient, table: plate.csv, seconds: {seconds}}}
stop: {{experiments: {experiments}}}
"""
PATIENT = """\
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from instruments.errors import ExecutionCancelled
from simulators.replay import ReplayLab, ReplayOptions


@dataclass(frozen=True)
class PatientOptions(ReplayOptions):
    seconds: float = 0.0
    type: Literal["patient"] = Field(default="patient", kw_only=True)

    def build(self, parameters, tables):
        lab = PatientLab(tables["table"], parameters)
        lab.seconds = self.seconds
        return lab


class PatientLab(ReplayLab):
    virtual_time = False

    def execute(self, job, context):
        if context.cancelled.wait(self.seconds):
            raise ExecutionCancelled("cancelled.")
        return super().execute(job, context)
"""
EVERY = 10
COLUMNS = ["ni", "fe", "co", "ce", "overpotential_V", "reason", "sample"]


@pytest.fixture(autouse=True)
def patient(tmp_path_factory, monkeypatch):
    """A laboratory that takes its time, installed for this process and those that it starts."""
    site = tmp_path_factory.mktemp("site")
    (site / "patient.py").write_text(PATIENT)
    info = site / "patient-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: patient\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sabatier.labs]\npatient = patient:PatientOptions\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))


@pytest.fixture
def laboratory(bench):
    """A server whose workers use the bench's store."""
    with prefect_bench(bench.folder / "laboratory", bench.store) as made:
        yield made


def _deploy(bench, laboratory, *words, experiments=60, seconds=0.4, strategy="random"):
    bench.write(CAMPAIGN.format(experiments=experiments, seconds=seconds, strategy=strategy))
    return bench.run(
        "deploy", *(words or ["campaign.yaml"]), "--pool", "rig", "--every", EVERY, PREFECT_API_URL=laboratory.url
    )


def _states(bench):
    kept = open_store(bench.store, durable=False, create=False)
    try:
        return Counter(kept.counts("plate"))
    finally:
        kept.close()


def _done(bench):
    return _states(bench)["completed"]


def _record(bench):
    kept = open_store(bench.store, durable=False, create=False)
    try:
        return kept.campaign("plate"), kept.holder("plate")
    finally:
        kept.close()


def _ended(bench):
    return _record(bench)[0].state == "completed"


def _frame(bench):
    kept = open_store(bench.store, durable=False, create=False)
    try:
        return assemble(kept, "plate").campaign.to_dataframe(), kept.attempts("plate")
    finally:
        kept.close()


def _two_workers(laboratory):
    workers = [laboratory.start_worker("rig") for _ in range(2)]
    for number in (1, 2):
        until(lambda n=number: "started!" in laboratory.log(f"worker-{n}"), what=f"worker {number}")
    return workers


def _holder_among(bench, workers, results):
    """The worker that runs the campaign, once there are so many results."""
    until(lambda: _done(bench) >= results, what="the first results")
    pid = _record(bench)[1].owner.pid
    (one,) = [w for w in workers if pid in {p.pid for p in psutil.Process(w.pid).children(recursive=True)}]
    return one


def _check_nothing_twice(bench, calm, strategy="random"):
    frame, attempts = _frame(bench)
    assert (frame["state"] == "completed").all()
    finished = Counter(a.experiment for a in attempts if a.state == "finished")
    assert dict(finished) == dict.fromkeys(frame.index, 1), "measured twice, or not at all"
    (calm.folder / "plate.csv").write_bytes((bench.folder / "plate.csv").read_bytes())
    calm.write(CAMPAIGN.format(experiments=len(frame), seconds=0.0, strategy=strategy))
    calm.run("run", "campaign.yaml", "--engine", "threads", "-q")
    pd.testing.assert_frame_equal(frame[COLUMNS], _frame(calm)[0][COLUMNS])


def test_without_a_server_nothing_is_registered(bench):
    bench.write(CAMPAIGN.format(experiments=5, seconds=0.0, strategy="random"))
    done = bench.run("deploy", "campaign.yaml", status=2)
    assert "PREFECT_API_URL" in done.stderr
    assert not (bench.folder / "data").exists()


@pytest.fixture
def calm(bench, tmp_path_factory):
    """A bench where nothing dies."""
    return type(bench)(tmp_path_factory.mktemp("calm"))


@pytest.fixture
def on_postgres(bench, postgres_url):
    """The bench with a store in PostgreSQL."""
    return type("DatabaseBench", (type(bench),), {"store": postgres_url})(bench.folder)


@pytest.mark.soak
def test_workers_share_a_database(on_postgres, calm, monkeypatch):
    """As below; no address of the database is told to Prefect."""
    bench = on_postgres
    monkeypatch.setenv("SABATIER_FILES", str(bench.folder / "raw"))
    with prefect_bench(bench.folder / "laboratory", bench.store) as laboratory:
        _deploy(bench, laboratory, experiments=40)
        (deployment,) = laboratory.all("deployments")
        assert deployment["parameters"] == {"campaign": "plate", "store": None}
        kill_all(_holder_among(bench, _two_workers(laboratory), results=10))
        until(lambda: _record(bench)[1] is not None, what="the takeover")
        until(lambda: _ended(bench), what="the end")
        _check_nothing_twice(bench, calm)


@pytest.mark.soak
def test_another_worker_continues_where_one_was_killed(bench, laboratory, calm, record_property):
    said = _deploy(bench, laboratory).stdout
    assert "sabatier worker --pool rig" in said
    victim = _holder_among(bench, _two_workers(laboratory), results=20)
    kill_all(victim)
    record, holder = _record(bench)
    assert record.state == "running"
    assert holder is None, "whoever died on this computer is known to be dead"
    took = until(lambda: _record(bench)[1] is not None, what="the takeover")
    record_property("takeover_seconds", round(took, 1))
    print(f"takeover: {took:.1f} s, looked at every {EVERY} s")
    until(lambda: _ended(bench), what="the end")
    _check_nothing_twice(bench, calm)

    until(lambda: not laboratory.schedule_is_active("plate"), what="the end of the looks")
    until(lambda: not [r for r in laboratory.all("flow_runs") if r["state_type"] == "RUNNING"], what="the last run")
    names = Counter(run["state_name"] for run in laboratory.all("flow_runs"))
    assert names["Completed"] == 1
    assert names["Crashed"] == 1, "Prefect is told of the one that died"
    assert names["Looked"] <= 4, "looks do not pile up"


@pytest.mark.soak
def test_what_dies_around_a_campaign_does_not_end_it(bench, laboratory):
    """Prefect's server is killed and started again, the worker is killed alone, the campaign's process is killed."""
    _deploy(bench, laboratory, experiments=240, seconds=0.5)
    worker = laboratory.start_worker("rig", plain=True)
    until(lambda: _done(bench) >= 5, what="the first results")
    controller = _record(bench)[1].owner.pid

    kill_all(laboratory.server)
    reached = _done(bench)
    until(lambda: _done(bench) >= reached + 10, what="results without a server")
    laboratory.start_server()

    worker.kill()  # alone: what it has started does not hear of it
    worker.wait()
    ours = laboratory.start_worker("rig")
    until(lambda: f"process {controller}" in laboratory.log("worker-2"), what="a look at what somebody controls")
    assert _record(bench)[1].owner.pid == controller

    psutil.Process(controller).kill()
    until(lambda: (now := _record(bench)[1]) and now.owner.pid != controller, what="the continuation")

    reached = _done(bench)
    until(lambda: _done(bench) > reached, what="more results")
    ours.terminate()
    assert ours.wait(timeout=60) == 0
    assert _record(bench)[0].state == "interrupted", "told to end, a worker lets its campaign end in good order"
    assert _states(bench)["running"] == 0

    laboratory.start_worker("rig")
    until(lambda: _record(bench)[0].state == "running", what="the second continuation")
    said = bench.run("stop", "plate", "--why", "enough", PREFECT_API_URL=laboratory.url).stdout
    assert "stops when" in said
    until(lambda: _record(bench)[0].state == "stopped", what="the stop")
    until(lambda: not laboratory.schedule_is_active("plate"), what="the end of the looks")
    frame, attempts = _frame(bench)
    finished = Counter(a.experiment for a in attempts if a.state == "finished")
    assert dict(finished) == dict.fromkeys(frame.index[frame["state"] == "completed"], 1)

    assert "deployed" in _deploy(bench, laboratory, "plate", experiments=240, seconds=0.5).stdout
    assert laboratory.schedule_is_active("plate")
    until(lambda: _record(bench)[0].state == "running", what="the campaign that was handed over again")


def _askers(bench):
    kept = open_store(bench.store, durable=False, create=False)
    try:
        return [event.who for event in kept.events("plate", kinds=("ask",))]
    finally:
        kept.close()


def _brain(bench):
    kept = open_store(bench.store, durable=False, create=False)
    try:
        return kept.held(BRAIN)
    finally:
        kept.close()


@pytest.mark.soak
def test_another_worker_proposes_until_it_dies(bench, laboratory, calm):
    """The same is proposed as where all is done in one process."""
    strategy = "expected_improvement"
    said = _deploy(bench, laboratory, "campaign.yaml", "--brain-pool", "gpu", experiments=30, strategy=strategy).stdout
    assert "sabatier worker --pool gpu" in said
    thinker = laboratory.start_worker("gpu")
    until(lambda: _brain(bench), what="the brain")
    laboratory.start_worker("rig")
    until(lambda: len(_askers(bench)) >= 15, what="the first proposals")
    kill_all(thinker)
    until(lambda: _ended(bench), what="the end")
    by = _askers(bench)
    assert by[:15] == ["brain"] * 15
    assert by[-1] == "campaign"
    assert by == sorted(by), "once the brain is dead, the campaign goes on alone"
    _check_nothing_twice(bench, calm, strategy)
    assert "gpu" not in _deploy(bench, laboratory, experiments=30, strategy=strategy).stdout
    assert [d["work_pool_name"] for d in laboratory.all("deployments")] == ["rig"], "without --brain-pool there is none"
