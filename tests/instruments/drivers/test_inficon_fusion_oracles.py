"""The emulator against the maker's own client (MicroGCFusionAPI 0.0.8, MIT licence)."""

from __future__ import annotations

import pytest

from simulators.emulators.alone import Gas, Settable
from simulators.emulators.inficon_fusion import InficonFusionEmulator
from simulators.emulators.pace import Pace

CLIENT = """
import json, sys, time
from MicroGCFusionAPI import Fusion

f = Fusion(sys.argv[1])
said = {
    "status": f.status(), "serial": f.info.serialNumber(), "part": f.info.partNumber(),
    "storage": f.info.storageLimit(), "host": f.info.hostname(), "methods": sorted(f.methods.getAll()),
    "valco": f.valco.enabled(),
}
f.valco.setPos(3)
said["position"] = f.valco.getPos()
f.control.loadMethod("B")
end = time.monotonic() + 20
def until(what):
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
until(lambda: f.status()["system"] == "public:ready")
f.control.runWithName("sample", ["tag"])
until(lambda: f.data.totalCount() == 1)
said["results"] = f.data.compoundResults()
said["last"] = f.data.lastRunID()
said["same"] = f.data.getData(said["last"])["$id"]
said["listed"] = [run["$id"] for run in f.data.getLastX(5)]
print(json.dumps(said))
"""


def test_the_makers_client_runs_the_emulator(ask_oracle):
    gas = {"co2": 0.9, "h2": 0.05, "co": 0.05}
    with InficonFusionEmulator(
        "gc", analyser=Gas(gas), selector=Settable(1.0), pace=Pace(500.0), methods=("A", "B")
    ) as emulator:
        said = ask_oracle("fusion", CLIENT, emulator.address.removeprefix("http://"), package="MicroGCFusionAPI")
    assert said["status"] == {"sequence": "public:sequence-not-loaded", "system": "public:ready"}
    assert (said["serial"], said["part"], said["storage"]) == ("70174445", "F0G582W02TR2", "ok")
    assert said["methods"] == ["A", "B"]
    assert (said["valco"], said["position"]) == (True, 3)
    results = said["results"]
    assert (results["methodName"], results["annotations"]["name"]) == ("B", "sample")
    found = {label: one["concentration"] for compound in results["compounds"] for label, one in compound.items()}
    assert found["CO"] == pytest.approx(5.0, rel=0.05)
    assert said["last"] == said["same"] == results["id"]
    assert said["listed"] == [said["last"]]
