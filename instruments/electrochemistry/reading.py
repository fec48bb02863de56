"""A batch as the reduction reads it: scalars with their uncertainties, and averages over the windows of injections."""

from __future__ import annotations

from typing import Literal

import numpy as np

from instruments.electrochemistry.batch import Batch
from instruments.electrochemistry.charge import WindowMeans, integral_at, places
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.uncertain import Uncertain, Value


class Reading:
    """Scalars and time averages of a batch of E experiments.

    Attributes:
        batch: what is read.
        layout: its layout.
        current_gain: 1, with the relative uncertainty of the current, [E].
    """

    def __init__(self, batch: Batch) -> None:
        self.batch, self.layout = batch, batch.layout
        self.current_gain = self.gain("current")
        self._windows: WindowMeans | None = None
        self._weights: Floats | None = None
        self._averages: dict[str, Floats] = {}

    def __len__(self) -> int:
        return len(self.batch)

    def known(self, *names: str) -> bool:
        """Whether all of some scalars are known."""
        return all(name in self.layout.known for name in names)

    def exact(self, name: str) -> Floats:
        """Values of a scalar, [E]."""
        return self.batch.scalars[name][0]

    def scalar(self, name: str, source: str | None = None) -> Uncertain:
        """A scalar whose uncertainty has a source's name, [E]; what was not assessed counts as none."""
        values, sems = self.batch.scalars[name]
        return Uncertain.systematic(values, np.nan_to_num(sems), source or name)

    def gain(self, instrument: str, source: str | None = None) -> Value:
        """1 with the relative uncertainty of an instrument, [E]; a bare 1 where that is not known."""
        name = f"accuracy_{instrument}"
        if not self.known(name):
            return np.ones(len(self))
        return Uncertain.systematic(np.ones(len(self)), self.exact(name), source or instrument)

    def watch(self, windows: WindowMeans, accepted: Flags) -> None:
        """Average over the windows of the accepted injections from now on."""
        self._windows, self._weights = windows, weights_of(accepted)
        self._averages.clear()

    def average(self, trace: Literal["current", "potential", "cell_voltage"]) -> Floats:
        """Mean of a trace over the windows, or over all of it where there is none, [E]."""
        if trace not in self._averages:
            values = getattr(self.batch, trace)
            self._averages[trace] = self._average(values)
        return self._averages[trace]

    def _average(self, values: Floats) -> Floats:
        if self._windows is None or self._weights is None:
            return self._whole(values)
        mean: Floats = (self._windows(values) * self._weights).sum(1)
        some = self._weights.sum(1) > 0.0
        return mean if some.all() else np.where(some, mean, self._whole(values))

    def _whole(self, values: Floats) -> Floats:
        time = self.batch.time
        mean: Floats = np.trapezoid(values, time, axis=1) / (time[:, -1] - time[:, 0])
        return mean

    @property
    def sampled(self) -> Floats:
        """When the liquid was sampled, or the end, s, [E]."""
        end, asked = self.batch.time[:, -1], self.batch.liquid_time
        return end if asked is None else np.where(np.isnan(asked), end, np.minimum(asked, end))

    def charge(self) -> Value:
        """Magnitude of the charge until the liquid was sampled, C, [E]."""
        time, current = self.batch.time, self.batch.current
        passed = integral_at(time, current, places(time, self.sampled[:, None]))[:, 0]
        return -passed * self.current_gain


def weights_of(accepted: Flags) -> Floats:
    """Equal weights for the accepted injections, which sum to 1 or, without any, to 0, [E, N]."""
    count = accepted.sum(1, keepdims=True)
    weights: Floats = np.divide(accepted, count, out=np.zeros(accepted.shape), where=count > 0)
    return weights
