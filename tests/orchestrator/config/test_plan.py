"""Costs, samples and stopping rules of a campaign file: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acquisition import (
    AllOf,
    AnyOf,
    CatalystMass,
    CostBudget,
    Costs,
    ExpectedGain,
    Experiments,
    Hours,
    Plateau,
    RegretBound,
    Target,
)
from orchestrator.config.confirm import stored_rule
from orchestrator.config.definition import Definition
from orchestrator.config.schema import json_schema
from orchestrator.errors import InputError

Load = Callable[..., Definition]

FILE = """\
name: test
space:
  parameters:
    - {type: composition, name: x, components: [Cu, Ag], step: 0.01, stage: preparation}
    - {type: continuous, name: potential, low: -1.5, high: -0.5}
    - {type: categorical, name: cation, values: [Li, K]}
objectives:
  - {metric: fe_c2h4, goal: maximize}
costs: {experiment: 40, preparation: 60, change: {cation: 20}, unit: min}
strategy: {conditions_per_sample: 3, fixed_within_batch: [potential]}
lab: {type: bench}
stop: {experiments: 40}
"""


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        ("{experiments: 40}", Experiments(40)),
        ("{hours: 12.5}", Hours(12.5)),
        ("{cost: 2000}", CostBudget(2000.0)),
        ("{experiments: 40, hours: 3}", Experiments(40) | Hours(3.0)),
        (
            "{any: [{experiments: 60}, {all: [{plateau: {experiments: 15}}, {expected_gain: {below: 0.01}}]}]}",
            Experiments(60) | (Plateau(15) & ExpectedGain(0.01)),
        ),
        (
            "{experiments: 60, target: {at_least: 0.6}, regret: {below_noise: 1}}",
            AnyOf([Experiments(60), Target(at_least=0.6), RegretBound(below_noise=1.0)]),
        ),
        (
            "{all: [{experiments: 20}, {hours: 4, cost: 900}]}",
            AllOf([Experiments(20), AnyOf([Hours(4.0), CostBudget(900.0)])]),
        ),
        ("{all: [{experiments: 20}]}", Experiments(20)),
        ("{catalyst_mass: 20}\nsamples: {catalyst_mass: 0.5}", CatalystMass(20.0)),
    ],
)
def test_rules(load_text: Load, block: str, rule: object) -> None:
    definition = load_text(FILE.replace("{experiments: 40}", block))
    assert definition.file.stop.rule() == rule
    again = Definition.from_resolved(definition.resolved(), dict(definition.blobs()).__getitem__)
    assert again.file.stop.rule() == rule
    assert again.hash == definition.hash


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        ("{experiments: 40}\nconfirm: {top: 3, samples: 2}", Experiments(40, reserved=6)),
        ("{hours: 24}\nconfirm: {}", Hours(24.0, reserved=3)),
        (
            "{any: [{cost: 2000}, {plateau: {experiments: 9}}]}\nconfirm: {samples: 2}",
            AnyOf([CostBudget(2000.0, reserved=200.0, following=2), Plateau(9)]),
        ),
        ("{experiments: 40}", Experiments(40)),
    ],
)
def test_the_search_leaves_what_confirms_the_best(load_text: Load, block: str, rule: object) -> None:
    definition = load_text(FILE.replace("{experiments: 40}", block))
    assert definition.file.search() == rule
    assert stored_rule(definition.resolved()) == rule


def test_a_plain_budget_is_stored_as_before(load_text: Load) -> None:
    assert load_text(FILE).resolved()["stop"] == {"experiments": 40}


def test_costs_and_samples(load_text: Load) -> None:
    file = load_text(FILE).file
    assert file.costs == Costs(40, 60, {"cation": 20}, unit="min")
    assert (file.strategy.conditions_per_sample, file.strategy.fixed_within_batch) == (3, ("potential",))
    assert load_text(FILE.replace("sample: 3", "sample: auto")).file.strategy.conditions_per_sample == "auto"


WRONG = [
    # stop
    (
        "{experiments: 40}",
        "{catalyst_mass: 40}",
        "12: stop.catalyst_mass: a mass of catalyst is to end the campaign, but nothing is known of the mass of a "
        "sample. Say it: `samples: {catalyst_mass: 0.5}`, in mg.",
    ),
    (
        "{experiments: 40}",
        "{any: [{hours: 4}, {catalyst_mass: 0.4}]}\nsamples: {catalyst_mass: 0.5}",
        "12: stop.any[1].catalyst_mass: 0.4 mg catalyst make not even one sample, which takes 0.5 mg. Raise it.",
    ),
    (
        "{experiments: 40}",
        "{catalyst_mass: 1.8}\nsamples: {catalyst_mass: 0.5}\nconfirm: {}",
        "12: stop.catalyst_mass: 1.8 mg catalyst, less 3 samples to confirm the best, make not even one sample, which "
        "takes 0.5 mg. Raise it.",
    ),
    ("{experiments: 40}", "{experiments: 40}\nsamples: {}", "13: samples: says nothing of samples. Give"),
    ("{experiments: 40}", "{experiments: 40}\nsamples: {catalyst_mass: 0}", "13: samples.catalyst_mass: must be above"),
    (
        "{experiments: 40}",
        "{cost: 290}\nconfirm: {}",
        "13: confirm: confirming the best takes 300 of 290 cost: nothing is left for the search. Raise the budget, or "
        "confirm less.",
    ),
    (
        "{experiments: 40}",
        "{cost: 390}\nconfirm: {}",
        "12: stop.cost: a cost of 390, less 300 to confirm the best, pays not even one experiment, which costs 100. Raise "
        "it.",
    ),
    ("{experiments: 40}", "{}", "12: stop: no rule says when the campaign is over. Give `experiments: 40`."),
    ("{experiments: 40}", "{hours: }", "12: stop.hours: is empty. Fill it in, or leave the key out."),
    ("{experiments: 40}", "{hours: 0}", "12: stop.hours: must be above 0.0, not 0."),
    ("{experiments: 40}", "{any: []}", "12: stop.any: needs at least 1."),
    (
        "{experiments: 40}",
        "{any: [{experiments: 60}, {all: [{plateau: {experiment: 15}}]}]}",
        "12: stop.any[1].all[0].plateau.experiment: unknown key 'experiment'; did you mean 'experiments'?",
    ),
    (
        "{experiments: 40}",
        "{experiments: 9, target: {at_last: 15}}",
        "12: stop.target.at_last: unknown key 'at_last'; did you mean 'at_least'?",
    ),
    (
        "{experiments: 40}",
        "{experiments: 9, target: {probability: 0.9}}",
        "12: stop.target.at_least: a target needs a bound. Give `at_least` or `at_most`.",
    ),
    (
        "{experiments: 40}",
        "{experiments: 9, target: {metric: fe_co, at_least: 0.9}}",
        "12: stop.target.metric: the target's metric 'fe_co' is that of no objective and no outcome constraint. Those are "
        "fe_c2h4.",
    ),
    (
        "{experiments: 40}",
        "{plateau: {experiments: 15}}",
        "12: stop: nothing is sure to end this campaign: no improvement in 15 experiments. Add `experiments`, `hours`, `cost` "
        "or `catalyst_mass` beside the other rules (with `all`, such a rule among its parts is not enough).",
    ),
    (
        "{experiments: 40}",
        "{all: [{experiments: 15}, {target: {at_least: 0.6}}]}",
        "12: stop: nothing is sure to end this campaign: 15 experiments and the objective of at least 0.6 with a "
        "probability of 0.95. Add `experiments`, `hours`, `cost` or `catalyst_mass` beside the other rules (with "
        "`all`, such a rule among its parts is not enough).",
    ),
    (
        "costs: {experiment: 40, preparation: 60, change: {cation: 20}, unit: min}",
        "stop: {cost: 3}",
        "9: stop.cost: a cost is to end the campaign, but nothing is known of costs. Say what an experiment costs: `costs: "
        "{experiment: 40, unit: min}`.",
    ),
    (
        "{experiments: 40}",
        "{cost: 99}",
        "12: stop.cost: a cost of 99 pays not even one experiment, which costs 100. Raise it.",
    ),
    (
        "{experiments: 40}",
        "{any: [{experiments: 9}, {target: {metric: fe_co, at_least: 0.9}}]}",
        "12: stop.any[1].target.metric: the target's metric 'fe_co' is that of no objective and no outcome constraint.",
    ),
    (
        "{experiments: 40}",
        "{experiments: 9, all: [{hours: 3}, {any: [{hours: 4}, {target: {metric: fe_co, at_least: 0.9}}]}]}",
        "12: stop.all[1].any[1].target.metric: the target's metric 'fe_co' is that of no objective",
    ),
    (
        "{experiments: 40}",
        "{any: [{experiments: 0}]}",
        "12: stop.any[0].experiments: a budget of 0 experiments learns nothing. Give at least 1.",
    ),
    (
        "{experiments: 40}",
        "{any: [{experiments: 9}, {cost: 99}]}",
        "12: stop.any[1].cost: a cost of 99 pays not even one experiment, which costs 100. Raise it.",
    ),
    # costs
    (
        "experiment: 40, preparation",
        "experiment: -4, preparation",
        "9: costs.experiment: the cost experiment is negative (-4).",
    ),
    ("experiment: 40, ", "experiments: 40, ", "9: costs.experiments: unknown key 'experiments'; did you mean"),
    (
        "cation: 20",
        "anion: 20",
        "9: costs.change.anion: a cost is given for a change of 'anion', which is no parameter.",
    ),
    # samples
    ("sample: 3", "sample: 0", "10: strategy.conditions_per_sample: must be "),
    ("sample: 3", "sample: many", "10: strategy.conditions_per_sample: must be 'auto' or a whole number, not 'many'."),
    (", stage: preparation", "", "10: strategy.conditions_per_sample: several conditions are to be measured on each"),
    ("[potential]", "[potentail]", "10: strategy.fixed_within_batch[0]: 'potentail' is no parameter of the space, nor"),
    ("[potential]", "[potential, x]", "10: strategy.fixed_within_batch[1]: 'x' fixes the sample"),
    ("sample: 3", "sample: 3, replicates: 2", "10: strategy.replicates: 2 replicates of each point do not go with"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[f"{new!r:.50}" for _, new, _ in WRONG])
def test_one_clear_message(load_text: Load, old: str, new: str, message: str) -> None:
    assert old in FILE
    text = FILE.replace("stop: {experiments: 40}\n", "") if new.startswith("stop") else FILE
    with pytest.raises(InputError) as caught:
        load_text(text.replace(old, new, 1))
    assert str(caught.value).startswith(f"campaign.yaml:{message}")


def test_a_replay_takes_no_time(load_text: Load) -> None:
    text = """\
name: test
space: {pool: t.csv, parameters: [a]}
objectives: [{metric: y}]
strategy: {name: random, replicates: auto}
lab: {type: replay, table: t.csv}
stop: {hours: 3}
"""
    with pytest.raises(InputError, match="Add `experiments`, `cost` or `catalyst_mass`"):
        load_text(text, t_csv="a,y\n1,2\n2,3\n")
    assert load_text(text.replace(", replicates: auto", ""), t_csv="a,y\n1,2\n2,3\n").space.size == 2


def test_the_schema_knows_nested_rules() -> None:
    schema = json_schema()
    block = schema["$defs"]["StopBlock"]["properties"]
    budgets = {"experiments", "hours", "cost", "catalyst_mass"}
    assert budgets | {"target", "expected_gain", "regret", "plateau", "any", "all"} == set(block)
    assert "$ref" in str(block["any"])
    assert "preparation" in schema["$defs"]["Costs"]["properties"]
