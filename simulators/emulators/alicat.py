"""Alicat mass-flow and pressure controllers and meters, as their ASCII protocol shows them.

Sources: Alicat Serial Primer, rev. 2 (2023); replies of real devices with firmware 5v12 (2015) to 10v20 (2025), which
the alicatlib package publishes. Firmware before 6v describes its data frame in another table, and letters mean other
things to it: ``L`` locks the display, whatever follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from threading import Thread
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from simulators.emulators import _alicat_tables as tables
from simulators.emulators._alicat_tables import Kind
from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Flow
from simulators.emulators.wire import Session, StreamEmulator, Wire

PSI: Final = 0.0689475729
"""bar."""
STANDARD: Final = 298.15 / 273.15
"""sccm of the device (25 degrees Celsius) in one at 0 degrees Celsius."""
FACTORS: Final[Mapping[str, float]] = MappingProxyType({"SCCM": 1.0, "SLPM": 1e-3})
"""Of a unit of flow, in one sccm of the device."""
CODES: Final[Mapping[str, str]] = MappingProxyType({"SCCM": "12", "SLPM": "07", "PSIA": "10"})
"""Numbers of units."""
GASES: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        0: ("Air", "Air"),
        1: ("Ar", "Argon"),
        2: ("CH4", "Methane"),
        3: ("CO", "Carbon Monoxide"),
        4: ("CO2", "Carbon Dioxide"),
        5: ("C2H6", "Ethane"),
        6: ("H2", "Hydrogen"),
        7: ("He", "Helium"),
        8: ("N2", "Nitrogen"),
        9: ("N2O", "Nitrous Oxide"),
        10: ("Ne", "Neon"),
        11: ("O2", "Oxygen"),
        15: ("C2H4", "Ethylene"),
    }
)
"""Short and long names by number."""
MODERN_LAYOUT: Final = (6, 0)
MODERN_SETPOINT: Final = (9, 0)
MODERN_GAS: Final = (10, 5)
BUTTONS: Final = 64000
"""Full scale of the integer set point."""
STREAMED: Final = 0.05
"""Between frames of the streaming mode, s."""


class AlicatEmulator(StreamEmulator):
    """One Alicat device.

    Args:
        name: of the device in its rig.
        flow: the line that it controls or meters: sccm (at 0 degrees Celsius, 101.325 kPa), or bar.
        kind: what it is.
        unit: its letter on the line.
        firmware: such as ``10v20.0-R24`` or ``5v12.0-R22``.
        full_scale: in ``flow_unit``, or in PSIA.
        flow_unit: of its mass flow.
        gas: that it is set to.
        serial: number.
        pressure: of the gas in a flow controller, bar.
        temperature: degrees Celsius.
        beside: another device, on whose wire this one is.
        pace: of the laboratory; answers come in real time.
        wire: what it listens on.
        host: address to listen on, for TCP.
        port: for TCP; 0 takes a free one.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "stuck_flow": "the valve no longer follows the set point",
        "offset": "flow or pressure reads higher by `value`, in the device's unit",
        "refuse": "the next command is answered with ?",
        "analog": "set points come from the analogue input: those from the line are passed over",
        "deaf": "commands of controllers are not answered, as a meter does",
        **{f"status_{word.lower()}": f"the data frame ends with {word}" for word in tables.WORDS},
    }

    def __init__(
        self,
        name: str,
        *,
        flow: Flow | None = None,
        kind: Kind = "flow",
        unit: str = "A",
        firmware: str = "10v20.0-R24",
        full_scale: float = 500.0,
        flow_unit: Literal["SCCM", "SLPM"] = "SCCM",
        gas: str = "CO2",
        serial: str = "521641",
        pressure: float = 1.01,
        temperature: float = 21.9,
        beside: AlicatEmulator | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self.flow: Flow = flow or Settable()
        self.pace = pace or Pace()
        self.kind, self.unit, self.full_scale, self.flow_unit, self.serial = kind, unit, full_scale, flow_unit, serial
        self.firmware = firmware
        major, minor = firmware.split("v")
        self.version = (int(major), int(minor[:2]))
        self.pressure, self.temperature = pressure, temperature
        self.gas = next(code for code, (short, _) in GASES.items() if short == gas)
        self.setpoint = 0.0
        self.held: Literal["", "position", "closed"] = ""
        self.locked = False
        self.streaming = False
        self.heard: list[str] = []
        self._beside = beside
        self._neighbours: list[AlicatEmulator] = []

    # On the wire

    @property
    def address(self) -> str:
        """Where it listens: the wire of the device that it is beside."""
        return super().address if self._beside is None else self._beside.address

    def start(self) -> None:
        """Begin to listen."""
        if self._beside is None:
            super().start()
        elif self not in self._beside._neighbours:
            self._beside._neighbours.append(self)

    def stop(self) -> None:
        """End all connections and threads, or leave the other's wire."""
        self.streaming = False
        if self._beside is None:
            super().stop()
        elif self in self._beside._neighbours:
            self._beside._neighbours.remove(self)

    def answer(self, frame: bytes, session: Session) -> bytes | None:
        """The line's answer: that of the device whose letter begins the command."""
        text = frame.decode("latin-1").strip().upper()
        for device in (self, *self._neighbours):
            lines = device._hear(text, session)
            if not lines:
                continue
            data = "".join(f"{line}\r" for line in lines).encode("latin-1")
            if device is self:
                return data
            Session(device, session.send, session.close).reply(data)
        return None

    def _hear(self, text: str, session: Session) -> list[str]:
        if text == f"@@ {self.unit}":
            self.streaming = False
            return []
        if self.streaming or not text.startswith(self.unit):
            return []
        self.heard.append(text)
        if text == f"{self.unit}@ @":
            self.streaming = True
            thread = Thread(target=self._stream, args=(session,), name=f"emulator-{self.name}", daemon=True)
            thread.start()
            return []
        if self.faults.take("refuse"):
            return ["?"]
        return self._command(text[1:])

    def _stream(self, session: Session) -> None:
        while self.streaming and session.open and not self.stopping.wait(STREAMED):
            session.send((self._frame()[2:] + "\r").encode("latin-1"))

    # Commands

    def _command(self, body: str) -> list[str]:
        if not body:
            return [self._frame()]
        if re.fullmatch(r"\d+", body):
            return self._controller(lambda: self._ask_for(self.full_scale * int(body) / BUTTONS))
        if self.version < MODERN_SETPOINT and body.startswith("L"):
            self.locked = True
            return [self._frame()]
        if body in ("??M*", "??D*", "??G*"):
            return self._table(body[2])
        found = re.fullmatch(r"(\$\$[RW]|\$\$|[RW]|[A-Z]+)\s*(.*)", body)
        return self._verb(found[1], found[2].strip()) if found else ["?"]

    def _verb(self, verb: str, rest: str) -> list[str]:
        if verb == "$$":
            return self._verb(rest[:1], rest[1:].strip())
        handlers: Mapping[str, Callable[[], list[str]]] = {
            "VE": self._version,
            "L": lambda: self._lock(True),
            "U": lambda: self._lock(False),
            "S": lambda: self._controller(lambda: self._asked(rest)),
            "LS": lambda: self._setpoint(rest),
            "LSS": self._source,
            "G": lambda: [self._frame()] if self._select(rest) else ["?"],
            "GS": lambda: self._gas(rest),
            "FPF": lambda: self._full_scale(rest),
            "HP": lambda: self._controller(lambda: self._hold("position")),
            "H": lambda: self._controller(lambda: self._hold("position")),
            "HC": lambda: self._controller(lambda: self._hold("closed")),
            "C": lambda: self._controller(lambda: self._hold("")),
            "V": lambda: [self._frame()],
            "PC": lambda: [self._frame()],
        }
        if verb.removeprefix("$$") in ("R", "W"):
            return self._register(rest, writing=verb.endswith("W"))
        return handlers[verb]() if verb in handlers else ["?"]

    def _version(self) -> list[str]:
        silent = self.version == (8, 17)
        return [] if silent else [f"{self.unit}   {self.firmware} Jan  9 2025,15:04:07"]

    def _lock(self, locked: bool) -> list[str]:
        self.locked = locked
        return [self._frame()]

    def _controller(self, do: Callable[[], bool | None]) -> list[str]:
        """Do what only controllers do; meters say nothing."""
        if self.kind == "meter" or self.faults.holds("deaf"):
            return []
        return ["?"] if do() is False else [self._frame()]

    def _asked(self, text: str) -> bool:
        try:
            value = float(text)
        except ValueError:
            return False
        self._ask_for(value)
        return True

    def _ask_for(self, value: float) -> None:
        if not self.faults.holds("analog"):
            self.setpoint = min(max(value, 0.0), self.full_scale)
            self._drive()

    def _drive(self) -> None:
        """Let the valve follow."""
        if self.faults.holds("stuck_flow") or self.held == "position":
            return
        wanted = 0.0 if self.held == "closed" else self.setpoint
        self.flow.set(wanted * PSI if self.kind == "pressure" else wanted / self._unit_factor)

    def _hold(self, held: Literal["", "position", "closed"]) -> None:
        self.held = held
        self._drive()

    def _setpoint(self, rest: str) -> list[str]:
        if self.kind == "meter" or self.faults.holds("deaf"):
            return []
        if rest and not self._asked(rest):
            return ["?"]
        return [f"{self.unit} {self.setpoint:+07.2f} {self.setpoint:+07.2f} {self._code} {self._label}"]

    def _source(self) -> list[str]:
        if self.kind == "meter" or self.faults.holds("deaf"):
            return []
        analog = "A" if self.faults.holds("analog") else "S"
        return ["?"] if self.version < MODERN_GAS else [f"{self.unit} {analog}"]

    def _register(self, rest: str, writing: bool) -> list[str]:
        found = re.fullmatch(r"(\d+)(?:=(\d+))?", rest.replace(" ", ""))
        if not found or writing is (found[2] is None):
            return ["?"]
        register = int(found[1])
        if register == 46:
            if writing and not self._select(found[2]):
                return ["?"]
            return [f"{self.unit}   046 = {self.gas}"]
        if register == 122 and self.kind != "meter" and not writing:
            return [f"{self.unit}   122 = {34 if self.kind == 'pressure' else 37}"]
        return ["?"]

    def _select(self, text: str) -> bool:
        code = text.partition(" ")[0]
        if not code.isdigit() or int(code) not in GASES or self.kind == "pressure":
            return False
        self.gas = int(code)
        return True

    def _gas(self, rest: str) -> list[str]:
        if self.version < MODERN_GAS:
            return [self._frame()]
        if rest and not self._select(rest):
            return ["?"]
        return [f"{self.unit} {self.gas} {GASES[self.gas][0]} {GASES[self.gas][1]}"]

    def _full_scale(self, rest: str) -> list[str]:
        if self.version < MODERN_LAYOUT:
            return ["?"]
        if rest.split()[:1] == ["2" if self.kind == "pressure" else "5"]:
            return [f"{self.unit} {self.full_scale:+07.2f} {self._code} {self._label}"]
        return ["", "?"]

    # Tables and frames

    @property
    def _unit_factor(self) -> float:
        """The device's unit of flow in one sccm at 0 degrees Celsius."""
        return STANDARD * FACTORS[self.flow_unit]

    @property
    def _label(self) -> str:
        return "PSIA" if self.kind == "pressure" else self.flow_unit

    @property
    def _code(self) -> str:
        return CODES[self._label]

    def _table(self, name: str) -> list[str]:
        if name == "M":
            return tables.maker(self.unit, self.kind, f"{self.full_scale:g}{self._label}", self.serial, self.firmware)
        if name == "G":
            return (
                ["?"]
                if self.kind == "pressure"
                else [f"{self.unit} G{code:02d} {g[0]:>8}" for code, g in GASES.items()]
            )
        if self.version >= MODERN_LAYOUT:
            return tables.layout(self.unit, self.kind, self._label, self._code)
        return tables.old_layout(self.unit, self.kind, self._label, self.full_scale)

    def _measured(self) -> float:
        """Flow or pressure as the device shows it, in its unit."""
        true = self.flow.value()
        shown = true / PSI if self.kind == "pressure" else true * self._unit_factor
        if self.faults.holds("offset") and (fault := self.faults.take("offset")):
            shown += fault.values.get("value", 0.0)
        return shown

    def _frame(self) -> str:
        shown = self._measured()
        modern = self.version >= MODERN_LAYOUT
        parts = [self.unit]
        if self.kind == "pressure":
            parts += [f"{shown:+07.2f}", f"{self.setpoint:+07.2f}" if modern else f"{self.setpoint:06.2f}"]
        else:
            pressure = self.pressure / PSI
            volume = shown * 14.696 / pressure * (self.temperature + 273.15) / 298.15
            form = "+07.2f" if modern else "+07.1f"
            parts += [f"{pressure:+07.2f}", f"{self.temperature:+07.2f}", f"{volume:{form}}", f"{shown:{form}}"]
            if self.kind == "flow":
                parts.append(f"{self.setpoint:+07.2f}" if modern else f"{self.setpoint:06.1f}")
            parts.append(f"{GASES[self.gas][0]:>6}")
        return " ".join([*parts, *self._status(shown)])

    def _status(self, shown: float) -> list[str]:
        said = {word for word in tables.WORDS if self.faults.holds(f"status_{word.lower()}")}
        if self.held:
            said.add("HLD")
        if self.locked:
            said.add("LCK")
        if abs(shown) > 1.28 * self.full_scale:
            said.add("POV" if self.kind == "pressure" else "MOV")
        return [word for word in tables.WORDS if word in said]

    def state(self) -> Mapping[str, object]:
        """Set point and flow in the device's unit, the valve, the gas, and what it heard."""
        true = self.flow.value()
        return {
            "setpoint": self.setpoint,
            "flow": true / PSI if self.kind == "pressure" else true * self._unit_factor,
            "true": true,
            "unit": self._label,
            "gas": GASES[self.gas][0],
            "held": self.held,
            "locked": self.locked,
            "streaming": self.streaming,
        }
