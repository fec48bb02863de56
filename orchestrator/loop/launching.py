"""Handing an experiment to the laboratory."""

from __future__ import annotations

from instruments.lab import Job
from orchestrator.loop.context import AttemptContext, VirtualClock
from orchestrator.loop.executing import Flight, execute
from orchestrator.loop.journal import Journal
from orchestrator.loop.work import Work
from orchestrator.store.records import AttemptRecord, ExperimentRecord


def fly(work: Work, running: ExperimentRecord, attempt: AttemptRecord) -> None:
    """Execute an attempt that the store has as running.

    Args:
        work: what is in hand.
        running: the experiment.
        attempt: of it.
    """
    work.attempts[running.id] = attempt
    campaign, asked = work.campaign, dict(running.asked or {})
    context = AttemptContext(
        cell=attempt.cell,
        sample=attempt.sample or "",
        attempt=attempt.number,
        seed=running.seed,
        clock=VirtualClock(attempt.clock_started) if work.virtual else work.clock,
        keeper=work.files,
        location=attempt.files or work.files.location(campaign.name, running.id, attempt.number),
        cancelled=work.cancelled,
        devices=work.devices,
        fence=campaign.fence,
        log=None if work.virtual else Journal(campaign, running.id, attempt.number),
        about={
            "campaign": campaign.name,
            "experiment": running.id,
            "attempt": attempt.number,
            "parameters": asked,
        },
        began=attempt.clock_started,
    )
    job = Job(campaign.name, running.id, asked)
    label = f"execute experiment {running.id} on {attempt.cell}"
    flight = work.engine.submit("execute", label, lambda: execute(work.lab, work.controls, job, context))
    work.flights[running.id] = Flight(running, attempt, context, flight)
    flight.add_done_callback(lambda _: work.landed.put(running.id))


def take_up(work: Work) -> None:
    """Wait further for what goes on while no process runs; nothing else is running by now."""
    for record in work.campaign.experiments():
        if record.state == "running":
            fly(work, record, work.attempts[record.id])
