"""Talking with an instrument that runs scripts: lines, commands, uploads, aborts, and a cell that is surely off.

Every script says its own number when it begins and when it ends, so that no late line of an earlier one is taken for
one of this. An error while a script runs ends it at once and leaves the cell as it is, without the part that would
have switched it off; then only another script does (MethodSCRIPT manual 1.8, section 10.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeAlias

from instruments.drivers.methodscript.families import meaning
from instruments.drivers.methodscript.protocol import ErrorLine, parse_error, text_of
from instruments.errors import CommunicationError, DeviceError, DeviceFault, DeviceTimeout, LimitError, ProtocolError
from instruments.transport.stream import Stream

DEAF: Final = 0.1
"""After an error the instrument passes over what it hears for 50 ms; twice that is waited, s."""
SLICE: Final = 0.05
"""The longest wait for a line before it is looked whether to stop, s."""
ABORT: Final = 5.0
"""Answers' time within which an aborted script ends."""
LOADING: Final = 3.0
"""Answers' time within which a script of some length is loaded and begins."""
LONGEST_LINE: Final = 127
"""Characters of a line of a script that every instrument takes."""
LONGEST_ANSWER: Final = 4096
"""Bytes without an end of line that are no answer any more."""
STRAY: Final = 64
"""Lines that are passed over while looking for an answer."""
IN_A_ROW, IN_ALL = 3, 20
"""Lines of a script's output that may be unreadable until it is stopped."""


ReadLine: TypeAlias = Callable[[str], Callable[[], None] | None]
"""Reads a line of data, or raises ProtocolError, and gives what is to be done with it."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script without what tells it from others.

    Attributes:
        lines: of its main part.
        finish: lines that are run at its end in any case but an error.
    """

    lines: tuple[str, ...]
    finish: tuple[str, ...] = ()

    def numbered(self, number: int) -> tuple[str, ...]:
        """All lines, with those that say when it begins and ends."""
        return (
            f'send_string "begin {number}"',
            *self.lines,
            "on_finished:",
            *self.finish,
            f'send_string "end {number}"',
        )


OFF: Final = Script(("cell_off",), ("cell_off",))
"""Switches the cell off. Twice, since its end alone is reached when it is aborted."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What ends a script that does not end itself.

    Attributes:
        deadline: s, for all of it.
        gap: s, between two lines.
        stop: says why it is to be aborted, or nothing.
    """

    deadline: float
    gap: float
    stop: Callable[[], str] = lambda: ""


@dataclass(slots=True)
class Ending:
    """How a script ended.

    Attributes:
        finished: whether it said that its last part was run.
        stopped: why it was aborted, or nothing.
        malformed: lines that could not be read.
    """

    finished: bool = False
    stopped: str = ""
    malformed: int = 0


@dataclass(slots=True)
class _Course:
    """Where a running script is."""

    ending: Ending = field(default_factory=Ending)
    in_a_row: int = 0
    heard: float = field(default_factory=time.monotonic)
    until: float = 0.0


