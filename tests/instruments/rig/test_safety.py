import logging
import os
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from devices import Memory, MemoryDevice, rig_data

from instruments.errors import DeviceError, Interlocked
from instruments.rig.errors import RigBusy, RigHalted, RigTripped, RigUnsafe
from instruments.rig.file import RigFile
from instruments.rig.halting import Halting
from instruments.rig.rig import Rig
from instruments.rig.safety import DeviceSafety, SafetyReport, State

QUICK = {"bound": "1 s", "disconnect_after": "0.2 s"}


def make(folder: Path, **safety: object) -> Rig:
    return Rig(RigFile.parse(rig_data(safety={**QUICK, **safety})), folder, guarded=False)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = make(tmp_path)
    try:
        yield rig
    finally:
        for found in memories(rig).values():
            if isinstance(hangs := found.faults.pop("hangs", None), Event):
                hangs.set()
            found.faults.clear()
            found.delay = 0.0
        rig.close()


def memories(rig: Rig) -> Mapping[str, Memory]:
    return {name: device.memory for name, device in rig.devices.items() if isinstance(device, MemoryDevice)}


def switch_on(rig: Rig) -> None:
    for cell in ("1", "2"):
        rig.device(f"co2-{cell}").set("flow", 20.0)
        rig.device(f"pump-{cell}").set("rate", 5.0)
        rig.device("relay").set(f"cell-{cell}", "closed")
        rig.device(f"potentiostat-{cell}").set("current", -0.2)
    rig.device("bath").set("temperature", 40.0)


def halted(rig: Rig) -> dict[str, str]:
    """States of devices as the halted file tells them."""
    halt = Halting(rig.folder, rig.file.name).read()
    assert halt is not None
    assert halt.report is not None
    return {name: found["state"] for name, found in halt.report["devices"].items()}


def reasons(rig: Rig) -> set[str]:
    """All that the halted file tells of why."""
    halt = rig.halting.read()
    return set() if halt is None else {halt.reason, *(reason for reason, _ in halt.also)}


def test_a_start_makes_safe_before_anything_else(rig: Rig) -> None:
    for memory in memories(rig).values():
        memory.values = dict.fromkeys(memory.values, 0.0)
    memories(rig)["potentiostat-1"].values["current"] = -0.3
    rig.start()
    assert memories(rig)["potentiostat-1"].values["current"] == 0.0
    last_safe = max(memory.when("safe") for memory in memories(rig).values())
    assert all(memory.when("connect") > last_safe for memory in memories(rig).values())
    assert rig.identities["pump-1"].serial == "SN-pump-1"


def test_a_start_that_is_not_confirmed_is_none(rig: Rig) -> None:
    memories(rig)["pump-2"].faults["unconfirmed"] = True
    with pytest.raises(RigUnsafe, match="pump-2: it says that it is on") as problem:
        rig.start()
    assert problem.value.devices == ("pump-2",)
    assert rig.make_safe().unconfirmed == ("pump-2",)
    assert all(memory.did("connect") == 0 for memory in memories(rig).values())
    memories(rig)["pump-2"].faults.clear()
    rig.start()  # nothing of the first start is in the way


def test_a_start_names_all_devices_that_are_not_there(tmp_path: Path) -> None:
    data = rig_data()
    for name in ("pump-1", "co2-2"):
        data["devices"][name]["serial_number"] = "SN-other"
    rig = Rig(RigFile.parse(data), tmp_path, guarded=False)
    with pytest.raises(DeviceError, match=r"(?s)pump-1: .*SN-pump-1.*co2-2: .*SN-co2-2"):
        rig.start()
    with pytest.raises(Interlocked):
        rig.device("valve").set("position", 2)


def test_one_controller_at_a_time(rig: Rig, tmp_path: Path) -> None:
    rig.start()
    other = make(tmp_path)
    with pytest.raises(RigBusy, match="another process"):
        other.start()
    assert other.make_safe().devices == {}  # the rig is not this one's
    assert all(memory.log == [] for memory in memories(other).values())
    with pytest.raises(RigBusy, match="started already"):
        rig.start()
    rig.device("valve").set("position", 3)
    rig.close()
    other.start()
    other.close()


def test_who_uses_the_rig_may_refuse_the_start(tmp_path: Path) -> None:
    def expired() -> None:
        raise RigHalted("the calibration has expired.")

    rig = Rig(RigFile.parse(rig_data()), tmp_path, ready=expired, guarded=False)
    with pytest.raises(RigHalted, match="expired"):
        rig.start()
    assert memories(rig)["valve"].did("identify") == 1
    assert rig.devices["pump-1"].read("rate").value == 0.0


