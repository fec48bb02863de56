"""Pictures of where in the search space the experiments lie, coloured by how good they were."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.parameters import Composition
from acquisition.space import SearchSpace
from orchestrator.campaign.merit import goodness
from orchestrator.export import readings, words
from orchestrator.export.axes import Axis, axes_of
from orchestrator.export.canvas import VEIL, blank, line, plain, say
from orchestrator.export.hover import hover, result
from orchestrator.export.look import GREY, ORANGE, SCALE, shade
from orchestrator.export.readings import Floats, Reading

MOST_AXES: Final = 12
BINS: Final = 16
"""Colours of lines; one trace each, since a trace for each of hundreds of lines makes browsers slow."""
ROW: Final = 56
"""Height of one parameter, in pixels."""


def parallel(
    frame: pd.DataFrame,
    objective: Objective,
    space: SearchSpace,
    constraints: Sequence[OutcomeConstraint] = (),
    limit: int = MOST_AXES,
) -> go.Figure:
    """Parallel coordinates: a row a parameter, a line an experiment, coloured by its result.

    Rows instead of columns, because names and values can then be read at any width.

    Args:
        frame: a campaign's table.
        objective: what colours the lines.
        space: the parameters with their ranges.
        constraints: outcomes that a result must keep to be the best.
        limit: parameters that are shown at most, see :func:`orchestrator.export.readings.telling`.
    """
    reading = readings.read(frame, objective, constraints)
    axes = axes_of(reading, space, readings.telling(reading, limit))
    figure = blank(height=max(len(axes), 2) * ROW + 150)
    figure.update_layout(margin={"l": 14, "r": 14, "t": 24, "b": 104})
    figure.update_xaxes(visible=False, range=[-0.03, 1.03])
    figure.update_yaxes(visible=False, range=[-len(axes) + 0.45, 0.55])
    if not axes:
        say(figure, "no two experiments differ yet")
        return figure
    for row, axis in enumerate(axes):
        _draw(figure, axis, -row)
    colours, more = merits(reading)
    shares = _shares(colours, more)
    texts = [f"<b>experiment {id}</b><br>{result(reading, i)}" for i, id in enumerate(reading.ids)]
    crowd = 0.85 * min(1.0, 10 / np.sqrt(max(len(reading.ids), 1)))  # hundreds of lines hide one another
    rows = np.flatnonzero(np.isnan(shares))
    if len(rows):
        figure.add_trace(_lines(axes, rows, texts, GREY, "without a result", dash="dot"))
    for step in range(BINS):  # from poor to good, so that the good ones lie on top
        rows = np.flatnonzero(np.minimum(np.nan_to_num(shares, nan=-1.0) * BINS // 1, BINS - 1) == step)
        if len(rows):
            share = (step + 0.5) / BINS
            figure.add_trace(_lines(axes, rows, texts, shade(share)))
            figure.data[-1].opacity = crowd * (0.45 + 0.55 * share)
    if reading.champion is not None:
        best = _lines(axes, np.array([reading.champion]), texts, ORANGE, "best measured", width=3.2)
        figure.add_trace(best)
    _colourbar(figure, colours, objective, more=more)
    return figure


def _draw(figure: go.Figure, axis: Axis, y: float) -> None:
    """The line of a parameter, its name above and its scale below."""
    figure.add_shape(type="line", x0=0, x1=1, y0=y, y1=y, layer="below", line={"color": GREY, "width": 1})
    common = {"showarrow": False, "bgcolor": VEIL, "xref": "x", "yref": "y", "y": y}
    figure.add_annotation(text=f"<b>{axis.label}</b>", x=0, xanchor="left", yanchor="bottom", yshift=5, **common)
    figure.layout.annotations[-1].font = {"size": 12}
    for x, text in axis.ticks:
        anchor = "left" if x < 0.02 else "right" if x > 0.98 else "center"
        figure.add_annotation(text=text, x=x, xanchor=anchor, yanchor="top", yshift=-5, **common)
        figure.layout.annotations[-1].font = {"size": 11}


def _lines(
    axes: Sequence[Axis],
    rows: np.ndarray[Any, Any],
    texts: list[str],
    colour: str,
    name: str = "",
    *,
    dash: str = "solid",
    width: float = 1.2,
) -> go.Scatter:
    """One line an experiment through all axes, with a gap after each."""
    x, y, said = [], [], []
    for row in rows:
        x += [*plain([axis.places[row] for axis in axes]), None]
        y += [*(-i for i in range(len(axes))), None]
        said += [*(f"{texts[row]}<br>{axis.label}: {axis.said[row]}" for axis in axes), ""]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line=line(colour, dash, width=width),
        marker={"size": 4 if width < 2 else 8, "color": colour},
        opacity=1.0 if width > 2 else 0.5,
        name=name,
        showlegend=bool(name),
        hovertext=said,
        hoverinfo="text",
    )


def merits(reading: Reading) -> tuple[Floats, bool]:
    """What a colour shows: the values, or with a target the distances from it; and whether more is better."""
    if reading.objective.goal == "target":
        return -goodness(reading.objective, reading.values), False
    return reading.values, reading.objective.goal == "maximize"


def ends(colours: Floats, more: bool) -> tuple[float, float]:
    """Between which values colours differ. The poorest tenth shares one: a single disaster would flatten the rest."""
    known = colours[np.isfinite(colours)]
    if not len(known):
        return 0.0, 1.0
    poorest = float(np.quantile(known, 0.1 if more else 0.9)) if len(known) >= 10 else None
    low, high = float(known.min()), float(known.max())
    if poorest is not None and low < poorest < high:
        low, high = (poorest, high) if more else (low, poorest)
    return low, high


def _shares(colours: Floats, more: bool) -> Floats:
    """Place of each value between poor (0) and the best (1)."""
    low, high = ends(colours, more)
    share: Floats = np.clip((colours - low) / ((high - low) or 1.0), 0.0, 1.0)
    return share if more else 1 - share


def _scale(more: bool) -> list[list[Any]]:
    colours = SCALE if more else SCALE[::-1]
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def _bar(colours: Floats, objective: Objective, height: int, *, more: bool) -> dict[str, Any]:
    """Marker settings of a colour scale that lies level under the picture."""
    low, high = ends(colours, more)
    title = escape(words.metric_label(objective.metric))
    if objective.goal == "target":
        title = f"distance of {title} from {words.direction(objective)}"
    bar = {"orientation": "h", "thickness": 9, "len": 1.0, "x": 0.5, "yanchor": "bottom", "outlinewidth": 0}
    bar |= {"y": 30 / height, "yref": "container"}
    bar |= {"title": {"text": title, "side": "top", "font": {"size": 12}}, "tickfont": {"size": 11}, "ypad": 0}
    return {"colorscale": _scale(more), "cmin": low, "cmax": high if high > low else low + 1e-9, "colorbar": bar}


def _colourbar(figure: go.Figure, colours: Floats, objective: Objective, *, more: bool) -> None:
    if np.isfinite(colours).sum() < 2:
        return
    marker = {**_bar(colours, objective, figure.layout.height, more=more), "color": [0.0], "showscale": True}
    figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, showlegend=False, hoverinfo="skip"))


def ternary(
    frame: pd.DataFrame,
    objective: Objective,
    space: SearchSpace,
    constraints: Sequence[OutcomeConstraint] = (),
) -> go.Figure | None:
    """The three components that vary most, scaled to a sum of 1; ``None`` without a composition of three or more."""
    reading = readings.read(frame, objective, constraints)
    chosen = most_varied(reading, space)
    if chosen is None:
        return None
    known = readings.inputs(reading.frame)[list(chosen)].to_numpy(dtype=np.float64, na_value=np.nan)
    total = known.sum(axis=1)
    some = np.isfinite(total) & (total > 1e-9)
    colours, more = merits(reading)
    texts = hover(reading, space)
    figure = blank(height=480)
    figure.update_layout(margin={"l": 30, "r": 30, "t": 36, "b": 126}, ternary=_corners(chosen))
    unknown = np.flatnonzero(some & np.isnan(colours))
    if len(unknown):
        trace = _corner_points(known[unknown] / total[unknown, None], [texts[i] for i in unknown])
        trace.update(marker={"symbol": "x-thin-open", "color": GREY, "size": 7}, name="without a result")
        figure.add_trace(trace)
    rows = np.flatnonzero(some & np.isfinite(colours))
    rows = rows[np.argsort(_shares(colours, more)[rows], kind="stable")]
    if len(rows):
        trace = _corner_points(known[rows] / total[rows, None], [texts[i] for i in rows])
        size = 9 if len(rows) <= 120 else 6
        marker = {
            **_bar(colours, objective, figure.layout.height, more=more),
            "color": plain(colours[rows]),
            "size": size,
        }
        trace.update(marker={**marker, "showscale": len(rows) > 1}, showlegend=False)
        figure.add_trace(trace)
    if reading.champion is not None and some[reading.champion]:
        best = _corner_points(known[[reading.champion]] / total[reading.champion], [texts[reading.champion]])
        ring = {"symbol": "circle-open", "size": 16, "color": ORANGE, "line": {"width": 2.5}}
        best.update(marker=ring, name="best measured", hoverinfo="skip")
        figure.add_trace(best)
    return figure


def most_varied(reading: Reading, space: SearchSpace) -> tuple[str, str, str] | None:
    """The three columns with the widest spread of the first composition that has three; in the space's order."""
    for parameter in space.parameters:
        if isinstance(parameter, Composition) and len(parameter.columns) >= 3:
            known = readings.inputs(reading.frame)
            spread = {
                c: np.nan_to_num(pd.to_numeric(known[c]).to_numpy(dtype=np.float64, na_value=np.nan)).std()
                if len(known)
                else 0.0
                for c in parameter.columns
            }
            widest = sorted(spread, key=lambda c: -spread[c])[:3]
            a, b, c = (column for column in parameter.columns if column in widest)
            return a, b, c
    return None


def _corner_points(shares: Floats, texts: list[str]) -> go.Scatterternary:
    a, b, c = (plain(shares[:, i]) for i in range(3))
    return go.Scatterternary(a=a, b=b, c=c, mode="markers", hovertext=texts, hoverinfo="text", cliponaxis=False)


def _corners(names: tuple[str, str, str]) -> dict[str, Any]:
    axes: dict[str, Any] = {"bgcolor": "rgba(0,0,0,0)", "sum": 1}
    for key, name in zip(("aaxis", "baxis", "caxis"), names, strict=True):
        axes[key] = {
            "title": {"text": escape(name), "font": {"size": 13}},
            "gridcolor": "rgba(128,136,150,0.3)",
            "linecolor": GREY,
            "tickfont": {"size": 10},
            "tick0": 0,
            "dtick": 0.2,
            "ticks": "",
        }
    return axes
