"""Instruments that answer web requests: options, answers that are checked, and waits that end.

Answers are understood by pure functions from bytes to frozen models (:func:`understood`): whatever comes in, the only
exception that comes out is :class:`~instruments.errors.ProtocolError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from threading import Event
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from instruments.device import Device, DeviceOptions, Wiring
from instruments.errors import CommunicationError, DeviceTimeout, ExecutionCancelled, LabError, ProtocolError
from instruments.transport.web import Web

T = TypeVar("T")

SCHEMES: Final = ("http://", "https://", "replay://")
MISSED: Final = 3
"""Looks in a row that a wait may miss because the connection failed; the next one ends it."""
SHORTEST: Final = 0.02
"""Between two looks, s, however fast an emulated laboratory is."""


class WebOptions(DeviceOptions):
    """What all instruments behind web requests are told.

    Attributes:
        address: such as ``http://192.168.0.20:31950``, or ``replay://FILE``.
        timeout: of connecting and of every pause in an answer, s.
    """

    address: str
    timeout: float = Field(5.0, gt=0.0, le=120.0)

    @field_validator("address")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if not value.startswith(SCHEMES) or value in SCHEMES or any(c.isspace() for c in value):
            raise LabError(
                f"{value!r} is no web address.", field="address", mend="Write http://HOST:PORT, as the device shows it."
            )
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address."""
        return (self.address,)


class Heard(BaseModel):
    """A part of an answer: what is needed of it, nothing converted, the rest passed over; names are camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        populate_by_name=True,
    )


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def understood(device: str, kind: type[T], data: bytes) -> T:
    """An answer's JSON as a model.

    Args:
        device: name for errors.
        kind: a model, or another type.
        data: the answer's body.

    Raises:
        ProtocolError: it is no JSON, or lacks what it must have.
    """
    try:
        heard: T = _adapter(cast(Hashable, kind)).validate_json(data, strict=True)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProtocolError(
            f"the answer is not understood: {f'{place}: ' if place else ''}{first['msg']}; it begins {data[:80]!r}.",
            device=device,
        ) from problem
    return heard


class Online(Device):
    """A device with a web address.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
        headers: of every request.
    """

    def __init__(
        self, name: str, options: WebOptions, wiring: Wiring, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name, options, wiring)
        self.web = Web(name, options.address, headers=headers, timeout=options.timeout, record=wiring.record(name))

    def close(self) -> None:
        """Let go of all connections."""
        self.web.close()

    def _seconds(self, laboratory: float) -> float:
        """Real seconds of so many laboratory seconds, and never so few that an exchange does not fit in."""
        return max(laboratory / self._wiring.pace, 0.5)

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask again, within bounds, where an answer is not understood; for what must be known to make safe.

        Raises:
            DeviceError: from ``ask``.
        """
        for _ in range(MISSED):
            try:
                return ask()
            except ProtocolError:
                continue
        return ask()

    def _await(
        self,
        look: Callable[[], T | None],
        *,
        what: str,
        every: float,
        timeout: float,
        cancelled: Event | None = None,
    ) -> T:
        """Look again and again until something is there. A few looks in a row may fail on the connection.

        Args:
            look: ``None`` as long as it is not there.
            what: is awaited, for the error.
            every: laboratory seconds between looks.
            timeout: laboratory seconds in all.
            cancelled: ends the wait.

        Raises:
            DeviceTimeout: it was not there in time.
            ExecutionCancelled: the wait was cancelled.
            DeviceError: from ``look``.
        """
        stop = cancelled or Event()
        deadline, missed = time.monotonic() + self._seconds(timeout), 0
        pause = max(every / self._wiring.pace, SHORTEST)
        while True:
            if stop.is_set():
                raise ExecutionCancelled(f"{self.name}: the wait for {what} was cancelled.")
            try:
                found = look()
                missed = 0
            except (CommunicationError, ProtocolError):
                missed += 1
                if missed > MISSED:
                    raise
                found = None
            if found is not None:
                return found
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise DeviceTimeout(f"{what} did not come within {timeout:g} s.", device=self.name)
            stop.wait(min(pause, left))
