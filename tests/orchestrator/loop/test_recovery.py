"""What a crash leaves: attempts that never started, that are unknown, and processes that slept past their lease."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from threading import Event

import pandas as pd
import pytest
from loop_bench import Bench, RawBench, answer, campaign_of, loop_of

from instruments import Measurement
from orchestrator.campaign import words
from orchestrator.errors import LeaseLost
from orchestrator.loop import leasing
from orchestrator.loop.holding import holding
from orchestrator.loop.journal import steps_of
from orchestrator.loop.keeping import Files
from orchestrator.loop.leasing import Fence, uptime
from orchestrator.store.changes import PutAttempt, PutExperiment
from orchestrator.store.opening import open_store
from orchestrator.store.records import AttemptRecord

PROCESS = """
import os, signal, sys
from functools import partial
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from loop_bench import Bench, RawBench, answer, campaign_of, loop_of
import orchestrator.loop.loop as loop
from orchestrator.loop.holding import holding
from orchestrator.store.opening import open_store

loop.holding = partial(holding, ttl=1.0, every=0.2)
folder, where = Path(sys.argv[2]), sys.argv[3]

def behaviour(job, context):
    if where == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    with context.journal("purge", "idempotent"):
        if where == "purge":
            os.kill(os.getpid(), signal.SIGKILL)
    with context.journal("electrolysis", "non-repeatable"):
        if where == "electrolysis":
            os.kill(os.getpid(), signal.SIGKILL)
        if where == "sleep":
            os.kill(os.getpid(), signal.SIGSTOP)
            context.cancelled.wait(20)
    with context.journal("wash", "idempotent"):
        (folder / "washed").touch()
    if where in ("measured", "reduced"):
        lab.factor = 1.0
        found = lab.measure(job, context)
        if where == "measured":
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return answer(job)

lab = RawBench(behaviour, repeat_is_safe=False)
lab.journals = True
if where == "reduced":
    import orchestrator.loop.landing as landing
    landing.told_of = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
