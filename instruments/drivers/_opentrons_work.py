"""How an Opentrons robot works: a run with what is loaded in it, and the motions, one command each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event, RLock
from typing import Any, Final, Literal

from pydantic import ValidationError

from instruments.device import Wiring
from instruments.drivers._opentrons_answers import (
    ENDED,
    STATUSES,
    Body,
    Door,
    Estop,
    Health,
    Instrument,
    Limits,
    Mount,
    Run,
    well_location,
)
from instruments.drivers._opentrons_deck import (
    Deck,
    DeckOptions,
    LabwareOptions,
    Loaded,
    Pipette,
    TipRack,
)
from instruments.drivers._opentrons_link import PREFIX, OpentronsLink
from instruments.errors import DeviceFault, LimitError, ProtocolError

BUSY: Final = tuple(status for status in STATUSES if status not in (*ENDED, "idle"))
TRASH: Final = {"OT-2 Standard": "fixedTrash", "OT-3 Standard": "movableTrashA3"}
"""Where used tips go, by model."""


class OpentronsWork(OpentronsLink):
    """Runs and motions, without the rules of when they are allowed.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
    """

    def __init__(self, name: str, options: DeckOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring, options.api_version)
        self._options = options
        self._working = RLock()  # one work at a time; making safe does not wait for it
        self._pipettes: tuple[Pipette, ...] = ()
        self._model = ""
        self._deck: Deck | None = None
        self._tips_on: dict[Mount, str] = {}  # the run that knows of the tip that a pipette has
        self._forgiven: set[str] = set()  # runs whose tips a person has taken off
        self._racks = tuple(
            TipRack(rack, labware.tips, labware.first_tip)
            for rack, labware in options.labware.items()
            if labware.tips is not None
        )

    def _current(self) -> Run | None:
        return next((run for run in self.runs() if run.current), None)

    def _is_mine(self, run: Run) -> bool:
        """Whether this driver, or one before it, gave commands in a run; one without commands moves nothing."""
        if self._deck is not None and run.id == self._deck.run_id:
            return True
        commands = self._commands(run.id)
        return bool(commands) and all(command.key.startswith(PREFIX) for command in commands)

    def _refuse_open_door(self) -> None:
        if self._get("/robot/door/status", Body[Door]).data.status == "open":
            raise DeviceFault("the door is open.", device=self.name, code="door-open", mend="Close it.")
        if (state := self._estop()) not in ("notPresent", "disengaged"):
            raise DeviceFault(
                f"the emergency stop is {state}.", device=self.name, code="estop", mend="Release it when it is safe."
            )

    def _ready(self, cancelled: Event | None) -> Deck:
        """The deck of an idle run, loaded."""
        current = self._current()
        if self._deck is not None and current is not None and current.id == self._deck.run_id:
            if current.status == "idle":
                return self._deck
        elif current is not None and current.status in BUSY:
            raise DeviceFault(
                f"another's run is {current.status}.", device=self.name, code="busy", mend="Wait, or end that run."
            )
        self._deck = None
        if current is not None:
            self._tidy(current, cancelled)
        if self._tips_on:
            raise DeviceFault(
                f"the {' and the '.join(self._tips_on)} pipette may have a tip that no run knows of.",
                device=self.name,
                code="tip-left",
                mend="Take it off, and say so (`tips_removed`).",
            )
        deck = Deck(self._create_run().id)
        for mount, pipette in self._options.pipettes.items():
            result = self._do(deck, "loadPipette", {"pipetteName": pipette, "mount": mount}, cancelled)
            deck.pipettes[mount] = _text(self.name, result, "pipetteId")
        for name, labware in self._options.labware.items():
            deck.labware[name] = self._load(deck, name, labware, cancelled)
        for rack in self._racks:
            rack.order = deck.labware[rack.name].wells
            if rack.first not in rack.order:
                raise LimitError(f"{rack.name} has no tip {rack.first!r}.", device=self.name, field="first_tip")
        self._deck = deck
        return deck

    def _tidy(self, run: Run, cancelled: Event | None) -> None:
        """Drop the tips of a run of this driver, or one before it, which a new run would not know of.

        With an unknown tip a pipette would run into things, so only a run that is still idle can drop its tips.
        """
        if run.id in self._forgiven or not self._is_mine(run):
            return
        for mount, pipette in self._tips_of(run).items():
            self._tips_on[mount] = run.id
            if run.status == "idle":
                self._refuse_open_door()
                self._drop(Deck(run.id, {mount: pipette}), mount, cancelled)

    def _tips_of(self, run: Run) -> dict[Mount, str]:
        """Pipettes that have a tip at the end of a run, by mount, as far as its commands tell."""
        tipped: dict[str, bool] = {}
        for command in self._history(run.id):
            pipette = str(command.params.get("pipetteId"))
            if command.command_type == "pickUpTip":
                tipped[pipette] = command.status != "failed" or tipped.get(pipette, False)
            elif command.command_type in ("dropTip", "dropTipInPlace") and command.status == "succeeded":
                tipped[pipette] = False
        return {pipette.mount: pipette.id for pipette in run.pipettes if tipped.get(pipette.id)}

    def _load(self, deck: Deck, name: str, labware: LabwareOptions, cancelled: Event | None) -> Loaded:
        params = {
            "location": {"slotName": labware.slot},
            "loadName": labware.load_name,
            "namespace": labware.namespace,
            "version": labware.version,
            "displayName": name,
        }
        result = self._do(deck, "loadLabware", params, cancelled)
        definition = result.get("definition")
        ordering = definition.get("ordering") if isinstance(definition, dict) else None
        if not isinstance(ordering, list) or not all(isinstance(column, list) for column in ordering):
            raise ProtocolError(f"the definition of {labware.load_name} has no wells.", device=self.name)
        wells = tuple(str(well) for column in ordering for well in column)
        return Loaded(_text(self.name, result, "labwareId"), wells)

    def _estop(self) -> str:
        try:
            return self._get("/robot/control/estopStatus", Body[Estop]).data.status
        except DeviceFault as problem:
            if problem.code == "NotSupportedOnOT2":
                return "notPresent"
            raise

    def _do(self, deck: Deck, kind: str, params: Mapping[str, Any], cancelled: Event | None) -> Mapping[str, Any]:
        return self._command(deck.run_id, kind, params, cancelled, self._options.command_timeout)

    def _pipette(self, deck: Deck, mount: Mount) -> str:
        if mount not in deck.pipettes:
            raise LimitError(f"there is no pipette on the mount {mount}.", device=self.name, field="mount")
        return deck.pipettes[mount]

    def _next_tip(self, mount: Mount) -> tuple[TipRack, str]:
        for rack in self._racks:
            if rack.mount == mount and rack.left:
                return rack, rack.left[0]
        raise LimitError(
            f"no tips are left for the {mount} pipette.",
            device=self.name,
            field="tips",
            mend="Put a full rack on the deck, and say so.",
        )

    def _pick_up(self, deck: Deck, mount: Mount, cancelled: Event | None) -> None:
        if mount in self._tips_on:  # left over from a transfer that failed
            self._drop(deck, mount, cancelled)
        rack, well = self._next_tip(mount)
        rack.taken.add(well)  # before it is tried: a tip that may have been touched is not taken again
        self._tips_on[mount] = deck.run_id
        place = {"labwareId": deck.labware[rack.name].labware_id, "wellName": well}
        try:
            self._do(deck, "pickUpTip", {**place, "pipetteId": self._pipette(deck, mount)}, cancelled)
        except DeviceFault:
            del self._tips_on[mount]
            raise

    def _drop(self, deck: Deck, mount: Mount, cancelled: Event | None) -> None:
        model = self._model or self._get("/health", Health).robot_model
        trash = self._options.trash or TRASH.get(model, "fixedTrash")
        pipette = {"pipetteId": self._pipette(deck, mount)}
        where = {**pipette, "addressableAreaName": trash, "alternateDropLocation": False}
        self._do(deck, "moveToAddressableAreaForDropTip", where, cancelled)
        self._do(deck, "dropTipInPlace", pipette, cancelled)
        self._tips_on.pop(mount, None)

    def _liquid(
        self,
        deck: Deck,
        kind: Literal["aspirate", "dispense"],
        mount: Mount,
        place: Sequence[str],
        volume: float,
        cancelled: Event | None,
    ) -> None:
        height = self._options.aspirate_height if kind == "aspirate" else self._options.dispense_height
        params = {
            "labwareId": place[0],
            "wellName": place[1],
            "wellLocation": well_location(height),
            "flowRate": self._options.flow_rate,
            "volume": volume,
            "pipetteId": self._pipette(deck, mount),
        }
        self._do(deck, kind, params, cancelled)

    def _blow_out(self, deck: Deck, mount: Mount, place: Sequence[str], cancelled: Event | None) -> None:
        params = {
            "labwareId": place[0],
            "wellName": place[1],
            "wellLocation": {"origin": "top", "offset": {"x": 0, "y": 0, "z": 0}},
            "flowRate": self._options.flow_rate,
            "pipetteId": self._pipette(deck, mount),
        }
        self._do(deck, "blowout", params, cancelled)


def limits_of(device: str, instrument: Instrument) -> Limits:
    try:
        return Limits.model_validate(instrument.data)
    except ValidationError as problem:
        raise ProtocolError(f"the pipette {instrument.instrument_name} has no volumes.", device=device) from problem


def _text(device: str, result: Mapping[str, Any], key: str) -> str:
    value = result.get(key)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"a result without {key}.", device=device)
    return value
