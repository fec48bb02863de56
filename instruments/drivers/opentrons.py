"""Opentrons OT-2 and Flex: a robot that moves liquids between wells, over its HTTP interface.

The unit of work is :meth:`Opentrons.transfer`. All that can be wrong with it is found before anything moves: volumes
against pipettes and tips, places against the labware, the door, the rig's permission. A command whose answer was lost
is looked up in the run by its key, never given again. `201 Created` tells that a command was heard, not that it worked:
its own status says that.

Protocol: the robot-server's OpenAPI document, version 8.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Final, Literal

from instruments.device import Attribute, Identity, Safety, Value, Wiring
from instruments.drivers._opentrons_answers import (
    ENDED,
    STATUSES,
    Body,
    Door,
    Health,
    Instrument,
    Lights,
    Mount,
    well_location,
)
from instruments.drivers._opentrons_deck import DeckOptions, Pipette, Plan, check_place, plan_volume
from instruments.drivers._opentrons_work import BUSY, OpentronsWork, limits_of
from instruments.errors import DeviceError, DeviceFault, ExecutionCancelled, LimitError

ESTOP: Final = ("notPresent", "disengaged", "physicallyEngaged", "logicallyEngaged")


class OpentronsOptions(DeckOptions):
    """How to reach a robot, and what stands on its deck; see :class:`DeckOptions` for the rest.

    Attributes:
        kind: ``opentrons``.
    """

    kind: Literal["opentrons"] = "opentrons"

    def build(self, name: str, wiring: Wiring) -> Opentrons:
        """The device."""
        return Opentrons(name, self, wiring)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A volume that was moved.

    Attributes:
        source: ``labware/well``.
        target: ``labware/well``.
        volume: uL.
        sem: standard uncertainty of it, uL.
        pipette: that moved it.
        portions: in which it was moved, uL.
    """

    source: str
    target: str
    volume: float
    sem: float
    pipette: str
    portions: tuple[float, ...]


