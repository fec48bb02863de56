"""The controller's side of the guardian: starts it, gives it signs of life, and takes leave of it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock
from typing import Any, Final

from instruments.errors import LabError
from instruments.rig.claim import Process
from instruments.rig.errors import LinkLost, RigUnsafe
from instruments.rig.file import RigFile
from instruments.rig.guarding import Card, Channel, GuardianPlan, Post
from instruments.rig.halting import write_whole
from instruments.rig.safety import SafetyReport

logger = logging.getLogger(__name__)

STARTS_WITHIN: Final = 15.0
"""s; a guardian starts in well under one on an idle computer."""
LEAVES_WITHIN: Final = 5.0
"""s, for a guardian that was told to end."""


class GuardianLink:
    """A guardian of one rig, as its controller sees it. Any thread may use it.

    Args:
        file: of the rig.
        folder: of the rig.
    """

    def __init__(self, file: RigFile, folder: Path) -> None:
        self._post = Post(folder, file.name)
        self._heartbeat = file.safety.heartbeat.value
        self._plan = GuardianPlan(
            file.name, folder.absolute(), self._heartbeat, file.pace, file.devices, file.safety_plan
        )
        self.period = min(0.25, self._heartbeat / 6.0)
        """s between two signs of life."""
        self._channel: Channel | None = None
        self._token = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def relieve(self) -> None:
        """End the guardian of an earlier controller; the caller holds the rig and makes it safe itself."""
        card = Card.read(self._post.card)
        if card is None:
            return
        try:
            channel = Channel.to(card, 1.0)
            try:
                channel.ask({"token": card.token, "do": "stand_down"}, LEAVES_WITHIN)
            finally:
                channel.close()
        except LinkLost as problem:
            logger.warning("an earlier guardian does not answer: %s", problem)
        end = time.monotonic() + LEAVES_WITHIN
        while card.process.alive and time.monotonic() < end:
            time.sleep(0.02)
        if card.process.alive:
            logger.warning("an earlier guardian (%d) does not end, and is killed", card.process.pid)
            card.process.kill()

    def start(self) -> None:
        """Start a guardian in a session of its own, and say hello. One that was started before and is lost is ended.

        Raises:
            LabError: the plan cannot be written down.
            RigUnsafe: it does not start.
        """
        if self._child is not None:
            self._child.kill()  # it did not answer: it is not asked to go
            self._child.wait(LEAVES_WITHIN)
        self.relieve()
        with self._lock:
            self._drop()
            self._write_plan()
            self._child = self._spawn()
            try:
                card = self._wait_for(self._child)
                self._channel, self._token = Channel.to(card, 2.0), card.token
                self._ask({"do": "hello", "process": Process.this().to_json()})
            except LinkLost as problem:
                self._drop()
                raise RigUnsafe(f"the guardian does not start: {problem}.", devices=()) from problem

    def beat(self, **told: bool) -> dict[str, Any]:
        """Give a sign of life.

        Args:
            told: more to say: ``tripped``, ``fenced``.

        Returns:
            The answer, with ``lease_ends``: the monotonic time until which the guardian does not act.

        Raises:
            LinkLost: it does not answer.
        """
        with self._lock:
            sent = time.monotonic()
            try:
                answer = self._ask({"do": "beat", **told})
            except LinkLost:
                self._drop()
                raise
        guarding = answer.get("state") == "watching"
        return {**answer, "lease_ends": sent + self._heartbeat if guarding else sent}

    def report(self, report: SafetyReport) -> None:
        """Tell what a trip has come to.

        Raises:
            LinkLost: it does not answer.
        """
        with self._lock:
            try:
                self._ask({"do": "report", "report": report.to_json()})
            except LinkLost:
                self._drop()
                raise

    def goodbye(self, confirmed: bool) -> None:
        """Take leave. A guardian goes if all is confirmed as safe, otherwise it goes on trying."""
        with self._lock:
            try:
                self._ask({"do": "goodbye", "confirmed": confirmed})
            except LinkLost as problem:
                logger.warning("the guardian did not hear the goodbye: %s", problem)
            self._drop()
            if self._child is not None and confirmed:
                try:
                    self._child.wait(LEAVES_WITHIN)
                except subprocess.TimeoutExpired:
                    logger.error("the guardian (%d) does not end", self._child.pid)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._channel is None:
            raise LinkLost("there is no connection")
        return self._channel.ask({"token": self._token, **question}, self._heartbeat)

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _write_plan(self) -> None:
        try:
            write_whole(self._post.plan, json.dumps(self._plan.to_json()), mode=0o600)
        except (TypeError, ValueError, OSError) as problem:
            raise LabError(
                f"the guardian's plan cannot be written ({problem}).",
                field="devices",
                mend="Use plain numbers and texts in the rig file, and a folder that can be written.",
            ) from problem

    def _spawn(self) -> subprocess.Popen[bytes]:
        # what this process can import, the guardian can; a session of its own keeps signals of terminals away
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        with self._post.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", "instruments.rig.guardian", str(self._post.plan)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": paths},
            )

    def _wait_for(self, child: subprocess.Popen[bytes]) -> Card:
        end = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < end:
            card = Card.read(self._post.card)
            if card is not None and card.process.pid == child.pid:
                return card
            if child.poll() is not None:
                raise LinkLost(f"it ended at once with status {child.returncode}; see {self._post.log.name}")
            time.sleep(0.01)
        child.kill()
        raise LinkLost(f"it did not listen within {STARTS_WITHIN:g} s; see {self._post.log.name}")
