"""Driver and emulator against programs that others wrote from the same documents.

``palmsens`` in ``SABATIER_ORACLES``: pypalmsens 2.2.0 (the maker's; its grammar and its client, without the .NET parts)
with antlr4-python3-runtime 4.13.2, and labmcp-palmsens 0.1.3 (an independent driver and simulator, Apache-2.0).
"""

from __future__ import annotations

import json
import subprocess

import pytest

from instruments.device import Wiring
from instruments.drivers.methodscript import (
    ChronoAmperometry,
    ChronoPotentiometry,
    CyclicVoltammetry,
    Impedance,
    LinearSweep,
    MethodScriptOptions,
    OpenCircuit,
)
from instruments.drivers.methodscript.families import FAMILIES
from instruments.drivers.methodscript.talk import OFF, Script
from instruments.errors import DeviceError, DeviceFault
from simulators.emulators.alone import DummyCell
from simulators.emulators.methodscript import MethodScriptEmulator
from simulators.emulators.pace import Pace

TECHNIQUES = (
    OpenCircuit(10.0, 0.5),
    Impedance(-0.05, points=11),
    ChronoAmperometry(-1.05, 60.0, 0.5, largest=0.1),
    ChronoAmperometry(-0.123456789, 3600.0, autorange=False),
    ChronoPotentiometry(-0.02, 3600.0, 1.0, highest=2.9),
    LinearSweep(0.0, -1.2, rate=0.02, step=0.002),
    CyclicVoltammetry(0.0, 0.4, -1.0, scans=3),
)

LOAD = """
import importlib, json, pathlib, sys, types
import importlib.util
where = pathlib.Path(importlib.util.find_spec("pypalmsens").origin).parent
def stub(name, path=None, **what):
    module = sys.modules[name] = types.ModuleType(name)
    if path is not None:
        module.__path__ = [str(path)]
    for key, value in what.items():
        setattr(module, key, value)
    return module
stub("pypalmsens", where)
"""

GRAMMAR = (
    LOAD
    + """
validate = importlib.import_module("pypalmsens._methodscript.validate").validate
said = []
for script in json.load(sys.stdin):
    try:
        validate(script)
        said.append("")
    except SyntaxError as problem:
        said.append(str(problem))
print(json.dumps(said))
"""
)


def scripts():
    for family in FAMILIES.values():
        for counter in (None, *family.counter):
            for technique in TECHNIQUES:
                if isinstance(technique, ChronoPotentiometry) and abs(technique.current) > family.current:
                    continue
                if (getattr(technique, "largest", None) or 0.0) > family.current:
                    continue
                plan = technique.plan(family, counter, "ps")
                yield "\n".join(Script(plan.lines, ("cell_off",)).numbered(7))
    yield "\n".join(OFF.numbered(8))


def test_the_makers_grammar_takes_every_script(ask_oracle):
    written = [f"{script}\n" for script in scripts()]
    wrong = ['send_string "x"\nfrobnicate 1\n', "meas_loop_ca p c 0.5 1 2\nendloop\n"]
    said = ask_oracle("palmsens", GRAMMAR, package="antlr4", given=json.dumps([*written, *wrong]))
    assert len(written) > 40
    assert said[: len(written)] == [""] * len(written)
    assert all(said[len(written) :])


CLIENT = (
    LOAD
    + """
import socket
stub("PalmSens", Devices=None); sys.modules["PalmSens"].Devices = stub("PalmSens.Devices", Device=object)
stub("pypalmsens._instruments", where / "_instruments")
stub("pypalmsens._instruments.instrument", Instrument=object)
stub("typing_extensions", Generator=object, Self=object, override=lambda f: f)
import collections.abc, typing
sys.modules["typing_extensions"].Generator = collections.abc.Generator
module = importlib.import_module("pypalmsens._instruments.comm_protocol")

class Wire:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, int(port))); self.socket.settimeout(0.1); self.waiting = b""
    IsOpen = True
    def Open(self): pass
    def Close(self): self.socket.close()
    def Write(self, text): self.socket.sendall(text.encode())
    def Read(self):  # what has come, once nothing more does: whole lines
        try:
            while True:
                self.waiting += self.socket.recv(4096)
        except TimeoutError:
            pass
        end = self.waiting.rfind(b"\\n") + 1
        block, self.waiting = self.waiting[:end], self.waiting[end:]
        return block.decode()

class Instrument:
    id = "emulated"
    device = Wire(*sys.argv[1].removeprefix("socket://").split(":"))

comm = module.CommProtocol(Instrument)
comm.timeout, comm.delay = 3.0, 0.02
said = {q: comm.query(q) for q in ("", "t", "i", "v")}
said["scripting"] = comm.get_methodscript_capabilities()
said["communication"] = comm.get_communication_capabilities()
said["hello"] = comm.run_methodscript('send_string "hello world!"')
comm.write("t"); said["flush"] = comm.flush()
comm.abort()
def refused(text):
    import time
    time.sleep(0.1)
    try:
        return comm.query(text)
    except module.CommProtocolError as problem:
        return problem.error_code
said["codes"] = [refused(q) for q in ("fail", "Z", "e\\nfail\\n\\n", "G99", "r")]
import time; time.sleep(0.1)
said["sweep"] = comm.run_methodscript(sys.stdin.read())
comm.close()
print(json.dumps(said))
"""
)


