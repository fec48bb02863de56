"""What a rig does: procedures of ordered, named steps that a dry run checks before anything moves."""

from instruments.rig.procedures.errors import ExperimentFailed, NeedsInspection
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.preview import Preview, preview
from instruments.rig.procedures.procedure import Options, Procedure
from instruments.rig.procedures.step import Request, SetPoint, Site, Step

__all__ = [
    "Execution",
    "ExperimentFailed",
    "NeedsInspection",
    "Options",
    "Preview",
    "Procedure",
    "Request",
    "SetPoint",
    "Site",
    "Step",
    "preview",
]
