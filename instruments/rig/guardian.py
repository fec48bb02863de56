"""The guardian of a rig: a process of its own that outlives the controller and makes the rig safe where that is lost.

``python -m instruments.rig.guardian PLAN`` is started by the rig, in a session of its own. It acts on a heartbeat
that does not come, on a controller that goes without a goodbye, on an emergency stop, and on being told to end itself.
Then it halts the rig, which fences the controller off; opens the devices; makes them safe; looks again after a while,
since a stalled controller may have had one command under way; and goes on with devices that do not confirm, until it is
relieved. Where a stalled controller holds a port that is needed, it kills that process.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from threading import Condition, Lock, Thread
from types import FrameType
from typing import Any, Final, Literal, TypeAlias

from instruments.device import Device, Value, Wiring
from instruments.drivers.installed import options_of
from instruments.errors import CommunicationError, Interlocked
from instruments.rig.claim import Claim, Process
from instruments.rig.errors import LinkLost
from instruments.rig.guarding import HOST, Card, Channel, GuardianPlan, Post
from instruments.rig.halting import Halting, write_whole
from instruments.rig.safety import SafetyReport
from instruments.rig.securing import Override, Securing
from instruments.rig.stopping import GUARDIAN

logger = logging.getLogger("instruments.rig.guardian")

State: TypeAlias = Literal["waiting", "watching", "acting", "halted", "ended"]

TICK: Final = 0.1
"""s between two looks."""
OVERSLEPT: Final = 0.5
"""s; a guardian that itself was not run for so long first hears what came meanwhile."""
HELLO_WITHIN: Final = 30.0
"""s, for a controller to come; one that does not had nothing switched on."""
OBEYS_WITHIN: Final = 1.0
"""s, for a controller to begin with an emergency stop before the guardian does it."""
LOOKS_AGAIN: Final = 2.0
"""s, after which everything is made safe once more, and again as long as the controller may still move."""
SELDOM: Final = 30.0
"""s, the longest pause between tries of devices that do not confirm."""


class Guardian:
    """Guards one rig.

    Args:
        plan: what it needs to know.
    """

    def __init__(self, plan: GuardianPlan) -> None:
        self._plan = plan
        self._post, self._halting = Post(plan.folder, plan.rig), Halting(plan.folder, plan.rig)
        self._claim = Claim(self._post.lock)
        self._token = secrets.token_urlsafe(32)
        self._override = Override()
        wiring = Wiring(self._permit, None, plan.pace)
        # built now: drivers are imported while there is time, and mistakes in the plan show at once
        self._devices: dict[str, Device] = {
            name: options_of(str(block["kind"]), block).build(name, wiring) for name, block in plan.devices.items()
        }
        self._securing = Securing(self._devices, plan.safety, self._override, self._failed)
        self._changed, self._killing = Condition(), Lock()
        self._state: State = "waiting"
        self._controller: Process | None = None
        self._heard = time.monotonic()
        self._connected = self._acknowledged = self._obeys = self._relieved = False
        self._goodbye: bool | None = None
        self._stop: str | None = None
        self._signal: str | None = None
        self._reason = ""
        self._report: SafetyReport | None = None

    def run(self) -> int:
        """Guard until all is over.

        Returns:
            The exit status: 0, or 1 where another guardian is there.
        """
        if not self._claim.take(patience=2.0):
            logger.error("another guardian is there already")
            return 1
        for number in (signal.SIGTERM, signal.SIGINT, *_also()):
            signal.signal(number, self._on_signal)
        with socket.create_server((HOST, 0)) as server:
            Thread(target=self._listen, args=(server,), name="listen", daemon=True).start()
            card = Card(server.getsockname()[1], self._token, Process.this())
            write_whole(self._post.card, json.dumps(card.to_json()), mode=0o600)
            logger.info("guarding the rig %s", self._plan.rig)
            try:
                self._guard()
            finally:
                self._end()
        return 0

    # What it does

    def _guard(self) -> None:
        """Watch, and act where that is needed."""
        began = last = time.monotonic()
        grace = 0.0
        while True:
            with self._changed:
                self._changed.wait(TICK)
            now = time.monotonic()
            if now - last > OVERSLEPT:
                grace = now + OVERSLEPT
            last = now
            if self._relieved or (self._goodbye and self._state in ("waiting", "watching")):
                return
            if self._state == "waiting":
                if self._signal is not None or now - began > HELLO_WITHIN:
                    logger.info("no controller came")
                    return
                continue
            if (why := self._why(now, grace)) is not None:
                self._act(why)
                self._go_on()
                return

    def _why(self, now: float, grace: float) -> str | None:
        """Why to act now, if at all."""
        if self._signal is not None:
            return f"the guardian was told to end ({self._signal})"
        if self._goodbye is False:
            return "the controller went, and not everything is confirmed as safe"
        if not self._connected:
            return "the controller has gone without a goodbye"
        if self._stop is not None and not self._obeys:
            return self._emergency(self._stop)
        if now >= self._heard + self._plan.heartbeat and now >= grace:
            return f"no sign of life from the controller for {self._plan.heartbeat:g} s"
        return None

    def _emergency(self, reason: str) -> str | None:
        """Let the controller stop, which has the ports; why to act where it does not begin."""
        Thread(target=self._write, args=(reason, "emergency stop", None), name="halt", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._obeys or not self._connected, OBEYS_WITHIN)
        return None if self._obeys and self._connected else f"{reason}; the controller did not stop"

    def _act(self, reason: str) -> None:
        """Halt the rig and make it safe; nothing waits for a disk."""
        logger.critical("acting: %s", reason)
        self._state, self._reason = "acting", reason
        note = Thread(target=self._write, args=(reason, GUARDIAN, None), name="halt", daemon=True)
        note.start()
        self._report = self._securing.run(reason)
        note.join(1.0)
        self._write(reason, GUARDIAN, self._report)
        self._state = "halted"

    def _go_on(self) -> None:
        """Look again, and try again, until all is confirmed and the controller cannot move any more."""
        pause, looked = LOOKS_AGAIN, False
        while not (looked and self._report is not None and self._report.confirmed and not self._may_move()):
            with self._changed:
                self._changed.wait_for(lambda: self._relieved, pause)
            if self._relieved:
                return
            self._look_again(everything=not looked or self._may_move())
            pause, looked = min(SELDOM, 1.5 * pause) if looked else pause, True

    def _look_again(self, everything: bool) -> None:
        before = self._report
        if before is None:
            return
        found = self._securing.run(self._reason, None if everything else before.unconfirmed)
        later = before.updated(found, at_rest=not self._may_move())
        self._report = later
        if later.unconfirmed != before.unconfirmed:
            self._write(self._reason, GUARDIAN, later)

    def _may_move(self) -> bool:
        """Whether the controller lives and has not said that it keeps its hands off."""
        return self._controller is not None and not self._acknowledged and self._controller.alive

    def _failed(self, device: str, problem: BaseException) -> None:
        """A device cannot be reached: a controller that lives may hold its port, and is ended for that."""
        if not isinstance(problem, CommunicationError) or self._state == "ended":
            return
        with self._killing:
            controller = self._controller
            if controller is None or not self._may_move():
                return
            logger.critical("the controller (%d) is killed, since %s cannot be reached", controller.pid, device)
            if not controller.kill():
                logger.critical("the controller (%d) could not be killed", controller.pid)

    def _write(self, reason: str, source: str, report: SafetyReport | None) -> None:
        try:
            self._halting.write(reason, source, report)
        except OSError as problem:
            logger.critical("the halted state could not be written: %s", problem)

    def _permit(self, device: str, attribute: str, value: Value) -> None:
        """A guardian sets nothing but the contacts that disconnect."""
        if not self._override.permits(device, attribute, value):
            raise Interlocked("a guardian sets nothing.", device=device, field=attribute)

    def _end(self) -> None:
        self._state = "ended"
        for device in self._devices.values():
            device.close()
        self._post.card.unlink(missing_ok=True)
        self._post.plan.unlink(missing_ok=True)
        self._claim.release()
        logger.info("the guardian ends")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name

    # Who talks to it

    def _listen(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # closed: the guardian ends
            Thread(target=self._serve, args=(Channel(connection),), name="serve", daemon=True).start()

    def _serve(self, channel: Channel) -> None:
        """Answer one who shows the token; a controller may be silent as long as the heartbeat allows."""
        is_controller = False
        try:
            while True:
                asked = channel.receive(None if is_controller else 10.0)
                if not hmac.compare_digest(str(asked.get("token", "")).encode(), self._token.encode()):
                    channel.send({"ok": False, "problem": "another token"}, 1.0)
                    return
                is_controller = is_controller or asked.get("do") == "hello"
                with self._changed:
                    answer = self._answer(asked)
                    self._changed.notify_all()
                channel.send(answer, 5.0)
        except LinkLost as problem:
            logger.debug("a connection ended: %s", problem)
        finally:
            channel.close()
            if is_controller:
                with self._changed:
                    self._connected = False
                    self._changed.notify_all()

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Take in what is said, and answer; the caller holds the lock."""
        match asked.get("do"):
            case "hello":
                self._controller, self._connected = Process.of(asked.get("process")), True
                self._heard = time.monotonic()
                self._state = "watching" if self._state == "waiting" else self._state
            case "beat":
                self._heard = time.monotonic()
                self._obeys = self._obeys or bool(asked.get("tripped"))
                self._acknowledged = self._acknowledged or bool(asked.get("fenced"))
            case "report":
                self._heard, self._obeys = time.monotonic(), True
            case "goodbye":
                self._goodbye, self._acknowledged = bool(asked.get("confirmed")), True
            case "stop":
                self._stop = str(asked.get("reason") or "emergency stop")
            case "stand_down":
                self._relieved = True
            case "status":
                pass
            case other:
                return {"ok": False, "problem": f"{other!r} is nothing that a guardian does"}
        return {
            "ok": True,
            "state": self._state,
            "stop": self._stop,
            "controller": None if self._controller is None else self._controller.pid,
            "silent": round(time.monotonic() - self._heard, 3),
            "report": None if self._report is None else self._report.to_json(),
        }


def _also() -> tuple[signal.Signals, ...]:
    """Signals that not every system knows."""
    return tuple(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name))


def main(path: str) -> int:
    """Guard as a plan says.

    Args:
        path: of the plan.

    Returns:
        The exit status.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    plan = GuardianPlan.of(json.loads(Path(path).read_bytes()))
    return Guardian(plan).run()


if __name__ == "__main__":
    status = main(sys.argv[1])
    logging.shutdown()
    os._exit(status)  # threads of devices that hang may keep nobody alive
