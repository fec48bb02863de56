"""What goes to and fro between a Micro GC Fusion and its driver, without the rules of when."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx

from instruments.device import Wiring
from instruments.drivers._fusion_answers import (
    SEQUENCE,
    STARTABLE,
    Last,
    Run,
    RunDocument,
    Runs,
    Status,
    Token,
    parse_run,
    parse_status,
)
from instruments.drivers._web import Online, WebOptions, understood
from instruments.errors import DeviceError, DeviceFault, ProtocolError

MANAGER: Final = "/v1/scm/sessions/system-manager"


class FusionLink(Online):
    """Questions and commands, each made once and checked.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
        microvolts_per_count: of the detectors.
    """

    def __init__(
        self, name: str, options: WebOptions, wiring: Wiring, microvolts_per_count: float | None = None
    ) -> None:
        super().__init__(name, options, wiring)
        self._microvolts_per_count = microvolts_per_count

    def status(self) -> Status:
        """What it does.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return parse_status(self.name, self._ask(f"{MANAGER}/publicConfiguration"))

    def methods(self) -> tuple[str, ...]:
        """Names of the methods on the instrument.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return tuple(sorted(understood(self.name, dict[str, Any], self._ask("/methods/userMethods"))))

    def last_run(self) -> str | None:
        """The instrument's name of its last run; ``None`` where it has none.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        response = self.web.ask("/v1/lastRun")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._done(response, "its last run")
        return understood(self.name, Last, response.content).data_location or None

    def document(self, run_id: str) -> RunDocument:
        """A run that is over.

        Raises:
            DeviceError: no answer, there is no such run, or the document is not understood.
        """
        return self._parsed(self._ask(f"/runData/{quote(run_id, safe='')}"), run_id)

    def _ask(self, path: str) -> bytes:
        return self._done(self.web.ask(path), path)

    def _done(self, response: httpx.Response, what: str) -> bytes:
        """The body of an answer that is no refusal."""
        if response.is_success:
            return response.content
        if response.status_code == httpx.codes.NOT_FOUND:
            raise ProtocolError(f"it knows no {what} (404).", device=self.name, mend="Check address and model.")
        raise DeviceFault(
            f"it refused {what} ({response.status_code}).",
            device=self.name,
            code=str(response.status_code),
            mend="Look at the instrument's page for its state.",
        )

    def _command(self, command: str, *, answered: bool = True) -> None:
        """Give a command once. Without ``answered`` it does not matter what came back: the state is read after."""
        try:
            self._done(self.web.request("GET", f"{MANAGER}!{command}"), command)
        except DeviceError:
            if answered:
                raise

    def _resting(self) -> Status | None:
        status = self.status()
        return None if status.running else status

    def _no_error(self) -> Status:
        status = self.status()
        if status.error is not None:
            raise self._in_error(status)
        return status

    def _in_error(self, status: Status) -> DeviceFault:
        return DeviceFault(
            f"it is in the state {status.error}.",
            device=self.name,
            code=str(status.error),
            mend="Clear the error at the instrument.",
        )

    def _refuse_unless(self, status: Status, what: str) -> None:
        if status.error is not None:
            raise self._in_error(status)
        if status.system not in STARTABLE or status.sequence == SEQUENCE:
            state = SEQUENCE if status.sequence == SEQUENCE else status.system
            raise DeviceFault(
                f"it cannot {what} now ({state}).", device=self.name, code=state, mend="Wait, or stop what it does."
            )

    def _parsed(self, data: bytes, run_id: str) -> RunDocument:
        document = parse_run(self.name, data, self._microvolts_per_count)
        if document.run_id != run_id:
            raise ProtocolError(f"it gave the run {document.run_id!r}, not {run_id!r}.", device=self.name)
        return document

    def _mine(self, token: Token, others: set[str]) -> RunDocument | None:
        """The document of a run, once it is there."""
        last = self.last_run()
        if last is None or last == token.previous or last in others:
            return None
        data = self._ask(f"/runData/{quote(last, safe='')}")
        run = understood(self.name, Run, data)
        # firmware that keeps no tags is believed to run what it was told
        if run.tags is None or token.tag in run.tags:
            return self._parsed(data, last)
        # someone else's run: ours may have been the one before it
        recent = understood(self.name, Runs, self._ask("/runData?limit=10&sortByDate=DESC&allData=True"))
        for run in recent.runs:
            if run.tags is not None and token.tag in run.tags:
                return self.document(run.run_id)
        others.add(last)
        return None
