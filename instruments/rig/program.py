"""What a rig does, from its file: stock, recipe, procedure, calibrations and controls, each checked when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from instruments.errors import InstrumentsError, LabError
from instruments.rig.calibrating import CalibrationPlan
from instruments.rig.controls import ControlBlock
from instruments.rig.file import RigFile
from instruments.rig.recipes import Recipe
from instruments.rig.stock import Stock

if TYPE_CHECKING:
    from instruments.rig.procedures.procedure import Procedure

T = TypeVar("T")


@dataclass(frozen=True)
class Program:
    """The blocks of a rig file that say what is done with it.

    Attributes:
        file: the rig file.
        stock: the block ``stock``.
        recipe: the block ``recipe``; ``None`` where no compositions are made.
        controls: the block ``controls``, by name; with those of a campaign.
        calibration: the block ``calibration``; ``None`` where no standards are named.
    """

    file: RigFile
    stock: Stock
    recipe: Recipe | None
    controls: Mapping[str, ControlBlock]
    calibration: CalibrationPlan | None = None

    @classmethod
    def of(cls, file: RigFile, controls: Sequence[Mapping[str, Any]] = ()) -> Program:
        """Check the blocks.

        Args:
            file: the rig file.
            controls: of a campaign, beside those of the file.

        Raises:
            LabError: one is wrong; ``field`` says where in the file.
        """
        stock = _block("stock", lambda: Stock(**file.stock))
        recipe = _block("recipe", lambda: Recipe(**file.recipe)) if file.recipe else None
        known: dict[str, ControlBlock] = {}
        for number, block in enumerate([*file.controls, *controls]):
            control = _block(f"controls.{number}", lambda block=block: ControlBlock(**block))  # type: ignore[misc]
            if control.name in known:
                raise LabError(f"there are two controls {control.name!r}.", field=f"controls.{number}.name")
            known[control.name] = control
        unknown = set(recipe.dilutions) - set(stock.precursors) if recipe else set()
        if unknown:
            name = min(unknown)
            raise LabError(
                f"recipe.dilutions: there is no precursor {name!r}.",
                field=f"recipe.dilutions.{name}",
                mend="Use a name of stock.precursors.",
            )
        plan = _block("calibration", lambda: CalibrationPlan(**file.calibration)) if file.calibration else None
        _refuse_streams(file, plan)
        return cls(file, stock, recipe, known, plan)

    @cached_property
    def procedure(self) -> Procedure:
        """What an experiment is.

        Raises:
            LabError: the block is wrong, or names nothing that is there.
        """
        from instruments.rig.procedures.registry import make_procedure

        return _block("procedure", lambda: make_procedure(self))

    def calibrations(self, folder: Path) -> Path:
        """The folder of calibration records."""
        return folder / (self.file.calibrations or "calibrations")


def _refuse_streams(file: RigFile, plan: CalibrationPlan | None) -> None:
    """A standard does not come from a cell."""
    cells = {block.stream: name for name, block in file.cells.items() if block.stream is not None}
    for number, standard in enumerate(() if plan is None else plan.standards):
        if standard.stream in cells:
            raise LabError(
                f"calibration: stream {standard.stream} is that of {cells[standard.stream]}, not of {standard.name}.",
                field=f"calibration.standards.{number}.stream",
                mend="Give the position of the selector at which the standard is connected.",
            )


def _block(name: str, build: Callable[[], T]) -> T:
    """Build a block; its errors name their place in the file."""
    try:
        return build()
    except InstrumentsError as problem:
        field = ".".join(filter(None, (name, problem.field)))
        raise LabError(f"{name}: {problem.args[0]}", field=field, mend=problem.mend) from problem
    except TypeError as problem:  # keys that are no names
        raise LabError(f"{name}: {problem}.", field=name) from problem


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping whose keys are texts, as YAML may give numbers."""
    return {str(key): value for key, value in values.items()}
