import ast
import importlib
import inspect
import math
import pkgutil
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from devices import Memory, MemoryDevice, MemoryOptions, memory, rig_data
from hypothesis import given
from hypothesis import strategies as st

import instruments.drivers
from instruments.device import Device, Value, Wiring
from instruments.errors import Interlocked, LimitError
from instruments.rig.errors import RigHalted, RigHolds
from instruments.rig.file import RigFile
from instruments.rig.interlocks import Conditions, Interlock
from instruments.rig.rig import Rig

FLOW = {"name": "flow", "device": "co2-1", "attribute": "flow", "low": 3, "every": "0.05 s"}
PRESSURE = {"name": "pressure", "device": "co2-1", "attribute": "pressure", "high": 2.5, "every": "0.05 s"}
BUTTON = {"name": "stop", "device": "co-detector", "attribute": "state", "must_be": "released", "every": "0.05 s"}


def start(folder: Path, *interlocks: Mapping[str, Any]) -> Rig:
    rig = Rig(RigFile.parse(rig_data(safety={"interlocks": list(interlocks)})), folder, guarded=False)
    rig.start()
    return rig


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    started: list[Rig] = []

    def make(*interlocks: Mapping[str, Any]) -> Rig:
        started.append(start(tmp_path, *interlocks))
        return started[-1]

    yield make
    for rig in started:
        for device in rig.devices.values():
            assert isinstance(device, MemoryDevice)
            device.memory.faults.clear()
            device.memory.delay = 0.0
        rig.close()


def truth(rig: Rig, name: str) -> Memory:
    device = rig.device(name)
    assert isinstance(device, MemoryDevice)
    return device.memory


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        Event().wait(0.005)


def switch_on(rig: Rig, cell: str = "1") -> None:
    """Gas first, then the current as soon as the interlocks have seen the gas."""
    rig.device(f"co2-{cell}").set("flow", 20.0)

    def on() -> bool:
        try:
            rig.device(f"potentiostat-{cell}").set("current", -0.2)
        except Interlocked:
            return False
        return True

    until(on)


def test_a_flow_that_is_stopped_after_the_current_trips_nothing(tmp_path: Path) -> None:
    data = rig_data(safety={"interlocks": [{**FLOW, "when": "current", "cell": "cell-1"}]})
    data["cells"]["cell-1"]["roles"]["outlet"] = "valve"
    rig = Rig(RigFile.parse(data), tmp_path, guarded=False)
    rig.start()
    try:
        switch_on(rig)
        truth(rig, "valve").delay = 0.5  # it is made safe after the gas, which the interlock sees stopped meanwhile
        report = rig.make_safe_cell("cell-1")
        assert list(report.devices) == ["potentiostat-1", "pump-1", "co2-1", "valve"]
        assert truth(rig, "co2-1").values["flow"] == 0.0
        assert not rig.tripped.is_set()
    finally:
        rig.close()


class Now:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def conditions(*interlocks: Mapping[str, Any], in_force: bool = True) -> tuple[Conditions, Now]:
    now = Now()
    return Conditions([Interlock(**one) for one in interlocks], lambda _: in_force, now), now


def test_bounds_and_words() -> None:
    both = Interlock(**{**PRESSURE, "low": 0.5})
    assert both.violation(2.5) is None
    assert both.violation(0.5) is None
    assert both.violation(2.6) == "co2-1 pressure is 2.6, above 2.5"
    assert both.violation(0.4) == "co2-1 pressure is 0.4, below 0.5"
    assert both.violation("on") == "co2-1 pressure is on, which is no number"
    assert both.violation(math.nan) is not None
    word = Interlock(**{**BUTTON, "must_be": ["released", "absent"]})
    assert word.violation("absent") is None
    assert word.violation("pressed") == "co-detector state is pressed, must be released or absent"
    assert word.violation(1.0) is not None


def test_readings_in_a_row() -> None:
    found, _ = conditions({**PRESSURE, "after": 3})
    values = [3.0, 3.0, 1.0, 3.0, 3.0, 3.0, 3.0]
    breaches = [[str(breach) for breach in found.note("co2-1", "pressure", value)] for value in values]
    assert [bool(one) for one in breaches] == [False, False, False, False, False, True, True]
    assert breaches[-1] == ["pressure: co2-1 pressure is 3, above 2.5"]


@given(st.lists(st.floats(0.0, 5.0), max_size=30), st.integers(1, 5))
def test_an_interlock_acts_exactly_on_its_count(values: list[float], after: int) -> None:
    found, _ = conditions({**PRESSURE, "after": after})
    count = 0
    for value in values:
        count = count + 1 if value > 2.5 else 0
        assert bool(found.note("co2-1", "pressure", value)) == (count >= after)


