"""The guardian in processes of its own: who dies, hangs or leaves, and in which order everything is off then."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

import psutil
import pytest
from devices import rig_data
from wire_device import Station

from instruments.rig.calling import ask_guardian, emergency_stop
from instruments.rig.claim import Claim
from instruments.rig.errors import RigHalted
from instruments.rig.file import RigFile
from instruments.rig.guarding import Card, Channel, LinkLost, Post
from instruments.rig.halting import Halt, Halting
from instruments.rig.rig import Rig
from instruments.rig.safety import SafetyReport

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
HEARTBEAT = 1.0
NAME = "twin-cells"


@dataclass
class Bench:
    """A rig of instruments on sockets, its folder, and the controllers that run it."""

    folder: Path
    stations: dict[str, Station] = field(default_factory=dict)
    controllers: list[subprocess.Popen[str]] = field(default_factory=list)
    listeners: list[Thread] = field(default_factory=list)
    words: Queue[str] = field(default_factory=Queue)

    def data(self) -> dict[str, Any]:
        data = rig_data(safety={"heartbeat": f"{HEARTBEAT} s", "bound": "1.5 s", "disconnect_after": "0.3 s"})
        for name, block in data["devices"].items():
            station = self.stations.get(name)
            if station is None:
                station = self.stations[name] = Station(name, block["role"])
            data["devices"][name] = station.block()
        return data

    @property
    def file(self) -> RigFile:
        return RigFile.parse(self.data())

    def start(self) -> subprocess.Popen[str]:
        path = self.folder / "rig.json"
        path.write_text(json.dumps(self.data()))
        with (self.folder / "controller.log").open("a") as log:
            child = subprocess.Popen(
                [sys.executable, str(HERE / "controller.py"), str(path), str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
            )
        self.controllers.append(child)
        self.listeners.append(Thread(target=self._listen, args=(child,), daemon=True))
        self.listeners[-1].start()
        self.hear("on", 30.0)
        return child

    def _listen(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.words.put(line.strip())

    def hear(self, word: str, seconds: float = 10.0) -> None:
        """Wait until a controller says a word."""
        end, heard = time.monotonic() + seconds, []
        while not heard or heard[-1].split()[0] != word:
            try:
                heard.append(self.words.get(timeout=max(0.0, end - time.monotonic())))
            except Empty:
                raise AssertionError(f"it did not say {word!r} but {heard}\n{self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def until(self, condition: Callable[[], bool], seconds: float = 40.0) -> float:
        """Wait for something; when it was seen."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it did not happen\n{self.logs()}"
            Event().wait(0.005)
        return time.monotonic()

    def value(self, name: str, attribute: str) -> str:
        return self.stations[name].values[attribute]

    def is_off(self) -> bool:
        currents = [float(self.value(f"potentiostat-{cell}", "current")) for cell in (1, 2)]
        flows = [
            float(self.value(f"{what}-{cell}", a)) for what, a in (("pump", "rate"), ("co2", "flow")) for cell in (1, 2)
        ]
        return not any([*currents, *flows])

    def off_since(self, name: str, after: float) -> float:
        """When a device was made safe, the first time after a moment."""
        return min(at for at in self.stations[name].told("safe") if at > after)

    @property
    def guardian(self) -> psutil.Process:
        card = Card.read(Post(self.folder, NAME).card)
        assert card is not None, self.logs()
        return psutil.Process(card.process.pid)

    @property
    def halt(self) -> Halt | None:
        return Halting(self.folder, NAME).read()

    def reported(self) -> Halt:
        """The halted state, once devices have been reported."""
        self.until(lambda: self.halt is not None and self.halt.report is not None, 20.0)
        halt = self.halt
        assert halt is not None
        return halt

    def states(self) -> dict[str, str]:
        halt = self.reported()
        assert halt.report is not None
        return {name: found["state"] for name, found in halt.report["devices"].items()}

    def close(self) -> None:
        for station in self.stations.values():
            station.mute = False
        card = Card.read(Post(self.folder, NAME).card)
        for child in self.controllers:
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()
        for child, listener in zip(self.controllers, self.listeners, strict=True):
            listener.join(5.0)
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                pipe.close()
        if card is not None:
            card.process.kill()
        for station in self.stations.values():
            station.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    try:
        yield bench
    finally:
        bench.close()


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return True


