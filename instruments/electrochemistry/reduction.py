"""Raw signals to an observation: figures of merit with uncertainties, their covariance, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from instruments.electrochemistry.batch import Layout, gather
from instruments.electrochemistry.calibration import Calibration, Calibrations
from instruments.electrochemistry.core import CHUNK, Figures, reduce_batch
from instruments.electrochemistry.prepare import Prepared, prepare
from instruments.electrochemistry.quality import DEFAULT_RULES, Check, Judgement, flags_of, judge, verdict_of
from instruments.electrochemistry.rules import VERSION, QualityRules
from instruments.electrochemistry.setup import Setup
from instruments.electrochemistry.signals import read_signals
from instruments.electrochemistry.tables import Floats
from instruments.electrochemistry.uncertain import Uncertain
from instruments.errors import InstrumentsError, SignalError
from instruments.lab import Figure, Measurement, Observation

CALIBRATIONS: Final = "calibrations"
"""Where calibration records stand in the metadata of a measurement."""


@dataclass(frozen=True, eq=False)
class Reduction:
    """What came of one measurement.

    Attributes:
        observation: figures, verdict and the ids of the calibrations, for the loop.
        checks: what every rule found, with thresholds.
        flags: what is only told.
        names: of the figures that have a value and an uncertainty of their own, in the order of ``joint``.
        joint: their values with contributions by source, [names].
        calibrations: the records that were used.
        notices: what a person should know about the reduction.
        accepted: by injection, whether it counted.
        rules_version: of the rules.
    """

    observation: Observation
    checks: tuple[Check, ...]
    flags: tuple[str, ...]
    names: tuple[str, ...]
    joint: Uncertain
    calibrations: tuple[Calibration, ...] = ()
    notices: tuple[str, ...] = ()
    accepted: tuple[bool, ...] = ()
    rules_version: str = VERSION

    @property
    def figures(self) -> Mapping[str, Figure]:
        """Figures of merit by metric."""
        return self.observation.figures

    def covariance(self, first: str, second: str) -> float:
        """Covariance of two figures, in the product of their units.

        Raises:
            KeyError: a figure has no value, or only a bound.
        """
        a, b = (self.joint[self._place(name)] for name in (first, second))
        return float(a.covariance(b))

    def shares(self, name: str) -> dict[str, float]:
        """Share of each source in a figure's variance, the largest first.

        Raises:
            KeyError: the figure has no value, or only a bound.
        """
        number = self.joint[self._place(name)]
        found = {source: float(number.share(source)) for source in number.sources}
        return dict(sorted(((k, v) for k, v in found.items() if v > 0.0), key=lambda item: -item[1]))

    def report(self) -> dict[str, Any]:
        """Everything as JSON values, for the store: figures, checks with thresholds, versions, covariance."""
        return {
            "figures": {
                name: {"value": figure.value, "sem": figure.sem, "censored": figure.censored}
                for name, figure in self.figures.items()
            },
            "covariance": {"names": list(self.names), "matrix": self.joint.covariance_matrix().tolist()},
            "verdict": self.observation.verdict.name,
            "checks": [
                {name: getattr(check, name) for name in Check.__dataclass_fields__}
                | {"thresholds": dict(check.thresholds)}
                for check in self.checks
            ],
            "flags": list(self.flags),
            "rules_version": self.rules_version,
            "calibrations": [record.id for record in self.calibrations],
            "notices": list(self.notices),
            "accepted": list(self.accepted),
        }

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(name)
        return self.names.index(name)


def reduce(
    measurement: Measurement,
    *,
    rules: QualityRules = DEFAULT_RULES,
    calibrations: Calibrations | Iterable[Calibration] | None = None,
) -> Reduction:
    """Reduce one measurement.

    Args:
        measurement: raw signals, with a :class:`Setup` in the metadata.
        rules: of quality control.
        calibrations: records to choose from by the setup's date; by default those in the metadata.

    Raises:
        SignalError: signals or setup are wrong, or nothing can be computed from them.
        CalibrationError: calibrations are impossible or ambiguous.
    """
    return _reduced([_prepared(measurement, calibrations)], rules)[0]


@dataclass(frozen=True, eq=False)
class Failed:
    """A measurement that could not be reduced, among many that could: the error says why."""

    error: InstrumentsError
    notices: tuple[str, ...] = field(default=())


def reduce_all(
    measurements: Sequence[Measurement],
    *,
    rules: QualityRules = DEFAULT_RULES,
    calibrations: Calibrations | Iterable[Calibration] | None = None,
) -> list[Reduction | Failed]:
    """Reduce many measurements at once, those of one layout together.

    One that cannot be reduced is :class:`Failed` in its place and does not disturb the others.
    """
    store = None if calibrations is None else _store(calibrations)
    results: list[Reduction | Failed | None] = [None] * len(measurements)
    groups: dict[Layout, list[tuple[int, Prepared]]] = {}
    for i, measurement in enumerate(measurements):
        try:
            prepared = _prepared(measurement, store)
        except InstrumentsError as error:
            results[i] = Failed(error)
        else:
            groups.setdefault(prepared.batch.layout, []).append((i, prepared))
    for members in groups.values():
        for (i, _), reduction in zip(members, _reduced([each for _, each in members], rules), strict=True):
            results[i] = reduction
    return [result for result in results if result is not None]


def _store(calibrations: Calibrations | Iterable[Calibration]) -> Calibrations:
    return calibrations if isinstance(calibrations, Calibrations) else Calibrations(calibrations)


def _prepared(measurement: Measurement, calibrations: Calibrations | Iterable[Calibration] | None) -> Prepared:
    setup = Setup.from_metadata(measurement.metadata)
    if calibrations is None:
        given = measurement.metadata.get(CALIBRATIONS, ())
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise SignalError("calibrations are a list of records.", field=f"metadata.{CALIBRATIONS}")
        store = Calibrations.from_json(given)
    else:
        store = _store(calibrations)
    return prepare(read_signals(measurement, setup), setup, store)


def _reduced(members: Sequence[Prepared], rules: QualityRules) -> list[Reduction]:
    """Reductions of measurements of one layout."""
    reductions: list[Reduction] = []
    for start in range(0, len(members), CHUNK):
        part = members[start : start + CHUNK]
        figures = reduce_batch(gather([member.batch for member in part]))
        judgement = judge(figures.evidence, rules)
        reductions += [_one(figures, judgement, i, member) for i, member in enumerate(part)]
    return reductions


def _one(figures: Figures, judgement: Judgement, i: int, member: Prepared) -> Reduction:
    """The reduction of one experiment of a batch."""
    assessed = _assessed(figures.joint[i])
    values, sems = figures.joint.values[i], figures.joint.sem[i]
    told: dict[str, Figure] = {}
    own: list[int] = []
    for place, name in enumerate(figures.names):
        if not np.isfinite(values[place]):
            continue
        bound = "below" if figures.below[i, place] else "above" if figures.above[i, place] else None
        sem = float(sems[place]) if bound is None and assessed[place] else None
        told[name] = Figure(float(values[place]), sem, bound)  # type: ignore[arg-type]
        if bound is None:
            own.append(place)
    checks = judgement.checks(i)
    observation = Observation(
        figures=told,
        verdict=verdict_of(checks),
        calibrations=tuple(record.id for record in member.calibrations),
    )
    accepted = () if figures.accepted is None else _injections(figures.accepted[i], member)
    return Reduction(
        observation=observation,
        checks=checks,
        flags=flags_of(checks),
        names=tuple(figures.names[place] for place in own),
        joint=_named(figures.joint[i, np.array(own, dtype=int)], member),
        calibrations=member.calibrations,
        notices=(*member.notices, *_notices(member, accepted)),
        accepted=accepted,
        rules_version=judgement.version,
    )


def _assessed(joint: Uncertain) -> Floats:
    """Whether any source tells something about each value."""
    found = np.zeros(joint.shape, dtype=bool)
    for part in joint.sources.values():
        found |= (part != 0.0).any(-1)
    return found


def _injections(accepted: Floats, member: Prepared) -> tuple[bool, ...]:
    count = 0 if member.batch.injections is None else member.batch.injections.shape[1]
    return tuple(bool(flag) for flag in accepted[:count])


def _named(joint: Uncertain, member: Prepared) -> Uncertain:
    """The calibrations' components under the ids of their records, which two experiments may share."""
    part = joint.sources.get("calibrations")
    if part is None:
        return joint
    sources = {name: each for name, each in joint.sources.items() if name != "calibrations"}
    species = member.batch.layout.species
    by_channel = part.reshape(*part.shape[:-1], len(species), -1)
    ids = {record.species: f"calibration {record.id}" for record in member.calibrations}
    for i, name in enumerate(species):
        if by_channel[..., i, :].any():
            sources[ids.get(name, f"calibration of {name}")] = by_channel[..., i, :]
    return Uncertain(joint.values, sources)


