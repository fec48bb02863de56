"""What the pictures of a report show, in words: caption and text alternative in one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from acquisition.objectives import Objective
from instruments.metrics import unit_of
from orchestrator.export import readings, words
from orchestrator.export.readings import Reading

NO_PREDICTIONS = "There are no predictions to compare: no result so far was predicted by a model before its experiment."


def progress(reading: Reading) -> str:
    """Of the picture of progress."""
    parts = [_summary(reading)]
    if np.isfinite(reading.sems).any():
        parts.append("Each mark is an experiment, each bar one standard uncertainty either way.")
    else:
        parts.append("Each mark is an experiment.")
    failed = reading.of_kind("failed")
    if len(failed):
        parts.append(f"{words.count(len(failed), 'failed experiment')} at the lower edge.")
    waiting = reading.of_kind("waiting")
    if len(waiting):
        parts.append(f"{words.count(len(waiting), 'experiment')} without a result yet.")
    until = readings.initial_until(reading.frame)
    if until is not None:
        parts.append(f"Shaded: before the model proposed (up to experiment {until}).")
    return " ".join(parts)


def _summary(reading: Reading) -> str:
    metric, unit = reading.objective.metric, unit_of(reading.objective.metric)
    steps = np.flatnonzero(np.isfinite(reading.best))
    if not len(steps) or reading.champion is None:
        kept = " that keeps all constraints" if len(reading.of_kind("infeasible")) else ""
        return f"There is no valid result of {metric} yet{kept}."
    first, best = steps[0], reading.champion
    last = words.with_unit(words.number(reading.best[-1]), unit)
    if first == best:
        return f"The first valid result of {metric} is still the best: {last} (experiment {reading.ids[best]})."
    start = words.number(reading.best[first])
    return f"The best valid result of {metric} went from {start} (experiment {reading.ids[first]}) to {last} " + (
        f"(experiment {reading.ids[best]})."
    )


def predictions(reading: Reading) -> str:
    """Of the picture of predictions: how far they can be trusted."""
    found = readings.calibration(reading)
    metric = reading.objective.metric
    if found is None:
        return NO_PREDICTIONS
    rmse = words.with_unit(f"{found.rmse:.3g}", unit_of(metric))
    verdict = {
        "well": "That agrees with a well calibrated model.",
        "overconfident": "The model is overconfident: it should be about 90 %.",
        "cautious": "The model is too cautious: it should be about 90 %.",
        None: "Too few to judge the model's calibration by.",
    }[found.verdict]
    share = f"{100 * found.within:.0f} % of {words.count(found.n, 'result')}"
    return (
        f"{share} within the 90 % interval of the prediction made before the experiment (its uncertainty and that of "
        f"the measurement together). {verdict} Root mean squared error {rmse}. Bars: one standard deviation."
    )


def pareto(frame: pd.DataFrame, front: pd.Index, pair: tuple[Objective, Objective], of: int) -> str:
    """Of the picture of two objectives."""
    what = f"{pair[1].metric} against {pair[0].metric}. "
    if not len(front):
        return what + "No experiment has a complete, valid result yet."
    objectives = "both objectives" if of == 2 else f"all {of} objectives"
    found = f"{words.count(len(front), 'best compromise')} among {words.count(len(frame), 'experiment')}"
    return f"{what}{found}: no other measured result is at least as good in {objectives} and better in one."


def parallel(reading: Reading, shown: int, columns: int) -> str:
    """Of the picture of parallel coordinates."""
    text = "Each line is an experiment, each row a parameter over its range"
    text += "; the colour says how good the result was." if np.isfinite(reading.values).any() else "."
    if np.isfinite(reading.values).sum() >= 10:
        text += " The poorest tenth shares one colour."
    if shown < columns:
        text += f" Shown: {shown} of {columns} parameters, those that vary and go with {reading.objective.metric} most."
    return text


def ternary(columns: tuple[str, str, str], components: int) -> str:
    """Of the triangle of three components."""
    text = f"Fractions of {words.listed(list(columns))}"
    if components > 3:
        text += f", the three of {components} components that vary most, scaled to a sum of 1"
    return f"{text}. Each mark is an experiment."
