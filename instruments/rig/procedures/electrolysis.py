"""An electrolysis from an empty cell to a rinsed one; what is held, a current or a potential, is up to subclasses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from instruments.errors import LabError, SignalError
from instruments.lab import Parameters, Scalar
from instruments.rig.procedures.deposit import deposit_steps
from instruments.rig.procedures.errors import ExperimentFailed
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.holding import Hold, electrolyse, occupation
from instruments.rig.procedures.options import ElectrolysisOptions
from instruments.rig.procedures.procedure import Options, Procedure
from instruments.rig.procedures.step import Request, SetPoint, Site, Step
from instruments.rig.stock import MILLILITRE
from instruments.rig.techniques import Impedance, OpenCircuit

ZERO_CELSIUS = 273.15
STOPPED: Final = 0.1
"""Share of the gas flow by which a flow may differ from the idle one: a valve that is stuck differs by more."""
STOPPING: Final = 60.0
"""s, of the laboratory, in which it must be there."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one experiment, parameters before options.

    Attributes:
        gas_flow: sccm.
        electrolyte_flow: mL min-1; ``None`` where nothing is pumped.
        temperature: degrees Celsius; ``None`` where it is left alone.
    """

    gas_flow: float
    electrolyte_flow: float | None
    temperature: float | None


class Electrolysis(Procedure):
    """Prepare the composition, purge, measure at rest, electrolyse with injections, take a sample, rinse."""

    Options: ClassVar[type[Options]] = ElectrolysisOptions
    options: ElectrolysisOptions

    # What subclasses say

    @property
    @abstractmethod
    def controlled(self) -> Mapping[str, str]:
        """The parameter that says what is held, with its unit."""

    @abstractmethod
    def held(self, request: Request, site: Site) -> tuple[SetPoint, ...]:
        """What the potentiostat will be told.

        Raises:
            LabError: the cell's block lacks what that takes.
        """

    @abstractmethod
    def hold(self, request: Request, site: Site) -> Hold:
        """Does it."""

    # What they share

    @property
    def settings(self) -> Mapping[str, str]:
        """What is held, and flows and temperature where there are devices for them."""
        shared, cells = self.program.file.shared, self.program.file.cells.values()
        known = dict(self.controlled)
        for role, name, unit in (
            ("gas", "gas_flow", "sccm"),
            ("electrolyte_pump", "electrolyte_flow", "mL min-1"),
            ("bath", "temperature", "K"),
        ):
            if role in shared or all(role in block.roles for block in cells):
                known[name] = unit
        return known

    @property
    def awaiting(self) -> tuple[str, ...]:
        """Products of the liquid sample."""
        return () if self.options.sample is None else self.options.sample.products

    def demands(self, request: Request, site: Site) -> Iterable[SetPoint]:
        """What depends on the parameters; the rest of the plan is the same for all."""
        conditions = self.conditions(request.parameters, site)
        yield from self.held(request, site)
        yield site.sets("gas", conditions.gas_flow)
        if conditions.electrolyte_flow is not None:
            yield site.sets("electrolyte_pump", conditions.electrolyte_flow)
        if conditions.temperature is not None:
            yield site.sets("bath", conditions.temperature)

    def plan(self, request: Request, site: Site) -> tuple[Step, ...]:
        """See the base class."""
        conditions = self.conditions(request.parameters, site)
        return (
            *deposit_steps(self.options, request, site),
            *self._temperature(conditions, site),
            *self._flow(conditions, site),
            self._purge(conditions, site),
            *self._connect(site),
            *self._before(),
            self._electrolysis(request, site),
            *self._sample(site),
            *self._closing(conditions, site),
        )

    def conditions(self, parameters: Parameters, site: Site) -> Conditions:
        """Parameters, settings of the rig, options: the first that says something.

        Raises:
            LabError: something is no number.
        """
        given = {**self.program.file.settings, **parameters}
        flow = _number(given, "electrolyte_flow")
        pumped = self.options.electrolyte_flow if flow is None else flow
        temperature = _number(given, "temperature") if site.has("bath") else None
        if "temperature" in parameters and len(self.program.file.cells) > 1 and site.shared("bath"):
            raise LabError(
                f"{site.name} shares its bath, so that its temperature cannot be its own.",
                field="temperature",
                mend="Give each cell a bath, or put the temperature into `settings`.",
            )
        gas = _number(given, "gas_flow")
        return Conditions(
            self.options.gas_flow if gas is None else gas,
            pumped,
            None if temperature is None else temperature - ZERO_CELSIUS,
        )

    # Steps

    def _temperature(self, conditions: Conditions, site: Site) -> Iterable[Step]:
        if conditions.temperature is None:
            return
        wanted, within, settle = conditions.temperature, self.options.within, self.options.settle.value

        def heat(run: Execution) -> None:
            run.set("bath", wanted)
            run.set("bath", "on", attribute="control")
            run.until("bath", wanted - within, wanted + within, settle)

        sets = (site.sets("bath", wanted), site.sets("bath", "on", attribute="control"))
        yield Step(
            "temperature",
            "idempotent",
            heat,
            sets,
            leases=site.leases(["bath"]),
            says=f"bring the bath to {wanted:g} degrees Celsius",
        )

    def _flow(self, conditions: Conditions, site: Site) -> Iterable[Step]:
        flow, fill = conditions.electrolyte_flow, self.options.fill
        if flow is None and fill is None:
            return
        amount = 0.0 if fill is None else fill.value * MILLILITRE
        needs = {"electrolyte": amount, "waste": amount}

        def start(run: Execution) -> None:
            with run.take(needs):
                if flow is not None:
                    run.set("electrolyte_pump", flow)

        sets = () if flow is None else (site.sets("electrolyte_pump", flow),)
        yield Step("electrolyte", "idempotent", start, sets, takes=_declared(needs, site), says="let electrolyte flow")

    def _purge(self, conditions: Conditions, site: Site) -> Step:
        flow, seconds = conditions.gas_flow, self.options.purge.value
        needs = {"gases.co2": flow * (seconds + self._with_current()) / 60.0}

        def purge(run: Execution) -> None:
            run.set("gas", flow)
            with run.take(needs):  # what flows until the end of the electrolysis counts as gone from now on
                run.wait(seconds)
            _note_bath(run)

        sets = (site.sets("gas", flow),)
        return Step("purge", "idempotent", purge, sets, seconds, _declared(needs, site), says="saturate with the gas")

    def _connect(self, site: Site) -> Iterable[Step]:
        """The relay that cuts the cell off in an emergency lies open after the rig was made safe."""
        if not site.has("disconnect"):
            return

        def connect(run: Execution) -> None:
            run.confirm_off()  # by the potentiostat's own word: what was only cut off would draw at once
            run.set("disconnect", "closed")

        sets = (site.sets("disconnect", "closed"),)
        yield Step("connect", "idempotent", connect, sets, says="connect the potentiostat with the cell")

    def _before(self) -> Iterable[Step]:
        rest, spectrum = self.options.open_circuit.value, self.options.impedance

        def open_circuit(run: Execution) -> None:
            run.recorder.put("open_circuit", run.technique(OpenCircuit(duration=rest)).table())

        def resistance(run: Execution) -> None:
            record = run.technique(self._spectrum())
            run.recorder.put("impedance", record.table())
            try:
                value, sem = record.resistance()
            except SignalError as problem:
                raise ExperimentFailed(f"resistance: {problem}", cause="equipment") from problem
            run.notes["resistance"] = run.notes["resistance_before"] = f"{value!r} +/- {sem!r} ohm"

        if rest > 0.0:
            yield Step("open circuit", "idempotent", open_circuit, seconds=rest, says="measure the resting potential")
        if spectrum is not None:
            yield Step("resistance", "idempotent", resistance, seconds=10.0, says="impedance, for the ohmic drop")

    def _spectrum(self) -> Impedance:
        block = self.options.impedance
        assert block is not None  # noqa: S101  asked only where there is one
        return Impedance(amplitude=block.amplitude, high=block.high, low=block.low, points=block.points)

    def _electrolysis(self, request: Request, site: Site) -> Step:
        hold = self.hold(request, site)
        site.place("chromatograph")  # without one the sample would be used up for nothing
        times = self.options.injections.times(self.options.duration.value)
        sets = [*self.held(request, site)]
        if site.has("selector"):
            sets.append(site.sets("selector", float(_stream(site))))

        def act(run: Execution) -> None:
            electrolyse(run, self.options, hold, times)

        return Step(
            "electrolysis",
            "non-repeatable",
            act,
            tuple(sets),
            self._with_current(),
            uses=site.leases(["chromatograph", "selector"]),
            says=f"{len(times)} injections",
        )

    def _with_current(self) -> float:
        """From the end of the purge to the end of the last analysis, s, without waiting for a free chromatograph."""
        return self.options.duration.value + occupation(self.options).busy

    def _sample(self, site: Site) -> Iterable[Step]:
        if self.options.sample is not None:
            from instruments.rig.procedures.sampling import sample_step

            yield sample_step(self.options.sample, site)

    def _closing(self, conditions: Conditions, site: Site) -> Iterable[Step]:
        if self.options.impedance is not None and self.options.impedance.after:
            yield Step(
                "resistance after",
                "idempotent",
                self._resistance_after,
                seconds=10.0,
                closing=True,
                says="whether the resistance has changed",
            )
        if self.options.rinse is not None:
            from instruments.rig.procedures.sampling import rinse_step

            yield rinse_step(self.options.rinse, site)
        idle = self.options.idle_flow
        pumped = conditions.electrolyte_flow is not None
        slack = STOPPED * conditions.gas_flow

        def rest(run: Execution) -> None:
            if site.has("disconnect"):
                run.set("disconnect", "open")
            if pumped:
                run.set("electrolyte_pump", 0.0)
            run.set("gas", idle)
            if idle < conditions.gas_flow:
                run.until("gas", -slack, idle + slack, STOPPING)

        sets = [site.sets("gas", idle)]
        if pumped:
            sets.insert(0, site.sets("electrolyte_pump", 0.0))
        if site.has("disconnect"):
            sets.insert(0, site.sets("disconnect", "open"))
        yield Step("shut down", "idempotent", rest, tuple(sets), closing=True, says="flows off")

    def _resistance_after(self, run: Execution) -> None:
        record = run.technique(self._spectrum())
        try:
            value, sem = record.resistance()
        except SignalError as problem:  # the results stand without it
            run.problem(f"resistance after: {problem}")
        else:
            run.notes["resistance_after"] = f"{value!r} +/- {sem!r} ohm"

    def setup(self, execution: Execution) -> Mapping[str, Any]:
        """Notes of the steps, and what was analysed."""
        known: dict[str, Any] = {"analysed": ["gas"]}
        if self.options.expected is not None:
            known["expected"] = list(self.options.expected)
        if self.options.sample is not None and execution.site.block.setup.liquid_mode is None:
            known["liquid_mode"] = "batch"  # the sample is taken once, after all of the charge
        return {**known, **execution.notes}


def _number(given: Mapping[str, Scalar], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        raise LabError(f"{name} must be a number, not {value!r}.", field=name)
    return float(value)


def _declared(needs: Mapping[str, float], site: Site) -> dict[str, float]:
    """Those of the needs that the rig file counts."""
    known = site.program.stock.items()
    return {name: amount for name, amount in needs.items() if name in known and amount > 0.0}


def _stream(site: Site) -> int:
    if site.block.stream is None:
        raise LabError(
            f"{site.name}: there is a selector, but nothing says which of its positions is this cell's.",
            field=f"cells.{site.name}.stream",
            mend="Give `stream`.",
        )
    return site.block.stream


def _note_bath(run: Execution) -> None:
    """pH and temperature at the end of the purge, where there are sensors."""
    for role in ("temperature", "bath"):
        if run.has(role):
            reading = run.read(role)
            sem = "" if reading.sem is None else f" +/- {reading.sem!r}"
            run.notes["temperature"] = f"{reading.number!r}{sem} {reading.unit}"
            break
    if run.has("ph"):
        reading = run.read("ph")
        run.notes["ph"] = f"{reading.number!r}" + ("" if reading.sem is None else f" +/- {reading.sem!r}")
        run.notes["ph_source"] = "measured"
