"""Devices that are nothing but memory, with faults and delays; rig files name their options `devices:MemoryOptions`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import Event, RLock
from typing import Any

from instruments.device import Attribute, Device, DeviceOptions, Identity, Safety, Value, Wiring
from instruments.errors import CommunicationError, DeviceTimeout

ATTRIBUTES = {
    "potentiostat": {
        "current": Attribute("current", "A", settable=True, low=-2.0, high=2.0),
        "potential": Attribute("potential", "V", settable=True, low=-3.0, high=3.0),
        "cell_voltage": Attribute("cell_voltage", "V"),
    },
    "gas": {
        "flow": Attribute("flow", "sccm", settable=True, low=0.0, high=100.0),
        "setpoint": Attribute("setpoint", "sccm", settable=True, low=0.0, high=100.0),
        "pressure": Attribute("pressure", "bar"),
    },
    "pump": {"rate": Attribute("rate", "mL/min", settable=True, low=0.0, high=20.0)},
    "bath": {"temperature": Attribute("temperature", "degC", settable=True, low=5.0, high=90.0)},
    "relay": {
        "cell-1": Attribute("cell-1", settable=True, choices=("open", "closed")),
        "cell-2": Attribute("cell-2", settable=True, choices=("open", "closed")),
    },
    "detector": {"value": Attribute("value", "ppm"), "state": Attribute("state", choices=("released", "pressed"))},
    "other": {"position": Attribute("position", "", settable=True, low=1, high=8)},
}
SAFE: dict[str, dict[str, Value]] = {
    "potentiostat": {"current": 0.0},
    "gas": {"flow": 0.0, "setpoint": 0.0},
    "pump": {"rate": 0.0},
    "bath": {"temperature": 25.0},
    "relay": {"cell-1": "open", "cell-2": "open"},
    "detector": {},
    "other": {},
}


@dataclass
class Memory:
    """The truth about a device, which outlives the object that drives it.

    Attributes:
        values: by attribute.
        log: what was done, with `time.monotonic()`.
        faults: `dead` (nothing answers, after `delay`), `unconfirmed` (safe is not confirmed), `fails` (so many tries),
            `hangs` (until the event is set), `unreadable`.
        delay: s, of everything.
    """

    values: dict[str, Value]
    log: list[tuple[float, str]] = field(default_factory=list)
    faults: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0

    def note(self, what: str) -> None:
        self.log.append((time.monotonic(), what))

    def when(self, what: str) -> float:
        """When something was first done."""
        return next(at for at, done in self.log if done == what)

    def did(self, what: str) -> int:
        return sum(done == what for _, done in self.log)


class MemoryDevice(Device):
    def __init__(self, name: str, options: "MemoryOptions", wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self.role, self.lock = options.role, RLock()
        values: dict[str, Value] = {n: a.choices[0] if a.choices else 0.0 for n, a in self.attributes.items()}
        self.memory = Memory(values)

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        return ATTRIBUTES[self.role]

    def _answer(self) -> None:
        time.sleep(self.memory.delay)
        hangs = self.memory.faults.get("hangs")
        if isinstance(hangs, Event):
            hangs.wait()
        if self.memory.faults.get("dead"):
            raise DeviceTimeout("no answer.", device=self.name)

    def connect(self) -> None:
        self._answer()
        self.memory.note("connect")

    def identify(self) -> Identity:
        self._answer()
        self.memory.note("identify")
        identity = Identity("Memory", self.role, f"SN-{self.name}", "1")
        self._check_serial(identity)
        return identity

    def make_safe(self) -> Safety:
        self.memory.note("try safe")
        self._answer()
        if self.memory.faults.get("fails", 0) > 0:
            self.memory.faults["fails"] -= 1
            raise CommunicationError("lost.", device=self.name)
        if self.memory.faults.get("unconfirmed"):
            return Safety(False, "it says that it is on")
        self.memory.values.update(SAFE[self.role])
        self.memory.note("safe")
        return Safety(True, f"reads {SAFE[self.role]}")

    def alarm(self) -> None:
        """What a driver does that cannot talk with its device."""
        self._wiring.alarm(self.name, DeviceTimeout("no answer.", device=self.name))

    def close(self) -> None:
        self.memory.note("close")

    def _read(self, attribute: Attribute) -> Value:
        self._answer()
        if self.memory.faults.get("unreadable"):
            raise DeviceTimeout("no answer.", device=self.name)
        return self.memory.values[attribute.name]

    def _write(self, attribute: Attribute, value: Value) -> None:
        self._answer()
        self.memory.values[attribute.name] = value
        if attribute.name == "setpoint":
            self.memory.values["flow"] = value
        self.memory.note(f"set {attribute.name} {value}")


class MemoryOptions(DeviceOptions):
    role: str
    address: str = "/dev/ttyUSB0"

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.address,)

    def build(self, name: str, wiring: Wiring) -> MemoryDevice:
        return MemoryDevice(name, self, wiring)


_NUMBERS = count()


def memory(role: str, **more: Any) -> dict[str, Any]:
    """The block of a device in a rig file."""
    return {"kind": "devices:MemoryOptions", "role": role, "address": f"/dev/ttyUSB{next(_NUMBERS)}", **more}


def rig_data(**more: Any) -> dict[str, Any]:
    """A rig of two cells with everything that the safety of a rig needs, as plain data."""
    cell = {"kind": "gde", "area": "1.00 +/- 0.02 cm2"}
    roles = {"electrolyte_pump": "pump-{0}", "gas": "co2-{0}", "potentiostat": "potentiostat-{0}"}
    return {
        "version": 1,
        "name": "twin-cells",
        "devices": {
            "valve": memory("other"),
            "relay": memory("relay"),
            "pump-1": memory("pump"),
            "pump-2": memory("pump"),
            "co2-1": memory("gas", limits={"flow": {"low": 0, "high": 60}}),
            "co2-2": memory("gas", limits={"flow": {"low": 0, "high": 60}}),
            "bath": memory("bath"),
            "co-detector": memory("detector"),
            "potentiostat-1": memory("potentiostat", limits={"current": {"low": -0.9, "high": 0.0}}),
            "potentiostat-2": memory("potentiostat", limits={"current": {"low": -0.9, "high": 0.0}}),
        },
        "cells": {
            f"cell-{n}": {
                **cell,
                "stream": n,
                "roles": {
                    **{role: name.format(n) for role, name in roles.items()},
                    **({"disconnect": "relay/cell-1"} if n == 1 else {}),
                },
            }
            for n in (1, 2)
        },
        "shared": {"selector": "valve", "bath": "bath"},
        **more,
    }
