"""Calibrations: standards through the chromatograph become records that are never overwritten and that expire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from bench import RESPONSE, RETENTION, TODAY, bench, records, world_of
from hypothesis import given
from hypothesis import strategies as st

from instruments.electrochemistry.calibration import Calibration, Calibrations
from instruments.electrochemistry.units import Quantity
from instruments.errors import CalibrationError, ExecutionCancelled, LabError, LimitError
from instruments.rig.calibrating import Answer, CalibrationPlan, calibrate, fit, load, save, valid

STREAMS: dict[int, Mapping[str, float]] = {
    4: {"h2": 0.002, "co": 0.002},
    5: {"h2": 0.010, "co": 0.010},
    6: {"h2": 0.050, "co": 0.050},
}
PLAN: dict[str, Any] = {
    "standards": [
        {
            "name": f"mix-{stream}",
            "stream": stream,
            "flush": "10 s",
            "injections": 2,
            "fractions": {species: f"{share} +/- {0.02 * share}" for species, share in mix.items()},
        }
        for stream, mix in STREAMS.items()
    ],
    "days": 30,
}


def answers(slope: float = 100.0, relative: float = 0.0, noise: float = 0.0, seed: int = 0) -> list[Answer]:
    generator = np.random.default_rng(seed)
    return [
        Answer(
            f"mix {x}",
            "co",
            "tcd",
            Quantity(x, "1", relative * x),
            slope * x * (1.0 + noise * float(generator.standard_normal())),
            "uV s",
            98.0,
        )
        for x in (0.01, 0.02, 0.05)
        for _ in range(3)
    ]


def test_standards_through_a_rig_become_records(tmp_path: Path) -> None:
    lab = bench(tmp_path, calibrated=False, procedure={**bench_procedure(tmp_path), "calibrated": []})
    world_of(lab).streams.update(STREAMS)
    folder = tmp_path / "calibrations"
    lab.open()
    try:
        made = calibrate(
            lab.rig, CalibrationPlan(**PLAN), lab.program.stock, folder, cancelled=Event(), today=lambda: TODAY
        )
        again = calibrate(
            lab.rig, CalibrationPlan(**PLAN), lab.program.stock, folder, cancelled=Event(), today=lambda: TODAY
        )
    finally:
        lab.close()
    assert [record.species for record in made] == ["co", "h2"]
    co = made[0]
    assert co.coefficients == pytest.approx((0.0, RESPONSE["co"]), abs=1e-3)
    assert co.covariance is not None
    assert co.covariance[1][1] == pytest.approx((0.02 * RESPONSE["co"]) ** 2, rel=1e-3)  # that of the certificates
    assert (co.date, co.expires) == (TODAY, date(2026, 5, 31))
    assert co.retention == RETENTION["co"]
    assert co.repeatability == pytest.approx(0.0, abs=1e-12)
    assert co.standards == "mix-4, mix-5, mix-6"
    assert [record.version for record in again] == [2, 2]
    assert len(list(folder.glob("*.json"))) == 4  # nothing was overwritten
    assert load(folder).at("", "co", TODAY) == again[0]
    assert valid(load(folder), ["h2", "co"], TODAY) == ()
    injected = [what for what in world_of(lab).of("chromatograph") if what.startswith("inject")]
    assert len(injected) == 12
    assert injected[0] == "inject calibration-mix-4-1"


def bench_procedure(folder: Path) -> dict[str, Any]:
    from bench import bench_data

    block: dict[str, Any] = bench_data(str(folder))["procedure"]
    return block


def test_a_plan_out_of_limits_sets_nothing(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    plan = CalibrationPlan(standards=[*PLAN["standards"], {**PLAN["standards"][0], "name": "last", "stream": 99}])
    lab.open()
    try:
        before = len(world_of(lab).events)
        with pytest.raises(LimitError, match="position"):
            calibrate(lab.rig, plan, lab.program.stock, tmp_path / "c", cancelled=Event(), today=lambda: TODAY)
        assert len(world_of(lab).events) == before
    finally:
        lab.close()


def test_a_standard_does_not_come_from_a_cell(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is that of cell-2") as problem:
        bench(tmp_path, calibration={"standards": [{**PLAN["standards"][0], "stream": 2}]})
    assert problem.value.field == "calibration.standards.0.stream"


def test_a_cancelled_calibration_writes_nothing(tmp_path: Path) -> None:
    lab, stop = bench(tmp_path), Event()
    stop.set()
    lab.open()
    try:
        with pytest.raises(ExecutionCancelled):
            calibrate(
                lab.rig, CalibrationPlan(**PLAN), lab.program.stock, tmp_path / "c", cancelled=stop, today=lambda: TODAY
            )
    finally:
        lab.close()
    assert not (tmp_path / "c").exists()


def test_a_certificate_in_stock_serves_and_an_unknown_gas_is_refused(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    plan = CalibrationPlan(standards=[{"name": "check"}])
    assert plan.standards[0].certified(lab.program.stock)["co"].value == 0.01
    with pytest.raises(LabError, match="nothing says what air consists of"):
        CalibrationPlan(standards=[{"name": "air"}]).standards[0].certified(lab.program.stock)
    with pytest.raises(LabError, match="twice"):
        CalibrationPlan(standards=[{"name": "air"}, {"name": "air"}])


# Fitting


def test_repeatability_is_the_scatter_within_a_standard() -> None:
    (record,) = fit(answers(noise=0.02, seed=3), on=TODAY, days=10, known=Calibrations())
    assert record.repeatability == pytest.approx(0.02, rel=0.7)
    assert record.coefficients[1] == pytest.approx(100.0, rel=0.05)
    assert record.device == "tcd"
    (once,) = fit(answers()[::3], on=TODAY, days=10, known=Calibrations())
    assert once.repeatability is None  # one injection each says nothing


@given(st.floats(0.001, 0.05), st.floats(1.0, 1e6))
def test_the_certificates_uncertainty_is_that_of_the_slope(relative: float, slope: float) -> None:
    (record,) = fit(answers(slope, relative), on=TODAY, days=10, known=Calibrations())
    amount = record.amount(slope * 0.03)
    assert float(amount) == pytest.approx(0.03, rel=1e-6)
    assert float(amount.sem) == pytest.approx(relative * 0.03, rel=1e-3)


@pytest.mark.parametrize(
    ("given_answers", "text"),
    [
        ([], "no standard gave a peak"),
        (answers()[:3], "at least three standards of different amounts"),
        ([replace(a, area=1.0 - a.area / 100.0) for a in answers()], "do not rise"),
    ],
)
def test_answers_that_make_no_line_name_the_species(given_answers: list[Answer], text: str) -> None:
    with pytest.raises(CalibrationError, match=text) as caught:
        fit(given_answers, on=TODAY, days=10, known=Calibrations())
    assert "standards" in (caught.value.field or "")


# Records


def test_records_are_files_that_nobody_overwrites(tmp_path: Path) -> None:
    made = records()
    paths = save(tmp_path, made)
    assert [path.stem for path in paths] == [record.id for record in made]
    assert {record.id for record in load(tmp_path)} == {record.id for record in made}
    with pytest.raises(CalibrationError, match="there already"):
        save(tmp_path, made)
    assert len(load(tmp_path / "nowhere")) == 0
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(CalibrationError, match=r"odd\.json"):
        load(tmp_path)


def test_what_is_missing_or_has_expired_is_told() -> None:
    known = Calibrations(records())
    assert valid(known, ["h2", "co"], date(2026, 5, 20)) == ()
    assert valid(known, ["h2"], date(2026, 5, 21)) == ("the calibration of h2 expired on 2026-05-20",)
    assert valid(known, ["ch4", "co"], TODAY) == ("ch4 is not calibrated",)
    assert valid(known, ["co"], date(2026, 4, 19)) == ("co is not calibrated",)
    assert valid(known, [], TODAY) == ()
    later = known.with_record(records(date="2026-05-19", expires="2026-07-01")[1])
    assert valid(later, ["co"], date(2026, 6, 1)) == ()


def test_a_record_that_holds_for_ever_holds() -> None:
    for_ever = Calibration(**{**json.loads(records()[0].model_dump_json(exclude_none=True)), "expires": None})
    assert valid(Calibrations([for_ever]), ["h2"], date(2036, 1, 1)) == ()
