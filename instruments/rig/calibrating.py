"""Calibrations of a rig's chromatograph: standards are injected, lines fitted, records written and never overwritten.

Records are those of :class:`~instruments.electrochemistry.Calibration`, one file each in the rig's folder of
calibrations, named by their id. Expired or missing ones block a start. Flow meters and pH sensors are calibrated by
their own instruments' commands: this form of record holds responses to amounts of a species, nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from instruments.device import Value
from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.calibration import Calibration, Calibrations, fit_calibration
from instruments.electrochemistry.units import Quantity, Ratio, Time
from instruments.errors import CalibrationError, LabError
from instruments.rig.stock import Stock

if TYPE_CHECKING:
    from instruments.rig.rig import Rig

logger = logging.getLogger(__name__)


class Setting(Declared):
    """Something that is set before a standard is injected, such as the flow of a diluting gas.

    Attributes:
        device: by its name in the rig file.
        attribute: of the device.
        value: in the attribute's unit.
    """

    device: str
    attribute: str
    value: Value


class Standard(Declared):
    """A gas of known composition.

    Attributes:
        name: for people; or of a gas in ``stock.check_gases``, whose certificate then holds.
        fractions: mole fractions by species, ``"0.0100 +/- 0.0001"``; by default those of the certificate.
        stream: position of the selector that brings it to the chromatograph.
        sets: what makes the mixture, where it is mixed.
        flush: before the first injection.
        injections: how many; their scatter is the repeatability.
    """

    name: str
    fractions: dict[str, Ratio] | None = None
    stream: int | None = Field(default=None, ge=1)
    sets: tuple[Setting, ...] = ()
    flush: Time = Quantity(120.0, "s")
    injections: int = Field(default=3, ge=1, le=50)

    def certified(self, stock: Stock) -> Mapping[str, Quantity]:
        """Its mole fractions.

        Raises:
            LabError: nothing says them.
        """
        if self.fractions is not None:
            return self.fractions
        if self.name in stock.check_gases:
            return stock.check_gases[self.name].fractions
        raise LabError(
            f"nothing says what {self.name} consists of.",
            field="fractions",
            mend="Give `fractions`, or the name of a gas in stock.check_gases.",
        )


class CalibrationPlan(Declared):
    """What ``sabatier rig calibrate`` does.

    Attributes:
        standards: at least three different amounts of each species.
        days: for which the records hold.
        timeout: for one result.
    """

    standards: tuple[Standard, ...] = Field(min_length=1)
    days: int = Field(default=30, ge=1, le=3650)
    timeout: Time = Quantity(900.0, "s")

    @model_validator(mode="after")
    def _apart(self) -> CalibrationPlan:
        names = [standard.name for standard in self.standards]
        if len(set(names)) != len(names):
            raise LabError("a standard stands there twice.", field="standards", mend="Give each its own name.")
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    """What one species of one standard gave in one injection.

    Attributes:
        standard: its name.
        species: key.
        detector: that saw it.
        fraction: mole fraction, with its uncertainty.
        area: of the peak.
        unit: of the area.
        retention: s; ``None`` where it is not told.
    """

    standard: str
    species: str
    detector: str
    fraction: Quantity
    area: float
    unit: str
    retention: float | None


def measure(rig: Rig, plan: CalibrationPlan, stock: Stock, cancelled: Event) -> tuple[Answer, ...]:
    """Inject all standards. The rig must have been started; no current flows.

    Raises:
        LabError: a standard's composition is not known; nothing is set.
        LimitError: a set point is outside a limit; nothing is set.
        ExecutionCancelled: it was cancelled.
        RigTripped: the rig was tripped.
        DeviceError: a device failed.
    """
    certificates = [standard.certified(stock) for standard in plan.standards]
    for standard in plan.standards:
        for setting in _settings(rig, standard):
            rig.device(setting.device).check(setting.attribute, setting.value)
    answers: list[Answer] = []
    for standard, certificate in zip(plan.standards, certificates, strict=True):
        logger.info("injecting %s", standard.name)
        for setting in _settings(rig, standard):
            rig.device(setting.device).set(setting.attribute, setting.value)
        rig.wait(standard.flush.value, cancelled)
        for number in range(1, standard.injections + 1):
            rig.go_on(cancelled)
            peaks = inject(rig, f"calibration-{standard.name}-{number}", cancelled, plan.timeout.value)
            answers += _answers(standard.name, certificate, peaks)
    return tuple(answers)


def inject(rig: Rig, name: str, cancelled: Event, timeout: float) -> list[dict[str, Any]]:
    """One injection, as soon as the chromatograph is ready: it still prepares for the next when a result is there.

    Returns:
        The peaks, rows of the table ``chromatograph`` of the raw-signal form.

    Raises:
        DeviceError: the chromatograph failed.
        ExecutionCancelled: it was cancelled.
    """
    chromatograph: Any = rig.device(rig.shared.place("chromatograph").device)
    if hasattr(chromatograph, "wait_ready"):  # a driver without it starts at any time
        chromatograph.wait_ready(cancelled, timeout)
    document = chromatograph.wait(chromatograph.start(name), cancelled, timeout)
    found: list[dict[str, Any]] = document.recording.signals["chromatograph"].to_dict("records")
    return found


def _settings(rig: Rig, standard: Standard) -> tuple[Setting, ...]:
    """What is set for a standard, the selector last."""
    if standard.stream is None:
        return standard.sets
    selector = rig.shared.place("selector")
    turn = Setting(device=selector.device, attribute=selector.attribute or "position", value=float(standard.stream))
    return (*standard.sets, turn)


def _answers(standard: str, certificate: Mapping[str, Quantity], peaks: Iterable[Mapping[str, Any]]) -> list[Answer]:
    found = []
    for peak in peaks:
        area = next((name for name in peak if name.startswith("area/")), None)
        species = str(peak["species"])
        if area is None or species not in certificate:
            continue
        retention = peak.get("retention/s")
        told = retention is not None and math.isfinite(retention) and retention > 0.0
        found.append(
            Answer(
                standard,
                species,
                str(peak.get("detector") or ""),
                certificate[species],
                float(peak[area]),
                area.removeprefix("area/"),
                float(retention) if told and retention is not None else None,
            )
        )
    return found


def fit(answers: Sequence[Answer], *, on: date, days: int, known: Calibrations) -> tuple[Calibration, ...]:
    """Lines through the answers, one for each species and detector.

    The uncertainty of the certificates is that of one common factor: the largest relative one of the standards is
    added to that of the slope.

    Args:
        answers: of all standards.
        on: day of the calibration.
        days: for which the records hold.
        known: records so far; a second one of a day has a higher version.

    Raises:
        CalibrationError: a species has too few standards, or its signals do not rise; names it.
    """
    groups: dict[tuple[str, str, str], list[Answer]] = {}
    for answer in answers:
        groups.setdefault((answer.detector, answer.species, answer.unit), []).append(answer)
    if not groups:
        raise CalibrationError("no standard gave a peak that its certificate names.", field="standards")
    return tuple(_record(*key, group, on, days, known) for key, group in sorted(groups.items()))


def _record(
    detector: str, species: str, unit: str, group: Sequence[Answer], on: date, days: int, known: Calibrations
) -> Calibration:
    retentions = [answer.retention for answer in group if answer.retention is not None]
    versions = [
        r.version for r in known if (r.device, r.species, r.signal_unit, r.date) == (detector, species, unit, on)
    ]
    try:
        line = fit_calibration(
            [answer.fraction.value for answer in group],
            [answer.area for answer in group],
            device=detector,
            species=species,
            date=on,
            expires=on + timedelta(days=days),
            version=max(versions, default=0) + 1,
            signal_unit=unit,
            repeatability=_repeatability(group),
            retention=statistics.fmean(retentions) if retentions else None,
            standards=", ".join(dict.fromkeys(answer.standard for answer in group)),
        )
    except CalibrationError as problem:
        where = f" on {detector}" if detector else ""
        raise CalibrationError(
            f"{species}{where}: {problem.args[0]}", field=f"standards.{species}", mend=problem.mend
        ) from problem
    common = max(((a.fraction.sem or 0.0) / a.fraction.value for a in group if a.fraction.value > 0.0), default=0.0)
    (bb, ba), (ab, aa) = line.covariance or ((0.0, 0.0), (0.0, 0.0))
    slope = line.coefficients[1]
    return line.model_copy(update={"covariance": ((bb, ba), (ab, aa + (slope * common) ** 2))})


def _repeatability(group: Sequence[Answer]) -> float | None:
    """Relative standard deviation of one peak, pooled over the standards that were injected more than once."""
    variances, freedom = 0.0, 0
    by_standard: dict[str, list[float]] = {}
    for answer in group:
        by_standard.setdefault(answer.standard, []).append(answer.area)
    for areas in by_standard.values():
        mean = statistics.fmean(areas)
        if len(areas) > 1 and mean > 0.0:
            variances += sum((area / mean - 1.0) ** 2 for area in areas)
            freedom += len(areas) - 1
    return math.sqrt(variances / freedom) if freedom else None


# Records in a folder


def load(folder: Path) -> Calibrations:
    """All records of a folder; none where there is no folder.

    Raises:
        CalibrationError: a file holds no record; names it.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_bytes())
            records.append(Calibration(**content))
        except (ValueError, TypeError, OSError) as problem:
            raise CalibrationError(
                f"{path.name} holds no calibration: {problem}",
                field=f"calibrations.{path.name}",
                mend="Restore the file, or move it away.",
            ) from problem
    return Calibrations(records)


