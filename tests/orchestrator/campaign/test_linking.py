"""A campaign goes on from another one's results, where they mean the same."""

import json
from copy import deepcopy

import pytest
from amend_bench import FILE, asked, begun, defined, run

from orchestrator.campaign.linking import link, prior_of
from orchestrator.campaign.links import links
from orchestrator.errors import InputError
from orchestrator.loop.assembly import assemble, register
from orchestrator.steering.experiments import mark
from orchestrator.store.opening import open_store
from orchestrator.store.records import CampaignRecord

NEXT = {"name": "d", "after": "c", "seed": 7}


@pytest.fixture
def store():
    kept = open_store("memory:")
    yield kept
    kept.close()


@pytest.fixture
def finished(store, tmp_path):
    """A campaign with six results, of which one is wrong."""
    begun(store, {"stop.experiments": 6})
    assert run(store, tmp_path) == "completed"
    mark(store, "c", 2, "wrong", who="marie", why="leak")
    return store


def test_completed_and_usable_results_become_prior_data_in_their_order(finished):
    register(finished, defined(NEXT))
    former = {r.id: r for r in finished.experiments("c")}
    taken = finished.experiments("d")
    assert [r.reason for r in taken] == [f"experiment {id} of campaign c" for id in (1, 3, 4, 5, 6)]
    assert [(r.id, r.told, r.origin, r.state) for r in taken] == [(i, i, "prior", "completed") for i in range(1, 6)]
    for r, id in zip(taken, (1, 3, 4, 5, 6), strict=True):
        assert r.values == former[id].values
        assert r.executed == {**former[id].asked, **(former[id].executed or {})}
        assert r.sample == former[id].sample
    campaign = assemble(finished, "d").campaign
    assert len(campaign.problem().observations) == 5
    assert campaign.problem().remaining is None


def test_the_link_is_in_both_logs(finished):
    register(finished, defined(NEXT))
    [here] = finished.events("d", kinds=("link",))
    [there] = finished.events("c", kinds=("link",))
    assert here.data["after"] == "c"
    assert here.data["experiments"] == [[1, 1], [3, 2], [4, 3], [5, 4], [6, 5]]
    assert here.data["left_out"] == {"invalid": 1}
    assert there.data["followed_by"] == "d"
    assert (links(finished, "d").after, links(finished, "d").experiments) == ("c", 5)
    assert links(finished, "c").followed_by == ("d",)


def test_it_runs_with_another_objective_and_prior_data_are_in_no_budget(finished, tmp_path):
    register(
        finished,
        defined(NEXT | {"objectives.0.metric": "fe_co", "stop.experiments": 3, "space.parameters.1.low": -1.0}),
    )
    assert run(finished, tmp_path, name="d") == "completed"
    assert len(asked(finished, "d")) == 3
    assert all(r[0]["potential"] >= -1.0 for r in asked(finished, "d").values())


def test_its_proposals_depend_on_its_own_records_alone(finished, tmp_path):
    """What the former campaign learns later changes nothing."""
    new = defined(NEXT | {"strategy": {"name": "auto", "initial": 4}, "stop.experiments": 3})
    register(finished, new)
    register(twin := open_store("memory:"), defined({"stop.experiments": 6}))
    run(twin, tmp_path)
    mark(twin, "c", 2, "wrong", who="marie", why="leak")
    register(twin, new)
    mark(finished, "c", 3, "wrong", who="marie", why="leak too")
    for kept in (finished, twin):
        run(kept, tmp_path, name="d")
    assert asked(finished, "d") == asked(twin, "d")
    assert any(prediction for _, prediction in asked(twin, "d").values()), "a model has learned from prior data"


def test_a_death_between_making_and_taking_over_is_mended_by_the_next_start(finished, tmp_path):
    new = defined(NEXT)
    finished.create(CampaignRecord(name="d", definition=new.resolved(), definition_hash=new.hash, seed=7), new.blobs())
    assert not finished.experiments("d")
    run(finished, tmp_path, name="d")
    assert [r.origin for r in finished.experiments("d")][:6] == ["prior"] * 5 + ["asked"]
    link(finished, "d")
    link(finished, "d")
    assert len(finished.events("d", kinds=("link",))) == len(finished.events("c", kinds=("link",))) == 1


