"""Quality control: from evidence to a verdict with named reasons.

The worst level wins. Everything that was looked at is kept, with its thresholds and the version of the rules; a person
who sees it otherwise adds an event of their own, nothing here is edited. An invalid measurement is no failed
experiment: it says nothing about the catalyst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from instruments.electrochemistry.evidence import Evidence
from instruments.electrochemistry.limits import FINE, LEVELS, NOT_ASSESSED, SUSPECT
from instruments.electrochemistry.looks import Finding
from instruments.electrochemistry.rules import RULES, VERSION, QualityRules
from instruments.electrochemistry.tables import Flags, Floats
from instruments.errors import SignalError
from instruments.lab import Verdict, VerdictName

if TYPE_CHECKING:
    import pandas as pd

VARIANCE_OF_SUSPECT: Final = 4.0
"""By what a model multiplies the variance of what a suspect measurement says."""

DEFAULT_RULES: Final = QualityRules()


@dataclass(frozen=True, slots=True)
class Check:
    """What one rule found about one experiment.

    Attributes:
        name: of the rule.
        id: of the rule in the catalogue.
        level: ``fine``, ``info``, ``suspect``, ``invalid`` or ``not assessed``.
        value: the number that was looked at, ``None`` where nothing was.
        unit: of the number.
        bound: that was crossed, ``""`` where none was.
        subject: the product, channel or metadata that it is about, ``""`` for the whole.
        says: what the rule is about.
        thresholds: of the rule.
    """

    name: str
    id: str
    level: str
    value: float | None
    unit: str
    bound: str
    subject: str
    says: str
    thresholds: Mapping[str, Any]

    def __str__(self) -> str:
        about = f" ({self.subject})" if self.subject else ""
        unit = "" if self.unit == "1" else f" {self.unit}"
        number = "" if self.value is None else f" = {self.value:.4g}{unit}"
        return f"{self.name} [{self.id}]: {self.says}{about}{number}, {self.bound or self.level}"


@dataclass(frozen=True, eq=False)
class Judgement:
    """Verdicts on E experiments.

    Attributes:
        levels: the worst level of each, without what is only told, [E].
        findings: what each rule found; ``None`` where the evidence is absent or the rule is off.
        rules: the thresholds.
        version: of the rules.
    """

    levels: Floats
    findings: Mapping[str, Finding | None]
    rules: QualityRules
    version: str = VERSION

    def verdict(self, i: int = 0) -> Verdict:
        """Of one experiment, with the reasons, the worst first."""
        return verdict_of(self.checks(i))

    def checks(self, i: int = 0) -> tuple[Check, ...]:
        """Everything that was looked at in one experiment, and what was not assessed, by the rules that are on."""
        return tuple(self._check(name, i) for name in RULES if getattr(self.rules, name) is not None)

    def flags(self, i: int = 0) -> tuple[str, ...]:
        """What is only told of one experiment."""
        return flags_of(self.checks(i))

    @cached_property
    def _thresholds(self) -> dict[str, dict[str, Any]]:
        given = {name: getattr(self.rules, name) for name in RULES}
        return {name: limits.model_dump() for name, limits in given.items() if limits is not None}

    def _check(self, name: str, i: int) -> Check:
        rule, found = RULES[name], self.findings[name]
        thresholds = self._thresholds[name]
        level = NOT_ASSESSED if found is None else int(found.level[i])
        if found is None or level == NOT_ASSESSED:
            return Check(name, rule.id, LEVELS[NOT_ASSESSED], None, rule.unit, "", "", rule.says, thresholds)
        value = float(found.value[i])
        broken = level > FINE
        return Check(
            name=name,
            id=rule.id,
            level=LEVELS[level],
            value=value if np.isfinite(value) else None,
            unit=rule.unit,
            bound=found.bound(level) if broken else "",
            subject=found.subject(i) if broken else "",
            says=rule.says,
            thresholds=thresholds,
        )


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """The verdict that checks amount to, with the reasons, the worst first."""
    broken = [check for check in checks if check.level in ("suspect", "invalid")]
    broken.sort(key=lambda check: check.level != "invalid")
    name: VerdictName = broken[0].level if broken else "valid"  # type: ignore[assignment]
    return Verdict(name, tuple(str(check) for check in broken))


def flags_of(checks: Sequence[Check]) -> tuple[str, ...]:
    """What checks only tell."""
    return tuple(str(check) for check in checks if check.level == "info")


def judge(evidence: Evidence, rules: QualityRules = DEFAULT_RULES) -> Judgement:
    """Judge experiments by all rules that are on."""
    findings: dict[str, Finding | None] = {}
    levels = np.full(evidence.count, FINE)
    for name, rule in RULES.items():
        limits = getattr(rules, name)
        found = findings[name] = None if limits is None else rule.look(evidence, limits)
        if found is not None:
            levels = np.maximum(levels, np.where(found.level >= SUSPECT, found.level, FINE))
    return Judgement(levels, findings, rules)


def replicate_outliers(values: Sequence[float], threshold: float = 3.5) -> Flags:
    """Q26: which of at least three replicate electrodes is off the others, by a robust z above a threshold.

    A replicate is never invalid because it is off: that may be what the electrode is like.

    Returns:
        All false below three replicates, or where more than half of them are equal.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 3:
        return np.zeros(len(numbers), dtype=bool)
    middle = np.nanmedian(numbers)
    spread = 1.4826 * np.nanmedian(np.abs(numbers - middle))
    if not spread > 0.0:
        return np.zeros(len(numbers), dtype=bool)
    off: Flags = np.abs(numbers - middle) / spread > threshold
    return off


