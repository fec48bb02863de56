"""What a rig refuses, and why: all of it is the laboratory's, none of it a result of an experiment."""

from __future__ import annotations

from instruments.errors import InstrumentsError, LabHalted, LabHolds


class RigHalted(LabHalted):
    """The rig has made itself safe and stays halted until a person resets it. Nothing was sent."""


class RigTripped(RigHalted):
    """The rig was tripped while something ran on it: it is being made safe, or is safe already."""


class RigHolds(LabHolds):
    """Nothing new may start on the rig until a person, or a reading that comes back within its limits, allows it."""


class RigBusy(LabHolds):
    """Another process controls the rig, or guards it."""


class RigUnsafe(InstrumentsError):
    """A device did not confirm that it is safe. Its state is not known, and a person must look.

    Attributes:
        devices: names of those that did not confirm.
    """

    def __init__(self, message: str, *, devices: tuple[str, ...], mend: str | None = None) -> None:
        super().__init__(message, mend=mend)
        self.devices = devices


class LinkLost(InstrumentsError):
    """Controller or guardian does not answer, has gone, or says what makes no sense."""
