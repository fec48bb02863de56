from __future__ import annotations

import numpy as np
import pytest

from simulators.variability import (
    CALIBRATION,
    DRIFT_A_DAY,
    LAB_POTENTIAL,
    LAB_SLOPE,
    PERIOD,
    Offsets,
    Run,
    analysed_composition,
    calibration_errors,
)


def test_laboratories_differ_by_the_spreads_that_are_stated() -> None:
    labs = [Offsets.drawn(seed, 1.0) for seed in range(3000)]
    assert np.std([lab.potential for lab in labs]) == pytest.approx(LAB_POTENTIAL, rel=0.05)
    assert np.std([np.log1p(lab.slopes) for lab in labs]) == pytest.approx(LAB_SLOPE, rel=0.05)
    none = Offsets.drawn(7, 0.0)
    assert (none.potential, none.flow, none.area, *none.slopes) == (0.0,) * 8
    assert Offsets.drawn(7, 1.0).potential == Offsets.drawn(7, 1.0).potential


def test_a_campaign_keeps_its_calibration_and_recalibrates_when_it_drifts() -> None:
    first = calibration_errors((0, "a"), 1.0)
    assert (calibration_errors((0, "a"), 1.0) == first).all()
    assert (calibration_errors((0, "b"), 1.0) != first).all()
    spread = np.std([np.log1p(calibration_errors((0, f"c{n}"), 1.0)) for n in range(2000)])
    assert spread == pytest.approx(CALIBRATION, rel=0.05)
    assert (calibration_errors((0, "a"), 1.0, 0.0) == first).all()
    later = [np.log1p(calibration_errors((0, f"c{n}"), 1.0, 15.0) + 0.0) for n in range(600)]
    begun = [np.log1p(calibration_errors((0, f"c{n}"), 1.0, 0.0)) for n in range(600)]
    wandered = np.std(np.array(later) - np.array(begun))
    assert wandered == pytest.approx(DRIFT_A_DAY * np.sqrt(2.0), rel=0.15)
    assert not np.allclose(calibration_errors((0, "a"), 1.0, PERIOD + 1.0), first, atol=1e-3)


def test_drift_has_a_memory() -> None:
    days = np.arange(0.0, PERIOD - 0.5, 0.5)
    tracks = np.array(
        [[np.log1p(calibration_errors((0, f"d{n}"), 1.0, day)).mean() for day in days] for n in range(60)]
    )
    steps = np.abs(np.diff(tracks, axis=1)).mean()
    assert steps < 0.5 * np.abs(tracks - tracks[:, :1]).mean()


def test_runs_have_two_injections_at_least() -> None:
    runs = [Run.drawn(seed) for seed in range(500)]
    assert min(len(run.injections) for run in runs) >= 2
    assert all(run.injections[-1] <= run.seconds for run in runs)
    assert max(len(run.injections) for run in runs) <= len(runs[0].areas)


def test_an_analysis_of_a_composition_is_a_composition() -> None:
    for name in range(50):
        seen = analysed_composition(np.array([0.6, 0.39, 0.01, 0.0]), ("e", name), 1.0)
        assert seen.sum() == pytest.approx(1.0)
        assert seen[3] == 0.0
        assert (seen >= 0.0).all()
