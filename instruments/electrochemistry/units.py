"""Units at the door: what comes in with a unit is converted once, and everything inside is in SI.

Only this module knows pint. Exponents may be written ``cm-2`` as well as ``cm**-2``. A "standard" flow such as ``sccm``
is a volume a minute at conditions that its name does not tell; it becomes a molar flow only with these conditions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Real
from tokenize import TokenError
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator

from instruments.electrochemistry.constants import GAS_CONSTANT
from instruments.errors import SignalError

if TYPE_CHECKING:
    import pint

DIMENSIONLESS: Final = "1"
MOLAR_FLOW: Final = "mol s-1"
VOLUME_FLOW: Final = "m3 s-1"

_EXPONENT: Final = re.compile(r"(?<=[A-Za-zµμΩ])\^?(-?\d+)")
_LOOKS_LIKE_A_UNIT: Final = re.compile(r"[A-Za-zµμΩ°%][\wµμΩ°%*/^.() +-]{0,39}")
_SPELLINGS: Final = MappingProxyType({"Ohm": "ohm", "Ω": "ohm", "°C": "degC", "%": "percent", "": "", "1": ""})
_STANDARD: Final = MappingProxyType(
    {"sccm": "mL/min", "sccs": "mL/s", "slm": "L/min", "slpm": "L/min", "mln/min": "mL/min", "ln/min": "L/min"}
)
"""Names of standard flows, and the volume flow that each is at its reference conditions."""

_NO_UNIT: Final = (
    TokenError, SyntaxError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError, AssertionError
)  # fmt: skip
"""What pint raises, beside its own errors, on texts that are no unit, such as ``"A/"``."""

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_WRITTEN: Final = re.compile(
    rf"\(?\s*(?P<value>{_NUMBER})\s*(?P<inner>[^\d\s()+±][^()±]*?)?\s*"
    rf"(?:(?:\+/-|\+-|±)\s*(?P<sem>{_NUMBER})\s*\)?\s*(?P<outer>[^\d\s()+±][^()±]*)?)?\)?\s*"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit and its standard uncertainty.

    Attributes:
        value: in ``unit``.
        unit: of value and uncertainty.
        sem: one standard uncertainty; ``None`` says that it was not assessed.
    """

    value: float
    unit: str
    sem: float | None = None


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry()


@cache
def _parsed(unit: str) -> Any | None:
    """The unit as pint has it, or ``None`` where it is none."""
    import pint

    text = unit.strip()
    if text not in _SPELLINGS and not _LOOKS_LIKE_A_UNIT.fullmatch(text):
        return None
    try:
        return _registry().parse_units(_SPELLINGS[text] if text in _SPELLINGS else _EXPONENT.sub(r"**\1", text))
    except _NO_UNIT:
        return None
    except pint.errors.PintError:
        return None


@cache
def scale(unit: str, into: str) -> tuple[float, float] | None:
    """Factor and offset that turn numbers in one unit into another: ``factor * number + offset``.

    Returns:
        ``None`` where the first is no unit, or one of another dimension.
    """
    given, wanted = _parsed(unit), _parsed(into)
    if given is None or wanted is None or not given.is_compatible_with(wanted):
        return None
    at = [float(_registry().Quantity(x, given).to(wanted).magnitude) for x in (0.0, 1.0)]
    return at[1] - at[0], at[0]


def flow_scale(unit: str, temperature: float | None, pressure: float | None, field: str) -> float:
    """Factor that turns a flow into mol s-1.

    Args:
        unit: a molar flow stands for itself; a volume or "standard" flow needs the conditions that it refers to.
        temperature: K, of these conditions; ``None`` where they are not known.
        pressure: Pa, of these conditions.
        field: what an error names.

    Raises:
        SignalError: the unit is no flow, or a volume flow whose conditions are not known.
    """
    molar = scale(unit, MOLAR_FLOW)
    if molar is not None:
        return molar[0]
    volume = scale(_STANDARD.get(unit.strip().lower(), unit), VOLUME_FLOW)
    if volume is None:
        raise SignalError(
            f"{field}: {unit!r} is no unit of a flow.", field=field, mend="Use mol s-1, mL min-1 or sccm."
        )
    if temperature is None or pressure is None:
        raise SignalError(
            f"{field}: a flow in {unit} means nothing without the temperature and pressure that it refers to.",
            field=field,
            mend="Give `flow_reference` with `temperature` and `pressure` in the setup, or a molar flow.",
        )
    return volume[0] * pressure / (GAS_CONSTANT * temperature)