class Opentrons(OpentronsWork):
    """An OT-2 or a Flex.

    Its safe state is that no run moves it: its own run, or where the options allow it whichever is current, is ended.
    """

    # What every driver offers

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """State, door, lights, emergency stop, tips that are left, and the volumes that can be transferred."""
        low = min((p.low for p in self._pipettes), default=0.0)
        return {
            "state": Attribute("state", choices=("none", *STATUSES), description="of the robot's current run"),
            "door": Attribute("door", choices=("open", "closed")),
            "estop": Attribute("estop", choices=ESTOP, description="emergency stop; notPresent on an OT-2"),
            "lights": Attribute("lights", settable=True, choices=("on", "off"), description="of the deck"),
            "tips": Attribute("tips", low=0.0, description="that are left"),
            "volume": Attribute("volume", "uL", low=low, description="of one transfer"),
        }

    def connect(self) -> None:
        """Ask which robot it is, and whether the pipettes are those of the options.

        Raises:
            DeviceError: it cannot be reached, or is not what it should be.
        """
        self._check_serial(self.identify())
        mounted = {one.mount: one for one in self._get("/instruments", Body[list[Instrument]]).data}
        pipettes = []
        for mount, wanted in self._options.pipettes.items():
            found = mounted.get(mount)
            if found is None or not found.ok or found.instrument_name != wanted:
                has = "none" if found is None else found.instrument_name or "one that does not work"
                raise DeviceError(
                    f"on the mount {mount} is {has}, not {wanted}.",
                    device=self.name,
                    field=f"pipettes.{mount}",
                    mend="Exchange the pipette, or correct the rig file.",
                )
            limits = limits_of(self.name, found)
            pipettes.append(Pipette(mount, wanted, limits.min_volume, limits.max_volume, limits.channels))
        self._pipettes = tuple(pipettes)

    def identify(self) -> Identity:
        """Model, serial number and software.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        health = self._get("/health", Health)
        self._model = health.robot_model
        return Identity("Opentrons", health.robot_model, health.robot_serial, health.api_version)

    def make_safe(self) -> Safety:
        """End the current run, as far as it is this driver's or the options allow it, and read that back.

        The robot breaks off the motions of a protocol; a single motion that has begun comes to its end.

        Raises:
            DeviceError: it did not answer.
        """
        current = self._insist(self._current)
        if current is None or current.status in ENDED:
            return Safety(True, "no run" if current is None else f"run {current.status}")
        run = current
        if not (self._options.stop_others or self._insist(lambda: self._is_mine(run))):
            moving = run.status in BUSY or any(not c.ended for c in self._insist(lambda: self._commands(run.id)))
            return Safety(not moving, f"another's run is {run.status}{', and moves' if moving else ''}")
        return Safety(True, f"run {self._stop_run(run.id).status}")

    # What only this instrument does

    def plan(self, volume: float, mount: Mount | None = None) -> Plan:
        """How a volume would be transferred; sends nothing.

        Args:
            volume: uL.
            mount: of the pipette, where that matters.

        Raises:
            LimitError: no pipette can.
        """
        if not self._pipettes:
            raise LimitError("its pipettes are not known yet.", device=self.name, field="volume", mend="Connect first.")
        self.check("volume", volume)
        return plan_volume(self.name, volume, self._pipettes, mount)

    def prepare(self, cancelled: Event | None = None) -> None:
        """Begin a run and load pipettes and labware, where that has not been done.

        Moves nothing, but where a driver before this one left a tip on a pipette: that is dropped first.

        Raises:
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceFault: another's run is under way, a pipette may have a tip that no run knows of, or something could
                not be loaded.
            ExecutionCancelled: it was cancelled.
            DeviceError: the robot did not answer.
        """
        self.allow("state", "running")
        with self._working:
            self._ready(cancelled)

    def transfer(
        self,
        source: str,
        target: str,
        volume: float,
        *,
        mount: Mount | None = None,
        blow_out: bool = True,
        cancelled: Event | None = None,
    ) -> Transfer:
        """Move a volume with a fresh tip, in portions where it is more than the pipette holds, and drop the tip.

        Args:
            source: ``labware/well``.
            target: ``labware/well``.
            volume: uL.
            mount: of the pipette, where that matters.
            blow_out: whether the tip is blown out over the target.
            cancelled: the motion that has begun comes to its end, and the tip is dropped.

        Raises:
            LimitError: no pipette can, there is no such place, or no tip is left; nothing moved.
            Interlocked: the rig does not permit it now; nothing moved.
            DeviceFault: the door is open, or a command failed; a note says what had been dispensed before.
            ExecutionCancelled: it was cancelled; a note says the same.
            DeviceError: it is not known how far it came; the note says what is known.
        """
        plan = self.plan(volume, mount)
        for place in (source, target):
            check_place(self.name, place, self._options.labware)
        self.allow("volume", volume)
        with self._working:
            self._refuse_open_door()
            deck = self._ready(cancelled)
            origin, destination = deck.find(self.name, source), deck.find(self.name, target)
            self._next_tip(plan.pipette.mount)
            done = 0.0
            try:
                self._pick_up(deck, plan.pipette.mount, cancelled)
                for portion in plan.portions:
                    self._liquid(deck, "aspirate", plan.pipette.mount, origin, portion, cancelled)
                    self._liquid(deck, "dispense", plan.pipette.mount, destination, portion, cancelled)
                    done += portion
                if blow_out:
                    self._blow_out(deck, plan.pipette.mount, destination, cancelled)
                self._drop(deck, plan.pipette.mount, cancelled)
            except ExecutionCancelled as problem:
                problem.add_note(f"{done:g} of {volume:g} uL are known to have been dispensed into {target}.")
                if plan.pipette.mount in self._tips_on:
                    self._drop(deck, plan.pipette.mount, None)
                raise
            except Exception as problem:
                problem.add_note(f"{done:g} of {volume:g} uL are known to have been dispensed into {target}.")
                raise
        return Transfer(source, target, volume, plan.sem, plan.pipette.name, plan.portions)

    def home(self, cancelled: Event | None = None) -> None:
        """Move all axes to their ends.

        Raises:
            Interlocked: the rig does not permit it now; nothing moved.
            DeviceFault: the door is open, or it failed.
            ExecutionCancelled: it was cancelled.
            DeviceError: the robot did not answer.
        """
        self.allow("state", "running")
        with self._working:
            self._refuse_open_door()
            self._do(self._ready(cancelled), "home", {}, cancelled)

    def move_to(self, place: str, mount: Mount, height: float = 5.0, cancelled: Event | None = None) -> None:
        """Move a pipette over a well.

        Args:
            place: ``labware/well``.
            mount: of the pipette.
            height: above the bottom of the well, mm.
            cancelled: nothing is begun any more.

        Raises:
            LimitError: there is no such place.
            Interlocked: the rig does not permit it now; nothing moved.
            DeviceFault: the door is open, or it failed.
            ExecutionCancelled: it was cancelled.
            DeviceError: the robot did not answer.
        """
        check_place(self.name, place, self._options.labware)
        self.allow("state", "running")
        with self._working:
            self._refuse_open_door()
            deck = self._ready(cancelled)
            labware, well = deck.find(self.name, place)
            params = {"labwareId": labware, "wellName": well, "wellLocation": well_location(height)}
            self._do(deck, "moveToWell", {**params, "pipetteId": self._pipette(deck, mount)}, cancelled)

    def tips_removed(self) -> None:
        """Say that a person has taken all tips off the pipettes, which only people can see.

        Raises:
            DeviceError: the robot did not answer.
        """
        current = self._current()
        if current is not None:
            self._forgiven.add(current.id)
        self._tips_on.clear()

    def stop(self) -> None:
        """End this driver's run after the motion that has begun; a tip stays on its pipette.

        Raises:
            DeviceTimeout: it did not end.
            DeviceError: the robot did not answer.
        """
        deck = self._deck
        if deck is not None:
            self._stop_run(deck.run_id)

    def tips_left(self, mount: Mount) -> tuple[str, ...]:
        """Places of the tips that are left for a pipette, once the racks are loaded."""
        return tuple(f"{rack.name}/{well}" for rack in self._racks if rack.mount == mount for well in rack.left)

    def refill_tips(self, rack: str) -> None:
        """Say that a rack is full again.

        Raises:
            LimitError: there is no such rack.
        """
        found = next((one for one in self._racks if one.name == rack), None)
        if found is None:
            known = ", ".join(one.name for one in self._racks) or "none"
            raise LimitError(
                f"there is no rack of tips {rack!r}.", device=self.name, field="tips", mend=f"Known: {known}."
            )
        found.taken.clear()
        found.first = found.order[0] if found.order else "A1"

    def _read(self, attribute: Attribute) -> Value:
        match attribute.name:
            case "state":
                current = self._current()
                return "none" if current is None else current.status
            case "door":
                return self._get("/robot/door/status", Body[Door]).data.status
            case "lights":
                return "on" if self._get("/robot/lights", Lights).on else "off"
            case "tips":
                return float(sum(len(rack.left) for rack in self._racks))
            case "estop":
                return self._estop()
        raise LimitError("volume cannot be read.", device=self.name, field="volume", mend="It is for limits alone.")

    def _write(self, attribute: Attribute, value: Value) -> None:
        self._post("/robot/lights", {"on": value == "on"})
        if self._read(attribute) != value:
            raise DeviceFault(f"the lights are not {value}.", device=self.name, code="lights")
