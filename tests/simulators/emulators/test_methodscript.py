"""The emulated potentiostat, as a host sees it that speaks its protocol by hand."""

import math
import socket
import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.emulators.alone import DummyCell
from simulators.emulators.methodscript import MethodScriptEmulator
from simulators.emulators.methodscript.digits import packed, read
from simulators.emulators.methodscript.script import ScriptError, load
from simulators.emulators.pace import Pace
from simulators.errors import EmulatorError

PREFIXES = {
    "a": -18,
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "m": -3,
    " ": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
CELL = DummyCell()


class Host:
    """A host with a socket."""

    def __init__(self, emulator):
        host, port = emulator.address.removeprefix("socket://").split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.buffer = b""

    def say(self, text):
        self.socket.sendall(text.encode())

    def line(self, timeout=5.0):
        """The next line; ``None`` where none comes in time."""
        self.socket.settimeout(timeout)
        while b"\n" not in self.buffer:
            try:
                self.buffer += self.socket.recv(4096)
            except TimeoutError:
                return None
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def ask(self, text):
        self.say(f"{text}\n")
        return self.line()

    def until(self, wanted):
        """Lines up to the first that is wanted."""
        lines = [self.line()]
        while not wanted(lines[-1]):
            lines.append(self.line())
        return lines

    def rest(self):
        """Lines up to the end of a script, which is an empty one or an error."""
        return self.until(lambda line: not line or line.startswith("!"))

    def start(self, *lines):
        return self.ask("\n".join(("e", *lines, "")))

    def run(self, *lines):
        assert self.start(*lines) == "e"
        return self.rest()

    def heard_again(self):
        """Ask until it answers, since it is deaf after an error; how often it was asked."""
        asked = 1
        self.say("t\n")
        while self.line(0.02) is None:
            self.say("t\n")
            asked += 1
        while self.line(0.02) is not None:
            pass
        return asked

    def silent(self):
        """Whether nothing more comes, after what is on its way."""
        deadline = time.monotonic() + 2.0
        while self.line(0.15) is not None:
            if time.monotonic() > deadline:
                return False
        return True

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def shared():
    with MethodScriptEmulator("ps", electrodes=CELL, pace=Pace(100.0)) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared):
    CELL.series, CELL.parallel, CELL.capacitance, CELL.open_circuit = 4.0, 6.0, 1e-3, -0.05
    shared.faults.clear()
    return shared


@pytest.fixture
def host(emulator):
    host = Host(emulator)
    yield host
    emulator.faults.clear()
    state = emulator.state()
    if state["running"] or state["loading"]:
        host.say("\nZ\n")
        host.until(lambda line: line.startswith("Z"))
    host.heard_again()
    host.run("set_pgstat_mode 0", "cell_off")
    host.close()


def numbers(line):
    """The values of a package, by type."""
    found = {}
    for part in line.removeprefix("P").split(";"):
        head = part.split(",")[0]
        found[head[:2]] = (int(head[2:9], 16) - 2**27) * 10.0 ** PREFIXES[head[9]]
    return found


def test_what_it_says_of_itself(host):
    assert host.ask("t") == "tnexus11100#Sep 30 2025 12:00:00"
    assert host.line() == "R*"
    assert host.ask("i") == "iNEX24A0001"
    assert host.ask("v") == "v0108"
    assert host.ask("") == ""
    scripting = int(host.ask("CM")[1:], 16)
    assert scripting >> 67 & 1  # meas_loop_cp
    assert int(host.ask("CC")[1:], 16) >> 98 & 1  # Z


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("Z", "Z!0006"),
        ("H", "H!0006"),
        ("xyz", "x!0003"),
        ("G99", "G!0004"),
        ("S06ff", "S!0005"),
        ("x" * 300, "x!0008"),
    ],
)
def test_commands_that_it_refuses(host, command, answer):
    assert host.ask(command) == answer


def test_registers_and_stored_scripts(host):
    assert host.ask("S0112345678") == "S"
    assert host.ask("G01") == "G12345678"
    assert host.ask('l\nsend_string "kept"\n') == "l"
    assert host.ask("Fmscr") == "F"
    assert host.ask("r") == "r"
    assert host.rest() == ["Tkept", ""]
    assert host.run('send_string "other"') == ["Tother", ""]
    assert host.ask("Lmscr") == "L"
    assert host.ask("r") == "r"
    assert host.rest() == ["Tkept", ""]


