"""From what an execution recorded to a measurement, and from that to an observation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

from instruments.electrochemistry.calibration import Calibrations
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.setup import Setup
from instruments.errors import InstrumentsError, LabError
from instruments.lab import Failure, Measurement, Observation, Outcome, Verdict
from instruments.metrics import METRICS

if TYPE_CHECKING:
    from instruments.electrochemistry.reduction import Reduction
    from instruments.electrochemistry.rules import QualityRules
    from instruments.rig.procedures.execution import Execution

SUMS: Final = ("fe_total", "fe_c2plus", "j_c2plus", "ee_c2plus")
"""Figures that are not complete before the liquids are."""
logger = logging.getLogger(__name__)

LIQUID: Final = "liquid"
"""The table of the analysis of liquid products."""
RIG: Final = "rig"
"""Where a measurement's metadata say what the rig did."""


@dataclass(frozen=True)
class Found:
    """What came of one execution.

    Attributes:
        measurement: raw signals with their metadata.
        reduction: of it; ``None`` where nothing could be reduced.
        problem: why not.
    """

    measurement: Measurement
    reduction: Reduction | None
    problem: InstrumentsError | None = None


def assemble(
    execution: Execution,
    notes: Mapping[str, Any],
    records: Calibrations,
    on: date,
    checks: Mapping[str, Any],
    later: Iterable[str] = (),
) -> Measurement:
    """The measurement of an execution: its tables, the setup of its cell with what was noted, the calibrations.

    Args:
        execution: that has ended.
        notes: of the procedure, before what the cell's block says.
        records: of the rig.
        on: day of the experiment.
        checks: results of controls of the cell.
        later: metrics that wait for the analysis of liquid products.
    """
    setup = setup_of(execution, notes, on, checks)
    mounted = execution.mounted
    about = {
        "cell": execution.cell,
        "composition": dict(mounted.executed),
        "composition_sem": dict(mounted.executed_sem),
        "sample": execution.context.sample,
        "problems": list(execution.problems),
        "label": execution.label_of_vial or execution.label,
        "awaiting": list(later),
        "failure": None if execution.failure is None else asdict(execution.failure),
    }
    metadata = {**setup.to_metadata(), "calibrations": records.to_json(), RIG: about}
    return Measurement(execution.recorder.tables(), metadata)


def setup_of(execution: Execution, notes: Mapping[str, Any], on: date, checks: Mapping[str, Any]) -> Setup:
    """What is known of an experiment: the cell's block, then what was noted, then what controls found."""
    known: dict[str, Any] = execution.site.block.setup.model_dump(exclude_none=True)
    known |= {"date": on.isoformat(), **notes}
    own = known.get("accuracy", {})
    known["accuracy"] = {**{name: repr(value) for name, value in execution.accuracy.items()}, **own}
    known["checks"] = {**known.get("checks", {}), **checks}
    if execution.has("outlet"):
        known.setdefault("flow_method", "outlet")
        known.setdefault("outlet_wet", False)
    known.setdefault("feed", {"co2": 1.0})
    return Setup(**known)


def reduced(measurement: Measurement, rules: QualityRules) -> Found:
    """Reduce a measurement. One that cannot be is kept, and can be reduced again from its files."""
    from instruments.electrochemistry.reduction import reduce

    try:
        return Found(measurement, reduce(measurement, rules=rules))
    except InstrumentsError as problem:
        return Found(measurement, None, problem)
    except Exception as fault:  # of the program: what was measured is no less worth for it
        logger.exception("the reduction of raw signals broke")
        said = f"the program is at fault: {type(fault).__name__}: {fault}"
        return Found(measurement, None, LabError(said, mend="Reduce it again with a release that is mended."))


def outcome(measurement: Measurement, asked: Mapping[str, Any], rules: QualityRules) -> Outcome:
    """What comes of a measurement of a rig: a function of the raw signals and what their metadata say.

    Args:
        measurement: as :func:`assemble` made it, perhaps long ago, or with its liquid analysis.
        asked: the settings.
        rules: of quality control.
    """
    about: Mapping[str, Any] = cast("Mapping[str, Any]", measurement.metadata.get(RIG, {}))
    failure = about.get("failure")
    if failure:
        return Outcome(failure=Failure(**failure), measurement=measurement)
    later = () if LIQUID in measurement.signals else tuple(about.get("awaiting", ()))
    told = observation(reduced(measurement, rules), about.get("composition", {}), asked, later)
    return Outcome(told, measurement=measurement, awaiting=later)


def observation(
    found: Found, composition: Mapping[str, float], asked: Mapping[str, Any], later: Iterable[str]
) -> Observation:
    """What is told of an experiment.

    Args:
        found: of its execution.
        composition: of the sample by column, as it was made.
        asked: the settings.
        later: metrics that are awaited, and so are not told now.

    Returns:
        Without figures and ``invalid`` where nothing could be reduced.
    """
    executed = {name: value for name, value in composition.items() if name in asked}
    if found.reduction is None:
        return Observation({}, Verdict("invalid", (f"reduction: {found.problem}",)), executed=executed)
    told, waiting = found.reduction.observation, set(later)
    figures = {name: figure for name, figure in told.figures.items() if name not in waiting}
    measured, sems = {}, {}
    potential = figures.get("e_rhe")
    if "potential" in asked and potential is not None and potential.censored is None:
        measured["potential"] = potential.value
        if potential.sem is not None:
            sems["potential"] = potential.sem
    return Observation(
        figures,
        told.verdict,
        executed=executed,
        measured=measured,
        measured_sem=sems,
        calibrations=told.calibrations,
        report=found.reduction.report(),
    )


def awaited(products: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Metrics that wait for the analysis of liquid products, out of those that a laboratory has."""
    heads = ("fe", "j", "ee")
    of_products = [f"{head}_{product}" for product in products for head in heads]
    wanted = {*of_products, *(SUMS if of_products else ())}
    return tuple(name for name in known if name in wanted)


def metrics_of(gases: Iterable[str], liquids: Iterable[str], *, outlet: bool, voltage: bool) -> dict[str, str]:
    """The metrics that a rig may give, each with its unit.

    Args:
        gases: that the chromatograph tells apart.
        liquids: that are analysed elsewhere.
        outlet: whether flows say what was converted.
        voltage: whether the cell voltage is known.
    """
    products = [*gases, *liquids]
    if any(PRODUCTS[name].carbons >= 2 for name in products if name in PRODUCTS):
        products.append("c2plus")
    names = ["j_total", "fe_total", "e_rhe", "stability_slope", "t80"]
    names += [f"{head}_{product}" for product in products for head in ("fe", "j")]
    if voltage:
        names += ["u_cell", *(f"ee_{product}" for product in products)]
    if outlet:
        names += ["spc_co2", "co2_carbonate"]
    return {name: metric.unit for name, metric in METRICS.items() if name in names}
