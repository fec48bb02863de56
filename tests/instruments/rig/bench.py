"""A whole laboratory in memory: devices with the attributes of real drivers, around cells that make CO and H2.

Rig files name their options `bench:BenchOptions`. The truth is a `World`, found by name, which outlives the devices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event, RLock
from types import SimpleNamespace
from typing import Any

import pandas as pd

from instruments.device import Attribute, Device, DeviceOptions, Identity, Safety, Value, Wiring
from instruments.drivers.methodscript.record import Point, Record
from instruments.electrochemistry.calibration import Calibration
from instruments.errors import DeviceFault, DeviceTimeout, ExecutionCancelled
from instruments.lab import Measurement, StepKind
from instruments.rig.calibrating import save
from instruments.rig.file import RigFile
from instruments.rig.lab import RigLab
from instruments.rig.techniques import ChronoPotentiometry, CyclicVoltammetry, Impedance, OpenCircuit

PACE = 1000.0
FARADAY, SCCM = 96485.33212, 101325.0 / (8.314462618 * 273.15) * 1e-6 / 60.0
RESPONSE = {"h2": 4.0e5, "co": 2.0e7, "ch4": 2.1e7, "c2h4": 4.1e7, "co2": 5.0e4}
RETENTION = {"h2": 52.0, "co": 98.0, "ch4": 83.0, "c2h4": 138.5, "co2": 132.0}
ELECTRONS = {"h2": 2, "co": 2}
EFFICIENCY = {"h2": 0.2, "co": 0.8}
RESISTANCE = 2.0
TODAY = date(2026, 5, 1)


@dataclass
class Cell:
    """What truly happens in one cell."""

    current: float = 0.0
    flow: float = 0.0
    gas: str = "co2"
    leak: float = 0.0
    connected: bool = True

    def potential(self) -> float:
        """Against the reference electrode, not corrected: a Tafel line and the ohmic drop."""
        drive = 0.1 * math.log10(max(abs(self.current), 1e-6) / 1e-4)
        return -1.0 - drive + self.current * RESISTANCE if self.current else -0.5

    def outlet(self) -> float:
        """sccm: CO replaces CO2, hydrogen comes on top, a leak loses."""
        made = EFFICIENCY["h2"] * abs(self.current) / (2 * FARADAY) / SCCM
        return (self.flow + made) * (1.0 - self.leak)

    def fractions(self) -> dict[str, float]:
        """Dry mole fractions at the outlet."""
        if self.flow <= 0.0:
            return {"n2": 0.78, "o2": 0.21}
        total = self.outlet() / (1.0 - self.leak) * SCCM
        made = {key: EFFICIENCY[key] * abs(self.current) / (ELECTRONS[key] * FARADAY) for key in EFFICIENCY}
        if self.gas != "co2":
            made = {"h2": abs(self.current) / (2 * FARADAY)}
        shares = {key: rate / total for key, rate in made.items()}
        return {**shares, self.gas: 1.0 - sum(shares.values())}


@dataclass
class World:
    """Everything, with what was done to it.

    Attributes:
        faults: by device, what goes wrong: `dead`; `refuses` (a command, as it is noted); `breaks` (the potentiostat, so
            many s after the current was switched on); `lost` (injections with these endings); `fails at` (the robot).
        events: what was done, with `time.monotonic()` and the device.
    """

    cells: dict[str, Cell] = field(default_factory=lambda: {"cell-1": Cell(), "cell-2": Cell()})
    position: int = 1
    streams: dict[int, Mapping[str, float]] = field(default_factory=dict)
    vessels: dict[str, dict[str, float]] = field(default_factory=dict)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[float, str, str]] = field(default_factory=list)
    lock: Any = field(default_factory=RLock)

    def did(self, device: str, what: str) -> None:
        self.events.append((time.monotonic(), device, what))

    def of(self, device: str) -> list[str]:
        return [what for _, name, what in self.events if name == device]

    def when(self, device: str, what: str) -> float:
        return next(at for at, name, done in self.events if (name, done) == (device, what))

    def at_valve(self) -> Mapping[str, float]:
        known = {1: self.cells["cell-1"].fractions, 2: self.cells["cell-2"].fractions}
        return self.streams[self.position] if self.position in self.streams else known[self.position]()


WORLDS: dict[str, World] = {}


class BenchOptions(DeviceOptions):
    role: str
    cell: str = ""
    world: str

    @property
    def addresses(self) -> tuple[str, ...]:
        return (f"loop://{self.role}/{self.cell}",)

    def build(self, name: str, wiring: Wiring) -> BenchDevice:
        return KINDS[self.role](name, self, wiring)


class BenchDevice(Device):
    """What they share."""

    ATTRIBUTES: tuple[Attribute, ...] = ()

    def __init__(self, name: str, options: BenchOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self.world, self.cell_name, self.pace = WORLDS[options.world], options.cell, wiring.pace
        self.values: dict[str, Value] = {}

    @property
    def cell(self) -> Cell:
        return self.world.cells[self.cell_name]

    @property
    def faults(self) -> dict[str, Any]:
        return self.world.faults.get(self.name, {})

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        return {a.name: a for a in self.ATTRIBUTES}

    def answer(self) -> None:
        if self.faults.get("dead"):
            raise DeviceTimeout("no answer.", device=self.name)

    def connect(self) -> None:
        self.answer()

    def identify(self) -> Identity:
        self.answer()
        return Identity("Bench", type(self).__name__, f"SN-{self.name}", "1")

    def make_safe(self) -> Safety:
        self.answer()
        self.world.did(self.name, "safe")
        self.rest()
        return Safety(True, "at rest")

    def rest(self) -> None:
        """Its safe state."""

    def close(self) -> None:
        pass

    def _read(self, attribute: Attribute) -> Value:
        self.answer()
        return self.values.get(attribute.name, attribute.choices[0] if attribute.choices else 0.0)

    def _write(self, attribute: Attribute, value: Value) -> None:
        self.answer()
        what = f"{attribute.name} = {value if isinstance(value, str) else format(value, 'g')}"
        if what == self.faults.get("refuses"):
            raise DeviceFault("refused.", device=self.name, code="7")
        self.values[attribute.name] = value
        self.world.did(self.name, what)


class BenchPotentiostat(BenchDevice):
    ATTRIBUTES = (
        Attribute("current", "A", settable=True, low=-1.0, high=1.0),
        Attribute("potential", "V", settable=True, low=-3.0, high=3.0),
        Attribute("cell_voltage", "V"),
    )

    def rest(self) -> None:
        self.cell.current = 0.0
        self.stop = True

    def run(self, technique: Any, on_point: Any = None, cancelled: Event | None = None) -> Record:
        self.answer()
        cancelled, self.stop = cancelled or Event(), False
        name = type(technique).__name__
        if self.faults.get("refuses") == name:
            raise DeviceFault("refused.", device=self.name, code="7")
        self.world.did(self.name, f"begin {name}")
        points: list[Point] = []
        if isinstance(technique, Impedance):
            high, low, count = technique.high, technique.low, technique.points
            for i in range(count):
                f = high * (low / high) ** (i / (count - 1))
                points.append(Point(0.01 * i, frequency=f, z_real=RESISTANCE, z_imag=-1e-3 * high / f * 1e-3))
        elif isinstance(technique, CyclicVoltammetry):
            self.allow("potential", technique.vertex1)
            points = [Point(0.1 * i, technique.begin, -0.01, 1.0) for i in range(20 * technique.scans)]
            for point in points if on_point is not None else ():
                on_point(point)
        else:
            self._start(technique)
            steps = max(2, int(technique.duration / (technique.interval or 2.0)))
            for i in range(steps + 1):
                at = technique.duration * i / steps
                if cancelled.wait(technique.duration / steps / self.pace if i else 0.0) or self.stop:
                    break
                if self.faults.get("breaks") is not None and at >= self.faults["breaks"] and self.cell.current:
                    raise DeviceFault("overload.", device=self.name, code="4009")
                points.append(Point(at, self.cell.potential(), self.cell.current, 2.5 if self.cell.current else None))
                if on_point is not None:
                    on_point(points[-1])
        self.cell.current = 0.0
        self.world.did(self.name, f"end {name}")
        ended = "cancelled" if cancelled.is_set() or self.stop else "planned"
        return Record(technique, tuple(points), datetime.now(UTC), ended, 0, "told")

    def _start(self, technique: Any) -> None:
        if not self.cell.connected:
            raise DeviceFault("the circuit is open.", device=self.name, code="open")
        if isinstance(technique, OpenCircuit):
            return
        if isinstance(technique, ChronoPotentiometry):
            self.allow("current", technique.current)
            self.cell.current = technique.current
            return
        self.allow("potential", technique.potential)
        low, high = 1e-6, 1.0  # the current at which the Tafel line and the ohmic drop meet the potential
        for _ in range(60):
            middle = math.sqrt(low * high)
            self.cell.current = -middle
            low, high = (middle, high) if self.cell.potential() > technique.potential else (low, middle)


class BenchGas(BenchDevice):
    ATTRIBUTES = (
        Attribute("setpoint", "sccm", settable=True, low=0.0, high=100.0),
        Attribute("flow", "sccm", accuracy=0.005),
        Attribute("gas", settable=True, choices=("CO2", "Ar")),
    )

    def rest(self) -> None:
        self.cell.flow = 0.0

    def _read(self, attribute: Attribute) -> Value:
        return self.cell.flow if attribute.name == "flow" else super()._read(attribute)

    def _write(self, attribute: Attribute, value: Value) -> None:
        super()._write(attribute, value)
        if attribute.name == "gas":
            self.cell.gas = str(value).lower()
        else:
            self.cell.flow = float(value)


class BenchOutlet(BenchDevice):
    ATTRIBUTES = (Attribute("flow", "sccm", accuracy=0.005),)

    def _read(self, attribute: Attribute) -> Value:
        self.answer()
        return self.cell.outlet()


class BenchPump(BenchDevice):
    ATTRIBUTES = (Attribute("rate", "mL/min", settable=True, low=0.0, high=20.0),)

    def rest(self) -> None:
        self.values["rate"] = 0.0


class BenchBath(BenchDevice):
    ATTRIBUTES = (
        Attribute("temperature", "degC", floor=0.1),
        Attribute("setpoint", "degC", settable=True, low=5.0, high=80.0),
        Attribute("control", settable=True, choices=("off", "on")),
    )

    def _read(self, attribute: Attribute) -> Value:
        on = self.values.get("control") == "on"
        return (
            (self.values.get("setpoint", 25.0) if on else 25.0)
            if attribute.name == "temperature"
            else super()._read(attribute)
        )

    def rest(self) -> None:
        self.values["control"] = "off"


class BenchProbe(BenchDevice):
    ATTRIBUTES = (Attribute("ph", "", floor=0.02),)

    def _read(self, attribute: Attribute) -> Value:
        self.answer()
        return 7.2


class BenchSelector(BenchDevice):
    ATTRIBUTES = (Attribute("position", "", settable=True, low=1, high=8),)

    def _write(self, attribute: Attribute, value: Value) -> None:
        super()._write(attribute, value)
        self.world.position = int(float(value))


class BenchChromatograph(BenchDevice):
    ATTRIBUTES = (Attribute("state", choices=("ready", "running"), settable=True),)
    RUN = 120.0

    def start(self, name: str = "", tags: Any = ()) -> Any:
        self.answer()
        self.allow("state", "running")
        with self.world.lock:
            if self.values.get("state") == "running":
                raise DeviceFault("busy.", device=self.name, code="500")
            self.values["state"] = "running"
        self.world.did(self.name, f"inject {name}")
        return SimpleNamespace(asked=time.monotonic(), fractions=dict(self.world.at_valve()), name=name)

    def wait(self, token: Any, cancelled: Event, timeout: float) -> Any:
        try:
            if cancelled.wait(self.RUN / self.pace):
                raise ExecutionCancelled("it was cancelled.")
            if token.name.endswith(tuple(self.faults.get("lost", ()))):
                raise DeviceFault("there is no new run.", device=self.name, code="lost-run")
        finally:
            self.values["state"] = "ready"
            self.world.did(self.name, f"done {token.name}")
        rows = [
            {
                "injection": 1,
                "time/s": 0.0,
                "species": species,
                "area/uV s": RESPONSE[species] * share,
                "retention/s": RETENTION[species],
            }
            for species, share in token.fractions.items()
            if species in RESPONSE
        ]
        return SimpleNamespace(content=b"{}", recording=SimpleNamespace(signals={"chromatograph": pd.DataFrame(rows)}))


class BenchRobot(BenchDevice):
    ATTRIBUTES = (Attribute("volume", "uL", settable=True, low=1.0, high=300.0),)

    def transfer(self, source: str, target: str, volume: float, *, cancelled: Event | None = None) -> None:
        self.answer()
        self.allow("volume", volume)
        if self.faults.get("fails at") == target:
            raise DeviceFault("no tip.", device=self.name, code="tip")
        with self.world.lock:
            into = self.world.vessels.setdefault(target, {})
            content = self.world.vessels.get(source, {source: volume})
            total = sum(content.values())
            for what, amount in content.items():
                into[what] = into.get(what, 0.0) + amount * volume / total
        self.world.did(self.name, f"{source} > {target}: {volume:g}")


class BenchNode(BenchDevice):
    ATTRIBUTES = (Attribute("state", choices=("idle",)),)

    def call(self, action: str, **arguments: Any) -> None:
        self.answer()
        if self.faults.get("refuses") == action:
            raise DeviceFault("refused.", device=self.name, code="7")
        self.world.did(self.name, f"{action} {arguments}")


class BenchRelay(BenchDevice):
    """Its contacts are named after the cells; all are open when it is safe."""

    ATTRIBUTES = (Attribute("cell-1", settable=True, choices=("open", "closed")),)

    def rest(self) -> None:
        self._connect("cell-1", "open")

    def _write(self, attribute: Attribute, value: Value) -> None:
        super()._write(attribute, value)
        self._connect(attribute.name, str(value))

    def _connect(self, cell: str, state: str) -> None:
        self.values[cell] = state
        self.world.cells[cell].connected = state == "closed"
        if state == "open":
            self.world.cells[cell].current = 0.0


KINDS: dict[str, type[BenchDevice]] = {
    "relay": BenchRelay,
    "potentiostat": BenchPotentiostat,
    "gas": BenchGas,
    "outlet": BenchOutlet,
    "pump": BenchPump,
    "bath": BenchBath,
    "ph": BenchProbe,
    "selector": BenchSelector,
    "chromatograph": BenchChromatograph,
    "robot": BenchRobot,
    "node": BenchNode,
}


def bench_data(world: str, **more: Any) -> dict[str, Any]:
    """A rig file of two flow cells that share robot, chromatograph and selector."""

    def device(role: str, **options: Any) -> dict[str, Any]:
        return {"kind": "bench:BenchOptions", "role": role, "world": world, **options}

    devices: dict[str, Any] = {name: device(name) for name in ("robot", "chromatograph", "selector", "node", "relay")}
    cells: dict[str, Any] = {}
    for n in (1, 2):
        cell = f"cell-{n}"
        own = {
            "potentiostat": "potentiostat",
            "co2": "gas",
            "outlet": "outlet",
            "pump": "pump",
            "rinse": "pump",
            "ph": "ph",
        }
        devices |= {f"{name}-{n}": device(role, cell=cell) for name, role in own.items()}
        devices[f"potentiostat-{n}"]["limits"] = {"current": {"low": -0.5, "high": 0.0}}
        cells[cell] = {
            "kind": "gde",
            "area": "1.00 +/- 0.02 cm2",
            "membrane": "aem",
            "regime": "neutral",
            "reference": {"electrode": "Ag/AgCl (3 M KCl)"},
            "ph_expected": "7.2",
            "temperature": "25 degC",
            "flow_reference": {"temperature": "0 degC", "pressure": "101.325 kPa"},
            "headspace": "1 mL",
            "loop_time": "1 s",
            "catholyte": "20 mL",
            "accuracy": {"current": "0.2 %", "potential": "1 mV"},
            "stream": n,
            "roles": {
                "potentiostat": f"potentiostat-{n}",
                "gas": f"co2-{n}",
                "outlet": f"outlet-{n}",
                "electrolyte_pump": f"pump-{n}",
                "rinse_pump": f"rinse-{n}",
                "ph": f"ph-{n}",
                **({"disconnect": "relay/cell-1"} if n == 1 else {}),
            },
        }
    data: dict[str, Any] = {
        "version": 1,
        "name": "bench",
        "pace": PACE,
        "devices": devices,
        "cells": cells,
        "shared": {name: name for name in ("robot", "chromatograph", "selector", "node")},
        "settings": {"cation": "K", "concentration": 1.0},
        "safety": {"bound": "1 s"},
        "stock": {
            "precursors": {
                element: {
                    "element": element,
                    "concentration": "100 +/- 1 mmol/L",
                    "volume": "15 mL",
                    "place": f"rack/A{n}",
                }
                for n, element in enumerate(("Cu", "Ag"), start=1)
            },
            "tips": {"count": 960},
            "blanks": {"places": "holder/A1..B6"},
            "vessels": {"places": "plate/A1..H12"},
            "vials": {"places": "vials/A1..D6"},
            "gases": {"co2": {"volume": "500 L"}},
            "rinse": {"volume": "2 L"},
            "waste": {"capacity": "5 L"},
            "check_gases": {
                "check": {"volume": "50 L", "fractions": {"h2": "0.0100 +/- 0.0001", "co": "0.0100 +/- 0.0001"}}
            },
        },
        "recipe": {"amount": "20 umol", "minimum": "2 uL", "largest": "300 uL"},
        "procedure": {
            "name": "constant_current",
            "duration": "900 s",
            "gas_flow": 20,
            "electrolyte_flow": 5,
            "purge": "120 s",
            "open_circuit": "20 s",
            "injections": {"first": "240 s", "every": "300 s", "flush": "20 s", "busy": "150 s", "timeout": "300 s"},
            "rinse": {"volume": "5 mL", "times": 1, "rate": 10},
            "mount": {"by": "robot", "seconds": 10},
            "products": ["h2", "co"],
            "expected": ["h2", "co"],
        },
    }
    return {**data, **more}


def records(**changed: Any) -> list[Calibration]:
    return [
        Calibration(
            **{
                "device": "",
                "species": species,
                "date": "2026-04-20",
                "expires": "2026-05-20",
                "coefficients": (0.0, RESPONSE[species]),
                "covariance": ((0.0, 0.0), (0.0, (0.01 * RESPONSE[species]) ** 2)),
                "signal_unit": "uV s",
                "low": 1e-5,
                "high": 0.2,
                "detection_limit": 1e-6,
                "repeatability": 0.01,
                **changed,
            }
        )
        for species in ("h2", "co")
    ]


def bench(folder: Path, *, calibrated: bool = True, parameters: tuple[str, ...] = (), **more: Any) -> RigLab:
    """A laboratory, not yet opened, and its world under the folder's name."""
    name = str(folder)
    WORLDS.setdefault(name, World())
    if calibrated and not (folder / "calibrations").is_dir():
        save(folder / "calibrations", records())
    file = RigFile.parse(bench_data(name, **more))
    return RigLab(file, folder, parameters, today=lambda: TODAY, guarded=False)


def world_of(lab: RigLab) -> World:
    return WORLDS[str(lab.folder)]


@dataclass
class Attempt:
    """A context as the loop hands it down."""

    files: Path
    cell: str = "cell-1"
    sample: str = "s-1"
    attempt: int = 1
    seed: int = 0
    cancelled: Event = field(default_factory=Event)
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    leased: list[str] = field(default_factory=list)
    kept: list[Measurement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files.mkdir(parents=True, exist_ok=True)

    @property
    def clock(self) -> Any:
        return SimpleNamespace(virtual=False, now=time.monotonic)

    def journal(self, step: str, kind: StepKind) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def write() -> Any:
            self.steps.append(("begin", step, kind))
            yield
            self.steps.append(("end", step, kind))

        return write()

    def lease(self, device: str) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def hold() -> Any:
            self.leased.append(device)
            yield

        return hold()

    def keep(self, measurement: Measurement) -> None:
        self.kept.append(measurement)