def save(folder: Path, records: Iterable[Calibration]) -> tuple[Path, ...]:
    """Write records, each to a file of its own, named by its id.

    Raises:
        CalibrationError: one is there already; nothing is overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for record in records:
        path = folder / f"{record.id}.json"
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(record.model_dump(mode="json", exclude_none=True), file, indent=2)
                file.write("\n")
        except FileExistsError:
            raise CalibrationError(
                f"{path.name} is there already.", field="calibrations", mend="Records are never overwritten."
            ) from None
        written.append(path)
    return tuple(written)


def valid(records: Calibrations, needs: Iterable[str], on: date) -> tuple[str, ...]:
    """What is wrong with the calibrations for an experiment on a day.

    Args:
        records: of the rig.
        needs: species that must be calibrated, on whichever detector.
        on: the day.

    Returns:
        A sentence for each species without a record that holds; empty where all is well.
    """
    problems = []
    for species in needs:
        held = [r for r in (records.at(d, s, on) for d, s in sorted(records.species(on)) if s == species) if r]
        if not held:
            problems.append(f"{species} is not calibrated")
        elif all(record.expired(on) for record in held):
            last = max(record.expires for record in held if record.expires is not None)
            problems.append(f"the calibration of {species} expired on {last}")
    return tuple(problems)


def calibrate(
    rig: Rig, plan: CalibrationPlan, stock: Stock, folder: Path, *, cancelled: Event, today: Callable[[], date]
) -> tuple[Calibration, ...]:
    """Inject all standards of a plan, fit, and write the records; the rig must have been started.

    Raises:
        CalibrationError: the answers make no line; nothing is written.
        LabError, LimitError: the plan is impossible; nothing is set.
        DeviceError: a device failed.
    """
    known = load(folder)
    answers = measure(rig, plan, stock, cancelled)
    records = fit(answers, on=today(), days=plan.days, known=known)
    save(folder, records)
    return records
