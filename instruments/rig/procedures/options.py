"""What the block ``procedure`` of a rig file may say of an electrolysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Quantity, Time, Voltage, Volume
from instruments.errors import LabError
from instruments.metrics import PRODUCTS
from instruments.rig.procedures.procedure import Options

MOST: Final = 1000
"""Injections of one electrolysis."""


class Injections(Declared):
    """When gas is analysed.

    Attributes:
        first: after the start of the current.
        every: between injections.
        count: how many; by default as many as fit into the electrolysis.
        flush: for so long before each the selector brings the cell's gas to the chromatograph.
        busy: for so long after each the chromatograph is busy.
        least: with fewer than so many the experiment has failed in its analysis.
        timeout: for the result of one.
    """

    first: Time = Quantity(900.0, "s")
    every: Time = Quantity(720.0, "s")
    count: int | None = Field(default=None, ge=1, le=MOST)
    flush: Time = Quantity(30.0, "s")
    busy: Time = Quantity(200.0, "s")
    least: int = Field(default=2, ge=1)
    timeout: Time = Quantity(900.0, "s")

    @model_validator(mode="after")
    def _possible(self) -> Injections:
        if self.flush.value < 0.0 or self.busy.value <= 0.0 or self.timeout.value < self.busy.value:
            raise LabError("an injection takes time, and its timeout must be longer.", field="busy")
        if self.every.value < self.flush.value + self.busy.value:
            raise LabError(
                f"an injection every {self.every.value:g} s leaves no time to flush and analyse"
                f" ({self.flush.value + self.busy.value:g} s).",
                field="every",
            )
        if self.first.value < self.flush.value:
            raise LabError("the first injection comes before the line is flushed.", field="first")
        return self

    def times(self, duration: float) -> tuple[float, ...]:
        """After the start of the current, s.

        Raises:
            LabError: they do not fit into the electrolysis, or are fewer than ``least``.
        """
        fitting = int((duration - self.first.value) // self.every.value) + 1 if duration >= self.first.value else 0
        if self.count is None and fitting > MOST:
            raise LabError(
                f"{fitting} injections fit into {duration:g} s, more than {MOST}.",
                field="injections",
                mend="Make the electrolysis shorter, or give `count`.",
            )
        count = fitting if self.count is None else self.count
        if count > fitting or count < self.least:
            raise LabError(
                f"{max(count, self.least)} injections do not fit into {duration:g} s: {fitting} do.",
                field="injections",
                mend="Make the electrolysis longer, or the injections earlier, closer or fewer.",
            )
        return tuple(self.first.value + number * self.every.value for number in range(count))


class Spectrum(Declared):
    """The impedance from which the resistance is read.

    Attributes:
        high: the first frequency, Hz.
        low: the last, Hz.
        points: how many.
        amplitude: V rms.
        after: whether it is measured after the electrolysis too.
    """

    high: float = Field(default=100e3, gt=0.0)
    low: float = Field(default=100.0, gt=0.0)
    points: int = Field(default=31, ge=5, le=500)
    amplitude: float = Field(default=0.01, gt=0.0, le=0.1)
    after: bool = True


class OhmicDrop(Declared):
    """What is done about the ohmic drop of a potential that is to be held.

    Attributes:
        mode: ``post``: nothing while it is held; the drop is taken off afterwards. ``iterate``: the drop is measured
            in short stages at the beginning and made up for in the potential that is held from then on.
        share: of the drop that is made up for; less than all of it, since the resistance changes.
        stages: so many.
        stage: of each.
        most: the largest drop that is made up for; beyond, the potential cannot be reached.
    """

    mode: Literal["post", "iterate"] = "iterate"
    share: float = Field(default=0.9, gt=0.0, le=1.0)
    stages: int = Field(default=3, ge=1, le=20)
    stage: Time = Quantity(20.0, "s")
    most: Voltage = Quantity(0.5, "V")


class Rinse(Declared):
    """How a cell is rinsed.

    Attributes:
        volume: of each rinse.
        times: how often.
        rate: of the pump, mL min-1.
    """

    volume: Volume
    times: int = Field(default=2, ge=1, le=20)
    rate: float = Field(default=5.0, gt=0.0)


class Mount(Declared):
    """How a sample comes into its cell.

    Attributes:
        by: ``none``: the deposit is made in the cell; ``robot``: an action of the shared ``node``; ``person``: somebody
            is asked, and the cell waits for the answer.
        action: of the node.
        arguments: of the action; ``{cell}``, ``{sample}`` and ``{place}`` stand for what they say.
        seconds: that it takes, about.
    """

    by: Literal["none", "robot", "person"] = "none"
    action: str = "mount"
    arguments: Mapping[str, str] = Field(default_factory=lambda: {"cell": "{cell}", "source": "{place}"})
    seconds: float = Field(default=60.0, ge=0.0)


class Sample(Declared):
    """A sample of the electrolyte for an analysis elsewhere.

    Attributes:
        volume: of it.
        source: by cell, where the robot finds the electrolyte; without it a person takes the sample.
        products: that are analysed in it.
    """

    volume: Volume = Quantity(2e-7, "m3")
    source: Mapping[str, str] = Field(default_factory=dict)
    products: tuple[str, ...] = ("hcoo", "c2h5oh", "ch3coo", "c3h7oh")

    @model_validator(mode="after")
    def _known(self) -> Sample:
        for name in self.products:
            if name not in PRODUCTS or name == "c2plus":
                raise LabError(f"{name!r} is no product.", field="products", mend=f"Known: {', '.join(PRODUCTS)}.")
        return self


class ElectrolysisOptions(Options):
    """Of an electrolysis with gas analysis.

    Attributes:
        duration: of the electrolysis.
        gas_flow: where it is no parameter, sccm.
        idle_flow: when the cell rests, sccm.
        electrolyte_flow: where it is no parameter, mL min-1; needs an ``electrolyte_pump``.
        purge: before the electrolysis.
        open_circuit: of the measurement of the open-circuit potential.
        interval: between points of the trace.
        flow_interval: between readings of flows.
        impedance: of the resistance; ``null`` measures none.
        injections: of the chromatograph.
        settle: for the bath to reach its temperature, at most.
        within: of it, K.
        fill: electrolyte that one experiment uses.
        rinse: of the cell; ``null`` does not rinse.
        mount: of samples.
        sample: of the electrolyte for liquid products; ``null`` takes none.
        products: gaseous ones that the chromatograph tells apart.
        expected: products that may form, for the balance of charge; by default all, so that gases alone never have to
            make up the whole charge.
        calibrated: species without whose calibration nothing starts; by default all of the products. None where the
            chromatograph tells mole fractions by a calibration of its own.
    """

    duration: Time = Quantity(3600.0, "s")
    gas_flow: float = Field(default=20.0, gt=0.0)
    idle_flow: float = Field(default=0.0, ge=0.0)
    electrolyte_flow: float | None = Field(default=None, gt=0.0)
    purge: Time = Quantity(600.0, "s")
    open_circuit: Time = Quantity(60.0, "s")
    interval: Time = Quantity(2.0, "s")
    flow_interval: Time = Quantity(10.0, "s")
    impedance: Spectrum | None = Spectrum()
    injections: Injections = Injections()
    settle: Time = Quantity(1800.0, "s")
    within: float = Field(default=0.5, gt=0.0)
    fill: Volume | None = None
    rinse: Rinse | None = None
    mount: Mount = Mount()
    sample: Sample | None = None
    products: tuple[str, ...] = ("h2", "co", "ch4", "c2h4")
    expected: tuple[str, ...] | None = None
    calibrated: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _all_calibrated(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("calibrated") is not None:
            return data
        return {**data, "calibrated": data.get("products", cls.model_fields["products"].default)}

    @model_validator(mode="after")
    def _possible(self) -> ElectrolysisOptions:
        for name in ("duration", "interval", "flow_interval", "settle"):
            if getattr(self, name).value <= 0.0:
                raise LabError(f"{name}: must be more than 0.", field=name)
        for name in self.products:
            if name not in PRODUCTS or name == "c2plus":
                raise LabError(f"{name!r} is no product.", field="products", mend=f"Known: {', '.join(PRODUCTS)}.")
        self.injections.times(self.duration.value)
        return self


class PotentialOptions(ElectrolysisOptions):
    """The same at a constant potential.

    Attributes:
        scale: ``target``: the parameter is the potential without the ohmic drop; ``applied``: with it.
        ir: what is done about the drop of a target.
        largest_current: that is expected, A; chooses the potentiostat's range.
    """

    scale: Literal["target", "applied"] = "target"
    ir: OhmicDrop = OhmicDrop()
    largest_current: float | None = Field(default=None, gt=0.0)
