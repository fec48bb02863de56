"""The Alicat emulator, byte for byte against captured replies, and against another's driver."""

import json
import subprocess
import time

import pytest

from simulators.emulators.alicat import AlicatEmulator
from simulators.emulators.alone import Settable

# Rows of real devices, as the alicatlib package publishes them: MC-500SCCM-D with 5v12 and with 10v20
OLD_LAYOUT = """\
A  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__
A  D01 Unit ID     char         A         Z         na
A  D02 Pressure    signed    +000.00  +160.00     PSIA
A  D03 Temperature signed    -010.00  +050.00        C
A  D04 Volumetric  signed    +0000.0  +0500.0      CCM
A  D05 Mass        signed    +0000.0  +0500.0     SCCM
A  D06 SetPoint    signed    +0000.0  +0500.0     SCCM
A  D07 Gas         string        Air       D2       na
A  D08 Error       string         na      ADC       na
A  D09 Status      string         na      LCK       na
A  D10 Status      string         na      OVR       na
A  D11 Status      string         na      POV       na
A  D12 Status      string         na      TOV       na
A  D13 Status      string         na      VOV       na
A  D14 Status      string         na      MOV       na
""".splitlines()
MODERN_LAYOUT = """\
A D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________
A D01 700 Unit ID                    string          1
A D02 002 Abs Press                  s decimal     7/2 010 02 PSIA
A D03 003 Flow Temp                  s decimal     7/2 002 02 `C
A D04 004 Volu Flow                  s decimal     7/2 012 02 CCM
A D05 005 Mass Flow                  s decimal     7/2 012 02 SCCM
A D06 037 Mass Flow Setpt            s decimal     7/2 012 02 SCCM
A D07 703 Gas                        string          6
A D08 701 *Error                     string          3 ADC
A D09 702 *Status                    string          3 OPL
A D10 702 *Status                    string          3 POV
""".splitlines()


def ask(emulator, text):
    """The rows that answer a command, without a wire."""
    said = emulator.answer(text.encode(), None)
    return [] if said is None else said.decode().split("\r")[:-1]


@pytest.fixture
def old():
    return AlicatEmulator("mfc", firmware="5v12.0-R22", gas="N2")


@pytest.fixture
def modern():
    return AlicatEmulator("mfc", gas="N2", pressure=14.62 * 0.0689475729, temperature=21.89)


def test_tables_are_those_of_real_devices(old, modern):
    assert ask(old, "A??D*") == OLD_LAYOUT
    assert ask(modern, "A??D*")[: len(MODERN_LAYOUT)] == MODERN_LAYOUT
    assert ask(modern, "A??D*")[-2:] == ["A D21 702 *Status                    string          3 LCK", ""]
    assert ask(modern, "A??M*")[4] == "A  M04 Model Number MC-500SCCM-D"
    assert ask(modern, "A??G*")[:2] == ["A G00      Air", "A G01       Ar"]


def test_answers_are_those_of_real_devices(old, modern):
    ask(modern, "AS 78.95")
    modern.flow = Settable(0.0)
    assert ask(modern, "A") == ["A +014.62 +021.89 +000.00 +000.00 +078.95     N2"]
    assert ask(modern, "ALS") == ["A +078.95 +078.95 12 SCCM"]
    assert ask(modern, "AFPF 5") == ["A +500.00 12 SCCM"]
    assert ask(modern, "AVE") == ["A   10v20.0-R24 Jan  9 2025,15:04:07"]
    assert ask(modern, "AGS 8") == ["A 8 N2 Nitrogen"]
    assert ask(modern, "ALSS") == ["A S"]
    assert ask(modern, "A$$W46=4") == ["A   046 = 4"]
    assert ask(modern, "AR122") == ["A   122 = 37"]
    ask(old, "AS 116.3")
    assert ask(old, "A")[0].split()[5:] == ["0116.3", "N2"]