def test_the_controller_is_killed_under_current(bench: Bench) -> None:
    child = bench.start()
    guardian = bench.guardian
    killed = time.monotonic()
    child.kill()
    bench.until(bench.is_off)
    off = {name: bench.off_since(name, killed) for name in bench.stations if name[-1] in "12"}
    assert max(off["potentiostat-1"], off["potentiostat-2"]) - killed < 2.0
    assert max(off["potentiostat-1"], off["potentiostat-2"]) < min(off["pump-1"], off["pump-2"])
    assert max(off["pump-1"], off["pump-2"]) < min(off["co2-1"], off["co2-2"])
    assert set(bench.states().values()) == {"safe"}
    assert bench.reported().source == "guardian"
    bench.until(lambda: gone(guardian))  # all is confirmed, nobody is left who could move
    with pytest.raises(RigHalted, match="gone without a goodbye"):
        Rig(bench.file, bench.folder).start()
    Rig(bench.file, bench.folder).reset("Ada")
    child = bench.start()


@pytest.mark.soak
def test_devices_that_are_switched_off_after_they_confirmed_are_what_they_were(bench: Bench) -> None:
    child = bench.start()
    guardian = bench.guardian
    child.kill()
    bench.reported()
    for station in bench.stations.values():
        station.mute = True
    bench.until(lambda: gone(guardian), 20.0)
    assert set(bench.states().values()) == {"safe"}


def test_a_controller_that_stalls_is_fenced_off(bench: Bench) -> None:
    child = bench.start()
    child.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    bench.until(bench.is_off)
    off = bench.off_since("potentiostat-1", stopped)
    assert 0.5 * HEARTBEAT < off - stopped < HEARTBEAT + 2.0
    assert "no sign of life" in bench.reported().reason
    before = len(bench.stations["potentiostat-1"].told("set current -0.2"))
    child.send_signal(signal.SIGCONT)
    bench.hear("fenced")
    assert child.poll() is None  # its ports were free, so it was left alive
    # at most the one command that was on its way when it was stopped
    assert len(bench.stations["potentiostat-1"].told("set current -0.2")) <= before + 1
    bench.until(bench.is_off)
    guardian = bench.guardian
    bench.until(lambda: gone(guardian))
    assert bench.is_off()


@pytest.mark.soak
def test_a_controller_that_watches_no_longer_gives_no_sign_of_life(bench: Bench) -> None:
    child = bench.start()
    assert child.stdin is not None
    child.stdin.write("stuck\n")
    child.stdin.flush()
    bench.until(bench.is_off)
    assert "no sign of life" in bench.reported().reason
    bench.hear("fenced")


@pytest.mark.soak
def test_a_controller_that_stalls_on_a_port_is_killed(bench: Bench) -> None:
    bench.stations["potentiostat-2"] = Station("potentiostat-2", "potentiostat", exclusive=True)
    child = bench.start()
    child.send_signal(signal.SIGSTOP)
    bench.until(bench.is_off, 20.0)
    assert child.wait(5.0) == -signal.SIGKILL
    bench.until(lambda: set(bench.states().values()) == {"safe"})
    assert "is killed" in bench.logs()


@pytest.mark.soak
def test_a_signal_to_the_whole_group_leaves_the_guardian(bench: Bench) -> None:
    child = bench.start()
    os.killpg(child.pid, signal.SIGTERM)  # the controller has no handler, and ends
    bench.until(bench.is_off)
    assert bench.reported().source == "guardian"


