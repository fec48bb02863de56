"""Procedures by the names that rig files use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from instruments.errors import LabError
from instruments.rig.names import near
from instruments.rig.procedures.procedure import Procedure

if TYPE_CHECKING:
    from instruments.rig.program import Program

PROVIDED: Final = {
    "constant_current": "instruments.rig.procedures.constant:ConstantCurrent",
    "constant_potential": "instruments.rig.procedures.constant:ConstantPotential",
}
"""What comes with the package."""
GROUP: Final = "sabatier.procedures"
"""Entry points of other packages."""


def make_procedure(program: Program) -> Procedure:
    """The procedure that a rig file names.

    Raises:
        LabError: there is none of this name, or its options are wrong.
    """
    block = {str(key): value for key, value in program.file.procedure.items()}
    name = block.pop("name", None)
    if not isinstance(name, str):
        raise LabError("the procedure has no name.", field="name", mend=f"Provided: {', '.join(PROVIDED)}.")
    kind = procedure_class(name)
    return kind(kind.Options(**block), program)


def procedure_class(name: str) -> type[Procedure]:
    """The class of a procedure.

    Args:
        name: one that is provided or installed, or ``module:Class``.

    Raises:
        LabError: there is none.
    """
    from importlib.metadata import entry_points

    known = PROVIDED | {point.name: point.value for point in entry_points(group=GROUP)}
    place = name if ":" in name else known.get(name)
    if place is None:
        raise LabError(f"there is no procedure {name!r}.", field="name", mend=near(name, known))
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as problem:
        raise LabError(
            f"the procedure {name!r} cannot be loaded: {problem}.",
            field="name",
            mend="Write it as module:Class; the module must be installed, or in a folder of PYTHONPATH.",
        ) from problem
    if not (isinstance(found, type) and issubclass(found, Procedure)):
        raise LabError(f"{name!r} is no procedure.", field="name", mend="Derive it from Procedure.")
    return found