def quantity(given: object, unit: str, field: str = "quantity") -> Quantity:
    """A quantity in SI from what people write.

    Args:
        given: ``"4.5 +/- 0.1 cm2"``, ``"1 cm2 ± 2 %"``, ``{"value": 4.5, "unit": "cm2", "sem": 0.1}``, a
            :class:`Quantity`, or a bare number where the quantity has no dimension.
        unit: the canonical unit, which the result has.
        field: what an error names.

    Raises:
        SignalError: no number, no unit or one of another dimension, an infinite value, a negative uncertainty.
    """
    value, written, sem = taken_apart(given, unit, field)
    found = scale(written, unit)
    if found is None:
        raise SignalError(
            f"{field}: {written!r} is no unit of what is meant.", field=field, mend=f"Use one like {unit!r}."
        )
    if not math.isfinite(value) or (sem is not None and not (math.isfinite(sem) and sem >= 0.0)):
        raise SignalError(f"{field}: {given!r} is not a finite number with an uncertainty of at least 0.", field=field)
    factor, offset = found
    return Quantity(factor * value + offset, unit, None if sem is None else abs(factor) * sem)


def taken_apart(given: object, unit: str, field: str) -> tuple[float, str, float | None]:
    """Value, written unit, and uncertainty in that unit."""
    if isinstance(given, Quantity):
        return given.value, given.unit, given.sem
    if isinstance(given, bool):
        raise SignalError(f"{field}: {given!r} is no quantity.", field=field)
    if isinstance(given, Real):
        return float(given), _bare(None, unit, field), None
    if isinstance(given, Mapping):
        return _from_mapping(given, unit, field)
    match = _WRITTEN.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None:
        raise SignalError(f"{field}: {given!r} is no quantity.", field=field, mend="Write one like '4.5 +/- 0.1 cm2'.")
    value = float(match["value"])
    inner, outer = (match["inner"] or "").strip(), (match["outer"] or "").strip()
    sem = None if match["sem"] is None else float(match["sem"])
    if inner and outer == "%" and inner != "%" and sem is not None:
        return value, inner, abs(value) * sem / 100.0
    if inner and outer and inner != outer:
        raise SignalError(f"{field}: {given!r} has two units.", field=field, mend="Give value and uncertainty in one.")
    return value, _bare(inner or outer or None, unit, field), sem


def _from_mapping(given: Mapping[Any, Any], unit: str, field: str) -> tuple[float, str, float | None]:
    unknown = set(given) - {"value", "unit", "sem"}
    numbers = [given.get("value"), given.get("sem", 0.0)]
    numbers[1] = 0.0 if numbers[1] is None else numbers[1]
    if unknown or any(isinstance(n, bool) or not isinstance(n, Real) for n in numbers):
        raise SignalError(
            f"{field}: {dict(given)!r} is no quantity.", field=field, mend="Give `value`, `unit` and perhaps `sem`."
        )
    written = given.get("unit")
    sem = given.get("sem")
    unit = _bare(None if written is None else str(written), unit, field)
    return float(given["value"]), unit, None if sem is None else float(sem)


def _bare(written: str | None, unit: str, field: str) -> str:
    """The written unit; nothing stands for "1" only where no dimension is wanted."""
    if written is None and unit != DIMENSIONLESS:
        raise SignalError(f"{field}: a number without a unit.", field=field, mend=f"Add a unit like {unit!r}.")
    return DIMENSIONLESS if written is None else written


def _of(unit: str) -> BeforeValidator:
    return BeforeValidator(lambda given: quantity(given, unit))


Area: TypeAlias = Annotated[Quantity, _of("m2")]
Concentration: TypeAlias = Annotated[Quantity, _of("mol m-3")]
Length: TypeAlias = Annotated[Quantity, _of("m")]
Pressure: TypeAlias = Annotated[Quantity, _of("Pa")]
Ratio: TypeAlias = Annotated[Quantity, _of(DIMENSIONLESS)]
Resistance: TypeAlias = Annotated[Quantity, _of("ohm")]
Temperature: TypeAlias = Annotated[Quantity, _of("K")]
Time: TypeAlias = Annotated[Quantity, _of("s")]
Voltage: TypeAlias = Annotated[Quantity, _of("V")]
Volume: TypeAlias = Annotated[Quantity, _of("m3")]
VolumeFlow: TypeAlias = Annotated[Quantity, _of(VOLUME_FLOW)]
