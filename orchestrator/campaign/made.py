"""Which samples were made, which of them take further conditions, and what they took. Light: ``status`` reads it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain, count
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from orchestrator.campaign.history import History
from orchestrator.store.records import AttemptRecord, ExperimentRecord

if TYPE_CHECKING:
    from orchestrator.config.samples import SamplesBlock

Conditions: TypeAlias = int | Literal["auto"] | None
"""Experiments on each sample: one, a number, or as many as pay."""

GONE: Final = ("rejected", "cancelled")
WAITING: Final = ("proposed", "approved", "queued")
"""States of experiments that have not begun."""

MOST_YOUNG: Final = 4
"""So many of the youngest samples may be measured further where no cell says which ones are mounted."""


def still_open(
    records: Iterable[ExperimentRecord], wanted: Conditions, history: History, limits: SamplesBlock | None
) -> dict[str, list[ExperimentRecord]]:
    """The samples that take further conditions, the oldest first, with the experiments that were asked on each.

    With a number, all that were measured less often. With ``auto``, those that are mounted in a cell; without cells the
    youngest few. One that is not to be used again takes none, and one that has failed for its material only where a
    person has put it back. One that is planned for all the experiments that it may be used for takes no more.

    Args:
        records: all experiments.
        wanted: conditions per sample.
        history: what was done so far.
        limits: what a campaign says of its samples.
    """
    if wanted is None:
        return {}
    records = list(records)
    groups, most = _groups(records), None if limits is None else limits.uses
    if wanted == "auto":
        last = set(history.experiments().values())
        mounted = {record.sample for record in records if record.id in last}
        youngest = sorted(groups, key=lambda name: -groups[name][-1].id)[:MOST_YOUNG]
        kept = [name for name in groups if name in (mounted if history.experiments() else youngest)]
    else:
        kept = [name for name, asked in groups.items() if len(asked) < wanted]

    def usable(name: str) -> bool:
        if most is not None and len(_planned(groups[name], history.life(name))) >= most:
            return False
        failed = any(r.failure_cause == "material" for r in groups[name])
        return name not in history.out and (not failed or history.put_back(name))

    return {name: groups[name] for name in kept if usable(name)}


def _planned(records: Iterable[ExperimentRecord], life: Iterable[AttemptRecord]) -> set[int]:
    """The experiments that were begun in the life of a sample, or will be."""
    return {attempt.experiment for attempt in life} | {record.id for record in records if record.state in WAITING}


def _groups(records: Iterable[ExperimentRecord]) -> dict[str, list[ExperimentRecord]]:
    """The experiments that were asked on each sample, the oldest sample first; not those that confirm a point."""
    groups: dict[str, list[ExperimentRecord]] = {}
    for record in records:
        if record.sample is not None and record.origin in ("asked", "manual") and record.state not in GONE:
            groups.setdefault(record.sample, []).append(record)
    return groups


def made(records: Iterable[ExperimentRecord], history: History, campaign: str, seed: int) -> set[str]:
    """The samples that were made, or will be for experiments that are not called off; prior data have none.

    Args:
        records: all experiments.
        history: what was done so far.
        campaign: its name.
        seed: of it.
    """
    asked = (r for r in records if r.origin != "prior" and r.state not in GONE)
    return history.samples | {r.sample or name_of(campaign, seed, r.id) for r in asked}


def catalyst(
    limits: SamplesBlock | None,
    wanted: Conditions,
    records: Iterable[ExperimentRecord],
    history: History,
    name: str,
    seed: int,
) -> tuple[float, float, bool]:
    """What fresh samples take of the catalyst.

    Args:
        limits: what a campaign says of its samples.
        wanted: conditions per sample.
        records: all experiments.
        history: what was done so far.
        name: of the campaign.
        seed: of it.

    Returns:
        The mass on all samples that were made or are planned, that on a fresh one (0: not known), both in mg, and
        whether further experiments are wanted on a sample that is there.
    """
    each = 0.0 if limits is None else limits.catalyst_mass or 0.0
    if not each:
        return 0.0, 0.0, False
    records = list(records)
    mass = each * len(made(records, history, name, seed))
    return mass, each, bool(still_open(records, wanted, history, limits))


def fresh_name(campaign: str, seed: int, experiment: int, taken: Container[str | None]) -> str:
    """The name of a sample that is made for an experiment whose own was another.

    Args:
        campaign: its name.
        seed: of it.
        experiment: id.
        taken: names of samples that there are.
    """
    own = name_of(campaign, seed, experiment)
    return next(name for name in chain([own], (f"{own}.{number}" for number in count(2))) if name not in taken)


def name_of(campaign: str, seed: int, experiment: int) -> str:
    """The name of the sample that is made for an experiment."""
    return f"{campaign}.{seed}-{experiment}"
