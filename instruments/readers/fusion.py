"""Run documents of INFICON's Micro GC Fusion (``.json``, or several in a ``.zip``).

One document is one injection: for each detector its trace and the peaks that the instrument found, with their area and,
where the method has a calibration, their concentration in per cent. Areas are the integral of the trace above the
line between a peak's ends, over seconds: counts times seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile, ZipFile, is_zipfile

from instruments.readers.clock import ClockOptions, moment_of
from instruments.readers.recording import UNKNOWN, Recording
from instruments.readers.source import LARGEST, Source
from instruments.readers.species import UNIDENTIFIED, key_of

if TYPE_CHECKING:
    import pandas as pd

_ARCHIVE: Final = b"PK\x03\x04"
_MEMBERS: Final = (".json", ".fusion-data")
_FLAT: Final = 1e-3
"""How far a sum of the peaks may be from the total that the instrument gives, relative to it."""


@dataclass(frozen=True, slots=True)
class FusionOptions:
    """What may be said about such a file.

    Attributes:
        clock: about its clock; ``start`` goes before the file's time stamp.
        species: keys of species by label, where the usual names do not do.
    """

    clock: ClockOptions
    species: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Run:
    """One injection."""

    source: Source
    document: Mapping[str, Any]
    moment: datetime | None


def recognises(source: Source) -> bool:
    """Whether the content is of this format, or an archive of it."""
    return source.data.startswith(_ARCHIVE) or source.begins_with("{")


def read_fusion(source: Source, options: FusionOptions) -> Recording:
    """Read the table ``chromatograph`` and the traces ``chromatogram/<detector>``.

    ``time/s`` of an injection counts from the first; of a trace, from its injection.

    Raises:
        ReaderError: the content is no run document, or a peak lacks what every peak has.
    """
    import pandas as pd

    runs = _in_order(source, options)
    notices: list[str] = []
    peaks: list[dict[str, Any]] = []
    traces: dict[str, list[pd.DataFrame]] = {}
    first = runs[0].moment
    for injection, run in enumerate(runs, start=1):
        time = 0.0 if first is None or run.moment is None else (run.moment - first).total_seconds()
        where = f"injection {injection}: " if len(runs) > 1 else ""
        said: list[str] = []
        found = list(_peaks(run, options, said))
        peaks += [{"injection": injection, "time/s": time, **peak} for peak in found]
        _check_total(run, found, said)
        for detector, trace in _traces(run, said):
            traces.setdefault(detector, []).append(trace.assign(injection=injection))
        notices += [where + sentence for sentence in said]
    if not peaks:
        mend = "The run was aborted, or its method finds no peaks."
        raise source.error("no detector has a peak", field="detectors", mend=mend)
    table = pd.DataFrame(peaks)
    if table["fraction/1"].isna().all():
        table = table.drop(columns="fraction/1")
    signals = {"chromatograph": table}
    signals |= {f"chromatogram/{name}": pd.concat(parts, ignore_index=True) for name, parts in traces.items()}
    if runs[0].moment is None:
        notices.append("the file does not say when the recording began")
    return Recording(signals, _metadata(source, runs), tuple(notices))


def _in_order(source: Source, options: FusionOptions) -> list[_Run]:
    """The documents of a file in the order of their time."""
    runs = []
    if options.clock.start is not None and source.data.startswith(_ARCHIVE):
        mend = "Leave it out, or read the documents one by one."
        raise source.error("one start does not do for several injections", field="start", mend=mend)
    for one in _members(source):
        document = _document(one)
        stamp, field = document.get("runTimeStamp"), "runTimeStamp"
        if options.clock.start is not None:
            stamp, field = options.clock.start, "start"
        moment = None if stamp is None else moment_of(stamp, file=one.name, field=field)
        runs.append(_Run(one, document, moment))
    if len(runs) > 1 and any(run.moment is None for run in runs):
        missing = next(run for run in runs if run.moment is None)
        mend = "Read the documents one by one with start=."
        raise missing.source.error(
            "it has no time stamp, so that the injections have no order", field="runTimeStamp", mend=mend
        )
    return sorted(runs, key=lambda run: (run.moment is not None and run.moment.timestamp()) or 0.0)


def _members(source: Source) -> Iterator[Source]:
    """The documents of an archive, or the one document that a file is."""
    if not source.data.startswith(_ARCHIVE):
        yield source
        return
    try:
        if not is_zipfile(BytesIO(source.data)):
            raise BadZipFile("the archive is cut")
        with ZipFile(BytesIO(source.data)) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(_MEMBERS)]
            if any(entry.filename.startswith(("xl/", "word/", "content.xml")) for entry in archive.infolist()):
                raise source.error("it is a spreadsheet or a text document", mend="Export it as CSV.")
            if not entries:
                mend = "An archive of run documents holds .json files."
                raise source.error("it is an archive without run documents", mend=mend)
            if sum(entry.file_size for entry in entries) > LARGEST:
                mend = "Unpack it, and read the documents one by one."
                raise source.error(f"its documents have more than {LARGEST // 2**20} MB", mend=mend)
            for entry in entries:
                yield Source(f"{source.name}/{entry.filename}", ".json", archive.read(entry))
    except (BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        if hasattr(error, "mend"):
            raise
        message = f"the archive cannot be unpacked ({error})"
        raise source.error(message, mend="Pack it again, without a password.") from error


def _finite(word: str) -> float:
    """A number of JSON, which has none that are not finite."""
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word} is no finite number")
    return value


def _document(source: Source) -> Mapping[str, Any]:
    try:
        document = json.loads(source.text, parse_constant=_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        mend = "The file is cut or damaged: fetch it again from the instrument."
        raise source.error(f"it is not valid JSON: {error.msg}", line=error.lineno, mend=mend) from error
    except (ValueError, RecursionError) as error:
        raise source.error(f"it is not valid JSON: {error}", mend="Fetch it again from the instrument.") from error
    if not isinstance(document, dict) or not isinstance(document.get("detectors"), dict) or not document["detectors"]:
        mend = "A run document of a Micro GC Fusion has its results under detectors."
        raise source.error("it is JSON, but no run document", field="detectors", mend=mend)
    return document


def _of(source: Source, value: Any, kind: type, field: str) -> Any:
    """A part of a document that must be of some kind."""
    if not isinstance(value, kind):
        mend = "The document is not complete: fetch it again from the instrument."
        raise source.error(f"{field} is missing or of the wrong kind", field=field, mend=mend)
    return value


def _number(source: Source, value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        said = "missing" if value is None else f"{str(value)[:40]!r}"
        mend = "The document is not complete: fetch it again from the instrument."
        raise source.error(f"{field} is {said}, not a number", field=field, mend=mend)
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def _detectors(run: _Run) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Detectors by name in the order of the alphabet, since documents do not keep one."""
    for name, detector in sorted(run.document["detectors"].items()):
        yield name, _of(run.source, detector, dict, f"detectors.{name}")


