"""Results that a person enters from a table, and the sheet to enter them in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from instruments.metrics import is_fraction
from orchestrator.campaign.told import ID
from orchestrator.errors import InputError, TellError

PLAUSIBLE_FRACTION: Final = 1.5
"""A fraction above this betrays per cent; a little above 1 may be an error of measurement."""

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.campaign import Campaign


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file of results.

    Raises:
        InputError: it cannot be read, or holds no rows.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, skipinitialspace=True)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.", file=str(path)) from problem
    except (ValueError, pd.errors.ParserError) as problem:
        raise InputError(f"{path} is no CSV table: {problem}.", file=str(path)) from problem
    return frame.dropna(axis="columns", how="all")


def tell(campaign: Campaign, path: Path, *, prior: bool, amend: bool, who: str) -> str:
    """Take in results from a CSV file: a column ``experiment``, one column a metric, in the campaign's units.

    Args:
        campaign: whose results.
        path: of the file.
        prior: whether rows without an id are prior data.
        amend: whether told values may change.
        who: tells them.

    Returns:
        What was taken, as a sentence.

    Raises:
        InputError: the file cannot be read, or anything in it is wrong; nothing was taken then.
    """
    frame, blank = read_table(path), list[str]()
    if not amend:  # which may correct settings alone
        frame, blank = _filled(frame, campaign)
    if ID not in frame.columns and not prior:
        raise InputError(
            f"{path}: there is no column `{ID}`.",
            file=str(path),
            field=ID,
            mend="Add it, or say --prior for prior data.",
        )
    if ID in frame.columns and frame[ID].isna().any() and not prior:
        line = frame.index[frame[ID].isna()][0] + 2  # behind the heading
        raise InputError(
            f"{path}:{line}: the row has no id.",
            file=str(path),
            field=ID,
            mend="Give it, or say --prior for prior data.",
        )
    _not_per_cent(frame, path)
    campaign.who = who
    try:
        campaign.tell(frame, prior=prior, amend=amend)
    except TellError as problem:
        said = re.sub(r"\brow (\d+)\b", lambda row: f"line {frame.index[int(row[1])] + 2}", str(problem))
        raise InputError(f"{path}: {said}", file=str(path), field=problem.field) from problem
    told = [] if ID not in frame.columns else [int(id) for id in frame[ID].dropna()]
    left = len(frame) - len(told)
    rest = f"; nothing is filled in for experiment {', '.join(blank)}" if blank else ""
    parts = [f"experiment {', '.join(map(str, told))}"] if told else []
    parts += [f"{left} rows of prior data"] if left else []
    return f"told: {' and '.join(parts)}{rest}."


def _not_per_cent(frame: pd.DataFrame, path: Path) -> None:
    """Refuse a fraction that was entered in per cent.

    Raises:
        InputError: names line and column.
    """
    for column in frame.columns:
        if not (is_fraction(str(column)) and frame[column].dtype.kind in "if"):
            continue
        wrong = frame.index[frame[column] > PLAUSIBLE_FRACTION]
        if len(wrong):
            raise InputError(
                f"{path}:{wrong[0] + 2}: {column} is {frame[column][wrong[0]]:g}, but it is a fraction.",
                file=str(path),
                field=str(column),
                mend="Divide per cent by 100.",
            )


def _filled(frame: pd.DataFrame, campaign: Campaign) -> tuple[pd.DataFrame, list[str]]:
    """The rows in which anything is said of how an experiment went, and the ids of the others.

    A row of a sheet that nobody has filled in must not end the experiment that it belongs to.

    Raises:
        InputError: there is none.
    """
    if ID not in frame.columns:
        return frame, []
    given = [column for column in frame.columns if column not in (ID, "sample", *campaign.space.columns)]
    empty = frame[given].isna().all(axis="columns") & frame[ID].notna()
    if len(frame) and empty.all():
        raise InputError("no result is filled in.", field=campaign.metrics[0], mend="Fill in a column of a metric.")
    return frame[~empty], [f"{id:g}" if isinstance(id, float) else str(id) for id in frame.loc[empty, ID]]


def sheet(campaign: Campaign, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """The experiments that run or wait for results, with their settings and empty columns for the metrics.

    Args:
        campaign: whose experiments.
        metrics: to be entered beside those of objectives and outcome constraints.

    Returns:
        One row an experiment; to be filled in and told.
    """
    import pandas as pd

    waiting = [r for r in campaign.experiments() if r.state in ("running", "awaiting_analysis", "needs_inspection")]
    wanted = dict.fromkeys((*campaign.metrics, *metrics))
    empty = {column: None for metric in wanted for column in (metric, f"{metric}_sem")}
    used = {a.experiment: a.sample for a in campaign.store.attempts(campaign.name)}
    rows = [{ID: r.id, "sample": r.sample or used.get(r.id), **(r.asked or {}), **empty} for r in waiting]
    return pd.DataFrame(rows, columns=[ID, "sample", *campaign.space.columns, *empty])
