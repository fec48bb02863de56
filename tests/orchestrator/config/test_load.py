"""Campaign files that are wrong: one clear message each, with file, line and field."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import SpaceError
from orchestrator.config.definition import Definition
from orchestrator.config.load import load
from orchestrator.errors import InputError

Load = Callable[..., Definition]

WRONG = [
    # unknown and missing keys
    ("objectives:", "objectve:", "campaign.yaml:6: objectve: unknown key 'objectve'; did you mean 'objectives'?"),
    ("low: -1.5", "lwo: -1.5", "campaign.yaml:4: space.parameters[0].lwo: unknown key 'lwo'; did you mean 'low'?"),
    (
        "step: 0.01",
        "max_component: 1",
        "campaign.yaml:5: space.parameters[1].max_component: unknown key 'max_component'; did you mean "
        "'max_components'?",
    ),
    ("goal: maximize", "gaol: maximize",
     "campaign.yaml:7: objectives[0].gaol: unknown key 'gaol'; did you mean 'goal'?"),
    ("type: bench", "type: bench, cels: 2", "campaign.yaml:8: lab.cels: unknown key 'cels'; did you mean 'cells'?"),
    (
        "experiments: 40",
        "hous: 3",
        "campaign.yaml:9: stop.hous: unknown key 'hous'; did you mean 'hours'?",
    ),
    (
        "objectives:",
        "constraint: []\nobjectives:",
        "campaign.yaml:6: constraint: unknown key 'constraint'; did you mean 'outcome_constraints'?",
    ),
    ("stop: {experiments: 40}", "", "campaign.yaml:1: stop: the key 'stop' is missing."),
    ("type: continuous, ", "", "campaign.yaml:4: space.parameters[0]: the key 'type' is missing."),
    ("stop:", "confirm: {top: 14, samples: 3}\nstop:",
     "campaign.yaml:9: confirm: confirming the best takes 42 of 40 experiments: nothing is left for the search. Raise "
     "the budget, or confirm less."),
    ("stop:", "confirm: {top: 0}\nstop:", "campaign.yaml:9: confirm.top: must be at least 1, not 0."),
    ("stop:", "confirm: {samples: 1}\nstop:", "campaign.yaml:9: confirm.samples: must be at least 2, not 1."),
    ("stop:", "confirm: 3\nstop:", "campaign.yaml:9: confirm: must be a block of keys, not 3."),
    ("stop:", "controls: [{kind: leak_test, every_hours: 8}]\nstop:",
     "campaign.yaml:9: controls: a laboratory of type 'bench' has no controls. Leave them out."),
    # the search space
    ("low: -1.5, high: -0.5", "low: 1, high: 0",
     "campaign.yaml:4: space.parameters[0].low: parameter 'potential': low (1) is not below high (0). Exchange the "
     "bounds."),
    ("step: 0.01", "bounds: {Cu: [0, 0.3], Ag: [0, 0.3]}",
     "campaign.yaml:5: space.parameters[1].bounds: composition 'x': bounds cannot sum to 1 (lower bounds sum to 0, the "
     "highest possible sum is 0.6)."),
    ("step: 0.01", "step: 0.3",
     "campaign.yaml:5: space.parameters[1].step: composition 'x': a step of 0.3 does not divide 1."),
    ("type: continuous", "type: continous",
     "campaign.yaml:4: space.parameters[0].type: must be continuous or integer or discrete or categorical or "
     "composition, not 'continous'. Did you mean 'continuous'?"),
    ("low: -1.5", "low: deep", "campaign.yaml:4: space.parameters[0].low: must be a number, not 'deep'."),
    ("low: -1.5", "low: ", "campaign.yaml:4: space.parameters[0].low: is empty. Fill it in, or leave the key out."),
    ("low: -1.5", "low: .inf", "campaign.yaml:4: space.parameters[0].low: must be a finite number, not inf."),
    ("low: -1.5", "low: true",
     "campaign.yaml:4: space.parameters[0].low: true is a truth value, neither a number nor a name. Put it in quotes "
     "if it is a name."),
    ("[Cu, Ag]", "[Cu, 1]",
     "campaign.yaml:5: space.parameters[1].components[1]: must be text, not 1. Put it in quotes."),
    ("step: 0.01", "bounds: {Cu: [0, 0.3, 1]}",
     "campaign.yaml:5: space.parameters[1].bounds.Cu: has more than 2 entries."),
    ("step: 0.01", "bounds: {1: [0, 1]}",
     "campaign.yaml:5: space.parameters[1].bounds[1]: the key 1 must be text. Put it in quotes."),
    ("type: continuous", "type: [continuous]",
     "campaign.yaml:4: space.parameters[0].type: must be continuous or integer or discrete or categorical or "
     "composition, not a list of 1."),
    ("[Cu, Ag]", "[Cu, [Ag]]", "campaign.yaml:5: space.parameters[1].components[1]: must be text, not a list of 1."),
    ("step: 0.01", "stage: prep",
     "campaign.yaml:5: space.parameters[1].stage: must be preparation or condition, not 'prep'."),
    ("name: potential", "name: x_Cu",
     "campaign.yaml:3: space.parameters: two columns have the name 'x_Cu'. Rename one of them."),
    ("objectives:", "  constraints:\n    - {coefficients: {x_Ag: 1}}\nobjectives:",
     "campaign.yaml:7: space.constraints[0].lower: a linear constraint needs a bound. Give `lower`, `upper` or both."),
    # objectives and metrics
    ("{metric: fe_c2h4, goal: maximize}", "{metric: fe_c2h5}",
     "campaign.yaml:7: objectives[0].metric: unknown metric 'fe_c2h5'; did you mean 'fe_c2h4'? Known: fe_co, fe_c2h4, "
     "fe_h2, j_total."),
    ("goal: maximize", "goal: maximise",
     "campaign.yaml:7: objectives[0].goal: must be maximize or minimize or target, not 'maximise'. Did you mean "
     "'maximize'?"),
    ("goal: maximize", "goal: target, target: high",
     "campaign.yaml:7: objectives[0].target: must be a number or a list of 2, not 'high'."),
    ("goal: maximize", "goal: target, target: [0.1, b]",
     "campaign.yaml:7: objectives[0].target[1]: must be a number, not 'b'."),
    ("  - {metric: fe_c2h4, goal: maximize}", "  - {metric: fe_co}\n  - {metric: fe_co}",
     "campaign.yaml:8: objectives[1].metric: metric 'fe_co' is there twice. Keep one of the two."),
    ("\n  - {metric: fe_c2h4, goal: maximize}", " []", "campaign.yaml:6: objectives: needs at least 1."),
    ("lab:", "outcome_constraints: [{metric: fe_h3, upper: 0.3}]\nlab:",
     "campaign.yaml:8: outcome_constraints[0].metric: unknown metric 'fe_h3'; did you mean 'fe_h2'? Known: fe_co, "
     "fe_c2h4, fe_h2, j_total."),
    ("lab:", "metrics: [x_Cu]\nlab:",
     "campaign.yaml:8: metrics[0]: 'x_Cu' is a parameter of the search space, so it cannot be a metric too. Name a "
     "result."),
    # strategy
    ("lab:", "strategy: {name: random, inital: 3}\nlab:",
     "campaign.yaml:8: strategy.inital: unknown key 'inital'; did you mean 'initial'?"),
    ("lab:", "strategy: {initial: 0}\nlab:", "campaign.yaml:8: strategy.initial: must be at least 1, not 0."),
    ("lab:", "strategy: {replicates: some}\nlab:",
     "campaign.yaml:8: strategy.replicates: must be 'none' or 'auto' or a whole number, not 'some'."),
    ("lab:", "strategy: {name: random, options: {colour: red}}\nlab:",
     "campaign.yaml:8: strategy.options: strategy 'random' has no option 'colour'. It takes none."),
    ("lab:", "strategy: level_set\nlab:",
     "campaign.yaml:8: strategy: strategy 'level_set' needs the option 'level'. Give it under `options`."),
    ("lab:", "strategy: {name: upper_confidence, options: {beta: -1}}\nlab:",
     "campaign.yaml:8: strategy.options.beta: beta must be a number, 0 or more."),
    ("lab:", "strategy: {options: {model: {inferense: map}}}\nlab:",
     "campaign.yaml:8: strategy.options.model.inferense: 'inferense' is no option of a model. "
     "Use encoding, kernel, inference, outliers, noise, drift, samples."),
    ("lab:", "strategy: {options: {model: {drift: 1}}}\nlab:",
     "campaign.yaml:8: strategy.options.model.drift: drift 1 is not known. Use true, false or auto."),
    ("lab:", "strategy: {options: {model: {encoding: plain}}}\nlab:",
     "campaign.yaml:8: strategy.options.model.encoding: this space has no encoding 'plain'. "
     "Use auto, fractions, roots, descriptors, roots+descriptors."),
    ("lab:", "strategy: {name: saas, options: {model: {kernel: matern}}}\nlab:",
     "campaign.yaml:8: strategy.options.model.kernel: this strategy has the kernel 'saas', not 'matern'. "
     "Leave it out, or use auto."),
    ("lab:", "strategy: {name: trust_region, options: {length: long}}\nlab:",
     "campaign.yaml:8: strategy.options.length: length must be a number, not 'long'."),
    ("lab:", "strategy: {name: trust_region, options: {successes: 2.5}}\nlab:",
     "campaign.yaml:8: strategy.options.successes: successes must be a whole number, 1 or more, not 2.5."),
    ("lab:", "strategy: {name: explore, options: {metrics: 3}}\nlab:",
     "campaign.yaml:8: strategy.options.metrics: metrics must be a list of names."),
    ("lab:", "strategy: hypervolume\nlab:",
     "campaign.yaml:8: strategy.name: hypervolume needs two objectives or more. "
     "Use expected_improvement (or auto) for one."),
    ("lab:", "strategy: {conditions_per_sample: 3}\nlab:",
     "campaign.yaml:8: strategy.conditions_per_sample: several conditions are to be measured on each sample, but no "
     "parameter fixes a sample. Give the parameters of the sample the stage `preparation`."),
    # the laboratory
    ("type: bench", "type: rig, file: rig.yaml",
     "campaign.yaml:8: lab.file: rig.yaml cannot be read: No such file or directory. Check its path."),
    ("type: bench", "type: bensh",
     "campaign.yaml:8: lab.type: no laboratory of type 'bensh' is installed; known: bench, manual, replay, rig, simulated. Did you "
     "mean 'bench'?"),
    ("type: bench", "typ: bench",
     "campaign.yaml:8: lab: the laboratory's `type` is missing. Installed: bench, manual, replay, rig, simulated."),
    ("type: bench", "type: bench, cells: many", "campaign.yaml:8: lab.cells: must be a whole number, not 'many'."),
    ("type: bench", "type: bench, coldest: -300", "campaign.yaml:8: lab.coldest: colder than cold. Raise it."),
    ("name: potential", "name: forbidden", "campaign.yaml:3: space.parameters: this bench knows no 'forbidden'."),
    ("{type: bench}", "bench", "campaign.yaml:8: lab: must be a block of keys, not 'bench'."),
    ("name: potential, low: -1.5, high: -0.5", "name: temperature, low: -200, high: -150",
     "campaign.yaml:3: space.parameters: the laboratory cannot execute this space: the thermostat does not reach that "
     "temperature. Heat more."),
    ("name: potential, low: -1.5, high: -0.5", "name: temperature, low: -100.01, high: 1000",
     "campaign.yaml:3: space.parameters: the laboratory cannot execute this space: the thermostat does not reach that "
     "temperature. Heat more."),
    # the rest
    ("experiments: 40", "experiments: 0",
     "campaign.yaml:9: stop.experiments: a budget of 0 experiments learns nothing. Give at least 1."),
    ("experiments: 40", "experiments: 4.5", "campaign.yaml:9: stop.experiments: must be a whole number, not 4.5."),
    ("experiments: 40", "experiments: true", "campaign.yaml:9: stop.experiments: must be a whole number, not true."),
    ("{experiments: 40}", "40", "campaign.yaml:9: stop: must be a block of keys, not 40."),
    ("name: test", "name: a/b",
     "campaign.yaml:1: name: 'a/b' cannot name a campaign: the name becomes a part of file names and addresses. Use at "
     "most 100 letters, digits and . _ - , with a letter or digit first."),
    ("name: test", "name: 12", "campaign.yaml:1: name: must be text, not 12. Put it in quotes."),
    ("name: test", "name: test\nseed: -1", "campaign.yaml:2: seed: must be at least 0, not -1."),
    ("name: test", "name: test\nversion: 2", "campaign.yaml:2: version: must be 1, not 2."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[f"{new!r:.40}" for _, new, _ in WRONG])
def test_one_clear_message(load_text: Load, campaign: str, old: str, new: str, message: str) -> None:
    assert old in campaign
    with pytest.raises(InputError) as caught:
        load_text(campaign.replace(old, new, 1))
    assert str(caught.value) == message
    assert caught.value.file == "campaign.yaml"


def test_an_unknown_strategy(load_text: Load, campaign: str) -> None:
    with pytest.raises(InputError) as caught:
        load_text(campaign.replace("lab:", "strategy: atuo\nlab:"))
    assert str(caught.value).startswith(
        "campaign.yaml:8: strategy: unknown strategy 'atuo'; did you mean 'auto'? Known: "
    )


@pytest.mark.parametrize(
    ("constraint", "place", "what"),
    [
        ("{type: linear, coefficients: {x_Cu: 1}, lower: 1.2}", "6: space.constraints", "leaves no point"),
        (
            "{type: linear, coefficients: {x_Ag: 1, x_Zn: 1}, lower: 0.2}",
            "7: space.constraints[0].coefficients",
            "there is no column 'x_Zn'",
        ),
    ],
)
def test_constraints_that_cannot_be_met(load_text: Load, campaign: str, constraint: str, place: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        load_text(campaign.replace("objectives:", f"  constraints:\n    - {constraint}\nobjectives:"))
    assert str(caught.value).startswith(f"campaign.yaml:{place}: ")
    assert what in str(caught.value)


def test_the_first_five_problems_are_reported(load_text: Load, campaign: str) -> None:
    text = campaign.replace("goal: maximize", "a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7")
    with pytest.raises(InputError) as caught:
        load_text(text)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("campaign.yaml:7: objectives[0].a: unknown key 'a'. Known here: metric, goal,")
    assert lines[-1] == "... and 2 more."


@pytest.mark.parametrize("name", ["a.", "-a", "..", "con", "NUL.txt", "a" * 101, "a b", "", "ä"])
def test_names_that_are_no_file_names(load_text: Load, campaign: str, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a campaign"):
        load_text(campaign.replace("name: test", f"name: '{name}'"))


def test_a_list_is_no_campaign(load_text: Load) -> None:
    with pytest.raises(InputError, match=r"^campaign\.yaml:1: a campaign file is a block of keys"):
        load_text("- name: a\n")


def test_a_campaign_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the file .*nothing\.yaml does not exist\.$"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match=r"is a folder, not a file|cannot be read"):
        load(tmp_path)


def test_a_laboratory_whose_module_is_missing(
    load_text: Load, campaign: str, install: Callable[[str, str, str], None]
) -> None:
    install("sabatier_test_broken", "", "[sabatier.labs]\nbroken = sabatier_test_missing:Options\n")
    with pytest.raises(InputError) as caught:
        load_text(campaign.replace("type: bench", "type: broken"))
    assert str(caught.value) == (
        "campaign.yaml:8: lab.type: the laboratory 'broken' (sabatier_test_missing:Options) cannot be loaded: No "
        "module named 'sabatier_test_missing'. Install again the package that brings it."
    )


RULES = """
def crowd(frame):
    return frame["x_Cu"] * frame["x_Ag"]