loop_of(campaign_of(open_store(folder / "s.db"), strategy="random"), lab, folder / "files", 1).run()
"""


def process(folder, where):
    bench = str(Path(__file__).parent)
    command = [sys.executable, "-c", textwrap.dedent(PROCESS), bench, str(folder), where]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)


def resumed(store, folder, journals=True, lab=None):
    from loop_bench import SPACE

    from acquisition import Objective
    from orchestrator import Campaign

    campaign = Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, initial=4, strategy="random")
    lab = lab or Bench(repeat_is_safe=False)
    lab.journals = journals
    return loop_of(campaign, lab, folder / "files", 1).run(), lab


@pytest.mark.parametrize("where", ["before", "purge"])
def test_an_attempt_killed_before_it_touched_anything_is_run_again_unasked(tmp_path, where):
    killed = process(tmp_path, where)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    store = open_store(tmp_path / "s.db")
    state, lab = resumed(store, tmp_path)
    assert (state, lab.executed) == ("completed", [1])
    assert [a.state for a in store.attempts("c", 1)] == ["cancelled", "finished"]
    store.close()


@pytest.mark.parametrize(("where", "journals"), [("electrolysis", True), ("before", False)])
def test_an_attempt_of_unknown_outcome_waits_for_a_person(tmp_path, where, journals):
    """Also where the laboratory does not journal everything: an empty journal then proves nothing."""
    process(tmp_path, where).communicate()
    store = open_store(tmp_path / "s.db")
    state, lab = resumed(store, tmp_path, journals)
    assert (state, lab.executed) == ("halted", [])
    assert store.experiment("c", 1).state == "needs_inspection"
    said = store.campaign("c").reason
    last = "electrolysis (non-repeatable, its end was not written)" if journals else "its journal has no step"
    assert last in said
    assert "cell-1" in said
    store.close()


@pytest.mark.parametrize("where", ["measured", pytest.param("reduced", marks=pytest.mark.soak)])
def test_what_was_measured_in_full_is_told_once_from_its_files_without_the_laboratory(tmp_path, where):
    process(tmp_path, where).communicate()
    store = open_store(tmp_path / "s.db")
    assert store.experiment("c", 1).state == "running"
    state, lab = resumed(store, tmp_path, lab=RawBench(repeat_is_safe=False))
    assert (state, lab.executed) == ("completed", [])
    assert store.experiment("c", 1).values["y"].value == pytest.approx(0.1)
    (attempt,) = store.attempts("c", 1)
    assert attempt.state == "finished"
    assert attempt.duration >= 0.0
    assert Files(tmp_path, tmp_path).read(attempt).metadata == {"sample": attempt.sample}
    told = [e for e in store.events("c") if e.kind == "experiment" and e.after == "completed"]
    assert [e.why for e in told] == ["the process ended while it ran, but had measured all: reduced from its files"]
    resumed(store, tmp_path, lab=lab)
    assert lab.executed == []
    store.close()


def left(tmp_path):
    """A store with what a process leaves that dies as soon as an experiment is measured."""
    store, files = open_store("memory:"), Files(tmp_path / "files", tmp_path / "spool")
    campaign = campaign_of(store, strategy="random")
    (record,) = campaign.propose(1, state="queued")
    attempt = AttemptRecord(experiment=1, number=1, cell="cell-1", sample="s", files=files.location("c", 1, 1))
    campaign.put(PutExperiment(replace(record, state="running"), "queued"), PutAttempt(attempt))
    files.keep(attempt.files, Measurement({"trace": pd.DataFrame({"y": [0.1]})}, {"sample": "s"}), {"duration": 60.0})
    return store


def test_what_was_measured_waits_for_a_person_where_the_laboratory_cannot_reduce_it(tmp_path):
    store = left(tmp_path)
    state, lab = resumed(store, tmp_path)
    assert (state, lab.executed) == ("halted", [])
    assert "its raw signals are complete in" in store.campaign("c").reason


def test_what_cannot_be_reduced_after_a_crash_is_an_invalid_result_that_can_be_reduced_again(tmp_path):
    store = left(tmp_path)
    state, lab = resumed(store, tmp_path, lab=RawBench(factor=None, repeat_is_safe=False))
    assert (state, lab.executed) == ("completed", [])
    record = store.experiment("c", 1)
    assert (record.state, record.verdict) == ("awaiting_analysis", "invalid")
    assert "no steady part" in record.verdict_reasons[0]
    assert store.attempts("c", 1)[0].duration == 60.0


def test_files_that_changed_after_a_crash_are_not_told(tmp_path):
    store = left(tmp_path)
    (trace,) = tmp_path.rglob("trace.parquet")
    trace.write_bytes(trace.read_bytes() + b" ")
    state, lab = resumed(store, tmp_path, lab=RawBench(repeat_is_safe=False))
    assert (state, lab.executed) == ("halted", [])
    assert store.experiment("c", 1).state == "needs_inspection"

    assert "trace.parquet has changed" in store.campaign("c").reason


def test_a_process_without_control_does_not_replace_signals_that_another_may_have_recorded(tmp_path, monkeypatch):
    """It slept after its signals were complete; whoever took over has recorded them, with their hash."""

    def behaviour(job, context):
        context.keep(Measurement({"trace": pd.DataFrame({"y": [0.1]})}))
        monkeypatch.setattr(leasing, "uptime", lambda: uptime() + 3600.0)  # the computer slept
        context.keep(Measurement({"trace": pd.DataFrame({"y": [0.2]})}))

    campaign = campaign_of(open_store("memory:"), strategy="random")
    with pytest.raises(LeaseLost, match="ran out"):
        loop_of(campaign, Bench(behaviour, repeat_is_safe=False), tmp_path, 1).run()
    (trace,) = tmp_path.rglob("trace.parquet")
    assert pd.read_parquet(trace)["y"].tolist() == [0.1]


def test_a_process_that_slept_past_its_lease_begins_no_step_and_writes_nothing(tmp_path):
    asleep = process(tmp_path, "sleep")
    assert os.WIFSTOPPED(os.waitpid(asleep.pid, os.WUNTRACED)[1])
    store = open_store(tmp_path / "s.db")
    fence = Fence("c", 1.0)
    while store.holder("c") is not None or fence.permits():  # the lease runs out by the clock alone
        Event().wait(0.05)
    before = store.events("c")
    os.kill(asleep.pid, signal.SIGCONT)
    _, error = asleep.communicate(timeout=30)
    assert asleep.returncode == 1
    assert "LeaseLost" in error
    assert not (tmp_path / "washed").exists()
    after = [event for event in store.events("c")[len(before) :] if event.kind != "lease"]
    assert after == []
    state, lab = resumed(store, tmp_path)
    assert (state, lab.executed) == ("halted", [])
    store.close()


def test_steps_are_in_the_log_of_the_campaign_before_they_begin(tmp_path):
    campaign = campaign_of(strategy="random")
    seen = []

    def behaviour(job, context):
        with context.journal("electrolysis", "non-repeatable"):
            seen.append(steps_of(campaign.store.events("c"))[job.experiment, 1][0].ended)
        return answer(job)

    assert loop_of(campaign, Bench(behaviour), tmp_path, 1).run() == "completed"
    assert seen == [False]
    (step,) = steps_of(campaign.store.events("c"))[1, 1]
    assert (step.name, step.kind, step.ended) == ("electrolysis", "non-repeatable", True)


def test_a_laboratory_in_virtual_time_journals_nothing(tmp_path):
    campaign = campaign_of(strategy="random")

    def behaviour(job, context):
        with context.journal("electrolysis", "non-repeatable"):
            return answer(job)

    loop_of(campaign, Bench(behaviour, virtual_time=True), tmp_path, 1).run()
    assert not [event for event in campaign.store.events("c") if event.kind == words.STEP]


def test_a_fence_closes_by_itself_and_is_prolonged_by_renewals():
    fence = Fence("c", 1000.0)
    fence.check()
    assert fence.permits()
    closed = Fence("c", 0.0)
    assert not closed.permits()
    with pytest.raises(LeaseLost, match="ran out"):
        closed.check()
    closed.prolong(uptime(), 1000.0)
    closed.check()


def test_a_laboratory_is_given_the_fence_of_its_campaign(tmp_path):
    given = []
    lab = Bench()
    lab.fence = given.append
    loop_of(campaign_of(strategy="random"), lab, tmp_path, 1).run()
    assert given[0]() is True


def test_whoever_is_superseded_is_cancelled(tmp_path):
    store, cancelled = open_store("memory:"), Event()
    campaign_of(store)
    with holding(store, "c", cancelled, ttl=30.0, every=0.05) as held:
        store.release(held.lease)
        assert cancelled.wait(10)
