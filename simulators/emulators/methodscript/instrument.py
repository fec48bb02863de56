"""A potentiostat that speaks MethodSCRIPT, as a host sees it: commands, scripts, and how long it is deaf."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from types import MappingProxyType
from typing import ClassVar, Final

from simulators.emulators.alone import DummyCell
from simulators.emulators.methodscript.engine import Gone, Run
from simulators.emulators.methodscript.hardware import Hardware
from simulators.emulators.methodscript.loops import Switches
from simulators.emulators.methodscript.models import COMMUNICATION, MODELS, SCRIPTING, mask
from simulators.emulators.methodscript.script import Program, ScriptError, load
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Electrodes
from simulators.emulators.wire import Session, StreamEmulator, Wire
from simulators.errors import EmulatorError

DEAF: Final = 0.05
"""After an error nothing is heard, s."""
LONGEST: Final = 256
"""Characters of a command."""


class MethodScriptEmulator(StreamEmulator):
    """An EmStat Pico, EmStat4 or Nexus with a cell.

    Faults of its own: see :attr:`own_faults`. A script whose host has gone runs on, and says the rest to the next one.

    Args:
        name: of the device.
        electrodes: the cell; a resistor and a capacitor by default.
        pace: of time.
        family: ``espico``, ``es4_lr``, ``es4_hr`` or ``nexus1``.
        serial: number.
        wire: what it listens on.
        host: address to listen on, for TCP.
        port: for TCP; 0 takes a free one.

    Raises:
        EmulatorError: there is no such family.
    """

    terminator = b"\n"
    own_faults: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "runtime_error": "an error with `code` (a number) ends the script at its next point; the cell stays on",
            "overload": "what is measured is flagged as overloaded, as long as it is armed",
            "freeze": "as long as it is armed nothing is heard and nothing goes on; the cell stays on",
            "no_cell_off": "switching the cell off fails with an error",
            "reset": "at the next point or command it starts anew: the cell is off, the script gone, without a word",
        }
    )

    def __init__(
        self,
        name: str,
        *,
        electrodes: Electrodes | None = None,
        pace: Pace | None = None,
        family: str = "nexus1",
        serial: str = "NEX24A0001",
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        if family not in MODELS:
            raise EmulatorError(
                f"there is no family {family!r}.", field="family", mend=f"Known: {', '.join(sorted(MODELS))}."
            )
        self._family, self._serial = family, serial
        model = MODELS[family]
        self._hardware = Hardware(model, electrodes or DummyCell(), self.faults)
        self._switches, self._pace = Switches(), pace or Pace()
        self._version = model.version
        self._registers = {"01": "00000000", "06": f"{int.from_bytes(serial.encode()[:8], 'big'):016X}"}
        self._loading: tuple[str, list[str]] | None = None
        self._program: Program | None = None
        self._flash: Program | None = None
        self._running = False
        self._deaf_until = 0.0
        self._hearer: Session | None = None
        self._speaking = Lock()

    # What hosts see

    def opened(self, session: Session) -> None:
        """A host has connected: from now on it hears what is said."""
        self._hearer = session

    def answer(self, frame: bytes, session: Session) -> bytes | None:
        """One line from a host."""
        self._hearer = session
        if time.monotonic() < self._deaf_until or self.faults.holds("freeze"):
            return None
        if not self._running and self.faults.take("reset"):
            self._hardware.reset()
            self._loading = self._program = None
            return None
        line = frame.decode("ascii", "replace").rstrip("\r")
        if self._loading is not None:
            return self._loaded(line)
        if len(line) > LONGEST:
            return self._refuse(line, 0x0008)
        return self._meanwhile(line) if self._running else self._command(line) if line else b"\n"

    def state(self) -> Mapping[str, object]:
        """What is true of it."""
        hardware = self._hardware
        return {
            "family": self._family,
            "cell_on": hardware.cell_on,
            "mode": hardware.mode,
            "target": hardware.target,
            "running": self._running,
            "loading": self._loading is not None,
        }

    def stop(self) -> None:
        """End all connections and threads."""
        self.stopping.set()
        self._switches.touched.set()
        super().stop()
        self._running = False

    # Commands

    def _command(self, line: str) -> bytes | None:
        """A command while no script runs."""
        answer: bytes | None = None
        if line in ("e", "l"):
            self._loading = (line, [])
        elif line == "r" and self._program is not None:
            self._say("r")
            self._begin(self._program)
        elif line in ("Fmscr", "Lmscr"):
            answer = self._kept(line)
        elif line[0] in "GS" and len(line) >= 3:
            answer = self._register(line)
        else:
            answer = self._told(line)
        return answer

    def _told(self, line: str) -> bytes:
        """What it says of itself, and what it refuses."""
        told = {
            "": "",
            "t": self._firmware(),
            "i": f"i{self._serial}",
            "v": "v0108",
            "CC": f"C{mask(COMMUNICATION)}",
            "CM": f"C{mask(SCRIPTING)}",
        }
        if line in told:
            return told[line].encode() + b"\n"
        codes = {"r": 0x000C, **dict.fromkeys("ZYhHR", 0x0006)}
        return self._refuse(line, codes.get(line, 0x0003))

    def _meanwhile(self, line: str) -> bytes | None:
        """A command while a script runs."""
        switches = self._switches
        if line == "t":
            return self._firmware().encode() + b"\n"
        if line not in ("Z", "Y", "h", "H", "R"):
            return self._refuse(line, 0x0006) if line else None
        self._say(line)
        if line == "Z":
            switches.aborted = True
        elif line == "Y":
            switches.broken = True
        elif line == "R":
            switches.reversed = True
        else:
            switches.halted = line == "h"
        switches.touched.set()
        return None

    def _firmware(self) -> str:
        return f"t{self._family}{self._version}#Sep 30 2025 12:00:00\nR*"

    def _register(self, line: str) -> bytes:
        number, value = line[1:3].upper(), line[3:]
        if number not in self._registers:
            return self._refuse(line, 0x0004)
        if line[0] == "G":
            return f"G{self._registers[number]}\n".encode()
        if number != "01":
            return self._refuse(line, 0x0005)
        self._registers[number] = value
        return b"S\n"

    def _kept(self, line: str) -> bytes:
        """Store the loaded script, or load the stored one."""
        source = self._program if line[0] == "F" else self._flash
        if source is None:
            return self._refuse(line, 0x000C)
        self._program = self._flash = source
        return line[:1].encode() + b"\n"

    def _loaded(self, line: str) -> bytes | None:
        """A line of a script; the empty one ends it."""
        assert self._loading is not None  # noqa: S101  the caller has looked
        command, lines = self._loading
        if line:
            lines.append(line)
            return None
        self._loading = self._program = None
        try:
            program = self._program = load(lines)
        except ScriptError as problem:
            return self._refuse(command, problem.code, f": Line {problem.line}, Col {problem.column}")
        self._say(command)
        if command == "e":
            self._begin(program)
        return None

    def _refuse(self, line: str, code: int, where: str = "") -> bytes:
        self._deaf_until = time.monotonic() + DEAF
        return f"{line[:1]}!{code:04X}{where}\n".encode("ascii", "replace")

    # Scripts

    def _begin(self, program: Program) -> None:
        self._switches = Switches()
        self._running = True
        self._run(self._execute, program)

    def _execute(self, program: object) -> None:
        assert isinstance(program, Program)  # noqa: S101  threads of the base class take any argument
        try:
            last = Run(
                program, self._hardware, self._switches, self._pace, self.faults, self.stopping, self._say
            ).to_end()
        except Gone:
            self._running, self._loading = False, None
            return
        if last:
            self._deaf_until = time.monotonic() + DEAF
        self._running = False
        self._say(last)

    def _say(self, line: str) -> None:
        """Send a line to the host that spoke or connected last."""
        with self._speaking:
            if self._hearer is not None:
                self._hearer.reply(line.encode("ascii", "replace") + b"\n")
