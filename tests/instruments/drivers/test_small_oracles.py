"""Small instruments against programs of others: their simulators for our drivers, their clients for our emulators."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from instruments.device import Device, Wiring
from instruments.drivers.installed import options_of
from instruments.errors import DeviceFault
from simulators.emulators.alone import DummyCell, Settable
from simulators.emulators.atlas_ezo import AtlasEzoEmulator
from simulators.emulators.julabo import JulaboEmulator
from simulators.emulators.modbus_relay import ModbusRelayEmulator
from simulators.emulators.mt_sics import MtSicsEmulator
from simulators.emulators.numato_relay import NumatoRelayEmulator
from simulators.emulators.pace import Pace
from simulators.emulators.scpi_supply import ScpiSupplyEmulator
from simulators.emulators.vici import ViciEmulator

ENVIRONMENT = "small"

LINES = """
import importlib, json, socket, sys
module, name, ends, answers, keywords = sys.argv[1:]
ends, answers = (text.encode().decode("unicode_escape") for text in (ends, answers))
simulator = getattr(importlib.import_module(module), name)(**json.loads(keywords))
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    pending = ""
    while data := connection.recv(4096):
        pending += data.decode("latin-1")
        while ends in pending:
            line, _, pending = pending.partition(ends)
            reply = simulator.handle(line)
            for one in [reply] if isinstance(reply, str) else reply or []:
                connection.sendall((one + answers).encode("latin-1"))
"""

BALANCE = """
import asyncio
from mtsics.core.state import ScaleState
from mtsics.profiles import load
from mtsics.protocol.engine import MTSICSEngine
from mtsics.transport.tcp import TCPConfig, TCPTransport
async def main():
    state = ScaleState(config=load("mt-xs204"))
    state.set_weight(52.1873)
    transport = TCPTransport(MTSICSEngine(state), cfg=TCPConfig(host="127.0.0.1", port=0))
    print((await transport.start())[1], flush=True)
    await transport.serve_forever()
