"""Calibrations: frozen, versioned records that turn a signal into an amount, with the covariance of their coefficients.

A record is never changed: a new calibration is a new record, and observations name the records that they rest on. Its
id holds a digest of its content, so that two records with one id are one record.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from instruments.electrochemistry._schema import Record
from instruments.electrochemistry.uncertain import Floats, Uncertain
from instruments.errors import CalibrationError, InstrumentsError

Day: TypeAlias = datetime.date
Matrix: TypeAlias = tuple[tuple[float, ...], ...]


class Calibration(Record):
    """How one device answers to one species.

    Attributes:
        device: the detector, as in the table of signals (``""`` where that names none).
        species: key of the species.
        date: of the calibration.
        expires: last day of its validity; ``None`` where it has no end.
        version: of the calibration of this device, species and date.
        form: ``response``: signal = b + a * amount, coefficients (b, a); ``inverse``: amount = c0 + c1 * signal + ....
        coefficients: as the form says.
        covariance: of the coefficients; ``None`` where it was not assessed.
        signal_unit: of the signal, such as ``pA s``.
        amount_unit: ``1`` for mole fractions, ``mol m-3`` for concentrations.
        low: the smallest amount that can be quantified (LOQ).
        high: the largest standard.
        detection_limit: the smallest amount that can be seen (LOD).
        r_squared: of the fit.
        repeatability: relative standard deviation of one signal.
        noise: standard deviation of a signal near nothing, in the signal's unit.
        retention: time at which the species came, s; ``None`` where that was not noted.
        standards: what it was calibrated with.

    Raises:
        CalibrationError: an impossible record.
    """

    device: str
    species: str
    date: Day
    expires: Day | None = None
    version: int = Field(default=1, ge=1)
    form: Literal["response", "inverse"] = "response"
    coefficients: tuple[float, ...] = Field(min_length=1, max_length=5)
    covariance: Matrix | None = None
    signal_unit: str
    amount_unit: Literal["1", "mol m-3"] = "1"
    low: float | None = Field(default=None, ge=0.0)
    high: float = Field(gt=0.0)
    detection_limit: float | None = Field(default=None, ge=0.0)
    r_squared: float | None = Field(default=None, ge=0.0, le=1.0)
    repeatability: float | None = Field(default=None, ge=0.0)
    noise: float | None = Field(default=None, ge=0.0)
    retention: float | None = Field(default=None, gt=0.0)
    standards: str | None = None

    @classmethod
    def _error(cls, message: str, field: str, mend: str | None) -> InstrumentsError:
        return CalibrationError(message, field=field, mend=mend)

    @model_validator(mode="after")
    def _possible(self) -> Calibration:
        size = len(self.coefficients)
        if self.form == "response" and (size != 2 or self.coefficients[1] <= 0.0):
            raise CalibrationError("a response has an intercept and a slope of more than 0", field="coefficients")
        if self.covariance is not None:
            matrix = np.array([list(row) + [np.nan] * (size - len(row)) for row in self.covariance], dtype=float)
            if matrix.shape != (size, size) or not np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0):
                raise CalibrationError("the covariance is not symmetric in the coefficients", field="covariance")
            scale = np.sqrt(np.outer(matrix.diagonal(), matrix.diagonal()).clip(1e-300))
            if (matrix.diagonal() < 0.0).any() or np.linalg.eigvalsh(matrix / scale).min() < -1e-8:
                raise CalibrationError("the covariance is that of nothing: a variance is negative", field="covariance")
        if self.low is not None and self.low > self.high:
            raise CalibrationError("the range ends before it begins", field="low")
        if self.expires is not None and self.expires < self.date:
            raise CalibrationError("it expired before it was made", field="expires")
        return self

    @cached_property
    def id(self) -> str:
        """Device, species, date, and a digest of everything."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        return "-".join(filter(None, (self.device, self.species, self.date.isoformat(), digest)))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Calibration:  # noqa: ARG002
        """A record with some fields changed, which is checked like any other and has an id of its own."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **(update or {})})

    def inverse(self) -> tuple[Floats, Floats]:
        """Coefficients of amount = c0 + c1 * signal + ..., and a factor ``L`` of their covariance ``L L'``.

        For a response the covariance is carried over to first order. Without an assessed covariance ``L`` is zero.
        """
        given = np.array(self.coefficients)
        covariance = np.zeros((len(given),) * 2) if self.covariance is None else np.array(self.covariance)
        if self.form == "inverse":
            return given, _factor(covariance)
        b, a = given
        slopes = np.array([[-1.0 / a, b / a**2], [0.0, -1.0 / a**2]])
        return np.array([-b / a, 1.0 / a]), slopes @ _factor(covariance)

    def amount(self, signal: Any, source: str | None = None) -> Uncertain:
        """Amounts from signals.

        Args:
            signal: floats, an array, or an :class:`Uncertain`.
            source: name of this calibration's uncertainty; by default its id.
        """
        coefficients, factor = self.inverse()
        return polynomial(signal, coefficients, factor, source or f"calibration {self.id}")

    def in_range(self, amount: Any, above: float = 1.2) -> Any:
        """Whether amounts are within the calibrated range, up to a factor above its largest standard."""
        values = np.asarray(amount)
        return (values >= (self.low or 0.0)) & (values <= above * self.high)

    def expired(self, on: Day) -> bool:
        """Whether its validity has ended by a day."""
        return self.expires is not None and on > self.expires


def polynomial(signal: Any, coefficients: Floats, factor: Floats, source: str) -> Uncertain:
    """``c0 + c1 s + c2 s^2 + ...`` with the covariance ``L L'`` of the coefficients.

    Args:
        signal: any shape, or an :class:`Uncertain`.
        coefficients: [..., powers], broadcast against the signal.
        factor: ``L``, [..., powers, powers].
        source: name of the coefficients' uncertainty.
    """
    values = np.asarray(signal.values if isinstance(signal, Uncertain) else signal, dtype=np.float64)
    powers = values[..., None] ** np.arange(coefficients.shape[-1])
    amount = (powers * coefficients).sum(-1)
    own = Uncertain(amount, {source: np.einsum("...p,...pk->...k", powers, factor)})
    if not isinstance(signal, Uncertain):
        return own
    orders = np.arange(1, coefficients.shape[-1])
    slope = (orders * powers[..., :-1] * coefficients[..., 1:]).sum(-1)
    through_signal: Uncertain = (signal - values) * slope
    return own + through_signal


def fit_calibration(
    amounts: Sequence[float],
    signals: Sequence[float],
    *,
    detection: float = 3.3,
    quantification: float = 10.0,
    **record: Any,
) -> Calibration:
    """A linear response by ordinary least squares, with covariance and limits from the scatter around the line.

    Args:
        amounts: of the standards.
        signals: that they gave.
        detection: the detection limit in standard deviations of the scatter over the slope (ICH Q2: 3.3).
        quantification: the same for the smallest amount of the range (10).
        record: the other fields of :class:`Calibration`.

    Raises:
        CalibrationError: fewer than three standards, all of one amount, one without a number or of a negative amount,
            or a slope that is not positive.
    """
    x, y = np.asarray(amounts, dtype=float), np.asarray(signals, dtype=float)
    for field, values in (("amounts", x), ("signals", y)):
        if not np.isfinite(values).all():
            raise CalibrationError(f"{field}: a standard has no number.", field=field, mend="Leave that standard out.")
    if (x < 0.0).any():
        raise CalibrationError("the amount of a standard is negative.", field="amounts")
    if len(x) != len(y):
        raise CalibrationError(f"{len(x)} standards have {len(y)} signals.", field="signals", mend="Give one for each.")
    if len(x) < 3 or np.ptp(x) == 0.0:
        raise CalibrationError("a line needs at least three standards of different amounts.", field="amounts")
    design = np.column_stack([np.ones(len(x)), x])
    inverse = np.linalg.inv(design.T @ design)
    intercept, slope = inverse @ design.T @ y
    rest = y - design @ np.array([intercept, slope])
    variance = float(rest @ rest) / (len(x) - 2)
    covariance = variance * inverse
    if slope <= 0.0:
        raise CalibrationError("signals do not rise with the amounts.", field="signals")
    spread = float(((y - y.mean()) ** 2).sum())
    limits = {
        "detection_limit": detection * np.sqrt(variance) / slope,
        "low": min(quantification * np.sqrt(variance) / slope, float(x.max())),
        "r_squared": max(0.0, 1.0 - float(rest @ rest) / spread),
        "noise": np.sqrt(variance),
    }
    return Calibration(
        form="response",
        coefficients=(float(intercept), float(slope)),
        covariance=tuple(tuple(float(c) for c in row) for row in 0.5 * (covariance + covariance.T)),
        high=float(x.max()),
        **{**{name: float(value) for name, value in limits.items()}, **record},
    )


def _factor(covariance: Floats) -> Floats:
    """``L`` with ``L L'`` equal to a covariance that may be singular and badly scaled."""
    scale = np.sqrt(covariance.diagonal().clip(0.0))
    safe = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(safe, safe))
    lower: Floats = safe[:, None] * vectors * np.sqrt(values.clip(0.0))
    return lower


