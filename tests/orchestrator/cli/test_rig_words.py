"""What ``sabatier rig`` prints."""

import pytest

from instruments.device import Identity
from instruments.errors import DeviceTimeout, ExecutionCancelled, LabError, LabHolds, LimitError
from instruments.rig.check import CheckReport, Finding
from instruments.rig.errors import RigHalted, RigUnsafe
from instruments.rig.halting import Halt
from orchestrator.cli.failures import FAILED, INTERRUPTED, WRONG_INPUT, plain_failures
from orchestrator.cli.rig_words import found_lines, halt_lines

PUMP = Identity("New Era", "NE-1000", "")
GONE = "bath: socket://127.0.0.1:1 cannot be opened (" + "Connection refused; " * 20 + ")."


def test_a_check_begins_with_its_sum_and_has_a_line_a_device() -> None:
    notice = Finding("notice", "safety.interlocks.0", "flow: 0, below 2.", "Open it.")
    silent = Finding("error", "port", GONE, "Check the cable.")
    lines = list(found_lines(CheckReport("twin", {"pump-1": PUMP, "bath": None}, (silent, notice))))
    assert lines[0] == "twin cannot start: 1 of 2 devices are not there, or not what they should be"
    assert lines[1] == "pump-1  New Era, NE-1000"
    assert lines[2].startswith("bath    socket://127.0.0.1:1 cannot be opened")
    assert lines[3:] == ["Check the cable.", "notice: flow: 0, below 2. Open it."]
    assert max(map(len, lines)) <= 160


def test_a_check_without_an_error_says_so_first() -> None:
    assert next(found_lines(CheckReport("twin", {"pump-1": PUMP}, ()))) == "twin can start"


def test_devices_that_were_not_asked_are_not_called_silent() -> None:
    busy = Finding("error", "name", "the rig is in use, and its devices cannot be asked.", "Wait.")
    lines = list(found_lines(CheckReport("twin", {"pump-1": None, "bath": None}, (busy,))))
    assert lines == [
        "twin cannot start: 1 error",
        "error: the rig is in use, and its devices cannot be asked. Wait.",
    ]


def report(**states: str) -> dict:
    devices = {name: {"state": state, "detail": GONE} for name, state in states.items()}
    return {"devices": devices, "unconfirmed": [n for n, s in states.items() if s == "unsafe_unconfirmed"]}


@pytest.mark.parametrize(
    ("told", "first"),
    [
        (report(bath="safe", pump="disconnected"), "twin is halted, and all 2 devices confirmed that they are safe"),
        (
            report(bath="unsafe_unconfirmed", pump="safe"),
            "twin is halted, and NOT safe for all that is known: 1 of 2 devices did not confirm it. Look at them now.",
        ),
        (None, "twin is halted; whether it is safe is NOT known: nothing has been reported yet. Look at it now."),
    ],
)
def test_a_halt_says_first_whether_it_is_safe(told: dict | None, first: str) -> None:
    lines = list(halt_lines("twin", Halt("2026-11-25", "leak", "a person", told)))
    assert lines[0] == first
    assert len(lines) == 2 + (0 if told is None else 2)
    assert lines[-1] == "why: leak (a person, 2026-11-25)"
    assert max(map(len, lines)) <= 180
    assert ("NOT CONFIRMED" in "\n".join(lines)) == bool(told and told["unconfirmed"])


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (DeviceTimeout("no answer.", device="bath"), FAILED),
        (RigUnsafe("not safe.", devices=("bath",)), FAILED),
        (RigHalted("it is halted."), FAILED),
        (LabHolds("it holds."), FAILED),
        (LimitError("too much.", device="bath"), WRONG_INPUT),
        (LabError("no such thing."), WRONG_INPUT),
        (ExecutionCancelled("it was cancelled."), INTERRUPTED),
    ],
)
def test_exit_statuses_of_what_goes_wrong_with_a_rig(
    problem: Exception, status: int, capsys: pytest.CaptureFixture
) -> None:
    problem.add_note("bath: cable")

    @plain_failures
    def command() -> None:
        raise problem

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == status
    assert capsys.readouterr().err == f"sabatier: {problem}\n  bath: cable\n"
