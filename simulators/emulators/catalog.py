"""Which emulator stands for which kind of device, and how each is connected to the plant behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from simulators.emulators.emulator import Emulator
from simulators.emulators.plant import Deck, Gauge, Plant, Valve
from simulators.emulators.roles import Flow, Switch
from simulators.emulators.wiring import Wired
from simulators.errors import EmulatorError

if TYPE_CHECKING:
    from simulators.emulators.alicat import AlicatEmulator


@dataclass
class Works:
    """What the emulators of one rig are built from.

    Attributes:
        wired: the rig file.
        plant: behind the instruments.
        valve: before the chromatograph.
        deck: of the liquid handler.
        gauges: what only reads, by device.
        built: emulators by device, so far.
    """

    wired: Wired
    plant: Plant
    valve: Valve
    deck: Deck
    gauges: dict[str, Gauge] = field(default_factory=dict)
    built: dict[str, Emulator] = field(default_factory=dict)

    def options(self, device: str) -> dict[str, Any]:
        """What the rig file says of this emulator alone, under ``emulation.devices``."""
        given = (self.wired.emulation.get("devices") or {}).get(device) or {}
        return {str(key): value for key, value in given.items()}

    def gauge(self, device: str, reading: float | Callable[[], float]) -> Gauge:
        """Something that only reads, and can be set from the control desk."""
        return self.gauges.setdefault(device, Gauge(reading))

    def cell(self, device: str) -> str:
        """The cell that a device belongs to; the first one for shared devices."""
        first = self.wired.first(device)
        return first.cell if first is not None and first.cell else next(iter(self.plant.cells))

    def flow(self, device: str) -> Flow:
        """The line that a controller or meter is in, by its role."""
        first = self.wired.first(device)
        role = "" if first is None else first.role
        if role == "gas":
            species = str(self.options(device).get("species", "co2"))
            return self.plant.inlet(device, self.cell(device), species)
        if role == "outlet":
            return self.plant.outlet(device, self.cell(device))
        return self.plant.pressure() if role == "back_pressure" else self.plant.line()

    def role(self, device: str) -> str:
        """The first role that a device fills; empty for none."""
        first = self.wired.first(device)
        return "" if first is None else first.role


Builder: TypeAlias = Callable[[str, Mapping[str, Any], Works, dict[str, Any]], Emulator]
"""From name, block, works, and ``pace``, ``host`` and ``port`` with what the file says to this emulator alone."""


def _methodscript(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.methodscript import MethodScriptEmulator

    if "family" in block:
        more.setdefault("family", block["family"])
    return MethodScriptEmulator(name, electrodes=works.plant.cells[works.cell(name)], **more)


def _alicat(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.alicat import AlicatEmulator

    more.pop("species", None)
    kind = block.get("controls", "flow")
    if kind == "pressure":
        line: Flow = works.plant.pressure()
    else:
        line = works.flow(name)
    return AlicatEmulator(
        name, flow=line, kind=kind, unit=str(block.get("unit", "A")), beside=_neighbour(name, works), **more
    )


def _neighbour(name: str, works: Works) -> AlicatEmulator | None:
    """Another device on the same line."""
    from simulators.emulators.alicat import AlicatEmulator

    wanted = works.wired.listens(name)
    for other, emulator in works.built.items():
        if isinstance(emulator, AlicatEmulator) and wanted[1] and works.wired.listens(other) == wanted:
            return emulator
    return None


def _bronkhorst(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.bronkhorst import BronkhorstEmulator

    more.pop("species", None)
    more.setdefault("kind", {"outlet": "meter", "back_pressure": "pressure"}.get(works.role(name), "flow"))
    if block.get("node", 128) != 128:
        more.setdefault("node", block["node"])
    return BronkhorstEmulator(name, flow=works.flow(name), **more)


def _new_era(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.new_era import NewEraEmulator

    more.setdefault("pump", int(block.get("address", 0)))
    return NewEraEmulator(name, flow=works.flow(name), **more)


def _madsci(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:  # noqa: ARG001
    """A node that mounts electrodes: what was dispensed at `source` comes into `cell`."""
    from simulators.emulators.madsci import MadsciEmulator
    from simulators.emulators.madsci_actions import NodeAction, Parameter

    def mount(given: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[Any, Mapping[str, bytes]]:  # noqa: ARG001
        works.deck.mount(str(given["source"]), works.plant.cells[str(given["cell"])])
        return True, {}

    words = (Parameter("cell", "str"), Parameter("source", "str"))
    action = NodeAction("mount", mount, words, 30.0, "Put the electrode from a place into a cell.")
    return MadsciEmulator(name, actions=[action], **more)


def _inficon_fusion(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:  # noqa: ARG001
    from simulators.emulators.inficon_fusion import InficonFusionEmulator

    return InficonFusionEmulator(name, analyser=works.valve, seed=works.plant.seed, **more)


def _opentrons(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.opentrons import OpentronsEmulator

    more.setdefault("pipettes", dict(block.get("pipettes") or {}))
    return OpentronsEmulator(name, bench=works.deck, **more)


def _vici(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.vici import ViciEmulator

    if "positions" in block:
        more.setdefault("positions", block["positions"])
    return ViciEmulator(name, selector=works.valve, **more)


def _julabo(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:  # noqa: ARG001
    from simulators.emulators.julabo import JulaboEmulator

    return JulaboEmulator(name, heat=works.plant.bath(), **more)


def _atlas_ezo(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.atlas_ezo import AtlasEzoEmulator

    sensor = block.get("sensor", "ph")
    cell = works.plant.cells[works.cell(name)]
    reading = {"ph": cell.ph, "rtd": lambda: cell.around.celsius}.get(sensor, 0.0)
    return AtlasEzoEmulator(name, probe=works.gauge(name, reading), sensor=sensor, **more)


def _mt_sics(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:  # noqa: ARG001
    from simulators.emulators.mt_sics import MtSicsEmulator

    return MtSicsEmulator(name, pan=works.gauge(name, 0.0), **more)


def _scpi_supply(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:  # noqa: ARG001
    from simulators.emulators.scpi_supply import ScpiSupplyEmulator

    return ScpiSupplyEmulator(name, cell=works.plant.cells[works.cell(name)], **more)


def _scpi_meter(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:  # noqa: ARG001
    from simulators.emulators.scpi_meter import ScpiMeterEmulator

    return ScpiMeterEmulator(name, probes={"voltage": works.gauge(name, 0.0)}, **more)


def _numato_relay(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.numato_relay import NumatoRelayEmulator

    return NumatoRelayEmulator(name, switches=_switches(name, block, works), **more)


def _modbus_relay(name: str, block: Mapping[str, Any], works: Works, more: dict[str, Any]) -> Emulator:
    from simulators.emulators.modbus_relay import ModbusRelayEmulator

    return ModbusRelayEmulator(name, switches=_switches(name, block, works), unit=int(block.get("unit", 1)), **more)


@dataclass
class _Inverted:
    """The contact of a coil that opens it when it has current."""

    inner: Switch

    def set(self, closed: bool) -> None:
        """Give current to the coil, or take it away."""
        self.inner.set(not closed)

    def closed(self) -> bool:
        """Whether the coil has current."""
        return not self.inner.closed()


def _switches(name: str, block: Mapping[str, Any], works: Works) -> dict[int, Switch]:
    """The coils of a card that disconnect cells."""
    switches: dict[int, Switch] = {}
    contacts = block.get("contacts") or {}
    for role in works.wired.filled(name):
        if role.role == "disconnect" and role.part in contacts:
            contact: Switch = works.plant.contact(role.cell)
            normally_closed = contacts[role.part].get("rest") == "closed"
            contact.set(normally_closed)  # no coil has current when the card is switched on
            switches[int(contacts[role.part]["channel"])] = _Inverted(contact) if normally_closed else contact
    return switches


BUILDERS: Final[Mapping[str, Builder]] = {
    "alicat": _alicat,
    "atlas_ezo": _atlas_ezo,
    "bronkhorst": _bronkhorst,
    "inficon_fusion": _inficon_fusion,
    "julabo": _julabo,
    "madsci": _madsci,
    "methodscript": _methodscript,
    "modbus_relay": _modbus_relay,
    "mt_sics": _mt_sics,
    "new_era": _new_era,
    "numato_relay": _numato_relay,
    "opentrons": _opentrons,
    "scpi_meter": _scpi_meter,
    "scpi_supply": _scpi_supply,
    "vici": _vici,
}
"""Emulators by the ``kind`` of rig files."""


def build(name: str, works: Works, *, free_port: bool) -> Emulator:
    """The emulator of one device, not started yet.

    Args:
        name: of the device.
        works: of the rig.
        free_port: listen on any free port instead of the file's.

    Raises:
        EmulatorError: there is no emulator of this kind, or the file asks for something that it does not have.
    """
    block = works.wired.devices[name]
    kind = str(block.get("kind"))
    if kind not in BUILDERS:
        known = ", ".join(sorted(BUILDERS))
        raise EmulatorError(
            f"{name}: there is no emulator of {kind!r}.", field=f"devices.{name}.kind", mend=f"Known: {known}."
        )
    host, port = works.wired.listens(name)
    more = {**works.options(name), "pace": works.plant.pace, "host": host, "port": 0 if free_port else port}
    try:
        works.built[name] = BUILDERS[kind](name, block, works, more)
    except TypeError as problem:
        raise EmulatorError(f"{name}: {problem}.", field=f"emulation.devices.{name}") from problem
    return works.built[name]
