"""The ``lab:`` block of a campaign that runs on a rig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as options_dataclass

from instruments.electrochemistry.rules import QualityRules
from instruments.rig.document import read_rig
from instruments.rig.lab import RigLab

if TYPE_CHECKING:
    import pandas as pd


@options_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RigOptions:
    """The ``lab:`` block of a campaign that runs on a rig.

    Attributes:
        file: the rig file, relative to the campaign file.
        quality: rules of quality control that differ from their defaults.
    """

    file: str
    quality: QualityRules = Field(default_factory=QualityRules)
    type: Literal["rig"] = Field(default="rig", kw_only=True)
    amendable: ClassVar[frozenset[str]] = frozenset({"file", "quality"})
    """Options that may change in a campaign, while no process runs it."""

    def controlled(self, blocks: Sequence[Mapping[str, Any]]) -> _Controlled:
        """The same with controls of a campaign, beside those of the rig file."""
        return _Controlled(self, tuple(blocks))

    def tables(self) -> Mapping[str, str]:
        """A rig reads no tables."""
        return {}

    def located(self, folder: Path) -> RigOptions:
        """The same, with the path of the rig file made absolute."""
        return replace(self, file=str((folder / self.file).resolve()))

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> RigLab:  # noqa: ARG002
        """Build the laboratory; opens nothing.

        Raises:
            LabError: the rig file cannot be read or is wrong, or a parameter means nothing to the rig.
        """
        return self.built(parameters, ())

    def built(self, parameters: Sequence[str], controls: Sequence[Mapping[str, Any]]) -> RigLab:
        """The laboratory, with controls of a campaign; raises as :meth:`build`."""
        path = Path(self.file)
        return RigLab(read_rig(path), path.parent, parameters, quality=self.quality, controls=controls)


@dataclass(frozen=True)
class _Controlled:
    """Options of a rig with controls of a campaign."""

    options: RigOptions
    controls: tuple[Mapping[str, Any], ...]
    type: str = "rig"

    def tables(self) -> Mapping[str, str]:
        return {}

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> RigLab:  # noqa: ARG002
        return self.options.built(parameters, self.controls)
