"""What a loop's people are told: once, with why, what to do and the best so far, and never at the loop's expense."""

import logging
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from loop_bench import SPACE, Bench, answer, campaign_of, loop_of

from acquisition import Objective
from instruments.errors import ExecutionCancelled, LabHalted
from instruments.lab import Failure, Outcome
from orchestrator import Campaign
from orchestrator.config.breakers import Breakers
from orchestrator.config.notify import EVENTS, Notify
from orchestrator.loop.listener import Listener
from orchestrator.notify import Address, Notifications
from orchestrator.notify.notifier import notifier_of
from orchestrator.notify.outbox import Pace
from orchestrator.store.opening import open_store

QUICK = Pace(gather=0.02, best_every=0.0, first_retry=0.05, longest_retry=0.1, patience=10.0, last_retries=0.05)
MOST = replace(QUICK, gather=60.0)  # all of a run in one message


class Heard(Listener):
    def __init__(self):
        self.notices = []

    def noticed(self, kind, text):
        self.notices.append((kind, text))


def _run(campaign, lab, tmp_path, url, *, on=EVENTS, pace=MOST, experiments=5, heard=None, **options):
    heard = heard or Heard()
    people = Notifications(
        campaign,
        Notify(to=("oncall",), on=on),
        {"oncall": notifier_of(Address("oncall", url, "a test"))},
        approval=options.get("approval") is not None,
        others=(heard,),
        pace=pace,
    )
    try:
        return loop_of(campaign, lab, tmp_path, experiments, listeners=(people, heard), **options).run()
    finally:
        people.close()


def _notes(campaign):
    return campaign.store.events(campaign.name, kinds=("notified",))


def test_the_end_is_told_with_the_best_its_unit_and_uncertainty(http, tmp_path):
    campaign = campaign_of()
    assert _run(campaign, Bench(), tmp_path, http.url) == "completed"
    got = http.next()
    assert got["title"] == "c: completed, a new best"
    text = got["message"]
    best = campaign.experiments()[max(range(5), key=lambda i: campaign.experiments()[i].values["y"].value)]
    assert f"Best so far: experiment {best.id}: y {best.values['y'].value:.4g} ± 0.01, as measured" in text
    assert "sabatier report c -o c.html" in text
    assert "Experiments done: 5 of 5" in text
    assert "Host: " in text
    assert http.messages.empty()
    (note,) = _notes(campaign)
    assert note.data["delivered"]
    assert note.data["to"] == "oncall"
    assert "S3CRET" not in repr(note)


def test_what_is_not_wanted_is_not_told(http, tmp_path):
    assert _run(campaign_of(), Bench(), tmp_path, http.url, on=("halted",)) == "completed"
    assert http.tried.empty()


def test_each_new_best_is_told_once(http, tmp_path):
    campaign = campaign_of()
    _run(campaign, Bench(), tmp_path, http.url, on=("best",), pace=replace(QUICK, gather=0.0))
    keys = Counter(key for note in _notes(campaign) for key in note.data["keys"])
    assert keys
    assert set(keys.values()) == {1}
    values = {record.id: record.values["y"].value for record in campaign.experiments()}
    top = max(values, key=values.__getitem__)
    assert f"best {top}" in keys


def _halts(job, context):
    if job.experiment == 2:
        raise ExecutionCancelled("the pump stalled.")
    return answer(job)


def test_an_experiment_that_needs_a_look_says_how_and_is_told_once(http, tmp_path):
    """Halted by it, resumed and halted again for the same, and halted anew after something has happened."""
    store = open_store("memory:")
    campaign = campaign_of(store, strategy="random")
    lab = Bench(_halts, repeat_is_safe=False)
    assert _run(campaign, lab, tmp_path, http.url, on=("halted", "inspection")) == "halted"
    got = http.next()
    assert got["title"] == "c: halted, an experiment needs a look"
    assert "the pump stalled." in got["message"]
    assert "sabatier resolve c 2 rerun" in got["message"]

    def again():
        return Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, initial=4, strategy="random")

    for _ in range(2):  # the first names the experiment in other words
        assert _run(again(), lab, tmp_path, http.url, on=("halted", "inspection")) == "halted"
    told = [got, *iter(lambda: None if http.messages.empty() else http.messages.get(), None)]
    assert len(told) == 2
    assert all("sabatier resolve c 2 rerun" in one["message"] for one in told)
    assert lab.executed == [1, 2]


