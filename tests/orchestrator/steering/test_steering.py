"""What people do to a campaign: allowed where the state allows it, told to whoever comes too late, and in the log."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import pandas as pd
import pytest

from acquisition import Categorical, Continuous, Objective, SearchSpace
from instruments.errors import LabError
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.errors import CampaignError, InputError, UnknownCampaign, UnknownRecord
from orchestrator.flows.looking import look
from orchestrator.steering import experiments, lifecycle, telling
from orchestrator.store.changes import Note, SetCampaignState
from orchestrator.store.opening import open_store
from orchestrator.store.records import CampaignRecord, Owner

SPACE = SearchSpace([Continuous("potential", -1.5, -0.5), Categorical("cation", ["Na", "K"])])


class Lab:
    """Refuses one cation."""

    def check(self, parameters):
        if parameters["cation"] == "K":
            raise LabError("there is no potassium.", field="cation")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    kept = open_store("memory:" if request.param == "memory" else tmp_path / "s.db", durable=False)
    yield kept
    kept.close()


@pytest.fixture
def campaign(store):
    store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    return Campaign(SPACE, [Objective("y")], strategy="random", store=store, name="c", definition={}, initial=2)


def _state(store, *states):
    for state in states:
        store.apply("c", [SetCampaignState(store.campaign("c").state, state, "")], who="campaign")


class TestLifecycle:
    def test_a_running_one_is_paused_continued_and_stopped(self, store, campaign):
        _state(store, "running")
        store.acquire("c", Owner.current())
        assert "paused" in lifecycle.pause(store, "c", who="marie", why="lunch")
        assert store.campaign("c").reason == "lunch"
        assert "already" in lifecycle.pause(store, "c", who="marie"), "a second click does no harm"
        assert "goes on" in lifecycle.go_on(store, "c", who="paul")
        assert "already" in lifecycle.go_on(store, "c", who="paul")
        assert "when what runs has ended" in lifecycle.stop(store, "c", who="marie")
        assert store.campaign("c").state == "stopping"
        assert "already" in lifecycle.stop(store, "c", who="paul")
        assert "at once" in lifecycle.stop(store, "c", now=True, who="paul", why="smoke")
        people = [(e.who, e.kind, e.after) for e in store.events("c") if e.who in ("marie", "paul")]
        assert people == [
            ("marie", "campaign", "paused"),
            ("paul", "campaign", "running"),
            ("marie", "campaign", "stopping"),
            ("paul", "stop now", None),
        ]

    @pytest.mark.parametrize("states", [(), ("running",), ("running", "interrupted"), ("running", "stopping")])
    def test_where_no_process_runs_it_is_stopped_at_once(self, store, campaign, states):
        _state(store, *states)
        assert "no process" in lifecycle.stop(store, "c", who="marie")
        assert store.campaign("c").state == "stopped"
        assert "already" in lifecycle.stop(store, "c", who="marie")

    @pytest.mark.parametrize("state", ["paused", "holding", "halted"])
    def test_one_that_workers_have_goes_on_with_their_next_look(self, store, campaign, state):
        _state(store, "running", state)
        with pytest.raises(CampaignError, match="sabatier deploy c"):
            lifecycle.go_on(store, "c", who="marie")
        store.apply("c", [Note(words.DEPLOY, "")], who="marie")
        _state(store, "running", state)
        assert not look(store, "c").goes_on
        assert "when a worker looks" in lifecycle.go_on(store, "c", who="marie")
        assert look(store, "c").goes_on

    def test_what_cannot_be(self, store, campaign):
        with pytest.raises(CampaignError, match=r"is created since .* and cannot be paused"):
            lifecycle.pause(store, "c", who="marie")
        with pytest.raises(CampaignError, match="sabatier resume c"):
            lifecycle.go_on(store, "c", who="marie")
        with pytest.raises(UnknownCampaign):
            lifecycle.stop(store, "nothing", who="marie")


class TestExperiments:
    def test_one_proposal_has_one_answer(self, store, campaign):
        campaign.ask(3)
        assert "1: approved" in experiments.approve(store, "c", [1], who="marie")
        assert "2: rejected" in experiments.reject(store, "c", [2], who="paul", why="too dear")
        with pytest.raises(CampaignError, match=r"experiment 2 is rejected since .* by paul \(too dear\)"):
            experiments.approve(store, "c", [3, 2], who="marie")
        assert store.experiment("c", 3).state == "proposed", "all or nothing"
        assert "3: approved" in experiments.approve(store, "c", None, who="marie")
        assert "no proposal" in experiments.approve(store, "c", None, who="marie")
        assert "1: cancelled" in experiments.cancel(store, "c", [1], who="paul")
        with pytest.raises(UnknownRecord):
            experiments.approve(store, "c", [99], who="marie")

    def test_two_people_at_once(self, store, campaign):
        """Exactly one is heard; the other is told who was."""
        campaign.ask(20)
        together = Barrier(2)

        def answer(does, who, id):
            together.wait()
            try:
                does(store, "c", [id], who=who)
            except CampaignError as late:
                return str(late)
            return "done"

        won = Counter()
        with ThreadPoolExecutor(2) as people:
            for id in range(1, 21):
                answers = [
                    people.submit(answer, experiments.approve, "marie", id),
                    people.submit(answer, experiments.reject, "paul", id),
                ]
                said = [answer.result() for answer in answers]
                state = store.experiment("c", id).state
                won[state] += 1
                if said == ["done", "done"]:  # approved first, then rejected: both were allowed
                    assert state == "rejected"
                else:
                    assert said.count("done") == 1
                    assert ("by paul" in said[0]) if said[1] == "done" else ("by marie" in said[1])
        assert sum(won.values()) == 20

    def test_editing_checks_space_and_laboratory(self, store, campaign):
        campaign.propose(1, state="queued")
        was = store.experiment("c", 1).asked
        said = experiments.edit(campaign, Lab(), 1, {"potential": "-0.75", "cation": "Na"}, who="marie")
        assert "potential -0.75" in said
        assert store.experiment("c", 1).asked == {"potential": -0.75, "cation": "Na"}
        change = store.events("c")[-1]
        assert (change.who, change.data["was"]["asked"]) == ("marie", was), "the former values are in the log"
        for values, what in (
            ({"potential": "-3"}, "outside the space"),
            ({"potential": "high"}, "potential"),
            ({"cation": "Cs"}, "cation"),
            ({"cation": "K"}, "no potassium"),
            ({"temperature": "300"}, "no column"),
        ):
            with pytest.raises(InputError, match=what):
                experiments.edit(campaign, Lab(), 1, values, who="marie")
        campaign.tell(pd.DataFrame({"experiment": [1], "y": [0.5]}))
        with pytest.raises(CampaignError, match="is completed"):
            experiments.edit(campaign, Lab(), 1, {"potential": "-0.8"}, who="marie")

    def test_a_sample_that_others_share_keeps_its_preparation(self, store):
        space = SearchSpace([Continuous("load", 0.0, 1.0, stage="preparation"), Continuous("potential", -1.5, -0.5)])
        store.create(CampaignRecord(name="two", definition={}, definition_hash=""))
        campaign = Campaign(
            space, [Objective("y")], strategy="random", store=store, name="two", definition={}, conditions_per_sample=2
        )
        campaign.propose(2, state="queued")
        free = SimpleNamespace(check=lambda _: None)
        with pytest.raises(InputError, match="load belongs to sample"):
            experiments.edit(campaign, free, 1, {"load": "0.125"}, who="marie")
        assert "potential -0.75" in experiments.edit(campaign, free, 1, {"potential": "-0.75"}, who="marie")

    def test_adding(self, store, campaign):
        campaign.ask(1)
        said = experiments.add(campaign, Lab(), {"potential": "-1", "cation": "Na"}, priority=0, who="marie")
        assert "experiment 2 is queued" in said
        record = store.experiment("c", 2)
        assert (record.origin, record.state, record.asked["potential"]) == ("manual", "queued", -1.0)
        assert record.seed != store.experiment("c", 1).seed
        with pytest.raises(InputError, match="cation is missing"):
            experiments.add(campaign, Lab(), {"potential": "-1"}, priority=0, who="marie")

    def test_what_is_marked_as_wrong_is_forgotten(self, store, campaign):
        frame = campaign.ask(3)
        campaign.tell(frame.assign(y=[0.1, 0.9, 0.3]))
        assert "invalid now" in experiments.mark(store, "c", 2, "wrong", who="marie", why="the valve was shut")
        campaign.refresh()
        assert len(campaign.problem().observations) == 2
        assert campaign.best().index[0] != 2
        record = store.experiment("c", 2)
        assert record.verdict_reasons == ("marie: the valve was shut",)
        assert record.values["y"].value == 0.9, "kept, and shown"
        experiments.mark(store, "c", 2, "valid", who="paul", why="it was not")
        campaign.refresh()
        assert campaign.best().index[0] == 2
        with pytest.raises(InputError, match="without a reason"):
            experiments.mark(store, "c", 2, "wrong", who="marie", why=" ")
        campaign.ask(1)
        with pytest.raises(CampaignError, match="experiment 4 is proposed"):
            experiments.mark(store, "c", 4, "wrong", who="marie", why="x")

    def test_remarks(self, store, campaign):
        campaign.ask(1)
        experiments.comment(store, "c", "the lamp flickers", who="marie")
        experiments.comment(store, "c", "colour: black", 1, who="paul")
        notes = [(e.who, e.why, e.experiment) for e in store.events("c") if e.kind == "comment"]
        assert notes == [("marie", "the lamp flickers", None), ("paul", "colour: black", 1)]
        with pytest.raises(UnknownRecord):
            experiments.comment(store, "c", "x", 9, who="paul")


class TestTelling:
    def _file(self, folder: Path, text: str) -> Path:
        path = folder / "results.csv"
        path.write_text(text)
        return path

    def test_a_sheet_is_filled_in_and_told(self, store, campaign, tmp_path):
        (record,) = campaign.propose(1, state="queued")
        from dataclasses import replace

        from orchestrator.store.changes import PutExperiment

        campaign.put(PutExperiment(replace(record, state="running"), "queued"))
        sheet = telling.sheet(campaign)
        assert sheet["experiment"].tolist() == [1]
        path = tmp_path / "sheet.csv"
        sheet.assign(y=[0.25], y_sem=[0.01]).to_csv(path, index=False)
        assert "experiment 1" in telling.tell(campaign, path, prior=False, amend=False, who="marie")
        told = store.experiment("c", 1)
        assert (told.state, told.values["y"].value, told.values["y"].sem) == ("completed", 0.25, 0.01)
        assert store.events("c")[-1].who == "marie"

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("potential,y\n-1,0.5\n", "no column `experiment`"),
            ("experiment,y\n1,0.5\n,0.6\n", ":3: the row has no id"),
            ("experiment,why\n1,0.5\n", "why"),
            ("experiment,y\n7,0.5\n", "experiment 7 is not known"),
        ],
    )
    def test_what_is_wrong_names_the_file_and_takes_nothing(self, store, campaign, tmp_path, text, what):
        campaign.ask(1)
        before = len(store.events("c"))
        with pytest.raises(InputError, match=what) as caught:
            telling.tell(campaign, self._file(tmp_path, text), prior=False, amend=False, who="marie")
        assert "results.csv" in str(caught.value)
        assert len(store.events("c")) == before

    def test_rows_that_nobody_has_filled_in_end_nothing(self, store, campaign, tmp_path):
        campaign.ask(3)
        path = self._file(tmp_path, "experiment,sample,y,y_sem\n1,,,\n2,A#3,0.5,\n3,,,\n")
        said = telling.tell(campaign, path, prior=False, amend=False, who="marie")
        assert said == "told: experiment 2; nothing is filled in for experiment 1, 3."
        assert [r.state for r in store.experiments("c")] == ["proposed", "completed", "proposed"]
        assert store.experiment("c", 2).sample == "A#3"
        with pytest.raises(InputError, match="no result is filled in"):
            telling.tell(
                campaign, self._file(tmp_path, "experiment,y\n1,\n3,\n"), prior=False, amend=False, who="marie"
            )

    def test_what_is_wrong_names_its_line(self, campaign, tmp_path):
        campaign.ask(3)
        path = self._file(tmp_path, "experiment,y\n1,\n2,\n3,much\n")
        with pytest.raises(InputError, match=r"results\.csv: line 4: y is 'much'"):
            telling.tell(campaign, path, prior=False, amend=False, who="marie")

    def test_a_fraction_is_not_entered_in_per_cent(self, store, campaign, tmp_path):
        campaign.ask(3)
        path = self._file(tmp_path, "experiment,y,fe_co\n1,,\n2,0.5,1.02\n3,60,42\n")
        with pytest.raises(InputError, match=r"results\.csv:4: fe_co is 42, but it is a fraction.*100") as caught:
            telling.tell(campaign, path, prior=False, amend=False, who="marie")
        assert caught.value.field == "fe_co"
        assert all(r.state == "proposed" for r in store.experiments("c")), "nothing was taken"

    def test_settings_alone_are_corrected(self, store, campaign, tmp_path):
        campaign.tell(campaign.ask(1).assign(y=[0.5]))
        path = self._file(tmp_path, "experiment,potential\n1,-1.125\n")
        telling.tell(campaign, path, prior=False, amend=True, who="marie")
        assert store.experiment("c", 1).executed["potential"] == -1.125

    def test_prior_data(self, campaign, tmp_path):
        path = self._file(tmp_path, "potential,cation,y\n-1,Na,0.5\n")
        assert "1 rows of prior data" in telling.tell(campaign, path, prior=True, amend=False, who="marie")
        assert campaign.to_dataframe()["origin"].tolist() == ["prior"]
