from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest

from instruments import METRICS, ExecutionCancelled, Job, Lab, LabError, LabOptions, Measurement, Outcome
from instruments.lab import Reducing
from simulators import CHEMISTRIES, SimulatedLab, SimulatedOptions, chemistry
from simulators.variability import Offsets

COLUMNS = ("x_Cu", "x_Ag", "potential", "cation")
POINT: dict[str, Any] = {"x_Cu": 0.9, "x_Ag": 0.1, "potential": -1.0, "cation": "K"}


def build(columns: tuple[str, ...] = COLUMNS, **options: Any) -> SimulatedLab:
    return SimulatedOptions("cu_alloys", **options).build(columns, {})


def run(lab: SimulatedLab, context: Any, point: dict[str, Any] | None = None, **others: Any) -> Outcome:
    return lab.execute(Job("campaign", 1, point or POINT), context(**others))


def values(outcome: Outcome) -> dict[str, float]:
    assert outcome.observation is not None
    return {name: figure.value for name, figure in outcome.observation.figures.items()}


def sems(outcome: Outcome) -> dict[str, float]:
    assert outcome.observation is not None
    return {name: float(figure.sem or 0.0) for name, figure in outcome.observation.figures.items()}


def test_it_is_a_laboratory_with_options(context: Any) -> None:
    options = SimulatedOptions("cu_alloys", cells=2)
    assert isinstance(options, LabOptions)
    assert options.tables() == {}
    lab = options.build(COLUMNS, {})
    assert isinstance(lab, Lab)
    assert lab.cells == ("cell-1", "cell-2")
    assert lab.repeat_is_safe
    assert set(lab.metrics) <= set(METRICS)
    outcome = run(lab, context)
    assert outcome.observation is not None
    assert outcome.observation.verdict.name == "valid"
    assert set(outcome.observation.figures) == set(lab.metrics)
    assert 80 * 60 <= outcome.duration <= 145 * 60
    lab.make_safe()


def test_without_noise_it_tells_the_truth(context: Any) -> None:
    lab = build(noise=0.0)
    truth = chemistry("cu_alloys").truth(pd.DataFrame([POINT])).iloc[0]
    outcome = run(lab, context, seed=11, sample="any")
    assert values(outcome) == pytest.approx(truth.to_dict(), rel=1e-9)
    assert set(sems(outcome).values()) == {0.0}


@pytest.mark.parametrize("world", ["nominal", "shifted", "null"])
def test_outcomes_depend_on_seed_and_sample_alone(world: str, context: Any) -> None:
    lab = build(world=world)
    jobs = [(seed, f"s{seed % 3}") for seed in range(12)]
    first = [values(run(lab, context, seed=seed, sample=sample)) for seed, sample in jobs]
    again = build(world=world)
    with ThreadPoolExecutor(3) as pool:
        second = list(pool.map(lambda each: values(run(again, context, seed=each[0], sample=each[1])), jobs[::-1]))
    assert first == second[::-1]
    assert first[0] != first[3]
    assert first[0] != first[1]


def test_laboratories_differ_by_their_seed(context: Any) -> None:
    assert values(run(build(seed=0), context)) != values(run(build(seed=1), context))


FIGURES_WITH_ANALYSES = (
    "fe_h2", "fe_co", "fe_hcoo", "fe_ch4", "fe_c2h4", "fe_c2h5oh", "fe_c2plus", "fe_total", "j_c2h4", "ee_c2h4", "e_rhe"
)  # fmt: skip


@pytest.mark.parametrize("signals", ["figures", "raw"])
@pytest.mark.parametrize("bias", [pytest.param(0.0, marks=pytest.mark.soak), 1.0])
def test_figures_scatter_about_what_truly_happened_as_their_uncertainties_say(
    signals: str, bias: float, context: Any
) -> None:
    pulls = []
    for seed in range(250):  # a laboratory, a campaign, an electrode and a run of its own each time
        lab = build(signals=signals, bias=bias, seed=seed)
        job, where = Job(f"campaign-{seed}", 1, POINT), context(seed=seed, sample=f"e{seed}")
        figures = lab.execute(job, where).observation.figures  # type: ignore[union-attr]
        truth = lab.reveal(job, where).figures
        pulls.append({k: (figures[k].value - truth[k]) / (figures[k].sem or np.nan) for k in FIGURES_WITH_ANALYSES})
    table = pd.DataFrame(pulls)
    for name in FIGURES_WITH_ANALYSES:
        assert table[name].mean() == pytest.approx(0.0, abs=0.2), name
        assert table[name].std() == pytest.approx(1.0, abs=0.15), name
    assert (table.abs() < 1.96).to_numpy().mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("scatter", ["typical", "ocx24"])
