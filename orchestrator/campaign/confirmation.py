"""Whether the best points are what they were expected to be, by fresh samples. Light to import: ``status`` reads it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from orchestrator.campaign.progress import LEARNED
from orchestrator.campaign.text import quantity
from orchestrator.campaign.words import CONFIRM
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord, EventRecord, ExperimentRecord, ExperimentState

Verdict: TypeAlias = Literal["confirmed", "not confirmed", "not decided"]

LEVEL: Final = 0.95
"""Probability that a true expectation is confirmed, metric by metric."""
FEWEST: Final = 2
"""Fewer valid results say nothing of how samples scatter."""
ROUNDING: Final = 1e-12
"""Differences below this share of a value are none."""
OVER: Final[tuple[ExperimentState, ...]] = ("failed", "rejected", "cancelled")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was expected of a metric at one point, and what fresh samples gave.

    Attributes:
        expected: mean that the model expected.
        expected_std: its standard deviation.
        mean: over the samples; ``None`` without a valid result.
        sem: standard error of that over the samples; ``None`` with fewer than two.
        samples: with a valid result, each counted once.
        low: lower end of the interval in which what was expected must lie.
        high: upper end.
        verdict: of the comparison.
    """

    expected: float
    expected_std: float
    mean: float | None
    sem: float | None
    samples: int
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Confirmed:
    """One of the best points.

    Attributes:
        experiment: the first that was done there.
        parameters: its settings.
        experiments: those that confirm it.
        waiting: how many of these have not ended.
        failed: how many ended without a valid result, those that were rejected or called off among them.
        metrics: by metric, how it compares.
    """

    experiment: int
    parameters: dict[str, Any]
    experiments: tuple[int, ...]
    waiting: int
    failed: int
    metrics: dict[str, Agreement]

    @property
    def verdict(self) -> Verdict:
        """Not confirmed where one metric is not; confirmed where all are."""
        found = {agreement.verdict for agreement in self.metrics.values()}
        return next((v for v in ("not confirmed", "not decided") if v in found), "confirmed")

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "experiment": self.experiment,
            "parameters": self.parameters,
            "experiments": list(self.experiments),
            "waiting": self.waiting,
            "failed": self.failed,
            "verdict": self.verdict,
            "metrics": {metric: asdict(agreement) for metric, agreement in self.metrics.items()},
        }


def last_note(store: Store, name: str) -> EventRecord | None:
    """Where the log says which points are confirmed; ``None`` while that is not chosen."""
    notes = store.events(name, kinds=(CONFIRM,))
    return notes[-1] if notes else None


def confirmation(store: Store, name: str) -> list[Confirmed] | None:
    """How the best points compare with what was expected of them, the best first; ``None`` while none is chosen."""
    note = last_note(store, name)
    if note is None:
        return None
    points = note.data["points"]
    records = {r.id: r for r in store.experiments(name, ids={id for point in points for id in point["experiments"]})}
    return [_confirmed(point, records) for point in points]


def confirming(store: Store, record: CampaignRecord) -> bool:
    """Whether the search is over since the best are being confirmed; not where the campaign was amended after that."""
    note = last_note(store, record.name)
    return note is not None and note.data["version"] == record.version


def in_words(points: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line a metric of each point, for people.

    Args:
        points: as JSON values, see :meth:`Confirmed.plain`.
    """
    lines = []
    for point in points:
        left = f" ({point['waiting']} still to come)" if point["waiting"] else ""
        left += f" ({point['failed']} without a valid result)" if point["failed"] else ""
        for metric, seen in point["metrics"].items():
            expected = quantity(metric, seen["expected"], seen["expected_std"])
            found = "nothing measured yet"
            if seen["mean"] is not None:
                on = "1 sample" if seen["samples"] == 1 else f"{seen['samples']} samples"
                found = f"found {quantity(metric, seen['mean'], seen['sem'])} on {on}"
            lines.append(f"experiment {point['experiment']}: expected {expected}, {found}: {seen['verdict']}{left}")
    return lines


def summed_up(points: Sequence[Confirmed]) -> str:
    """How many points are confirmed, as a part of a sentence."""
    counts = {v: sum(p.verdict == v for p in points) for v in ("confirmed", "not confirmed", "not decided")}
    said = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return (
        f"of the {len(points)} best points {', '.join(said)}"
        if len(points) > 1
        else f"the best point is {points[0].verdict}"
    )


def _confirmed(point: Mapping[str, Any], records: Mapping[int, ExperimentRecord]) -> Confirmed:
    mine = [records[id] for id in point["experiments"]]
    there = [r for r in mine if r.asked == point["parameters"]]  # an edited one is somewhere else
    valid = [r for r in there if r.state in LEARNED and r.verdict == "valid"]
    ended = [r for r in mine if r.state in OVER or r.state == "completed"]
    return Confirmed(
        experiment=point["experiment"],
        parameters=dict(point["parameters"]),
        experiments=tuple(point["experiments"]),
        waiting=len(mine) - len(ended),
        failed=sum(r not in valid for r in ended),
        metrics={
            metric: compare(belief["mean"], belief["std"], _by_sample(valid, metric))
            for metric, belief in point["prediction"].items()
        },
    )


def _by_sample(records: Sequence[ExperimentRecord], metric: str) -> list[float]:
    """One value a sample: electrodes scatter more than repeated measurements. Bounds are no values."""
    found: dict[str, list[float]] = {}
    for record in records:
        told = record.values.get(metric)
        if told is not None and told.value is not None and told.censored is None:
            found.setdefault(record.sample or f"experiment {record.id}", []).append(told.value)
    return [statistics.fmean(values) for values in found.values()]


def compare(expected: float, std: float, values: Sequence[float]) -> Agreement:
    """Compare what was expected with what samples gave.

    Confirmed is what lies within ``mean +- t u``. With ``s`` the standard deviation of n samples, ``u**2 = s**2 / n +
    std**2`` is the variance of the difference, and t the two-sided 95 % quantile of Student's distribution with the
    effective degrees of freedom of Welch and Satterthwaite, ``(n - 1) u**4 / (s**2 / n)**2``: those of ``std`` count as
    infinite (JCGM 100:2008, G.4.1, equation G.2b).

    Args:
        expected: mean.
        std: its standard deviation.
        values: one a sample.
    """
    n = len(values)
    mean = statistics.fmean(values) if values else None
    if mean is None or n < FEWEST:
        return Agreement(expected, std, mean, None, n, None, None, "not decided")
    from scipy.special import stdtrit

    variance = statistics.variance(values) / n
    total = variance + std**2
    tail = 0.5 + LEVEL / 2.0
    ratio = total / variance if variance > 0.0 else math.inf
    quantile = float(stdtrit((n - 1) * ratio * ratio, tail))
    reach = quantile * math.sqrt(total) + ROUNDING * max(abs(mean), abs(expected))
    verdict: Verdict = "confirmed" if abs(expected - mean) <= reach else "not confirmed"
    return Agreement(expected, std, mean, math.sqrt(variance), n, mean - reach, mean + reach, verdict)
