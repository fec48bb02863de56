"""How rules look at evidence: from numbers to levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from instruments.electrochemistry.evidence import Evidence
from instruments.electrochemistry.limits import (
    FINE,
    INFO,
    INVALID,
    NOT_ASSESSED,
    SUSPECT,
    Above,
    Agreement,
    Closure,
    Conversion,
    Quantified,
    Range,
    Required,
    Sigmas,
    Thermodynamic,
    Told,
)
from instruments.electrochemistry.tables import Floats


@dataclass(frozen=True, eq=False)
class Finding:
    """What a rule finds for E experiments.

    Attributes:
        level: of each experiment, by the constants of this module, [E].
        value: the number that was looked at, [E].
        bound: in words, for a level.
        subject: the product or channel that was worst, by experiment, ``""`` for none.
    """

    level: Floats
    value: Floats
    bound: Callable[[int], str]
    subject: Callable[[int], str] = lambda _: ""


Look = Callable[[Evidence, Any], "Finding | None"]


def simple(attribute: str) -> Look:
    """A rule that compares one number with bounds."""

    def look(evidence: Evidence, limits: Any) -> Finding | None:
        values = getattr(evidence, attribute)
        if values is None:
            return None
        values = np.asarray(values, dtype=float)
        return Finding(limits.judge(values), values, limits.bound)

    return look


def yes_or_no(attribute: str) -> Look:
    """A rule that looks at a yes or no."""

    def look(evidence: Evidence, limits: Any) -> Finding | None:
        values = getattr(evidence, attribute)
        return None if values is None else Finding(limits.judge(values), values, lambda _: "yes")

    return look


def _worst(level: Floats, values: Floats, names: tuple[str, ...], bound: Callable[[int], str], most: bool) -> Finding:
    """From levels by product to the worst product of each experiment."""
    ranked = np.where(np.isnan(values), -np.inf, values if most else -values)
    order = level * 1e6 + np.where(np.isfinite(ranked), np.clip(ranked, -1e5, 1e5), -1e5)
    place = order.argmax(1)
    rows = np.arange(len(level))
    return Finding(level[rows, place], values[rows, place], bound, lambda i: names[place[i]])


def closure(evidence: Evidence, limits: Closure) -> Finding | None:
    """The sum of all efficiencies; its lower bounds count only where all phases with products were analysed."""
    total, sem = evidence.closure, evidence.closure_sem
    if total is None:
        return None
    whole = np.ones(evidence.count, dtype=bool) if evidence.complete is None else evidence.complete
    low, high = limits.suspect
    least, most = limits.invalid
    by_sigmas = np.zeros(total.shape, dtype=bool)
    if sem is not None and limits.sigmas is not None:
        by_sigmas = (np.abs(total - 1.0) > limits.sigmas * sem) & (sem > 0.0)
    level = np.where(np.isnan(total), NOT_ASSESSED, FINE)
    told = ~whole | ((total > 1.0) & (sem is None))
    level = np.where(told & (level == FINE), INFO, level)
    level = np.where((total > high) | ((total > 1.0) & by_sigmas), SUSPECT, level)
    level = np.where(whole & ((total < low) | by_sigmas), SUSPECT, level)
    level = np.where((total > most) | (whole & (total < least)), INVALID, level)

    def bound(found: int) -> str:
        if found == INFO:
            return "within its bounds"
        extra = f", or off 1 by more than {limits.sigmas:g} u" if found == SUSPECT and limits.sigmas else ""
        return limits.bound(found) + extra

    def subject(i: int) -> str:
        parts = ["" if whole[i] else "not all phases were analysed", "more than was passed" if total[i] > 1.0 else ""]
        return ", ".join(filter(None, parts))

    return Finding(level, total, bound, subject)


def negative(evidence: Evidence, limits: Sigmas) -> Finding | None:
    """The most negative efficiency."""
    if evidence.efficiency is None or not evidence.products:
        return None
    sem = np.zeros(evidence.efficiency.shape) if evidence.efficiency_sem is None else evidence.efficiency_sem
    level = np.where(np.isnan(evidence.efficiency), NOT_ASSESSED, FINE)
    level = np.where(evidence.efficiency < -limits.sigmas * sem, SUSPECT, level)
    level = np.where(evidence.efficiency < -limits.invalid, INVALID, level)

    def bound(found: int) -> str:
        return f"< {-limits.invalid:g}" if found == INVALID else f"< -{limits.sigmas:g} u"

    return _worst(level, evidence.efficiency, evidence.products, bound, most=False)


def excessive(evidence: Evidence, limits: Sigmas) -> Finding | None:
    """The largest efficiency."""
    if evidence.efficiency is None or not evidence.products:
        return None
    sem = np.zeros(evidence.efficiency.shape) if evidence.efficiency_sem is None else evidence.efficiency_sem
    level = np.where(np.isnan(evidence.efficiency), NOT_ASSESSED, FINE)
    level = np.where(evidence.efficiency > 1.0 + limits.sigmas * sem, SUSPECT, level)
    level = np.where(evidence.efficiency > 1.0 + limits.invalid, INVALID, level)

    def bound(found: int) -> str:
        return f"> {1.0 + limits.invalid:g}" if found == INVALID else f"> 1 + {limits.sigmas:g} u"

    return _worst(level, evidence.efficiency, evidence.products, bound, most=True)


def calibrated_range(evidence: Evidence, limits: Range) -> Finding | None:
    """Fractions beyond the largest standard, or below the range: a minor product there is only told."""
    ratio = evidence.range_ratio
    if ratio is None or not evidence.channels:
        return None
    level = np.where(np.isnan(ratio), NOT_ASSESSED, FINE)
    if evidence.low_ratio is not None and evidence.channel_efficiency is not None:
        under = evidence.low_ratio < 1.0
        level = np.where(under, np.where(evidence.channel_efficiency > limits.major, SUSPECT, INFO), level)
    level = np.where(ratio > limits.suspect, SUSPECT, level)
    level = np.where(ratio > limits.invalid, INVALID, level)

    def bound(found: int) -> str:
        if found == INFO:
            return "below the calibrated range"
        return f"> {limits.invalid if found == INVALID else limits.suspect:g}, or below the range: extrapolated"

    return _worst(level, ratio, evidence.channels, bound, most=True)


def agreement(evidence: Evidence, limits: Agreement) -> Finding | None:
    """Whether consecutive injections agree, and are enough."""
    if evidence.injections is None:
        return None
    few = evidence.injections < limits.injections
    difference = evidence.injection_difference
    if difference is None or not difference.shape[1]:
        found = Finding(np.where(few, INVALID, NOT_ASSESSED), evidence.injections, lambda _: "")
    else:
        level = Above(suspect=limits.suspect, invalid=limits.invalid).judge(difference)
        if evidence.injection_sigmas is not None:
            expected = (level == SUSPECT) & (evidence.injection_sigmas <= limits.sigmas)
            level = np.where(expected, FINE, level)
        found = _worst(level, difference, evidence.injection_products, lambda _: "", most=True)

    def bound(level: int) -> str:
        if level == SUSPECT:
            return f"> {limits.suspect:g}"
        return f"> {limits.invalid:g}, or fewer than {limits.injections} steady injections"

    level = np.where(few, INVALID, found.level)
    value = np.where(few, evidence.injections, found.value)
    return Finding(level, value, bound, lambda i: "" if few[i] else found.subject(i))


def conversion(evidence: Evidence, limits: Conversion) -> Finding | None:
    """Conversion against what stoichiometry allows."""
    if evidence.conversion is None or evidence.conversion_limit is None:
        return None
    sem = np.zeros(evidence.count) if evidence.conversion_sem is None else evidence.conversion_sem
    beyond = evidence.conversion - evidence.conversion_limit
    level = np.where(np.isnan(beyond), NOT_ASSESSED, FINE)
    level = np.where(beyond > -limits.suspect, SUSPECT, level)
    level = np.where(beyond > limits.sigmas * sem, INVALID, level)

    def bound(found: int) -> str:
        return (
            f"> {limits.sigmas:g} u above the limit" if found == INVALID else f"within {limits.suspect:g} of the limit"
        )

    return Finding(level, evidence.conversion, bound)


def thermodynamics(evidence: Evidence, limits: Thermodynamic) -> Finding | None:
    """Products that were seen although the potential was above their equilibrium."""
    above, efficiency = evidence.above_equilibrium, evidence.efficiency
    if above is None or efficiency is None or not evidence.products:
        return None
    sem = np.zeros(efficiency.shape) if evidence.efficiency_sem is None else evidence.efficiency_sem
    least = (
        np.zeros(efficiency.shape) if evidence.efficiency_limit is None else np.nan_to_num(evidence.efficiency_limit)
    )
    found = (efficiency > least + 2.0 * sem) & (above > limits.margin)
    level = np.where(np.isnan(efficiency) | np.isnan(above), NOT_ASSESSED, FINE)
    level = np.where(found, np.where(efficiency > limits.invalid, INVALID, SUSPECT), level)

    def bound(found: int) -> str:
        extra = f", with an efficiency > {limits.invalid:g}" if found == INVALID else ""
        return f"> {limits.margin:g} above equilibrium{extra}"

    return _worst(level, above, evidence.products, bound, most=True)


def transport(evidence: Evidence, limits: Told) -> Finding | None:
    """Currents near what diffusion allows."""
    values = evidence.transport
    if values is None:
        return None
    level = np.where(np.isnan(values), NOT_ASSESSED, np.where(values > limits.info, INFO, FINE))
    return Finding(level, values, lambda _: f"> {limits.info:g}")


def quantified(evidence: Evidence, limits: Quantified) -> Finding | None:
    """Liquid products near the least that can be quantified: a minor one there is only told."""
    ratio, efficiency = evidence.liquid_ratio, evidence.liquid_efficiency
    if ratio is None or efficiency is None or not evidence.liquids:
        return None
    level = np.where(np.isnan(ratio), NOT_ASSESSED, FINE)
    level = np.where(ratio < limits.suspect, np.where(efficiency > limits.major, SUSPECT, INFO), level)
    return _worst(level, ratio, evidence.liquids, lambda _: f"< {limits.suspect:g}", most=False)


def required(evidence: Evidence, limits: Required) -> Finding | None:
    """Whether mandatory metadata are missing."""
    if not evidence.missing:
        return None
    count = np.array([len(names) for names in evidence.missing], dtype=float)
    level = np.where(count > 0, SUSPECT if limits.level == "suspect" else INVALID, FINE)
    return Finding(level, count, lambda _: "> 0", lambda i: ", ".join(evidence.missing[i]))