asyncio.run(main())
"""

COILS = """
import asyncio, socket
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
async def main():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    coils = [SimData(0, count=8, values=[False] * 8, datatype=DataType.BITS)]
    other = [SimData(0, count=1, values=0, datatype=DataType.REGISTERS)]
    device = SimDevice(id=1, simdata=(coils, coils, other, other))
    server = ModbusTcpServer(device, framer=FramerType.RTU, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    print(port, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
def serving(oracle: Callable[[str], Path]) -> Callable[..., Any]:
    """Run a program of others that prints the port on which it listens."""

    @contextmanager
    def run(program: str, *arguments: str, package: str) -> Iterator[str]:
        python = oracle(ENVIRONMENT)
        if subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode:
            pytest.skip(f"the environment {ENVIRONMENT!r} in SABATIER_ORACLES has no {package}")
        with subprocess.Popen([python, "-c", program, *arguments], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield f"socket://127.0.0.1:{int(process.stdout.readline())}"
            finally:
                process.kill()

    return run


def connected(kind: str, **block: Any) -> Device:
    return options_of(kind, {"timeout": 1.0, **block}).build("device", Wiring())


# Our drivers with their simulators


def test_balance_driver_with_mt_sics_emulator(serving) -> None:
    with serving(BALANCE, package="mtsics") as port, connected("mt_sics", port=port) as balance:
        assert balance.read("mass").value == 52.1873
        assert balance.read("mass_now").value == 52.1873
        assert balance.identify().serial != ""
        balance.set("pan", "tare")
        assert balance.read("mass").value == 0.0
        balance.set("pan", "clear_tare")
        assert balance.read("mass").value == 52.1873


def test_balance_driver_with_labmcp(serving) -> None:
    given = ("labmcp_mettler_toledo.simulator", "MTSICSSimulator", r"\r\n", r"\r\n", "{}")
    with serving(LINES, *given, package="labmcp_mettler_toledo") as port, connected("mt_sics", port=port) as balance:
        before = balance.read("mass").number
        balance.set("pan", "tare")
        assert balance.read("mass").value == 0.0
        balance.set("pan", "clear_tare")
        assert balance.read("mass").value == pytest.approx(before, abs=0.001)
        assert balance.identify().firmware != ""


@pytest.mark.parametrize(
    ("sensor", "name", "low", "high"),
    [("ph", "ph", 7.0, 7.5), ("ec", "conductivity", 1300.0, 1600.0), ("orp", "orp", 200.0, 250.0), ("rtd", "temperature", 25.0, 26.0)],
)  # fmt: skip
def test_sensor_driver_with_labmcp(serving, sensor: str, name: str, low: float, high: float) -> None:
    label = {"ph": "pH", "ec": "EC", "orp": "ORP", "rtd": "RTD"}[sensor]
    given = ("labmcp_atlas_ezo.simulator", "EZOSimulator", r"\r", r"\r", f'{{"sensor": "{label}"}}')
    with (
        serving(LINES, *given, package="labmcp_atlas_ezo") as port,
        connected("atlas_ezo", port=port, sensor=sensor) as device,
    ):
        assert low < device.read(name).number < high
        if sensor in ("ph", "ec"):
            device.set("compensation", 31.5)
            assert device.read("compensation").value == 31.5
        point, value = {"ph": ("mid", 7.0), "ec": ("single", 1413.0), "orp": ("single", 225.0), "rtd": ("single", 25.0)}[sensor]  # fmt: skip
        assert device.calibrate(point, value) == 1
        assert device.calibrate("clear") == 0
        device.sleep()
        assert low < device.read(name).number < high


def test_circulator_driver_with_labmcp(serving) -> None:
    given = ("labmcp_julabo.simulator", "JulaboSimulator", r"\r", r"\r\n", "{}")
    with (
        serving(LINES, *given, package="labmcp_julabo") as port,
        connected("julabo", port=port, pause=0.02, external_sensor=True) as bath,
    ):
        assert bath.read("temperature").value == pytest.approx(22.0, abs=0.1)
        assert (bath.attributes["setpoint"].low, bath.attributes["setpoint"].high) == (-30.0, 150.0)
        bath.set("setpoint", 37.5)
        bath.set("control", "on")
        assert bath.status().code == 3
        assert bath.make_safe().confirmed
        assert bath.read("control").value == "off"


def test_circulator_driver_with_a_smaller_model_of_labmcp(serving) -> None:
    given = ("labmcp_julabo.simulator", "JulaboSimulator", r"\r", r"\r\n", '{"corio_cd": true}')
    with serving(LINES, *given, package="labmcp_julabo") as port:
        with pytest.raises(DeviceFault) as told, connected("julabo", port=port, pause=0.02, timeout=0.2):
            pass
        assert told.value.field == "warning_limits"
        with connected("julabo", port=port, pause=0.02, warning_limits=False) as bath:
            with pytest.raises(DeviceFault, match="too large"):
                bath.set("setpoint", 220.0)
            bath.set("setpoint", 30.0)
            assert bath.read("setpoint").value == 30.0


def test_circulator_driver_without_remote_control(serving) -> None:
    given = ("labmcp_julabo.simulator", "JulaboSimulator", r"\r", r"\r\n", '{"remote": false}')
    with serving(LINES, *given, package="labmcp_julabo") as port, connected("julabo", port=port, pause=0.02) as bath:
        with pytest.raises(DeviceFault, match="remote control") as told:
            bath.set("control", "on")
        assert told.value.code == "-09"


def test_relay_driver_with_pymodbus(serving) -> None:
    contacts = {f"k{i}": {"channel": i} for i in range(8)}
    with serving(COILS, package="pymodbus") as port, connected("modbus_relay", port=port, contacts=contacts) as card:
        for name in ("k0", "k5", "k7"):
            card.set(name, "closed")
        assert [card.read(name).value for name in contacts] == ["closed", *4 * ["open"], "closed", "open", "closed"]
        assert card.make_safe().confirmed
        assert {card.read(name).value for name in contacts} == {"open"}
        far = connected("modbus_relay", port=port, contacts={"far": {"channel": 99}})
        with pytest.raises(DeviceFault, match="no such channel"):
            far.connect()
        far.close()


# Their clients with our emulators


def test_balance_emulator_with_labmcp(ask_oracle) -> None:
    program = """
import json, sys
from labmcp.transports.tcp import TCPTransport
from labmcp_mettler_toledo.driver import MTSICSBalance
line = TCPTransport("127.0.0.1", int(sys.argv[1]), read_termination="\\r\\n", write_termination="\\r\\n", timeout=3.0)
b = MTSICSBalance(line)
seen = [b.weight().value, b.weight(stable=False).value, b.tare().value, b.weight().value, b.tare_value().value]
b.clear_tare()
seen += [b.weight().value, b.preset_tare(2.5, "g").value, b.weight().value, b.zero(), b.weight().value, b.reset()]
print(json.dumps([seen, b.identify()]))
"""
    with MtSicsEmulator("balance", pan=Settable(12.3456), pace=Pace(50.0)) as running:
        seen, identity = ask_oracle(ENVIRONMENT, program, _port(running.address), package="labmcp_mettler_toledo")
    assert seen == [12.3456, 12.3456, 12.3456, 0.0, 12.3456, 12.3456, 2.5, 9.8456, True, 0.0, "B021002593"]
    assert identity["serial"] == "B021002593"


def test_sensor_emulator_with_labmcp(ask_oracle) -> None:
    program = """
import json, sys
from labmcp.transports.tcp import TCPTransport
from labmcp_atlas_ezo.driver import EZOCircuit
line = TCPTransport("127.0.0.1", int(sys.argv[1]), read_termination="\\r", write_termination="\\r", timeout=2.0)
c = EZOCircuit(line)
c.initialise()
first = c.read().values["ph"]
c.calibrate("mid", 7.0)
print(json.dumps([c.identify()["model"], first, c.read().values["ph"], c.calibration_points(), c.set_temperature_compensation(30.5), c.status()[0]]))
"""
    with AtlasEzoEmulator("ph", probe=Settable(7.0), error=0.12, pace=Pace(20.0)) as running:
        answer = ask_oracle(ENVIRONMENT, program, _port(running.address), package="labmcp_atlas_ezo")
    assert answer == ["EZO-pH", 7.12, 7.0, 1, 30.5, "P"]


def test_circulator_emulator_with_labmcp(ask_oracle) -> None:
    program = """
import json, sys
from labmcp import InstrumentProtocolError
from labmcp.transports.tcp import TCPTransport
from labmcp_julabo.driver import JulaboCirculator
line = TCPTransport("127.0.0.1", int(sys.argv[1]), read_termination="\\r\\n", write_termination="\\r", timeout=2.0)
b = JulaboCirculator(line, command_delay_s=0.02)
b.set_setpoint(41.25); b.start()
seen = [b.setpoint_c(), b.is_running(), b.status().code, b.warning_limits_c(), b.stop(), b.status().code]
try: b.set_setpoint(95.0)
except InstrumentProtocolError as e: seen.append("-13" in str(e))
print(json.dumps(seen))
"""
    with JulaboEmulator("bath") as running:
        answer = ask_oracle(ENVIRONMENT, program, _port(running.address), package="labmcp_julabo")
    assert answer == [41.25, True, 3, [90.0, 5.0], True, 2, True]


def test_circulator_emulator_with_julabo(ask_oracle) -> None:
    program = """
import json, sys, time
from julabo import JulaboMS, connection_for_url
line = connection_for_url(f"tcp://127.0.0.1:{sys.argv[1]}", concurrency="syncio")
line.open()
b = JulaboMS(line)
b.set_point_1(33.5); b.start()
seen = [b.identification(), b.set_point_1(), b.is_started(), b.bath_temperature(), b.status()]
b.stop()
print(json.dumps([*seen, b.is_started()]))
"""
    with JulaboEmulator("bath") as running:
        answer = ask_oracle(ENVIRONMENT, program, _port(running.address), package="julabo")
    assert answer == ["JULABO MAGIO MS-1000F VERSION 1.1.2", 33.5, True, 33.5, "03 REMOTE START", False]


@pytest.mark.parametrize("letters", [True, False])
def test_valve_emulator_with_vicivalve(ask_oracle, letters: bool) -> None:
    program = """
import json, sys, serial
from vicivalve import VICI
positions = int(sys.argv[2])
v = VICI(serial.serial_for_url(sys.argv[1], baudrate=9600), positions=positions)
if positions == 2:
    seen = [v.current_position(), v.switch_valve("B"), v.current_position(), v.toggle(), v.home()]
else:
    seen = [v.current_position(), v.switch_valve(4), v.current_position(), v.move_clockwise_to_position(6), v.current_position()]
print(json.dumps(seen))
"""
    positions = 2 if letters else 10
    with ViciEmulator("valve", letters=letters, positions=positions, wire="pty", pace=Pace(20.0)) as running:
        answer = ask_oracle(ENVIRONMENT, program, running.address, str(positions), package="vicivalve")
    assert answer == (["A", True, "B", "A", True] if letters else [1, True, 4, True, 6])


def test_relay_emulator_with_numato_gpio(ask_oracle) -> None:
    """This client knows the pins only; echo, prompt, version and id are the same for the relays."""
    program = """
import json, sys
from numato_gpio import Direction, NumatoUsbGpio
card = NumatoUsbGpio(sys.argv[1])
card.setup(3, direction=Direction.OUT)
card.write(3, value=1)
print(json.dumps([card.ver, card.id, card.read(3), card.read(2)]))
card.cleanup()
"""
    with NumatoRelayEmulator("card", wire="pty", identity="0000002a") as running:
        answer = ask_oracle(ENVIRONMENT, program, running.address, package="numato_gpio")
    assert answer == ["A0008.00", 42, 1, 0]


def test_relay_emulator_with_pymodbus(ask_oracle) -> None:
    program = """
import json, sys
from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient
c = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), framer=FramerType.RTU)
assert c.connect()
c.write_coil(2, True, device_id=1)
c.write_coils(4, [True, False, True], device_id=1)
seen = [c.read_coils(0, count=8, device_id=1).bits[:8], c.read_coils(7, count=2, device_id=1).exception_code,
        c.read_holding_registers(0, count=1, device_id=1).exception_code]
print(json.dumps(seen))
"""
    with ModbusRelayEmulator("card") as running:
        bits, beyond, unknown = ask_oracle(ENVIRONMENT, program, _port(running.address), package="pymodbus")
        assert bits == [i in (2, 4, 6) for i in range(8)]
        assert (beyond, unknown) == (2, 1)
        assert running.state()["6"] is True


def test_source_meter_emulator_with_pymeasure(ask_oracle) -> None:
    """Through PyVISA, over a terminal."""
    program = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pymeasure.instruments.keithley import Keithley2450
k = Keithley2450(f"ASRL{sys.argv[1]}::INSTR", visa_library="@py", read_termination="\\n", write_termination="\\n", timeout=3000)
k.reset()
k.apply_voltage(compliance_current=0.01)
k.source_voltage = 2.0
k.enable_source()
k.measure_current()
seen = [k.id.split(",")[1], k.source_enabled, k.source_voltage, k.compliance_current, k.current]
k.compliance_current = 0.001
seen.append(k.current)
k.measure_voltage()
seen.append(k.voltage)
k.disable_source()
print(json.dumps([*seen, k.source_enabled, k.check_errors()]))
"""
    cell = DummyCell(series=100.0, parallel=900.0)
    with ScpiSupplyEmulator("smu", cell=cell, wire="pty", dialect="keithley_2450") as running:
        answer = ask_oracle(ENVIRONMENT, program, running.address, package="pymeasure")
    name, on, volts, limit, amperes, limited, across, off, errors = answer
    assert (name, on, volts, limit, off, errors) == ("MODEL 2450", True, 2.0, 0.01, False, [])
    assert (amperes, limited, across) == (pytest.approx(2e-3), pytest.approx(1e-3), pytest.approx(1.0))


# SCPI through another backend of VISA

SIMULATED = """
spec: "1.0"
devices:
  meter:
    eom:
      USB INSTR: {q: "\\n", r: "\\n"}
      ASRL INSTR: {q: "\\n", r: "\\n"}
    error: ERROR
    dialogues:
      - {q: "*IDN?", r: "Acme,M1,7,1.0"}
      - {q: "*CLS"}
      - {q: "SYST:ERR?", r: '0,"No error"'}
      - {q: "MEAS:VOLT:DC?", r: "+1.25E+00"}
resources:
  USB::0x1111::0x2222::0x2468::INSTR: {device: meter}
  ASRL1::INSTR: {device: meter}
"""


@pytest.mark.parametrize("resource", ["USB::0x1111::0x2222::0x2468::INSTR", "ASRL1::INSTR"])
def test_meter_driver_with_pyvisa_sim(tmp_path: Path, resource: str) -> None:
    pytest.importorskip("pyvisa_sim", reason="pyvisa-sim simulates resources that give whole messages")
    (tmp_path / "devices.yaml").write_text(SIMULATED)
    backend = f"{tmp_path / 'devices.yaml'}@sim"
    with connected("scpi_meter", resource=resource, backend=backend, timeout=0.3) as meter:
        assert meter.identify().serial == "7"
        assert meter.read("voltage").value == 1.25


def _port(address: str) -> str:
    return address.rsplit(":", 1)[1]
