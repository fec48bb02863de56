"""A definition is amended while its campaign goes on: versioned, told to whoever is late, and told data stay as they are."""

from dataclasses import replace
from functools import partial
from threading import Barrier, Event, Thread

import pandas as pd
import pytest
from amend_bench import asked, begun, defined, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import Campaign
from orchestrator.campaign.versions import history
from orchestrator.errors import CampaignError, InputError, NothingTold
from orchestrator.loop import ThreadEngine
from orchestrator.loop.assembly import assemble, loop_of, register
from orchestrator.loop.listener import Listener
from orchestrator.steering.amending import amend
from orchestrator.store.opening import open_store
from orchestrator.store.records import Owner

LOW, HIGH = "space.parameters.1.low", "space.parameters.1.high"


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    kept = open_store("memory:" if request.param == "memory" else tmp_path / "s.db", durable=False)
    yield kept
    kept.close()


@pytest.fixture
def memory():
    kept = open_store("memory:")
    yield kept
    kept.close()


class After(Listener):
    """Does something once so many results are learned."""

    def __init__(self, number, do):
        self.left, self.do = number, do

    def learned(self, record, attempt):
        self.left -= 1
        if self.left == 0:
            self.do()


def fields(amendment):
    return [(c.field, c.was, c.now) for c in amendment.changes]


class TestWhatChanges:
    def test_is_said_field_by_field_and_versioned(self, store):
        begun(store)
        new = defined(
            {LOW: -1.1, "stop.experiments": 12, "space.constraints": [{"coefficients": {"x_Cu": 1}, "lower": 0.2}]}
        )
        done = amend(store, "c", new, who="marie", why="the glue softens")
        assert ("space.parameters.potential.low", -1.3, -1.1) in fields(done)
        assert ("stop.experiments", 8, 12) in fields(done)
        assert any(field == "space.constraints" for field, _, _ in fields(done))
        record = store.campaign("c")
        assert (record.version, record.definition_hash) == (2, new.hash)
        [version] = history(store, "c")
        assert (version.number, version.who, version.why) == (2, "marie", "the glue softens")
        assert version.changes == done.changes

    def test_history_tells_every_version(self, store):
        begun(store)
        for number, low in enumerate((-1.2, -1.1, -1.0), 2):
            assert amend(store, "c", defined({LOW: low}), who="marie").version == number
        changes = [version.changes[0] for version in history(store, "c")]
        assert [(c.was, c.now) for c in changes] == [(-1.3, -1.2), (-1.2, -1.1), (-1.1, -1.0)]

    def test_nothing_is_written_where_nothing_changes_or_it_is_only_looked_at(self, store):
        begun(store)
        last = store.last_event("c")
        assert not amend(store, "c", defined(), who="marie").changes
        seen = amend(store, "c", defined({LOW: -1.0}), who="marie", dry_run=True)
        assert seen.changes
        assert not seen.done
        assert (store.last_event("c"), store.campaign("c").version) == (last, 1)

    def test_a_pool_may_have_other_rows(self, store):
        from orchestrator.config.definition import Definition
        from orchestrator.config.model import CampaignFile
        from orchestrator.config.tables import read_table

        def pooled(rows):
            file = {
                "name": "c",
                "space": {"pool": "plate.csv", "parameters": ["a", "b"]},
                "objectives": [{"metric": "y"}],
                "strategy": "random",
                "lab": {"type": "manual", "metrics": {"y": "1"}},
                "stop": {"experiments": 9},
            }
            content = "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows)
            return Definition.of(CampaignFile.model_validate(file), {"pool": read_table(content.encode(), "plate.csv")})

        register(store, pooled([(0, 0), (0, 1), (1, 0)]))
        campaign = assemble(store, "c").campaign
        campaign.tell(campaign.ask(2).assign(y=1.0))
        waiting = campaign.propose(1, state="queued")[0]
        rows = [(5, 5), (6, 5)]
        done = amend(store, "c", pooled(rows), who="marie")
        assert [(r.id, r.state) for r, _ in done.experiments] == [(waiting.id, "cancelled")]
        later = assemble(store, "c").campaign.ask(2)
        assert sorted(map(tuple, later[["a", "b"]].to_numpy())) == rows


