"""Which sample is in which cell, and what state a cell was left in: one small file, which outlives the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from instruments.errors import LabError, LabHolds
from instruments.rig.halting import write_whole


@dataclass(frozen=True, slots=True)
class Mounted:
    """What is in a cell.

    Attributes:
        sample: id of the electrode; empty where there is none.
        executed: mole fractions by column, as they were made.
        executed_sem: their standard uncertainties.
        spoiled: whether something happened to it that must not count as its history: it is not used again.
        unclean: why a person must look at the cell before it is used again; empty where nobody must.
    """

    sample: str = ""
    executed: Mapping[str, float] = field(default_factory=dict)
    executed_sem: Mapping[str, float] = field(default_factory=dict)
    spoiled: bool = False
    unclean: str = ""


class MountedSamples:
    """The file of all cells of a rig.

    Args:
        path: of the file.

    Raises:
        LabError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, Lock()
        self._cells = _read(path)

    def at(self, cell: str) -> Mounted:
        """What is in a cell."""
        with self._lock:
            return self._cells.get(cell, Mounted())

    def put(self, cell: str, mounted: Mounted) -> None:
        """Another state, which is on disk when this returns."""
        with self._lock:
            cells = {**self._cells, cell: mounted}
            write_whole(self.path, json.dumps({name: asdict(state) for name, state in cells.items()}, indent=2) + "\n")
            self._cells = cells

    def change(self, cell: str, **changed: Any) -> None:
        """Another state that differs in some fields."""
        self.put(cell, replace(self.at(cell), **changed))

    def refuse_unclean(self, cell: str) -> None:
        """Raise where a person must look at the cell first.

        Raises:
            LabHolds: a person must.
        """
        why = self.at(cell).unclean
        if why:
            raise LabHolds(
                f"{cell} was left as it should not be: {why}.",
                field=f"cells.{cell}",
                mend="Look at the cell and clean it, then run `sabatier rig reset`.",
            )

    def clear(self, cell: str | None = None) -> tuple[str, ...]:
        """A person has looked: cells may be used again, with a fresh sample.

        Args:
            cell: only this one.

        Returns:
            The cells that had waited for it.
        """
        waiting = [name for name, state in self._cells.items() if state.unclean and cell in (None, name)]
        for name in waiting:
            self.put(name, Mounted())
        return tuple(waiting)


def _read(path: Path) -> dict[str, Mounted]:
    try:
        found = json.loads(path.read_bytes())
        return {str(cell): Mounted(**state) for cell, state in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise LabError(
            f"{path.name} cannot be read ({problem}): nothing says what is in the cells.",
            field="cells",
            mend="Look which samples are mounted, then delete the file: every experiment begins with a fresh sample.",
        ) from problem
