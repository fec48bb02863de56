"""Emulated small instruments say what their manuals say, byte for byte."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any

import pytest

from simulators.emulators.alone import DummyCell, Settable
from simulators.emulators.atlas_ezo import AtlasEzoEmulator
from simulators.emulators.emulator import Emulator
from simulators.emulators.julabo import JulaboEmulator
from simulators.emulators.modbus_relay import ModbusRelayEmulator, check
from simulators.emulators.mt_sics import MtSicsEmulator
from simulators.emulators.numato_relay import NumatoRelayEmulator
from simulators.emulators.pace import Pace
from simulators.emulators.scpi import short
from simulators.emulators.scpi_meter import ScpiMeterEmulator
from simulators.emulators.scpi_supply import ScpiSupplyEmulator
from simulators.emulators.vici import ViciEmulator
from simulators.emulators.wire import StreamEmulator


def said(emulator: StreamEmulator, question: bytes, answer: bytes) -> None:
    """Over a terminal: the answer, and nothing after it."""
    end = os.open(emulator.address, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(end, question)
        data, deadline = b"", time.monotonic() + (2.0 if answer else 0.1)
        while len(data) < len(answer) + 1 and select.select([end], [], [], max(deadline - time.monotonic(), 0.0))[0]:
            data += os.read(end, 4096)
            deadline = min(deadline, time.monotonic() + 0.05) if len(data) >= len(answer) else deadline
        assert data == answer, question
    finally:
        os.close(end)


def modbus(text: str) -> bytes:
    frame = bytes.fromhex(text)
    return frame + check(frame)


CONVERSATIONS: dict[str, tuple[Callable[[], StreamEmulator], list[tuple[bytes, bytes]]]] = {
    "mt_sics": (
        lambda: MtSicsEmulator("b", pan=Settable(52.1873), pace=Pace(100.0), wire="pty"),
        [
            (b"S\r\n", b"S S    52.1873 g\r\n"),
            (b"SI\r\n", b"S S    52.1873 g\r\n"),
            (b"T\r\n", b"T S    52.1873 g\r\n"),
            (b"SI\r\n", b"S S     0.0000 g\r\n"),
            (b"TA\r\n", b"TA A    52.1873 g\r\n"),
            (b"TA 2.5 kg\r\n", b"TA L\r\n"),
            (b"TAC\r\n", b"TAC A\r\n"),
            (b"Z\r\n", b"Z A\r\n"),
            (b"I4\r\n", b'I4 A "B021002593"\r\n'),
            (b"@\r\n", b'I4 A "B021002593"\r\n'),
            (b"HELLO\r\n", b"ES\r\n"),
        ],
    ),
    "atlas_ezo": (
        lambda: AtlasEzoEmulator("p", probe=Settable(7.201), pace=Pace(1.0), wire="pty"),
        [
            (b"C,0\r", b"*OK\r"),
            (b"i\r", b"?i,pH,2.16\r*OK\r"),
            (b"R\r", b"7.201\r*OK\r"),
            (b"T,19.5\r", b"*OK\r"),
            (b"T,?\r", b"?T,19.50\r*OK\r"),
            (b"Cal,mid,7.00\r", b"*OK\r"),
            (b"Cal,?\r", b"?Cal,1\r*OK\r"),
            (b"Cal,top,7.00\r", b"*ER\r"),
            (b"nonsense\r", b"*ER\r"),
            (b"*OK,0\r", b""),
            (b"C,?\r", b"?C,0\r"),
            (b"*OK,1\r", b"*OK\r"),
            (b"Sleep\r", b"*SL\r"),
            (b"R\r", b"*WA\r"),
        ],
    ),
    "julabo": (
        lambda: JulaboEmulator("j", wire="pty"),
        [
            (b"version\r", b"JULABO MAGIO MS-1000F VERSION 1.1.2\r\n"),
            (b"status\r", b"02 REMOTE STOP\r\n"),
            (b"out_sp_00 40.0\r", b""),
            (b"in_sp_00\r", b"40.00\r\n"),
            (b"out_mode_05 1\r", b""),
            (b"in_mode_05\r", b"1\r\n"),
            (b"status\r", b"03 REMOTE START\r\n"),
            (b"out_sp_00 150\r", b""),
            (b"status\r", b"-13 VALUE EXCEEDS TEMPERATURE LIMITS\r\n"),
            (b"status\r", b"03 REMOTE START\r\n"),
            (b"out_sp_00 500\r", b""),
            (b"status\r", b"-11 VALUE TOO LARGE\r\n"),
            (b"hello\r", b""),
            (b"status\r", b"-08 INVALID COMMAND\r\n"),
            (b"in_pv_02\r", b"---.--\r\n"),
        ],
    ),
    "vici": (
        lambda: ViciEmulator("v", pace=Pace(100.0), wire="pty"),
        [
            (b"CP\r", b"CP01\r"),
            (b"NP\r", b"NP10\r"),
            (b"GO3\r", b""),
            (b"CP\r", b"CP03\r"),
            (b"GO11\r", b"GO11 = Bad command\r"),
            (b"IFM1\r", b"IFM1\r"),
            (b"GO5\r", b"GO5\r"),
            (b"HM\r", b"CP01\r"),
        ],
    ),
    "vici in words, on a bus": (
        lambda: ViciEmulator("v", form="long", address="3", wire="pty"),
        [(b"/3CP\r", b"3Position is = 1\r"), (b"/4CP\r", b""), (b"CP\r", b"")],
    ),
    "numato_relay": (
        lambda: NumatoRelayEmulator("n", wire="pty"),
        [
            (b"\r", b"\n\r>"),
            (b"relay read 0\r", b"relay read 0\n\roff\n\r>"),
            (b"relay on 0\r", b"relay on 0\n\r>"),
            (b"relay read 0\r", b"relay read 0\n\ron\n\r>"),
            (b"relay readall\r", b"relay readall\n\r01\n\r>"),
            (b"relay on 9\r", b"relay on 9\n\rCommand Error\n\r>"),
            (b"reset\r", b"reset\n\r>"),
            (b"relay read 0\r", b"relay read 0\n\roff\n\r>"),
        ],
    ),
    "modbus_relay": (
        lambda: ModbusRelayEmulator("m", wire="pty"),
        [
            (bytes.fromhex("01 05 00 00 ff 00 8c 3a"), bytes.fromhex("01 05 00 00 ff 00 8c 3a")),
            (bytes.fromhex("01 01 00 00 00 01 fd ca"), bytes.fromhex("01 01 01 01 90 48")),
            (modbus("01 01 00 00 00 08"), modbus("01 01 01 01")),
            (modbus("01 0f 00 00 00 08 01 05"), modbus("01 0f 00 00 00 08")),
            (modbus("01 01 00 00 00 08"), modbus("01 01 01 05")),
            (modbus("01 05 00 09 ff 00"), modbus("01 85 02")),
            (modbus("01 05 00 00 12 34"), modbus("01 85 03")),
            (modbus("01 03 00 00 00 01"), modbus("01 83 01")),
            (modbus("02 01 00 00 00 01"), b""),
            (bytes.fromhex("01 01 00 00 00 01 fd cb"), b""),
        ],
    ),
    "scpi_supply": (
        lambda: ScpiSupplyEmulator("s", cell=DummyCell(series=10.0, parallel=0.0), wire="pty"),
        [
            (b"*IDN?\n", b"Keysight Technologies,E36313A,MY59001234,2.1.0\n"),
            (b":SOURce:VOLTage:LEVel:IMMediate:AMPLitude 5\n", b""),
            (b"volt?\n", b"5.000000E+00\n"),
            (b"CURR 0.1;:OUTP ON\n", b""),
            (b"MEAS:VOLT?;:MEAS:CURR?\n", b"1.000000E+00;1.000000E-01\n"),
            (b"VOLT 26\n", b""),
            (b"SYST:ERR?\n", b'-222,"Data out of range"\n'),
            (b"SYSTem:ERRor:NEXT?\n", b'+0,"No error"\n'),
            (b"VOLT? MAX\n", b"2.500000E+01\n"),
            (b"NONSENSE\n", b""),
            (b"OUTP maybe\n", b""),
            (b"SYST:ERR?;ERR?\n", b'-113,"Undefined header";-104,"Data type error"\n'),
            (b"*RST\n", b""),
            (b"OUTP?\n", b"0\n"),
        ],
    ),
    "scpi_meter": (
        lambda: ScpiMeterEmulator("m", probes={"voltage": Settable(1.25)}, wire="pty"),
        [
            (b"MEASure:VOLTage:DC?\n", b"+1.25000000E+00\n"),
            (b"MEAS:RES?\n", b""),
            (b"SYST:ERR?\n", b'-113,"Undefined header"\n'),
        ],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversations_of_the_manuals(name: str) -> None:
    made, lines = CONVERSATIONS[name]
    with made() as running:
        for question, answer in lines:
            said(running, question, answer)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_any_bytes_are_survived(name: str) -> None:
    """Whatever a host sends, the instrument goes on."""
    made, lines = CONVERSATIONS[name]
    with made() as running:
        end = os.open(running.address, os.O_RDWR | os.O_NOCTTY)
        try:
            for noise in (
                b"\x00\xff\x80" * 20,
                b"\r\n;;??,,//",
                b"relay on z\rgpio iodir xx\rTA\r\nCal,\rGO\r",
                b":::?;\n",
            ):
                os.write(end, noise + b"\r\n")
            ended = time.monotonic() + 1.0
            while time.monotonic() < ended and select.select([end], [], [], 0.2)[0]:
                os.read(end, 4096)
        finally:
            os.close(end)
        question, answer = next((q, a) for q, a in lines if a)
        if name != "atlas_ezo":
            said(running, question, answer)


def test_a_circuit_says_readings_unasked_until_told_otherwise() -> None:
    with AtlasEzoEmulator("p", probe=Settable(7.0), pace=Pace(50.0), wire="pty") as running:
        end = os.open(running.address, os.O_RDWR | os.O_NOCTTY)
        try:
            data = b""
            while data.count(b"7.000\r") < 3:
                assert select.select([end], [], [], 2.0)[0]
                data += os.read(end, 100)
        finally:
            os.close(end)


def test_headers_in_their_short_forms() -> None:
    assert short("SOURce:VOLTage:LEVel") == "SOUR:VOLT"
    assert short("outp") == "OUTP"
    assert short(":SYSTem:ERRor:NEXT") == "SYST:ERR"
    assert short("RESistance") == "RES"


@pytest.mark.parametrize(
    "made", [conversation[0] for conversation in CONVERSATIONS.values()], ids=list(CONVERSATIONS)
)  # fmt: skip
def test_the_state_is_json(made: Callable[[], Emulator]) -> None:
    import json

    with made() as running:
        state: dict[str, Any] = json.loads(json.dumps(running.state()))
        assert state
