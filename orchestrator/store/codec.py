"""Records as rows: key scalars as columns, everything else as one JSON document. Every store keeps exactly these rows.

A row maps column names to ``int``, ``str``, ``None`` or an aware ``datetime`` in UTC; ``document`` is the JSON text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from orchestrator.errors import StoreDamaged, UnstorableValue
from orchestrator.store.records import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    EventRecord,
    ExperimentRecord,
    Value,
)

Row: TypeAlias = dict[str, Any]


def encode(content: Mapping[str, Any], what: str) -> str:
    """JSON text in which every float is written so that the same float is read.

    Raises:
        UnstorableValue: for a number that is not finite or an object that JSON does not know, naming its place.
    """
    try:
        document = json.dumps(content, allow_nan=False, separators=(",", ":"), default=_scalar)
        _check_keys(content)
    except (TypeError, ValueError, RecursionError) as error:
        place = _find_bad(content, what) or what
        raise UnstorableValue(
            f"{place} cannot be stored: {error}.",
            field=place,
            mend="Use finite numbers, text, lists, and dicts with text as keys.",
        ) from error
    return document


def decode(document: str) -> dict[str, Any]:
    """The content of a JSON document.

    Raises:
        StoreDamaged: the text is not what :func:`encode` wrote.
    """
    try:
        content = json.loads(document)
    except ValueError as error:
        raise StoreDamaged(
            f"a document of the store cannot be read ({error}).", mend="Restore the store from a backup."
        ) from error
    if not isinstance(content, dict):
        raise StoreDamaged("a document of the store is no JSON object.", mend="Restore the store from a backup.")
    return content


def text(value: str) -> str:
    """Text as every database takes it: what is not Unicode (undecodable file names) and NUL is written as an escape."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def utc(time: datetime, what: str) -> datetime:
    """The same moment in UTC.

    Raises:
        UnstorableValue: the time has no zone.
    """
    if time.tzinfo is None:
        raise UnstorableValue(f"{what} has no time zone: {time}.", field=what, mend="Use datetime.now(UTC).")
    return time.astimezone(UTC)


def campaign_row(record: CampaignRecord) -> Row:
    """A campaign as a row."""
    return {
        "name": text(record.name),
        "state": record.state,
        "reason": text(record.reason),
        "definition_hash": record.definition_hash,
        "created": utc(record.created, "created"),
        "updated": utc(record.updated, "updated"),
        "started": record.started and utc(record.started, "started"),
        "finished": record.finished and utc(record.finished, "finished"),
        "document": campaign_document(record.definition, record.seed, record.version),
    }


def campaign_document(definition: Mapping[str, Any], seed: int, version: int) -> str:
    """What of a campaign is no column. A seed may be wider than any database's integers."""
    return encode({"definition": definition, "seed": seed, "version": version}, "campaign")


def campaign_record(row: Mapping[str, Any]) -> CampaignRecord:
    """A row as a campaign."""
    return CampaignRecord(
        name=row["name"],
        definition_hash=row["definition_hash"],
        state=row["state"],
        reason=row["reason"],
        created=row["created"],
        updated=row["updated"],
        started=row["started"],
        finished=row["finished"],
        **decode(row["document"]),
    )


def ask_row(record: AskRecord) -> Row:
    """An ask as a row."""
    return {
        "number": int(record.number),
        "requested": int(record.requested),
        "created": utc(record.created, "created"),
        "document": encode({"state": record.state}, f"ask {record.number}"),
    }


def ask_record(row: Mapping[str, Any]) -> AskRecord:
    """A row as an ask."""
    return AskRecord(row["number"], row["requested"], decode(row["document"])["state"], row["created"])


def experiment_row(record: ExperimentRecord) -> Row:
    """An experiment as a row."""
    what = f"experiment {record.id}"
    return {
        "id": int(record.id),
        "state": record.state,
        "origin": record.origin,
        "ask": _integer(record.ask),
        "told": _integer(record.told),
        "sample": _text(record.sample),
        "verdict": record.verdict,
        "failure_cause": record.failure_cause,
        "created": utc(record.created, f"{what}.created"),
        "updated": utc(record.updated, f"{what}.updated"),
        "gain": _number(record.gain, f"{what}.gain"),
        "cost": _number(record.cost, f"{what}.cost"),
        "document": encode(
            {
                "asked": record.asked,
                "executed": record.executed,
                "measured": record.measured,
                "measured_sem": record.measured_sem,
                "values": {metric: _value(value) for metric, value in record.values.items()},
                "reason": record.reason,
                "prediction": record.prediction,
                "gain": record.gain,
                "cost": record.cost,
                "priority": record.priority,
                "seed": record.seed,
                "verdict_reasons": record.verdict_reasons,
                "calibrations": record.calibrations,
                "failure_reason": record.failure_reason,
            },
            what,
        ),
    }