def test_a_trip_goes_stage_by_stage_the_current_before_the_flow(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    for memory in memories(rig).values():
        memory.log.clear()
        memory.delay = 0.02
    report = rig.trip("a pipe has burst", "a test")
    assert report.confirmed
    when = {name: memory.when("safe") for name, memory in memories(rig).items()}
    asked = {name: memory.when("try safe") for name, memory in memories(rig).items()}
    stages = rig.file.safety_plan.stages
    for earlier, later in pairwise(stages):
        assert max(when[name] for name in earlier) < min(asked[name] for name in later)
    assert set(halted(rig).values()) == {"safe"}


def test_after_a_trip_nothing_is_permitted_until_a_person_resets(rig: Rig, tmp_path: Path) -> None:
    rig.start()
    switch_on(rig)
    rig.emergency_stop("somebody pressed it")
    with pytest.raises(Interlocked, match="somebody pressed it"):
        rig.device("pump-1").set("rate", 1.0)
    with pytest.raises(RigTripped, match="somebody pressed it"):
        rig.wait(1.0)
    with pytest.raises(RigHalted, match="somebody pressed it"):
        rig.ready()
    assert memories(rig)["pump-1"].values["rate"] == 0.0
    rig.close()
    again = make(tmp_path)
    with pytest.raises(RigHalted, match="somebody pressed it"):
        again.start()
    assert not any(memory.did("try safe") for memory in memories(again).values())


def test_a_wait_ends_when_the_rig_trips(rig: Rig) -> None:
    rig.start()
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            rig.wait(60.0)
        except RigTripped as problem:
            ended.append(problem)

    waiting = Thread(target=wait)
    waiting.start()
    rig.trip("enough", "a test")
    waiting.join(5.0)
    assert len(ended) == 1


def test_a_dead_device_holds_up_nobody(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["pump-1"].faults["dead"] = True
    memories(rig)["pump-1"].delay = 0.7
    began = time.monotonic()
    report = rig.trip("enough", "a test")
    assert time.monotonic() - began < 3.0
    assert report.unconfirmed == ("pump-1",)
    assert report.devices["potentiostat-1"].seconds < 1.0
    assert memories(rig)["pump-2"].when("safe") - began < 1.0
    assert memories(rig)["co2-1"].values["flow"] == 0.0


def test_a_device_that_never_returns_is_unconfirmed_and_the_rest_is_safe(rig: Rig, caplog) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["potentiostat-2"].faults["hangs"] = Event()
    with caplog.at_level(logging.CRITICAL):
        report = rig.trip("enough", "a test")
    assert report.unconfirmed == ("potentiostat-2",)
    assert report.devices["potentiostat-2"].state == "unsafe_unconfirmed"
    assert halted(rig)["potentiostat-2"] == "unsafe_unconfirmed"
    assert any("potentiostat-2 did NOT confirm" in record.getMessage() for record in caplog.records)
    assert memories(rig)["pump-2"].values["rate"] == 0.0


def test_the_relay_cuts_off_a_cell_whose_potentiostat_is_silent(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["potentiostat-1"].faults["hangs"] = Event()
    for memory in memories(rig).values():
        memory.log.clear()
    began = time.monotonic()
    report = rig.trip("enough", "a test")
    found = report.devices["potentiostat-1"]
    assert found.state == "disconnected"
    assert "relay/cell-1 is open" in found.detail
    opened = memories(rig)["relay"].when("set cell-1 open")
    assert opened - began < 1.0
    assert found.seconds < 1.0
    assert memories(rig)["pump-1"].when("try safe") > opened
    assert memories(rig)["pump-2"].values["rate"] == 0.0
    assert report.confirmed
    assert halted(rig)["potentiostat-1"] == "disconnected"


def test_a_relay_that_is_dead_too_disconnects_nothing(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["potentiostat-1"].faults["dead"] = True
    memories(rig)["relay"].faults["dead"] = True
    report = rig.trip("enough", "a test")
    found = report.devices["potentiostat-1"]
    assert found.state == "unsafe_unconfirmed"
    assert "relay/cell-1 was not opened" in found.detail
    assert report.unconfirmed == ("potentiostat-1", "relay")
    assert memories(rig)["pump-1"].values["rate"] == 0.0


def test_a_relay_stays_shut_where_the_potentiostat_confirms(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["relay"].log.clear()
    memories(rig)["potentiostat-1"].faults["fails"] = 1  # the second try succeeds
    report = rig.trip("enough", "a test")
    assert report.devices["potentiostat-1"].state == "safe"
    assert memories(rig)["relay"].did("set cell-1 open") == 0


def test_devices_that_did_not_confirm_are_asked_until_they_do(rig: Rig, monkeypatch) -> None:
    monkeypatch.setattr("instruments.rig.stopping.AGAIN", 0.05)
    rig.start()
    switch_on(rig)
    memories(rig)["pump-1"].faults["dead"] = True
    assert rig.trip("enough", "a test").unconfirmed == ("pump-1",)
    memories(rig)["pump-1"].faults.clear()
    until(lambda: halted(rig)["pump-1"] == "safe")
    assert memories(rig)["pump-1"].values["rate"] == 0.0


def test_a_command_that_was_under_way_is_undone(rig: Rig) -> None:
    """A driver that had its permit before the trip writes after its device was made safe."""
    rig.start()
    switch_on(rig)
    potentiostat = rig.device("potentiostat-1")
    assert isinstance(potentiostat, MemoryDevice)
    permitted, go = Event(), Event()
    write = potentiostat._write

    def late(attribute, value) -> None:
        permitted.set()
        go.wait()
        write(attribute, value)

    potentiostat._write = late  # type: ignore[method-assign]
    setting = Thread(target=potentiostat.set, args=("current", -0.4))
    setting.start()
    assert permitted.wait(5.0)
    tripping = Thread(target=rig.trip, args=("enough", "a test"))
    tripping.start()
    until(lambda: potentiostat.memory.did("safe") == 2)  # at the start, and now
    go.set()
    tripping.join(5.0)
    setting.join(5.0)
    assert potentiostat.memory.did("set current -0.4") == 1
    assert potentiostat.memory.values["current"] == 0.0


def test_trips_from_everywhere_at_once_make_safe_once(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    for memory in memories(rig).values():
        memory.log.clear()
        memory.delay = 0.01
    reports: list[SafetyReport] = []
    threads = [Thread(target=lambda n=n: reports.append(rig.trip(f"reason {n}", "a test"))) for n in range(5)]
    threads.append(Thread(target=lambda: reports.append(rig.make_safe())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert len(reports) == 6
    assert all(report.confirmed for report in reports)
    assert memories(rig)["valve"].did("safe") <= 2
    until(lambda: reasons(rig) == {f"reason {n}" for n in range(5)})


def test_making_safe_is_repeatable_and_halts_nothing(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    assert rig.make_safe().confirmed
    assert rig.make_safe().confirmed
    assert not rig.halting.is_set
    with pytest.raises(Interlocked):
        rig.device("pump-1").set("rate", 1.0)
    rig.close()
    rig.start()
    rig.device("pump-1").set("rate", 1.0)


def test_a_rig_that_cannot_be_made_safe_is_halted(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["co2-2"].faults["unconfirmed"] = True
    assert rig.make_safe().unconfirmed == ("co2-2",)
    assert halted(rig)["co2-2"] == "unsafe_unconfirmed"


def test_one_cell_is_made_safe_and_the_other_one_goes_on(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    for memory in memories(rig).values():
        memory.log.clear()
    report = rig.make_safe_cell("cell-1")
    assert list(report.devices) == ["potentiostat-1", "pump-1", "co2-1"]
    assert memories(rig)["potentiostat-2"].values["current"] == -0.2
    assert memories(rig)["relay"].values["cell-2"] == "closed"
    rig.device("pump-1").set("rate", 1.0)
    report = rig.cell_off("cell-2")
    assert list(report.devices) == ["potentiostat-2"]
    assert memories(rig)["pump-2"].values["rate"] == 5.0


def test_a_cell_that_cannot_be_made_safe_trips_the_rig(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["potentiostat-2"].faults["dead"] = True
    report = rig.make_safe_cell("cell-2")
    assert report.unconfirmed == ("potentiostat-2",)
    assert rig.tripped.is_set()
    assert memories(rig)["potentiostat-1"].values["current"] == 0.0


def test_an_alarm_cuts_a_cell_off_while_its_driver_goes_on_trying(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["potentiostat-1"].faults["hangs"] = Event()
    began = time.monotonic()
    rig.device("potentiostat-1").alarm()
    assert time.monotonic() - began < 0.1
    until(lambda: memories(rig)["relay"].values["cell-1"] == "open")
    assert time.monotonic() - began < 1.0
    assert not rig.tripped.is_set()
    assert memories(rig)["potentiostat-2"].values["current"] == -0.2


def test_an_alarm_of_a_cell_that_nothing_cuts_off_trips(rig: Rig) -> None:
    rig.start()
    switch_on(rig)
    memories(rig)["potentiostat-2"].faults["dead"] = True
    rig.device("potentiostat-2").alarm()
    assert rig.tripped.wait(5.0)
    until(
        lambda: Halting(rig.folder, rig.file.name).is_set and memories(rig)["potentiostat-1"].values["current"] == 0.0
    )
    assert "potentiostat-2 is made safe, because of this: no answer" in " ".join(reasons(rig))


def test_a_full_disk_keeps_nothing_from_being_safe(rig: Rig, monkeypatch, caplog) -> None:
    rig.start()
    switch_on(rig)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("instruments.rig.halting.write_whole", full)
    report = rig.trip("enough", "a test")
    assert report.confirmed
    assert memories(rig)["potentiostat-1"].values["current"] == 0.0
    assert "could not be written" in caplog.text
    with pytest.raises(RigTripped):
        rig.go_on()


def test_a_lease_that_is_lost_fences_off(tmp_path: Path) -> None:
    held = [True]
    rig = Rig(RigFile.parse(rig_data()), tmp_path, fence=lambda: held[0], guarded=False)
    with rig:
        rig.device("pump-1").set("rate", 1.0)
        held[0] = False
        with pytest.raises(Interlocked, match="lease"):
            rig.device("pump-1").set("rate", 2.0)
        assert memories(rig)["pump-1"].values["rate"] == 1.0
    assert memories(rig)["pump-1"].values["rate"] == 0.0


def test_a_halted_file_that_cannot_be_read_halts(tmp_path: Path) -> None:
    rig = make(tmp_path)
    rig.halting.path.write_text("{")
    with pytest.raises(RigHalted, match="cannot be read"):
        rig.start()


def test_a_reset_needs_every_device(tmp_path: Path) -> None:
    with make(tmp_path) as rig:
        rig.trip("enough", "a test")
    dead = make(tmp_path)
    memories(dead)["pump-2"].faults["dead"] = True
    with pytest.raises(RigUnsafe, match="pump-2"):
        dead.reset("Ada")
    assert dead.halting.is_set
    memories(dead)["pump-2"].faults.clear()
    dead.reset("Ada")
    assert not dead.halting.is_set
    past = dead.halting.past.read_text()
    assert '"by": "Ada"' in past
    assert "enough" in past
    with make(tmp_path) as again:
        again.ready()


@pytest.mark.parametrize(
    ("before", "later", "at_rest", "then"),
    [
        ("unsafe_unconfirmed", ("safe", True), False, "safe"),
        ("safe", ("unsafe_unconfirmed", True), True, "unsafe_unconfirmed"),  # it says that it is on
        ("safe", ("unsafe_unconfirmed", False), True, "safe"),  # it says nothing, and nobody can have moved it
        ("safe", ("unsafe_unconfirmed", False), False, "unsafe_unconfirmed"),
        ("disconnected", ("unsafe_unconfirmed", True), False, "disconnected"),
        ("disconnected", ("safe", True), False, "safe"),
        ("unsafe_unconfirmed", ("unsafe_unconfirmed", False), True, "unsafe_unconfirmed"),
    ],
)
def test_what_is_known_after_another_look(before: State, later: tuple[State, bool], at_rest: bool, then: State) -> None:
    first = SafetyReport("", "", {"it": DeviceSafety(before, "", 0.1)})
    second = SafetyReport("", "", {"it": DeviceSafety(later[0], "", 0.1, 1, later[1])})
    found = first.updated(second, at_rest)
    assert found.devices["it"].state == then
    assert SafetyReport.of(found.to_json()) == found


def until(condition, seconds: float = 5.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        Event().wait(0.005)


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_rig_that_trips_on_a_full_disk_is_halted_all_the_same(tmp_path: Path) -> None:
    import resource

    halting = Halting(tmp_path, "twin")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            halting.write("too hot", "interlock")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert halting.is_set
    with pytest.raises(RigHalted, match="its reason could not be written"):
        halting.refuse()
    halting.write("too hot", "interlock")  # with the report, once there is space again
    with pytest.raises(RigHalted, match="too hot"):
        halting.refuse()
    halting.clear("ann")
    assert not halting.is_set