def test_the_makers_client_runs_the_emulator(ask_oracle):
    plan = LinearSweep(0.0, -1.0, rate=1.0, step=0.1).plan(FAMILIES["nexus1"], "ag", "ps")
    script = "\n".join(Script(plan.lines, ("cell_off",)).numbered(3))
    with MethodScriptEmulator("ps", electrodes=DummyCell(), pace=Pace(100.0)) as emulator:
        said = ask_oracle("palmsens", CLIENT, emulator.address, package="antlr4", given=script)
        assert not emulator.state()["cell_on"]
    assert said[""] == ""
    assert said["t"].startswith("nexus1")
    assert (said["i"], said["v"]) == ("NEX24A0001", "0108")
    assert {"meas_loop_cp", "meas_loop_eis", "cell_off", "send_string"} <= set(said["scripting"])
    assert {"t", "e", "Z", "Y", "CM"} <= set(said["communication"])
    assert said["hello"] == "Thello world!\n"
    assert said["flush"].endswith("*\n")
    assert [code[:4] for code in said["codes"]] == ["0003", "0006", "4001", "0004", "000C"]
    lines = said["sweep"].splitlines()
    assert lines[:2] == ["Tbegin 3", "M0000"]
    assert sum(line.startswith("P") for line in lines) == 11
    assert lines[-2:] == ["*", "Tend 3"]


DRIVER = """
import json, sys, time
from labmcp.transports import open_transport
from labmcp_palmsens.driver import MethodScriptDevice, build_script
host = sys.argv[1].removeprefix("socket://")
device = MethodScriptDevice(open_transport(f"tcp://{host}", timeout=3.0, write_termination="\\n", read_termination="\\n"))
said = {"identity": device.identify()}
script = build_script("meas_loop_cv p c 0 400m -400m 50m 1 nscans(2)", begin_potential_v=0.0, e_min=-0.4, e_max=0.4,
    pgstat_mode=2, bandwidth_hz=100.0, current_range_a=1e-3, autorange=True, equilibration_s=0.1)
done = device.execute(script, 20.0)
said["cv"] = [[scan, package[0].value, package[1].value, package[1].status] for scan, package in done.packets]
said["malformed"] = done.malformed
failed = device.execute(["set_pgstat_mode 2", "cell_on", "meas_loop_ocp p 100m 1", "endloop"][:2] + ["set_e 20"], 5.0)
said["failed"] = [failed.error, failed.cell_off_sent]
said["abort"] = device.abort()
device.close()
print(json.dumps(said))
"""


def test_an_independent_driver_runs_the_emulator(ask_oracle):
    cell = DummyCell(series=500.0, parallel=500.0)
    with MethodScriptEmulator("ps", electrodes=cell, pace=Pace(100.0), family="es4_hr") as emulator:
        said = ask_oracle("palmsens", DRIVER, emulator.address, package="labmcp_palmsens")
        assert not emulator.state()["cell_on"]
    assert said["identity"]["model"] == "EmStat4 HR"
    assert {scan for scan, *_ in said["cv"]} == {0, 1}
    assert all(current == pytest.approx(potential / 1000.0, abs=1e-9) for _, potential, current, _ in said["cv"])
    assert min(potential for _, potential, *_ in said["cv"]) == pytest.approx(-0.4)
    assert said["malformed"] == []
    assert "0x000F" in said["failed"][0]
    assert said["failed"][1] is True
    assert said["abort"]["note"] == "cell switched off"


SIMULATOR = """
import socket, sys, threading, time
from labmcp.transports import SimulatedTransport
from labmcp_palmsens.simulator import MethodScriptSimulator
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
simulator = MethodScriptSimulator(speed=50.0)
while True:
    connection, _ = listener.accept()
    connection.settimeout(0.005)
    waiting = b""
    while True:
        try:
            data = connection.recv(4096)
            if not data:
                break
            waiting += data
        except TimeoutError:
            pass
        *lines, waiting = waiting.split(b"\\n")
        said = []
        for line in lines:
            answer = simulator.handle(line.decode())
            said += [] if answer is None else [answer] if isinstance(answer, str) else answer
        said += simulator.poll()
        if said:
            connection.sendall("".join(f"{line}\\n" for line in said).encode())
"""


@pytest.fixture
def simulator(oracle):
    """An EmStat Pico that others simulate, on a port of its own."""
    python = oracle("palmsens")
    if subprocess.run([python, "-c", "import labmcp_palmsens"], capture_output=True, check=False).returncode:
        pytest.skip("the environment 'palmsens' in SABATIER_ORACLES has no labmcp_palmsens")
    with subprocess.Popen([python, "-c", SIMULATOR], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"socket://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def test_the_driver_runs_an_independent_simulator(simulator):
    options = MethodScriptOptions(port=simulator, family="espico", timeout=1.0)
    with options.build("ps", Wiring(pace=50.0)) as device:
        assert device.identify().firmware == "1.6.00"
        step = device.run(ChronoAmperometry(0.5, 5.0, 0.25))
        assert len(step.points) == 20
        currents = [point.current for point in step.points]
        assert currents[0] > currents[-1] > 0.0  # it decays with the square root of time
        sweep = device.run(LinearSweep(-0.2, 0.6, rate=0.1, step=0.01))
        peak = max(sweep.points, key=lambda point: point.current)
        assert peak.potential == pytest.approx(0.2285, abs=0.03)  # 28.5 mV beyond a reversible couple at 0.2 V
        cycles = device.run(CyclicVoltammetry(-0.2, 0.6, -0.2, rate=0.1, step=0.01, scans=2))
        assert {point.scan for point in cycles.points} == {1, 2}
        with pytest.raises(DeviceFault) as caught:  # it does not know this technique
            device.run(OpenCircuit(1.0))
        assert caught.value.code == "4001"
        assert device.make_safe().confirmed
        seen = []

        def stop(point):
            seen.append(point)
            device.make_safe()

        with pytest.raises(DeviceError, match="made safe"):
            device.run(ChronoAmperometry(0.5, 1000.0, 0.5), stop)
        assert len(device.run(ChronoAmperometry(0.5, 2.0, 0.25)).points) == 8