@pytest.mark.parametrize("number", [signal.SIGINT, None])
def test_an_orderly_end_halts_nothing(bench: Bench, number: signal.Signals | None) -> None:
    child = bench.start()
    guardian = bench.guardian
    if number is not None:
        os.killpg(child.pid, number)
    else:
        assert child.stdin is not None
        child.stdin.close()
        bench.hear("closed")
    bench.until(lambda: gone(guardian))
    child.wait(40.0)
    assert bench.is_off()
    assert bench.halt is None
    assert {path.name for path in bench.folder.glob("*.json")} == {"rig.json"}


def test_a_guardian_that_dies_is_replaced_once(bench: Bench) -> None:
    bench.start()
    first = bench.guardian
    first.kill()
    bench.until(
        lambda: (card := Card.read(Post(bench.folder, NAME).card)) is not None and card.process.pid != first.pid
    )
    second = bench.guardian
    bench.until(lambda: (ask_guardian(bench.folder, NAME, "status") or {}).get("state") == "watching")
    assert bench.halt is None
    second.kill()
    bench.hear("tripped")
    bench.until(bench.is_off)
    assert "guardian is lost" in bench.reported().reason


@pytest.mark.soak
def test_a_guardian_that_hangs_is_replaced(bench: Bench) -> None:
    bench.start()
    first = bench.guardian
    first.suspend()
    bench.until(lambda: gone(first), 20.0)
    bench.until(lambda: (ask_guardian(bench.folder, NAME, "status") or {}).get("state") == "watching")
    assert bench.halt is None


def test_one_guardian_a_rig(bench: Bench) -> None:
    bench.start()
    plan = Post(bench.folder, NAME).plan
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    command = [sys.executable, "-m", "instruments.rig.guardian", str(plan)]
    assert plan.stat().st_mode & 0o077 == 0
    second = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "another guardian" in second.stderr
    assert (ask_guardian(bench.folder, NAME, "status") or {}).get("state") == "watching"


def test_a_guardian_starts_light() -> None:
    """What takes long to import is not needed to make safe."""
    code = "import sys, instruments.rig.guardian; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"numpy", "pandas", "torch", "pint", "scipy", "httpx", "pyvisa"} & set(done.stdout.split())


@pytest.mark.soak
def test_a_guardian_told_to_end_makes_safe_first(bench: Bench) -> None:
    bench.start()
    bench.guardian.terminate()
    bench.until(bench.is_off)
    assert "SIGTERM" in bench.reported().reason
    bench.hear("fenced")


@pytest.mark.soak
def test_devices_that_do_not_confirm_are_asked_until_they_do(bench: Bench) -> None:
    child = bench.start()
    guardian = bench.guardian
    bench.stations["pump-2"].mute = True
    bench.stations["potentiostat-1"].mute = True
    child.kill()
    states = bench.states()
    assert states["pump-2"] == "unsafe_unconfirmed"
    assert states["potentiostat-1"] == "disconnected"
    assert bench.value("relay", "cell-1") == "open"
    assert states["potentiostat-2"] == states["pump-1"] == states["co2-2"] == "safe"
    assert bench.reported().unconfirmed == ("pump-2",)
    assert not gone(guardian)
    bench.stations["pump-2"].mute = bench.stations["potentiostat-1"].mute = False
    bench.until(lambda: bench.states()["pump-2"] == "safe", 20.0)
    bench.until(lambda: gone(guardian), 20.0)
    assert bench.is_off()


@pytest.mark.soak
def test_a_controller_that_leaves_something_on_is_relieved_by_the_guardian(bench: Bench) -> None:
    child = bench.start()
    guardian = bench.guardian
    bench.stations["co2-2"].mute = True
    assert child.stdin is not None
    child.stdin.close()
    bench.hear("closed", 30.0)
    child.wait(10.0)
    assert bench.states()["co2-2"] == "unsafe_unconfirmed"
    assert not gone(guardian)
    bench.stations["co2-2"].mute = False
    bench.until(lambda: bench.states()["co2-2"] == "safe", 20.0)


