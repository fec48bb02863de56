"""Pictures of a campaign's results, as plotly figures that adapt to the width they are given.

Figures have a transparent background and neutral inks; a page that is dark changes the inks only. Every text that
comes from users is escaped, because plotly reads tags in texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.export import readings, words
from orchestrator.export.canvas import bars, blank, line, plain, say, title
from orchestrator.export.hover import hover, result
from orchestrator.export.look import GREY, MARKS, ORANGE
from orchestrator.export.readings import KINDS, Reading
from orchestrator.export.where import parallel, ternary

if TYPE_CHECKING:
    from acquisition.space import SearchSpace

__all__ = ["parallel", "pareto", "predictions", "progress", "ternary"]

SHADE: Final = "rgba(128, 136, 150, 0.13)"
WINDOW: Final = "rgba(217, 112, 43, 0.15)"


def progress(
    frame: pd.DataFrame,
    objective: Objective,
    constraints: Sequence[OutcomeConstraint] = (),
    space: SearchSpace | None = None,
) -> go.Figure:
    """Results by experiment with their uncertainties, and the best feasible, valid one so far.

    Args:
        frame: a campaign's table.
        objective: what is drawn.
        constraints: outcomes that a result must keep to count for the best.
        space: for the units in hover texts.
    """
    reading = readings.read(frame, objective, constraints)
    low, high = readings.value_range(reading)
    figure = blank(height=430)
    last = int(reading.ids[-1]) if len(reading.ids) else 1
    until = readings.initial_until(reading.frame)
    if until is not None:
        figure.add_vrect(x0=0.5, x1=until + 0.5, fillcolor=SHADE, line_width=0, layer="below")
    _window(figure, objective, "y")
    if reading.champion is not None:
        figure.add_trace(_best_line(reading, last))
    texts = hover(reading, space)
    for kind in KINDS:
        rows = reading.of_kind(kind)
        if kind == "failed":  # no figure of merit to stand at: they stand at the lower edge
            heights = np.where(np.isfinite(reading.values), reading.values, low + 0.035 * (high - low))
        else:
            heights = reading.values
        if len(rows) and kind != "waiting":
            figure.add_trace(_points(kind, reading.ids[rows], heights[rows], [texts[i] for i in rows], len(frame)))
            if np.isfinite(reading.sems[rows]).any():
                figure.data[-1].error_y = bars(reading.sems[rows], MARKS[kind].colour)
    if reading.champion is not None:
        figure.add_trace(_ring(reading.ids[reading.champion], reading.values[reading.champion]))
    figure.update_xaxes(title_text="experiment", range=[0.5, last + 0.5], tickformat="d", showgrid=False)
    if last <= 10:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[low, high])
    title(figure, f"{escape(words.metric_label(objective.metric))} · {words.direction(objective)}")
    if not np.isfinite(reading.values).any():
        say(figure, "no result yet")
        figure.update_xaxes(showticklabels=True)
        figure.update_yaxes(showgrid=False)
    return figure


def predictions(
    frame: pd.DataFrame,
    objective: Objective,
    constraints: Sequence[OutcomeConstraint] = (),
    space: SearchSpace | None = None,
) -> go.Figure:
    """What came out against what the model had expected, with one standard deviation each way, and the diagonal."""
    reading = readings.read(frame, objective, constraints)
    mean, std = readings.predictions(reading)
    rows = readings.compared(reading)
    figure = blank(height=460)
    if not len(rows):
        say(figure, "no result with a prediction yet")
        return figure
    both = np.concatenate([mean[rows], reading.values[rows]])
    low, high = readings.padded(both, np.concatenate([std[rows], np.nan_to_num(reading.sems[rows])]))
    figure.add_trace(
        go.Scatter(
            x=[low, high], y=[low, high], mode="lines", name="as predicted", hoverinfo="skip", line=line(GREY, "dash")
        )
    )
    texts = hover(reading, space)
    for kind in KINDS:
        some = np.intersect1d(rows, reading.of_kind(kind))
        if len(some):
            trace = _points(kind, mean[some], reading.values[some], [texts[i] for i in some], len(rows))
            trace.error_x = bars(std[some], MARKS[kind].colour)
            trace.error_y = bars(reading.sems[some], MARKS[kind].colour)
            figure.add_trace(trace)
    figure.update_xaxes(title_text="predicted", range=[low, high])
    figure.update_yaxes(range=[low, high])
    title(figure, f"measured {escape(words.metric_label(objective.metric))}")
    return figure


def pareto(
    frame: pd.DataFrame,
    objectives: Sequence[Objective],
    constraints: Sequence[OutcomeConstraint] = (),
    space: SearchSpace | None = None,
    pair: tuple[int, int] = (0, 1),
) -> go.Figure:
    """Two objectives against each other; those that none beats in all objectives stand out.

    Args:
        frame: a campaign's table.
        objectives: all that decide who beats whom.
        constraints: outcomes that a result must keep to count.
        space: for the units in hover texts.
        pair: which two are drawn.
    """
    first, second = (readings.read(frame, objectives[i], constraints) for i in pair)
    best = np.isin(first.ids, readings.front(frame, objectives, constraints))
    known = np.isfinite(first.values) & np.isfinite(second.values)
    figure = blank(height=430)
    texts = [f"{a}<br>{result(second, i)}" for i, a in enumerate(hover(first, space))]
    for kind in KINDS:
        rows = np.flatnonzero(known & (first.kinds == kind) & ~best)
        if len(rows):
            trace = _points(kind, first.values[rows], second.values[rows], [texts[i] for i in rows], len(frame))
            trace.opacity = 0.6
            figure.add_trace(trace)
    rows = np.flatnonzero(best)
    rows = rows[np.argsort(first.values[rows], kind="stable")]
    if len(rows):
        mode = "lines+markers" if len(objectives) == 2 else "markers"
        trace = go.Scatter(x=plain(first.values[rows]), y=plain(second.values[rows]), mode=mode)
        trace.update(name="best compromises", line=line(ORANGE, shape=_stairs(objectives, pair)), hoverinfo="text")
        trace.update(hovertext=[texts[i] for i in rows], marker={"size": 9, "color": ORANGE})
        figure.add_trace(trace)
    else:
        say(figure, "no complete, valid result yet")
    title(figure, f"{escape(words.metric_label(second.objective.metric))} · {words.direction(second.objective)}")
    across = words.direction(first.objective, "→←")
    figure.update_xaxes(title_text=f"{escape(words.metric_label(first.objective.metric))} · {across}")
    return figure


def _stairs(objectives: Sequence[Objective], pair: tuple[int, int]) -> str:
    """The edge of what is dominated: flat towards the worse values of the first objective."""
    a, b = (objectives[i].goal for i in pair)
    if "target" in (a, b):
        return "linear"
    return "vh" if a == "maximize" else "hv"


def _points(kind: readings.Kind, x: Any, y: Any, texts: list[str], n: int) -> go.Scatter:
    mark = MARKS[kind]
    size = 8 if n <= 120 else 6 if n <= 300 else 5
    marker = {"color": mark.colour, "symbol": mark.symbol, "size": size}
    if mark.symbol.endswith("open"):
        marker["line"] = {"color": mark.colour, "width": 1.8}
    return go.Scatter(
        x=plain(x), y=plain(y), mode="markers", name=mark.label, marker=marker, hovertext=texts, hoverinfo="text"
    )


def _best_line(reading: Reading, last: int) -> go.Scatter:
    """A staircase up to the right edge."""
    x, y = [*plain(reading.ids), last + 0.5], plain(reading.best)
    y.append(y[-1] if y else None)
    return go.Scatter(
        x=x, y=y, mode="lines", name="best so far", line=line(ORANGE, shape="hv", width=2.2), hoverinfo="skip"
    )


def _ring(x: float, y: float) -> go.Scatter:
    marker = {"size": 15, "color": ORANGE, "symbol": "circle-open", "line": {"width": 2.2, "color": ORANGE}}
    return go.Scatter(x=[int(x)], y=[float(y)], mode="markers", showlegend=False, hoverinfo="skip", marker=marker)


def _window(figure: go.Figure, objective: Objective, axis: str) -> None:
    if objective.goal == "target" and axis == "y":
        low, high = objective.window
        if low < high:
            figure.add_hrect(y0=low, y1=high, fillcolor=WINDOW, line_width=0, layer="below")
        else:
            figure.add_hline(y=low, line={"color": ORANGE, "width": 1, "dash": "dot"}, layer="below")
