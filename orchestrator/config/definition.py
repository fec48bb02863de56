"""A campaign's whole definition: the checked file, its search space, and the content of its data files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from instruments.lab import Controllable, Informed, Lab, Selective
from orchestrator.config.approval import check_approval
from orchestrator.config.checks import (
    check_executable,
    check_metrics,
    check_plan,
    check_strategy,
    lab_tables,
    notices,
)
from orchestrator.config.document import Document
from orchestrator.config.model import CampaignFile, PoolSpace
from orchestrator.config.problems import problems_of, refuse
from orchestrator.config.spaces import build_space, importable, units_of, with_columns
from orchestrator.config.tables import Table, read_table
from orchestrator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from acquisition.space import SearchSpace

POOL = "pool"
"""The key of the pool's table; tables of the laboratory are ``lab.<option>``."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Definition:
    """Everything that says what a campaign is; it needs no file any more.

    Attributes:
        file: the checked campaign file, column patterns of a pool written out.
        space: the search space.
        tables: the data files' rows: ``pool``, and ``lab.<option>`` for those of the laboratory.
        notices: what the user should know, but need not mend.
        sources: the data files with their bytes, by the same names as ``tables``.
    """

    file: CampaignFile
    space: SearchSpace
    tables: Mapping[str, pd.DataFrame]
    notices: tuple[str, ...]
    sources: Mapping[str, Table]

    @classmethod
    def of(cls, file: CampaignFile, sources: Mapping[str, Table]) -> Definition:
        """Build and check a definition.

        Args:
            file: the checked campaign file.
            sources: the data files that :func:`table_paths` names.

        Raises:
            InputError: file, data files and laboratory do not fit together.
            AcquisitionError: the search space cannot be.
            InstrumentsError, SimulatorsError: the laboratory cannot be built.
        """
        sources = dict(sources)
        if isinstance(file.space, PoolSpace):
            file = file.model_copy(update={"space": with_columns(file.space, sources[POOL])})
        space = build_space(file, sources)
        check_strategy(file, space)
        check_plan(file, space)
        check_approval(file.approval, space)
        sources |= lab_tables(file, space, sources)
        frames = {key: table.frame for key, table in sources.items()}
        definition = cls(file, space, MappingProxyType(frames), notices(file, space), MappingProxyType(sources))
        lab = definition.build_lab()
        if isinstance(lab, Selective):
            space = build_space(file, sources, lab)
            definition = replace(definition, space=space, notices=notices(file, space))
        check_metrics(file, space, lab)
        check_executable(file, space, lab)
        return definition

    def build_lab(self) -> Lab:
        """Build the laboratory anew.

        Raises:
            InputError: there are controls, and it is a laboratory without any.
            InstrumentsError, SimulatorsError: it cannot be built.
        """
        options = self.file.lab
        if self.file.controls:
            if not isinstance(options, Controllable):
                raise InputError(
                    f"a laboratory of type {options.type!r} has no controls.", field="controls", mend="Leave them out."
                )
            options = options.controlled(self.file.controls)
        elif isinstance(options, Informed):
            units = {column: unit for column, unit in units_of(self.space).items() if unit}
            options = options.informed(units, self.file.metric_names)
        return options.build(self.space.columns, {name: self.tables[f"lab.{name}"] for name in options.tables()})

    def resolved(self) -> dict[str, Any]:
        """The definition as JSON values, defaults written out, data files named by the SHA-256 of their bytes."""
        data = self.file.model_dump(mode="json")
        if POOL in self.sources:
            data["space"][POOL] = _reference(self.sources[POOL])
        for option in self.file.lab.tables():
            data["lab"][option] = _reference(self.sources[f"lab.{option}"])
        plain: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False))
        return plain

    def blobs(self) -> dict[str, bytes]:
        """The exact bytes of the data files by their SHA-256."""
        return {table.digest: table.content for table in self.sources.values()}

    @property
    def hash(self) -> str:
        """SHA-256 of what decides how the campaign goes: not its name, the names of its files, comments or key order.

        To compare with a stored definition, rebuild that by :meth:`from_resolved` first: a newer version may know
        more keys, and writes out their defaults.
        """
        data = self.resolved()
        del data["name"]
        for block in (data["space"], data["lab"]):
            for key, value in block.items():
                if _is_reference(value):
                    block[key] = value["digest"]
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_resolved(cls, resolved: Mapping[str, Any], blob: Callable[[str], bytes]) -> Definition:
        """Rebuild a definition from the store.

        Args:
            resolved: what :meth:`resolved` returned.
            blob: returns the bytes with a SHA-256.

        Raises:
            InputError: the stored definition does not fit this version, or stored bytes are damaged.
        """
        data = json.loads(json.dumps(resolved))
        sources: dict[str, Table] = {}
        for block, prefix in (("space", ""), ("lab", "lab.")):
            for key, value in data[block].items():
                if _is_reference(value):
                    sources[prefix + key] = _stored(value, blob)
                    data[block][key] = value["name"]
        _restore_labels(data["space"])
        try:
            file = CampaignFile.model_validate(data)
        except ValidationError as error:
            document = Document(f"stored definition of {data.get('name')}", data, {})
            raise refuse(document, problems_of(error, document)) from None
        importable(file, Path.cwd())
        return cls.of(file, sources)


def table_paths(file: CampaignFile) -> dict[str, str]:
    """The data files that a campaign file names: key of :attr:`Definition.tables` to path."""
    paths = {POOL: file.space.pool} if isinstance(file.space, PoolSpace) else {}
    return paths | {f"lab.{option}": path for option, path in file.lab.tables().items()}


def _reference(table: Table) -> dict[str, str]:
    return {"digest": table.digest, "name": PurePath(table.name).name}


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, dict) and value.keys() == {"digest", "name"} and bool(_SHA256.fullmatch(str(value["digest"])))
    )


def _stored(reference: Mapping[str, str], blob: Callable[[str], bytes]) -> Table:
    table = read_table(blob(reference["digest"]), reference["name"])
    if table.digest != reference["digest"]:
        raise InputError(
            f"the stored copy of {reference['name']} is damaged: its SHA-256 is {table.digest}, "
            f"not {reference['digest']}.",
            mend="Restore the store from a backup.",
        )
    return table


def _restore_labels(space: dict[str, Any]) -> None:
    """Give the descriptors of categories that are numbers their labels back: keys of JSON are always text."""
    for parameter in space.get("parameters", ()):
        if isinstance(parameter, dict) and "values" in parameter and parameter.get("descriptors"):
            values = parameter["values"]
            labels = {str(float(value)): value for value in values if isinstance(value, int | float)}
            labels |= {str(value): value for value in values}
            parameter["descriptors"] = {
                name: {labels.get(key, key): number for key, number in column.items()}
                for name, column in parameter["descriptors"].items()
            }
