"""The pieces that all plotly figures are made of, in the house's look.

Backgrounds are transparent and inks neutral, so that a dark page has to change the inks only.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from orchestrator.export.readings import Floats

INK: Final = "#3d434d"
LINES: Final = "#dfe2e7"
LEGEND: Final = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 0,
    "yref": "container",
    "yanchor": "bottom",
    "font": {"size": 12},
    "bgcolor": "rgba(0,0,0,0)",
}
"""At the lower edge of the figure, below axes of any height."""
VEIL: Final = "rgba(255, 255, 255, 0.8)"
"""Behind words that lines may cross; a dark page changes it too."""
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def blank(height: int) -> go.Figure:
    """An empty figure in the house's look."""
    axis = {
        "gridcolor": LINES,
        "linecolor": LINES,
        "zerolinecolor": LINES,
        "zerolinewidth": 1,
        "ticks": "",
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": 13}},
    }
    layout = go.Layout(
        template="none",
        height=height,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 48, "r": 14, "t": 40, "b": 78},
        xaxis=axis,
        yaxis=axis,
        hovermode="closest",
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        legend=LEGEND,
        dragmode=False,
        showlegend=True,
    )
    return go.Figure(layout=layout)


def title(figure: go.Figure, text: str) -> None:
    """Name of the vertical axis, set level above it: it reads at a glance and costs no width on a phone."""
    figure.add_annotation(
        text=text, x=0, xref="paper", xanchor="left", xshift=-40, y=1, yref="paper", yanchor="bottom", yshift=10
    )
    figure.layout.annotations[-1].update(showarrow=False, font={"size": 13})


def say(figure: go.Figure, text: str) -> None:
    """Write in the middle of a figure that has nothing to show."""
    figure.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)


def bars(sizes: Floats, colour: str) -> dict[str, Any]:
    """Error bars, half-transparent in the colour of their marks; none where the size is NaN."""
    red, green, blue = bytes.fromhex(colour[1:])
    return {
        "type": "data",
        "array": plain(sizes),
        "color": f"rgba({red}, {green}, {blue}, 0.5)",
        "thickness": 1.2,
        "width": 0,
    }


def line(colour: str, dash: str = "solid", *, shape: str = "linear", width: float = 1.5) -> dict[str, Any]:
    """Settings of a line."""
    return {"color": colour, "dash": dash, "shape": shape, "width": width}


def plain(values: Any) -> list[Any]:
    """Plain numbers, ``None`` for what is missing: readable JSON instead of packed arrays."""
    values = np.asarray(values).tolist()
    return [None if isinstance(v, float) and math.isnan(v) else v for v in values]
