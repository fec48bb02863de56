"""The report's table of every experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from acquisition.parameters import Composition
from instruments.metrics import unit_of
from orchestrator.config.spaces import units_of
from orchestrator.export import readings, words
from orchestrator.export.facts import results_of, told
from orchestrator.export.readings import Reading

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign

MOST_SETTINGS: Final = 12
MOST_RESULTS: Final = 8
MOST_COMPONENTS: Final = 4
"""Components that get columns of their own; more of them are written as one formula."""


@dataclass(frozen=True)
class Column:
    """A column's head."""

    title: str
    unit: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it is sorted by, and the name of its looks."""

    text: str
    key: str = ""
    look: str = ""


@dataclass(frozen=True)
class Row:
    """One experiment."""

    id: int
    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Listing:
    """The whole table, and what it leaves out in words."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: str


def listing(campaign: Campaign, frame: pd.DataFrame, reading: Reading) -> Listing:
    """Every experiment as a row.

    Args:
        campaign: whose parameters and metrics these are.
        frame: its table.
        reading: of the first objective; decides which parameters are shown where there are too many.
    """
    known = readings.inputs(frame)
    formulas = [p for p in campaign.space.parameters if isinstance(p, Composition) and len(p.columns) > MOST_COMPONENTS]
    within = {c for p in formulas for c in p.columns}
    plain = [c for c in campaign.space.columns if c not in within]
    shown = plain
    if len(plain) > MOST_SETTINGS:
        telling = set(readings.telling(reading, MOST_SETTINGS))
        shown = [c for c in plain if c in telling][:MOST_SETTINGS]
    results, results_left = results_of(frame, campaign.metrics, MOST_RESULTS)
    units = units_of(campaign.space)

    columns: list[tuple[Column, list[Cell]]] = [
        (Column("id", kind="number"), [Cell(str(id), str(id)) for id in frame.index]),
        (Column("state"), [_state(s, o) for s, o in zip(frame["state"], frame["origin"], strict=True)]),
    ]
    columns += [(Column(p.name, kind="formula"), [_formula(p, row) for _, row in known.iterrows()]) for p in formulas]
    for name in shown:
        unit = words.pretty_unit(units.get(name))
        numeric = pd.api.types.is_numeric_dtype(known[name])
        columns.append((Column(name, unit, "number" if numeric else "text"), [_setting(v) for v in known[name]]))
    for metric in results:
        unit = words.pretty_unit(unit_of(metric))
        columns.append((Column(metric, unit, "number"), [_result(frame, id, metric) for id in frame.index]))
    columns += _remarks(frame)
    kinds = dict(zip(reading.ids.tolist(), reading.kinds.tolist(), strict=True))
    cells = zip(*(column for _, column in columns), strict=True)
    rows = tuple(Row(int(id), kinds.get(id, ""), row) for id, row in zip(frame.index, cells, strict=True))
    return Listing(tuple(c for c, _ in columns), rows, _left_out(len(plain) - len(shown), results_left))


def _left_out(settings: int, results: int) -> str:
    parts = [words.count(settings, "parameter")] * bool(settings) + [words.count(results, "metric")] * bool(results)
    return f"{words.listed(parts)} more in the exported tables (sabatier export)." if parts else ""


def _state(state: str, origin: str) -> Cell:
    text = state.replace("_", " ")
    return Cell(text if origin == "asked" else f"{text} ({origin})", state, f"state {state}")


def _setting(value: Any) -> Cell:
    if value is None or pd.isna(value):
        return Cell("")
    return Cell(words.number(value), str(value))


def _formula(composition: Composition, row: pd.Series[Any]) -> Cell:
    """Such as ``Cu 0.5, Ag 0.3, Zn 0.2``: what is present, most of it first."""
    shares = [
        (float(row[column]), component)
        for column, component in zip(composition.columns, composition.components, strict=True)
        if not pd.isna(row[column]) and float(row[column]) > 0
    ]
    text = ", ".join(f"{component} {words.number(share)}" for share, component in sorted(shares, reverse=True))
    return Cell(text, text)


def _result(frame: pd.DataFrame, id: Any, metric: str) -> Cell:
    text = told(frame, id, metric)
    return Cell(text, repr(float(frame[metric][id]))) if text else Cell("")


def _remarks(frame: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    """Verdict or cause of failure, sample, reason; each only where there is something to say."""
    verdicts = [
        _verdict(*cells)
        for cells in zip(
            frame["verdict"], frame["verdict_reasons"], frame["failure_cause"], frame["failure_reason"], strict=True
        )
    ]
    samples = [_text(sample) for sample in frame["sample"]]
    reasons = [_text(reason) for reason in frame["reason"]]
    columns = [
        (Column("verdict", kind="verdict"), verdicts),
        (Column("sample"), samples),
        (Column("reason", kind="why"), reasons),
    ]
    return [(head, cells) for head, cells in columns if any(cell.text for cell in cells)]


def _verdict(verdict: Any, reasons: Any, cause: Any, reason: Any) -> Cell:
    if isinstance(cause, str) and cause:
        text = f"{cause}: {reason}" if isinstance(reason, str) and reason else cause
        return Cell(text, text, "verdict failed")
    if not isinstance(verdict, str):
        return Cell("")
    if verdict == "valid" and not reasons:
        return Cell("", "valid")
    text = f"{verdict}: {reasons}" if reasons else verdict
    return Cell(text, text, f"verdict {verdict}")


def _text(value: Any) -> Cell:
    return Cell(value, value) if isinstance(value, str) else Cell("")
