"""Electrolyses at a constant current and at a constant potential."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any, ClassVar

from instruments.errors import LabError
from instruments.rig.procedures.electrolysis import Electrolysis
from instruments.rig.procedures.errors import ExperimentFailed
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.holding import Hold, Trace
from instruments.rig.procedures.options import PotentialOptions
from instruments.rig.procedures.procedure import Options
from instruments.rig.procedures.scales import DropSearch, current_of, on_reference
from instruments.rig.procedures.step import Request, SetPoint, Site
from instruments.rig.techniques import ChronoAmperometry, ChronoPotentiometry

SLACK = 0.06
"""V: by so much the potential may differ from the planned one for a pH that is measured, one unit of it."""


def _parameter(request: Request, name: str) -> float:
    value = request.parameters.get(name)
    if value is None or isinstance(value, str):
        raise LabError(f"the procedure needs a number for {name}.", field=name, mend=f"Make {name} a parameter.")
    return float(value)


class ConstantCurrent(Electrolysis):
    """Holds a current density; the parameter ``current_density`` is its positive cathodic magnitude in mA cm-2."""

    @property
    def controlled(self) -> Mapping[str, str]:
        """The current density."""
        return {"current_density": "mA cm-2"}

    def held(self, request: Request, site: Site) -> tuple[SetPoint, ...]:
        """The current, cathodic negative."""
        return (site.sets("potentiostat", self._current(request, site), attribute="current"),)

    def hold(self, request: Request, site: Site) -> Hold:
        """One chronopotentiometry."""
        technique = ChronoPotentiometry(
            self._current(request, site), self.options.duration.value, self.options.interval.value
        )

        def act(run: Execution, trace: Trace, stop: Event) -> None:
            trace.part(technique, stop)
            run.notes["control"] = "current"

        return act

    def _current(self, request: Request, site: Site) -> float:
        density = _parameter(request, "current_density")
        if density <= 0.0:
            raise LabError("a current density is a positive cathodic magnitude.", field="current_density")
        return current_of(density, site.block.setup, site.name)


class ConstantPotential(Electrolysis):
    """Holds a potential; the parameter ``potential`` is in V vs RHE, without ohmic drop unless ``scale`` says so."""

    Options: ClassVar[type[Options]] = PotentialOptions
    options: PotentialOptions

    def __init__(self, options: Any, program: Any) -> None:
        super().__init__(options, program)
        if self._iterates and self.options.impedance is None:
            raise LabError(
                "the ohmic drop cannot be made up for without a resistance.",
                field="impedance",
                mend="Measure the impedance, or set `ir: {mode: post}`.",
            )

    @property
    def controlled(self) -> Mapping[str, str]:
        """The potential."""
        return {"potential": "V vs RHE"}

    @property
    def _iterates(self) -> bool:
        return self.options.scale == "target" and self.options.ir.mode == "iterate"

    def held(self, request: Request, site: Site) -> tuple[SetPoint, ...]:
        """From the largest drop that is made up for to none, with what a measured pH may change."""
        wanted = on_reference(_parameter(request, "potential"), site.block.setup, site.name)
        drop = self.options.ir.most.value if self._iterates else 0.0
        slack = SLACK if site.has("ph") else 0.0
        return (site.sets("potentiostat", wanted - drop - slack, wanted + slack, attribute="potential"),)

    def hold(self, request: Request, site: Site) -> Hold:
        """Short stages that find the ohmic drop, then one chronoamperometry."""
        asked = _parameter(request, "potential")

        def act(run: Execution, trace: Trace, stop: Event) -> None:
            run.notes["control"] = "potential"
            ph = run.number("ph")
            wanted = potential = on_reference(asked, site.block.setup, site.name, ph=ph)
            left = self.options.duration.value
            if self._iterates:
                search = DropSearch(wanted, self.options.ir.share)
                for _ in range(self.options.ir.stages):
                    seconds = self.options.ir.stage.value
                    record = trace.part(self._technique(potential, seconds), stop)
                    potential = self._corrected(run, search, potential, record)
                    left -= seconds
            trace.part(self._technique(potential, left), stop)

        return act

    def _technique(self, potential: float, seconds: float) -> ChronoAmperometry:
        return ChronoAmperometry(potential, seconds, self.options.interval.value, self.options.largest_current)

    def _corrected(self, run: Execution, search: DropSearch, held: float, record: Any) -> float:
        """The potential to hold from now on, by the current of the second half of a stage."""
        currents = [point.current for point in record.points if point.current is not None]
        resistance = run.number("resistance")
        if not currents or resistance is None:
            raise ExperimentFailed("there is no current or no resistance to correct by.", cause="unknown")
        half = currents[len(currents) // 2 :]
        potential = search.next(held, sum(half) / len(half), resistance)
        most, wanted = self.options.ir.most.value, search.wanted
        if abs(potential - wanted) > most:
            raise ExperimentFailed(
                f"the ohmic drop of {abs(potential - wanted):.3g} V is more than the {most:g} V that are made up for.",
                cause="condition",
            )
        return potential
