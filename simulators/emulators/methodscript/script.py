"""Scripts: from lines to nested statements, with the complaints that an instrument has when it loads one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from simulators.emulators.methodscript.digits import read

LONGEST: Final = 127
"""Characters of a line."""
FINISHED: Final = "on_finished:"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_OPTION: Final = re.compile(r"([a-z_]+)\(([^)]*)\)")
_KIND: Final = re.compile(r"[a-j][a-z]")

ARGUMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "var": "d", "store_var": "olk", "copy_var": "no", "add_var": "ov", "sub_var": "ov", "mul_var": "ov",
        "div_var": "ov", "set_pgstat_chan": "v", "set_pgstat_mode": "v", "set_max_bandwidth": "v", "set_range": "kv",
        "set_range_minmax": "kvv", "set_autoranging": "kvv", "set_e": "v", "set_i": "v", "cell_on": "", "cell_off": "",
        "timer_start": "", "timer_get": "o", "wait": "v", "meas": "vok", "pck_start": "", "pck_add": "n", "pck_end": "",
        "send_string": "s", "abort": "", "breakloop": "", "if": "vcv", "elseif": "vcv", "else": "", "endif": "",
        "loop": "vcv", "endloop": "", "meas_loop_ocp": "ovv", "meas_loop_ca": "oovvv", "meas_loop_cp": "oovvv",
        "meas_loop_lsv": "oovvvv", "meas_loop_cv": "oovvvvv", "meas_loop_eis": "ooovvvvv",
    }
)  # fmt: skip
"""Of each command: d a new name, o a name that is written, n one that is read, v a value, l a literal, k a type of
variable, c a comparison, s a string."""
OPTIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "meas_loop_cv": frozenset({"nscans", "add_meas"}),
        "meas_loop_lsv": frozenset({"add_meas"}),
        "meas_loop_ca": frozenset({"add_meas"}),
        "meas_loop_cp": frozenset({"add_meas"}),
        "pck_start": frozenset({"meta_msk"}),
    }
)
COMPARISONS: Final = ("==", "!=", "<=", ">=", "<", ">")


class ScriptError(Exception):
    """A script cannot be loaded.

    Attributes:
        code: of the error.
        line: from 1.
        column: from 1.
    """

    def __init__(self, code: int, line: int, column: int = 1) -> None:
        super().__init__(f"{code:04X}: Line {line}, Col {column}")
        self.code, self.line, self.column = code, line, column


@dataclass
class Statement:
    """A command, and the statements within it.

    Attributes:
        line: in the script, from 1.
        name: of the command.
        args: without optional ones.
        options: optional arguments, with what stands in their parentheses.
        body: of a loop or a condition.
        otherwise: what follows an ``if`` that does not hold.
    """

    line: int
    name: str
    args: list[str]
    options: dict[str, list[str]] = field(default_factory=dict)
    body: list[Statement] = field(default_factory=list)
    otherwise: list[Statement] = field(default_factory=list)


@dataclass(frozen=True)
class Program:
    """A script that can be run.

    Attributes:
        main: statements.
        finish: statements after ``on_finished:``.
    """

    main: Sequence[Statement]
    finish: Sequence[Statement]


def load(lines: Sequence[str]) -> Program:
    """A script's statements.

    Raises:
        ScriptError: it is none.
    """
    return _Loader(lines).load()


class _Loader:
    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._declared: set[str] = set()
        self._parts: list[list[Statement]] = [[], []]
        self._open: list[tuple[Statement, list[Statement]]] = []
        self._into = self._parts[0]

    def load(self) -> Program:
        for number, raw in enumerate(self._lines, start=1):
            if len(raw) > LONGEST:
                raise ScriptError(0x0008, number)
            text = raw.strip() if raw.strip().startswith("send_string") else raw.partition("#")[0].strip()
            if text == FINISHED:
                if self._open or self._into is self._parts[1]:
                    raise ScriptError(0x400C, number)
                self._into = self._parts[1]
            elif text:
                self._place(self._statement(number, raw, text))
        if self._open:
            raise ScriptError(0x4018, len(self._lines))
        return Program(*self._parts)

    def _place(self, statement: Statement) -> None:
        """Put a statement where it belongs, and keep account of open blocks."""
        name, line = statement.name, statement.line
        within = [block.name for block, _ in self._open]
        if name in ("endloop", "endif", "else", "elseif"):
            wanted = ("loop", "meas_loop_") if name == "endloop" else ("if", "elseif", "else")
            if not self._open or not self._open[-1][0].name.startswith(wanted):
                raise ScriptError(0x400E, line)
            block, outside = self._open.pop()
            if name in ("endloop", "endif"):
                self._into = outside
                return
            block.otherwise.append(statement)
            self._open.append((statement, outside))
            self._into = statement.body
            return
        if name == "breakloop" and not any("loop" in block for block in within):
            raise ScriptError(0x400C, line)
        self._into.append(statement)
        if name in ("if", "loop") or name.startswith("meas_loop_"):
            if name.startswith("meas_loop_") and any(block.startswith("meas_loop_") for block in within):
                raise ScriptError(0x400B, line)
            self._open.append((statement, self._into))
            self._into = statement.body

    def _statement(self, number: int, raw: str, text: str) -> Statement:
        name, _, rest = text.partition(" ")
        if name not in ARGUMENTS:
            raise ScriptError(0x4001, number, raw.find(name) + len(name) + 1)
        if name == "send_string":
            string = rest.strip()
            if len(string) < 2 or string[0] != '"' or string[-1] != '"':
                raise ScriptError(0x4004, number, len(raw))
            return Statement(number, name, [string[1:-1]])
        statement = Statement(number, name, [])
        for option, inner in _OPTION.findall(rest):
            if option not in OPTIONS.get(name, frozenset()):
                raise ScriptError(0x4008, number, raw.find(option) + 1)
            statement.options[option] = inner.split()
        statement.args = _OPTION.sub(" ", rest).split()
        kinds = ARGUMENTS[name]
        if len(statement.args) != len(kinds):
            raise ScriptError(0x420A if len(statement.args) > len(kinds) else 0x4004, number, len(raw))
        for kind, arg in zip(kinds, statement.args, strict=True):
            self._check(kind, arg, number, raw.find(arg) + 1)
        added = statement.options.get("add_meas")
        if added is not None:
            if len(added) != 3 or not _KIND.fullmatch(added[1]):
                raise ScriptError(0x0002, number, len(raw))
            self._check("o", added[2], number, len(raw))
        return statement

    def _check(self, kind: str, arg: str, line: int, column: int) -> None:
        """One argument.

        Raises:
            ScriptError: it is not of its kind.
        """
        named = _NAME.fullmatch(arg) is not None
        if kind == "d":
            if not named:
                raise ScriptError(0x402B, line, column)
            if arg in self._declared:
                raise ScriptError(0x4026, line, column)
            self._declared.add(arg)
        elif kind == "k" and not _KIND.fullmatch(arg):
            raise ScriptError(0x0002, line, column)
        elif kind == "c" and arg not in COMPARISONS:
            raise ScriptError(0x4004, line, column)
        elif kind in "on" or (kind == "v" and named):
            if not named:
                raise ScriptError(0x4208, line, column)
            if arg not in self._declared:
                raise ScriptError(0x420B, line, column)
        elif kind in "vl" and read(arg) is None:
            raise ScriptError(0x4039, line, column)
