"""The ledger gives what it was last told, whatever it has kept of earlier answers."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Categorical, Continuous, SearchSpace
from orchestrator.campaign.ledger import Ledger
from orchestrator.store.records import ExperimentRecord

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
    for id, asked, executed, measured, look in steps:
        record = ExperimentRecord(
            id=id, state="completed", asked=asked, executed=executed, measured=measured if executed else {}, seed=1
        )
        if look:  # a record that was never put is not to be remembered in the place of the one that was
            ledger.array([replace(record, asked=None, executed={"a": 0.5, "salt": "KCl"})])
        ledger.put([record])
        now[id] = record
        fresh = Ledger(SPACE, ["y"], now.values())
        np.testing.assert_array_equal(ledger.array(ledger.taken()), fresh.array(fresh.taken()))
        np.testing.assert_array_equal(ledger.array(list(ledger)), fresh.array(list(fresh)))