def test_it_is_deaf_for_a_while_after_an_error(host):
    assert host.ask("x") == "x!0003"
    host.say("i\n")  # nobody hears it
    assert host.heard_again() > 1
    assert host.ask("v") == "v0108"


@pytest.mark.parametrize(
    ("script", "code", "line"),
    [
        (["var p", "frobnicate"], "4001", 2),
        (["var p", "var p"], "4026", 2),
        (["var P"], "402B", 1),
        (["set_e nothing"], "420B", 1),
        (["set_e 0.5"], "4039", 1),
        (["set_e"], "4004", 1),
        (["set_e 1 2"], "420A", 1),
        (["var p", "meas 1 p 99"], "0002", 2),
        (["var p", "", "var q"], None, None),
        (["if 1 < 2"], "4018", 1),
        (["endloop"], "400E", 1),
        (["breakloop"], "400C", 1),
        (["var p", "meas_loop_ocp p 1 1 nscans(2)", "endloop"], "4008", 2),
        (["var p", "meas_loop_ocp p 1 1", "meas_loop_ocp p 1 1", "endloop", "endloop"], "400B", 3),
        (["send_string hello"], "4004", 1),
        (["x" * 128], "0008", 1),
    ],
)
def test_scripts_that_it_does_not_load(host, script, code, line):
    host.say("e\n" + "\n".join(script) + "\n\n")
    answer = host.line()
    if code is None:  # an empty line within a script ends it
        assert answer == "e"
        assert host.line() == ""
        assert host.line() == "v!0003"
    else:
        assert answer.startswith(f"e!{code}: Line {line}, Col ")


HOLD = ("var p", "var c", "set_pgstat_mode 2", "set_e -1", "cell_on")
LOOP = ("meas_loop_ca p c -1 100m 100", "pck_start", "pck_add p", "pck_add c", "pck_end", "endloop")
FINISH = ("on_finished:", "cell_off")


def test_a_current_at_a_constant_potential(host, emulator):
    lines = host.run(*HOLD, "set_autoranging ba 1m 1", "meas_loop_ca p c -1050m 500m 2", *LOOP[1:], *FINISH)
    assert lines[0] == "M0007"
    assert lines[-2:] == ["*", ""]
    packages = [line for line in lines if line.startswith("P")]
    assert len(packages) == 4
    assert numbers(packages[0]) == {"da": pytest.approx(-1.05), "ba": pytest.approx(-0.1)}
    assert packages[0].endswith(",10,20B")  # neither over- nor underload, 1 A range
    assert not emulator.state()["cell_on"]
    assert CELL.drive.mode == "off"


def test_a_potential_at_a_constant_current_with_the_cell_voltage(host):
    lines = host.run(
        "var p", "var c", "var v", "set_pgstat_mode 6", "set_i 0", "cell_on",
        "meas_loop_cp p c -100m 1 2 add_meas(0 ag v)", "pck_start", "pck_add p", "pck_add c", "pck_add v", "pck_end", "endloop", *FINISH,
    )  # fmt: skip
    assert lines[0] == "M000A"
    assert numbers(lines[1]) == {"ab": pytest.approx(-1.05), "db": pytest.approx(-0.1), "ag": pytest.approx(-1.05)}


def test_scans_are_marked(host):
    lines = host.run(*HOLD, "meas_loop_cv p c 0 100m -100m 50m 1 nscans(2)", *LOOP[1:], *FINISH)
    marks = [line for line in lines if not line.startswith("P")]
    assert marks == ["M0005", "C0000", "-", "C0001", "-", "*", ""]
    potentials = [numbers(line)["da"] for line in lines if line.startswith("P")]
    assert potentials[:5] == pytest.approx([0.0, 0.05, 0.1, 0.05, 0.0], abs=1e-12)


def test_a_spectrum(host):
    lines = host.run(
        "var f", "var r", "var i", "set_pgstat_mode 3", "set_e 0", "cell_on", "meas_loop_eis f r i 10m 1k 10 3i 0",
        "pck_start", "pck_add f", "pck_add r", "pck_add i", "pck_end", "endloop", *FINISH,
    )  # fmt: skip
    assert lines[0] == "M000D"
    for line, frequency in zip(lines[1:4], (1000.0, 100.0, 10.0), strict=True):
        expected = CELL.impedance(frequency)
        assert numbers(line) == {
            "dc": pytest.approx(frequency),
            "cc": pytest.approx(expected.real, rel=1e-6),
            "cd": pytest.approx(expected.imag, rel=1e-5),
        }