def _notices(member: Prepared, accepted: tuple[bool, ...]) -> Iterable[str]:
    """What was left out, and which uncertainties were not assessed."""
    layout = member.batch.layout
    if layout.missing:
        yield f"not given, so that some figures are missing: {', '.join(layout.missing)}"
    if not all(accepted):
        left = [str(i + 1) for i, flag in enumerate(accepted) if not flag]
        yield f"injections that do not count (not steady, or outside the electrolysis): {', '.join(left)}"
    unknown: list[str] = [
        name for name in _UNCERTAIN if name in layout.known and np.isnan(member.batch.scalars[name][1]).any()
    ]
    unknown += [
        name for name, wanted in _INSTRUMENTS.items() if wanted(layout) and f"accuracy_{name}" not in layout.known
    ]
    if unknown:
        yield f"uncertainty not assessed, counted as none: {', '.join(sorted(unknown))}"
    if layout.stability_of and layout.stability_of.removeprefix("fe_") not in layout.gases:
        yield f"there is no trend of {layout.stability_of}: only a gas with peaks has one"
    if "headspace" in layout.known and not {"gas_temperature", "temperature"} & layout.known:
        yield "the residence time in the headspace is that at 298.15 K, for want of a temperature"
    if layout.flow_method and layout.gases and not {"headspace", "loop_time"} <= layout.known:
        yield "without headspace and loop_time, the current at the moment of the injection stands for that of its gas"