@dataclass(frozen=True)
class Reduced:
    """How a table of figures that someone else reduced is to be read.

    Attributes:
        columns: metric to column, such as ``{"fe_co": "FE_CO (%)"}``.
        percent: whether efficiencies are in per cent.
        phases: that were analysed.
        mandatory: metrics without which a row means nothing.
        total: the column of the sum, where it is more than the sum of the columns.
    """

    columns: Mapping[str, str]
    percent: bool
    phases: tuple[str, ...]
    mandatory: tuple[str, ...] = ()
    total: str | None = None
    expected: tuple[str, ...] | None = field(default=None)


def judge_table(table: pd.DataFrame, reduced: Reduced, rules: QualityRules = DEFAULT_RULES) -> Judgement:
    """Judge a table of figures of merit, one row an experiment.

    Only what the figures tell can be judged; all other rules are not assessed. Columns ``<column>_sem`` are used.

    Raises:
        SignalError: the description names what there is not; a column is not there, holds something that is no number,
            or efficiencies far above 1 although it is not in per cent.
    """
    from instruments.electrochemistry.batch import Layout

    _check(reduced)
    missing = [name for name in [*reduced.columns.values(), reduced.total] if name is not None and name not in table]
    if missing:
        raise SignalError(f"the table has no column {missing[0]!r}.", field=missing[0])
    scale = 0.01 if reduced.percent else 1.0
    products = tuple(name.removeprefix("fe_") for name in reduced.columns if name.startswith("fe_"))

    def column(name: str, factor: float) -> Floats:
        try:
            return factor * table[name].to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError):
            raise SignalError(f"the column {name!r} holds something that is no number.", field=name) from None

    columns = [reduced.columns[f"fe_{key}"] for key in products]
    shape = (len(table), len(products))
    efficiency = np.stack([column(name, scale) for name in columns], 1) if columns else np.zeros(shape)
    if not reduced.percent and np.nanmax(efficiency, initial=0.0) > 1.5:
        raise SignalError("efficiencies above 1.5: are they in per cent?", field="percent", mend="Say `percent=True`.")
    known = [f"{name}_sem" in table for name in columns]
    sem = np.stack([column(f"{name}_sem", scale) for name in columns], 1) if columns and all(known) else None
    total = efficiency.sum(1) if reduced.total is None else column(reduced.total, scale)
    lacking = {metric: table[reduced.columns[metric]].isna().to_numpy() for metric in reduced.mandatory}
    evidence = Evidence(
        count=len(table),
        products=products,
        complete=np.full(len(table), Layout(phases=reduced.phases, expected=reduced.expected).complete),
        closure=total if columns or reduced.total is not None else None,
        closure_sem=None if sem is None else np.sqrt((sem**2).sum(1)),
        efficiency=efficiency,
        efficiency_sem=sem,
        missing=tuple(tuple(metric for metric, gaps in lacking.items() if gaps[i]) for i in range(len(table))),
    )
    return judge(evidence, rules)


def _check(reduced: Reduced) -> None:
    """Raise where a description names what there is not."""
    from instruments.electrochemistry.products import PRODUCTS

    phases = sorted({product.phase for product in PRODUCTS.values()})
    products = [name.removeprefix("fe_") for name in reduced.columns if name.startswith("fe_")]
    for about, given, known in (
        ("columns", products, (*PRODUCTS, "c2plus")),
        ("phases", reduced.phases, phases),
        ("mandatory", reduced.mandatory, reduced.columns),
        ("expected", reduced.expected or (), PRODUCTS),
    ):
        wrong = next((name for name in given if name not in known), None)
        if wrong is not None:
            raise SignalError(f"{about}: {wrong!r} is not known.", field=about, mend=f"Known: {', '.join(known)}.")
