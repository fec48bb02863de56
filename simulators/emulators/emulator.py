"""What all emulated instruments share: they start, say where they listen, have faults, and stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from simulators.emulators.faults import Faults


class Emulator(ABC):
    """One emulated instrument.

    Attributes:
        name: of the device in its rig.
        faults: that can be armed.
    """

    own_faults: ClassVar[Mapping[str, str]] = {}
    """Faults beside those on the wire, and what they do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults = Faults(self.own_faults)

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it listens, in the form that drivers take: a ``socket://`` or web address, or a path of a port."""

    @abstractmethod
    def start(self) -> None:
        """Begin to listen."""

    @abstractmethod
    def stop(self) -> None:
        """End all connections and threads; may be called more than once."""

    def state(self) -> Mapping[str, object]:
        """What the instrument is in truth, for tests and pages: JSON values."""
        return {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
