"""Experiments in words, for terminals, logs and messages. Light to import: no model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from acquisition.parameters import Composition, Parameter
from instruments.metrics import unit_of
from orchestrator.store.records import ExperimentRecord


def fractions_of(parameters: Iterable[Parameter]) -> frozenset[str]:
    """The columns that are fractions of a composition."""
    return frozenset(column for p in parameters if isinstance(p, Composition) for column in p.columns)


def settings(parameters: Mapping[str, Any] | None, fractions: Collection[str] = ()) -> str:
    """Settings in one line; fractions that are zero are left out."""
    shown = [(name, value) for name, value in (parameters or {}).items() if value != 0 or name not in fractions]
    return ", ".join(f"{name} {number(value)}" for name, value in shown) or "-"


def number(value: Any) -> str:
    """A value with as many digits as a person reads."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def quantity(metric: str, value: float, error: float | None = None, censored: str | None = None) -> str:
    """A figure of merit with its uncertainty and unit; a bound says so."""
    unit = unit_of(metric)
    sign = {"below": "< ", "above": "> "}.get(censored or "", "")
    plus = f" ± {error:.2g}" if error else ""
    return f"{metric} {sign}{value:.4g}{plus}{'' if unit in (None, '1') else ' ' + unit}"


def result(record: ExperimentRecord, metrics: Collection[str]) -> str:
    """What came of an experiment, in one line with these metrics."""
    if record.state == "failed":
        return f"failed ({record.failure_cause}): {record.failure_reason or 'no reason given'}"
    told = [
        quantity(m, v.value, v.sem, v.censored)
        for m, v in record.values.items()
        if m in metrics and v.value is not None
    ]
    text = ", ".join(told) or "nothing measured yet"
    if record.verdict in ("suspect", "invalid"):
        text += f" [{record.verdict}: {'; '.join(record.verdict_reasons) or 'no reason given'}]"
    return text
