"""A budget of catalyst: each fresh sample takes some of it, and what does not do for another ends the search."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_bench import Bench, answer, campaign_of, loop_of

from acquisition import CatalystMass, Continuous, CostBudget, Costs, Experiments, SearchSpace, StoppingError
from instruments import Failure, Outcome
from orchestrator.config.samples import SamplesBlock
from orchestrator.store.changes import PutExperiment
from orchestrator.store.records import ExperimentRecord

HALF = SamplesBlock(catalyst_mass=0.5)
STAGED = SearchSpace([Continuous("a", 0.0, 1.0, stage="preparation"), Continuous("b", 0.0, 1.0)])


def _campaign(**options):
    return campaign_of(**{"strategy": "random", "sample_limits": HALF, **options})


def _samples(campaign):
    return {a.sample for a in campaign.store.attempts("c")}


@pytest.mark.parametrize("cells", [1, 3])
def test_what_makes_no_further_sample_ends_the_search(tmp_path, cells):
    campaign, lab = _campaign(), Bench(cells=cells, virtual_time=True)
    loop = loop_of(campaign, lab, tmp_path, experiments=None, stop=CatalystMass(2.7))
    assert loop.run() == "completed"
    assert len(_samples(campaign)) == 5
    assert campaign.store.campaign("c").reason == "what is left of 2.7 mg catalyst makes no further sample"
    standing = campaign.standing(CatalystMass(2.7))
    assert (standing.now, standing.limit, standing.unit) == (2.5, 2.7, "mg")
    assert standing.left == pytest.approx(0.2)


def test_a_mass_that_is_a_multiple_of_a_samples_is_used_whole(tmp_path):
    campaign = _campaign(sample_limits=SamplesBlock(catalyst_mass=0.1))
    assert loop_of(campaign, Bench(virtual_time=True), tmp_path, experiments=None, stop=CatalystMass(0.7)).run()
    assert len(_samples(campaign)) == 7


@given(
    wanted=st.integers(1, 4),
    cells=st.integers(1, 4),
    batch=st.integers(1, 5),
    mass=st.floats(0.5, 3.0),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_samples_that_are_there_take_all_their_conditions_before_the_end(
    tmp_path_factory, wanted, cells, batch, mass, seed
):
    campaign = _campaign(space=STAGED, conditions_per_sample=wanted, seed=seed)
    lab = Bench(lambda job, _: answer(job, duration=60.0 * (1 + job.experiment % 3)), cells=cells, virtual_time=True)
    folder = tmp_path_factory.mktemp("files")
    assert loop_of(campaign, lab, folder, experiments=None, stop=CatalystMass(mass), batch=batch).run() == "completed"
    counts = pd.Series([r.sample for r in campaign.experiments()]).value_counts()
    assert len(counts) == int(mass / 0.5 + 1e-9)
    assert set(counts) == {wanted}


def test_the_first_of_several_budgets_ends_the_search(tmp_path):
    campaign = _campaign(space=STAGED, conditions_per_sample=3, costs=Costs(experiment=10, preparation=50))
    stop = CatalystMass(10.0) | CostBudget(200.0) | Experiments(30)
    loop_of(campaign, Bench(virtual_time=True), tmp_path, experiments=None, stop=stop).run()
    assert sum(r.cost for r in campaign.experiments()) <= 200.0
    assert campaign.standing(stop).leaves()[0].left == pytest.approx(10.0 - 0.5 * len(_samples(campaign)))


def test_a_failed_experiment_has_used_its_sample_and_one_that_was_called_off_has_not(tmp_path):
    campaign = _campaign()
    lab = Bench(
        lambda job, _: Outcome(failure=Failure("material", "it fell off")) if job.experiment == 2 else answer(job)
    )
    record = ExperimentRecord(id=1, state="queued", origin="manual", asked={"a": 0.1, "b": 0.1})
    campaign.put(PutExperiment(record, None, "a hunch"))
    assert campaign.standing(CatalystMass(2.0)).now == 0.5  # it is somebody's hunch, but takes catalyst all the same
    loop_of(campaign, lab, tmp_path, experiments=None, stop=CatalystMass(2.0)).run()
    assert campaign.to_dataframe()["state"].tolist() == ["completed", "failed", "completed", "completed"]
    more = ExperimentRecord(id=5, state="queued", origin="manual", asked={"a": 0.1, "b": 0.2})
    campaign.put(PutExperiment(more, None, "another"))
    assert campaign.standing(CatalystMass(2.0)).now == 2.5
    campaign.put(PutExperiment(ExperimentRecord(id=5, state="cancelled", asked=more.asked), "queued", "no catalyst"))
    assert campaign.standing(CatalystMass(2.0)).now == 2.0


def test_prior_data_took_no_catalyst_of_the_campaigns():
    campaign = _campaign()
    campaign.tell(pd.DataFrame({"a": [0.1, 0.2], "b": [0.3, 0.4], "y": [1.0, 2.0], "sample": ["old-1", "old-2"]}))
    assert campaign.standing(CatalystMass(2.0)).now == 0.0


def test_a_mass_means_nothing_where_samples_have_none():
    with pytest.raises(StoppingError, match="nothing is known of the mass of a sample"):
        campaign_of().standing(CatalystMass(2.0))


def test_a_part_may_be_kept_for_what_follows():
    campaign = _campaign()
    assert campaign.standing(CatalystMass(2.0, reserved=3)).fresh == 1
    assert campaign.standing(CatalystMass(2.0, reserved=5)).met
    assert campaign.standing(CatalystMass(2.0, reserved=5)).left == 2.0