def test_raw_signals_are_kept_first_and_give_the_same_again_from_their_files(scatter: str, context: Any) -> None:
    lab, kept = build(signals="raw", scatter=scatter), []

    class Kept(context):  # type: ignore[misc]
        def keep(self, measurement: Measurement) -> None:
            kept.append(measurement)

    job = Job("c", 1, POINT)
    outcome = lab.execute(job, Kept(seed=3))
    assert isinstance(lab, Reducing)
    assert kept == [outcome.measurement]
    signals = {name: pd.read_parquet(io.BytesIO(frame.to_parquet())) for name, frame in kept[0].signals.items()}
    again = lab.reduce(Measurement(signals, json.loads(json.dumps(kept[0].metadata))), job, "e1")
    assert again.observation == outcome.observation
    assert bool(again.observation and again.observation.measured) == (scatter == "ocx24")


def test_both_ways_to_figures_agree(context: Any) -> None:
    for name in sorted(CHEMISTRIES):
        virtual = chemistry(name)
        job = Job("c", 1, virtual.optimum(virtual.definition.target)["parameters"])
        for noise in (0.0, 1.0):
            ways = [SimulatedOptions(name, signals=way, noise=noise) for way in ("figures", "raw")]
            fast, raw = (
                each.build(virtual.columns, {}).execute(job, context(seed=5)).observation for each in ways
            )  # fmt: skip
            assert fast is not None
            assert raw is not None
            assert set(fast.figures) <= set(raw.figures)
            for key, figure in fast.figures.items():
                # the traces have noise of their own; it is small beside the other uncertainties
                allowed = 1e-6 * abs(figure.value) + 1e-12 if noise == 0.0 else 0.6 * (figure.sem or 2e-4)
                assert raw.figures[key].censored == figure.censored, (name, key)
                assert raw.figures[key].value == pytest.approx(figure.value, abs=allowed), (name, key)
                if noise and figure.sem:
                    assert raw.figures[key].sem == pytest.approx(figure.sem, rel=0.02), (name, key)


def test_electrodes_scatter_more_than_repeats(context: Any) -> None:
    lab = build()
    electrodes = pd.DataFrame([values(run(lab, context, seed=seed, sample=f"e{seed}")) for seed in range(150)])
    truth = chemistry("cu_alloys").truth(pd.DataFrame([POINT])).iloc[0]
    for name in ("fe_c2h4", "fe_co", "j_total"):
        relative = electrodes[name].std() / truth[name]
        assert 0.04 < relative < 0.3, name
        assert electrodes[name].mean() == pytest.approx(truth[name], rel=0.06)
    assert electrodes["fe_total"].std() < 0.03


def test_noise_is_in_the_signals_and_grows_where_they_are_small(context: Any) -> None:
    lab = build(("x_Sn", "potential"))
    strong, weak = (run(lab, context, {"x_Sn": 1.0, "potential": potential}) for potential in (-1.1, -0.6))
    assert sems(weak)["fe_h2"] > 10 * sems(strong)["fe_h2"]
    assert values(weak)["fe_total"] != pytest.approx(1.0, abs=1e-6)
    assert all(np.isfinite(value) for value in values(weak).values())
    noisy = [values(run(lab, context, {"x_Sn": 1.0, "potential": -0.6}, seed=seed))["j_total"] for seed in range(30)]
    assert min(noisy) > 0


def test_a_cancelled_context_ends_it(context: Any) -> None:
    waiting = context()
    waiting.cancelled.set()
    with pytest.raises(ExecutionCancelled):
        build().execute(Job("campaign", 1, POINT), waiting)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cation": "Rn"}, "cation is 'Rn'"),
        ({"potential": -2.5}, "within -2 and -0.2"),
        ({"potential": float("nan")}, "no setting"),
        ({"x_Ag": 0.3}, "sum to 1.2"),
        ({"x_Pt": 0.1}, "no parameter"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], words: str, context: Any) -> None:
    lab = build()
    with pytest.raises(LabError, match=words):
        lab.check(POINT | change)
    with pytest.raises(LabError, match=words):
        run(lab, context, POINT | change)


