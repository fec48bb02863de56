"""The exceptions of this package: one root, every one with the field that is wrong and how to mend it."""

from __future__ import annotations


class InstrumentsError(Exception):
    """Root of everything that this package raises on purpose.

    Attributes:
        field: dotted name of the offending input (``"columns.fe_co"``), or ``None``.
        mend: one sentence that says how to put it right, or ``None``.
    """

    def __init__(self, message: str, *, field: str | None = None, mend: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.mend = mend

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.mend}" if self.mend else message


class LabError(InstrumentsError, ValueError):
    """A laboratory is set up wrongly, or is asked for something that it cannot execute."""


class MetricError(InstrumentsError, ValueError):
    """A metric is unknown, or its value is impossible in its unit."""


class ExecutionCancelled(InstrumentsError):
    """An execution ended because its context was cancelled. Nothing was measured.

    Attributes:
        untouched: whether nothing had moved yet, so that the job may be run again unasked.
    """

    def __init__(
        self, message: str, *, untouched: bool = False, field: str | None = None, mend: str | None = None
    ) -> None:
        super().__init__(message, field=field, mend=mend)
        self.untouched = untouched


class ToldElsewhere(ExecutionCancelled):
    """An execution ended because somebody told its result: there is nothing more to measure."""


class LabHolds(InstrumentsError):
    """A laboratory can start nothing until a person has acted: stock is short, a calibration has expired.

    Nothing had moved for the job that raises it.
    """


class LabHalted(InstrumentsError):
    """A laboratory has made itself safe and stays so until a person resets it. What a job had done is not known."""


class SignalError(InstrumentsError, ValueError):
    """Raw signals, or what is said about them, are wrong or incomplete: nothing can be computed from them."""


class CalibrationError(InstrumentsError, ValueError):
    """A calibration record is impossible, missing or ambiguous."""


class DeviceError(InstrumentsError):
    """Root of everything that goes wrong with one device.

    Attributes:
        device: the device's name in its rig, or the driver's own where it has none.
    """

    def __init__(self, message: str, *, device: str, field: str | None = None, mend: str | None = None) -> None:
        super().__init__(f"{device}: {message}", field=field, mend=mend)
        self.device = device


class CommunicationError(DeviceError):
    """A port cannot be opened, or the connection was lost. What the device last heard is unknown."""


class DeviceTimeout(CommunicationError):
    """A device did not answer in time, or did not finish in time."""


class ProtocolError(DeviceError):
    """A device said what its protocol does not know: garbage, a cut frame, a wrong checksum, another's echo."""


class DeviceFault(DeviceError):
    """A device reports an error of its own.

    Attributes:
        code: the device's name or number of the error.
    """

    def __init__(
        self, message: str, *, device: str, code: str, field: str | None = None, mend: str | None = None
    ) -> None:
        super().__init__(message, device=device, field=field, mend=mend)
        self.code = code


class LimitError(DeviceError, ValueError):
    """A set point is outside a limit. Nothing was sent."""


class Interlocked(DeviceError):
    """A command was refused because the rig does not permit it now. Nothing was sent."""


class ReaderError(InstrumentsError, ValueError):
    """A file of an instrument cannot be read, or what it holds cannot be put on one clock.

    Attributes:
        file: the name of the file, where it is about one.
        line: the line in the file, from 1, where it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        field: str | None = None,
        mend: str | None = None,
    ) -> None:
        where = f"{file}, line {line}" if file and line is not None else file
        sentence = message if message.endswith(".") else f"{message}."
        super().__init__(f"{where}: {sentence}" if where else sentence, field=field, mend=mend)
        self.file = file
        self.line = line
