"""Which waiting experiment goes to which free cell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestrator.store.records import AttemptRecord, ExperimentRecord


def homes(records: Iterable[ExperimentRecord], attempts: Mapping[int, AttemptRecord]) -> dict[str, str]:
    """By sample, the cell that it is mounted in: the one of its last attempt.

    Args:
        records: all experiments, by id.
        attempts: the last attempt of each that had one.
    """
    last: dict[str, AttemptRecord] = {}
    for record in records:
        attempt = attempts.get(record.id)
        if record.sample is None or attempt is None:
            continue
        former = last.get(record.sample)
        if former is None or attempt.clock_started >= former.clock_started:
            last[record.sample] = attempt
    return {sample: attempt.cell for sample, attempt in last.items()}


def place(
    waiting: Sequence[ExperimentRecord],
    free: Sequence[str],
    cells: Collection[str],
    at_home: Mapping[str, str],
    running: Collection[str | None],
) -> list[tuple[ExperimentRecord, str]]:
    """Give each free cell an experiment, if there is one for it.

    Experiments that share a sample run one after the other in the cell where it is mounted, before that cell takes
    another sample. All others go in their order to whichever cell is free.

    Args:
        waiting: the queue.
        free: cells without an experiment.
        cells: all cells.
        at_home: of :func:`homes`.
        running: samples that an experiment runs on.

    Returns:
        Pairs of experiment and cell, in the order of the cells.
    """
    busy = {sample for sample in running if sample is not None}
    left = [record for record in waiting if record.sample not in busy]
    placed = []
    for cell in free:
        home = [r for r in left if r.sample is not None and at_home.get(r.sample) == cell]
        loose = [r for r in left if r.sample is None or at_home.get(r.sample) not in cells]
        chosen = next(iter([*home, *loose]), None)
        if chosen is not None:
            placed.append((chosen, cell))
            left = [r for r in left if r.id != chosen.id and (r.sample is None or r.sample != chosen.sample)]
    return placed