def test_an_emergency_stop_through_the_guardian(bench: Bench) -> None:
    child = bench.start()
    began = time.monotonic()
    halt = emergency_stop(bench.file, bench.folder, "smoke")
    assert bench.is_off()
    assert bench.off_since("potentiostat-1", began) - began < 1.0
    assert (halt.reason, halt.source) == ("smoke", "emergency stop")
    assert halt.unconfirmed == ()
    bench.hear("tripped")
    assert child.poll() is None


def test_an_emergency_stop_of_a_controller_that_stalls(bench: Bench) -> None:
    child = bench.start()
    child.send_signal(signal.SIGSTOP)
    halt = emergency_stop(bench.file, bench.folder, "smoke")
    assert bench.is_off()
    assert halt.reason == "smoke"
    bench.until(lambda: "guardian" in bench.reported().sources)


def test_an_emergency_stop_without_a_guardian(bench: Bench) -> None:
    file = bench.file
    bench.stations["potentiostat-1"].values["current"] = "-0.2"
    halt = emergency_stop(file, bench.folder, "smoke")
    assert bench.is_off()
    assert halt.unconfirmed == ()
    with pytest.raises(RigHalted, match="smoke"):
        Rig(file, bench.folder).start()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is a file of Linux")
def test_an_emergency_stop_waits_for_no_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = bench.file
    (bench.folder / f"{NAME}.lock").symlink_to("/dev/full")
    monkeypatch.setattr("instruments.rig.halting.write_whole", full)
    bench.stations["potentiostat-1"].values["current"] = "-0.2"
    halt = emergency_stop(file, bench.folder, "smoke")
    assert bench.is_off()
    assert halt.unconfirmed == ()
    assert "could NOT be written" in halt.reason


def test_an_emergency_stop_whose_guardian_goes_without_a_word(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"ok": True}])
    monkeypatch.setattr("instruments.rig.calling.ask_guardian", lambda *_, **__: next(answers, None))
    file = bench.file
    bench.stations["potentiostat-1"].values["current"] = "-0.2"
    halt = emergency_stop(file, bench.folder, "smoke")
    assert bench.is_off()
    assert halt.unconfirmed == ()
    assert bench.reported().reason == "smoke"


def test_an_emergency_stop_of_a_rig_that_is_being_looked_at(bench: Bench) -> None:
    file = bench.file
    bench.stations["potentiostat-1"].values["current"] = "-0.2"
    looking = Claim(bench.folder / f"{NAME}.lock")
    assert looking.take()
    halting = Halting(bench.folder, NAME)
    halting.write("an earlier one", "somebody", SafetyReport("an earlier one", "", {}))
    found: list[Halt] = []
    stop = Thread(target=lambda: found.append(emergency_stop(file, bench.folder, "smoke")))
    stop.start()
    bench.until(lambda: ("smoke", "emergency stop") in ((bench.halt or Halt("", "", "")).also))
    assert not bench.is_off()
    looking.release()
    stop.join(20.0)
    assert bench.is_off()
    assert "potentiostat-1" in (found[0].report or {})["devices"]


def test_a_guardian_hears_nobody_without_its_token(bench: Bench) -> None:
    bench.start()
    card = Card.read(Post(bench.folder, NAME).card)
    assert card is not None
    assert Post(bench.folder, NAME).card.stat().st_mode & 0o077 == 0
    channel = Channel.to(card, 2.0)
    with pytest.raises(LinkLost, match="another token"):
        channel.ask({"token": "guessed", "do": "stand_down"}, 2.0)
    channel.close()
    for nonsense in (b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b"{" * 2_000_000):
        channel = Channel.to(card, 2.0)
        with suppress(OSError):
            channel._socket.sendall(nonsense)
        channel.close()
    assert (ask_guardian(bench.folder, NAME, "status") or {}).get("state") == "watching"
    assert bench.halt is None
