"""The report of a campaign: one HTML file that needs no network, no other file and no program but a browser."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from orchestrator.export import captions, facts, readings, words
from orchestrator.export.files import write_atomically
from orchestrator.export.rows import listing
from orchestrator.store.records import CampaignRecord

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign


@dataclass(frozen=True)
class Picture:
    """One figure of a report: plotly's JSON, and what it shows in words."""

    id: str
    section: str
    title: str
    caption: str
    json: str
    height: int


def write_report(campaign: Campaign, record: CampaignRecord, path: Path, *, notices: Sequence[str] = ()) -> Path:
    """Write the report of a campaign, at any time of its life.

    Args:
        campaign: what was asked and told.
        record: its name, state and definition, as the store has them.
        path: of the HTML file; an existing one is replaced as a whole. Folders are made.
        notices: what its readers should know.

    Returns:
        The path.

    Raises:
        InputError: the file cannot be written; an existing one is unchanged.
    """
    path = Path(path)
    write_atomically({path: render(campaign, record, notices=notices).encode()})
    return path


def render(campaign: Campaign, record: CampaignRecord, *, notices: Sequence[str] = ()) -> str:
    """The report as text; see :func:`write_report`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    frame = campaign.to_dataframe()
    reading = readings.read(frame, campaign.objectives[0], campaign.outcome_constraints)
    pictures = list(_pictures(campaign, frame)) if len(frame) else []
    scripts = [inline(text) for text in (get_plotlyjs(), _resource("report.js"))]
    environment = Environment(
        loader=PackageLoader("orchestrator.export"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        name=record.name,
        state=record.state,
        reason=record.reason,
        lede=facts.lede(campaign),
        glossary=facts.glossary(campaign),
        facts=facts.facts(campaign, record),
        states=facts.states(frame),
        total=len(frame),
        notices=list(dict.fromkeys(notices)),
        best=facts.best(campaign, frame),
        checks=facts.checks(campaign),
        sections=_sections(pictures),
        listing=listing(campaign, frame, reading),
        amendments=facts.amendments(campaign),
        versions=facts.versions(),
        definition=json.dumps(record.definition, indent=2, ensure_ascii=False) if record.definition else "",
        definition_hash=record.definition_hash,
        written=words.moment(datetime.now(UTC)),
        policy=_policy(scripts),
        style=Markup(_resource("report.css")),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - plotly's and our own
    )


def _resource(name: str) -> str:
    return files("orchestrator.export").joinpath("templates", name).read_text(encoding="utf-8")


def inline(script: str) -> str:
    """A script that can stand between script tags: nothing in it ends them, line ends as browsers read them."""
    script = script.replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def embedded(data: str) -> str:
    """JSON that can stand between script tags."""
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: Sequence[str]) -> str:
    """No network at all, and no script but these: should an escape ever be missed, it still does not run."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    rules = ("default-src 'none'", f"script-src {hashes}", "style-src 'unsafe-inline'", "img-src data: blob:")
    return "; ".join((*rules, "form-action 'none'", "base-uri 'none'"))


def _sections(pictures: Sequence[Picture]) -> list[tuple[str, list[Picture]]]:
    names = dict.fromkeys(picture.section for picture in pictures)
    return [(name, [p for p in pictures if p.section == name]) for name in names]


def _pictures(campaign: Campaign, frame: pd.DataFrame) -> Iterator[Picture]:
    from orchestrator.export import figures

    objectives, constraints, space = campaign.objectives, campaign.outcome_constraints, campaign.space
    all_readings = [readings.read(frame, objective, constraints) for objective in objectives]
    several = len(objectives) > 1
    for i, (objective, reading) in enumerate(zip(objectives, all_readings, strict=True)):
        title = f"Results and the best so far: {objective.metric}"
        figure = figures.progress(frame, objective, constraints, space)
        yield _picture(f"progress-{i}", "Progress", title, captions.progress(reading), figure)
    if several:
        front = readings.front(frame, objectives, constraints)
        for i, j in combinations(range(min(len(objectives), 3)), 2):
            figure = figures.pareto(frame, objectives, constraints, space, (i, j))
            caption = captions.pareto(frame, front, (objectives[i], objectives[j]), len(objectives))
            title = f"{objectives[j].metric} against {objectives[i].metric}"
            yield _picture(f"pareto-{i}-{j}", "Compromises", title, caption, figure)
    predicted = [i for i, reading in enumerate(all_readings) if len(readings.compared(reading))]
    for i in predicted:
        title, caption = f"Predicted and measured: {objectives[i].metric}", captions.predictions(all_readings[i])
        figure = figures.predictions(frame, objectives[i], constraints, space)
        yield _picture(f"predictions-{i}", "Model", title, caption, figure)
    if not predicted:
        yield Picture("predictions", "Model", "Predicted and measured", captions.NO_PREDICTIONS, "", 0)
    yield from _places(campaign, frame, all_readings[0])


def _places(campaign: Campaign, frame: pd.DataFrame, reading: readings.Reading) -> Iterator[Picture]:
    """Where the experiments lie."""
    from orchestrator.export import figures, where

    objective, constraints, space = reading.objective, campaign.outcome_constraints, campaign.space
    section = "Where the experiments lie"
    coloured = f", coloured by {objective.metric}" if np.isfinite(reading.values).any() else ""
    shown = len(readings.telling(reading, where.MOST_AXES))
    if not shown:
        caption = "No two experiments differ yet."
        yield Picture("parallel", section, "Parameters", caption, "", 0)
        return
    caption = captions.parallel(reading, shown, len(space.columns))
    figure = figures.parallel(frame, objective, space, constraints)
    yield _picture("parallel", section, f"Parameters{coloured}", caption, figure)
    corners, triangle = where.most_varied(reading, space), figures.ternary(frame, objective, space, constraints)
    if corners is not None and triangle is not None:
        components = next(len(p.columns) for p in space.parameters if set(corners) <= set(p.columns))
        title = f"Composition{coloured}"
        yield _picture("ternary", section, title, captions.ternary(corners, components), triangle)


def _picture(id: str, section: str, title: str, caption: str, figure: Any) -> Picture:
    return Picture(id, section, title, caption, embedded(figure.to_json()), int(figure.layout.height))
