"""A campaign's progress as a small static SVG, for pages that run no scripts; readable on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.export import readings, words
from orchestrator.export.look import MARKS, ORANGE
from orchestrator.export.readings import KINDS, Kind, Reading

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 66, 24, 74, 78

# One grey that is readable on white and on near-black: a picture inside a page cannot know the page's theme.
_STYLE = """
text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #747c88; }
.title { font-size: 19px; font-weight: 600; }
.label { font-size: 13px; }
.tick { font-size: 12px; }
.grid { stroke: #8b94a1; stroke-opacity: .28; }
.initial { fill: #8b94a1; fill-opacity: .14; }
"""


@dataclass(frozen=True)
class Frame:
    """From data to the picture's pixels."""

    last: int
    low: float
    high: float

    def x(self, experiment: float) -> float:
        """Horizontal place of an experiment."""
        return LEFT + (experiment - 0.5) / self.last * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def progress_svg(
    frame: pd.DataFrame, objective: Objective, title: str, constraints: Sequence[OutcomeConstraint] = ()
) -> str:
    """Results by experiment with their uncertainties and the best so far, as SVG.

    Args:
        frame: a campaign's table, see :meth:`orchestrator.campaign.Campaign.to_dataframe`.
        objective: what is drawn.
        title: stands above the picture.
        constraints: outcomes that a result must keep to count for the best.
    """
    reading = readings.read(frame, objective, constraints)
    place = Frame(int(reading.ids[-1]) if len(reading.ids) else 1, *readings.value_range(reading))
    label = f"{words.metric_label(objective.metric)} · {words.direction(objective)}"
    known = bool(np.isfinite(reading.values).any())
    said = escape(f"{label}. {words.count(len(reading.ids), 'experiment')}.")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f"aria-label={quoteattr(title)}>",
        f"<title>{escape(title)}</title><desc>{said}</desc>",
        f"<style>{_STYLE}</style>",
        *_initial(reading, place),
        *_axes(place, label, title, nice(place.low, place.high, 7) if known else []),
        *_best(reading, place),
        *_marks(reading, place),
        *([] if known else [_nothing()]),
        *_legend(reading),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _nothing() -> str:
    return f'<text class="label" x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no result yet</text>'


def _initial(reading: Reading, place: Frame) -> Iterator[str]:
    until = readings.initial_until(reading.frame)
    if until is not None:
        x, width = place.x(0.5), place.x(until + 0.5) - place.x(0.5)
        yield f'<rect class="initial" x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'


def _axes(place: Frame, label: str, title: str, values: Sequence[float]) -> Iterator[str]:
    yield f'<text class="title" x="14" y="28">{escape(title)}</text>'
    yield f'<text class="label" x="14" y="54">{escape(label)}</text>'
    for value in values:
        y = place.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words.number(value)}</text>'
    for id in nice(1, place.last, 10):
        if id >= 1 and id == round(id):
            x = place.x(id)
            yield f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{id:.0f}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="label" x="{middle}" y="{HEIGHT - BOTTOM + 38}" text-anchor="middle">experiment</text>'


def _marks(reading: Reading, place: Frame) -> Iterator[str]:
    radius = 4.0 if len(reading.ids) <= 120 else 2.8
    floor = place.low + 0.035 * (place.high - place.low)
    for id, value, sem, kind in zip(reading.ids, reading.values, reading.sems, reading.kinds, strict=True):
        if kind == "waiting":
            continue
        x, y = place.x(id), place.y(value if np.isfinite(value) else floor)
        if np.isfinite(sem) and sem > 0:
            top, bottom = (place.y(min(max(value + s * sem, place.low), place.high)) for s in (1, -1))
            yield (
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
                f'stroke="{_colour(kind)}" stroke-opacity=".5" stroke-width="1.2"/>'
            )
        yield symbol(kind, x, y, radius)


def symbol(kind: Kind, x: float, y: float, r: float) -> str:
    """The mark of one experiment."""
    colour = _colour(kind)
    open_ = f'fill="none" stroke="{colour}" stroke-width="1.8"'
    if kind == "failed":
        d = f"M{x - r:.1f} {y - r:.1f}l{2 * r:.1f} {2 * r:.1f}m0 {-2 * r:.1f}l{-2 * r:.1f} {2 * r:.1f}"
        return f'<path d="{d}" {open_}/>'
    if kind == "invalid":
        return f'<path d="M{x:.1f} {y - r:.1f}l{r:.1f} {1.8 * r:.1f}h{-2 * r:.1f}z" {open_}/>'
    if kind == "suspect":
        return f'<path d="M{x:.1f} {y - r - 1:.1f}l{r + 1:.1f} {r + 1:.1f}l{-r - 1:.1f} {r + 1:.1f}l{-r - 1:.1f} {-r - 1:.1f}z" fill="{colour}"/>'  # noqa: E501
    looks = f'fill="{colour}"' if kind == "valid" else open_
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" {looks}/>'


def _colour(kind: Kind) -> str:
    return MARKS[kind].colour


def _best(reading: Reading, place: Frame) -> Iterator[str]:
    """A staircase up to the right edge, and a ring around the best."""
    known = [(int(i), float(v)) for i, v in zip(reading.ids, reading.best, strict=True) if math.isfinite(v)]
    if not known or reading.champion is None:
        return
    path = f"M{place.x(known[0][0]):.1f} {place.y(known[0][1]):.1f}"
    path += "".join(f"H{place.x(id):.1f}V{place.y(value):.1f}" for id, value in known[1:])
    path += f"H{WIDTH - RIGHT}"
    yield f'<path d="{path}" fill="none" stroke="{ORANGE}" stroke-width="2.4" stroke-linejoin="round"/>'
    x, y = place.x(reading.ids[reading.champion]), place.y(reading.values[reading.champion])
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{ORANGE}" stroke-width="2.4"/>'


def _legend(reading: Reading) -> Iterator[str]:
    """Along the lower edge."""
    entries: list[tuple[str, Kind | None]] = [("best so far", None)] if reading.champion is not None else []
    entries += [(MARKS[k].label, k) for k in KINDS if k != "waiting" and len(reading.of_kind(k))]
    x, y = float(LEFT), HEIGHT - 14
    for text, kind in entries:
        if kind is None:
            yield f'<path d="M{x:.0f} {y - 4}h22" stroke="{ORANGE}" stroke-width="2.4"/>'
            x += 30
        else:
            yield symbol(kind, x + 5, y - 4, 4.0)
            x += 17
        yield f'<text class="label" x="{x:.0f}" y="{y}">{escape(text)}</text>'
        x += 7 * len(text) + 20


def nice(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two bounds, as many as there may be.

    >>> nice(0.03, 0.52, 5)
    [0.1, 0.2, 0.3, 0.4, 0.5]
    """
    power = 10.0 ** math.floor(math.log10((high - low or 1.0) / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]