class TestWhatMayNot:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"seed": 4}, "seed"),
            ({"objectives.0.metric": "fe_co"}, "objectives"),
            ({"objectives.0.goal": "minimize"}, "objectives"),
            ({"lab.world": "null"}, "lab.world"),
            ({"lab.seed": 1}, "lab.seed"),
            ({"lab": {"type": "manual", "metrics": {"fe_c2h4": "1"}}}, "lab"),
            ({"space.parameters.0.components": ["Cu", "Ag", "Zn"]}, "space.parameters"),
            ({"space.parameters.2": None}, "space.parameters"),
            ({"space.parameters.1.unit": "V vs SHE"}, "space.parameters.potential.unit"),
            ({"space.parameters.1.stage": "preparation"}, "space.parameters.potential.stage"),
            ({"strategy.conditions_per_sample": 2}, "strategy.conditions_per_sample"),
        ],
    )
    def test_another_campaign_is_refused(self, memory, changes, field):
        begun(memory)
        new = defined(changes)
        with pytest.raises(InputError, match="after:") as refused:
            amend(memory, "c", new, who="marie")
        assert (refused.value.field or "").startswith(field)
        assert memory.campaign("c").version == 1

    def test_a_category_stays_and_the_mend_works(self, memory):
        campaign = begun(memory)
        campaign.tell(campaign.ask(2).assign(fe_c2h4=0.1))
        grown = {"space.parameters.2.values": ["Li", "Na", "K"]}
        with pytest.raises(InputError, match=r"cannot lose 'K'.*expression: cation != 'K'"):
            amend(memory, "c", defined({"space.parameters.2.values": ["Na", "Li"]}), who="marie")
        amend(memory, "c", defined(grown), who="marie")
        without = {"space.constraints": [{"type": "expression", "expression": "cation != 'K'"}]}
        amend(memory, "c", defined(grown | without), who="marie")
        campaign = assemble(memory, "c").campaign
        assert set(campaign.ask(8)["cation"]) == {"Li", "Na"}

    def test_a_campaign_made_in_python_is_refused(self, memory):
        from acquisition import Continuous, Objective, SearchSpace

        Campaign(SearchSpace([Continuous("a", 0, 1)]), [Objective("y")], store=memory, name="c")
        with pytest.raises(CampaignError, match="made in Python"):
            amend(memory, "c", defined(), who="marie")

    def test_its_laboratory_only_while_no_process_runs_it(self, memory):
        begun(memory)
        lease = memory.acquire("c", Owner.current())
        with pytest.raises(CampaignError, match=r"lab\.cells cannot change while a process runs"):
            amend(memory, "c", defined({"lab.cells": 2}), who="marie")
        memory.release(lease)
        amend(memory, "c", defined({"lab.cells": 2}), who="marie")
        assert len(assemble(memory, "c").lab.cells) == 2


class TestProposals:
    def test_what_no_longer_fits_is_taken_back_with_the_reason(self, store):
        campaign = begun(store)
        told = campaign.ask(6)
        campaign.tell(told.assign(fe_c2h4=0.2))
        ids = [r.id for state in ("proposed", "approved", "queued") for r in campaign.propose(4, state=state)]
        before = {r.id: r for r in store.experiments("c")}
        done = amend(store, "c", defined({LOW: -0.9}), who="marie", why="bubbles")
        after = {r.id: r for r in store.experiments("c")}
        gone = {r.id for r, _ in done.experiments}
        assert gone == {id for id in ids if before[id].asked["potential"] < -0.9}
        assert 0 < len(gone) < len(ids), "the case has both kinds"
        for id in gone:
            assert after[id].state == ("cancelled" if before[id].state == "queued" else "rejected")
        assert {id: r for id, r in after.items() if id not in gone} == {
            id: r for id, r in before.items() if id not in gone
        }
        events = [e for e in store.events("c", kinds=("experiment",)) if e.experiment in gone and e.who == "marie"]
        assert len(events) == len(gone)
        assert all("does not fit any more: potential" in e.why for e in events)

    def test_without_approval_what_waits_for_it_is_queued(self, memory):
        campaign = begun(memory, {"approval": "all"})
        campaign.propose(2, state="proposed")
        done = amend(memory, "c", defined({"approval": {"outside": {"potential": [-1.3, -0.7]}}}), who="marie")
        assert [r.state for r, _ in done.experiments] == ["queued", "queued"]

    def test_what_runs_goes_on(self, memory):
        campaign = begun(memory)
        [record] = campaign.propose(1, state="queued")
        from orchestrator.store.changes import PutExperiment

        campaign.put(PutExperiment(replace(record, state="running"), "queued"))
        low = record.asked["potential"] + 0.01
        assert not amend(memory, "c", defined({LOW: low}), who="marie").experiments
        assert memory.experiment("c", record.id).state == "running"


