"""A campaign as files for other programs: tables of its experiments and events, and what it is."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from acquisition.parameters import Categorical, Integer
from instruments.metrics import unit_of
from orchestrator.campaign.confirmation import confirmation
from orchestrator.campaign.links import links
from orchestrator.campaign.versions import history
from orchestrator.config.spaces import units_of
from orchestrator.errors import InputError
from orchestrator.export.files import write_atomically
from orchestrator.store.records import CampaignRecord, EventRecord
from orchestrator.store.states import EXPERIMENT_STATES

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign

SCHEMA: Final = 1
NAMES: Final = ("experiments.csv", "experiments.parquet", "events.csv", "campaign.json")
"""What is written, in this order: ``campaign.json`` last, so that it only ever stands beside a complete export."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def export(campaign: Campaign, record: CampaignRecord, directory: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a campaign's tables.

    ``experiments.csv`` and ``experiments.parquet`` hold :meth:`Campaign.to_dataframe`, ``events.csv`` the log,
    ``campaign.json`` definition and state (``"schema": 1``). In the CSV files, text that a spreadsheet would run as a
    formula has an apostrophe before it.

    Args:
        campaign: what was asked and told.
        record: its name, state and definition, as the store has them.
        directory: is made if need be. An earlier export of the same campaign is replaced, file by file.
        overwrite: replace files of these names whatever they are.

    Returns:
        The files.

    Raises:
        InputError: the folder holds files of these names that are no export of this campaign, or cannot be written.
    """
    directory = Path(directory)
    if not overwrite:
        _check_owner(record, directory)
    frame = typed(campaign, campaign.to_dataframe())
    contents = {
        "experiments.csv": _csv(frame.reset_index()),
        "experiments.parquet": _parquet(campaign, frame),
        "events.csv": _csv(_events(campaign.store.events(campaign.name))),
        "campaign.json": _summary(campaign, record, frame),
    }
    return write_atomically({directory / name: contents[name] for name in NAMES})


def _check_owner(record: CampaignRecord, directory: Path) -> None:
    """Refuse to replace what this campaign did not write."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file.", field="output", mend="Name a folder.", file=str(directory))
    present = [name for name in NAMES if (directory / name).exists()]
    if present and _owner(directory / "campaign.json") != _identity(record):
        raise InputError(
            f"{directory} already holds {', '.join(present)}, which are no export of this campaign.",
            field="output",
            mend="Choose another folder, or move these files away.",
            file=str(directory),
        )


def _identity(record: CampaignRecord) -> tuple[str, str]:
    """A name alone is not enough: another store may hold another campaign of the same name."""
    return record.name, record.created.astimezone(UTC).isoformat()


def _owner(path: Path) -> tuple[Any, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none there, or not ours
        return None
    return (data.get("name"), data.get("created")) if isinstance(data, dict) else None


def typed(campaign: Campaign, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with types that depend on the campaign alone, not on what happens to be known already."""
    owners = {c: p for p in campaign.space.parameters for c in p.columns}
    types: dict[str, str] = {}
    for name in campaign.space.columns:
        owner = owners.get(name)
        types[name] = types[f"{name}_executed"] = _type(owner, frame, name)
        types |= {f"{name}_measured": "float64", f"{name}_measured_sem": "float64"}
    for name in map(str, frame.columns):
        if name not in types:
            metric = name.removesuffix("_sem").removesuffix("_std").removesuffix("_predicted")
            types[name] = "float64" if f"{metric}_predicted_std" in frame.columns else "string"
    columns = {}
    for name in map(str, frame.columns):
        column: pd.Series[Any] = frame[name]
        if types[name] == "string":
            column = column.map(lambda value: value if value is None or pd.isna(value) else str(value))
        columns[name] = column.astype(pd.api.types.pandas_dtype(types[name]))
    return pd.DataFrame(columns, index=frame.index)


def _type(owner: Any, frame: pd.DataFrame, name: str) -> str:
    if isinstance(owner, Categorical):
        if all(isinstance(value, int) for value in owner.values):
            return "Int64"
        return "float64" if all(isinstance(value, int | float) for value in owner.values) else "string"
    if owner is None:  # a column of a pool that does not vary
        values = frame[name].dropna()
        return "string" if any(isinstance(value, str) for value in values) else "float64"
    # executed settings need not be whole where proposed ones are
    whole = isinstance(owner, Integer) and all(
        float(v).is_integer() for c in (name, f"{name}_executed") for v in frame[c].dropna()
    )
    return "Int64" if whole else "float64"


def _csv(frame: pd.DataFrame) -> bytes:
    safe = frame.rename(columns=disarm)
    for i, name in enumerate(frame.columns):
        if not pd.api.types.is_numeric_dtype(frame[name]):
            safe.isetitem(i, frame[name].map(disarm, na_action="ignore").array)
    # with this line end, and only with this one, text that holds either of its characters is put in quotes
    text: str = safe.to_csv(index=False, lineterminator="\r\n")
    return text.encode()


def disarm(text: Any) -> Any:
    """Text that no spreadsheet takes for a formula. Numbers, also those written as text, stay what they are.

    >>> disarm("=1+1"), disarm("-0.5"), disarm("Cu")
    ("'=1+1", '-0.5', 'Cu')
    """
    if not isinstance(text, str) or not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _parquet(campaign: Campaign, frame: pd.DataFrame) -> bytes:
    """Parquet with the units among the file's metadata, under the key ``sabatier``."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(frame.reset_index(), preserve_index=False)
    note = json.dumps({"schema": SCHEMA, "campaign": campaign.name, "units": _units(campaign, frame)})
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"sabatier": note.encode()})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _units(campaign: Campaign, frame: pd.DataFrame) -> dict[str, str]:
    metrics = {str(name): unit_of(str(name)) for name in frame.columns if f"{name}_predicted" in frame.columns}
    return {name: unit for name, unit in {**units_of(campaign.space), **metrics}.items() if unit is not None}


def _events(events: Sequence[EventRecord]) -> pd.DataFrame:
    columns = ["sequence", "time", "who", "kind", "experiment", "before", "after", "why", "data"]
    rows = [
        (e.sequence, e.time.astimezone(UTC).isoformat(), e.who, e.kind, e.experiment, e.before, e.after, e.why,
         json.dumps(e.data, ensure_ascii=False, sort_keys=True) if e.data else "")
        for e in events
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype({"sequence": "int64", "experiment": "Int64"})


def _summary(campaign: Campaign, record: CampaignRecord, frame: pd.DataFrame) -> bytes:
    counts, linked = frame["state"].value_counts(), links(campaign.store, campaign.name)
    confirmed = confirmation(campaign.store, campaign.name)
    data = {
        "schema": SCHEMA,
        "name": record.name,
        "state": record.state,
        "reason": record.reason,
        "seed": record.seed,
        "experiments": {state: int(counts.get(state, 0)) for state in EXPERIMENT_STATES},
        "created": _iso(record.created),
        "started": _iso(record.started),
        "updated": _iso(record.updated),
        "finished": _iso(record.finished),
        "confirmation": None if confirmed is None else [point.plain() for point in confirmed],
        "units": _units(campaign, frame),
        "files": list(NAMES[:-1]),
        "after": linked.after,
        "followed_by": list(linked.followed_by),
        "version": record.version,
        "amendments": [version.plain() for version in history(campaign.store, campaign.name)],
        "definition_hash": record.definition_hash,
        "definition": record.definition,
    }
    return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()
