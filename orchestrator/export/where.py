"""Pictures of where in the search space the experiments lie, coloured by how good they were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.parameters import Composition, Continuous, Integer, Parameter
from acquisition.space import SearchSpace
from orchestrator.campaign.merit import goodness
from orchestrator.export import readings, words
from orchestrator.export.canvas import blank, line, plain, say
from orchestrator.export.hover import hover, units_of
from orchestrator.export.look import GREY, ORANGE, SCALE, shade
from orchestrator.export.readings import Floats, Reading

MOST_AXES: Final = 12
BINS: Final = 16
"""Colours of lines; one trace each, since a trace for each of hundreds of lines makes browsers slow."""
ROW: Final = 56
"""Height of one parameter, in pixels."""
GOLDEN: Final = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Axis:
    """One parameter's column on a line from 0 to 1.

    Attributes:
        name: of the column.
        label: with its unit.
        places: (n,) of the experiments, NaN where unknown.
        ticks: what to write at which place.
    """

    name: str
    label: str
    places: Floats
    ticks: tuple[tuple[float, str], ...]


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
    figure.update_layout(margin={"l": 14, "r": 14, "t": 24, "b": 84})
    figure.update_xaxes(visible=False, range=[-0.03, 1.03])
    figure.update_yaxes(visible=False, range=[-len(axes) + 0.45, 0.55])
    if not axes:
        say(figure, "no two experiments differ yet")
        return figure
    for row, axis in enumerate(axes):
        _draw(figure, axis, -row)
    colours, more = merits(reading)
    shares = _shares(colours, more)
    texts = hover(reading, space)
    rows = np.flatnonzero(np.isnan(shares))
    if len(rows):
        figure.add_trace(_lines(axes, rows, texts, GREY, "without a result", dash="dot"))
    for step in range(BINS):  # from poor to good, so that the good ones lie on top
        rows = np.flatnonzero(np.minimum(np.nan_to_num(shares, nan=-1.0) * BINS // 1, BINS - 1) == step)
        if len(rows):
            figure.add_trace(_lines(axes, rows, texts, shade((step + 0.5) / BINS), None))
    if reading.champion is not None:
        best = _lines(axes, np.array([reading.champion]), texts, ORANGE, "best measured", width=3.2)
        figure.add_trace(best)
    _colourbar(figure, colours, objective, more=more)
    figure.update_layout(legend={"y": 0, "yref": "container", "yanchor": "bottom"})
    return figure


def axes_of(reading: Reading, space: SearchSpace, names: Sequence[str]) -> list[Axis]:
    """The axes of some parameter columns."""
    known = readings.inputs(reading.frame)
    owners = {c: p for p in space.parameters for c in p.columns}
    units = units_of(space)
    return [_axis(name, known[name], owners.get(name), units.get(name), reading) for name in names]


def _axis(name: str, settings: pd.Series[Any], owner: Parameter | None, unit: str | None, reading: Reading) -> Axis:
    label = escape(name) + (f" <span style='opacity:.7'>{escape(words.pretty_unit(unit))}</span>" if unit else "")
    if not pd.api.types.is_numeric_dtype(settings):
        return _named_axis(name, label, settings, owner, reading)
    values = settings.to_numpy(dtype=np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if isinstance(owner, Composition):
        low, high = 0.0, max(high, 1e-9)
    elif isinstance(owner, Continuous | Integer):
        low, high = min(low, float(owner.low)), max(high, float(owner.high))
    logarithmic = bool(getattr(owner, "log", False)) and low > 0
    scaled, start, end = (np.log(values), math.log(low), math.log(high)) if logarithmic else (values, low, high)
    places = (scaled - start) / ((end - start) or 1.0)
    middle = math.exp((start + end) / 2) if logarithmic else (low + high) / 2
    ticks = ((0.0, words.number(low)), (0.5, f"{words.number(middle)}{' (log)' if logarithmic else ''}"))
    return Axis(name, label, places, (*ticks, (1.0, words.number(high))))


def _named_axis(name: str, label: str, settings: pd.Series[Any], owner: Parameter | None, reading: Reading) -> Axis:
    declared = list(getattr(owner, "values", ()))
    seen = sorted({v for v in settings.dropna() if v not in declared}, key=str)
    choices = [*declared, *seen]
    step = 1 / max(len(choices) - 1, 1)
    where = {choice: i * step for i, choice in enumerate(choices)}
    # a little to the side, each its own way, so that lines of one category can be told apart
    aside = ((reading.ids * GOLDEN) % 1 - 0.5) * min(0.4 * step, 0.06)
    places = np.array([where.get(v, np.nan) for v in settings], dtype=np.float64)
    ticks = tuple((where[c], escape(_short(str(c)))) for c in choices)
    thin = math.ceil(len(ticks) / 8)
    return Axis(name, label, np.clip(places + aside, 0, 1), ticks[::thin])


def _short(text: str, most: int = 14) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _draw(figure: go.Figure, axis: Axis, y: float) -> None:
    """The line of a parameter, its name above and its scale below."""
    figure.add_shape(type="line", x0=0, x1=1, y0=y, y1=y, layer="below", line={"color": GREY, "width": 1})
    common = {"showarrow": False, "xref": "x", "yref": "y", "y": y}
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
    name: str | None,
    *,
    dash: str = "solid",
    width: float = 1.2,
) -> go.Scatter:
    """One line an experiment through all axes, with a gap after each."""
    x, y, said = [], [], []
    for row in rows:
        x += [*plain([axis.places[row] for axis in axes]), None]
        y += [*(-i for i in range(len(axes))), None]
        said += [texts[row]] * (len(axes) + 1)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line=line(colour, dash, width=width),
        marker={"size": 4 if width < 2 else 8, "color": colour},
        opacity=0.75 if name is None else 0.9 if width > 2 else 0.5,
        name=name,
        showlegend=name is not None,
        hovertext=said,
        hoverinfo="text",
    )


def merits(reading: Reading) -> tuple[Floats, bool]:
    """What a colour shows: the values, or with a target the distances from it; and whether more is better."""
    if reading.objective.goal == "target":
        return -goodness(reading.objective, reading.values), False
    return reading.values, reading.objective.goal == "maximize"


def _shares(colours: Floats, more: bool) -> Floats:
    """Place of each value between the poorest (0) and the best (1)."""
    known = colours[np.isfinite(colours)]
    if not len(known):
        return np.full(len(colours), np.nan)
    low, high = known.min(), known.max()
    share: Floats = (colours - low) / ((high - low) or 1.0)
    return share if more else 1 - share


def _scale(more: bool) -> list[list[Any]]:
    colours = SCALE if more else SCALE[::-1]
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def _bar(colours: Floats, objective: Objective, more: bool) -> dict[str, Any]:
    """Marker settings of a colour scale that lies level under the picture."""
    known = colours[np.isfinite(colours)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    title = escape(words.metric_label(objective.metric))
    if objective.goal == "target":
        title = f"distance of {title} from {words.direction(objective)}"
    bar = {"orientation": "h", "thickness": 9, "len": 1.0, "x": 0.5, "y": 0, "yanchor": "top", "outlinewidth": 0}
    bar |= {"title": {"text": title, "side": "top", "font": {"size": 12}}, "tickfont": {"size": 11}, "ypad": 12}
    return {"colorscale": _scale(more), "cmin": low, "cmax": high if high > low else low + 1e-9, "colorbar": bar}


def _colourbar(figure: go.Figure, colours: Floats, objective: Objective, *, more: bool) -> None:
    if np.isfinite(colours).sum() < 2:
        return
    marker = {**_bar(colours, objective, more), "color": [0.0], "showscale": True}
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
    figure.update_layout(margin={"l": 30, "r": 30, "t": 36, "b": 96}, ternary=_corners(chosen))
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
        marker = {**_bar(colours, objective, more), "color": plain(colours[rows]), "size": size}
        trace.update(marker={**marker, "showscale": len(rows) > 1}, showlegend=False)
        figure.add_trace(trace)
    if reading.champion is not None and some[reading.champion]:
        best = _corner_points(known[[reading.champion]] / total[reading.champion], [texts[reading.champion]])
        ring = {"symbol": "circle-open", "size": 16, "color": ORANGE, "line": {"width": 2.5}}
        best.update(marker=ring, name="best measured", hoverinfo="skip")
        figure.add_trace(best)
    figure.update_layout(legend={"y": 0, "yref": "container", "yanchor": "bottom"})
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
    return go.Scatterternary(a=a, b=b, c=c, mode="markers", hovertext=texts, hoverinfo="text")


def _corners(names: tuple[str, str, str]) -> dict[str, Any]:
    axes: dict[str, Any] = {"bgcolor": "rgba(0,0,0,0)", "sum": 1}
    for key, name in zip(("aaxis", "baxis", "caxis"), names, strict=True):
        axes[key] = {
            "title": {"text": escape(name)},
            "gridcolor": "rgba(128,136,150,0.3)",
            "linecolor": GREY,
            "tickfont": {"size": 10},
            "nticks": 5,
            "ticks": "",
        }
    return axes
