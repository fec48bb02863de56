"""Cells: the electrolysis positions of a rig, as its file describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.setup import Setup
from instruments.errors import InstrumentsError, LabError

_OWN: Final = frozenset({"roles", "stream", "seat", "setup"})


class CellBlock(Declared):
    """One cell.

    In the file, everything beside ``roles``, ``stream`` and ``seat`` is of the
    :class:`~instruments.electrochemistry.Setup`, where ``kind`` stands for its ``cell``.

    Attributes:
        roles: which device does what for this cell, as ``device`` or ``device/attribute``.
        stream: position of the selector valve that brings its gas to the chromatograph.
        seat: where the liquid handler reaches the electrode in the open cell, ``labware/well``.
        setup: what is known of the cell before any experiment.
    """

    roles: Mapping[str, str]
    stream: int | None = Field(default=None, ge=1)
    seat: str | None = None
    setup: Setup

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or isinstance(data.get("setup"), Setup):
            return data
        own = {str(key): value for key, value in data.items() if key in _OWN}
        cell = {str(key): value for key, value in data.items() if key not in _OWN}
        if "kind" not in cell:
            raise LabError("the kind of the cell is missing.", field="kind", mend="It is h_cell, gde or mea.")
        try:
            setup = Setup(**{"cell" if key == "kind" else key: value for key, value in cell.items()})
        except InstrumentsError as problem:
            field = "kind" if problem.field == "cell" else problem.field
            raise LabError(str(problem.args[0]), field=field, mend=problem.mend) from problem
        return {**own, "setup": setup}
