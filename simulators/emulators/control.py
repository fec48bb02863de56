"""The control desk of emulated instruments: a small web server through which people and tests let things go wrong.

=========================  =============================================================================
``GET /devices``           name to kind, address, known faults, and what the instrument is in truth
``GET /truth``             what truly is in each cell, and was with each electrode before
``POST /faults``           ``{"device": ..., "fault": ..., "times": 1, "after": 0, "values": {...}}`` arms a fault
``DELETE /faults``         disarms all, or with ``?device=...&fault=...`` some
``POST /gauges``           ``{"gauge": ..., "value": ...}`` lets a gauge read something else
=========================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulators.emulators.emulator import Emulator
from simulators.emulators.http import Answer, Request, WebEmulator
from simulators.emulators.plant import Gauge
from simulators.errors import EmulatorError


class ControlDesk(WebEmulator):
    """Serves what the module says.

    Args:
        emulators: by device.
        truth: says what truly is.
        gauges: that can be set, by name.
        host: address to listen on.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        emulators: Mapping[str, Emulator],
        truth: Callable[[], Mapping[str, object]],
        gauges: Mapping[str, Gauge],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__("control", host=host, port=port)
        self._emulators, self._truth, self._gauges = emulators, truth, gauges

    def handle(self, request: Request) -> Answer:
        """The answer to a request."""
        try:
            return self._answer(request)
        except (EmulatorError, ValueError, KeyError, TypeError, AttributeError) as problem:
            return Answer(400, {"error": f"{type(problem).__name__}: {problem}"})

    def _answer(self, request: Request) -> Answer:
        asked = (request.method, request.path)
        if asked == ("GET", "/devices"):
            return Answer(200, {name: self._described(one) for name, one in self._emulators.items()})
        if asked == ("GET", "/truth"):
            return Answer(200, dict(self._truth()))
        if asked == ("POST", "/faults"):
            return self._arm(request.json())
        if asked == ("DELETE", "/faults"):
            named = request.query.get("device")
            for one in [self._emulators[named]] if named else self._emulators.values():
                one.faults.clear(request.query.get("fault"))
            return Answer(200, {})
        if asked == ("POST", "/gauges"):
            given = request.json()
            self._gauges[given["gauge"]].set(float(given["value"]))
            return Answer(200, {})
        return Answer(404, {"error": f"there is no {request.method} {request.path}"})

    def _arm(self, given: Mapping[str, Any]) -> Answer:
        values = {str(key): float(value) for key, value in given.get("values", {}).items()}
        self._emulators[given["device"]].faults.arm(
            given["fault"], times=given.get("times", 1), after=int(given.get("after", 0)), **values
        )
        return Answer(200, {})

    @staticmethod
    def _described(one: Emulator) -> dict[str, object]:
        return {
            "kind": type(one).__name__,
            "address": one.address,
            "faults": dict(one.faults.known),
            "state": dict(one.state()),
        }
