"""What runs scripts: variables, conditions, time, and packages.

An error while a script runs ends it where it is: ``on_finished:`` is not reached, and the cell stays as it was.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import Final

from simulators.emulators.faults import Faults
from simulators.emulators.methodscript.digits import packed, read
from simulators.emulators.methodscript.hardware import Fault, Hardware, Value
from simulators.emulators.methodscript.loops import Loops, Switches
from simulators.emulators.methodscript.script import Program, Statement
from simulators.emulators.pace import Pace

MEASURED: Final = frozenset({"ba", "ab", "ac", "ag", "cc", "cd"})
"""Types of variable whose packages carry status and range."""
TECHNIQUES: Final[Mapping[str, str]] = {
    "meas_loop_lsv": "0000", "meas_loop_cv": "0005", "meas_loop_ca": "0007", "meas_loop_cp": "000A",
    "meas_loop_ocp": "000B", "meas_loop_eis": "000D",
}  # fmt: skip
OUTPUTS: Final[Mapping[str, int]] = {"meas_loop_ocp": 1, "meas_loop_eis": 3}
"""Variables that a loop writes, where they are not two."""
COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
COMPUTE: Final[Mapping[str, Callable[[float, float], float]]] = {
    "add_var": operator.add, "sub_var": operator.sub, "mul_var": operator.mul, "div_var": operator.truediv,
}  # fmt: skip


class Gone(Exception):  # noqa: N818  a name says what happened
    """The script has gone without a word: the instrument was reset, or the emulator stops."""


class _Aborted(Exception):  # noqa: N818
    """Z."""


class _Broken(Exception):  # noqa: N818
    """A loop is left."""


class Run:
    """One script while it runs.

    Args:
        program: the script.
        hardware: the potentiostat.
        switches: that commands touch.
        pace: of time.
        faults: of the instrument.
        stopping: set when the emulator ends.
        send: sends a line to the host.
    """

    def __init__(
        self,
        program: Program,
        hardware: Hardware,
        switches: Switches,
        pace: Pace,
        faults: Faults,
        stopping: Event,
        send: Callable[[str], None],
    ) -> None:
        self._program, self._hardware, self._switches = program, hardware, switches
        self._pace, self._faults, self._stopping, self._send = pace, faults, stopping, send
        self._loops = Loops(hardware, switches, self._wait)
        self._values: dict[str, Value] = {}
        self._package: list[str] | None = None
        self._plain = False
        self._clock, self._timer, self._origin = 0.0, 0.0, pace.now()
        self._finishing = False

    def to_end(self) -> str:
        """Run it; what is said last is returned.

        Raises:
            Gone: nothing is said any more.
        """
        try:
            with suppress(_Aborted):
                self._block(self._program.main)
            self._finishing = True
            self._block(self._program.finish)
        except Fault as fault:
            return f"!{fault.code:04X}: Line {fault.line}"
        return ""

    # Time

    def _look(self) -> None:
        """What commands and faults ask for.

        Raises:
            _Aborted: Z came.
            Gone: there was a reset, or the emulator stops.
        """
        while self._faults.holds("freeze") and not self._stopping.wait(0.01):
            self._origin = self._pace.now() - self._clock
        switches = self._switches
        while switches.halted and not switches.aborted and not self._stopping.is_set():
            switches.touched.wait(0.05)
            switches.touched.clear()
            self._origin = self._pace.now() - self._clock
        if self._stopping.is_set():
            raise Gone
        if self._faults.take("reset"):
            self._hardware.reset()
            raise Gone
        if switches.aborted and not self._finishing:
            raise _Aborted

    def _wait(self, seconds: float) -> None:
        """Let time of the laboratory pass, on the instrument's own clock."""
        self._clock += seconds
        while (left := self._origin + self._clock - self._pace.now()) > 0.0:
            self._look()
            if self._switches.broken:
                return
            if self._switches.touched.wait(min(left / self._pace.factor, 0.1)):
                self._switches.touched.clear()
        self._look()

    # Statements

    def _block(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            self._look()
            try:
                self._do(statement)
            except Fault as fault:
                raise Fault(fault.code, fault.line or statement.line) from None

    def _number(self, arg: str) -> float:
        if arg in self._values:
            return self._values[arg].number
        literal = read(arg)
        return 0.0 if literal is None else literal[0]  # a name that is declared and has no value yet

    def _do(self, statement: Statement) -> None:
        name, args = statement.name, statement.args
        if name.startswith("meas_loop_"):
            self._measure(statement)
        elif name in ("if", "elseif", "else", "loop", "breakloop", "abort"):
            self._flow(statement)
        elif name.startswith(("pck_", "send_")):
            self._say(name, args, statement.options)
        elif name.endswith("_var") or name in ("var", "timer_start", "timer_get"):
            self._assign(name, args)
        elif name == "wait":
            self._wait(max(self._number(args[0]), 0.0))
        elif name == "meas":
            self._wait(self._number(args[0]))
            self._values[args[1]] = self._hardware.measure(args[2])
        else:
            self._hardware.operate(name, args, self._number)

    def _flow(self, statement: Statement) -> None:
        if statement.name == "breakloop":
            raise _Broken
        if statement.name == "abort":
            raise _Aborted
        if statement.name == "loop":
            self._send("L")
            with suppress(_Broken):
                while self._holds(statement):
                    self._look()
                    self._block(statement.body)
            self._send("+")
        else:
            self._block(statement.body if self._holds(statement) else statement.otherwise)

    def _holds(self, statement: Statement) -> bool:
        if statement.name == "else":
            return True
        left, comparison, right = statement.args
        return COMPARE[comparison](self._number(left), self._number(right))

    def _say(self, name: str, args: Sequence[str], options: Mapping[str, Sequence[str]]) -> None:
        if name == "send_string":
            self._send(f"T{args[0]}")
        elif name == "pck_start":
            self._package, self._plain = [], options.get("meta_msk") == ["0x00"]
        elif self._package is None:
            raise Fault(0x401B)
        elif name == "pck_end":
            self._send("P" + ";".join(self._package))
            self._package = None
        else:
            value = self._values.get(args[0], Value())
            text = value.kind + packed(value.number, value.integer)
            if value.kind in MEASURED and not self._plain:
                text += f",1{value.status:X},2{value.range or 0:02X}"
            self._package.append(text)

    def _assign(self, name: str, args: Sequence[str]) -> None:
        values = self._values
        if name == "timer_start":
            self._timer = self._clock
        elif name == "timer_get":
            values[args[0]] = Value(self._clock - self._timer, "eb")
        elif name == "store_var":
            number, integer = read(args[1]) or (0.0, False)
            values[args[0]] = Value(number, args[2], integer)
        elif name == "copy_var":
            values[args[1]] = values.get(args[0], Value())
        elif name in COMPUTE:
            old, other = values.get(args[0], Value()), self._number(args[1])
            if name == "div_var" and other == 0.0:
                raise Fault(0x0028)
            values[args[0]] = Value(COMPUTE[name](old.number, other), old.kind, old.integer)

    # Measurement loops

    def _measure(self, statement: Statement) -> None:
        outputs = OUTPUTS.get(statement.name, 2)
        numbers = [self._number(arg) for arg in statement.args[outputs:]]
        scans = int(self._number(statement.options.get("nscans", ["1"])[0]))
        if not 1 <= scans <= 9999:
            raise Fault(0x4205)
        points = self._loops.points(statement.name, numbers, scans)
        self._send(f"M{TECHNIQUES[statement.name]}")
        self._switches.broken = False
        scan = 0
        try:
            for values in points:
                if values is None:
                    if scan:
                        self._send("-")
                    self._send(f"C{scan:04d}")
                    scan += 1
                elif self._switches.broken:
                    break
                else:
                    self._point(statement, values)
        except _Broken:
            pass
        except _Aborted:
            self._end_loop(scan)
            raise
        self._end_loop(scan)

    def _point(self, statement: Statement, values: Sequence[Value]) -> None:
        if failed := self._faults.take("runtime_error"):
            raise Fault(int(failed.values.get("code", 0x0032)), statement.line)
        self._values.update(zip(statement.args, values, strict=False))
        if added := statement.options.get("add_meas"):
            self._values[added[2]] = self._hardware.measure(added[1])
        self._block(statement.body)

    def _end_loop(self, scan: int) -> None:
        if scan:
            self._send("-")
        self._send("*")