def test_what_is_refused_or_passed_over(old, modern):
    assert ask(modern, "AXYZ") == ask(modern, "AS x") == ask(modern, "AG 99") == ["?"]
    assert ask(modern, "AFPF 344") == ["", "?"]
    assert ask(modern, "B") == ask(modern, "") == []
    meter = AlicatEmulator("meter", kind="meter")
    assert ask(meter, "AS 1") == ask(meter, "ALS") == ask(meter, "AHP") == []
    assert len(ask(meter, "A")[0].split()) == 6
    assert ask(old, "AFPF 5") == ["?"]


def test_letters_that_old_firmware_takes_otherwise(old):
    assert len(ask(old, "ALS 100.0")) == 1
    assert old.locked
    assert old.setpoint == 0.0
    assert ask(old, "A")[0].endswith(" LCK")


def test_an_integer_is_a_set_point(modern):
    ask(modern, "A32000")
    assert modern.setpoint == 250.0


def test_holding_closing_and_letting_go(modern):
    ask(modern, "AS 50")
    ask(modern, "AHP")
    ask(modern, "AS 80")
    sccm = 273.15 / 298.15
    assert modern.flow.value() == pytest.approx(50.0 * sccm)
    assert ask(modern, "A")[0].endswith(" HLD")
    ask(modern, "AHC")
    assert modern.flow.value() == 0.0
    ask(modern, "AC")
    assert modern.flow.value() == pytest.approx(80.0 * sccm)


def test_faults_show_in_the_data_frame(modern):
    modern.faults.arm("status_mov")
    modern.faults.arm("offset", times=None, value=2.5)
    assert ask(modern, "A")[0].split()[4:] == ["+002.50", "+000.00", "N2", "MOV"]
    modern.faults.clear()
    modern.flow.set(700.0)
    assert ask(modern, "A")[0].endswith("MOV")
    modern.faults.arm("stuck_flow")
    ask(modern, "AS 10")
    assert modern.flow.value() == 700.0
    assert modern.state()["setpoint"] == 10.0


NUMAT = """
import asyncio, json, sys
from alicat import FlowController, FlowMeter

async def main():
    async with FlowController(address=sys.argv[1]) as mfc:
        before = await mfc.get()
        await mfc.set_flow_rate(100.0)
        await mfc.set_gas("CO2")
        after = await mfc.get()
        await mfc.hold()
        held = await mfc._write_and_read("A")
        await mfc.cancel_hold()
        firmware = await mfc.get_firmware()
    print(json.dumps([before, after, held, firmware]))

asyncio.run(main())
"""


@pytest.mark.parametrize("firmware", ["5v12.0-R22", "10v20.0-R24"])
def test_against_the_driver_of_numat(python_with, firmware):
    python = python_with("alicat")
    with AlicatEmulator("mfc", gas="N2", firmware=firmware) as emulator:
        address = emulator.address.removeprefix("socket://")
        done = subprocess.run([python, "-c", NUMAT, address], capture_output=True, text=True, timeout=60, check=True)
        before, after, held, version = json.loads(done.stdout)
        assert before["gas"] == "N2"
        assert before["control_point"] == "mass flow"
        assert before["pressure"] == pytest.approx(14.65, abs=0.01)
        assert after["mass_flow"] == after["setpoint"] == 100.0
        assert after["gas"] == emulator.state()["gas"] == "CO2"
        assert held.endswith("HLD")
        assert emulator.held == ""
        assert firmware in version


def test_streaming_and_its_end(modern):
    import socket

    with modern:
        host, port = modern.address.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port)), timeout=5.0) as connection:
            connection.sendall(b"A@ @\r")
            said = b""
            while said.count(b"\r") < 2:
                said += connection.recv(100)
            assert said.startswith(b"+014.62 ")
            connection.sendall(b"@@ A\r")
            until = time.monotonic() + 5.0
            while modern.streaming:
                assert time.monotonic() < until
            connection.sendall(b"AVE\r")
            while b"10v20" not in said:
                said += connection.recv(100)
