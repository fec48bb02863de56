"""A whole rig in software: all its instruments, each at its address, with one plant behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from simulators.chemistries import chemistry
from simulators.emulators.catalog import Works, build
from simulators.emulators.control import ControlDesk
from simulators.emulators.pace import Pace
from simulators.emulators.plant import Deck, Plant
from simulators.emulators.wiring import Wired
from simulators.errors import EmulatorError


class EmulatedRig:
    """The instruments of a rig file, emulated.

    Under ``emulation`` the file says: ``chemistry`` (required), ``world``, ``world_seed``, ``seed``, ``noise``,
    ``reference``, ``conditions`` (of the electrolyte, by column), ``mixtures`` (composition by position of the
    selector valve), ``devices`` (options of single emulators), ``control`` (address of the control desk).

    Args:
        data: of the rig file.
        free_ports: listen on any free ports instead of the file's.
        concentrations: what vessels hold: place, element, mol L-1.

    Raises:
        EmulatorError: the file does not say what is needed, or something that is not known.
        ChemistryError: the chemistry or its world are not known.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        free_ports: bool = False,
        concentrations: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self._wired = Wired(data)
        told = self._wired.emulation
        if "chemistry" not in told:
            raise EmulatorError(
                "the rig file does not say which chemistry its cells have.",
                field="emulation.chemistry",
                mend="Write `emulation: {chemistry: gde_alloys}`.",
            )
        world = chemistry(str(told["chemistry"]), str(told.get("world", "nominal")), int(told.get("world_seed", 0)))
        self.plant = Plant(
            world,
            dict.fromkeys(self._wired.cells),
            Pace(float(data.get("pace", 1.0))),
            seed=int(told.get("seed", 0)),
            noise=float(told.get("noise", 1.0)),
            reference=str(told.get("reference", "Ag/AgCl (3 M KCl)")),
            conditions=told.get("conditions"),
        )
        streams = {int(b["stream"]): n for n, b in self._wired.cells.items() if b.get("stream") is not None}
        if not streams:
            streams = {1: next(iter(self.plant.cells))}
        mixtures = {int(position): dict(mixture) for position, mixture in (told.get("mixtures") or {}).items()}
        seats = {str(b["seat"]): self.plant.cells[n] for n, b in self._wired.cells.items() if "seat" in b}
        self._works = Works(
            self._wired,
            self.plant,
            self.plant.valve(streams, mixtures),
            Deck(concentrations or {}, seats, seed=self.plant.seed),
        )
        for name, block in self._wired.devices.items():
            if block.get("kind") != "handoff":  # a folder, with nobody at its other end but people
                build(name, self._works, free_port=free_ports)
        desk = urlsplit(str(told.get("control", "http://127.0.0.1:0")))
        self.control = ControlDesk(
            self._works.built,
            self.plant.truth,
            self._works.gauges,
            host=desk.hostname or "127.0.0.1",
            port=0 if free_ports else desk.port or 0,
        )

    @property
    def addresses(self) -> dict[str, str]:
        """Where each device listens, once started."""
        return {name: emulator.address for name, emulator in self._works.built.items()}

    @property
    def data(self) -> dict[str, Any]:
        """The rig file with the addresses at which the emulators listen."""
        return self._wired.at(self.addresses)

    def start(self) -> None:
        """Begin to listen, all or none.

        Raises:
            EmulatorError: an address is taken.
        """
        started = []
        try:
            for name, emulator in [*self._works.built.items(), ("control", self.control)]:
                try:
                    emulator.start()
                except OSError as problem:
                    raise EmulatorError(
                        f"{name} cannot listen at its address: {problem.strerror}.",
                        field="emulation.control" if name == "control" else f"devices.{name}",
                        mend="Stop what listens there, or give another port.",
                    ) from problem
                started.append(emulator)
        except BaseException:
            for emulator in started:
                emulator.stop()
            raise

    def stop(self) -> None:
        """End all; may be called more than once."""
        for emulator in [self.control, *self._works.built.values()]:
            emulator.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