def _peaks(run: _Run, options: FusionOptions, notices: list[str]) -> Iterator[dict[str, Any]]:
    uncalibrated, nameless, unknown = [], [], []
    for name, detector in _detectors(run):
        field = f"detectors.{name}.analysis.peaks"
        analysis = detector.get("analysis")
        if analysis is None:
            notices.append(f"{name} has no analysis: its peaks were not looked for")
            continue
        peaks = _of(run.source, _of(run.source, analysis, dict, field).get("peaks"), list, field)
        for number, peak in enumerate(peaks):
            place = f"{field}[{number}]"
            _of(run.source, peak, dict, place)
            label = peak.get("label")
            retention = _number(run.source, peak.get("top"), f"{place}.top")
            known = None if label is None else key_of(str(label), options.species)
            if label is None:
                nameless.append(f"{retention:g} s on {name}")
            elif known is None:
                unknown.append(str(label))
            concentration = peak.get("concentration")
            if concentration is None and label is not None:
                uncalibrated.append(str(label))
            share = (
                math.nan
                if concentration is None
                else _number(run.source, concentration, f"{place}.concentration") / 100
            )
            yield {
                "species": known or (UNIDENTIFIED if label is None else str(label).strip().lower()),
                "detector": name,
                "retention/s": retention,
                "area/count s": _number(run.source, peak.get("area"), f"{place}.area"),
                "fraction/1": share,
            }
    if nameless:
        notices.append(f"peaks without a name, and so without a fraction: {', '.join(nameless)}")
    if uncalibrated:
        notices.append(f"the instrument has no calibration, and gives no fraction, for {', '.join(uncalibrated)}")
    if unknown:
        notices.append(f"labels without a known key, kept as they are: {', '.join(unknown)}; species= gives them one")


