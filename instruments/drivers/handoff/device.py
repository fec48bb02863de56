"""The hand-over as a device of a rig: labels go out, results come in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field

from instruments.device import Attribute, Device, DeviceOptions, Identity, Safety, Value, Wiring
from instruments.drivers.handoff.folder import ResultFolder, Taken
from instruments.drivers.handoff.labels import Label, label_of, normal
from instruments.drivers.handoff.results import ResultMapping
from instruments.errors import CommunicationError, DeviceError, LabError

_ATTRIBUTES: Final = MappingProxyType(
    {
        "waiting": Attribute("waiting", low=0.0, description="labels that no result has come for"),
        "collected": Attribute("collected", low=0.0, description="files whose results are not kept yet"),
    }
)


class HandoffOptions(DeviceOptions):
    """Analysis elsewhere.

    Attributes:
        folder: into which analysts put their result files.
        mapping: what the columns of these files hold.
        settle: seconds for which a file must not have changed before it is taken.
    """

    kind: Literal["handoff"] = "handoff"
    folder: Path
    mapping: ResultMapping
    settle: float = Field(5.0, ge=0.0, le=3600.0)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The folder."""
        return (str(self.folder),)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The hand-over, with nothing looked at yet."""
        return Handoff(name, self, wiring)


class Handoff(Device):
    """Analysis elsewhere.

    Attributes to read: ``waiting``, the labels that no result has come for, and ``collected``, the files whose results
    are not kept yet. Nothing moves: its safe state is any.
    """

    def __init__(self, name: str, options: HandoffOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._options = options
        self._folder: ResultFolder | None = None

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """What waits."""
        return _ATTRIBUTES

    def connect(self) -> None:
        """Make the subfolders, and read the ledger.

        Raises:
            CommunicationError: the folder is not there, or nothing can be written into it.
            DeviceError: the ledger is damaged.
        """
        if self._folder is not None:
            return
        folder = self._options.folder
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise CommunicationError(
                f"{folder} is no folder that can be read and written.",
                device=self.name,
                field="folder",
                mend="Make it, or mount it, and give this user the right to write.",
            )
        try:
            self._folder = ResultFolder(folder, self._options.mapping, self._options.settle)
        except OSError as problem:
            raise self._lost(problem) from problem
        except LabError as problem:
            message = str(problem.args[0])
            raise DeviceError(message, device=self.name, field="folder", mend=problem.mend) from problem

    def identify(self) -> Identity:
        """The folder.

        Raises:
            CommunicationError: it is not there.
        """
        self._opened()
        return Identity("", f"hand-over in {self._options.folder}", "", "")

    def make_safe(self) -> Safety:
        """Nothing to do: a folder acts on nothing."""
        return Safety(True, "a folder acts on nothing")

    def close(self) -> None:
        """Forget the ledger; it is read again."""
        self._folder = None

    def hand_over(self, campaign: str, experiment: int, attempt: int, sample: str) -> Label:
        """Give a sample its label; the same one when asked again. It is also written into the subfolder ``labels``.

        Raises:
            LabError: no label can be made of these names, or it was given to another sample.
            CommunicationError: the folder cannot be written.
        """
        label = label_of(campaign, experiment, attempt, sample)
        try:
            self._opened().give(label)
        except OSError as problem:
            raise self._lost(problem) from problem
        return label

    def collect(self) -> tuple[Taken, ...]:
        """Take the files that are complete; what was taken and is not kept yet, the oldest first.

        Raises:
            CommunicationError: the folder cannot be read.
        """
        try:
            return self._opened().collect()
        except OSError as problem:
            raise self._lost(problem) from problem

    def keep(self, taken: Taken) -> None:
        """Say that results are kept elsewhere: they are not handed out again.

        Raises:
            LabError: they were not taken here.
            CommunicationError: the folder cannot be written.
        """
        try:
            self._opened().keep(taken.sha256)
        except OSError as problem:
            raise self._lost(problem) from problem

    def watch(self, cancelled: Event, every: float = 10.0) -> Iterator[Taken]:
        """Results as they come, until cancelled. What is not kept by the next look comes again.

        Args:
            cancelled: ends it.
            every: seconds between looks.

        Raises:
            CommunicationError: the folder cannot be read.
        """
        while not cancelled.is_set():
            yield from self.collect()
            cancelled.wait(every)

    def _read(self, attribute: Attribute) -> Value:
        ledger = self._opened().ledger
        if attribute.name == "collected":
            return float(sum(not stored.done for stored in ledger.taken.values()))
        told = {key[0] for key in ledger.told}
        return float(sum(normal(label.text) not in told for label in ledger.labels.values()))

    def _opened(self) -> ResultFolder:
        self.connect()
        if self._folder is None:
            raise RuntimeError("unreachable: connecting opens the folder or raises")
        return self._folder

    def _lost(self, problem: OSError) -> CommunicationError:
        return CommunicationError(
            f"{self._options.folder} cannot be used ({problem.strerror or problem}).",
            device=self.name,
            field="folder",
            mend="Check the disk or the network share.",
        )
