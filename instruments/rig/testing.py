"""Executes controls on a rig: check gas, leak test, reference check, argon blank, standard electrode."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from instruments.device import Value
from instruments.electrochemistry.calibration import Calibrations
from instruments.errors import LabError
from instruments.lab import Figure
from instruments.rig.asking import ask
from instruments.rig.calibrating import inject
from instruments.rig.controls import Change, ControlBlock, ControlResult, judge, unmeasured
from instruments.rig.names import near
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.step import SetPoint, Site, Step
from instruments.rig.techniques import OpenCircuit

CARBON = ("fe_co", "fe_ch4", "fe_c2h4", "fe_c2h6", "fe_hcoo", "fe_ch3oh", "fe_c2h5oh", "fe_ch3coo", "fe_c3h7oh")


def check_gas_step(
    block: ControlBlock, site: Site, records: Calibrations, on: date, done: Callable[[ControlResult], None]
) -> tuple[Step, ...]:
    """Inject a gas with a certificate, and compare.

    Raises:
        LabError: the gas is not in stock.
    """
    gases = site.program.stock.check_gases
    if block.gas not in gases:
        raise LabError(
            f"{block.name}: there is no check gas {block.gas!r}.", field="gas", mend=near(str(block.gas), gases)
        )
    certificate = gases[block.gas].fractions
    sets = () if block.stream is None else (site.sets("selector", float(block.stream)),)

    def act(run: Execution) -> None:
        if block.stream is not None:
            run.set("selector", float(block.stream))
        run.wait(block.flush.value)
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(1, block.injections + 1):
            (peaks,) = run.during(lambda stop, number=number: inject(run.rig, f"{block.name}-{number}", stop, 900.0))  # type: ignore[misc]
            for species, fraction, sem in _fractions(peaks, records, on):
                found.setdefault(species, []).append((fraction, sem))
        done(_deviation(block, certificate, found))

    return (
        Step(
            block.name,
            "idempotent",
            act,
            sets,
            block.flush.value,
            leases=tuple(sorted({site.place(role).device for role in ("chromatograph", "selector") if site.has(role)})),
        ),
    )


def _fractions(
    peaks: Sequence[Mapping[str, Any]], records: Calibrations, on: date
) -> Iterator[tuple[str, float, float]]:
    """Mole fractions of calibrated peaks, with the standard uncertainty of the calibration."""
    for peak in peaks:
        record = records.at(str(peak.get("detector") or ""), str(peak["species"]), on)
        area = next((value for name, value in peak.items() if str(name).startswith("area/")), None)
        if record is None or area is None:
            continue
        amount = record.amount(float(area))
        yield str(peak["species"]), float(amount), float(amount.sem)


def _deviation(
    block: ControlBlock, certificate: Mapping[str, Any], found: Mapping[str, Sequence[tuple[float, float]]]
) -> ControlResult:
    """The worst species against its certificate, relative."""
    results = []
    for species, share in certificate.items():
        values = found.get(species)
        if not values or share.value <= 0.0:
            continue
        fractions = [fraction for fraction, _ in values]
        mean = statistics.fmean(fractions)
        scatter = statistics.stdev(fractions) / math.sqrt(len(fractions)) if len(fractions) > 1 else 0.0
        sem = math.hypot(scatter, max(each for _, each in values), share.sem or 0.0) / share.value
        results.append((mean / share.value - 1.0, sem, species))
    if not results:
        return unmeasured(block, "", f"{block.name}: nothing in it is calibrated, or no peak was found")
    off, sem, species = max(results, key=lambda result: abs(result[0]))
    told = {name: {"deviation": each, "sem": spread} for each, spread, name in results}
    return judge(block, "", off, sem, details={"species": species, "deviations": told})


def leak_step(block: ControlBlock, site: Site, done: Callable[[ControlResult], None]) -> tuple[Step, ...]:
    """Compare inlet and outlet flow at rest."""

    def act(run: Execution) -> None:
        run.set("gas", block.flow)
        run.wait(block.settle.value)
        pairs = []
        for _ in range(block.readings):
            pairs.append((run.read("gas").number, run.read("outlet")))
            run.wait(max(1.0, 0.1 * run.rig.clock.pace))
        run.set("gas", 0.0)
        missing = [1.0 - outlet.number / inlet for inlet, outlet in pairs if inlet > 0.0]
        if not missing:
            done(unmeasured(block, run.cell, f"{block.name}: no gas flows"))
            return
        scatter = statistics.stdev(missing) / math.sqrt(len(missing)) if len(missing) > 1 else 0.0
        meters = [outlet.sem / outlet.number for _, outlet in pairs if outlet.sem and outlet.number]
        sem = math.hypot(scatter, max(meters, default=0.0))
        done(judge(block, run.cell, statistics.fmean(missing), sem, details={"readings": len(missing)}))

    sets = (site.sets("gas", block.flow), site.sets("gas", 0.0))
    return (Step(block.name, "idempotent", act, sets, block.settle.value),)


def reference_step(block: ControlBlock, site: Site, done: Callable[[ControlResult], None]) -> tuple[Step, ...]:
    """Measure the potential between the reference electrode and a master, after a person has connected it."""
    cut_off = site.has("disconnect")

    def act(run: Execution) -> None:
        if block.ask:
            ask(run, block.ask)
        if cut_off:
            run.set("disconnect", "closed")
        record = run.technique(OpenCircuit(duration=block.settle.value))
        if cut_off:
            run.set("disconnect", "open")
        values = [point.potential for point in record.points if point.potential is not None]
        late = values[len(values) // 2 :]
        if len(late) < 2:
            done(unmeasured(block, run.cell, f"{block.name}: no potential was measured"))
            return
        done(judge(block, run.cell, statistics.fmean(late), statistics.stdev(late) / math.sqrt(len(late))))

    sets = tuple(site.sets("disconnect", state) for state in ("closed", "open")) if cut_off else ()
    return (Step(block.name, "idempotent", act, sets, block.settle.value),)


def with_changes(block: ControlBlock, site: Site, plan: Sequence[Step]) -> tuple[Step, ...]:
    """A plan with the changes of a control before its first and after its last step."""
    if not block.changes:
        return tuple(plan)

    def points(value: Callable[[Change], Value]) -> tuple[SetPoint, ...]:
        return tuple(site.sets(change.role, value(change), attribute=change.attribute) for change in block.changes)

    def make(run: Execution) -> None:
        for change in block.changes:
            run.set(change.role, change.value, attribute=change.attribute)

    def take_back(run: Execution) -> None:
        for change in block.changes:
            run.set(change.role, change.after, attribute=change.attribute)

    before = Step("change", "idempotent", make, points(lambda change: change.value))
    after = Step("change back", "idempotent", take_back, points(lambda change: change.after), closing=True)
    return (before, *plan, after)


def of_figures(block: ControlBlock, cell: str, figures: Mapping[str, Figure]) -> ControlResult:
    """The result of a control that is an electrolysis: a blank or a standard electrode."""
    if block.kind == "standard_electrode":
        figure = figures.get(block.metric or "")
        if figure is None or figure.censored is not None:
            return unmeasured(block, cell, f"{block.name}: {block.metric} was not measured")
        return judge(block, cell, figure.value, figure.sem)
    carbon = [figures[name] for name in CARBON if name in figures]
    if not carbon:
        return unmeasured(block, cell, f"{block.name}: no carbon product was looked for")
    total = sum(figure.value for figure in carbon)  # a bound counts whole: what could be there
    sem = math.sqrt(sum((figure.sem or 0.0) ** 2 for figure in carbon))
    return judge(block, cell, total, sem, details={name: figures[name].value for name in CARBON if name in figures})
