"""What every store does. Runs over all of conftest.BACKENDS."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from orchestrator.errors import (
    CampaignExists,
    IllegalTransition,
    LeaseHeld,
    LeaseLost,
    StaleWrite,
    StoreError,
    UnknownCampaign,
    UnknownRecord,
    UnstorableValue,
)
from orchestrator.store import (
    Amend,
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    ExperimentRow,
    FigureRow,
    Kind,
    Note,
    PutAsk,
    PutAttempt,
    PutExperiment,
    SetCampaignState,
    Store,
    Value,
)
from orchestrator.store.states import EXPERIMENT_STATES

TIME = datetime(2026, 3, 2, 8, 30, 0, 250001, tzinfo=UTC)


def experiment(id, state="proposed", **fields):
    return ExperimentRecord(id=id, state=state, created=TIME, updated=TIME, **fields)


def full_experiment(id=1, state="completed"):
    return experiment(
        id,
        state,
        origin="manual",
        ask=1,
        asked={"x_Cu": 0.1, "cation": "K", "potential": -1.1000000000000003},
        executed={"x_Cu": 1 / 3, "cation": "K", "potential": -1.1},
        measured={"potential": -1.0987654321012345},
        measured_sem={"potential": 5e-324},
        values={"fe_c2h4": Value(0.1 + 0.2, 1e-17), "t80": Value(3.0, censored="above"), "co2": Value(None)},
        reason="the model is unsure here – very",
        prediction={"fe_c2h4": {"mean": 0.3, "std": 0.05}},
        gain=1e-7,
        cost=0.1 + 0.7,
        seed=2**63 + 11,
        sample="plate-3/B7",
        verdict="suspect",
        verdict_reasons=("carbon_balance", "drift"),
        failure_cause="material",
        failure_reason="flooded",
        told=4,
    )


class TestCampaigns:
    def test_what_was_created_is_read(self, store: Store):
        record = CampaignRecord(
            name="a",
            definition={"x": 0.1, "nested": {"list": [1, 2.5, None, True, "é"]}, "order": {"b": 1, "a": 2}},
            definition_hash="h",
            reason="because",
            seed=2**100,
            created=TIME,
            updated=TIME,
        )
        store.create(record)
        assert store.campaign("a") == record
        assert store.campaigns() == [record]
        assert list(store.campaign("a").definition["order"]) == ["b", "a"]

    def test_campaigns_come_in_the_order_of_creation(self, store: Store):
        for name in ("b", "c", "a"):
            store.create(CampaignRecord(name=name, definition={}, definition_hash=""))
        assert [record.name for record in store.campaigns()] == ["b", "c", "a"]

    def test_a_name_is_given_once(self, store: Store, campaign, dump):
        before = dump(store)
        content = b"table"
        with pytest.raises(CampaignExists, match="alloys"):
            store.create(dataclasses.replace(campaign, seed=8), {hashlib.sha256(content).hexdigest(): content})
        assert dump(store) == before
        with pytest.raises(UnknownRecord):
            store.blob(hashlib.sha256(content).hexdigest())

    def test_creation_is_the_first_event(self, store: Store, clock):
        store.create(CampaignRecord(name="a", definition={}, definition_hash=""), who="ada")
        (event,) = store.events("a")
        assert (event.sequence, event.who, event.kind, event.before, event.after) == (
            1,
            "ada",
            "campaign",
            None,
            "created",
        )
        assert event.time == clock.now()

    def test_an_unknown_name_is_answered_with_the_nearest(self, store: Store, campaign):
        with pytest.raises(UnknownCampaign, match="Did you mean 'alloys'"):
            store.campaign("aloys")

    def test_an_unknown_name_without_a_near_one_is_answered_with_what_there_is(self, store: Store, campaign):
        with pytest.raises(UnknownCampaign, match="It has 'alloys'"):
            store.counts("zzz")

    def test_an_unknown_name_in_an_empty_store(self, store: Store):
        with pytest.raises(UnknownCampaign, match="none at all"):
            store.apply("a", [], who="me")

    @pytest.mark.parametrize(
        "method",
        ["campaign", "asks", "experiments", "attempts", "events", "counts", "experiment_rows", "tally", "clock"],
    )
    def test_every_question_about_an_unknown_campaign_is_refused(self, store: Store, campaign, method):
        with pytest.raises(UnknownCampaign) as caught:
            getattr(store, method)("b")
        assert isinstance(caught.value, LookupError)
        with pytest.raises(UnknownCampaign):
            store.figures("b", ["fe_co"])
        with pytest.raises(UnknownCampaign):
            store.values("b", ["fe_co"], ["completed"])

    def test_a_campaign_needs_a_name_and_a_beginning(self, store: Store):
        with pytest.raises(UnstorableValue, match="name"):
            store.create(CampaignRecord(name="", definition={}, definition_hash=""))
        with pytest.raises(IllegalTransition, match="cannot begin as completed"):
            store.create(CampaignRecord(name="a", definition={}, definition_hash="", state="completed"))

    def test_a_definition_that_is_not_json_is_refused_with_its_place(self, store: Store):
        with pytest.raises(UnstorableValue, match=r"campaign\.definition\.bounds\[1\]"):
            store.create(CampaignRecord(name="a", definition={"bounds": [0.0, math.inf]}, definition_hash=""))
        assert store.campaigns() == []

    def test_state_follows_compare_and_swap(self, store: Store, campaign, clock):
        clock.advance(5)
        store.apply("alloys", [SetCampaignState("created", "running", "start")], who="me")
        record = store.campaign("alloys")
        assert (record.state, record.reason) == ("running", "start")
        assert record.started == record.updated == clock.now()
        assert record.finished is None
        with pytest.raises(StaleWrite, match="is running, not created or paused"):
            store.apply("alloys", [SetCampaignState(("created", "paused"), "running", "")], who="me")

    def test_an_end_is_dated_until_the_campaign_goes_on(self, store: Store, campaign, clock):
        store.apply("alloys", [SetCampaignState("created", "running")], who="me")
        started = clock.now()
        clock.advance(60)
        store.apply("alloys", [SetCampaignState(("running", "paused"), "completed", "budget")], who="me")
        assert store.campaign("alloys").finished == clock.now()
        clock.advance(60)
        store.apply("alloys", [SetCampaignState("completed", "running", "more budget")], who="me")
        record = store.campaign("alloys")
        assert record.finished is None
        assert record.started == started

    def test_illegal_transitions_are_refused(self, store: Store, campaign):
        with pytest.raises(IllegalTransition, match=r"cannot become completed from created \(possible: .*running"):
            store.apply("alloys", [SetCampaignState("created", "completed")], who="me")


class TestBlobs:
    def test_contents_are_found_by_their_hash(self, store: Store):
        contents = {hashlib.sha256(data).hexdigest(): data for data in (b"", b"x\0y", bytes(range(256)) * 1000)}
        store.create(CampaignRecord(name="a", definition={}, definition_hash=""), contents)
        store.create(CampaignRecord(name="b", definition={}, definition_hash=""), contents)
        for digest, content in contents.items():
            assert store.blob(digest) == content

    def test_a_wrong_hash_is_refused(self, store: Store):
        with pytest.raises(UnstorableValue, match="SHA-256"):
            store.create(CampaignRecord(name="a", definition={}, definition_hash=""), {"0" * 64: b"x"})
        assert store.campaigns() == []

    def test_an_unknown_content(self, store: Store):
        with pytest.raises(UnknownRecord, match="no content"):
            store.blob("f" * 64)


class TestRecords:
    def test_an_experiment_comes_back_exactly(self, store: Store, campaign):
        record = full_experiment()
        store.apply("alloys", [PutAsk(AskRecord(1, 1, {}, TIME)), PutExperiment(record, None)], who="me")
        assert store.experiment("alloys", 1) == record
        assert store.experiments("alloys") == [record]
        assert isinstance(store.experiment("alloys", 1).verdict_reasons, tuple)
        assert list(store.experiment("alloys", 1).asked) == ["x_Cu", "cation", "potential"]

    def test_asks_and_attempts_come_back_exactly(self, store: Store, campaign):
        ask = AskRecord(1, 3, {"lengthscales": [0.1, 1e300], "best": None}, TIME)
        attempts = [
            AttemptRecord(experiment=1, number=1, started=TIME, cell="cell-1"),
            AttemptRecord(
                experiment=2,
                number=1,
                state="finished",
                cell="cell-2",
                sample="s",
                started=TIME,
                finished=TIME + timedelta(microseconds=1),
                clock_started=0.1,
                duration=1e-9,
                files="file:///x",
                digest="d",
                message="m",
            ),
        ]
        changes = [PutAsk(ask), *(PutExperiment(experiment(id), None) for id in (1, 2)), *map(PutAttempt, attempts)]
        store.apply("alloys", changes, who="me")
        assert store.asks("alloys") == [ask]
        assert store.attempts("alloys") == attempts
        assert store.attempts("alloys", 2) == attempts[1:]
        assert store.attempts("alloys", 9) == []

    def test_records_come_in_order(self, store: Store, campaign):
        changes = [PutAsk(AskRecord(n, 1)) for n in (3, 1, 2)]
        changes += [PutExperiment(experiment(id), None) for id in (10, 2, 1)]
        changes += [PutAttempt(AttemptRecord(experiment=e, number=n)) for e, n in ((10, 1), (2, 2), (2, 1))]
        store.apply("alloys", changes, who="me")
        assert [ask.number for ask in store.asks("alloys")] == [1, 2, 3]
        assert [one.id for one in store.experiments("alloys")] == [1, 2, 10]
        assert [(one.experiment, one.number) for one in store.attempts("alloys")] == [(2, 1), (2, 2), (10, 1)]

    def test_what_is_returned_belongs_to_the_caller(self, store: Store, campaign):
        asked = {"x": 0.5}
        store.apply("alloys", [PutExperiment(experiment(1, asked=asked), None)], who="me")
        asked["x"] = 1.0
        store.experiment("alloys", 1).asked["x"] = 2.0
        store.campaign("alloys").definition["space"]["low"] = 9.0
        assert store.experiment("alloys", 1).asked == {"x": 0.5}
        assert store.campaign("alloys").definition == {"space": {"low": 0.1}}

    def test_campaigns_do_not_mix(self, store: Store, campaign):
        store.create(CampaignRecord(name="other", definition={}, definition_hash=""))
        for name in ("alloys", "other"):
            store.apply(name, [PutExperiment(experiment(1, reason=name), None)], who="me")
        assert store.experiment("other", 1).reason == "other"
        assert [event.sequence for event in store.events("other")] == [1, 2]

    def test_nan_is_not_measured_yet(self, store: Store, campaign):
        record = experiment(1, values={"fe": Value(math.nan, math.nan)})
        store.apply("alloys", [PutExperiment(record, None)], who="me")
        assert store.experiment("alloys", 1).values == {"fe": Value(None)}

    @pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
    def test_other_numbers_must_be_finite(self, store: Store, campaign, bad, dump):
        before = dump(store)
        with pytest.raises(UnstorableValue, match=r"experiment 1\.asked\.x"):
            store.apply("alloys", [Note("a", "b"), PutExperiment(experiment(1, asked={"x": bad}), None)], who="me")
        with pytest.raises(UnstorableValue, match=r"ask 1\.state\.l\[0\]"):
            store.apply("alloys", [PutAsk(AskRecord(1, 1, {"l": [bad]}))], who="me")
        assert dump(store) == before

    def test_what_is_not_json_is_refused_with_its_place(self, store: Store, campaign):
        with pytest.raises(UnstorableValue, match=r"ask 1\.state\.model.*object"):
            store.apply("alloys", [PutAsk(AskRecord(1, 1, {"model": object()}))], who="me")

    @pytest.mark.parametrize("state", [{1: "a"}, {"nested": [{"deep": {None: 1}}]}, {"a": ({2.5: 1},)}])
    def test_keys_must_be_text(self, store: Store, campaign, state):
        with pytest.raises(UnstorableValue, match=r"ask 1\.state.*the key .* is no text"):
            store.apply("alloys", [PutAsk(AskRecord(1, 1, state))], who="me")

    def test_circles_are_refused(self, store: Store, campaign):
        state: dict[str, object] = {}
        state["again"] = state
        with pytest.raises(UnstorableValue, match=r"ask 1\.state"):
            store.apply("alloys", [PutAsk(AskRecord(1, 1, state))], who="me")

    def test_numpy_scalars_are_numbers(self, store: Store, campaign):
        asked = {"a": np.float64(0.1), "b": np.int64(3), "c": np.float32(0.5), "d": np.bool_(True), "e": np.str_("K")}
        record = experiment(np.int64(1), asked=asked, told=np.int64(2))
        store.apply("alloys", [PutExperiment(record, None)], who="me")
        read = store.experiment("alloys", 1)
        assert read.asked == {"a": 0.1, "b": 3, "c": 0.5, "d": True, "e": "K"}
        assert [type(value) for value in read.asked.values()] == [float, int, float, bool, str]
        assert (type(read.id), type(read.told)) == (int, int)

    def test_times_come_back_in_utc(self, store: Store, campaign):
        there = datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=9)))
        record = dataclasses.replace(experiment(1), created=there)
        store.apply("alloys", [PutExperiment(record, None)], who="me")
        created = store.experiment("alloys", 1).created
        assert created == there
        assert created.tzinfo is UTC

    def test_a_time_without_zone_is_refused(self, store: Store, campaign):
        naive = dataclasses.replace(experiment(1), created=datetime(2026, 1, 1))
        with pytest.raises(UnstorableValue, match=r"experiment 1\.created has no time zone"):
            store.apply("alloys", [PutExperiment(naive, None)], who="me")

    def test_any_text_is_kept(self, store: Store, campaign):
        odd = "line\nüñí \0 \ud800 '; DROP TABLE events; --"
        record = experiment(1, reason=odd, sample=odd)
        store.apply("alloys", [PutExperiment(record, None), Note(odd, odd, data={odd: odd})], who=odd)
        assert store.experiment("alloys", 1).reason == odd
        assert store.events("alloys")[-1].data == {odd: odd}
        assert store.events("alloys")[-1].who.startswith("line\nüñí \\x00 \\ud800 '")

    def test_an_unknown_experiment(self, store: Store, campaign):
        with pytest.raises(UnknownRecord, match="no experiment 5"):
            store.experiment("alloys", 5)

    @pytest.mark.parametrize(
        "change",
        [
            PutExperiment(experiment(0), None),
            PutExperiment(experiment(-1), None),
            PutAsk(AskRecord(0, 1)),
            PutAttempt(AttemptRecord(experiment=1, number=0)),
        ],
    )
    def test_numbers_begin_at_one(self, store: Store, campaign, change):
        with pytest.raises(UnstorableValue, match="must be 1 or larger"):
            store.apply("alloys", [PutExperiment(experiment(1), None), change], who="me")

    @pytest.mark.parametrize(
        "change",
        [
            PutExperiment(experiment(2, ask=9), None),
            PutAttempt(AttemptRecord(experiment=9, number=1)),
            Note("comment", "?", experiment=9),
        ],
    )
    def test_what_is_referred_to_must_exist(self, store: Store, campaign, change, dump):
        before = dump(store)
        with pytest.raises(UnknownRecord, match="9, which is not recorded"):
            store.apply("alloys", [PutExperiment(experiment(1), None), change], who="me")
        assert dump(store) == before

    def test_counts_have_every_state(self, store: Store, campaign):
        assert store.counts("alloys") == dict.fromkeys(EXPERIMENT_STATES, 0)
        changes = [PutExperiment(experiment(id, "completed" if id < 4 else "proposed"), None) for id in range(1, 6)]
        store.apply("alloys", changes, who="me")
        assert store.counts("alloys") == dict.fromkeys(EXPERIMENT_STATES, 0) | {"completed": 3, "proposed": 2}


class TestApply:
    def test_an_experiment_is_added_once(self, store: Store, campaign):
        store.apply("alloys", [PutExperiment(experiment(1), None)], who="me")
        with pytest.raises(StaleWrite, match="experiment 1 is proposed, not new"):
            store.apply("alloys", [PutExperiment(experiment(1), None)], who="me")

    def test_an_ask_is_added_once(self, store: Store, campaign):
        store.apply("alloys", [PutAsk(AskRecord(1, 1))], who="me")
        with pytest.raises(StaleWrite, match="ask 1 is recorded already"):
            store.apply("alloys", [PutAsk(AskRecord(1, 1))], who="me")

    def test_a_change_needs_the_expected_state(self, store: Store, campaign):
        with pytest.raises(StaleWrite, match="not in the store, not proposed"):
            store.apply("alloys", [PutExperiment(experiment(1, "queued"), "proposed")], who="me")
        store.apply("alloys", [PutExperiment(experiment(1), None)], who="me")
        store.apply("alloys", [PutExperiment(experiment(1, "queued"), "proposed")], who="me")
        with pytest.raises(StaleWrite, match="is queued, not proposed"):
            store.apply("alloys", [PutExperiment(experiment(1, "rejected"), "proposed")], who="me")
        assert store.experiment("alloys", 1).state == "queued"

    def test_a_change_of_content_needs_the_former_content(self, store: Store, campaign):
        store.apply("alloys", [PutExperiment(experiment(1), None)], who="me")
        seen = store.experiment("alloys", 1)
        mine, theirs = (dataclasses.replace(seen, sample=name) for name in ("mine", "theirs"))
        store.apply("alloys", [PutExperiment(mine, "proposed", former=seen)], who="me")
        with pytest.raises(StaleWrite, match="experiment 1 has changed since it was read"):
            store.apply("alloys", [PutExperiment(theirs, "proposed", former=seen)], who="they")
        assert store.experiment("alloys", 1).sample == "mine"
        store.apply("alloys", [PutExperiment(theirs, "proposed", former=mine)], who="they")
        assert store.experiment("alloys", 1).sample == "theirs"

    def test_a_change_needs_a_legal_transition(self, store: Store, campaign):
        with pytest.raises(IllegalTransition, match="experiment 1 cannot begin as running"):
            store.apply("alloys", [PutExperiment(experiment(1, "running"), None)], who="me")
        store.apply("alloys", [PutExperiment(experiment(1), None)], who="me")
        store.apply("alloys", [PutExperiment(experiment(1, "rejected"), "proposed")], who="me")
        with pytest.raises(IllegalTransition, match=r"cannot become queued from rejected \(possible: none\)"):
            store.apply("alloys", [PutExperiment(experiment(1, "queued"), "rejected")], who="me")
        with pytest.raises(IllegalTransition, match="no such state"):
            store.apply("alloys", [PutExperiment(experiment(1, "runing"), "rejected")], who="me")

    def test_an_attempt_needs_a_legal_transition(self, store: Store, campaign):
        attempt = AttemptRecord(experiment=1, number=1)
        store.apply("alloys", [PutExperiment(experiment(1), None), PutAttempt(attempt)], who="me")
        store.apply("alloys", [PutAttempt(dataclasses.replace(attempt, state="finished"))], who="me")
        with pytest.raises(IllegalTransition, match="attempt 1 of experiment 1 cannot become running from finished"):
            store.apply("alloys", [PutAttempt(attempt)], who="me")

    def test_changes_see_those_before_them(self, store: Store, campaign):
        path = [None, "proposed", "approved", "queued", "running", "completed"]
        changes = [PutExperiment(experiment(1, after, ask=1), before) for before, after in itertools.pairwise(path)]
        states = [SetCampaignState("created", "running"), SetCampaignState("running", "completed", "done")]
        attempts = [PutAttempt(AttemptRecord(experiment=1, number=1, state=state)) for state in ("running", "finished")]
        store.apply("alloys", [PutAsk(AskRecord(1, 1)), *changes, *attempts, *states], who="me")
        assert store.experiment("alloys", 1).state == "completed"
        assert store.attempts("alloys")[0].state == "finished"
        assert store.campaign("alloys").state == "completed"
        walked = [(event.before, event.after) for event in store.events("alloys") if event.kind == "experiment"]
        assert walked == list(itertools.pairwise(path))

    def test_all_or_nothing(self, store: Store, campaign, dump):
        store.apply("alloys", [PutExperiment(experiment(1), None)], who="me")
        before = dump(store)
        changes = [
            PutAsk(AskRecord(1, 1)),
            PutExperiment(experiment(2, ask=1), None),
            PutExperiment(experiment(1, "queued"), "proposed"),
            PutAttempt(AttemptRecord(experiment=2, number=1)),
            SetCampaignState("created", "running"),
            Note("comment", "x"),
            PutExperiment(experiment(2, "completed"), "queued"),
        ]
        with pytest.raises(StaleWrite):
            store.apply("alloys", changes, who="me")
        assert dump(store) == before
        store.apply("alloys", changes[:-1], who="me")
        assert len(store.events("alloys")) == len(before["alloys"]["events"]) + 6

    def test_nothing_at_all_changes_nothing(self, store: Store, campaign, dump, clock):
        before = dump(store)
        clock.advance(1)
        store.apply("alloys", [], who="me")
        assert dump(store) == before

    def test_the_store_dates_every_change(self, store: Store, campaign, clock):
        clock.advance(3)
        store.apply("alloys", [Note("comment", "x")], who="me")
        assert store.campaign("alloys").updated == store.events("alloys")[-1].time == clock.now()

    def test_changes_may_come_from_a_generator(self, store: Store, campaign, dump):
        store.apply("alloys", (Note("a", str(n)) for n in range(2)), who="me")
        before = dump(store)
        store.apply("alloys", (Note("a", "b") for _ in ()), who="me")
        assert len(store.events("alloys")) == 3
        assert dump(store) == before

    def test_what_is_no_change_is_refused(self, store: Store, campaign):
        with pytest.raises(TypeError, match="no change of a campaign"):
            store.apply("alloys", ["running"], who="me")

    def test_a_closed_store_says_so(self, store: Store, campaign):
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.campaign("alloys")
        with pytest.raises(StoreError, match="closed"):
            store.apply("alloys", [Note("a", "b")], who="me")
        store.close()


class TestEvents:
    def test_every_change_is_an_event(self, store: Store, campaign):
        store.apply(
            "alloys",
            [
                PutAsk(AskRecord(1, 2), "the loop asks"),
                PutExperiment(experiment(1, ask=1, reason="looks good"), None),
                PutExperiment(experiment(1, "queued", ask=1), "proposed", "a cell is free"),
                PutAttempt(AttemptRecord(experiment=1, number=1, cell="c1")),
                SetCampaignState("created", "running", "go"),
                Note("comment", "hello", experiment=1, data={"x": 0.1}),
                PutExperiment(experiment(1, "failed", ask=1, failure_reason="leak"), "queued"),
            ],
            who="ada",
        )
        events = store.events("alloys")[1:]
        assert [event.sequence for event in events] == list(range(2, 9))
        assert {event.who for event in events} == {"ada"}
        assert [(event.kind, event.experiment, event.before, event.after, event.why) for event in events] == [
            ("ask", None, None, None, "the loop asks"),
            ("experiment", 1, None, "proposed", "looks good"),
            ("experiment", 1, "proposed", "queued", "a cell is free"),
            ("attempt", 1, None, "running", ""),
            ("campaign", None, "created", "running", "go"),
            ("comment", 1, None, None, "hello"),
            ("experiment", 1, "queued", "failed", "leak"),
        ]
        assert events[0].data == {"number": 1, "requested": 2}
        assert events[3].data == {"number": 1, "cell": "c1"}
        assert events[5].data == {"x": 0.1}

    def test_the_log_keeps_what_a_change_overwrites(self, store: Store, campaign):
        first = experiment(1, "completed", values={"fe": Value(0.3)}, verdict="valid", told=1)
        store.apply("alloys", [PutExperiment(first, None)], who="me")
        wrong = dataclasses.replace(
            first,
            values={"fe": Value(0.1 + 0.2), "j": Value(1.0)},
            verdict="invalid",
            verdict_reasons=("leak",),
            updated=TIME + timedelta(days=1),
        )
        store.apply("alloys", [PutExperiment(wrong, "completed", "typo")], who="ada")
        event = store.events("alloys")[-1]
        assert (event.before, event.after, event.why) == ("completed", "completed", "typo")
        assert event.data == {"was": {"verdict": "valid", "values": {"fe": {"value": 0.3}}}}

    def test_the_log_is_read_in_parts(self, store: Store, campaign):
        store.apply("alloys", [Note("count", str(n)) for n in range(2, 11)], who="me")
        assert [event.sequence for event in store.events("alloys", after=7)] == [8, 9, 10]
        assert [event.sequence for event in store.events("alloys", after=2, limit=3)] == [3, 4, 5]
        assert store.events("alloys", limit=0) == []
        assert store.events("alloys", after=10) == []
        assert len(store.events("alloys", after=-5)) == 10


def test_threads_share_a_store(store: Store, campaign):
    """Each experiment is claimed by exactly one thread, and the log has no gap."""
    total = 40
    store.apply("alloys", [PutExperiment(experiment(id, "queued"), None) for id in range(1, total + 1)], who="me")
    claimed: list[list[int]] = [[], [], [], []]
    broken: list[BaseException] = []

    def work(mine: list[int]) -> None:
        try:
            for id in range(1, total + 1):
                try:
                    store.apply("alloys", [PutExperiment(experiment(id, "running"), "queued")], who="t")
                except StaleWrite:
                    store.counts("alloys")
                else:
                    mine.append(id)
        except BaseException as error:  # noqa: BLE001 - reported below, in the main thread
            broken.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
    assert sorted(id for mine in claimed for id in mine) == list(range(1, total + 1))
    assert [event.sequence for event in store.events("alloys")] == list(range(1, 2 * total + 2))


def test_every_store_is_a_store(store: Store):
    assert isinstance(store, Store)


class TestNarrowReads:
    """What is asked for, and no more."""

    def _filled(self, store):
        changes = [PutExperiment(ExperimentRecord(id=i, state="queued", priority=i % 3), None) for i in range(1, 8)]
        store.apply("alloys", changes, who="me")
        running = [replace(c.record, state="running") for c in changes[:2]]
        store.apply("alloys", [PutExperiment(r, "queued") for r in running], who="me")
        store.apply("alloys", [Note("comment", "dark", experiment=3), Note("cell", "out")], who="marie")

    def test_experiments_by_id_and_state(self, store, campaign):
        self._filled(store)
        assert [r.id for r in store.experiments("alloys", ids=[5, 2, 2, 99])] == [2, 5]
        assert [r.id for r in store.experiments("alloys", states=["running"])] == [1, 2]
        assert [r.id for r in store.experiments("alloys", ids=[1, 5], states=["queued"])] == [5]
        assert store.experiments("alloys", ids=[]) == []
        assert [r.priority for r in store.experiments("alloys", ids=[1, 2, 3])] == [1, 2, 0]

    def test_more_ids_than_a_statement_takes(self, store, campaign):
        records = [ExperimentRecord(id=i, state="queued") for i in range(1, 1202)]
        store.apply("alloys", [PutExperiment(record, None) for record in records], who="me")
        wanted = range(1, 1202, 1)
        assert [r.id for r in store.experiments("alloys", ids=wanted)] == list(wanted)

    def test_events_by_kind_and_experiment(self, store, campaign):
        self._filled(store)
        assert [(e.kind, e.who) for e in store.events("alloys", kinds=["comment", "cell"])] == [
            ("comment", "marie"),
            ("cell", "marie"),
        ]
        assert [e.after for e in store.events("alloys", experiment=1)] == ["queued", "running"]
        assert [e.kind for e in store.events("alloys", experiment=3, kinds=["comment"])] == ["comment"]
        last = store.last_event("alloys")
        assert last == store.events("alloys")[-1].sequence
        assert store.events("alloys", after=last) == []
        assert len(store.events("alloys", kinds=["experiment"], limit=2)) == 2
        with pytest.raises(UnknownCampaign):
            store.last_event("nothing")

    def test_the_newest_events(self, store, campaign):
        store.apply("alloys", [Note("flag" if n % 2 else "comment", str(n)) for n in range(9)], who="me")
        assert [e.why for e in store.events("alloys", limit=3, newest=True)] == ["6", "7", "8"]
        assert [e.why for e in store.events("alloys", limit=2, kinds=("flag",), newest=True)] == ["5", "7"]
        assert store.events("alloys", after=8, limit=5, newest=True) == store.events("alloys", after=8)
        assert store.events("alloys", newest=True) == store.events("alloys")
        assert store.events("alloys", limit=0, newest=True) == []

    def test_attempts_by_state(self, store, campaign):
        store.apply("alloys", [PutExperiment(experiment(id), None) for id in (1, 2)], who="me")
        attempts = [
            AttemptRecord(experiment=1, number=1, state="running"),
            AttemptRecord(experiment=1, number=1, state="failed"),
            AttemptRecord(experiment=1, number=2),
            AttemptRecord(experiment=2, number=1),
        ]
        store.apply("alloys", [PutAttempt(attempt) for attempt in attempts], who="me")
        found = store.attempts("alloys", states=("running",))
        assert [(a.experiment, a.number) for a in found] == [(1, 2), (2, 1)]
        assert [a.number for a in store.attempts("alloys", 1, states=("failed", "finished"))] == [1]
        assert store.attempts("alloys", states=()) == []
        assert [(a.experiment, a.number) for a in store.attempts("alloys", newest=2)] == [(1, 2), (2, 1)]
        assert [a.experiment for a in store.attempts("alloys", states=("running",), newest=1)] == [2]
        assert store.attempts("alloys", newest=0) == []
        assert store.attempts("alloys", newest=9) == store.attempts("alloys")

    def test_a_change_says_where_the_log_ends(self, store, campaign):
        assert store.apply("alloys", [Note("comment", "x")], who="me") == store.last_event("alloys")
        assert store.apply("alloys", [], who="me") == 0


class TestWithoutDocuments:
    """What is kept a second time, so that it is read quickly, is always what the documents say."""

    def test_figures_come_by_metric_and_experiment(self, store, campaign):
        known = {"fe_co": Value(0.5, 0.01), "t80": Value(3.0, censored="above"), "j_co": Value(None)}
        told = experiment(3, "completed", values=known, verdict="suspect", told=1, origin="manual")
        other = experiment(1, "failed", values={"fe_co": Value(1)}, failure_cause="material")
        store.apply("alloys", [PutExperiment(told, None), PutExperiment(other, None)], who="me")
        assert store.figures("alloys", ["t80", "fe_co", "j_co", "fe_h2", "t80"]) == [
            FigureRow(3, "t80", 3.0, None, "above", "completed", "manual", "suspect", 1),
            FigureRow(1, "fe_co", 1.0, None, None, "failed", "asked", None, None),
            FigureRow(3, "fe_co", 0.5, 0.01, None, "completed", "manual", "suspect", 1),
        ]
        assert store.figures("alloys", []) == []
        lost = experiment(4, "completed", values={"fe_co": Value(2.0)}, verdict="invalid")
        store.apply("alloys", [PutExperiment(lost, None)], who="me")
        assert store.values("alloys", ["fe_co", "fe_h2"], ["completed"]) == {"fe_co": {3: 0.5}, "fe_h2": {}}
        assert store.values("alloys", ["fe_co"], ["failed", "completed"]) == {"fe_co": {1: 1.0, 3: 0.5}}

    def test_figures_follow_every_change(self, store, campaign):
        def change(before, after, **values):
            record = experiment(1, after, values={m: Value(v) for m, v in values.items()})
            return PutExperiment(record, before)

        def found():
            return {row.metric: row.value for row in store.figures("alloys", ["a", "b", "c"])}

        store.apply("alloys", [change(None, "queued"), change("queued", "running")], who="me")
        assert found() == {}
        store.apply("alloys", [change("running", "completed", a=1.0, b=2.0)], who="me")
        assert found() == {"a": 1.0, "b": 2.0}
        store.apply("alloys", [change("completed", "completed", a=1.0, b=3.0, c=4.0)], who="me")
        assert found() == {"a": 1.0, "b": 3.0, "c": 4.0}
        changes = [change("completed", "completed", a=9.0), change("completed", "completed", a=1.0, b=5.0)]
        store.apply("alloys", changes, who="me")
        assert found() == {"a": 1.0, "b": 5.0}
        with pytest.raises(StaleWrite):
            store.apply("alloys", [change("completed", "completed", a=7.0), change("running", "failed")], who="me")
        assert found() == {"a": 1.0, "b": 5.0}

    def test_figures_do_not_mix_campaigns(self, store, campaign):
        store.create(CampaignRecord(name="other", definition={}, definition_hash=""))
        for name, value in (("alloys", 1.0), ("other", 2.0)):
            told = experiment(1, "completed", values={"a": Value(value)})
            store.apply(name, [PutExperiment(told, None)], who="me")
        assert [row.value for row in store.figures("other", ["a"])] == [2.0]

    def test_a_number_too_large_for_databases(self, store, campaign, dump):
        before = dump(store)
        with pytest.raises(UnstorableValue, match="cost cannot be stored"):
            store.apply("alloys", [PutExperiment(experiment(1, cost=10**400), None)], who="me")
        assert dump(store) == before

    def test_experiments_in_short(self, store, campaign):
        one = experiment(1, "completed", verdict="valid", told=1, gain=0.5, cost=40)
        two = experiment(2, "awaiting_analysis", origin="prior")
        three = experiment(3, "completed", verdict="valid", told=2, gain=0.1, cost=40)
        store.apply("alloys", [PutExperiment(record, None) for record in (two, one, three)], who="me")
        assert store.experiment_rows("alloys") == [
            ExperimentRow(1, "completed", "asked", "valid", 1, 0.5, 40.0),
            ExperimentRow(2, "awaiting_analysis", "prior", None, None, None, None),
            ExperimentRow(3, "completed", "asked", "valid", 2, 0.1, 40.0),
        ]
        assert store.tally("alloys") == {
            Kind("completed", "asked", "valid", 40.0): 2,
            Kind("awaiting_analysis", "prior", None, None): 1,
        }

    def test_the_clock_is_that_of_the_last_end(self, store, campaign):
        store.apply("alloys", [PutExperiment(experiment(id), None) for id in (1, 2, 3)], who="me")
        assert store.clock("alloys") is None
        attempts = [AttemptRecord(experiment=id, number=1, clock_started=100.0 * id) for id in (1, 2, 3)]
        store.apply("alloys", [PutAttempt(attempt) for attempt in attempts], who="me")
        assert store.clock("alloys") is None
        ends = [replace(attempts[0], state="finished", duration=250.5), replace(attempts[1], state="failed")]
        store.apply("alloys", [PutAttempt(attempt) for attempt in ends], who="me")
        assert store.clock("alloys") == 350.5


class TestAmendments:
    def test_another_definition_is_one_more_version(self, store, campaign):
        new = {"space": {"low": 0.2}, "stop": {"experiments": 9}}
        content = b"a,b\n1,2\n"
        digest = hashlib.sha256(content).hexdigest()
        store.apply("alloys", [Amend(new, "def", "abc", "wider", {digest: content})], who="marie")
        assert store.blob(digest) == content
        record = store.campaign("alloys")
        assert (record.definition, record.definition_hash, record.version, record.seed) == (new, "def", 2, 7)
        event = store.events("alloys", kinds=["amendment"])[0]
        assert (event.who, event.why) == ("marie", "wider")
        assert event.data == {"version": 2, "was": {"space": {"low": 0.1}, "stop": None}}

    def test_whoever_read_an_older_one_is_too_late(self, store, campaign):
        store.apply("alloys", [Amend({"a": 1}, "def", "abc")], who="marie")
        with pytest.raises(StaleWrite, match="has changed meanwhile"):
            store.apply("alloys", [Note("comment", "x"), Amend({"a": 2}, "ghi", "abc")], who="paul")
        assert store.campaign("alloys").version == 2
        assert store.events("alloys", kinds=["comment"]) == []


class TestHolds:
    """Leases of anything: the rules of those of campaigns."""

    def test_one_holder_a_thing(self, store, me):
        hold = store.hold("device", "bench/gc", me, data={"campaign": "alloys"})
        assert (hold.kind, hold.name, hold.owner, hold.data) == ("device", "bench/gc", me, {"campaign": "alloys"})
        with pytest.raises(LeaseHeld, match="'bench/gc' is held by") as caught:
            store.hold("device", "bench/gc", me)
        assert caught.value.owner == me
        assert caught.value.data == {"campaign": "alloys"}
        other = store.hold("device", "bench/pump", me)
        assert [h.name for h in store.held("device")] == ["bench/gc", "bench/pump"]
        store.drop(other)
        store.drop(other)
        assert [h.name for h in store.held()] == ["bench/gc"]

    def test_it_expires_and_fences_off_whoever_held_it(self, store, clock, me):
        hold = store.hold("rig", "bench", me, ttl=10.0)
        clock.advance(8.0)
        hold = store.keep(hold, ttl=10.0)
        clock.advance(9.0)
        store.check(hold)
        clock.advance(2.0)
        assert store.held("rig") == []
        store.check(hold)  # nobody took it yet
        later = store.hold("rig", "bench", me)
        assert later.token > hold.token
        for refused in (store.check, store.keep):
            with pytest.raises(LeaseLost):
                refused(hold)
        store.drop(hold)  # which is not its any more
        store.check(later)

    def test_campaigns_are_held_in_their_own_way(self, store, campaign, me):
        with pytest.raises(UnstorableValue, match="acquire"):
            store.hold("campaign", "alloys", me)
        store.acquire("alloys", me)
        assert [(h.kind, h.name) for h in store.held("campaign")] == [("campaign", "alloys")]
        for kind, name in (("", "x"), ("device", "")):
            with pytest.raises(UnstorableValue):
                store.hold(kind, name, me)
