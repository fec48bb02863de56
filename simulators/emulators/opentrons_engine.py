"""What an Opentrons robot does with commands: its runs, pipettes, tips and deck, in laboratory time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, RLock
from typing import Any, Final

from simulators.emulators.faults import Faults
from simulators.emulators.opentrons_labware import PIPETTES, definition
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Bench

SECONDS: Final[Mapping[str, float]] = {
    "home": 8.0,
    "pickUpTip": 4.0,
    "aspirate": 2.0,
    "dispense": 2.0,
    "blowout": 1.5,
    "dropTip": 3.0,
    "dropTipInPlace": 1.5,
    "moveToWell": 2.0,
    "moveToAddressableAreaForDropTip": 2.0,
}
"""Of commands that move something; liquid adds its volume over its flow rate."""
INSTANT: Final = ("loadPipette", "loadLabware", "comment", "setRailLights", "waitForDuration")
REQUIRED: Final[Mapping[str, Mapping[str, type | tuple[type, ...]]]] = {
    "home": {},
    "loadPipette": {"pipetteName": str, "mount": str},
    "loadLabware": {"location": (dict, str), "loadName": str, "namespace": str, "version": int},
    "pickUpTip": {"pipetteId": str, "labwareId": str, "wellName": str},
    "aspirate": {"pipetteId": str, "labwareId": str, "wellName": str, "flowRate": (int, float), "volume": (int, float)},
    "dispense": {"pipetteId": str, "labwareId": str, "wellName": str, "flowRate": (int, float), "volume": (int, float)},
    "blowout": {"pipetteId": str, "labwareId": str, "wellName": str, "flowRate": (int, float)},
    "dropTip": {"pipetteId": str, "labwareId": str, "wellName": str},
    "dropTipInPlace": {"pipetteId": str},
    "moveToWell": {"pipetteId": str, "labwareId": str, "wellName": str},
    "moveToAddressableAreaForDropTip": {"pipetteId": str, "addressableAreaName": str},
    "comment": {"message": str},
    "setRailLights": {"on": bool},
    "waitForDuration": {"seconds": (int, float)},
}
ENDED: Final = ("stopped", "failed", "succeeded")
POSITION: Final = {"x": 14.38, "y": 74.24, "z": 64.69}


class CommandError(Exception):
    """A command that does not work: the robot's name of the error, its number, and what happened."""

    def __init__(self, kind: str, detail: str, code: str = "4000") -> None:
        super().__init__(detail)
        self.kind, self.code = kind, code


def now() -> str:
    """A time stamp."""
    return datetime.now(UTC).isoformat()


@dataclass
class Tip:
    """A pipette with what it carries."""

    mount: str
    name: str
    tip: float | None = None
    real: bool = False
    contents: list[tuple[str | None, float]] = field(default_factory=list)

    @property
    def volume(self) -> float:
        """Of what is in the tip, uL."""
        return sum(volume for _, volume in self.contents)

    @property
    def room(self) -> float:
        """Of tip and pipette, uL."""
        return min(self.tip or 0.0, PIPETTES[self.name][1])


@dataclass
class Labware:
    """Something on the deck."""

    labware_id: str
    load_name: str
    slot: str
    name: str
    definition: dict[str, Any]


@dataclass
class Order:
    """A command of a run, as its answer has it."""

    body: dict[str, Any]
    done: Event = field(default_factory=Event)


