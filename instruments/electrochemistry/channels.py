"""Channels of a chromatograph: a species on a detector, with the calibration that held on the day."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from instruments.electrochemistry.calibration import Calibration, days_old
from instruments.electrochemistry.setup import Setup
from instruments.electrochemistry.signals import Chromatograms
from instruments.electrochemistry.tables import Floats
from instruments.errors import CalibrationError, SignalError


@dataclass(frozen=True, eq=False)
class Channel:
    """Signals of one species, and how they become mole fractions.

    Attributes:
        signal: areas or fractions, NaN without a peak, [injections].
        coefficients: of fraction = c0 + c1 * signal + ....
        factor: ``L`` of their covariance ``L L'``.
        facts: what the calibration says of itself, by the batch's name for it.
        record: the calibration; ``None`` where the instrument calibrated itself.
    """

    signal: Floats
    coefficients: Floats
    factor: Floats
    facts: Mapping[str, float]
    record: Calibration | None = None


def channel_of(
    gas: Chromatograms, species: str, detector: str, record: Calibration | None, setup: Setup
) -> Channel | None:
    """Areas with their calibration, or fractions that the instrument has calibrated."""
    place = next(
        (i for i, key in enumerate(zip(gas.species, gas.detectors, strict=True)) if key == (species, detector)), None
    )
    empty = np.full(len(gas.time), np.nan)
    if record is not None and gas.area is not None:
        if record.amount_unit != "1" or record.signal_unit != gas.area_unit:
            raise CalibrationError(
                f"{record.id} is for signals in {record.signal_unit}, the table has {gas.area_unit}.",
                field=f"chromatograph.area/{gas.area_unit}",
                mend="Convert the areas, or calibrate in their unit.",
            )
        coefficients, factor = record.inverse()
        day = None if setup.date is None else day_of(setup.date)
        facts = {
            "repeatability": record.repeatability,
            "noise": record.noise,
            "detection": record.detection_limit,
            "low": record.low,
            "high": record.high,
            "r_squared": record.r_squared,
            "age": None if day is None else float(days_old(record, day)),
            "expired": None if day is None else float(record.expired(day)),
        }
        known = {name: float(value) for name, value in facts.items() if value is not None}
        return Channel(empty if place is None else gas.area[:, place], coefficients, factor, known, record)
    if gas.fraction is None or place is None or np.isnan(gas.fraction[:, place]).all():
        return None
    relative = setup.accuracy.fraction
    factor = np.diag([0.0, 0.0 if relative is None else relative.value])
    repeatability = setup.accuracy.repeatability
    facts = {} if repeatability is None else {"repeatability": repeatability.value}
    return Channel(gas.fraction[:, place], np.array([0.0, 1.0]), factor, facts)  # type: ignore[arg-type]


def retention_shift(gas: Chromatograms, channels: Mapping[str, Channel]) -> float | None:
    """The largest relative shift of a retention time from that of its calibration, ``None`` where none is known."""
    if gas.retention is None:
        return None
    shifts = []
    for place, (species, detector) in enumerate(zip(gas.species, gas.detectors, strict=True)):
        record = channels[species].record if species in channels else None
        times = gas.retention[:, place]
        if (
            record is not None
            and record.retention is not None
            and record.device == detector
            and np.isfinite(times).any()
        ):
            shifts.append(float(np.nanmax(np.abs(times / record.retention - 1.0))))
    return max(shifts, default=None)


def day_of(written: str) -> datetime.date:
    """The day of an ISO 8601 date or time.

    Raises:
        SignalError: it is none.
    """
    try:
        return datetime.datetime.fromisoformat(written).date()
    except ValueError:
        raise SignalError(f"date: {written!r} is no date.", field="date", mend="Write it like 2026-03-31.") from None
