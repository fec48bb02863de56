"""What a loop has in hand: the pieces of it share this, and only the loop's own thread changes it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event, Lock

from instruments.lab import Lab, Outcome, Resuming, VirtualTime
from orchestrator.campaign import Campaign
from orchestrator.loop.attendance import Wait
from orchestrator.loop.cells import Cells
from orchestrator.loop.context import RealClock
from orchestrator.loop.controls import Controls
from orchestrator.loop.engine import Engine
from orchestrator.loop.executing import Flight
from orchestrator.loop.keeping import Files
from orchestrator.loop.listener import Listener
from orchestrator.loop.sending import Sender
from orchestrator.loop.terms import Terms
from orchestrator.store.records import AttemptRecord, CampaignState, ExperimentRecord


@dataclass
class Work:
    """The state of one sitting.

    Attributes:
        campaign: proposes and learns; kept in its store.
        lab: executes.
        engine: runs the pieces.
        files: where raw signals are kept.
        cancelled: when set, nothing more is started and what runs ends.
        listeners: are told what happens.
        cells: those in service.
        sender: of raw signals, to object storage.
        terms: of the campaign's definition.
        queue: experiments that may be started, the next one first.
        flights: what runs, by experiment.
        landed: experiments whose execution has ended, as they come.
        attempts: the last attempt of each experiment that had one.
        failures: by experiment, how many of its attempts failed.
        devices: what the cells of this process share.
        controls: of the laboratory.
        waits: the state in which the campaign must wait for a person, and why.
        paused: nothing is started, what runs goes on.
        stops: why a person has ended the campaign; what runs goes on.
        stop_now: what runs is cancelled, too.
        gives_way: why the devices are given to another campaign as soon as nothing runs; empty where they are not.
        stale: a person has decided about something that was about to be started.
        now: by a virtual clock, s.
        clock: the laboratory's, where time is real.
        virtual: whether the laboratory's time passes only in a simulation.
        version: of the definition that the terms are of.
    """

    campaign: Campaign
    lab: Lab
    engine: Engine
    files: Files
    cancelled: Event
    listeners: Sequence[Listener]
    cells: Cells
    sender: Sender
    terms: Terms
    queue: deque[ExperimentRecord] = field(default_factory=deque)
    flights: dict[int, Flight] = field(default_factory=dict)
    landed: SimpleQueue[int] = field(default_factory=SimpleQueue)
    attempts: dict[int, AttemptRecord] = field(default_factory=dict)
    failures: Counter[int] = field(default_factory=Counter)
    devices: dict[str, Lock] = field(default_factory=dict)
    controls: Controls | None = None
    waits: Wait | None = None
    paused: bool = False
    stops: str | None = None
    stop_now: bool = False
    gives_way: str = ""
    stale: bool = False
    now: float = 0.0
    clock: RealClock = field(default_factory=lambda: RealClock(0.0))
    virtual: bool = field(init=False)
    version: int = field(init=False)

    def __post_init__(self) -> None:
        self.version = self.campaign.version
        self.virtual = isinstance(self.lab, VirtualTime) and self.lab.virtual_time

    @property
    def resumes(self) -> bool:
        """Whether what runs goes on while no process does, as where people run it."""
        return isinstance(self.lab, Resuming) and self.lab.resumes

    def send(self, landed: int) -> None:
        """Send raw signals to object storage, but those of attempts that still run: files may still come to them.

        Args:
            landed: an experiment whose result was just recorded.
        """
        self.sender.wake({flight.context.location for id, flight in self.flights.items() if id != landed})

    @property
    def time(self) -> float:
        """By the laboratory's clock, s."""
        return self.now if self.virtual else self.clock.now()

    def hours(self) -> float:
        """By the laboratory's clock."""
        return self.time / 3600.0

    @property
    def starts(self) -> bool:
        """Whether anything may be started."""
        return not (self.ends or self.paused or self.gives_way)

    @property
    def ends(self) -> bool:
        """Whether the sitting is to end: it was cancelled, a person ended it, or must act first."""
        return self.cancelled.is_set() or self.stops is not None or self.waits is not None

    def lands_at(self, id: int) -> tuple[float, int]:
        """When a flight that has ended does so by a virtual clock, in s, and its id: the order of results."""
        flight = self.flights[id]
        try:
            outcome = flight.running.result()
            return flight.attempt.clock_started + (outcome.duration if isinstance(outcome, Outcome) else 0.0), id
        except Exception:  # noqa: BLE001  it is raised again, and dealt with, when this flight is learned from
            return flight.attempt.clock_started, id

    def end_waiting(self) -> None:
        """The loop is cancelled: let those end who wait for nothing but a person's word."""
        for flight in self.flights.values():
            flight.context.over.set()

    def wait_for(self, state: CampaignState, why: str) -> None:
        """Let the campaign wait for a person; the first reason stays, unless the next one is graver."""
        if state in ("holding", "halted") and (self.waits is None or state == "halted"):
            self.waits = ("holding" if state == "holding" else "halted"), why
