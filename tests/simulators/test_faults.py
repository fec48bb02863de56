from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from instruments import Job, LabError, Outcome
from simulators import SimulatedOptions, chemistry
from simulators.faults import FAULTS

RUNS = 12


def outcomes(name: str, context: Any, runs: int = RUNS, **options: Any) -> list[Outcome]:
    virtual = chemistry(name)
    lab = SimulatedOptions(name, signals="raw", **options).build(virtual.columns, {})
    job = Job("c", 1, virtual.optimum(virtual.definition.target)["parameters"])
    return [lab.execute(job, context(seed=seed, sample=f"s{seed}")) for seed in range(runs)]


def verdicts(found: list[Outcome]) -> list[str]:
    return [outcome.observation.verdict.name for outcome in found if outcome.observation]


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_is_found(fault: str, context: Any) -> None:
    spec = FAULTS[fault]
    name = "cu_alloys" if "h_cell" in spec.kinds else "gde_alloys"
    found = verdicts(outcomes(name, context, faults={fault: 1.0}))
    good_enough = {"invalid"} if spec.verdict == "invalid" else {"invalid", "suspect"}
    assert len(found) == RUNS
    assert sum(verdict in good_enough for verdict in found) >= RUNS - 1


@pytest.mark.parametrize("name", ["cu_alloys", "gde_alloys"])
def test_all_faults_at_once_still_get_their_verdict(name: str, context: Any) -> None:
    kind = chemistry(name).definition.cell
    every = {fault: 1.0 for fault, spec in FAULTS.items() if kind in spec.kinds}
    assert verdicts(outcomes(name, context, runs=3, faults=every)) == ["invalid"] * 3


@pytest.mark.parametrize("name", ["cu_alloys", "gde_alloys", "tandem"])
def test_healthy_runs_are_left_alone(name: str, context: Any) -> None:
    found = verdicts(outcomes(name, context, runs=60))
    assert found.count("invalid") == 0
    assert found.count("suspect") <= 3


def test_faults_come_with_their_probability_and_are_in_the_hidden_truth_alone(context: Any) -> None:
    virtual = chemistry("cu_alloys")
    lab = SimulatedOptions("cu_alloys", signals="raw", faults={"leak": 0.3, "spikes": 0.1}).build(virtual.columns, {})
    job = Job("c", 1, virtual.optimum("fe_c2h4")["parameters"])
    truths = [lab.reveal(job, context(seed=seed)).faults for seed in range(400)]
    assert np.mean(["leak" in faults for faults in truths]) == pytest.approx(0.3, abs=0.07)
    assert np.mean(["spikes" in faults for faults in truths]) == pytest.approx(0.1, abs=0.05)
    seed = next(i for i, faults in enumerate(truths) if "leak" in faults)
    outcome = lab.execute(job, context(seed=seed))
    assert outcome.measurement is not None
    assert "leak" not in str(outcome.measurement.metadata).replace("'leak'", "")  # but for the check of that name


def test_thresholds_of_a_campaign_file_decide(context: Any) -> None:
    strict = outcomes("cu_alloys", context, quality={"closure": {"suspect": [0.999, 1.001]}})
    assert verdicts(strict).count("suspect") >= RUNS - 2
    lax = outcomes("cu_alloys", context, faults={"overload": 1.0}, quality={"overload": "off"})
    assert verdicts(lax).count("invalid") == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"signals": "raw", "faults": {"leek": 0.1}}, "Did you mean 'leak'"),
        ({"signals": "raw", "faults": {"leak": 1.1}}, "no probability"),
        ({"signals": "raw", "faults": {"flooding": 0.1}}, "cannot have the fault"),
        ({"faults": {"leak": 0.1}}, "signals: raw"),
        ({"quality": {"closure": "off"}}, "signals: raw"),
        ({"signals": "raw", "quality": {"closur": "off"}}, "closur"),
        ({"signals": "raw", "quality": {"closure": {"suspect": [1.2, 0.8]}}}, "closure"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        SimulatedOptions("cu_alloys", **options)
