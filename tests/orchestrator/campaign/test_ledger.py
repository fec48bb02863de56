"""The ledger gives what it was last told, whatever it has kept of earlier answers."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Categorical, Continuous, SearchSpace
from orchestrator.campaign.ledger import PENDING, Ledger
from orchestrator.campaign.progress import measured, spent, teaches
from orchestrator.store.records import ExperimentRecord, Value
from orchestrator.store.states import EXPERIMENT_STATES

SPACE = SearchSpace([Continuous("a", 0.0, 1.0), Categorical("salt", ["KHCO3", "KCl"])])
number = st.floats(0.0, 1.0)
inputs = st.fixed_dictionaries({"a": number, "salt": st.sampled_from(["KHCO3", "KCl"])})
step = st.tuples(
    st.integers(1, 4), inputs, st.one_of(st.none(), inputs), st.dictionaries(st.just("a"), number), st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=25))
def test_points_are_those_of_a_ledger_that_knows_nothing_else(steps):
    ledger, now = Ledger(SPACE, ["y"]), {}
    for id, asked, executed, found, look in steps:
        record = ExperimentRecord(
            id=id, state="completed", asked=asked, executed=executed, measured=found if executed else {}, seed=1
        )
        if look:  # a record that was never put is not to be remembered in the place of the one that was
            ledger.array([replace(record, asked=None, executed={"a": 0.5, "salt": "KCl"})])
        ledger.put([record])
        now[id] = record
        fresh = Ledger(SPACE, ["y"], now.values())
        np.testing.assert_array_equal(ledger.taken(), fresh.taken())
        np.testing.assert_array_equal(ledger.array(list(ledger)), fresh.array(list(fresh)))


figure = st.builds(Value, st.one_of(st.none(), number), st.one_of(st.none(), number), st.sampled_from([None, "below"]))
told_record = st.builds(
    ExperimentRecord,
    id=st.integers(1, 6),
    state=st.sampled_from(EXPERIMENT_STATES),
    origin=st.sampled_from(["asked", "prior", "manual", "control", "confirm"]),
    asked=inputs,
    values=st.dictionaries(st.sampled_from(["y", "z"]), figure),
    verdict=st.sampled_from([None, "valid", "suspect", "invalid"]),
    failure_cause=st.sampled_from([None, "material", "equipment"]),
    measured=st.dictionaries(st.just("a"), number),
    measured_sem=st.dictionaries(st.just("a"), number),
    gain=st.one_of(st.none(), number),
    cost=st.one_of(st.none(), number),
    sample=st.sampled_from([None, "s1"]),
    told=st.one_of(st.none(), st.integers(1, 9)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(told_record, min_size=1, max_size=3), max_size=12))
def test_what_is_kept_up_to_date_is_what_all_records_say(batches):
    ledger, now = Ledger(SPACE, ["y", "z"]), {}
    for batch in batches:
        ledger.put(batch)
        now |= {record.id: record for record in batch}
        records = [now[id] for id in sorted(now)]
        told = sorted((r for r in records if r.told is not None), key=lambda r: (r.told, r.id))
        learned = [r for r in told if teaches(r, ("y", "z"))]
        assert list(ledger) == records
        assert (ledger.told(), ledger.learned()) == (told, learned)
        assert ledger.next_id == max(now) + 1
        assert ledger.next_told == max((r.told for r in told), default=0) + 1
        waits = [r for r in records if r.state == "awaiting_analysis" and not measured(r, ("y", "z"))]
        assert ledger.pending() == [r for r in records if r.state in PENDING or r in waits]
        assert ledger.failed() == [r for r in records if r.state == "failed" and r.failure_cause != "equipment"]
        counted, used = spent(records), ledger.spending()
        assert (used.experiments, ledger.asked()) == (len(counted), len(counted))
        assert used.told.tolist() == [r.told for r in counted if r.told is not None]
        assert used.cost == math.fsum(r.cost or 0.0 for r in counted)
        gains = [math.nan if r.gain is None else r.gain for r in counted if r.origin == "asked"]
        np.testing.assert_array_equal(used.gains, gains)
        seen = ledger.observations()
        np.testing.assert_array_equal(seen.points, Ledger(SPACE, ["y"]).array(learned))
        for metric in ("y", "z"):
            values = [r.values.get(metric, Value(None)) for r in learned]
            for part, column in (("value", seen.values), ("sem", seen.sems)):
                wanted = [math.nan if getattr(v, part) is None else getattr(v, part) for v in values]
                np.testing.assert_array_equal(column[metric], wanted)
            signs = [-1 if v.censored else 0 for v in values]
            np.testing.assert_array_equal(seen.censored.get(metric, np.zeros(len(signs))), signs)
        assert seen.inflation.tolist() == [4.0 if r.verdict == "suspect" else 1.0 for r in learned]
        assert seen.samples == tuple(r.sample for r in learned)
        if seen.point_sems is not None:
            assert seen.point_sems[:, 0].tolist() == [
                r.measured_sem.get("a", 0.0) if "a" in r.measured else 0.0 for r in learned
            ]


def test_what_was_given_may_be_changed_by_whoever_has_it():
    ledger = Ledger(SPACE, ["y"])
    ledger.put(
        ExperimentRecord(id=id, state="completed", asked={"a": 0.5, "salt": "KCl"}, told=id, values={"y": Value(1.0)})
        for id in range(1, 40)
    )
    ledger.taken()[:] = 7.0
    ledger.observations().points[:] = 7.0
    ledger.observations().values["y"][:] = 7.0
    assert (ledger.taken()[:, 0] == 0.5).all()
    assert (ledger.observations().points[:, 0] == 0.5).all()
    assert (ledger.observations().values["y"] == 1.0).all()