@dataclass
class Run:
    """A run.

    Attributes:
        played: whether it has been started; only then its commands can be broken off.
        refusing: set when it was told to stop; what has not begun never will.
        stopping: breaks off what it does.
    """

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: str = field(default_factory=now)
    status: str = "idle"
    current: bool = True
    actions: list[dict[str, Any]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    pipettes: dict[str, Tip] = field(default_factory=dict)
    labware: dict[str, Labware] = field(default_factory=dict)
    played: bool = False
    refusing: Event = field(default_factory=Event)
    stopping: Event = field(default_factory=Event)

    def body(self) -> dict[str, Any]:
        """As the robot tells of it."""
        return {
            "id": self.run_id,
            "ok": True,
            "createdAt": self.created,
            "status": self.status,
            "current": self.current,
            "actions": self.actions,
            "errors": [],
            "hasEverEnteredErrorRecovery": False,
            "pipettes": [
                {"id": key, "pipetteName": one.name, "mount": one.mount} for key, one in self.pipettes.items()
            ],
            "modules": [],
            "labware": [
                {
                    "id": one.labware_id,
                    "loadName": one.load_name,
                    "definitionUri": f"opentrons/{one.load_name}/{one.definition['version']}",
                    "location": {"slotName": one.slot},
                }
                for one in self.labware.values()
            ],
            "liquids": [],
            "labwareOffsets": [],
        }


class Engine:
    """Executes commands.

    Args:
        mounted: names of pipettes by mount.
        slots: of the deck.
        bench: the vessels on it.
        pace: of the laboratory.
        faults: that can be armed.

    Attributes:
        gone: slots and wells of tips that are not there any more.
        tipped: mounts whose pipette truly has a tip, whatever the current run knows of it.
        collisions: tips that were pressed onto other tips, which no OT-2 notices.
    """

    def __init__(
        self, mounted: Mapping[str, str], slots: tuple[str, ...], bench: Bench, pace: Pace, faults: Faults
    ) -> None:
        self.mounted, self.slots, self.bench, self.pace, self.faults = mounted, slots, bench, pace, faults
        self.lock = RLock()
        self.gone: set[tuple[str, str]] = set()
        self.tipped: set[str] = set()
        self.collisions = 0
        self.lights = False
        self.moving: str | None = None

    def execute(self, run: Run, order: Order) -> None:
        """Execute a command to its end, whichever that is."""
        body = order.body
        with self.lock:
            body |= {"status": "running", "startedAt": now()}
        try:
            result = self._perform(run, body["commandType"], body["params"])
            outcome: dict[str, Any] = {"status": "succeeded", "result": result}
        except CommandError as problem:
            error = {
                "id": str(uuid.uuid4()),
                "createdAt": now(),
                "isDefined": False,
                "errorType": problem.kind,
                "errorCode": problem.code,
                "detail": str(problem),
                "errorInfo": {},
                "wrappedErrors": [],
            }
            outcome = {"status": "failed", "error": error}
        with self.lock:
            self.moving = None
            body |= {**outcome, "completedAt": now()}
        order.done.set()

    def _perform(self, run: Run, kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if kind in INSTANT:
            if kind == "waitForDuration" and self.pace.wait(float(params["seconds"]), run.stopping):
                raise CommandError("RunStoppedError", "The run has already stopped.")
            if self.faults.take("command_fails"):
                raise CommandError("UnexpectedProtocolError", "An emulated failure.")
            return self._instant(run, kind, params)
        if self.faults.holds("estop"):
            raise CommandError("EStopActivatedError", "E-stop activated.", "3008")
        act = self._prepare(run, kind, params)
        if self.faults.take("command_fails"):
            raise CommandError("UnexpectedProtocolError", "An emulated failure.")
        with self.lock:
            self.moving = kind
        seconds = SECONDS[kind]
        if kind in ("aspirate", "dispense"):
            seconds += float(params["volume"]) / float(params["flowRate"])
        if slow := self.faults.take("slow_motion"):
            seconds *= slow.values.get("factor", 10.0)
        share = 0.5 if self.faults.take("crash") else 1.0
        if self.pace.wait(share * seconds, run.stopping):
            raise CommandError("RunStoppedError", "The run has already stopped.")
        with self.lock:
            result = act(share)
        if share < 1.0:
            raise CommandError("StallOrCollisionDetectedError", "Stall or Collision Detected", "2003")
        return result

    def _instant(self, run: Run, kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock:
            match kind:
                case "loadPipette":
                    return self._load_pipette(run, params)
                case "loadLabware":
                    return self._load_labware(run, params)
                case "setRailLights":
                    self.lights = params["on"]
        return {}

    def _load_pipette(self, run: Run, params: Mapping[str, Any]) -> dict[str, Any]:
        mount, name = params["mount"], params["pipetteName"]
        if self.mounted.get(mount) != name:
            raise CommandError("FailedToLoadPipetteError", f"No {name} is attached on {mount}.")
        run.pipettes = {key: one for key, one in run.pipettes.items() if one.mount != mount}
        key = params.get("pipetteId") or str(uuid.uuid4())
        run.pipettes[key] = Tip(mount, name)
        return {"pipetteId": key}

    def _load_labware(self, run: Run, params: Mapping[str, Any]) -> dict[str, Any]:
        made = definition(params["loadName"], params["namespace"], params["version"])
        uri = f"{params['namespace']}/{params['loadName']}/{params['version']}"
        if made is None:
            raise CommandError("LabwareDefinitionDoesNotExistError", f"Labware definition for {uri} does not exist.")
        place = params["location"]
        slot = str(place.get("slotName")) if isinstance(place, dict) else str(place)
        if slot not in self.slots:
            raise CommandError("SlotDoesNotExistError", f"Slot {slot} does not exist.")
        if any(one.slot == slot for one in run.labware.values()):
            raise CommandError("LocationIsOccupiedError", f"Slot {slot} is occupied.")
        key = params.get("labwareId") or str(uuid.uuid4())
        name = params.get("displayName") or params["loadName"]
        run.labware[key] = Labware(key, params["loadName"], slot, name, made)
        return {"labwareId": key, "definition": made}

    # Motions: each checks first, and gives what happens at its end, for the share of it that was done

    def _prepare(self, run: Run, kind: str, params: Mapping[str, Any]) -> Callable[[float], dict[str, Any]]:  # noqa: PLR0911
        if kind == "home":
            return lambda share: {}  # noqa: ARG005
        pipette = run.pipettes.get(params["pipetteId"])
        if pipette is None:
            raise CommandError("PipetteNotLoadedError", f"Pipette {params['pipetteId']} not found.")
        if kind in ("moveToAddressableAreaForDropTip", "dropTipInPlace"):
            if kind == "dropTipInPlace":
                self._needs_tip(pipette)
                return lambda share: self._drop(pipette, {})  # noqa: ARG005
            return lambda share: {"position": POSITION}  # noqa: ARG005
        labware, well = self._place(run, params)
        if kind == "moveToWell":
            return lambda share: {"position": POSITION}  # noqa: ARG005
        if kind == "pickUpTip":
            return self._pick_up(pipette, labware, well)
        self._needs_tip(pipette)
        if kind == "dropTip":
            return lambda share: self._drop(pipette, {"position": POSITION})  # noqa: ARG005
        return self._with_liquid(pipette, f"{labware.name}/{well}", kind, params)

    def _with_liquid(
        self, pipette: Tip, place: str, kind: str, params: Mapping[str, Any]
    ) -> Callable[[float], dict[str, Any]]:
        if kind == "blowout":
            return lambda share: self._dispense(pipette, place, pipette.volume * share, {"position": POSITION})
        volume = float(params["volume"])
        result = {"position": POSITION, "volume": volume}
        if kind == "dispense":
            if volume > pipette.volume + 1e-6:
                detail = f"Cannot dispense {volume} µL when only {pipette.volume} µL has been aspirated."
                raise CommandError("InvalidDispenseVolumeError", detail)
            return lambda share: self._dispense(pipette, place, volume * share, result)
        free = pipette.room - pipette.volume
        if volume > free + 1e-6:
            detail = f"Cannot aspirate {volume} µL when only {free} is available."
            raise CommandError("InvalidAspirateVolumeError", detail)
        location = params.get("wellLocation") or {}
        # where nothing else is said the tip stays at the top of the well, in the air
        air = location.get("origin", "top") == "top" and location.get("offset", {}).get("z", 0) >= 0
        source = place if pipette.real and not air else None

        def act(share: float) -> dict[str, Any]:
            pipette.contents.append((source, volume * share))
            return result

        return act

    @staticmethod
    def _needs_tip(pipette: Tip) -> None:
        if pipette.tip is None:
            raise CommandError("TipNotAttachedError", "Pipette should have a tip attached, but does not.")

    def _place(self, run: Run, params: Mapping[str, Any]) -> tuple[Labware, str]:
        labware, well = run.labware.get(params["labwareId"]), params["wellName"]
        if labware is None:
            raise CommandError("LabwareNotLoadedError", f"Labware {params['labwareId']} not found.")
        if well not in labware.definition["wells"]:
            raise CommandError("WellDoesNotExistError", f"{well} does not exist in {labware.labware_id}.")
        return labware, well

    def _pick_up(self, pipette: Tip, rack: Labware, well: str) -> Callable[[float], dict[str, Any]]:
        if not rack.definition["parameters"]["isTiprack"]:
            raise CommandError("LabwareIsNotTipRackError", f"{rack.labware_id} is not a tip rack.")
        if pipette.tip is not None:
            raise CommandError("TipAttachedError", "Pipette should not have a tip attached, but does.")

        def act(share: float) -> dict[str, Any]:  # noqa: ARG001
            volume = float(rack.definition["wells"][well]["totalLiquidVolume"])
            # the robot does not notice that there was no tip, or one on the pipette; what it then aspirates is nothing
            pipette.tip, pipette.real = volume, (rack.slot, well) not in self.gone and pipette.mount not in self.tipped
            self.collisions += pipette.mount in self.tipped
            self.gone.add((rack.slot, well))
            self.tipped.add(pipette.mount)
            return {"position": POSITION, "tipVolume": volume, "tipLength": 51.83, "tipDiameter": 5.23}

        return act

    def _dispense(self, pipette: Tip, target: str, volume: float, result: dict[str, Any]) -> dict[str, Any]:
        left = volume
        while left > 1e-9 and pipette.contents:
            source, held = pipette.contents.pop(0)
            moved = min(held, left)
            if held > moved:
                pipette.contents.insert(0, (source, held - moved))
            if source is not None:
                self.bench.transfer(source, target, moved)
            left -= moved
        return result

    def _drop(self, pipette: Tip, result: dict[str, Any]) -> dict[str, Any]:
        self._dispense(pipette, "trash", pipette.volume, {})
        pipette.tip, pipette.real = None, False
        self.tipped.discard(pipette.mount)
        return result
