"""What a picture says of an experiment when it is pointed at."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import pandas as pd

from instruments.metrics import unit_of
from orchestrator.config.spaces import units_of
from orchestrator.export import readings, words
from orchestrator.export.readings import Reading

if TYPE_CHECKING:
    from acquisition.space import SearchSpace

MOST_NAMED: Final = 12
"""Settings that a text names at most."""


def hover(reading: Reading, space: SearchSpace | None = None) -> list[str]:
    """What to say of each experiment: result, verdict, settings; (n,) of escaped text."""
    known = readings.inputs(reading.frame)
    units = {} if space is None else units_of(space)
    fractions = set() if space is None else fractions_of(space)
    rows = zip(reading.ids, reading.frame["verdict"], reading.frame["sample"], known.to_dict("records"), strict=True)
    texts = []
    for i, (id, verdict, sample, settings) in enumerate(rows):
        lines = [f"<b>experiment {id}</b>", result(reading, i)]
        if reading.kinds[i] == "failed":
            lines.append(f"failed: {escape(str(reading.frame['failure_cause'].iloc[i]))}")
        elif verdict in ("suspect", "invalid"):
            why = reading.frame["verdict_reasons"].iloc[i]
            lines.append(f"{verdict}{': ' + escape(str(why)) if why else ''}")
        named = [
            f"{escape(str(name))} {escape(words.with_unit(words.number(value), units.get(str(name))))}"
            for name, value in settings.items()
            if not (name in fractions and value == 0) and not pd.isna(value)
        ]
        if len(named) > MOST_NAMED:
            named = [*named[:MOST_NAMED], f"and {len(named) - MOST_NAMED} more"]
        lines += named
        if sample and not pd.isna(sample):
            lines.append(f"sample {escape(str(sample))}")
        texts.append("<br>".join(line for line in lines if line))
    return texts


def result(reading: Reading, row: int) -> str:
    """A result with its uncertainty and unit, escaped; nothing where there is none."""
    metric = reading.objective.metric
    censored = reading.frame.get(f"{metric}_censored")
    mark = None if censored is None else censored.iloc[row]
    text = words.uncertain(reading.values[row], reading.sems[row], mark if isinstance(mark, str) else None)
    return f"{escape(metric)} {escape(words.with_unit(text, unit_of(metric)))}" if text else ""


def fractions_of(space: SearchSpace) -> set[str]:
    """Columns of a space that are mole fractions."""
    return {c for p in space.parameters if p.type == "composition" for c in p.columns}
