"""Documents of a Micro GC Fusion: its methods and its runs, with the keys that real ones have."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from simulators.emulators.chromatogram import MODULES

SAMPLING: Final = 15.0
"""For which the pump fills the loop; then it is injected, s."""


def run_document(
    method: str,
    found: Mapping[str, Any],
    annotations: Mapping[str, Any],
    stamp: datetime,
    serial: str,
    sequence: str | None,
) -> dict[str, Any]:
    """The document of a run.

    Args:
        method: that was run.
        found: by detector.
        annotations: of the run.
        stamp: when it began.
        serial: of the system.
        sequence: that it belongs to.
    """
    peaks = [peak for one in found.values() for peak in one["analysis"]["peaks"]]
    document: dict[str, Any] = {
        "$id": str(uuid.uuid4()),
        "$displayName": annotations["name"],
        "annotations": dict(annotations),
        "detectors": dict(found),
        "frontInletTotalConcentration": sum(peak.get("concentration", 0.0) for peak in peaks),
        "method": method_document(method),
        "methodLocation": f"/methods/userMethods/{method}",
        "methodName": method,
        "runDataFormatLevel": 1,
        "runTimeStamp": stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "softwareVersion": {"version": "1.8.2"},
        "systemConfiguration": {
            "systemInfo": {"systemPartNumber": "F0G582", "systemSerialNumber": serial},
            "modules": {m.name.split(":")[0]: {"modulePartNumber": m.part} for m in MODULES},
        },
    }
    if sequence is not None:
        document["sequence"] = {"location": f"/sequences/{sequence}", "runTimeStamp": document["runTimeStamp"]}
    return document


def method_document(name: str) -> dict[str, Any]:
    """A method."""
    parameters: dict[str, Any] = {"integration": {"detectors": {m.name: {} for m in MODULES}}}
    return {
        "comment": name,
        "isPreset": False,
        "methodFormatLevel": 2,
        "systemPartNumber": "F0G582",
        "peakParameters": parameters,
        "sampling": {"sampleDurations": [SAMPLING]},
        "modules": {m.name.split(":")[0]: {"modulePartNumber": m.part} for m in MODULES},
    }