@pytest.mark.parametrize(
    ("script", "code", "line"),
    [
        (("set_pgstat_mode 5",), "0021", 1),
        (("set_pgstat_mode 0", "cell_on"), "0023", 2),
        (("set_pgstat_mode 2", "set_e 11"), "000F", 2),
        (("set_pgstat_mode 2", "set_i 1m"), "0023", 2),
        (("set_pgstat_mode 6", "set_i 2"), "4205", 2),
        (("var p", "set_pgstat_mode 2", "cell_off", "meas 10m p at"), "4209", 4),
        (("var p", "var c", "set_pgstat_mode 2", "cell_off", "meas_loop_ca p c 0 1 1", "endloop"), "4027", 5),
        ((*HOLD, "meas_loop_ocp p 1 1", "endloop"), "0014", 6),
        ((*HOLD, "meas_loop_lsv p c 0 1m 10m 1", "endloop"), "4029", 6),
        ((*HOLD, "meas_loop_ca p c 0 -1 1", "endloop"), "4204", 6),
        ((*HOLD, "meas_loop_ca p c 0 1u 1", "endloop"), "005A", 6),
        (("var p", "pck_add p"), "401B", 2),
        (("var p", "div_var p 0"), "0028", 2),
    ],
)
def test_errors_while_it_runs_say_the_line_and_skip_the_end(host, emulator, script, code, line):
    *_, last = host.run(*script, *FINISH)
    assert last == f"!{code}: Line {line}"
    assert emulator.state()["cell_on"] is (script[: len(HOLD)] == HOLD)
    host.heard_again()
    assert host.run("cell_off") == [""]
    assert not emulator.state()["cell_on"]


def test_an_abort_runs_the_end(host, emulator):
    assert host.start(*HOLD, *LOOP, *FINISH, 'send_string "off"') == "e"
    assert host.line() == "M0007"
    assert emulator.state()["cell_on"]
    assert (CELL.drive.mode, CELL.drive.value) == ("potential", -1.0)
    host.say("Z\n")
    lines = host.rest()
    assert "Z" in lines
    assert lines[-3:] == ["*", "Toff", ""]
    assert not emulator.state()["cell_on"]


def test_a_loop_can_be_left_alone(host):
    assert host.start(*HOLD, *LOOP, 'send_string "after"', *FINISH) == "e"
    assert host.line() == "M0007"
    host.say("Y\n")
    assert host.rest()[-3:] == ["*", "Tafter", ""]


def test_halting_and_resuming(host):
    assert host.start(*HOLD, *LOOP, *FINISH) == "e"
    host.say("h\n")
    host.until("h".__eq__)
    assert host.silent()
    host.say("H\n")
    host.until("H".__eq__)
    assert host.line().startswith("P")
    host.say("Z\n")
    host.rest()


def test_a_sweep_turns_round(host):
    assert host.start(*HOLD, "meas_loop_cv p c 0 5 -5 10m 1", *LOOP[1:], *FINISH) == "e"
    for _ in range(5):
        host.line()
    host.say("R\n")
    host.until("R".__eq__)
    found = [numbers(host.line())["da"] for _ in range(5)]
    assert found[-1] < found[1]
    host.say("Z\n")
    host.rest()


def test_it_takes_few_commands_while_it_runs(host):
    assert host.start(*HOLD, "wait 1000", *FINISH) == "e"
    assert host.ask("t").startswith("tnexus1")
    assert host.line() == "R*"
    assert host.ask("i") == "i!0006"
    host.heard_again()
    host.say("Z\n")
    assert host.rest() == ["Z", ""]


def test_variables_conditions_and_loops(host):
    lines = host.run(
        "var i", "var x", "store_var i 0i ja", "store_var x 1500m ia", "loop i < 10i", "add_var i 1i", "if i == 2i",
        'send_string "two"', "elseif i == 3i", 'send_string "three"', "else", 'send_string "other"', "endif", "if i >= 4i",
        "breakloop", "endif", "endloop", "copy_var x i", "mul_var i -2", "pck_start", "pck_add i", "pck_add x", "pck_end",
    )  # fmt: skip
    assert lines == ["L", "Tother", "Ttwo", "Tthree", "Tother", "+", f"Pia{packed(-3.0)};ia{packed(1.5)}", ""]


