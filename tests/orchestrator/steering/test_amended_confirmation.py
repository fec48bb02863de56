"""A campaign whose best are confirmed is amended, before, meanwhile or afterwards."""

from collections import Counter

import pytest
from amend_bench import begun, defined, run

from orchestrator.campaign.words import CONFIRM
from orchestrator.loop.listener import Listener
from orchestrator.steering.amending import amend
from orchestrator.store.opening import open_store

TWICE = {"confirm": {"samples": 2}}


@pytest.fixture
def store():
    kept = open_store("memory:")
    yield kept
    kept.close()


class Amends(Listener):
    """Amends the campaign once so many results are learned."""

    def __init__(self, store, number, changes):
        self.store, self.left, self.changes = store, number, changes

    def learned(self, record, attempt):
        self.left -= 1
        if self.left == 0:
            amend(self.store, "c", defined(self.changes), who="marie")


def origins(store):
    return Counter(r.origin for r in store.experiments("c") if r.state == "completed")


def chosen(store):
    return sum(e.kind == CONFIRM for e in store.events("c"))


def test_a_larger_budget_lets_the_search_go_on_and_its_best_be_confirmed(store, tmp_path):
    begun(store, TWICE)
    assert run(store, tmp_path) == "completed"
    assert origins(store) == {"asked": 6, "confirm": 2}
    amend(store, "c", defined({**TWICE, "stop.experiments": 14}), who="marie")
    assert run(store, tmp_path) == "completed"
    assert origins(store) == {"asked": 10, "confirm": 4}
    assert chosen(store) == 2


def test_so_it_does_where_that_comes_while_it_confirms(store, tmp_path):
    begun(store, TWICE)
    assert run(store, tmp_path, Amends(store, 7, {**TWICE, "stop.experiments": 14})) == "completed"
    assert origins(store) == {"asked": 10, "confirm": 4}
    assert chosen(store) == 2


def test_another_key_that_changes_meanwhile_chooses_nothing_anew(store, tmp_path):
    begun(store, TWICE)
    assert run(store, tmp_path, Amends(store, 7, {**TWICE, "breakers": {"cell": 5}})) == "completed"
    assert origins(store) == {"asked": 6, "confirm": 2}
    assert chosen(store) == 1


def test_it_may_be_wanted_while_the_search_goes_on(store, tmp_path):
    begun(store)
    assert run(store, tmp_path, Amends(store, 3, {"confirm": {"top": 2, "samples": 2}})) == "completed"
    assert origins(store) == {"asked": 4, "confirm": 4}


def test_it_may_be_wanted_no_more(store, tmp_path):
    begun(store, TWICE)
    assert run(store, tmp_path, Amends(store, 3, {})) == "completed"
    assert origins(store) == {"asked": 8}
    assert store.campaign("c").reason == "the budget of 8 experiments is used"


def test_where_nothing_is_left_for_it_the_campaign_says_so(store, tmp_path):
    begun(store)
    run(store, tmp_path)
    amend(store, "c", defined(TWICE), who="marie")
    assert run(store, tmp_path) == "completed"
    assert origins(store) == {"asked": 8}
    assert "what is left of the budget pays nothing that would confirm the best" in store.campaign("c").reason