def test_failures_that_teach_are_taken_and_others_are_not(store):
    campaign = begun(store)
    frame = campaign.ask(3)
    causes = ["material", "equipment", None]
    campaign.tell(
        frame.assign(fe_c2h4=[None, None, 0.2], status=["failed", "failed", "completed"], failure_cause=causes)
    )
    campaign.ask(1)
    prior = prior_of(store, defined(NEXT))
    assert [(id, r.state, r.failure_cause) for id, r in prior.pairs] == [
        (1, "failed", "material"),
        (3, "completed", None),
    ]
    assert prior.left_out == {"failed by no fault of its own": 1}


def test_a_category_that_is_unknown_here_is_left_out(finished):
    there = {id: r.asked["cation"] for id, r in ((r.id, r) for r in finished.experiments("c"))}
    prior = prior_of(finished, defined(NEXT | {"space.parameters.2.values": ["Na", "Cs"]}))
    assert [id for id, _ in prior.pairs] == [id for id, cation in there.items() if cation == "Na" and id != 2]
    assert "with a category that is unknown here" in prior.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space.parameters.1.unit": "V vs SHE"}, r"'potential' has the unit 'V vs RHE' and here 'V vs SHE'"),
        ({"space.parameters.1.unit": None}, r"'V vs RHE' and here nothing said"),
        ({"space.parameters.2": None}, r"only campaign 'c' has the column 'cation'"),
        ({"space.parameters.0.components": ["Cu", "Ag", "Zn"]}, r"campaign 'c' does not have the column 'x_Zn'"),
        (
            {
                "space.parameters.2": {"type": "integer", "name": "cation", "low": 1, "high": 2},
                "lab": {"type": "manual"},
            },
            r"'cation' is 'a name' and here 'a number'",
        ),
        (
            {"lab": {"type": "manual", "metrics": {"own": "1"}}, "objectives": [{"metric": "own"}]},
            "6 without|5 without",
        ),
        ({"after": "e"}, "no campaign 'e'"),
    ],
)
def test_what_does_not_mean_the_same_is_refused_before_anything_is_written(finished, changes, said):
    with pytest.raises(InputError, match=said) as refused:
        register(finished, defined(NEXT | changes))
    assert refused.value.field == "after"
    assert [record.name for record in finished.campaigns()] == ["c"]


def test_a_metric_in_another_unit_is_refused(store):
    base = deepcopy(FILE) | {"lab": {"type": "manual", "metrics": {"own": "mV"}}, "objectives": [{"metric": "own"}]}
    register(store, defined(base=base))
    campaign = assemble(store, "c").campaign
    campaign.tell(campaign.ask(1).assign(own=3.0))
    with pytest.raises(InputError, match=r"own is measured in 'mV' in campaign 'c', and 'V' here"):
        register(store, defined(NEXT | {"lab.metrics": {"own": "V"}}, base))


def test_it_cannot_go_on_from_itself():
    with pytest.raises(Exception, match="from itself"):
        defined({"after": "c"})


def test_status_report_and_export_say_it(finished, tmp_path):
    from orchestrator.cli.looking import summary
    from orchestrator.export.report import render
    from orchestrator.export.tables import NAMES, export

    register(finished, defined(NEXT))
    here, there = (summary(finished, finished.campaign(name)) for name in ("d", "c"))
    assert (here["after"], here["followed_by"]) == ("c", [])
    assert (there["after"], there["followed_by"]) == (None, ["d"])
    report = render(assemble(finished, "d").campaign, finished.campaign("d"))
    assert "5 results of campaign c" in report
    assert "Followed by" in render(assemble(finished, "c").campaign, finished.campaign("c"))
    export(assemble(finished, "d").campaign, finished.campaign("d"), tmp_path / "out")
    data = json.loads((tmp_path / "out" / NAMES[-1]).read_text())
    assert (data["after"], data["followed_by"]) == ("c", [])