def test_the_same_reason_is_told_anew_once_an_experiment_has_moved(http, tmp_path):
    def behaviour(job, context):
        raise LabHalted("the pressure was too high.")

    store = open_store("memory:")
    lab = Bench(behaviour, repeat_is_safe=True)
    for _ in range(2):
        if store.campaigns():
            campaign = Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, initial=4)
        else:
            campaign = campaign_of(store)
        assert _run(campaign, lab, tmp_path, http.url, on=("halted",)) == "halted"
        assert "the pressure was too high." in http.next()["message"]


def test_a_cell_out_of_service_and_a_campaign_that_holds(http, tmp_path):
    def behaviour(job, context):
        return Outcome(failure=Failure("equipment", "the stirrer stands"), duration=1.0)

    lab = Bench(behaviour, cells=1)
    on = ("breaker", "holding")
    assert _run(campaign_of(), lab, tmp_path, http.url, on=on, breakers=Breakers(cell=2)) == "holding"
    got = http.next()
    assert got["title"] == "c: holding, a cell is out of service"
    assert "the stirrer stands" in got["message"]
    assert "sabatier cell c CELL in" in got["message"]


def test_proposals_that_wait_are_told_with_the_command(http, tmp_path):
    campaign = campaign_of()
    lab, cancelled = Bench(), threading.Event()
    options = {"approval": lambda _: True, "cancelled": cancelled, "on": ("approval",), "pace": QUICK}
    running = threading.Thread(target=_run, args=(campaign, lab, tmp_path, http.url), kwargs=options)
    running.start()
    got = http.next()
    cancelled.set()
    running.join(30)
    assert got["title"] == "c: waits for approval"
    assert "sabatier approve c 1 " in got["message"]
    later = Campaign(SPACE, [Objective("y")], store=campaign.store, name="c", definition={}, initial=4)
    cancelled = threading.Event()
    options |= {"cancelled": cancelled}
    running = threading.Thread(target=_run, args=(later, lab, tmp_path, http.url), kwargs=options)
    running.start()
    while later.store.campaign("c").state != "running":
        time.sleep(0.01)
    cancelled.set()
    running.join(30)
    assert http.messages.empty()


def test_a_failure_of_the_loop_is_told(http, tmp_path):
    def behaviour(job, context):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        _run(campaign_of(), Bench(behaviour), tmp_path, http.url, on=("failed",))
    got = http.next()
    assert got["title"] == "c: failed"
    assert "a bug" in got["message"]
    assert "sabatier resume c" in got["message"]


@pytest.mark.parametrize("answer_", [500, "hang"])
def test_a_service_that_is_away_costs_the_loop_nothing(http, tmp_path, caplog, answer_):
    """The loop ends as it would; what was not told is logged, shown and noted, without the address."""
    caplog.set_level(logging.INFO, "orchestrator")
    http.answer = answer_
    heard, campaign = Heard(), campaign_of()
    pace = replace(QUICK, gather=0.0, patience=1.0)
    began = time.monotonic()
    assert _run(campaign, Bench(), tmp_path, http.url, pace=pace, heard=heard) == "completed"
    assert time.monotonic() - began < 10
    assert any(kind == "notified" and "oncall was not told of" in text for kind, text in heard.notices)
    assert "the run has ended" in heard.notices[-1][1]
    assert not any(note.data["delivered"] for note in _notes(campaign))
    assert "oncall was not told" in caplog.text
    for shown in (caplog.text, repr(heard.notices), repr(_notes(campaign))):
        assert "S3CRET" not in shown
        assert "127.0.0.1" not in shown


def test_what_did_not_arrive_is_told_by_the_next_run(http, tmp_path):
    http.answer = 503
    store = open_store("memory:")
    _run(campaign_of(store), Bench(), tmp_path, http.url, pace=replace(QUICK, patience=0.3))
    http.answer = 200
    campaign = Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, initial=4)
    _run(campaign, Bench(), tmp_path, http.url)
    assert "completed" in http.next()["title"]