def test_numpy_numbers_are_numbers() -> None:
    lab = build(("x_Cu", "x_Ag", "potential"))
    lab.check({"x_Cu": np.int64(1), "x_Ag": np.float32(0.0), "potential": np.float64(-1.0)})  # type: ignore[dict-item]


def test_missing_settings_are_refused() -> None:
    with pytest.raises(LabError, match="'cation' is missing"):
        build().check({name: value for name, value in POINT.items() if name != "cation"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chemistry": "cu_aloys"}, "Did you mean 'cu_alloys'"),
        ({"chemistry": "cu_alloys", "world": "nomimal"}, "world"),
        ({"chemistry": "cu_alloys", "cells": 0}, "cells"),
        ({"chemistry": "cu_alloys", "noise": -1.0}, "noise"),
        ({"chemistry": "cu_alloys", "cell": 2}, "cell"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        SimulatedOptions(**options)


def test_wrong_parameters_are_refused_when_built() -> None:
    with pytest.raises(LabError, match="Did you mean 'potential'") as caught:
        build(("x_Cu", "potentail"))
    assert caught.value.field == "potentail"


def test_options_and_package_load_without_the_heavy_libraries() -> None:
    program = (
        "import sys, simulators, simulators.replay, simulators.simulated;"
        "simulators.SimulatedOptions('cu_alloys'); simulators.ReplayOptions('t.csv');"
        "print(','.join(m for m in ('torch', 'pandas', 'scipy', 'prefect') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == ""
    assert done.returncode == 0


def test_real_time_passes_and_can_be_cut_short(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = build(speed="real")
    assert not lab.virtual_time
    waiting = context()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lab.execute, Job("campaign", 1, POINT), waiting)
        with pytest.raises(TimeoutError):
            running.result(timeout=0.5)
        waiting.cancelled.set()
        with pytest.raises(ExecutionCancelled):
            running.result(timeout=5.0)
    monkeypatch.setattr("simulators.simulated.SPEEDS", {"60x": 5e4})
    began = time.monotonic()
    outcome = run(build(speed="60x"), context)
    assert time.monotonic() - began >= outcome.duration > 0.05
    assert values(outcome) == values(run(build(), context))


def test_coarse_syntheses_are_analysed(context: Any) -> None:
    lab = build(scatter="ocx24")
    outcomes = [run(lab, context, {**POINT, "x_Cu": 0.5, "x_Ag": 0.5}, seed=i, sample=f"e{i}") for i in range(300)]
    seen = np.array([o.observation.measured["x_Cu"] for o in outcomes])  # type: ignore[union-attr]
    assert np.median(np.abs(seen - 0.5)) == pytest.approx(0.055, abs=0.012)
    first = outcomes[0].observation
    assert first is not None
    assert sum(first.measured.values()) == pytest.approx(1.0)
    assert first.measured_sem["x_Cu"] == pytest.approx(0.01)
    truth = lab.reveal(Job("campaign", 1, {**POINT, "x_Cu": 0.5, "x_Ag": 0.5}), context(seed=0, sample="e0"))
    assert truth.fractions["Cu"] == pytest.approx(first.measured["x_Cu"], abs=0.04)
    assert not run(build(), context).observation.measured  # type: ignore[union-attr]


def test_a_biased_laboratory_is_off_and_knows_that_it_may_be(context: Any) -> None:
    truth = chemistry("cu_alloys").truth(pd.DataFrame([POINT])).iloc[0]
    means = []
    for seed in range(40):
        lab = build(seed=seed, bias=1.0, noise=0.0)
        outcome = run(lab, context)
        means.append(values(outcome)["fe_c2h4"] - truth["fe_c2h4"])
        assert sems(outcome)["fe_c2h4"] > 0.02 * truth["fe_c2h4"]
    assert 0.01 < np.std(means) < 0.1


def test_failures_have_causes_and_take_their_time(context: Any) -> None:
    virtual = chemistry("gde_alloys")
    lab = SimulatedOptions("gde_alloys", failures=True).build(virtual.columns, {})
    point = {**dict.fromkeys(virtual.columns, 0.0), "x_Cu": 0.6, "x_Sn": 0.4, "current_density": 400.0}
    outcomes = [lab.execute(Job("c", 1, point), context(seed=i, sample=f"e{i}")) for i in range(200)]
    failed = [o for o in outcomes if o.failure]
    assert 10 < len(failed) < 190
    assert {o.failure.cause for o in failed if o.failure} >= {"material", "equipment"}
    assert all(0.0 < o.duration <= 160 * 60 for o in outcomes)
    assert any(o.duration < 20 * 60 for o in failed)
    again = [lab.execute(Job("c", 1, point), context(seed=i, sample=f"e{i}")) for i in range(0, 200, 20)]
    assert again == outcomes[::20]


@pytest.mark.parametrize("name", ["cu_alloys", "gde_alloys", "gde_conditions"])
def test_drift_moves_what_is_measured(name: str, context: Any) -> None:
    virtual = chemistry(name)
    job = Job("c", 1, virtual.optimum(virtual.definition.target)["parameters"])
    steady, aged = (
        SimulatedOptions(name, drift=drift, noise=0.0).build(virtual.columns, {}).execute(job, context(seed=2))
        for drift in (False, True)
    )
    assert values(aged)["fe_c2h4"] != pytest.approx(values(steady)["fe_c2h4"], rel=1e-4)
    assert values(aged)["fe_c2h4"] == pytest.approx(values(steady)["fe_c2h4"], rel=0.2)
    assert 0.97 < values(aged)["fe_total"] < 1.001  # alcohols are stripped, anions cross the membrane


@pytest.mark.parametrize(("metal", "potential"), [("Fe", -1.1), ("Fe", -1.5), ("Pd", -1.5)])
@pytest.mark.parametrize("world", ["nominal", "null"])
@pytest.mark.parametrize("signals", ["figures", "raw"])
def test_nothing_ages_under_a_current_that_no_potentiostat_gives(
    signals: Any, world: Any, metal: str, potential: float, context: Any
) -> None:
    lab = SimulatedOptions("metals", world=world, signals=signals, drift=True).build(("metal", "potential"), {})
    outcome = lab.execute(Job("c", 1, {"metal": metal, "potential": potential}), context(seed=3))
    assert outcome.failure is not None
    assert (outcome.failure.cause, "F_EC_COMPLIANCE" in outcome.failure.reason) == ("condition", True)


def test_a_channel_full_of_salt_is_a_verdict_and_no_impossible_record(context: Any) -> None:
    point = {"gas_flow": 1.0, "concentration": 5.0, "cation": "Li", "temperature": 290.0, "current_density": 1000.0}
    lab = SimulatedOptions("gde_conditions", signals="raw", drift=True, noise=0.0).build(list(point), {})
    observation = lab.execute(Job("c", 1, point), context()).observation
    assert observation is not None
    assert any("pressure drop" in reason for reason in observation.verdict.reasons)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_strongest_hydroxide_in_the_cold_is_measured_too(noise: float, context: Any) -> None:
    point = {"electrolyte": "hydroxide", "concentration": 5.0, "temperature": 273.15, "current_density": 200.0}
    labs = [
        SimulatedOptions("gde_conditions", signals=signals, noise=noise).build(list(point), {})
        for signals in ("raw", "figures")
    ]
    raw, figures = (values(lab.execute(Job("c", 1, point), context(seed=2))) for lab in labs)
    assert raw["e_rhe"] == pytest.approx(figures["e_rhe"], abs=1e-3)
    assert raw["ee_c2h4"] == pytest.approx(figures["ee_c2h4"], rel=1e-3)


@pytest.mark.parametrize("signals", ["figures", "raw"])
def test_what_is_held_is_reported_as_asked_and_truly_a_little_off(signals: str, context: Any) -> None:
    """The laboratory sets the potential by its own scale: its report is what was asked, its errors are in the truth."""
    lab = build(signals=signals, bias=1.0, seed=4)
    seen, true = [], []
    for seed in range(12):
        where = context(seed=seed)
        seen.append(values(lab.execute(Job("campaign", 1, POINT), where))["e_rhe"])
        true.append(lab.reveal(Job("campaign", 1, POINT), where).figures["e_rhe"])
    assert np.array(seen) == pytest.approx(np.full(12, -1.0), abs=8e-3)  # but for the resistance that it misreads
    assert np.std(true) > 1e-3
    assert np.mean(np.array(seen) - np.array(true)) == pytest.approx(-Offsets.drawn(4, 1.0).potential, abs=4e-3)