def test_a_reading_that_is_too_old_is_none() -> None:
    found, now = conditions({**PRESSURE, "stale": "2 s"})
    now.time += 1.9
    assert found.overdue() == []
    found.note("co2-1", "pressure", 1.0)
    now.time += 1.9
    assert found.overdue() == []
    found.failed("co2-1", "pressure", "no answer within 1 s.")
    now.time += 0.2
    (breach,) = found.overdue()
    assert breach.reason == "co2-1 pressure could not be read for 2.1 s (no answer within 1 s.)"
    found.note("co2-1", "pressure", 1.0)
    assert found.overdue() == []


def test_a_late_reading_does_not_replace_a_newer_one() -> None:
    found, now = conditions(PRESSURE)
    assert found.note("co2-1", "pressure", 9.0, now.time) != []
    assert found.note("co2-1", "pressure", 1.0, now.time - 1.0) == []
    assert found.breach(found.interlocks[0]) is not None


def test_what_is_not_in_force_is_not_acted_on_but_known() -> None:
    found, now = conditions(FLOW, in_force=False)
    (interlock,) = found.interlocks
    assert "has not been read yet" in str(found.breach(interlock))
    assert found.note("co2-1", "flow", 0.0) == []
    assert "below 3" in str(found.breach(interlock))
    found.note("co2-1", "flow", 5.0)
    assert found.breach(interlock) is None
    now.time += 60.0
    assert found.overdue() == []
    assert "could not be read" in str(found.breach(interlock))


def test_a_reading_out_of_bounds_trips(rigs) -> None:
    rig = rigs(PRESSURE)
    switch_on(rig)
    began = time.monotonic()
    truth(rig, "co2-1").values["pressure"] = 3.0
    until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)
    assert time.monotonic() - began < 1.0
    assert rig.tripped.is_set()
    until(lambda: rig.halting.is_set)
    halt = rig.halting.read()
    assert halt is not None
    assert "co2-1 pressure is 3, above 2.5" in halt.reason


def test_a_device_that_cannot_be_read_trips(rigs) -> None:
    rig = rigs({**PRESSURE, "stale": "0.3 s"})
    switch_on(rig)
    truth(rig, "co2-1").faults["unreadable"] = True
    until(rig.tripped.is_set)
    until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)


def test_a_device_that_hangs_trips(rigs) -> None:
    rig = rigs({**PRESSURE, "stale": "0.3 s"})
    switch_on(rig)
    hangs = truth(rig, "co2-1").faults["hangs"] = Event()
    try:
        until(rig.tripped.is_set)
        until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)
    finally:
        hangs.set()


def test_a_slow_device_delays_no_other(rigs) -> None:
    rig = rigs({**PRESSURE, "device": "co2-2", "stale": "5 s"}, BUTTON)
    switch_on(rig)
    truth(rig, "co2-2").delay = 1.0
    began = time.monotonic()
    truth(rig, "co-detector").values["state"] = "pressed"
    until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)
    assert time.monotonic() - began < 1.0


def test_no_current_before_the_flow(rigs) -> None:
    rig = rigs({**FLOW, "when": "current", "cell": "cell-1"})
    with pytest.raises(Interlocked, match="flow"):
        rig.device("potentiostat-1").set("current", -0.2)
    assert truth(rig, "potentiostat-1").did("set current -0.2") == 0
    rig.device("potentiostat-2").set("current", -0.2)  # another cell's gas is not asked for
    switch_on(rig)
    assert not rig.tripped.is_set()


def test_no_end_of_the_flow_before_that_of_the_current(rigs) -> None:
    rig = rigs({**FLOW, "when": "current", "cell": "cell-1"})
    switch_on(rig)
    for attribute in ("flow", "setpoint"):
        with pytest.raises(Interlocked, match="while what needs it is on"):
            rig.device("co2-1").set(attribute, 0.0)
        rig.device("co2-1").set(attribute, 10.0)
    assert rig.cell_off("cell-1").confirmed
    rig.device("co2-1").set("flow", 0.0)
    seen = truth(rig, "co2-1").values
    Event().wait(0.2)  # several readings of a flow that nothing needs
    assert seen["flow"] == 0.0
    assert not rig.tripped.is_set()


def test_flow_that_fails_under_current_trips(rigs) -> None:
    rig = rigs({**FLOW, "when": "current", "cell": "cell-1"})
    switch_on(rig)
    truth(rig, "co2-1").values["flow"] = 0.5
    until(rig.tripped.is_set)
    until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)


def test_flow_of_any_cell_where_none_is_named(rigs) -> None:
    rig = rigs({**FLOW, "when": "current"})
    with pytest.raises(Interlocked):
        rig.device("potentiostat-2").set("current", -0.2)
    switch_on(rig)


