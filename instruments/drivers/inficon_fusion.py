"""INFICON Micro GC Fusion: a gas chromatograph that is run over the laboratory's network.

A run is over when the instrument names a *new* last run. Its state does not tell: right after the command it may still
say that it is ready. Each run carries a tag of its own, so that another's run, from a sequence or from the front
panel, is never taken for it.

Protocol: the maker's open-source client (MicroGCFusionAPI, MIT licence) and run documents of real instruments.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any, Final, Literal
from urllib.parse import quote

from pydantic import Field

from instruments.device import Attribute, Identity, Safety, Value, Wiring
from instruments.drivers._fusion_answers import (
    IDLE,
    RUNNING,
    SEQUENCES,
    STATES,
    RunDocument,
    Status,
    Token,
)
from instruments.drivers._fusion_link import MANAGER, FusionLink
from instruments.drivers._web import WebOptions, understood
from instruments.errors import (
    CommunicationError,
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    LimitError,
    ProtocolError,
)

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""Of ending what runs, when making safe."""
BEGINS_WITHIN: Final = 15.0
"""A run that was asked for shows in the state after at most so many laboratory seconds."""


class InficonFusionOptions(WebOptions):
    """How to reach a Micro GC Fusion, and how to use it.

    Attributes:
        kind: ``inficon_fusion``.
        poll: between looks at a run, laboratory s.
        run_timeout: from the command to the run's document, laboratory s.
        idle_timeout: for how long the instrument may say that it is ready without a new run, laboratory s.
        positions: of the stream selector, where there is one.
        microvolts_per_count: of the detectors; areas are then in uV s instead of count s.
    """

    kind: Literal["inficon_fusion"] = "inficon_fusion"
    poll: float = Field(2.0, gt=0.0, le=60.0)
    run_timeout: float = Field(900.0, gt=0.0, le=86400.0)
    idle_timeout: float = Field(60.0, gt=0.0, le=3600.0)
    positions: int = Field(16, ge=2, le=96)
    microvolts_per_count: float | None = Field(None, gt=0.0)

    def build(self, name: str, wiring: Wiring) -> InficonFusion:
        """The device."""
        return InficonFusion(name, self, wiring)


