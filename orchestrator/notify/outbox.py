"""What waits to be delivered to one address, and the thread that does it: nobody else waits for a slow service."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Condition, Thread
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from orchestrator.errors import NotDelivered
from orchestrator.notify.message import Happening, Message, compose
from orchestrator.notify.notifier import Notifier

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 200
"""So many things wait for one address; of more, the oldest are only counted."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast messages go out, in seconds.

    Attributes:
        gather: what happens within this time goes into one message.
        best_every: at least so long between two messages about nothing but a new best.
        first_retry: after the first try that failed; the time between tries doubles.
        longest_retry: at most so long between two tries.
        gives_up: so long after the first try a message is given up.
        patience: the end of a run waits so long for what is left.
        last_retries: between tries at the end of a run.
    """

    gather: float = 1.0
    best_every: float = 900.0
    first_retry: float = 2.0
    longest_retry: float = 300.0
    gives_up: float = 6 * 3600.0
    patience: float = 30.0
    last_retries: float = 2.0


Report = Callable[[str, Message, Sequence[Happening], str | None], None]
"""Called with the name of an address, a message, what it told, and why it did not arrive; ``None`` where it did."""


class Outbox:
    """Delivers to one address from a thread of its own.

    Args:
        name: of the address.
        notifier: delivers.
        campaign: name of the campaign.
        host: the computer that runs it.
        pace: how fast.
        told: keys of what this address has been told already.
        report: is told in that thread what arrived, which first try failed, and what was given up.
    """

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        campaign: str,
        host: str,
        pace: Pace,
        told: frozenset[str],
        report: Report,
    ) -> None:
        self.name = name
        self._notifier, self._campaign, self._host, self._pace, self._report = notifier, campaign, host, pace, report
        self._told = set(told)
        self._changed = Condition()
        self._waiting: list[Happening] = []
        self._best: Happening | None = None
        self._lost = 0
        self._since = self._best_since = 0.0
        self._best_told: float | None = None
        self._closing = self._over = False
        self._thread = Thread(target=self._work, name=f"notify {name}", daemon=True)
        self._thread.start()

    def put(self, happening: Happening) -> None:
        """Let something be told, unless it has been; returns at once."""
        with self._changed:
            if happening.keys and happening.keys <= self._told:
                return
            now = time.monotonic()
            if happening.event == "best":
                former = self._best
                self._best_since = now if former is None else self._best_since
                self._best = happening if former is None else replace(happening, keys=happening.keys | former.keys)
            else:
                self._since = now if not self._waiting else self._since
                self._waiting.append(happening)
                if len(self._waiting) > MOST_WAITING:
                    del self._waiting[0]
                    self._lost += 1
            self._changed.notify_all()

    def begin_to_close(self) -> None:
        """What waits is to go out now, also a new best; nothing is put from now on."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self, patience: float) -> None:
        """Wait for what waits to go out, at most so many seconds; what has not arrived then is reported and left."""
        self._thread.join(max(0.0, patience))
        with self._changed:
            left, lost, self._over = self._batch(), self._lost, True
            self._changed.notify_all()
        if left:
            message = compose(self._campaign, left, self._host, lost)
            self._report(self.name, message, left, "the run has ended, and it had not arrived.")

    # In the thread

    def _work(self) -> None:
        while self._await_due():
            self._deliver()

    def _await_due(self) -> bool:
        """Wait until something is to be sent; whether there is."""
        with self._changed:
            while not self._over:
                due = self._due()
                if self._closing:
                    return due is not None
                pause = None if due is None else due - time.monotonic()
                if pause is not None and pause <= 0:
                    return True
                self._changed.wait(pause)
            return False

    def _due(self) -> float | None:
        times = []
        if self._waiting:
            times.append(self._since + self._pace.gather)
        if self._best is not None:
            last = self._best_told
            earliest = 0.0 if last is None else last + self._pace.best_every
            times.append(max(self._best_since + self._pace.gather, earliest))
        return min(times, default=None)

    def _batch(self) -> list[Happening]:
        return [*self._waiting, *([] if self._best is None else [self._best])]

    def _deliver(self) -> None:
        pace = self._pace
        grows = wait_exponential(multiplier=pace.first_retry, max=pace.longest_retry)
        retrying = Retrying(
            wait=lambda state: min(grows(state), pace.last_retries) if self._closing else grows(state),
            stop=lambda state: self._over or (state.seconds_since_start or 0.0) > pace.gives_up,
            retry=retry_if_exception(lambda problem: not (isinstance(problem, NotDelivered) and problem.final)),
            retry_error_callback=_raise_last,
            before_sleep=self._failed_once,
            sleep=self._sleep,
        )
        try:
            retrying(self._send)
        except Exception as problem:  # noqa: BLE001  whatever a notifier raises: its message is given up
            with self._changed:
                if self._over:  # reported by whoever waited
                    return
                batch, lost = self._batch(), self._lost
                self._done(batch, lost)
            message = compose(self._campaign, batch, self._host, lost)
            self._report(self.name, message, batch, f"{_why(problem)} It is given up.")

    def _send(self) -> None:
        """Send all that waits by now: what came while a service was away goes out in one message."""
        with self._changed:
            batch, lost = self._batch(), self._lost
        message = compose(self._campaign, batch, self._host, lost)
        self._notifier.send(message)
        with self._changed:
            if self._over:
                return
            self._done(batch, lost)
            for happening in batch:
                self._told |= happening.keys
        self._report(self.name, message, batch, None)

    def _done(self, batch: Sequence[Happening], lost: int) -> None:
        sent = {id(happening) for happening in batch}
        self._waiting = [happening for happening in self._waiting if id(happening) not in sent]
        self._lost -= lost
        self._since = time.monotonic()
        best = next((happening for happening in batch if happening.event == "best"), None)
        if best is None or self._best is None:
            return
        self._best_told = time.monotonic()
        # a better one that came meanwhile waits its time
        self._best = None if self._best is best else replace(self._best, keys=self._best.keys - best.keys)

    def _failed_once(self, state: RetryCallState) -> None:
        problem = None if state.outcome is None else state.outcome.exception()
        if state.attempt_number > 1:
            logger.debug("%s is not reached yet: %s", self.name, _why(problem))
            return
        with self._changed:
            batch, lost = self._batch(), self._lost
        message = compose(self._campaign, batch, self._host, lost)
        self._report(self.name, message, (), f"{_why(problem)} It is tried again.")

    def _sleep(self, seconds: float) -> None:
        """Wait between two tries; the end of the run shortens it."""
        until = time.monotonic() + seconds
        with self._changed:
            hurried = self._closing
            while not self._over and (pause := until - time.monotonic()) > 0:
                self._changed.wait(pause)
                if self._closing and not hurried:
                    return


def _raise_last(state: RetryCallState) -> None:
    if state.outcome is not None:
        state.outcome.result()


def _why(problem: BaseException | None) -> str:
    """Why nothing arrived; the words of other exceptions may hold the address."""
    return str(problem) if isinstance(problem, NotDelivered) else f"{type(problem).__name__}."
