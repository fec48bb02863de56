"""What the header of a plain table means: the quantity and the unit of a column, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from instruments.readers.quantities import ONE_OF, PLAIN, TABLES, UNITS, factor, fits, plain_unit, split_name
from instruments.readers.source import Source

_SYMBOLS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "time": ("t", "elapsed time"),
        "current": ("i", "im"),
        "potential": ("e", "ewe", "we potential", "vf"),
        "cell_voltage": ("u_cell", "ucell", "e_cell", "ecell", "v_cell", "vcell"),
        "temperature": ("temp", "t"),
        "frequency": ("freq", "f"),
        "z_real": ("zreal", "re(z)", "z'", "zre"),
        "z_imag": ("zimag", "im(z)", "z''", "zim"),
        "-z_imag": ("-zimag", "-im(z)", "-z''", "-zim", "-z_imag"),
        "inlet": ("flow_in", "inlet_flow"),
        "outlet": ("flow_out", "outlet_flow"),
        "area": ("peak_area",),
        "fraction": ("mole_fraction",),
        "retention": ("retention_time", "rt"),
    }
)

_VOLTAGES: Final = ("voltage", "u", "v")
"""Names that may be the potential of an electrode or the voltage of the cell."""

_CONVERTED: Final = re.compile(r"\b(rhe|she|nhe)\b", re.IGNORECASE)
_VERSUS: Final = re.compile(r"(m?V)[\s_]*vs\.?[\s_]*(.+)", re.IGNORECASE)
_BRACKETS: Final = re.compile(r"(.+?)\s*[(\[]([^()\[\]]*)[)\]]")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column holds.

    Attributes:
        column: its name in the file.
        quantity: as in the raw-signal form.
        unit: ``None`` for columns without a dimension.
        negative: whether the column holds the negative of the quantity.
        reference: the reference electrode that the header names, if any.
    """

    column: str
    quantity: str
    unit: str | None = None
    negative: bool = False
    reference: str | None = None


def _candidates(symbol: str) -> tuple[str, ...]:
    """Quantities that a name may stand for."""
    name = re.sub(r"\s+", "_", symbol.strip()).lower()
    if name in _VOLTAGES:
        return ("potential", "cell_voltage")
    found = [name] if name in UNITS else []
    for quantity, symbols in _SYMBOLS.items():
        if name in (one.replace(" ", "_") for one in symbols) and quantity not in found:
            found.append(quantity)
    return tuple(found)


def _splits(column: str) -> list[tuple[str, str]]:
    """Ways to take a header apart into a name and a unit: ``E / V``, ``E (V)``, ``E_V``."""
    if (match := _BRACKETS.fullmatch(column)) and not column.lower().endswith(("(z)",)):
        return [(match[1].rstrip(" /"), match[2].strip())]
    if "/" in column:
        symbol, _, unit = column.partition("/")
        return [(symbol.strip(), unit.strip())]
    words = column.split("_")
    return [("_".join(words[:place]), " ".join(words[place:])) for place in range(1, len(words))]


def meaning_of(column: str, source: Source, line: int) -> Meaning | None:
    """What a header says; ``None`` where it is no quantity of the raw-signal form.

    Raises:
        ReaderError: the quantity is known but its unit is missing, of the wrong dimension, or fits several quantities.
    """
    plain = re.sub(r"\s+", "_", column.strip()).lower()
    if plain in PLAIN:
        return Meaning(column, plain)
    if candidates := _candidates(column):
        raise _no_unit(f"the column {column!r} has no unit", column, candidates[0], source, line)
    for symbol, unit in _splits(column):
        if candidates := _candidates(symbol):
            found = _fitting(column, candidates, unit, source, line)
            if found is not None:
                return found
            if "/" in column or _BRACKETS.fullmatch(column):
                quantity = candidates[0].removeprefix("-")
                message = f"{unit!r} in the column {column!r} is no unit of {quantity}"
                raise _no_unit(message, column, quantity, source, line)
    return None


def _no_unit(message: str, column: str, quantity: str, source: Source, line: int) -> Exception:
    example = f"{quantity.removeprefix('-')}/{UNITS[quantity.removeprefix('-')]}"
    mend = f'Say it with columns={{{column!r}: "{example}"}}, or write it into the header, as in "{example}".'
    return source.error(message, line=line, field=column, mend=mend)


def _fitting(column: str, candidates: Sequence[str], unit: str, source: Source, line: int) -> Meaning | None:
    versus = _VERSUS.fullmatch(unit)
    plain, reference = (versus[1], versus[2].strip()) if versus else (unit, None)
    right = [one for one in candidates if plain and fits(one.removeprefix("-"), plain)]
    if not right:
        return None
    if reference is not None and "potential" in right:
        right = ["potential"]
        if _CONVERTED.search(reference):
            raise source.error(
                f"the column {column!r} holds potentials that were converted to another scale",
                line=line,
                field=column,
                mend="Give the potential as recorded against the reference electrode; where that electrode is of "
                f'this kind, say so with columns={{{column!r}: "potential/{plain}"}} and in the setup.',
            )
    if len(right) > 1:
        options = " or ".join(f'"{one}/{plain}"' for one in right)
        message = f"the column {column!r} may be {' or '.join(right)}"
        raise source.error(
            message, line=line, field=column, mend=f"Say which: columns={{{column!r}: ...}} with {options}."
        )
    return Meaning(column, right[0].removeprefix("-"), plain_unit(plain), right[0].startswith("-"), reference)


