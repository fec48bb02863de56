"""Numbers, units, goals and times in words, as people read them in reports."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from acquisition.constraints import Constraint, LinearConstraint
from acquisition.objectives import Objective, OutcomeConstraint
from instruments.metrics import METRICS, unit_of

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: Any) -> str:
    """A value with four significant digits; text as it is; nothing for what is missing.

    >>> number(0.123456), number(12345678.0), number(None), number("Li")
    ('0.1235', '1.235e+07', '', 'Li')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    value = float(value)
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"


def uncertain(value: float | None, sem: float | None = None, censored: str | None = None) -> str:
    """A value with its standard uncertainty, both to the place of the uncertainty's second digit.

    >>> uncertain(0.41234, 0.0123), uncertain(1234.5, 56.0), uncertain(0.05, censored="below")
    ('0.412 ± 0.012', '1234 ± 56', '< 0.05')
    """
    if value is None or math.isnan(value):
        return ""
    sign = {"below": "< ", "above": "> "}.get(censored or "", "")
    if sem is None or not math.isfinite(sem) or sem <= 0:
        return sign + number(value)
    places = 1 - math.floor(math.log10(sem))
    if not -4 < places < 8:
        return f"{sign}{value:.4g} ± {sem:.2g}"
    return f"{sign}{value:.{max(places, 0)}f} ± {sem:.{max(places, 0)}f}"


def pretty_unit(unit: str | None) -> str:
    """A unit with raised exponents; nothing for none and for fractions.

    >>> pretty_unit("mA cm-2"), pretty_unit("1"), pretty_unit(None)
    ('mA cm⁻²', '', '')
    """
    if unit is None or unit == "1":
        return ""
    return re.sub(r"(?<=[A-Za-z])-?\d+", lambda found: found[0].translate(_SUPERSCRIPT), unit)


def with_unit(text: str, unit: str | None) -> str:
    """A number and its unit, if it has one."""
    unit = pretty_unit(unit)
    return f"{text} {unit}" if unit and text else text


def metric_label(metric: str) -> str:
    """A metric with its unit in brackets, if that is known.

    >>> metric_label("j_co"), metric_label("fe_co"), metric_label("yield")
    ('j_co (mA cm⁻²)', 'fe_co (fraction)', 'yield')
    """
    unit = unit_of(metric)
    if unit is None:
        return metric
    return f"{metric} ({pretty_unit(unit) or 'fraction'})"


def meaning(metric: str) -> str:
    """What a standard metric is, in words; nothing for a free name."""
    return METRICS[metric].description if metric in METRICS else ""


def direction(objective: Objective, arrows: str = "↑↓") -> str:
    """Which way is better, with an arrow up or down (or whatever is given for them).

    >>> direction(Objective("fe_co", "maximize"))
    'higher is better ↑'
    """
    if objective.goal == "target":
        return f"target {_window(objective)}"
    return f"higher is better {arrows[0]}" if objective.goal == "maximize" else f"lower is better {arrows[1]}"


def goal(objective: Objective) -> str:
    """An objective as a phrase.

    >>> goal(Objective("fe_co", "target", target=(0.4, 0.5)))
    'bring fe_co to 0.4–0.5'
    """
    unit = unit_of(objective.metric)
    if objective.goal == "target":
        return with_unit(f"bring {objective.metric} to {_window(objective)}", unit)
    return f"{objective.goal} {objective.metric}"


def _window(objective: Objective) -> str:
    low, high = objective.window
    return number(low) if low == high else f"{number(low)}–{number(high)}"


def bound(constraint: OutcomeConstraint) -> str:
    """An outcome constraint as an inequality.

    >>> bound(OutcomeConstraint("j_total", lower=100))
    'j_total ≥ 100 mA cm⁻²'
    """
    unit = unit_of(constraint.metric)
    if constraint.lower is None:
        return with_unit(f"{constraint.metric} ≤ {number(constraint.upper)}", unit)
    if constraint.upper is None:
        return with_unit(f"{constraint.metric} ≥ {number(constraint.lower)}", unit)
    return with_unit(f"{number(constraint.lower)} ≤ {constraint.metric} ≤ {number(constraint.upper)}", unit)


def linear(constraint: LinearConstraint) -> str:
    """A constraint between parameters as an inequality.

    >>> linear(LinearConstraint({"a": 1.0, "b": -2.0}, upper=0.5))
    'a − 2 b ≤ 0.5'
    """
    terms = ""
    for column, weight in constraint.coefficients.items():
        sign = (" − " if weight < 0 else " + ") if terms else ("−" if weight < 0 else "")
        terms += sign + (column if abs(weight) == 1 else f"{number(abs(weight))} {column}")
    if constraint.lower is None:
        return f"{terms} ≤ {number(constraint.upper)}"
    if constraint.upper is None:
        return f"{terms} ≥ {number(constraint.lower)}"
    if constraint.lower == constraint.upper:
        return f"{terms} = {number(constraint.lower)}"
    return f"{number(constraint.lower)} ≤ {terms} ≤ {number(constraint.upper)}"


def restriction(constraint: Constraint) -> str:
    """Any constraint between parameters as an inequality.

    >>> from acquisition.constraints import ExpressionConstraint
    >>> restriction(ExpressionConstraint("a * b", upper=0.5))
    'a * b ≤ 0.5'
    """
    if isinstance(constraint, LinearConstraint):
        return linear(constraint)
    return str(constraint).replace("<=", "≤").replace(">=", "≥")


def moment(time: datetime | None) -> str:
    """A time in UTC to the minute; a dash for none."""
    return "–" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """A span of time in its two largest units.

    >>> duration(42), duration(3720), duration(200_000)
    ('42 s', '1 h 2 min', '2 d 7 h')
    """
    seconds = max(round(seconds), 0)
    for size, small, big_name, small_name in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size} {big_name}" + (f" {rest} {small_name}" if rest else "")
    return f"{seconds} s"


def count(n: int, one: str, many: str | None = None) -> str:
    """A number of things.

    >>> count(1, "experiment"), count(3, "experiment")
    ('1 experiment', '3 experiments')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


def listed(items: list[str]) -> str:
    """Things in a row.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
