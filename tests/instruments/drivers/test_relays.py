"""Relay cards: the last thing that disconnects a cell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from instruments.device import Wiring
from instruments.drivers._relay import Contact, RelayCard
from instruments.drivers.installed import options_of
from instruments.drivers.modbus_relay import crc16, parse_answer, parse_coil, parse_written, request
from instruments.drivers.numato_relay import parse_reply, parse_state
from instruments.errors import CommunicationError, DeviceFault, LabError, ProtocolError
from simulators.emulators.alone import Settable
from simulators.emulators.modbus_relay import ModbusRelayEmulator
from simulators.emulators.numato_relay import NumatoRelayEmulator

EMULATORS: dict[str, Any] = {"numato_relay": NumatoRelayEmulator, "modbus_relay": ModbusRelayEmulator}
KINDS = list(EMULATORS)
CONTACTS = {
    "cell-1": {"channel": 0},
    "cell-2": {"channel": 1},
    "fan": {"channel": 2, "safe": "closed"},
    "alarm": {"channel": 3, "safe": "closed", "rest": "closed"},
}
SAFE = {"0": False, "1": False, "2": True, "3": False}


@contextmanager
def card(kind: str, wire: Any = "tcp", **more: Any) -> Iterator[tuple[RelayCard, Any]]:
    with EMULATORS[kind]("card", wire=wire) as running:
        block = {"port": running.address, "contacts": CONTACTS, "timeout": 0.15, **more}
        device = options_of(kind, block).build("card", Wiring())
        assert isinstance(device, RelayCard)
        with device:
            device.set("cell-1", "closed")
            device.set("cell-2", "closed")
            device.set("fan", "open")
            device.set("alarm", "open")
            yield device, running


def coils(running: Any) -> dict[str, bool]:
    return {key: value for key, value in running.state().items() if key in SAFE}


def test_frames_of_the_standard() -> None:
    """Known frames: coil 0 of unit 1 on, and its reading."""
    assert request(1, 5, 0, 0xFF00) == bytes.fromhex("01 05 00 00 ff 00 8c 3a")
    assert request(1, 1, 0, 1) == bytes.fromhex("01 01 00 00 00 01 fd ca")
    assert parse_coil(bytes.fromhex("01 01 01 01 90 48"), 1) is True
    assert parse_coil(bytes.fromhex("01 01 01 00 51 88"), 1) is False
    assert crc16(b"123456789") == bytes.fromhex("37 4b")  # 0x4B37, the check value of CRC-16/MODBUS


def test_frames_of_others_are_refused() -> None:
    good = bytes.fromhex("01 01 01 01 90 48")
    with pytest.raises(ProtocolError, match="card 1, not of 2"):
        parse_coil(good, 2)
    with pytest.raises(ProtocolError, match="wrong check"):
        parse_coil(good[:-1] + b"\x49", 1)
    with pytest.raises(ProtocolError, match="function 1, not to 5"):
        parse_answer(good, 1, 5)
    with pytest.raises(ProtocolError, match="another command"):
        parse_written(request(1, 5, 3, 0xFF00), request(1, 5, 2, 0xFF00))
    body = b"\x01\x85\x02"
    with pytest.raises(DeviceFault, match="no such channel") as told:
        parse_answer(body + crc16(body), 1, 5)
    assert told.value.code == "2"


def test_replies_with_their_echo() -> None:
    assert parse_reply(b"relay read 0\n\ron\n\r>", "relay read 0") == "on"
    assert parse_reply(b"\n\rrelay on 0\n\r>", "relay on 0") == ""
    assert parse_state("off") is False
    for other in (b"relay read 1\n\ron\n\r>", b">", b"\xff\n\r>", b"relay read 0\n\ron\n\roff\n\r>"):
        with pytest.raises(ProtocolError):
            parse_reply(other, "relay read 0")
    with pytest.raises(ProtocolError):
        parse_state("maybe")


@pytest.mark.parametrize("rest", ["open", "closed"])
def test_a_contact_follows_its_coil(rest: Any) -> None:
    contact = Contact(channel=0, rest=rest)
    for state in ("open", "closed"):
        assert contact.state(contact.energised(state)) == state
    assert not contact.energised(rest)


@pytest.mark.parametrize("kind", KINDS)
def test_contacts_are_set_by_name_and_read_back(kind: str) -> None:
    with card(kind) as (device, running):
        assert coils(running) == {"0": True, "1": True, "2": False, "3": True}
        assert [device.read(name).value for name in CONTACTS] == ["closed", "closed", "open", "open"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire", ["tcp", "pty"])
def test_each_contact_goes_to_its_safe_state(kind: str, wire: str) -> None:
    with card(kind, wire) as (device, running):
        safety = device.make_safe()
        assert safety.confirmed
        assert coils(running) == SAFE
        assert safety.detail == "cell-1 open, cell-2 open, fan closed, alarm closed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["silence", "garbage", "truncated", "drop", "slow", "wrong_echo"])
@pytest.mark.parametrize("after", [0, 3])
def test_it_is_made_safe_through_faults(kind: str, fault: str, after: int) -> None:
    with card(kind) as (device, running):
        running.faults.arm(fault, after=after, seconds=0.2)
        assert device.make_safe().confirmed
        assert coils(running) == SAFE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["silence", "garbage"])
def test_a_card_that_hears_but_does_not_answer_switches_all_the_same(kind: str, fault: str) -> None:
    """All contacts are told though none is confirmed, and that is said."""
    with card(kind) as (device, running):
        running.faults.arm(fault, times=None)
        began = time.monotonic()
        with pytest.raises(CommunicationError, match="told to go to the safe state"):
            device.make_safe()
        assert time.monotonic() - began < 10.0
        assert coils(running) == SAFE


@pytest.mark.parametrize("kind", KINDS)
def test_a_stuck_contact_is_not_called_safe_and_hinders_no_other(kind: str) -> None:
    with card(kind) as (device, running):
        running.faults.arm("stuck", times=None, channel=0)
        safety = device.make_safe()
        assert not safety.confirmed
        assert "cell-1" in safety.detail
        assert "cell-2" not in safety.detail
        assert coils(running) == {**SAFE, "0": True}
        with pytest.raises(DeviceFault, match="cell-1 did not go open"):
            device.set("cell-1", "open")
        running.faults.clear()
        assert device.make_safe().confirmed


def test_a_busy_card_is_asked_again() -> None:
    with card("modbus_relay") as (device, running):
        running.faults.arm("busy")
        with pytest.raises(DeviceFault, match="busy"):
            device.set("cell-1", "open")
        running.faults.arm("busy", times=2)
        assert device.make_safe().confirmed
        running.faults.arm("busy", times=None)
        with pytest.raises(DeviceFault, match="not confirmed"):
            device.make_safe()


@pytest.mark.parametrize("fault", ["bad_check", "other_unit"])
def test_answers_that_are_not_the_cards_are_not_taken(fault: str) -> None:
    with card("modbus_relay") as (device, running):
        running.faults.arm(fault)
        assert device.read("cell-1").value == "closed"  # asked again
        running.faults.arm(fault, times=None)
        with pytest.raises(ProtocolError):
            device.read("cell-1")


def test_relays_from_the_tenth_on_have_letters() -> None:
    far = Settable()
    with NumatoRelayEmulator("card", channels=16, switches={12: far}) as running:
        block = {"port": running.address, "channels": 16, "contacts": {"far": {"channel": 12}}}
        with options_of("numato_relay", block).build("card", Wiring()) as device:
            device.set("far", "closed")
            assert far.closed()


def test_a_channel_that_the_card_does_not_have() -> None:
    with NumatoRelayEmulator("card", channels=4) as running:
        block = {"port": running.address, "contacts": {"far": {"channel": 6}}, "timeout": 0.2}
        device = options_of("numato_relay", block).build("card", Wiring())
        with pytest.raises((DeviceFault, ProtocolError)), device:
            device.set("far", "closed")
    with pytest.raises(LabError, match="channel 6"):
        options_of("numato_relay", {"port": "x", "channels": 4, "contacts": {"far": {"channel": 6}}}).build(
            "card", Wiring()
        )