def meaning_given(column: str, said: str, source: Source) -> Meaning:
    """What a person says that a column holds: ``"current/mA"``, ``"-z_imag/ohm"``, ``"species"``.

    Raises:
        ReaderError: it is no quantity of the raw-signal form, or the unit is missing or of the wrong dimension.
    """
    if not isinstance(said, str):
        raise source.error(f"{said!r} is no name", field=f"columns.{column}", mend='Write it like "current/A".')
    quantity, unit = split_name(said)
    negative = quantity == "-z_imag"
    quantity = quantity.removeprefix("-") if negative else quantity
    where = f"columns.{column}"
    if quantity in PLAIN:
        if unit is not None:
            raise source.error(f"{quantity} has no unit", field=where, mend=f'Write "{quantity}".')
        return Meaning(column, quantity)
    if quantity not in UNITS:
        known = ", ".join((*UNITS, *PLAIN))
        raise source.error(f"{said!r} is no quantity of the raw-signal form", field=where, mend=f"Known are {known}.")
    if unit is None or not fits(quantity, unit):
        example = f"{quantity}/{UNITS[quantity]}"
        raise source.error(f"{said!r} has no unit of {quantity}", field=where, mend=f'Write it as "{example}".')
    return Meaning(column, quantity, plain_unit(unit), negative)


def table_for(meanings: Sequence[Meaning], left_out: Sequence[str], said: str | None, source: Source, line: int) -> str:
    """The table of the raw-signal form that columns make up.

    Raises:
        ReaderError: none, or several; or the table that a person says lacks a column.
    """
    have = {meaning.quantity for meaning in meanings}
    if said is not None:
        if said not in TABLES:
            raise source.error(f"there is no table {said!r}", field="table", mend=f"It is one of {', '.join(TABLES)}.")
        if missing := _lacking(said, have):
            raise _incomplete(said, missing, left_out, source, line)
        return said
    complete = {name: _required(name, have) for name in TABLES if not _lacking(name, have)}
    largest = [name for name, needed in complete.items() if not any(needed < other for other in complete.values())]
    if len(largest) == 1 and largest != ["open_circuit"]:
        return largest[0]
    if not largest:
        nearest = min(TABLES, key=lambda name: len(_lacking(name, have)) - len(_required(name, have) & have))
        raise _incomplete(nearest, _lacking(nearest, have), left_out, source, line)
    if largest == ["open_circuit"]:
        if any(_is_density(column) for column in left_out):
            raise _incomplete("potentiostat", ["current"], left_out, source, line)
        message = "there is a potential but no current: an open circuit, or a column that is missing or not understood"
        mend = 'Give table="open_circuit", or name the current with columns=.'
        raise source.error(_with(message, left_out), line=line, field="table", mend=mend)
    message = f"the columns make up several tables: {', '.join(largest)}"
    raise source.error(message, line=line, field="table", mend="Say which with table=.")


def _required(table: str, have: set[str]) -> set[str]:
    """What a table must have, with those that are there of the quantities of which one must be."""
    return {*TABLES[table][0], *(one for one in ONE_OF.get(table, ()) if one in have)}


def _lacking(table: str, have: set[str]) -> list[str]:
    """What a table must have and has not."""
    some = ONE_OF.get(table, ())
    none_of_them = bool(some) and not have & set(some)
    return [one for one in TABLES[table][0] if one not in have] + ([some[0]] if none_of_them else [])


def _incomplete(table: str, missing: Sequence[str], left_out: Sequence[str], source: Source, line: int) -> Exception:
    some = ONE_OF.get(table, ())
    names = [" or ".join(some) if one in some else one for one in missing]
    message = _with(f"for a table {table} there is no {' and no '.join(names)}", left_out)
    mend = f'Name each column, as in columns={{"your header": "{missing[0]}/{UNITS.get(missing[0]) or "unit"}"}}.'
    if missing[0] in PLAIN:
        mend = f'Name each column, as in columns={{"your header": "{missing[0]}"}}.'
    if "current" in missing and any(_is_density(column) for column in left_out):
        mend = "Current densities are not raw signals: multiply them by the area, and give the current."
    return source.error(message, line=line, field=missing[0], mend=mend)


def _with(message: str, left_out: Sequence[str]) -> str:
    return f"{message} (not understood: {', '.join(map(repr, left_out))})" if left_out else message


def _is_density(column: str) -> bool:
    return any(factor(unit, "A m-2") is not None for _, unit in _splits(column))
