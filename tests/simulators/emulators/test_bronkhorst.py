"""The Bronkhorst emulator against captured frames, and with the maker's library as its client."""

import contextlib
import time

import propar
import pytest

from simulators.emulators.alone import Settable
from simulators.emulators.bronkhorst import BronkhorstEmulator

# Frames that the maker's library sends, captured, and what a device that measures 50 % of 500 mln/min answers
BINARY = [
    ("10 02 01 80 05 04 01 20 01 20 10 03", "10 02 01 80 05 02 01 20 3e 80 10 03"),  # measure
    ("10 02 03 80 05 01 01 21 3e 80 10 03", "10 02 03 80 03 00 00 05 10 03"),  # setpoint = 16000
    ("10 02 02 80 05 04 01 20 01 21 10 03", "10 02 02 80 05 02 01 20 3e 80 10 03"),  # setpoint, by another index
    ("10 02 04 80 05 04 21 40 21 40 10 03", "10 02 04 80 07 02 21 40 43 7a 00 00 10 03"),  # fmeasure
    ("10 02 05 80 07 01 21 43 41 48 00 00 10 03", "10 02 05 80 03 00 00 07 10 03"),  # fsetpoint = 12.5
    ("10 02 06 80 06 04 71 63 71 63 00 10 03", "10 02 06 80 09 02 71 63 00 4d 31 32 33 00 10 03"),  # serial number
    ("10 02 08 80 05 04 01 4d 01 4d 10 03", "10 02 08 80 07 02 01 4d 43 fa 00 00 10 03"),  # capacity
    ("10 02 0a 80 04 01 01 04 00 10 03", "10 02 0a 80 03 00 00 04 10 03"),  # control mode = 0
]
ASCII = [
    (b":06800401200120\r\n", b":06800201203E80\r\n"),
    (b":06800101213E80\r\n", b":0480000005\r\n"),
    (b":06800421402140\r\n", b":0880022140437A0000\r\n"),
    (b":0780047163716300\r\n", b":0A80027163004D31323300\r\n"),
    (b":078004017F017F00\r\n", b":0D8002017F006D6C6E2F6D696E00\r\n"),
    (b":058001010400\r\n", b":0480000004\r\n"),
]


@pytest.fixture
def half():
    """A device with half of its flow, which stays as it is."""

    class Half(Settable):
        def value(self):
            return 250.0

    return BronkhorstEmulator("mfc", flow=Half(), serial="M123")


def test_binary_frames(half):
    for asked, said in BINARY:
        assert half.answer(bytes.fromhex(asked), None).hex(" ") == said
    assert half.setpoint == 12.5


def test_a_chain(half):
    half.answer(bytes.fromhex(BINARY[1][0]), None)
    said = half.answer(bytes.fromhex("10 02 09 80 0c 04 81 a0 01 20 21 01 21 21 40 21 40 10 03"), None)
    assert said.hex(" ") == "10 02 09 80 0e 02 81 a0 3e 80 21 3e 80 21 40 43 7a 00 00 10 03"


def test_ascii_frames(half):
    for asked, said in ASCII:
        assert half.answer(asked, None) == said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (":06800405200520\r\n", ":0480000305\r\n"),  # there is no process 5
        (":0680040120013E\r\n", ":0480000405\r\n"),  # nor a parameter 30
        (":06800401200140\r\n", ":0480000505\r\n"),  # another type
        (":06800401200100\r\n", ":0480000505\r\n"),  # another type
        (":0680010120FFFF\r\n", ":0480000D05\r\n"),  # the measure is read only
        (":0680010121FFFF\r\n", ":0480000605\r\n"),  # beyond 100 %
        (":048004\r\n", ":028003\r\n"),  # a length that is wrong
        (":zz\r\n", ":028001\r\n"),
    ],
)
def test_refusals(half, asked, said):
    assert half.answer(asked.encode(), None) == said.encode()


def test_other_nodes_are_silent(half):
    assert half.answer(b":06050401200120\r\n", None) is None
    assert half.answer(b":06030401200120\r\n", None) == b":06030201203E80\r\n"


def test_modes_of_the_valve():
    emulator = BronkhorstEmulator("mfc")
    emulator._put_float(100.0)
    assert emulator.flow.value() == 100.0
    emulator._put_mode(4.0)
    emulator._put_float(50.0)
    assert emulator.flow.value() == 100.0
    emulator._put_mode(3.0)
    assert emulator.flow.value() == 0.0
    emulator._put_mode(8.0)
    assert emulator.flow.value() == 500.0
    emulator._put_mode(0.0)
    assert emulator.flow.value() == 50.0
    emulator.faults.arm("stuck_flow", times=None)
    emulator._put_float(10.0)
    assert emulator.state()["true"] == 50.0


class Ended(BaseException):
    """Raised in the library's thread, which has no other end."""

    def read_propar_message(self):
        raise self


class Master(propar.master):
    def _master__message_handler_task(self):
        with contextlib.suppress(Ended):
            super()._master__message_handler_task()


@contextlib.contextmanager
def master(address):
    """The maker's library, whose threads are ended afterwards."""
    client = Master(address, 38400)
    try:
        yield client
    finally:
        client.propar.run = False
        client.propar.serial_read_thread.join(5.0)
        client.propar.serial.close()
        client.propar = Ended()
        client.msg_handler_thread.join(5.0)


@pytest.mark.parametrize("mode", [propar.PP_MODE_BINARY, propar.PP_MODE_ASCII])
def test_with_the_library_of_the_maker(mode):
    with BronkhorstEmulator("mfc", wire="pty") as emulator, master(emulator.address) as client:
        client.propar.mode = mode
        db = client.db

        def parameters(*numbers, **more):
            found = db.get_parameters(list(numbers))
            found[0]["node"] = 0x80
            return [{**parameter, **more} for parameter in found]

        assert client.write_parameters(parameters(206, data=125.0)) == propar.PP_STATUS_OK
        assert emulator.flow.value() == 125.0
        values = [p["data"] for p in client.read_parameters(parameters(8, 9, 205, 206, 21, 142))]
        assert values == pytest.approx([8000, 8000, 125.0, 125.0, 500.0, 21.9])
        texts = [client.read_parameters(parameters(number))[0]["data"] for number in (25, 91, 92, 129)]
        assert texts == ["CO2", "F-201CV-500-AAD-22-V", "M21207123A", "mln/min"]
        assert client.write_parameters(parameters(9, data=16000)) == propar.PP_STATUS_OK
        assert emulator.flow.value() == 250.0
        assert client.write_parameters(parameters(206, data=501.0)) == propar.PP_STATUS_PARM_VALUE
        emulator.flow.set(-5.0)
        assert client.read_parameters(parameters(8))[0]["data"] == -320
        emulator.faults.arm("error", code=9)
        assert client.read_parameters(parameters(8))[0]["status"] == 0x80 + 9


def test_the_library_finds_the_node():
    with BronkhorstEmulator("mfc", wire="pty", node=3) as emulator, master(emulator.address) as client:
        began = time.monotonic()
        found = client.get_nodes(find_first=False)
        assert time.monotonic() - began < 5.0
        assert [(node["address"], node["type"], node["serial"]) for node in found] == [(3, "DMFC", "M21207123A")]