_UNCERTAIN: Final = (
    "area", "reference", "ph", "temperature", "resistance", "catholyte", "anolyte", "trap", "liquid_flow", "standard"
)  # fmt: skip
_INSTRUMENTS: Final[Mapping[str, Callable[[Layout], bool]]] = {
    "current": lambda _: True,
    "potential": lambda layout: layout.scale is not None,
    "inlet": lambda layout: layout.flow_method in ("inlet", "carbon_balance"),
    "outlet": lambda layout: layout.flow_method == "outlet",
    "liquid": lambda layout: layout.liquid_mode is not None,
}


def shared_covariance(first: Reduction, second: Reduction, name: str, sources: Iterable[str] | None = None) -> float:
    """Covariance of one figure between two experiments, from sources that they share.

    Args:
        first: one experiment.
        second: the other.
        name: of the figure.
        sources: names that mean the same in both; by default the calibrations with the same id.

    Raises:
        KeyError: a figure has no value, or only a bound.
    """
    a, b = first.joint[first._place(name)], second.joint[second._place(name)]
    shared = a.sources.keys() & b.sources.keys()
    chosen = {s for s in shared if s.startswith("calibration ")} if sources is None else shared & set(sources)
    return float(sum(float(a.sources[s] @ b.sources[s]) for s in chosen))
