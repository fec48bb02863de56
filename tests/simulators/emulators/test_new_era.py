"""The New Era emulator against the manual's packets, and with another's driver as its client."""

import binascii
import json
import socket
import subprocess
import time

import pytest

from simulators.emulators.alone import Settable
from simulators.emulators.new_era import NewEraEmulator
from simulators.emulators.pace import Pace

SAF0 = bytes.fromhex("02 08 53 41 46 30 55 43 03")
"""The manual's packet that leads back to the basic mode."""


class Clock(Pace):
    """Laboratory time that stands until it is told."""

    seconds = 0.0

    def now(self):
        return self.seconds


@pytest.fixture
def pump():
    return NewEraEmulator("pump", powered=True, pace=Clock())


def ask(pump, text):
    """Status and data of the answer in the basic mode."""
    said = pump.answer(text.encode() + b"\r", None)
    assert said[:1] == b"\x02"
    assert said[-1:] == b"\x03"
    return said[1:-1].decode()


def tell(pump, *commands):
    for command in commands:
        assert ask(pump, command) in ("00S", "00I", "00W")


def test_power_on_is_an_alarm_and_the_command_is_not_executed():
    pump = NewEraEmulator("pump")
    assert ask(pump, "DIA20") == "00A?R"
    assert ask(pump, "DIA") == "00S14.43"


def test_lines_are_taken_as_people_type_them(pump):
    assert ask(pump, " 0 dia 1 2.5 ") == "00S"
    assert ask(pump, "00DIA") == "00S12.50"
    assert pump.answer(b"05VER\r", None) is None
    assert ask(pump, "VER") == "00SNE1000V3.923"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("XYZ", "?"),
        ("DIA99", "?OOR"),
        ("DIA12.345", "?OOR"),  # five digits
        ("VOL0.1234", "?OOR"),  # four after the point
        ("RAT100MM", "?OOR"),
        ("PHN42", "?OOR"),
        ("DIRUP", "?"),
        ("SAF300", "?OOR"),
    ],
)
def test_errors(pump, command, said):
    assert ask(pump, command) == f"00S{said}"


def test_what_does_not_apply_while_pumping(pump):
    tell(pump, "PHN1", "VOL1", "RAT5MM", "RUN")
    for command in ("DIA10", "VOL2", "PHN2", "RUN", "RAT5UM", "DIRREV", "CLDINF"):
        assert ask(pump, command) == "00I?NA"
    assert ask(pump, "RAT6") == "00I"
    assert pump.flow.value() == 6.0


def test_a_volume_and_the_phase_that_ends_it(pump):
    tell(pump, "PHN2", "FUNSTP", "PHN1", "VOL0.500", "RAT2MM", "RUN")
    pump.pace.seconds = 10.0
    assert ask(pump, "DIS") == "00II0.333W0.000ML"
    assert pump.flow.value() == 2.0
    pump.pace.seconds = 60.0
    assert ask(pump, "DIS") == "00SI0.500W0.000ML"
    assert pump.flow.value() == 0.0
    assert pump.state()["delivered"] == pytest.approx(0.5)


def test_without_an_end_the_next_phase_goes_on(pump):
    tell(pump, "PHN1", "VOL0.500", "RAT2MM", "PHN2", "VOL0", "RAT3MM", "RUN")
    pump.pace.seconds = 60.0
    assert ask(pump, "") == "00I"
    assert pump.flow.value() == 3.0


def test_stopping_pauses_first(pump):
    tell(pump, "VOL1", "RAT2MM", "RUN")
    pump.pace.seconds = 6.0
    assert ask(pump, "STP") == "00P"
    pump.pace.seconds = 60.0
    assert ask(pump, "RUN") == "00I"
    assert ask(pump, "DIS") == "00II0.200W0.000ML"
    assert ask(pump, "STP") == "00P"
    assert ask(pump, "STP") == "00S"


def test_withdrawing_and_units(pump):
    tell(pump, "VOLUL", "VOL250", "RAT500UM", "DIRWDR", "PHN2", "FUNSTP", "RUN")
    assert pump.flow.value() == -0.5
    pump.pace.seconds = 60.0
    assert ask(pump, "DIS") == "00SI0.000W250.0UL"
    tell(pump, "CLDWDR")
    assert ask(pump, "DIS") == "00SI0.000W0.000UL"


def test_a_stall(pump):
    tell(pump, "VOL0", "RAT2MM", "RUN")
    pump.pace.seconds = 6.0
    pump.faults.arm("stall")
    assert ask(pump, "DIS") == "00A?S"
    assert ask(pump, "") == "00S"
    assert pump.flow.value() == 0.0