class InficonFusion(FusionLink):
    """A Micro GC Fusion.

    Its safe state is that no method and no sequence runs; detectors and carrier gas stay on.
    """

    def __init__(self, name: str, options: InficonFusionOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring, options.microvolts_per_count)
        self._options = options
        self._methods: tuple[str, ...] = ()
        self._loaded: str | None = None
        self._selector = True
        self._asked: float | None = None  # when the last run was asked for

    # What every driver offers

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """State, method, storage, and the position of the stream selector where there is one."""
        known = {
            "state": Attribute("state", choices=STATES, description="of the system"),
            "sequence": Attribute("sequence", choices=SEQUENCES, description="state of the sequence"),
            "storage": Attribute("storage", choices=("ok", "approaching", "exceeded"), description="limit of runs"),
            "method": Attribute("method", settable=True, choices=self._methods, description="loaded by this driver"),
        }
        if self._selector:
            known["position"] = Attribute(
                "position", settable=True, low=1, high=self._options.positions, description="of the stream selector"
            )
        return known

    def connect(self) -> None:
        """Ask what it is, which methods it has, and whether there is a stream selector.

        Raises:
            DeviceError: it cannot be reached, or is not what it should be.
        """
        self._check_serial(self.identify())
        self.status()
        self._methods = self.methods()
        self._selector = bool(understood(self.name, Any, self._ask("/valcoSelector")))

    def identify(self) -> Identity:
        """Part number and serial number.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        info = "/system/systemInfo"
        part = understood(self.name, str, self._ask(f"{info}/systemPartNumber"))
        serial = understood(self.name, str, self._ask(f"{info}/systemSerialNumber"))
        return Identity("INFICON", f"Micro GC Fusion {part}", serial)

    def make_safe(self) -> Safety:
        """End a method and a sequence that run, whoever began them, and read that back.

        Raises:
            DeviceError: it did not answer.
        """
        try:
            status = self.status()
            if status.quiet and not self._just_asked():
                return Safety(True, f"{status.system}, {status.sequence}")
        except ProtocolError:
            logger.warning("%s: its state is not understood; ending whatever runs", self.name)
        for _ in range(ATTEMPTS):
            self._command("cmd.stop", answered=False)
            self._command("cmd.abort", answered=False)
            try:
                status = self._await(self._resting, what="its rest", every=0.5, timeout=5.0)
            except DeviceTimeout:
                continue
            self._asked = None
            return Safety(True, f"{status.system}, {status.sequence}")
        status = self.status()
        return Safety(not status.running, f"{status.system}, {status.sequence}")

    # What only this instrument does

    def load_method(self, name: str, cancelled: Event | None = None, timeout: float = 120.0) -> None:
        """Load a method, and wait until that is done; the instrument may heat or cool for some time after.

        Args:
            name: of one of :meth:`methods`.
            cancelled: ends the wait.
            timeout: of loading, laboratory s.

        Raises:
            LimitError: there is no such method; nothing was sent.
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceFault: a run is under way, or loading failed.
            ExecutionCancelled: the wait was cancelled.
            DeviceError: it did not answer.
        """
        self._methods = self.methods()
        self.allow("method", name)
        self._refuse_unless(self.status(), "load a method")
        self._loaded = None
        self._command(f"cmd.loadMethod?methodLocation=/v1/methods/userMethods/{quote(name, safe='')}")

        def loaded() -> Status | None:
            status = self._no_error()
            return None if status.system == "loading-method" else status

        self._await(loaded, what=f"method {name}", every=1.0, timeout=timeout, cancelled=cancelled)
        self._loaded = name

    def wait_ready(self, cancelled: Event | None = None, timeout: float = 1800.0) -> None:
        """Wait until the instrument is ready for a run.

        Args:
            cancelled: ends the wait.
            timeout: laboratory s.

        Raises:
            DeviceFault: it is in an error.
            DeviceTimeout: it was not ready in time.
            ExecutionCancelled: the wait was cancelled.
            DeviceError: it did not answer.
        """

        def ready() -> Status | None:
            status = self._no_error()
            return status if status.system == "ready" else None

        self._await(ready, what="its readiness", every=self._options.poll, timeout=timeout, cancelled=cancelled)

    def start(self, name: str = "", tags: Sequence[str] = ()) -> Token:
        """Begin a run of the loaded method as soon as the instrument is ready. Asked once, never repeated.

        Args:
            name: of the run.
            tags: of the run; one of its own is added.

        Returns:
            What :meth:`wait` needs.

        Raises:
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceFault: it is busy, in an error, has no room for results, or refused.
            DeviceError: it did not answer, and no run began.
        """
        self.allow("state", RUNNING)
        self._refuse_unless(self.status(), "run")
        if self.read("storage").value == "exceeded":
            raise DeviceFault(
                "it has no room for another run.",
                device=self.name,
                code="storage-exceeded",
                mend="Export and delete old runs on the instrument.",
            )
        token = Token(self.last_run(), f"sabatier-{uuid.uuid4().hex[:16]}", time.monotonic())
        body = {"runWhenReady": True, "annotations": {"name": name, "tags": [*tags, token.tag]}}
        self._asked = token.asked
        try:
            self._done(self.web.request("POST", f"{MANAGER}!cmd.run", json=body), "a run")
        except (CommunicationError, ProtocolError) as problem:
            self._settle_start(problem)
        return token

    def wait(self, token: Token, cancelled: Event | None = None, timeout: float | None = None) -> RunDocument:
        """Wait for a run's document. A run whose wait is cancelled goes on.

        Args:
            token: from :meth:`start`.
            cancelled: ends the wait.
            timeout: laboratory s; the option ``run_timeout`` where it is not given.

        Raises:
            DeviceFault: the instrument is in an error, is ready without a new run, or ran another method.
            DeviceTimeout: the document did not come in time.
            ExecutionCancelled: the wait was cancelled.
            DeviceError: it did not answer, or the document is not understood.
        """
        others: set[str] = set()
        idle_since = time.monotonic()

        def look() -> RunDocument | None:
            nonlocal idle_since
            status = self.status()
            found = self._mine(token, others)
            if found is not None:
                return found
            if status.error is not None:
                raise self._in_error(status)
            if status.system not in IDLE:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > self._seconds(self._options.idle_timeout):
                raise DeviceFault(
                    "it is ready, but there is no new run: the run was lost or never began.",
                    device=self.name,
                    code="lost-run",
                    mend="Look at the instrument's list of runs.",
                )
            return None

        document = self._await(
            look,
            what="the run's document",
            every=self._options.poll,
            timeout=self._options.run_timeout if timeout is None else timeout,
            cancelled=cancelled,
        )
        if self._loaded is not None and document.method != self._loaded:
            raise DeviceFault(
                f"it ran the method {document.method!r}, not {self._loaded!r}.",
                device=self.name,
                code="method",
                mend="Load the method again; someone changed it at the front panel.",
            )
        return replace(document, asked=token.asked)

    def inject(
        self, name: str = "", tags: Sequence[str] = (), cancelled: Event | None = None, timeout: float | None = None
    ) -> RunDocument:
        """Begin a run and wait for its document; see :meth:`start` and :meth:`wait` for arguments and exceptions."""
        return self.wait(self.start(name, tags), cancelled, timeout)

    def stop(self) -> None:
        """End a sequence after its run that is under way.

        Raises:
            DeviceError: it did not answer, or refused.
        """
        self._command("cmd.stop")

    def abort(self) -> None:
        """End run and sequence at once, which the maker does not recommend: what is on the columns comes out later.

        Raises:
            DeviceTimeout: it still runs after 10 s.
            DeviceError: it did not answer, or refused.
        """
        self._command("cmd.abort")
        self._await(self._resting, what="its rest", every=0.5, timeout=10.0)

    # Inside

    def _read(self, attribute: Attribute) -> Value:
        match attribute.name:
            case "state":
                return self.status().system
            case "sequence":
                return self.status().sequence
            case "storage":
                return understood(self.name, str, self._ask("/v1/runData/storageLimit"))
            case "method":
                return self._loaded or ""
        return understood(self.name, float, self._ask("/valcoSelector/position"))

    def _write(self, attribute: Attribute, value: Value) -> None:
        if attribute.name == "method":
            self.load_method(str(value))
            return
        position = float(value)
        if position != int(position):
            raise LimitError(f"position {position:g} is between two.", device=self.name, field="position")
        self._done(self.web.request("PUT", "/valcoSelector/position", json=int(position)), "the position")

        def there() -> bool | None:
            return True if self._read(attribute) == position else None

        try:
            self._await(there, what=f"position {position:g}", every=0.2, timeout=10.0)
        except DeviceTimeout as problem:
            raise DeviceFault(
                f"the stream selector is not at position {position:g}.",
                device=self.name,
                code="position",
                mend="Look whether it is stuck.",
            ) from problem

    def check(self, name: str, value: Value) -> None:
        """Whether a value is within limits.

        Raises:
            LimitError: it is not, or the methods are not known yet.
        """
        if name == "method" and not self._methods:
            raise LimitError("its methods are not known yet.", device=self.name, field=name, mend="Connect first.")
        super().check(name, value)

    def _just_asked(self) -> bool:
        """Whether a run may begin any moment, whatever the state says."""
        return self._asked is not None and time.monotonic() - self._asked < self._seconds(BEGINS_WITHIN)

    def _settle_start(self, problem: DeviceError) -> None:
        """The answer to the command was lost: find out whether the run began, without asking for another."""

        def began() -> bool | None:
            return True if self.status().system == RUNNING else None

        try:
            self._await(began, what="a run", every=0.5, timeout=BEGINS_WITHIN)
        except DeviceTimeout:
            raise problem from None
