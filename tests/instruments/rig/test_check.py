from pathlib import Path
from threading import Event
from typing import Any

import pytest
from devices import MemoryDevice, MemoryOptions, rig_data

from instruments.errors import LabError
from instruments.rig.check import check_rig
from instruments.rig.file import RigFile
from instruments.rig.rig import Rig

PRESSURE = {"name": "pressure", "device": "co2-1", "attribute": "pressure", "high": 2.5}


@pytest.fixture
def built(monkeypatch) -> dict[str, MemoryDevice]:
    """The devices that are built meanwhile, which get their faults from `faults`."""
    found: dict[str, MemoryDevice] = {}
    build = MemoryOptions.build

    def noted(self: MemoryOptions, name: str, wiring: Any) -> MemoryDevice:
        found[name] = build(self, name, wiring)
        return found[name]

    monkeypatch.setattr(MemoryOptions, "build", noted)
    return found


def test_a_rig_in_order(tmp_path: Path, built: dict[str, MemoryDevice]) -> None:
    report = check_rig(RigFile.parse(rig_data(safety={"interlocks": [PRESSURE]})), tmp_path)
    assert report.ok
    assert report.findings == ()
    serials = {name: identity.serial for name, identity in report.devices.items() if identity}
    assert serials == {name: f"SN-{name}" for name in built}
    assert report.to_json()["devices"]["pump-1"]["serial"] == "SN-pump-1"


def test_a_check_moves_nothing(tmp_path: Path, built: dict[str, MemoryDevice], monkeypatch) -> None:
    """Not even where a driver sets something while it connects: the permit refuses, and nothing is sent."""
    connect = MemoryDevice.connect

    def careless(self: MemoryDevice) -> None:
        connect(self)
        if self.role == "pump":
            self.set("rate", 1.0)

    monkeypatch.setattr(MemoryDevice, "connect", careless)
    report = check_rig(RigFile.parse(rig_data(safety={"interlocks": [PRESSURE]})), tmp_path)
    assert {finding.field for finding in report.findings} == {"rate"}
    assert all("a check sets nothing" in finding.text for finding in report.findings)
    for device in built.values():
        assert {what for _, what in device.memory.log} <= {"connect", "identify", "close"}


def test_devices_that_are_missing_or_others_are_all_told(tmp_path: Path, monkeypatch) -> None:
    answer = MemoryDevice._answer

    def dead(self: MemoryDevice) -> None:
        if self.name in ("pump-2", "co2-1"):
            self.memory.faults["dead"] = True
        answer(self)

    monkeypatch.setattr(MemoryDevice, "_answer", dead)
    data = rig_data(safety={"interlocks": [PRESSURE]})
    data["devices"]["bath"]["serial_number"] = "SN-other"
    report = check_rig(RigFile.parse(data), tmp_path)
    assert not report.ok
    assert [finding.text.split(":")[0] for finding in report.findings] == ["pump-2", "co2-1", "bath"]
    assert report.devices["pump-2"] is None
    assert report.devices["pump-1"] is not None


def test_a_device_that_hangs_is_told(tmp_path: Path, monkeypatch) -> None:
    hangs = Event()
    answer = MemoryDevice._answer

    def hang(self: MemoryDevice) -> None:
        if self.name == "bath":
            hangs.wait()
        answer(self)

    monkeypatch.setattr(MemoryDevice, "_answer", hang)
    report = check_rig(RigFile.parse(rig_data()), tmp_path, longest=0.2)
    hangs.set()
    assert [finding.text for finding in report.findings] == ["bath: did not say what it is within 0.2 s."]


def test_limits_against_ranges(tmp_path: Path) -> None:
    data = rig_data()
    data["devices"]["co2-1"]["limits"] = {"flow": {"low": 0, "high": 150}}
    data["devices"]["co2-2"]["limits"] = {"flow": {"low": 101, "high": 150}}
    first, second = check_rig(RigFile.parse(data), tmp_path).findings
    assert (first.level, first.field) == ("notice", "devices.co2-1.limits.flow")
    assert "the limit 150 is wider than the device, since the device takes 0 to 100 sccm" in first.text
    assert (second.level, second.field) == ("error", "devices.co2-2.limits.flow")
    assert "nothing is within the limits" in second.text


def test_interlocks_that_would_trip_at_once(tmp_path: Path) -> None:
    flow = {"name": "flow", "device": "co2-1", "attribute": "flow", "low": 3, "when": "current"}
    gas = {"name": "no CO", "device": "co-detector", "attribute": "value", "low": 1}
    report = check_rig(RigFile.parse(rig_data(safety={"interlocks": [PRESSURE, flow, gas]})), tmp_path)
    assert [(finding.level, finding.field) for finding in report.findings] == [
        ("notice", "safety.interlocks.1"),
        ("error", "safety.interlocks.2"),
    ]


def test_further_checks(tmp_path: Path) -> None:
    def expired() -> None:
        raise LabError("the calibration of c2h4 has expired.", field="calibrations", mend="Calibrate.")

    (finding,) = check_rig(RigFile.parse(rig_data()), tmp_path, [expired, list]).findings
    assert (finding.level, finding.field, finding.mend) == ("error", "calibrations", "Calibrate.")


def test_a_rig_that_is_halted_or_in_use(tmp_path: Path) -> None:
    file = RigFile.parse(rig_data())
    with Rig(file, tmp_path, guarded=False) as rig:
        (finding,) = check_rig(file, tmp_path).findings
        assert "in use" in finding.text
        rig.trip("a pipe has burst", "a test")
    (finding,) = check_rig(file, tmp_path).findings
    assert "a pipe has burst" in finding.text
