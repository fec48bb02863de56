from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from simulators.failures import (
    BLOCKED_RISE,
    CHROMATOGRAPH,
    COMPLIANCE,
    OPEN_CIRCUIT,
    PUMP,
    Stress,
    failure_of,
    out_of_compliance,
    synthesis_risk,
)

MILD = Stress(kind="h_cell", fractions={"Cu": 1.0}, potential=-0.9, gas_current=3.0, voltage=2.8, hours=1.0)
HARSH = replace(MILD, kind="gde", potential=-1.15, gas_current=250.0, voltage=4.0)


def labels(stress: Stress, runs: int = 3000) -> Counter[str]:
    found: Counter[str] = Counter()
    for number in range(runs):
        failed = failure_of(stress, ("electrode", number), ("run", number))
        if failed:
            found[failed[0].reason.rpartition("(")[2].rstrip(")")] += 1
    return found


def test_rates_of_equipment_failures_are_those_of_the_table() -> None:
    found = labels(MILD, 6000)
    for label, rate in (
        ("F_EC_OPEN_CIRCUIT", OPEN_CIRCUIT),
        ("F_ANA_CHROMATOGRAPH", CHROMATOGRAPH),
        ("F_CELL_PUMP", PUMP),
    ):
        assert found[label] == pytest.approx(6000 * rate, rel=0.35), label
    assert found["F_CELL_FLOODING"] == 0
    assert found["F_SYN_DELAMINATION"] == pytest.approx(6000 * synthesis_risk({"Cu": 1.0}), rel=0.35)


def test_harsh_conditions_flood_and_tear() -> None:
    mild, harsh = labels(replace(HARSH, potential=-0.8)), labels(HARSH)
    assert harsh["F_CELL_FLOODING"] > 5 * mild["F_CELL_FLOODING"] > 0
    assert harsh["F_CAT_DETACHMENT"] > 5 * labels(MILD)["F_CAT_DETACHMENT"]


def test_soft_and_manifold_deposits_come_off() -> None:
    hard = synthesis_risk({"Cu": 1.0})
    assert hard < 0.02
    assert synthesis_risk({"Cu": 0.5, "Bi": 0.5}) > 0.3
    assert synthesis_risk({"Cu": 0.25, "Ag": 0.25, "Au": 0.25, "Zn": 0.25}) > hard


def test_a_channel_full_of_salt_ends_the_run() -> None:
    blocked = labels(replace(HARSH, potential=-0.5, pressure_rise=BLOCKED_RISE + 1.0), 300)
    assert blocked["F_CELL_SALT"] > 250  # unless something else ended it before
    assert labels(replace(HARSH, pressure_rise=BLOCKED_RISE), 300)["F_CELL_SALT"] == 0


def test_causes_say_what_a_failure_teaches() -> None:
    soft = replace(MILD, fractions={"Cu": 0.3, "In": 0.7})
    causes = {failure_of(soft, ("e", n), ("r", n))[0].cause for n in range(300) if failure_of(soft, ("e", n), ("r", n))}
    assert "material" in causes
    assert out_of_compliance(MILD) is None
    failed = out_of_compliance(replace(MILD, voltage=COMPLIANCE + 1.0))
    assert failed is not None
    assert failed[0].cause == "condition"
    assert "13.0 V" in failed[0].reason
    absurd = out_of_compliance(replace(MILD, voltage=1.2e9))  # Butler and Volmer know no limit
    assert absurd is not None
    assert absurd[0].reason == "the cell needs far more than the 12 V of the potentiostat (F_EC_COMPLIANCE)"


def test_an_electrode_that_does_not_hold_never_does_and_equipment_may_work_the_next_time() -> None:
    soft = replace(MILD, fractions={"Cu": 0.4, "Bi": 0.6})
    for number in range(50):
        first, again = (failure_of(soft, ("e", number), ("run", number, turn)) for turn in (1, 2))
        made = [f is not None and "F_SYN" in f[0].reason for f in (first, again)]
        assert made[0] == made[1]
    broken = [n for n in range(2000) if (f := failure_of(MILD, ("e",), (n, 1))) and f[0].cause == "equipment"]
    again = [failure_of(MILD, ("e",), (n, 2)) for n in broken]
    assert sum(f is None for f in again) > 0.8 * len(broken)