class Calibrations:
    """A set of records, and which of them was valid when.

    Raises:
        CalibrationError: one is no record, or two of one device, species, date and version differ.
    """

    def __init__(self, records: Iterable[Calibration] = ()) -> None:
        self._records: dict[str, Calibration] = {}
        places: dict[tuple[object, ...], str] = {}
        for i, record in enumerate(records):
            if not isinstance(record, Calibration):
                raise CalibrationError(
                    f"record {i + 1} is {type(record).__name__}, and no calibration.",
                    field=f"calibrations.{i}",
                    mend="Build a Calibration, or read JSON with Calibrations.from_json.",
                )
            place = (record.device, record.species, record.signal_unit, record.date, record.version)
            if places.setdefault(place, record.id) != record.id:
                raise CalibrationError(
                    f"two calibrations of {record.device or 'a device'} for {record.species} of {record.date} differ.",
                    field="calibrations",
                    mend="Give the later one a higher `version`.",
                )
            self._records[record.id] = record

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Calibration]:
        return iter(self._records.values())

    def __getitem__(self, name: str) -> Calibration:
        """A record by its id.

        Raises:
            CalibrationError: there is none.
        """
        if name not in self._records:
            raise CalibrationError(f"there is no calibration {name!r}.", field="calibrations")
        return self._records[name]

    def at(self, device: str, species: str, day: Day | None) -> Calibration | None:
        """The record that held on a day: the latest of that day or before it, of the highest version.

        An expired record is returned as well: it is quality control that minds. Without a day it is the latest.
        """
        held = [
            record
            for record in self
            if record.device == device and record.species == species and (day is None or record.date <= day)
        ]
        return max(held, key=lambda record: (record.date, record.version), default=None)

    def species(self, day: Day | None) -> frozenset[tuple[str, str]]:
        """Devices and species for which a record held on a day."""
        return frozenset((record.device, record.species) for record in self if day is None or record.date <= day)

    def with_record(self, record: Calibration) -> Calibrations:
        """These and one more."""
        return Calibrations([*self, record])

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON values, for a file or the metadata of a measurement."""
        return [record.model_dump(mode="json", exclude_none=True) for record in self]

    @classmethod
    def from_json(cls, records: Iterable[Mapping[str, Any]]) -> Calibrations:
        """What :meth:`to_json` gave.

        Raises:
            CalibrationError: an impossible record; says which.
        """
        made = []
        for i, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise CalibrationError(f"record {i + 1} is no calibration.", field=f"calibrations.{i}")
            made.append(Calibration(**record))
        return cls(made)


def days_old(record: Calibration, on: Day) -> int:
    """Age of a calibration on a day."""
    return (on - record.date) // datetime.timedelta(days=1)
