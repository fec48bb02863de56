"""Reducing raw signals again, and accepting what an experiment of unknown outcome measured."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "loop"))
from loop_bench import SPACE, Bench, RawBench, campaign_of, loop_of

from acquisition import Objective
from instruments import Verdict
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.errors import CampaignError, RawSignalsError
from orchestrator.loop.keeping import Files
from orchestrator.steering import experiments
from orchestrator.steering.reducing import accept, reduce


class Lost(Exception):
    """Of the laboratory, after it has measured."""


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, tmp_path / "spool")


@pytest.fixture
def campaign(files):
    made = campaign_of(strategy="random")
    assert loop_of(made, RawBench(), files, 2).run() == "completed"
    return made


def fresh(campaign):
    """As a command sees it."""
    return Campaign(SPACE, [Objective("y")], store=campaign.store, name="c", definition={}, initial=4)


def again(campaign, lab, files, *ids):
    return reduce(fresh(campaign), lab, files, ids, who="ann", why="mended")


def test_a_reduction_is_repeated_from_the_files_and_former_values_stay_in_the_log(campaign, files):
    lab = RawBench(factor=2.0, verdict=Verdict("suspect", ("Q07",)))
    said = again(campaign, lab, files, 2)
    assert said == "experiment 2 was y 0.2, valid; it is y 0.4, suspect (Q07)."
    record = campaign.store.experiment("c", 2)
    assert (record.values["y"].value, record.state, record.verdict) == (0.4, "completed", "suspect")
    changed = [e for e in campaign.store.events("c") if e.kind == "experiment" and e.who == "ann"]
    assert [e.data["was"]["values"]["y"]["value"] for e in changed] == [0.2]
    assert changed[0].why == "reduced again: mended"
    (note,) = [e for e in campaign.store.events("c") if e.kind == words.REDUCTION]
    assert set(note.data) == {"attempt", "digest", "version"}
    assert lab.executed == []
    assert lab.made_safe == 0
    assert again(campaign, lab, files, 2) == "experiment 2 is what it was: y 0.4, suspect (Q07)."
    assert "y 0.2, valid." in again(campaign, RawBench(), files, 2), "reasons of a former reduction go with it"


@pytest.mark.parametrize("judge", ["person", "control"])
def test_whoever_judged_a_result_since_is_not_overruled(campaign, files, judge):
    if judge == "person":
        experiments.mark(campaign.store, "c", 1, "wrong", who="bob", why="leak")
    else:
        from dataclasses import replace

        from orchestrator.store.changes import PutExperiment

        record = campaign.store.experiment("c", 1)
        suspect = replace(record, verdict="suspect", verdict_reasons=("control gas",))
        campaign.store.apply("c", [PutExperiment(suspect, "completed", "control gas: failed")], who="campaign")
    verdict, reason = ("invalid", "bob: leak") if judge == "person" else ("suspect", "control gas")
    again(campaign, RawBench(factor=2.0, verdict=Verdict("suspect", ("Q07",))), files, 1)
    record = campaign.store.experiment("c", 1)
    assert (record.values["y"].value, record.verdict) == (0.2, verdict)
    assert record.verdict_reasons == ("Q07", reason)


def test_what_cannot_be_reduced_stays_as_it_is(campaign, files):
    before = campaign.store.last_event("c")
    with pytest.raises(CampaignError, match=r"no steady part\. Nothing was changed"):
        again(campaign, RawBench(factor=None), files, 1)
    with pytest.raises(CampaignError, match="cannot reduce raw signals again"):
        again(campaign, Bench(), files, 1)
    next(files.folder.rglob("trace.parquet")).unlink()
    with pytest.raises(RawSignalsError, match=r"trace\.parquet is missing"):
        again(campaign, RawBench(), files, 1)
    assert campaign.store.last_event("c") == before


def test_an_experiment_without_raw_signals_or_without_a_result_is_refused(files):
    campaign = campaign_of(strategy="random")
    loop_of(campaign, Bench(), files, 1).run()
    with pytest.raises(RawSignalsError, match="experiment 1 has no raw signals"):
        again(campaign, RawBench(), files, 1)
    campaign.propose(1, state="queued")
    with pytest.raises(CampaignError, match=r"experiment 2 is queued .*cannot be reduced again"):
        again(campaign, RawBench(), files, 2)


def test_a_failed_reduction_becomes_a_result_without_the_laboratory(files):
    def measured(job, context):
        from instruments.lab import Outcome

        lab.measure(job, context)
        return Outcome(awaiting=("y",))

    campaign, lab = campaign_of(strategy="random"), RawBench(measured)
    loop_of(campaign, lab, files, 1).run()
    assert campaign.store.experiment("c", 1).state == "awaiting_analysis"
    assert "it is y 0.1, valid." in again(campaign, RawBench(), files, 1)
    assert campaign.store.experiment("c", 1).state == "completed"


# Accepting


def unknown(files, measured=True):
    """A campaign with one experiment that nobody knows the outcome of."""

    def broken(job, context):
        if measured:
            lab.measure(job, context)
        raise Lost("the program broke")

    campaign, lab = campaign_of(strategy="random"), RawBench(broken, repeat_is_safe=False)
    with pytest.raises(Lost):
        loop_of(campaign, lab, files, 1).run()
    assert campaign.store.experiment("c", 1).state == "needs_inspection"
    return campaign


def test_what_was_measured_is_accepted_as_the_result(files):
    campaign = unknown(files)
    with pytest.raises(CampaignError, match="sabatier resolve c 1 accept"):
        again(campaign, RawBench(), files, 1)
    said = accept(fresh(campaign), RawBench(), files, 1, who="ann", why="I saw it end")
    assert said == "experiment 1 is completed: y 0.1, valid; `sabatier resume c` goes on."
    (attempt,) = campaign.store.attempts("c", 1)
    assert attempt.state == "finished"
    assert len(attempt.digest) == 64
    assert attempt.duration >= 0.0
    last = [e for e in campaign.store.events("c") if e.kind == "experiment"][-1]
    assert (last.who, last.why, last.before, last.after) == ("ann", "I saw it end", "needs_inspection", "completed")
    with pytest.raises(CampaignError, match="cannot be accepted"):
        accept(fresh(campaign), RawBench(), files, 1, who="bob")
    assert loop_of(fresh(campaign), RawBench(repeat_is_safe=False), files, 1).run() == "completed"


def test_nothing_is_accepted_that_was_not_measured_in_full(files):
    campaign = unknown(files, measured=False)
    folder = files.local(campaign.store.attempts("c", 1)[0].files)
    folder.mkdir(parents=True)
    (folder / "potentiostat.jsonl").write_text("{}\n")
    with pytest.raises(CampaignError) as refused:
        accept(fresh(campaign), RawBench(), files, 1, who="ann")
    assert "no complete raw signals (there is potentiostat.jsonl)" in str(refused.value)
    assert "sabatier tell c FILE.csv" in str(refused.value)
    assert campaign.store.experiment("c", 1).state == "needs_inspection"
