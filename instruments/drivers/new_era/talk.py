"""Questions to one pump on a line that it may share: the right form, its own answers, and its alarms.

A pump that has an alarm answers the next command with the alarm, and does *not* execute the command: it is sent again.
In the safe mode a pump also sends alarms unasked.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from instruments.drivers._serial import STRAY, Conversing
from instruments.drivers.new_era.frames import ALARMS, ERRORS, ETX, SHORTEST, STX, Reply, basic, parse, safe
from instruments.errors import DeviceError, DeviceFault, DeviceTimeout, ProtocolError
from instruments.transport.shared import shared_stream
from instruments.transport.stream import Stream

if TYPE_CHECKING:
    from instruments.device import Wiring
    from instruments.drivers.new_era.options import NewEraOptions

logger = logging.getLogger(__name__)

TRIES: Final = 3
"""Of what may be asked or told again."""
ACKNOWLEDGED: Final = 4
"""Alarms in a row that are taken, before the pump counts as out of order."""
LONGEST: Final = 64
"""Bytes of the longest answer."""
_BARRIERS: Final = (("VER", re.compile(r"NE[0-9X]+V[0-9.]+")), ("SAF", re.compile(r"\d{1,3}")))
"""Questions that change nothing, and the answers that only they have."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that a pump raised.

    Attributes:
        code: its letter.
        text: what it means.
        time: ``time.monotonic()`` when it came.
    """

    code: str
    text: str
    time: float = field(default_factory=time.monotonic)


class Talking(Conversing):
    """A pump, as far as talking to it goes.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: NewEraOptions, wiring: Wiring) -> None:
        stream = shared_stream(name, options.port, options.settings, record=wiring.record(name))
        super().__init__(name, options, wiring, stream, options.timeout)
        self._options = options
        self._safe_form = options.watchdog > 0
        self._guarded = False  # whether the pump is told to watch over us
        self._barriers = 0
        self._alarms: list[Alarm] = []
        self._untold: Alarm | None = None
        self._pumping = False
        self._ended = Event()
        self._keeper: Thread | None = None

    def alarms(self) -> tuple[Alarm, ...]:
        """All alarms that came since this object was made, those of power-on among them."""
        return tuple(self._alarms)

    # Commands

    def _command(self, text: str, attempts: int = TRIES) -> Reply:
        """Give a command that does no harm when it is given twice, until it is executed.

        Raises:
            CommunicationError: no connection, or no answer in time.
            ProtocolError: an answer that is not understood.
            DeviceFault: the pump refused, or has ever new alarms.
        """
        for _ in range(ACKNOWLEDGED):
            reply = self._exchange(lambda stream: self._ask(stream, text), attempts=attempts)
            if not reply.alarm:
                return self._accepted(reply, text)
            self._alarmed(reply.alarm)
        raise DeviceFault(
            f"{ALARMS[reply.alarm]}, again and again.", device=self.name, code=reply.alarm, mend="Look at the pump."
        )

    def _accepted(self, reply: Reply, text: str) -> Reply:
        if reply.error is not None:
            raise DeviceFault(
                f"{ERRORS[reply.error]} ({text or 'status'}: ?{reply.error}).",
                device=self.name,
                code=f"?{reply.error}",
            )
        return reply

    def _alarmed(self, code: str) -> None:
        """Take note of an alarm, which its answer has acknowledged."""
        alarm = Alarm(code, ALARMS[code])
        self._alarms.append(alarm)
        self._doubtful = True  # an alarm that came unasked may be followed by the same as an answer
        logger.warning("%s: %s (alarm %s)", self.name, alarm.text, code)
        if self._matters(alarm):
            self._untold = alarm

    def _matters(self, alarm: Alarm) -> bool:
        """Whether the next caller must be told; the alarm of power-on is an event and no fault."""
        return alarm.code != "R"

    def _tell(self) -> None:
        """Tell of an alarm that nobody was told of.

        Raises:
            DeviceFault: there is one.
        """
        alarm, self._untold = self._untold, None
        if alarm is not None:
            raise DeviceFault(
                f"{alarm.text}.", device=self.name, code=alarm.code, mend="Look at syringe and tubing, then go on."
            )

    # Frames

    def _ask(self, stream: Stream, text: str) -> Reply:
        """One command and its answer. A damaged command was not executed, and is told as a fault of the line."""
        self._send(stream, text)
        reply = self._receive(stream, time.monotonic() + self._timeout)
        if reply.error == "COM":
            raise ProtocolError(f"{ERRORS['COM']} ({text}).", device=self.name)
        return reply

    def _send(self, stream: Stream, text: str) -> None:
        form = safe if self._safe_form else basic
        stream.write(form(self._options.address, text))

    def _receive(self, stream: Stream, deadline: float) -> Reply:
        """The next answer of this pump; those of others on the line are passed over."""
        for _ in range(STRAY):
            reply = parse(self._frame(stream, deadline), self.name)
            if reply.address == self._options.address:
                return reply
        raise ProtocolError(f"{STRAY} answers of other pumps.", device=self.name)

    def _frame(self, stream: Stream, deadline: float) -> bytes:
        def left() -> float:
            return max(deadline - time.monotonic(), 0.0)

        before = stream.read_until(STX, left(), LONGEST)
        if before != STX:
            raise ProtocolError(f"{before[:60]!r} before an answer.", device=self.name)
        first = stream.read_exactly(1, left())
        if first[0] >= SHORTEST and not first.isdigit():
            return STX + first + stream.read_exactly(min(first[0], LONGEST) - 1, left())
        return STX + first + stream.read_until(ETX, left(), LONGEST)

    def _resync(self, stream: Stream) -> None:
        """Get back into step: ask what has an answer of its own, and drop what comes before it.

        Two such questions take turns, so that a late answer to the last one is not taken for this one's.
        """
        self._barriers += 1
        text, looks = _BARRIERS[self._barriers % len(_BARRIERS)]
        for _ in range(ACKNOWLEDGED):
            self._send(stream, text)
            deadline = time.monotonic() + self._timeout
            while True:
                try:
                    reply = self._receive(stream, deadline)
                except ProtocolError:
                    if time.monotonic() >= deadline:
                        raise
                    continue
                if reply.alarm:
                    self._alarmed(reply.alarm)
                    break  # not executed: ask again
                if looks.fullmatch(reply.data):
                    return
        raise ProtocolError("nothing but alarms.", device=self.name)

    def _prepare(self, stream: Stream) -> None:
        """Bring the pump into its mode, once it is wanted; both forms are understood in the basic mode."""
        if not self._guarded:
            return
        if self._options.watchdog:
            self._settle(stream, f"SAF{self._options.watchdog}")
            return
        try:
            self._settle(stream, "")
        except DeviceTimeout:  # it may be in the safe mode, and hears only frames of that
            stream.write(safe(self._options.address, "SAF0"))
            self._receive(stream, time.monotonic() + self._timeout)
            self._settle(stream, "")

    def _settle(self, stream: Stream, text: str) -> None:
        for _ in range(ACKNOWLEDGED):
            reply = self._ask(stream, text)
            if not reply.alarm:
                self._accepted(reply, text)
                return
            self._alarmed(reply.alarm)
        raise ProtocolError("nothing but alarms.", device=self.name)

    # Keeping the watchdog quiet

    def _keep(self) -> None:
        """Begin to ask for the status as often as the watchdog needs; ends with :meth:`close`, or with this process."""
        if self._options.watchdog == 0 or (self._keeper is not None and self._keeper.is_alive()):
            return
        self._ended.clear()
        self._keeper = Thread(target=self._keeping, name=f"keepalive-{self.name}", daemon=True)
        self._keeper.start()

    def _keeping(self) -> None:
        while not self._ended.wait(self._options.watchdog / 4.0):
            try:
                self._command("", attempts=1)
            except DeviceError as problem:
                logger.warning("%s: the watchdog could not be kept quiet: %s", self.name, problem)

    def _keep_no_longer(self) -> None:
        self._ended.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
