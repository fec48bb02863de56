"""What a rig can execute: asked before anything is proposed, and again before anything moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from instruments.device import Value
from instruments.errors import LabError
from instruments.lab import Parameters
from instruments.rig.procedures.preview import Preview, preview, refused
from instruments.rig.procedures.step import Request, Site
from instruments.rig.program import Program
from instruments.rig.recipes import makeable

if TYPE_CHECKING:
    import pandas as pd

_KEPT: Final = 100_000
"""So many answers are remembered."""


class Feasibility:
    """Judges settings by a dry run for every cell.

    Args:
        program: of the rig.
        check: raises where a device's attribute may not have a value; sends nothing.
    """

    def __init__(self, program: Program, check: Callable[[str, str, Value], None]) -> None:
        self._program, self._check = program, check
        self._answers: dict[tuple[object, ...], bool] = {}

    def columns(self, names: Sequence[str]) -> None:
        """Raise where a parameter means nothing to the rig.

        Raises:
            LabError: names what it does know.
        """
        recipe, file = self._program.recipe, self._program.file
        known = {*self._program.procedure.settings, *file.settings}
        known |= set() if recipe is None else set(recipe.columns(self._program.stock))
        for name in names:
            if name not in known:
                raise LabError(
                    f"this rig has no setting {name!r}.", field=name, mend=f"It has {', '.join(sorted(known))}."
                )

    def settings(self, parameters: Parameters) -> None:
        """Raise where a setting is another than the one that this rig always has.

        Raises:
            LabError: names it.
        """
        free = self._program.procedure.settings
        for name, always in self._program.file.settings.items():
            if name in parameters and name not in free and parameters[name] != always:
                raise LabError(
                    f"this rig always has {name} = {always}, not {parameters[name]}.",
                    field=name,
                    mend="Leave it out, or change `settings` and the rig.",
                )

    def preview(self, parameters: Parameters, cell: str) -> Preview:
        """The dry run of an experiment with a fresh sample.

        Raises:
            LabError: the settings are impossible, or their composition cannot be made.
        """
        plan = self._program.procedure.plan(Request(parameters), Site(cell, self._program))
        return preview(plan, self._check)

    def check(self, parameters: Parameters) -> None:
        """Raise where no dry run goes through.

        Raises:
            LabError: a setting is unknown, another than this rig always has, out of a limit, or cannot be made.
        """
        self.columns(tuple(parameters))
        self.settings(parameters)
        for cell in self._program.file.cells:
            self.preview(parameters, cell).refuse()

    def of(self, points: pd.DataFrame) -> Sequence[bool]:
        """Which points can be executed: within limits for every cell, and makeable by the recipe.

        Args:
            points: one row a point.
        """
        columns = tuple(str(name) for name in points.columns)
        answers = []
        for row in points.itertuples(index=False, name=None):
            key = (columns, row)
            known = self._answers.get(key)
            if known is None:
                known = self._can(dict(zip(columns, row, strict=True)))
                if len(self._answers) >= _KEPT:
                    self._answers.clear()
                self._answers[key] = known
            answers.append(known)
        return answers

    def _can(self, parameters: Parameters) -> bool:
        recipe = self._program.recipe
        if recipe is not None and makeable(recipe, self._program.stock, parameters) is not None:
            return False
        try:
            self.settings(parameters)
            for cell in self._program.file.cells:
                demands = self._program.procedure.demands(Request(parameters), Site(cell, self._program))
                if any(True for _ in refused(demands, self._check)):
                    return False
        except LabError:
            return False
        return True
