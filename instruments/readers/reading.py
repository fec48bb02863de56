"""Reading a file of any format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from instruments.readers import delimited, eclab, fusion, gamry
from instruments.readers.clock import ClockOptions, DateOrder
from instruments.readers.recording import Recording
from instruments.readers.signs import Cathodic
from instruments.readers.source import Source, open_source
from instruments.readers.tabular import Decimal

Format: TypeAlias = Literal["gamry", "eclab", "fusion", "csv"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A format: how it is recognised, the endings of its files, and what may be said about one."""

    title: str
    recognises: Callable[[Source], bool]
    endings: tuple[str, ...]
    options: tuple[str, ...]
    read: Callable[[Source, ClockOptions, Mapping[str, Any]], Recording]


_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "gamry": _Kind(
            "Gamry Framework",
            gamry.recognises,
            (".dta",),
            ("cathodic", "curve", "decimal"),
            lambda source, clock, said: gamry.read_gamry(source, gamry.GamryOptions(clock, **said)),
        ),
        "eclab": _Kind(
            "EC-Lab",
            eclab.recognises,
            (".mpt", ".txt"),
            ("cathodic", "decimal"),
            lambda source, clock, said: eclab.read_eclab(source, eclab.EcLabOptions(clock, **said)),
        ),
        "fusion": _Kind(
            "Micro GC Fusion",
            fusion.recognises,
            (".json", ".fusion-data", ".zip", ".fusion-archive"),
            ("species",),
            lambda source, clock, said: fusion.read_fusion(source, fusion.FusionOptions(clock, **said)),
        ),
        "csv": _Kind(
            "plain table",
            lambda source: source.suffix in (".csv", ".tsv", ".txt", ".dat"),
            (".csv", ".tsv", ".txt", ".dat"),
            ("cathodic", "decimal", "separator", "table", "columns", "species"),
            lambda source, clock, said: delimited.read_delimited(source, delimited.DelimitedOptions(clock, **said)),
        ),
    }
)

FORMATS: Final = tuple(_KINDS)
"""The formats that can be read."""


def read(
    path: str | Path,
    *,
    format: Format | None = None,
    start: str | datetime | None = None,
    timezone: str | None = None,
    date_order: DateOrder | None = None,
    cathodic: Cathodic | None = None,
    decimal: Decimal | None = None,
    curve: int | None = None,
    separator: str | None = None,
    table: str | None = None,
    columns: Mapping[str, str] | None = None,
    species: Mapping[str, str] | None = None,
) -> Recording:
    """Read a file that an instrument wrote.

    Args:
        path: the file.
        format: ``"gamry"`` (``.dta``), ``"eclab"`` (``.mpt``), ``"fusion"`` (``.json``, or a ``.zip`` of several) or
            ``"csv"``; by default told by the content, and for plain tables by the ending.
        start: when the recording began, as ISO 8601 with an offset from UTC; goes before what the file says.
        timezone: the zone of a time that the file writes without one, as ``"Europe/Berlin"``.
        date_order: ``"month first"`` or ``"day first"``, where ``3/6/2019`` does not tell.
        cathodic: the sign that the file's cathodic currents have, ``"negative"`` (IUPAC) or ``"positive"``. A plain
            table with currents needs it; Gamry and EC-Lab are negative.
        decimal: the decimal sign, where the file's numbers do not tell.
        curve: read one curve of a Gamry file, by its number.
        separator: what stands between the values of a plain table, where the lines do not tell.
        table: what a plain table is (``"potentiostat"``, ``"flow"``, ...), where its columns do not tell.
        columns: what the columns of a plain table hold, as ``{"E": "potential/mV"}``; others are then left out.
        species: keys of species by label, as ``{"EtOH": "c2h5oh"}``, where the usual names do not do.

    Returns:
        The signals in the raw-signal form, with what the file says about itself and what was odd. No value is
        missing, but for ``fraction/1`` of peaks that the instrument has no calibration for, and for what a plain table
        of liquids leaves empty beside the concentrations; a notice tells both.

    Raises:
        ReaderError: the file cannot be read, or leaves something open that must not be guessed.
    """
    source = open_source(path)
    kind = _kind(source, format)
    said: dict[str, object] = {"cathodic": cathodic, "decimal": decimal, "curve": curve, "separator": separator}
    said |= {"table": table, "columns": columns, "species": species}
    given = {name: value for name, value in said.items() if value is not None}
    for name in given:
        if name not in _KINDS[kind].options:
            mend = f"Leave it out; known are {', '.join(_KINDS[kind].options)}."
            raise source.error(f"{name}= means nothing for a file of format {kind!r}", field=name, mend=mend)
    if decimal not in (None, ".", ","):
        raise source.error(f"decimal is {decimal!r}", field="decimal", mend='It is "." or ",".')
    recording = _KINDS[kind].read(source, ClockOptions(start, timezone, date_order), given)
    if source.suffix not in _KINDS[kind].endings:
        title = _KINDS[kind].title
        odd = f"the file is named {source.suffix or 'without an ending'}, and was read as a file of the format {title}"
        return Recording(recording.signals, recording.metadata, (odd, *recording.notices))
    return recording


def _kind(source: Source, said: str | None) -> str:
    """The format of a file."""
    if said is not None:
        if said not in _KINDS:
            message, mend = f"there is no format {said!r}", f"It is one of {', '.join(FORMATS)}."
            raise source.error(message, field="format", mend=mend)
        return said
    for name, kind in _KINDS.items():
        if kind.recognises(source):
            return name
    named = next((kind.title for kind in _KINDS.values() if source.suffix in kind.endings), None)
    message = f"it is named as a file of {named}, but does not begin like one" if named else "its format is not known"
    mend = f"Give the file as the instrument wrote it, or format=, one of {', '.join(FORMATS)}."
    raise source.error(message, line=1, field="format", mend=mend)