def experiment_record(row: Mapping[str, Any]) -> ExperimentRecord:
    """A row as an experiment."""
    content = decode(row["document"])
    content["values"] = {metric: Value(**value) for metric, value in content["values"].items()}
    content["verdict_reasons"] = tuple(content["verdict_reasons"])
    content["calibrations"] = tuple(content.get("calibrations", ()))  # older stores have none
    return ExperimentRecord(
        id=row["id"],
        state=row["state"],
        origin=row["origin"],
        ask=row["ask"],
        told=row["told"],
        sample=row["sample"],
        verdict=row["verdict"],
        failure_cause=row["failure_cause"],
        created=row["created"],
        updated=row["updated"],
        **content,
    )


def result_rows(record: ExperimentRecord) -> dict[str, Row]:
    """An experiment's figures as rows, by metric; without those that are not measured yet."""
    what = f"experiment {record.id}.values"
    return {
        text(metric): {
            "metric": text(metric),
            "experiment": int(record.id),
            "value": _number(value.value, f"{what}.{metric}.value"),
            "sem": _number(value.sem, f"{what}.{metric}.sem"),
            "censored": _text(value.censored),
            "state": record.state,
            "origin": record.origin,
            "verdict": record.verdict,
            "told": _integer(record.told),
        }
        for metric, value in record.values.items()
        if value.value is not None
    }


def attempt_row(record: AttemptRecord) -> Row:
    """An attempt as a row."""
    what = f"attempt {record.number} of experiment {record.experiment}"
    return {
        "experiment": int(record.experiment),
        "number": int(record.number),
        "state": record.state,
        "cell": text(record.cell),
        "sample": _text(record.sample),
        "started": utc(record.started, f"{what}.started"),
        "finished": record.finished and utc(record.finished, f"{what}.finished"),
        "digest": record.digest,
        "clock_started": _number(record.clock_started, f"{what}.clock_started"),
        "duration": _number(record.duration, f"{what}.duration"),
        "document": encode(
            {
                "clock_started": record.clock_started,
                "duration": record.duration,
                "files": record.files,
                "message": record.message,
                **({"used": {device: list(times) for device, times in record.used.items()}} if record.used else {}),
            },
            what,
        ),
    }


def attempt_record(row: Mapping[str, Any]) -> AttemptRecord:
    """A row as an attempt."""
    content = decode(row["document"])
    content["used"] = {device: (busy, waited) for device, (busy, waited) in content.get("used", {}).items()}
    return AttemptRecord(
        experiment=row["experiment"],
        number=row["number"],
        state=row["state"],
        cell=row["cell"],
        sample=row["sample"],
        started=row["started"],
        finished=row["finished"],
        digest=row["digest"],
        **content,
    )


def event_row(record: EventRecord) -> Row:
    """An event as a row."""
    return {
        "sequence": record.sequence,
        "time": utc(record.time, "time"),
        "who": text(record.who),
        "kind": text(record.kind),
        "experiment": _integer(record.experiment),
        "before": _text(record.before),
        "after": _text(record.after),
        "document": encode({"why": record.why, "data": record.data}, f"event {record.kind!r}"),
    }


def event_record(row: Mapping[str, Any]) -> EventRecord:
    """A row as an event."""
    return EventRecord(
        sequence=row["sequence"],
        time=row["time"],
        who=row["who"],
        kind=row["kind"],
        experiment=row["experiment"],
        before=row["before"],
        after=row["after"],
        **decode(row["document"]),
    )


def _value(value: Value) -> dict[str, Any]:
    content: dict[str, Any] = {"value": value.value}
    if value.sem is not None:
        content["sem"] = value.sem
    if value.censored is not None:
        content["censored"] = value.censored
    return content


def _integer(value: int | None) -> int | None:
    return None if value is None else int(value)


def _number(value: float | None, place: str) -> float | None:
    """A number as databases have it.

    Raises:
        UnstorableValue: it is too large for that.
    """
    try:
        return None if value is None else float(value)
    except OverflowError as error:
        raise UnstorableValue(f"{place} cannot be stored: {error}.", field=place, mend="Use finite numbers.") from error


def _text(value: str | None) -> str | None:
    return None if value is None else text(value)


def _scalar(value: object) -> object:
    """What numpy and torch wrap as a scalar, unwrapped."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _check_keys(content: object) -> None:
    """JSON would write other keys as text, and what comes back would not be what was given."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
            if isinstance(value, dict | list | tuple):
                _check_keys(value)
    elif isinstance(content, list | tuple):
        for value in content:
            if isinstance(value, dict | list | tuple):
                _check_keys(value)


def _find_bad(content: object, place: str, depth: int = 0) -> str | None:
    """Place of the first value that is not JSON."""
    if isinstance(content, float):
        return None if math.isfinite(content) else place
    if content is None or isinstance(content, str | int):
        return None
    if depth > 100:
        return place
    if isinstance(content, dict):
        if not all(isinstance(key, str) for key in content):
            return place
        children = ((f"{place}.{key}", value) for key, value in content.items())
    elif isinstance(content, list | tuple):
        children = ((f"{place}[{index}]", value) for index, value in enumerate(content))
    else:
        scalar = getattr(content, "ndim", None) == 0 and hasattr(content, "item")
        return _find_bad(content.item(), place, depth) if scalar else place  # type: ignore[attr-defined]
    return next((bad for where, value in children if (bad := _find_bad(value, where, depth + 1))), None)
