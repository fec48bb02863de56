"""Faults on demand: what can go wrong with an emulated instrument, armed from outside and used up as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import Final

from simulators.errors import EmulatorError

ON_THE_WIRE: Final = MappingProxyType(
    {
        "garbage": "random bytes instead of the answer",
        "truncated": "the answer breaks off half-way",
        "silence": "no answer",
        "slow": "the answer comes after `seconds`",
        "drop": "the connection is closed instead of the answer",
        "wrong_echo": "the answer is changed in its first printable byte",
    }
)
"""Faults that every instrument behind a stream or a web server can have."""


@dataclass
class Armed:
    """A fault that waits for its time.

    Attributes:
        name: of the fault.
        times: how often it still happens; ``None`` for always.
        after: answers that pass before it happens first.
        values: further numbers, such as ``seconds``.
    """

    name: str
    times: int | None = 1
    after: int = 0
    values: Mapping[str, float] = field(default_factory=dict)


class Faults:
    """The armed faults of one instrument. Any thread may arm and clear.

    Args:
        known: names of faults and what they do; those on the wire are always known.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self.known = {**ON_THE_WIRE, **(known or {})}
        self._armed: dict[str, Armed] = {}
        self._lock = Lock()

    def arm(self, name: str, *, times: int | None = 1, after: int = 0, **values: float) -> None:
        """Let a fault happen.

        Args:
            name: one of :attr:`known`.
            times: how often; ``None`` until cleared.
            after: chances that pass before.
            values: further numbers, as the fault's description says.

        Raises:
            EmulatorError: there is no such fault.
        """
        if name not in self.known:
            raise EmulatorError(
                f"there is no fault {name!r}.", field="fault", mend=f"Known: {', '.join(sorted(self.known))}."
            )
        with self._lock:
            self._armed[name] = Armed(name, times, after, values)

    def clear(self, name: str | None = None) -> None:
        """Disarm one fault, or all."""
        with self._lock:
            if name is None:
                self._armed.clear()
            else:
                self._armed.pop(name, None)

    def take(self, name: str) -> Armed | None:
        """The fault, if it happens now; that uses it up once."""
        with self._lock:
            armed = self._armed.get(name)
            if armed is None:
                return None
            if armed.after > 0:
                armed.after -= 1
                return None
            if armed.times is not None:
                armed.times -= 1
                if armed.times <= 0:
                    del self._armed[name]
            return armed

    def holds(self, name: str) -> bool:
        """Whether a fault is armed and due, without using it up: for lasting states such as a stuck valve."""
        with self._lock:
            armed = self._armed.get(name)
            return armed is not None and armed.after <= 0