def _check_total(run: _Run, peaks: list[dict[str, Any]], notices: list[str]) -> None:
    """The instrument gives the sum of its concentrations, in per cent."""
    total = run.document.get("frontInletTotalConcentration")
    if total is None:
        return
    given = _number(run.source, total, "frontInletTotalConcentration") / 100
    found = math.fsum(peak["fraction/1"] for peak in peaks if not math.isnan(peak["fraction/1"]))
    if abs(found - given) > _FLAT * abs(given) + 1e-12:
        notices.append(f"the fractions of the peaks sum to {found:.6g}, and the instrument gives {given:.6g}")


def _traces(run: _Run, notices: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    import numpy as np
    import pandas as pd

    for name, detector in _detectors(run):
        field = f"detectors.{name}"
        values = detector.get("values")
        if values is None or values == []:
            notices.append(f"{name} has no trace")
            continue
        _of(run.source, values, list, f"{field}.values")
        rate = _number(run.source, detector.get("nValuesPerSecond"), f"{field}.nValuesPerSecond")
        if rate <= 0:
            raise run.source.error(f"{field}.nValuesPerSecond is {rate:g}", field=f"{field}.nValuesPerSecond")
        if any(type(value) not in (int, float) or not _is_finite(value) for value in values):
            mend = "The document is damaged: fetch it again from the instrument."
            raise run.source.error(
                f"{field}.values holds something that is no number", field=f"{field}.values", mend=mend
            )
        expected = detector.get("nValuesExpected")
        if isinstance(expected, int) and expected != len(values):
            notices.append(
                f"{name} has {len(values)} of {expected} values: the run was aborted, or the document shortened"
            )
        time = np.arange(len(values)) / rate
        yield name, pd.DataFrame({"time/s": time, "signal/1": np.array(values, dtype=np.float64)})


def _metadata(source: Source, runs: list[_Run]) -> dict[str, object]:
    """What the documents say about themselves; settings are those of the first."""
    document, first = runs[0].document, runs[0].moment

    def part(*path: str) -> Any:
        value: Any = document
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    serial = part("systemConfiguration", "systemInfo", "systemSerialNumber")
    return {
        "file": source.name,
        "sha256": source.sha256,
        "format": "fusion",
        "instrument": f"INFICON Micro GC Fusion {serial or UNKNOWN}",
        "technique": "gas chromatography",
        "software": str(part("softwareVersion", "version") or UNKNOWN),
        "start_time": UNKNOWN if first is None else first.isoformat(),
        "start_written": str(document.get("runTimeStamp") or UNKNOWN),
        "settings": {
            "method": part("methodName"),
            "annotations": part("annotations"),
            "sequence": part("sequence"),
            "carrier_gas": {name: one.get("carrierGas") for name, one in _detectors(runs[0])},
            "run": [run.document.get("$id") for run in runs],
            "calibration": _calibration(part("method", "peakParameters", "calibration", "detectors")),
        },
    }


def _calibration(detectors: Any) -> dict[str, dict[str, Any]]:
    """The method's calibration as far as it is of the usual form: areas and the concentrations in per cent."""
    found: dict[str, dict[str, Any]] = {}
    for name, one in sorted(detectors.items()) if isinstance(detectors, dict) else ():
        peaks = one.get("calibrationPeaks") if isinstance(one, dict) else None
        for peak in peaks if isinstance(peaks, list) else ():
            if isinstance(peak, dict) and isinstance(peak.get("compoundName"), str):
                given = peak.get("calibrationPoints")
                points = [
                    [point["area"], point["knownConcentration"]]
                    for point in (given if isinstance(given, list) else ())
                    if isinstance(point, dict) and "area" in point and "knownConcentration" in point
                ]
                found.setdefault(name, {})[peak["compoundName"]] = {"fit": peak.get("fitType"), "area_percent": points}
    return found