def clumsy(frame):
    return frame["x_Zn"]
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the campaign file, which no other test sees."""
    (tmp_path / "rules_of_the_house.py").write_text(RULES)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "rules_of_the_house", raising=False)


@pytest.mark.usefixtures("rules")
def test_non_linear_constraints(load_text: Load, campaign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    constraints = (
        "  constraints:\n"
        "    - {type: nonlinear, function: 'rules_of_the_house:crowd', upper: 0.2, columns: [x_Cu, x_Ag]}\n"
        '    - {type: expression, expression: "x_Cu * potential ** 2", upper: 1.0, name: load}\n'
    )
    definition = load_text(campaign.replace("objectives:", f"{constraints}objectives:"))
    x = definition.space.sample(100, np.random.default_rng(0))
    assert (x[:, 1] * x[:, 2]).max() <= 0.2
    assert (x[:, 1] * x[:, 0] ** 2).max() <= 1.0
    stored = definition.resolved()
    assert stored["space"]["constraints"][0]["function"] == "rules_of_the_house:crowd"
    again = Definition.from_resolved(stored, definition.blobs().__getitem__)
    assert again.hash == definition.hash
    # a campaign that is resumed elsewhere needs the module
    monkeypatch.delitem(sys.modules, "rules_of_the_house")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not (Path(p) / "rules_of_the_house.py").exists()])
    monkeypatch.chdir("/")
    with pytest.raises(SpaceError, match="rules_of_the_house:crowd cannot be imported: ModuleNotFoundError"):
        Definition.from_resolved(stored, definition.blobs().__getitem__)


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ("{type: nonlinear, function: 'rules_of_the_hause:crowd', upper: 1}",
         "space.constraints[0].function: the function rules_of_the_hause:crowd cannot be imported: ModuleNotFoundError"),
        ("{type: nonlinear, function: 'rules_of_the_house:clumsy', upper: 1}",
         "space.constraints[0]: the constraint 'rules_of_the_house:clumsy': it fails with KeyError: 'x_Zn' at"),
        ("{type: nonlinear, function: crowd, upper: 1}",
         "space.constraints[0].function: 'crowd' is neither a function nor the import path of one."),
        ("{type: expression, expression: 'x_Cu.real', upper: 1}",
         "space.constraints[0].expression: the expression 'x_Cu.real': 'x_Cu.real' is no arithmetic."),
        ("{type: expression, expression: 'x_Cu * x_Zn', upper: 1}",
         "space.constraints[0].expression: constraint 'x_Cu * x_Zn <= 1': there is no column 'x_Zn'."),
        ("{type: expression, expression: 'x_Cu * x_Ag', lower: 0.3}",
         "space.constraints: of "),
        ("{type: expression, expression: 'x_Cu * x_Ag', lower: true}",
         "space.constraints[0].lower: true is a truth value"),
        ("{type: lineal, coefficients: {x_Cu: 1}}", "space.constraints[0].type: "),
    ],
)  # fmt: skip
def test_non_linear_constraints_that_cannot_be(load_text: Load, campaign: str, constraint: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_text(campaign.replace("objectives:", f"  constraints:\n    - {constraint}\nobjectives:"))
    assert str(caught.value).startswith(f"campaign.yaml:{6 if message.endswith('of ') else 7}: {message}")
    assert "\n" not in str(caught.value)


def test_descriptors_and_least_fractions_of_compositions(load_text: Load, campaign: str) -> None:
    options = "components: [Cu, Ag, Zn], min_present: 0.05, descriptors: elements"
    definition = load_text(campaign.replace("components: [Cu, Ag]", options))
    assert any(name.startswith("x.mean(") for name in definition.space.encoding.names)
    x = definition.space.sample(500, np.random.default_rng(0))[:, 1:]
    assert ((x == 0) | (x > 0.0499)).all()
    table = "components: [Cu, Ag], min_present: {Cu: 0.1}, descriptors: {radius: {Cu: 1.28, Ag: 1.44}}"
    for other in (options, table, "components: [Cu, Ag], descriptors: [density, group]"):
        definition = load_text(campaign.replace("components: [Cu, Ag]", other))
        again = Definition.from_resolved(definition.resolved(), definition.blobs().__getitem__)
        assert again.space.parameters == definition.space.parameters
        assert again.space.encoding.names == definition.space.encoding.names
        assert again.hash == definition.hash
    with pytest.raises(InputError, match=r"campaign.yaml:5: space.parameters\[1\].descriptors: .*'Xx' is no symbol"):
        load_text(campaign.replace("components: [Cu, Ag]", "components: [Cu, Xx], descriptors: elements"))
