"""Experiments in one line of a terminal."""

from orchestrator.campaign import text
from orchestrator.store.records import ExperimentRecord, Value


def test_what_was_not_seen_is_told_as_a_bound():
    values = {"fe_c2h4": Value(0.00013, None, "below"), "u_cell": Value(2.5, 0.01), "fe_h2": Value(0.4)}
    record = ExperimentRecord(id=1, state="completed", values=values)
    assert text.result(record, ["fe_c2h4", "u_cell"]) == "fe_c2h4 < 0.00013, u_cell 2.5 ± 0.01 V"
