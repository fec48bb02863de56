"""The search space that a campaign file asks for."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from acquisition.constraints import NonlinearConstraint
from instruments.lab import Selective
from orchestrator.config.hints import unknown
from orchestrator.config.model import CampaignFile, PoolSpace
from orchestrator.config.tables import Table
from orchestrator.errors import InputError
from simulators.replay import ReplayOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acquisition.space import SearchSpace

_LIKE_A_NUMBER = re.compile(r"[+-]?[.,]?\d")


def with_columns(block: PoolSpace, table: Table) -> PoolSpace:
    """A pool block whose patterns (``t_*``) are written out as the columns that they stand for.

    Raises:
        InputError: a column is unknown, there twice, or in a composition without being a parameter.
    """
    known = [str(name) for name in table.frame.columns]
    parameters = _expand(block.parameters, known, "space.parameters", table)
    compositions = block.compositions and {
        name: _expand(columns, parameters, f"space.compositions.{name}", table)
        for name, columns in block.compositions.items()
    }
    categorical = _expand(block.categorical, parameters, "space.categorical", table)
    update = {"parameters": parameters, "categorical": categorical, "compositions": compositions}
    return block.model_copy(update=update)


def _expand(patterns: Iterable[str], known: Iterable[str], field: str, table: Table) -> tuple[str, ...]:
    names = list(known)
    found: list[str] = []
    for pattern in patterns:
        fitting = [pattern] if pattern in names else []
        if not fitting and "*" in pattern:
            fitting = fnmatch.filter(names, pattern.replace("[", "[[]").replace("?", "[?]"))
        if not fitting and pattern in table.frame.columns:
            raise InputError(
                f"column {pattern!r} is not among the pool's `parameters`.", field=field, mend="Name it there too."
            )
        if not fitting:
            raise InputError(f"{table.name}: {unknown('column', pattern, names, all_known=False)}", field=field)
        if again := next((name for name in fitting if name in found), None):
            raise InputError(f"column {again!r} is named twice.", field=field)
        found += fitting
    return tuple(found)


def build_space(file: CampaignFile, sources: Mapping[str, Table], lab: Selective | None = None) -> SearchSpace:
    """Build the search space.

    Args:
        file: the campaign file, patterns written out.
        sources: its data files by their keys.
        lab: a laboratory that cannot execute every point: what it cannot is left out.

    Raises:
        InputError: the pool holds something that is no candidate.
        SpaceError: the parameters and constraints leave nothing.
    """
    from acquisition.space import SearchSpace

    block = file.space
    extra = [] if lab is None else [NonlinearConstraint(lab.feasible, name="what the laboratory can execute")]
    if not isinstance(block, PoolSpace):
        return SearchSpace(list(block.parameters), [*block.constraints, *extra])
    table = sources["pool"]
    rows = pool_rows(file, block, sources)
    names = [
        name for name in block.parameters if name in block.categorical or _holds_names(table.frame.loc[rows, name])
    ]
    numeric = [name for name in block.parameters if name not in names]
    checked = table.numbers(
        numeric,
        rows,
        field="space.parameters",
        gaps=False,
        mend="If the column holds names, list it under `categorical`.",
    )
    for name in names:
        gaps = np.flatnonzero(rows & checked.frame[name].isna().to_numpy())
        if len(gaps):
            raise table.wrong(
                int(gaps[0]),
                f"column {name!r}: the value is missing.",
                "Fill it in, or leave that row out.",
                "space.categorical",
            )
    candidates = checked.frame.loc[rows, list(block.parameters)].reset_index(drop=True)
    return SearchSpace.from_pool(
        candidates,
        categorical=block.categorical,
        compositions=block.compositions,
        stages=block.stages,
        constraints=[*block.constraints, *extra],
    )


def importable(file: CampaignFile, folder: Path) -> None:
    """Let the functions of non-linear constraints be imported from a folder, after all that is installed."""
    paths = [c.function for c in file.space.constraints if isinstance(c, NonlinearConstraint)]
    if any(isinstance(path, str) for path in paths) and str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))


def _holds_names(values: pd.Series[Any]) -> bool:
    """Whether a column is text throughout, without anything that may be meant as a number (``0,5``, ``3 mg``)."""
    if not isinstance(values.dtype, pd.StringDtype):
        return False
    return not any(_LIKE_A_NUMBER.match(str(value)) for value in values.dropna().unique())


def pool_rows(file: CampaignFile, block: PoolSpace, sources: Mapping[str, Table]) -> NDArray[np.bool_]:
    """Which rows of the pool are candidates: (rows,) truth values.

    A laboratory that replays the pool's own file answers only from the rows that its ``where`` selects, so only
    those are candidates.

    Raises:
        InputError: ``where`` does not fit the file, or leaves no row.
    """
    table = sources["pool"]
    rows = table.select(block.where, "space.where")
    if isinstance(file.lab, ReplayOptions) and sources["lab.table"].digest == table.digest:
        rows = rows & table.select(file.lab.where, "lab.where")
        if not rows.any():
            raise InputError(
                f"no row of {table.name} holds what both `space.where` and `lab.where` ask for.", field="space.where"
            )
    return rows


def units_of(space: SearchSpace) -> dict[str, str | None]:
    """Units of the columns of a space."""
    return {c: getattr(p, "unit", None) for p in space.parameters for c in p.columns}