class Talk:
    """Conversation over one stream; callers hold the stream's lock.

    Args:
        stream: to the instrument.
        timeout: of one answer, s.
    """

    def __init__(self, stream: Stream, timeout: float) -> None:
        self._stream, self._timeout = stream, timeout
        self._device = stream.device
        self._buffer = bytearray()
        self._abort = ABORT * timeout
        self._numbers = count(1)
        self._secured = 0
        self._aborted_at = -timeout
        self._doubtful = False

    # Lines and commands

    def drop(self) -> None:
        """Forget what has been said so far."""
        self._buffer.clear()
        if self._stream.is_open:
            self._stream.clear()

    def line(self, wait: float) -> str | None:
        """The next line, without its end; ``None`` where none comes within so many seconds.

        Raises:
            ProtocolError: it is no text; it is dropped.
            CommunicationError: the connection was lost.
        """
        deadline = time.monotonic() + wait
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_ANSWER:
                self._buffer.clear()
                raise ProtocolError(f"more than {LONGEST_ANSWER} bytes without an end of line.", device=self._device)
            left = deadline - time.monotonic()
            if left <= 0.0:
                return None
            try:
                self._buffer += self._stream.read_some(left)
            except CommunicationError:
                self._buffer.clear()
                raise
        data = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return text_of(data, self._device)

    def ask(self, command: str, last: str = "") -> str:
        """The answer to a command: from the line that begins as it does, to the one that ends as said.

        Args:
            command: without its end of line.
            last: end of the last line of the answer; empty for an answer of one line.

        Raises:
            DeviceFault: it was refused.
            DeviceTimeout: no answer in time.
            ProtocolError: no answer among many lines.
        """
        self._in_step()
        self._stream.write(command.encode("ascii") + b"\n")
        deadline, found = time.monotonic() + self._timeout, ""
        for _ in range(STRAY):
            line = self._answer(deadline, command)
            if found:
                found += f"\n{line}"
            elif line.startswith(command[0]):
                self._refused(parse_error(line), ())
                found = line
            if found and line.endswith(last):
                return found
        raise ProtocolError(f"{STRAY} lines, none of which answers {command!r}.", device=self._device)

    # Scripts

    def execute(self, script: Script, reader: ReadLine, bounds: Bounds) -> Ending:
        """Run a script to its end.

        Args:
            script: to run.
            reader: gets the lines that tell of scans (``C``) and data (``P``).
            bounds: what ends it early.

        Raises:
            DeviceFault: the instrument refused the script, or an error ended it: the cell may be on.
            DeviceTimeout: it did not begin or end in time: the cell may be on.
            ProtocolError: too much of what it said cannot be read: the cell may be on.
            CommunicationError: the connection was lost: the cell may be on.
        """
        self._in_step()
        return self._execute(script, reader, bounds, LOADING)

    def secure(self, failing: Callable[[DeviceError], None] | None = None) -> None:
        """Abort whatever runs, and switch the cell off with a script of its own.

        Args:
            failing: told of each try that failed.

        Raises:
            DeviceError: the instrument did not confirm that the cell is off.
        """
        self._secured += 1
        problem: DeviceError | None = None
        for _ in range(3):
            try:
                with suppress(DeviceTimeout):  # the abort's answer may be lost; what counts is that of the script
                    self._settle()
                ending = self._execute(OFF, _nothing, Bounds(self._abort, self._abort), 1.0)
                if ending.finished:
                    return
                problem = ProtocolError("the script that switches the cell off did not say so.", device=self._device)
            except DeviceError as found:
                problem = found
            if failing is not None:
                failing(problem)
        assert problem is not None  # noqa: S101  three attempts, each of which returns or leaves one
        raise problem

    def abort(self) -> None:
        """Send the command that aborts a script; may be called without the lock, from any thread.

        Raises:
            CommunicationError: there is no connection, or it was lost.
        """
        self._aborted_at = time.monotonic()
        self._stream.write(b"Z\n")

    # Inside

    def _in_step(self) -> None:
        """Begin an exchange: after one that went wrong, a script may still be running."""
        if self._doubtful:
            self._settle()
        self.drop()

    def _execute(self, script: Script, reader: ReadLine, bounds: Bounds, loading: float) -> Ending:
        number, secured = next(self._numbers), self._secured
        lines = script.numbered(number)
        longest = max(lines, key=len)
        if len(longest) > LONGEST_LINE:
            raise LimitError(f"a line of a script is too long: {longest!r}.", device=self._device)
        self.drop()
        self._doubtful = True
        self._stream.write("\n".join(("e", *lines, "", "")).encode("ascii"))
        self._begun(number, lines, loading * self._timeout)
        course = _Course(until=time.monotonic() + bounds.deadline)
        while self._secured == secured:
            self._watch(course, bounds)
            todo = None
            try:
                line = self.line(SLICE)
                if line is None:
                    continue
                course.heard = time.monotonic()
                if not line:
                    self._doubtful = False
                    return course.ending
                todo = self._heard(line, number, lines, course, reader)
                course.in_a_row = 0
            except ProtocolError:
                course.ending.malformed += 1
                course.in_a_row += 1
                if course.in_a_row > IN_A_ROW or course.ending.malformed > IN_ALL:
                    raise
            if todo is not None:
                todo()
        # what was done with a line made the device safe, in the middle of this script
        course.ending.finished, course.ending.stopped = True, bounds.stop()
        return course.ending

    def _answer(self, deadline: float, command: str) -> str:
        line = self.line(max(deadline - time.monotonic(), 0.0))
        if line is None:
            raise DeviceTimeout(f"no answer to {command!r} in time.", device=self._device)
        return line

    def _begun(self, number: int, lines: tuple[str, ...], patience: float) -> None:
        """Wait until the script says that it begins; its echo alone could be another's."""
        deadline = time.monotonic() + patience
        for _ in range(STRAY):
            try:
                line = self._answer(deadline, f"script {number}")
            except ProtocolError:
                continue
            error = parse_error(line)
            if error is not None and error.echo == "e":
                self._refused(error, lines)
            if line == f"Tbegin {number}":
                return
        raise ProtocolError(f"{STRAY} lines, none of which begins script {number}.", device=self._device)

    def _heard(
        self, line: str, number: int, lines: tuple[str, ...], course: _Course, reader: ReadLine
    ) -> Callable[[], None] | None:
        """One line of a running script, and what is to be done with it.

        Raises:
            DeviceFault: it is an error, which ended the script.
            ProtocolError: it is no line of a script's output.
        """
        error = parse_error(line)
        if error is not None:
            if not error.echo:
                self._refused(error, lines)
        elif line == f"Tend {number}":
            course.ending.finished = True
        elif line[0] in "PC":
            return reader(line)
        elif line[0] not in "MLT*-+ZYhHR":
            raise ProtocolError(f"{line[:40]!r} is no line of a script's output.", device=self._device)
        return None

    def _watch(self, course: _Course, bounds: Bounds) -> None:
        """Abort a script that is to end, and give one up that does not."""
        now = time.monotonic()
        if not course.ending.stopped:
            course.ending.stopped = bounds.stop()
            if course.ending.stopped:
                course.until = now + self._abort
        if course.ending.stopped and now - self._aborted_at > self._timeout:
            self.abort()  # another thread may have done so just now; twice would leave the instrument deaf for a while
        gap = self._abort if course.ending.stopped else bounds.gap
        if now > course.until or now - course.heard > gap:
            what = "did not end" if now > course.until else f"said nothing for {gap:g} s"
            raise DeviceTimeout(f"the script {what}.", device=self._device)

    def _settle(self) -> None:
        """Abort whatever runs, and get into step.

        Raises:
            DeviceTimeout: no answer.
        """
        for _ in range(2):
            self.drop()
            # the empty line ends a script that was sent half by someone who died
            self._stream.write(b"\nZ\n")
            if self._aborted():
                self._doubtful = False
                return
        raise DeviceTimeout(f"no answer to an abort within {self._timeout:g} s.", device=self._device)

    def _aborted(self) -> bool:
        """Whether an abort was answered, and what it aborted has ended."""
        deadline, echoed = time.monotonic() + self._timeout, False
        while (left := deadline - time.monotonic()) > 0.0:
            try:
                line = self.line(left)
            except ProtocolError:
                continue
            if line is None:
                return False
            error = parse_error(line)
            if error is not None and error.echo in ("Z", ""):
                self._rest()
                return True
            if line == "Z":
                deadline, echoed = time.monotonic() + self._abort, True
            elif echoed and not line:
                return True
        return False

    def _refused(self, error: ErrorLine | None, lines: tuple[str, ...]) -> None:
        """Wait until the instrument listens again, and raise its error.

        Raises:
            DeviceFault: there is one.
        """
        if error is None:
            return
        self._rest()
        self._doubtful = False
        where = ""
        if error.line is not None and 0 < error.line <= len(lines):
            where = f" in {lines[error.line - 1]!r}"
        mend = "Make it safe first; then it runs no script." if error.code == "0006" else None
        raise DeviceFault(
            f"error {error.code}{where}: {meaning(error.code)}.", device=self._device, code=error.code, mend=mend
        )

    def _rest(self) -> None:
        time.sleep(DEAF)
        self.drop()


def _nothing(line: str) -> None:
    """Pass a line over."""
