"""Any sequence of changes: every store says the same as the one in memory, and a refused change leaves no trace."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.errors import StoreError
from orchestrator.store import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    MemoryStore,
    Note,
    Owner,
    PutAsk,
    PutAttempt,
    PutExperiment,
    SetCampaignState,
    Value,
)
from orchestrator.store import states as lifecycle

from .conftest import START, ManualClock

numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(), json_values, max_size=3)
settings_of_one = st.dictionaries(
    st.sampled_from(["x_Cu", "potential", "cation"]), numbers | st.sampled_from(["K", "Na"])
)
values = st.dictionaries(
    st.sampled_from(["fe_co", "j_total"]),
    st.builds(
        Value, st.none() | st.floats(allow_infinity=False), st.none() | numbers, st.sampled_from([None, "below"])
    ),
)
moments = st.datetimes().map(lambda time: time.replace(tzinfo=START.tzinfo))
experiments = st.builds(
    ExperimentRecord,
    id=st.integers(1, 3),
    state=st.sampled_from(lifecycle.EXPERIMENT_STATES),
    origin=st.sampled_from(["asked", "prior", "manual", "control"]),
    ask=st.none() | st.integers(1, 2),
    asked=st.none() | settings_of_one,
    executed=st.none() | settings_of_one,
    measured=st.dictionaries(st.just("potential"), numbers),
    values=values,
    reason=st.text(max_size=5),
    prediction=st.dictionaries(st.just("fe_co"), st.dictionaries(st.sampled_from(["mean", "std"]), numbers)),
    gain=st.none() | numbers,
    cost=st.none() | numbers,
    seed=st.integers(0, 2**130),
    sample=st.none() | st.sampled_from(["s1", "s2"]),
    verdict=st.sampled_from([None, "valid", "suspect"]),
    verdict_reasons=st.lists(st.sampled_from(["leak", "drift"]), max_size=2).map(tuple),
    told=st.none() | st.integers(1, 9),
    created=moments,
)
attempts = st.builds(
    AttemptRecord,
    experiment=st.integers(1, 3),
    number=st.integers(1, 2),
    state=st.sampled_from(lifecycle.ATTEMPT_STATES),
    cell=st.sampled_from(["c1", "c2"]),
    started=moments,
    finished=st.none() | moments,
    clock_started=numbers,
    duration=st.none() | numbers,
    used=st.dictionaries(st.sampled_from(["gc", "robot"]), st.tuples(numbers, numbers), max_size=2),
)
changes = st.one_of(
    st.builds(
        PutAsk, st.builds(AskRecord, st.integers(1, 2), st.integers(1, 4), documents, moments), st.text(max_size=3)
    ),
    st.builds(PutExperiment, experiments, st.sampled_from([None, *lifecycle.EXPERIMENT_STATES])),
    st.builds(PutAttempt, attempts),
    st.builds(
        SetCampaignState,
        st.sampled_from(lifecycle.CAMPAIGN_STATES) | st.just(lifecycle.CAMPAIGN_STATES),
        st.sampled_from(lifecycle.CAMPAIGN_STATES),
        st.text(max_size=3),
    ),
    st.builds(Note, st.sampled_from(["comment", "flag"]), st.text(), st.none() | st.integers(1, 3), documents),
)
owners = st.sampled_from(
    [
        Owner.current(),
        dataclasses.replace(Owner.current(), process_started=-1.0),
        Owner("another-host", 1, 2.0, "boot", "grace"),
    ]
)


def lockstep(backend, dump):
    """A machine that does everything with a store and with the one in memory."""

    class Lockstep(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())
            self.clock = ManualClock()
            self.model = MemoryStore(clock=self.clock)
            self.store = backend(self.folder, self.clock)
            self.keeps = not isinstance(self.store, MemoryStore)
            self.leases = []
            self.before = None

        def both(self, method, *arguments, **options):
            """The same answer, or the same refusal; after a refusal everything is as it was."""
            before = dump(self.store)
            answers = []
            for store in (self.model, self.store):
                try:
                    answers.append(getattr(store, method)(*arguments, **options))
                except StoreError as error:
                    answers.append((type(error), str(error)))
            assert answers[0] == answers[1]
            refused = isinstance(answers[0], tuple)
            if refused:
                assert dump(self.store) == before
            return None if refused else answers[0]

        @initialize(definition=documents)
        def create(self, definition):
            record = CampaignRecord(name="c", definition=definition, definition_hash="", created=START, updated=START)
            self.both("create", record)

        @rule(wanted=st.lists(changes, min_size=1, max_size=4), lease=st.none() | st.integers(0, 3))
        def apply_anything(self, wanted, lease):
            token = None if lease is None or lease >= len(self.leases) else self.leases[lease].token
            self.clock.advance(1)
            self.both("apply", "c", wanted, who="me", token=token)

        @rule(wanted=st.lists(st.tuples(changes, st.integers(0, 9)), min_size=1, max_size=4))
        def apply_what_is_possible(self, wanted):
            self.clock.advance(1)
            for change, choice in wanted:
                self.both("apply", "c", [self.possible(change, choice), Note("comment", "and this")], who="me")

        def possible(self, change, choice):
            """The change, made to fit the campaign as it is now."""
            present = {one.id: one.state for one in self.model.experiments("c")}
            asks = [ask.number for ask in self.model.asks("c")]
            if isinstance(change, PutAsk):
                return dataclasses.replace(change, record=dataclasses.replace(change.record, number=len(asks) + 1))
            if isinstance(change, PutExperiment):
                before = present.get(change.record.id)
                after = sorted(lifecycle.EXPERIMENT_TRANSITIONS[before] | ({before} if before else set()))
                ask = change.record.ask if change.record.ask in asks else None
                record = dataclasses.replace(change.record, state=after[choice % len(after)], ask=ask)
                return PutExperiment(record, before, change.why)
            if isinstance(change, PutAttempt) and present:
                return PutAttempt(dataclasses.replace(change.record, experiment=max(present)))
            if isinstance(change, SetCampaignState):
                before = self.model.campaign("c").state
                after = sorted(lifecycle.CAMPAIGN_TRANSITIONS[before])
                return SetCampaignState(before, after[choice % len(after)], change.why)
            return Note("comment", "x", next(iter(present), None), {"choice": choice})

        @rule(owner=owners, ttl=st.sampled_from([5.0, 30.0]))
        def acquire(self, owner, ttl):
            lease = self.both("acquire", "c", owner, ttl)
            if lease:
                self.leases.append(lease)

        @precondition(lambda self: self.leases)
        @rule(data=st.data())
        def renew(self, data):
            self.both("renew", data.draw(st.sampled_from(self.leases)), 10.0)

        @precondition(lambda self: self.leases)
        @rule(data=st.data())
        def release(self, data):
            self.both("release", data.draw(st.sampled_from(self.leases)))

        @rule(seconds=st.sampled_from([0.5, 12.0, 40.0]))
        def wait(self, seconds):
            self.clock.advance(seconds)

        @precondition(lambda self: self.keeps)
        @rule()
        def reopen(self):
            self.store.close()
            self.store = backend(self.folder, self.clock)

        @invariant()
        def the_stores_agree(self):
            assert dump(self.store) == dump(self.model)

        @invariant()
        def the_log_only_grows_and_tells_every_state(self):
            if not self.model.campaigns():
                return
            events = self.store.events("c")
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            if self.before is not None:
                assert events[: len(self.before)] == self.before
            self.before = events
            told = {event.experiment: event.after for event in events if event.kind == "experiment"}
            assert told == {one.id: one.state for one in self.store.experiments("c")}
            assert [e for e in events if e.kind == "campaign"][-1].after == self.store.campaign("c").state

        def teardown(self):
            self.store.close()
            shutil.rmtree(self.folder)

    return Lockstep


def agree(backend, dump, examples):
    run_state_machine_as_test(
        lockstep(backend, dump),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_every_store_agrees_with_the_one_in_memory(backend, dump, shared):
    agree(backend, dump, 3 if shared else 30)


@pytest.mark.soak
def test_a_store_in_postgres_agrees_with_the_one_in_memory(open_database, dump):
    agree(open_database, dump, 60)


@pytest.mark.parametrize("record", ["campaign", "ask", "experiment"])
def test_documents_come_back_bit_for_bit(store, campaign, record):
    next_number = iter(range(1, 10_000))

    @settings(max_examples=60, deadline=None, database=None)
    @given(document=documents)
    def check(document):
        number = next(next_number)
        if record == "campaign":
            store.create(CampaignRecord(name=f"c{number}", definition=document, definition_hash=""))
            read = store.campaign(f"c{number}").definition
        elif record == "ask":
            store.apply("alloys", [PutAsk(AskRecord(number, 1, document))], who="me")
            read = store.asks("alloys")[-1].state
        else:
            one = ExperimentRecord(id=number, state="proposed", asked=document)
            store.apply("alloys", [PutExperiment(one, None)], who="me")
            read = store.experiment("alloys", number).asked
        assert repr(read) == repr(document)  # also the order of keys, and -0.0

    check()