class TestTwoPeople:
    def test_the_later_one_is_told(self, store):
        begun(store)
        amend(store, "c", defined({LOW: -1.2}), who="marie", why="glue", version=1)
        with pytest.raises(CampaignError, match=r"version 2.*by marie \(glue\), not 1"):
            amend(store, "c", defined({HIGH: -0.8}), who="paul", version=1)
        assert store.campaign("c").version == 2

    def test_who_takes_an_amendment_back_is_told(self, store):
        begun(store)
        amend(store, "c", defined({LOW: -1.2}), who="marie", why="glue")
        done = amend(store, "c", defined({"stop.experiments": 9}), who="paul")
        assert done.done
        assert any("takes back what marie changed" in note and "glue" in note for note in done.notes)

    def test_at_the_same_moment_one_of_them_is(self, store):
        begun(store)
        start, said = Barrier(2), []

        class Together:
            """A store whose two readers read before either writes."""

            def __getattr__(self, name):
                return getattr(store, name)

            def campaign(self, name):
                record = store.campaign(name)
                if len(waits) < 2:
                    waits.append(name)
                    start.wait(30)
                return record

        waits = []

        def one(who, low):
            try:
                amend(Together(), "c", defined({LOW: low}), who=who)
                said.append((who, "done"))
            except CampaignError as late:
                said.append((who, str(late)))

        threads = [Thread(target=one, args=arguments) for arguments in (("marie", -1.2), ("paul", -1.1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        outcomes = dict(said)
        [winner] = [who for who, what in said if what == "done"]
        [loser] = {"marie", "paul"} - {winner}
        assert f"by {winner}" in outcomes[loser]
        assert store.campaign("c").version == 2


class TestARunningCampaign:
    @pytest.mark.parametrize("cells", [1, 2])
    def test_goes_on_as_one_that_was_stopped_and_resumed(self, tmp_path, cells):
        """The same proposals and predictions, whichever way an amendment comes."""
        first = {"strategy": {"name": "auto", "initial": 4}, "lab.cells": cells}
        second = defined(
            first | {LOW: -1.1, "stop.experiments": 10, "outcome_constraints": [{"metric": "fe_h2", "upper": 0.5}]}
        )
        found = []
        for live in (True, False):
            store = open_store("memory:")
            begun(store, first)
            if live:
                state = run(store, tmp_path, After(6, partial(amend, store, "c", second, who="marie")))
            else:
                stopped = Event()
                assert run(store, tmp_path, After(6, stopped.set), cancelled=stopped) == "interrupted"
                amend(store, "c", second, who="marie")
                state = run(store, tmp_path)
            assert state == "completed"
            found.append((asked(store), [a.number for a in store.asks("c")]))
            later = [r for r in store.experiments("c") if r.created > history(store, "c")[0].time]
            assert later
            assert all(r.asked["potential"] >= -1.1 for r in later)
            assert any("fe_h2" in r.prediction for r in later)
        assert found[0] == found[1]
        assert len(found[0][0]) == 10

    def test_a_higher_budget_changes_no_proposal(self, tmp_path):
        first = {"strategy": {"name": "expected_improvement", "initial": 4}}
        longer = defined(first | {"stop.experiments": 9})
        found = []
        for amended in (True, False):
            store = open_store("memory:")
            begun(store, first if amended else first | {"stop.experiments": 9})
            listener = After(5, partial(amend, store, "c", longer, who="marie")) if amended else Listener()
            assert run(store, tmp_path, listener) == "completed"
            found.append(asked(store))
        assert found[0] == found[1]
        assert len(found[0]) == 9

    def test_a_laboratory_that_was_amended_as_it_began_is_not_used(self, memory, tmp_path):
        """Nobody runs it when the amendment is written, and the process has built its laboratory already."""
        begun(memory)
        parts = assemble(memory, "c")
        loop = loop_of(parts, memory, engine=ThreadEngine(1), files=str(tmp_path))
        amend(memory, "c", defined({"lab.cells": 2}), who="marie")
        assert loop.run() == "holding"
        assert "its laboratory was amended" in memory.campaign("c").reason
        assert not asked(memory)
        assert run(memory, tmp_path) == "completed"

    def test_a_lower_budget_ends_it_and_a_higher_one_lets_it_go_on(self, store, tmp_path):
        begun(store)
        fewer = defined({"stop.experiments": 4})
        assert run(store, tmp_path, After(4, lambda: amend(store, "c", fewer, who="marie"))) == "completed"
        assert len(asked(store)) == 4
        amend(store, "c", defined({"stop.experiments": 6}), who="marie")
        assert run(store, tmp_path) == "completed"
        assert len(asked(store)) == 6

    def test_at_its_last_result_it_goes_on_too(self, memory, tmp_path):
        begun(memory)
        more = defined({"stop.experiments": 10})
        assert run(memory, tmp_path, After(8, lambda: amend(memory, "c", more, who="marie"))) == "completed"
        assert len(asked(memory)) == 10

    def test_approval_begins_and_ends(self, memory, tmp_path):
        begun(memory)
        all_, none = defined({"approval": "all"}), defined({"stop.experiments": 9})
        waits = []

        class Approving(Listener):
            def proposed(self, records):
                if any(r.state == "proposed" for r in records):
                    waits.extend(r.id for r in records)
                    amend(memory, "c", none, who="paul")

        state = run(memory, tmp_path, After(3, lambda: amend(memory, "c", all_, who="marie")), Approving())
        assert state == "completed"
        assert waits == [4]
        assert len(asked(memory)) == 9

    def test_a_proposal_that_is_thought_of_meanwhile_is_made_again(self, memory):
        """No proposal of a former definition enters behind an amendment."""
        begun(memory)
        campaign = assemble(memory, "c").campaign
        campaign.propose(1, state="queued")
        strategy = campaign.strategy
        calls = []

        class Thinking:
            def propose(self, problem, n):
                calls.append(problem.space.parameters[1].low)
                if len(calls) == 1:
                    amend(memory, "c", defined({LOW: -0.8}), who="marie")
                return strategy.propose(problem, n)

        campaign.strategy = Thinking()
        records = campaign.propose(4, state="queued")
        assert calls == [-1.3], "the next choice is that of the new definition's strategy"
        assert all(r.asked["potential"] >= -0.8 for r in records)
        assert campaign.version == 2


AMENDMENTS = given(
    lows=st.lists(st.floats(-1.29, -0.8).map(lambda x: round(x, 3)), min_size=1, max_size=4),
    budget=st.integers(3, 20),
    bounded=st.booleans(),
    states=st.lists(st.sampled_from(["completed", "failed", "wrong", "awaiting"]), min_size=3, max_size=6),
)


def none_is_lost_or_changed(lows, budget, bounded, states):
    store = open_store("memory:")
    campaign = begun(store)
    frame = campaign.ask(len(states))
    told = frame.assign(
        fe_c2h4=[0.1 * i if s in ("completed", "wrong") else None for i, s in enumerate(states)],
        fe_h2=[0.3 if s in ("completed", "awaiting") else None for s in states],
        status=["failed" if s == "failed" else "completed" for s in states],
        verdict=["invalid" if s == "wrong" else None for s in states],
    )
    campaign.tell(told)
    before = {r.id: r for r in store.experiments("c")}
    for low in lows:
        changes = {LOW: low, "stop.experiments": budget}
        if bounded:
            changes["outcome_constraints"] = [{"metric": "fe_h2", "upper": 0.4}]
        amend(store, "c", defined(changes), who="marie")
        assert {r.id: r for r in store.experiments("c")} == before
        campaign.news()
        fresh = assemble(store, "c").campaign
        pd.testing.assert_frame_equal(campaign.to_dataframe(), fresh.to_dataframe())
        assert [r.id for r in campaign.experiments()] == sorted(before)
        ours, theirs = campaign.problem(), fresh.problem()
        assert ours.space.parameters == theirs.space.parameters
        assert (ours.ask, ours.state) == (theirs.ask, theirs.state)
        pd.testing.assert_frame_equal(pd.DataFrame(ours.observations.points), pd.DataFrame(theirs.observations.points))
    assert campaign.ask(2)["potential"].min() >= lows[-1]


class TestToldData:
    def test_a_metric_that_is_younger_than_the_results_is_learned_from_then_on(self, memory):
        campaign = begun(memory)
        campaign.tell(campaign.ask(4).assign(fe_c2h4=[0.1, 0.2, 0.3, 0.4]))
        amend(memory, "c", defined({"outcome_constraints": [{"metric": "fe_h2", "upper": 0.5}]}), who="marie")
        campaign.refresh()
        with pytest.raises(NothingTold, match="fe_h2"):
            campaign.best()
        campaign.tell(campaign.ask(1).assign(fe_c2h4=0.2, fe_h2=0.3))
        best = campaign.best()
        assert best.index[0] == 4
        assert best["fe_h2"].isna().all()
        assert best["fe_h2_mean"].notna().all()

    @AMENDMENTS
    @settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_no_amendment_loses_or_changes_any(self, lows, budget, bounded, states):
        none_is_lost_or_changed(lows, budget, bounded, states)

    @pytest.mark.soak
    @AMENDMENTS
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_none_of_many_amendments_does(self, lows, budget, bounded, states):
        none_is_lost_or_changed(lows, budget, bounded, states)