def test_nothing_heats_unless_it_may(rigs) -> None:
    rig = rigs({**FLOW, "when": "heating"})
    with pytest.raises(Interlocked, match="flow"):
        rig.device("bath").set("temperature", 40.0)
    rig.device("potentiostat-1").set("current", -0.2)
    rig.device("co2-1").set("flow", 5.0)

    def heats() -> bool:
        try:
            rig.device("bath").set("temperature", 40.0)
        except Interlocked:
            return False
        return True

    until(heats)
    truth(rig, "co2-1").values["flow"] = 0.0
    until(lambda: truth(rig, "bath").values["temperature"] == 25.0)


def test_a_hold_starts_nothing_and_ends_nothing(rigs) -> None:
    rig = rigs({**PRESSURE, "action": "hold"})
    switch_on(rig)
    until(lambda: rig_ready(rig))
    truth(rig, "co2-1").values["pressure"] = 9.0
    until(lambda: not rig_ready(rig))
    assert not rig.tripped.is_set()
    assert truth(rig, "potentiostat-1").values["current"] == -0.2
    truth(rig, "co2-1").values["pressure"] = 1.0
    until(lambda: rig_ready(rig))
    rig.hold("person", "somebody cleans the hood")
    with pytest.raises(RigHolds, match="cleans the hood"):
        rig.ready()
    rig.release("person")
    rig.ready()


def rig_ready(rig: Rig) -> bool:
    try:
        rig.ready()
    except RigHolds:
        return False
    return True


def test_an_emergency_button_that_is_read(rigs) -> None:
    rig = rigs(BUTTON)
    switch_on(rig)
    truth(rig, "co-detector").values["state"] = "pressed"
    until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)
    with pytest.raises(RigHalted, match="co-detector state is pressed"):
        rig.ready()


def test_points_of_a_technique_are_seen_at_once(rigs) -> None:
    voltage = {"name": "cell voltage", "device": "potentiostat-1", "attribute": "cell_voltage", "high": 4.0}
    rig = rigs({**voltage, "every": "60 s", "when": "current"})
    until(lambda: truth(rig, "potentiostat-1").values["current"] == 0.0)

    def on() -> bool:
        rig.observe("potentiostat-1", "cell_voltage", 1.0)
        rig.device("potentiostat-1").set("current", -0.2)
        return True

    assert on()
    rig.observe("potentiostat-1", "cell_voltage", 3.9)
    assert not rig.tripped.is_set()
    rig.observe("potentiostat-1", "cell_voltage", 4.1)
    assert rig.tripped.is_set()
    assert truth(rig, "potentiostat-1").values["current"] == 0.0


def test_limits_hold_before_interlocks(rigs) -> None:
    rig = rigs({**FLOW, "when": "current"})
    with pytest.raises(LimitError, match=r"the rig allows \(-0.9 to 0 A\)"):
        rig.device("potentiostat-1").set("current", -1.0)


# Nothing gets round


class Refused(Exception):
    pass


def refuse(device: str, attribute: str, value: Value) -> None:
    raise Refused


@given(st.sampled_from(["potentiostat", "gas", "pump", "bath", "relay", "other"]), st.floats(-5, 105), st.data())
def test_what_is_not_permitted_is_not_sent(role: str, number: float, data: st.DataObject) -> None:
    options = MemoryOptions(**memory(role))
    device = options.build("it", Wiring(refuse))
    attribute = data.draw(st.sampled_from(sorted(device.attributes)))
    choices = device.attributes[attribute].choices
    value: Value = data.draw(st.sampled_from(choices)) if choices else number
    with pytest.raises((Refused, LimitError)):
        device.set(attribute, value)
    assert device.memory.log == []
    device.make_safe()
    assert device.memory.did("safe") == 1


def drivers() -> Iterator[type[Device]]:
    """All classes of devices that are installed."""
    for module in pkgutil.walk_packages(instruments.drivers.__path__, "instruments.drivers."):
        importlib.import_module(module.name)
    waiting: list[type[Device]] = [Device]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("instruments.drivers"):
            yield kind


def test_no_driver_has_a_set_or_a_permission_of_its_own() -> None:
    found = list(drivers())
    assert found
    for kind in found:
        assert kind.set is Device.set, kind
        assert kind.allow is Device.allow, kind


def test_no_driver_writes_but_through_set() -> None:
    """``_write`` sends without asking: only ``Device.set`` calls it, and making safe, which needs no permission."""
    for kind in drivers():
        for function in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
            if isinstance(function, ast.FunctionDef) and function.name not in ("_write", "make_safe"):
                calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
                writes = [call for call in calls if isinstance(call, ast.Attribute) and call.attr == "_write"]
                assert not writes, f"{kind.__name__}.{function.name}"