def test_a_script_goes_on_without_its_host(host, emulator):
    with closing(Host(emulator)) as first:
        assert first.start(*HOLD, *LOOP, *FINISH) == "e"
    with closing(Host(emulator)) as second:
        second.until(lambda line: line.startswith("P"))
        assert emulator.state()["cell_on"]
        second.say("Z\n")
        assert second.rest()[-1] == ""
        assert not emulator.state()["cell_on"]


@pytest.mark.parametrize(("family", "mode", "kind"), [("espico", 6, "ac"), ("es4_hr", 5, "ag")])
def test_families_differ(family, mode, kind):
    with MethodScriptEmulator("ps", family=family, pace=Pace(100.0)) as emulator:
        host = Host(emulator)
        assert host.ask("t").startswith(f"t{family}")
        host.line()
        assert host.run(f"set_pgstat_mode {mode}") == ["!0021: Line 1"]
        host.heard_again()
        assert host.run("var v", f"meas 10m v {kind}") == ["!4209: Line 2"]
        host.close()
    with pytest.raises(EmulatorError, match="family"):
        MethodScriptEmulator("ps", family="autolab")


# Faults


def test_an_error_of_its_own_leaves_the_cell_on(host, emulator):
    emulator.faults.arm("runtime_error", after=2, code=0x0080)
    lines = host.run(*HOLD, *LOOP, *FINISH)
    assert lines[-1] == "!0080: Line 6"
    assert emulator.state()["cell_on"]
    assert CELL.drive.mode == "potential"


def test_overloads_are_flagged_as_long_as_it_is_armed(host, emulator):
    emulator.faults.arm("overload", times=None)
    lines = host.run(*HOLD, "meas_loop_ca p c -1 500m 1", *LOOP[1:], *FINISH)
    assert all(",12," in line for line in lines if line.startswith("P"))


def test_what_is_beyond_its_range_is_cut(host):
    lines = host.run(*HOLD, "set_range ba 10m", "meas_loop_ca p c -1050m 500m 1", *LOOP[1:], *FINISH)
    assert numbers(lines[1])["ba"] == pytest.approx(-0.0105)
    assert ",12,209" in lines[1]


def test_it_can_freeze_with_the_cell_on(host, emulator):
    assert host.start(*HOLD, *LOOP, *FINISH) == "e"
    assert host.line() == "M0007"
    emulator.faults.arm("freeze", times=None)
    host.say("Z\n")
    assert host.silent()
    assert emulator.state()["cell_on"]
    emulator.faults.clear("freeze")
    host.say("Z\n")
    host.rest()
    assert not emulator.state()["cell_on"]


def test_it_can_start_anew_without_a_word(host, emulator):
    emulator.faults.arm("reset", after=40)
    assert host.start(*HOLD, *LOOP, *FINISH) == "e"
    end = time.monotonic() + 5.0
    while emulator.state()["running"]:
        assert time.monotonic() < end
    assert not emulator.state()["cell_on"]
    assert host.silent()
    assert host.ask("v") == "v0108"


def test_switching_off_can_fail(host, emulator):
    host.run(*HOLD)
    emulator.faults.arm("no_cell_off")
    assert host.run("cell_off") == ["!0001: Line 1"]
    assert emulator.state()["cell_on"]
    host.heard_again()
    assert host.run("cell_off") == [""]
    assert not emulator.state()["cell_on"]


# Numbers


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e25, max_value=1e25))
def test_packed_numbers_keep_seven_digits(value):
    text = packed(value)
    assert len(text) == 8
    back = (int(text[:7], 16) - 2**27) * 10.0 ** PREFIXES[text[7]]
    assert math.isclose(back, value, rel_tol=1e-4, abs_tol=1e-18)


def test_numbers_of_the_makers_readme():
    assert packed(-0.499905) == "7F85F3Fu"
    assert packed(99.999732) == "DF5DFF4u"
    assert packed(math.nan) == "     nan"
    assert packed(7, integer=True) == "8000007i"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", (0.5, False)),
        ("-2", (-2.0, False)),
        ("11i", (11.0, True)),
        ("0x1F", (31.0, True)),
        ("0b11i", (3.0, True)),
    ],
)
def test_literals(text, value):
    assert read(text) == value


@pytest.mark.parametrize("text", ["0.5", "1e3", "m", "5x", "", "99999999999"])
def test_what_is_no_literal(text):
    assert read(text) is None


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40), max_size=8))
def test_any_script_is_loaded_or_refused(lines):
    try:
        load(lines)
    except ScriptError as problem:
        code = problem.code
    else:
        code = 0
    assert 0 <= code <= 0x7FFF