def safe(text):
    data = text.encode()
    return bytes((2, len(data) + 4, *data, *binascii.crc_hqx(data, 0).to_bytes(2, "big"), 3))


class TestSafeMode:
    def test_packets_in_both_modes(self, pump):
        assert pump.answer(safe("00VER"), None) == b"\x0200SNE1000V3.923\x03"  # still in the basic mode
        assert pump.answer(safe("00SAF20"), None) == safe("00S")
        assert pump.answer(safe("00VER"), None) == safe("00SNE1000V3.923")
        assert pump.answer(b"00VER\r", None) is None
        assert pump.answer(SAF0, None) == b"\x0200S\x03"

    def test_a_damaged_packet(self, pump):
        pump.answer(safe("00SAF20"), None)
        wrong = bytearray(safe("00RUN"))
        wrong[5] ^= 1
        assert pump.answer(bytes(wrong), None) == safe("00S?COM")
        assert pump.heard == ["SAF20"]

    def test_the_watchdog_and_half_a_packet(self):
        line = Settable()
        with NewEraEmulator("pump", flow=line, powered=True) as pump:
            client = Client(pump)
            assert client.ask(safe("00SAF1")) == safe("00S")
            for command in ("00VOL0", "00RAT2MM", "00RUN"):
                client.ask(safe(command))
            assert line.value() == 2.0
            began = time.monotonic()
            assert client.receive(len(safe("00A?T"))) == safe("00A?T")  # unasked
            assert 0.8 < time.monotonic() - began < 3.0
            assert line.value() == 0.0
            assert client.ask(safe("00")) == safe("00A?T")  # only an answer clears it
            assert client.ask(safe("00")) == safe("00S")
            client.send(safe("00VER")[:4])
            time.sleep(0.6)  # the pause itself is what is tested
            assert client.ask(safe("00")) == safe("00S")
            client.close()

    def test_power_fails(self):
        with NewEraEmulator("pump", powered=True) as pump:
            client = Client(pump)
            for command in ("00SAF20", "00DIA20", "00RAT1MM", "00RUN"):
                client.ask(safe(command))
            pump.faults.arm("power_cycle")
            assert client.receive(len(safe("00A?R"))) == safe("00A?R")
            assert client.ask(safe("00DIA")) == safe("00A?R")
            assert client.ask(safe("00DIA")) == safe("00S20.00")
            client.close()


class Client:
    """A socket to the emulator."""

    def __init__(self, pump):
        host, port = pump.address.removeprefix("socket://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=5.0)

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, count):
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data))
        return data

    def ask(self, data):
        self.send(data)
        head = self.receive(2)
        return head + self.receive(head[1] - 1)

    def close(self):
        self.socket.close()


NESP = """
import json, sys
from nesp_lib import Port, Pump, PumpingDirection

pump = Pump(Port(sys.argv[1], 19200), safe_mode_timeout_s=int(sys.argv[2]))
pump.syringe_diameter_mm = 20.05
pump.pumping_direction = PumpingDirection.INFUSE
pump.pumping_volume_ml = 0.5
pump.pumping_rate_ml_per_min = 10.0
before = pump.volume_infused_ml
pump.run()
print(json.dumps({
    "model": pump.model_number, "firmware": pump.firmware_version, "diameter": pump.syringe_diameter_mm,
    "rate": pump.pumping_rate_ml_per_min, "volume": pump.pumping_volume_ml, "moved": pump.volume_infused_ml - before,
}))
pump.stop()
"""


@pytest.mark.parametrize("watchdog", [0, 30])
def test_with_the_library_nesp(python_with, watchdog):
    python = python_with("nesp_lib")
    # it expects the answer to its first packet in the form that the packet asks for, alarm or not
    with NewEraEmulator("pump", wire="pty", pace=Pace(20.0), powered=watchdog > 0) as pump:
        pump.plunger.phase(2).function = "STP"
        command = [python, "-c", NESP, pump.address, str(watchdog)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        said = json.loads(done.stdout)
        assert said["moved"] == pytest.approx(0.5)
        assert (said["model"], said["firmware"], said["diameter"]) == (1000, [3, 923], 20.05)
        assert (said["rate"], said["volume"]) == pytest.approx((10.0, 0.5))
        assert pump.state()["delivered"] == pytest.approx(0.5)
        assert pump.state()["watchdog"] == watchdog
