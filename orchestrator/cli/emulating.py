"""``sabatier emulate``: all instruments of a rig in software, until somebody stops it."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from orchestrator.cli.terminal import Terminal
from orchestrator.config.problems import own_problem, refuse
from orchestrator.config.rigs import document_of, read_rig
from orchestrator.errors import InputError
from simulators.errors import SimulatorsError

if TYPE_CHECKING:
    from simulators.emulators.rig import EmulatedRig


def emulate(path: Path, *, free_ports: bool, write: Path | None, quiet: bool) -> None:
    """Start the instruments of a rig file, say where they listen, and wait for a signal.

    Args:
        path: the rig file.
        free_ports: take any free ports instead of the file's.
        write: where the rig file with the addresses goes; it exists once all listen.
        quiet: print nothing.

    Raises:
        InputError: the file is wrong, or an address is taken.
    """
    rig = built(path, free_ports=free_ports)
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        rig.start()
    except SimulatorsError as problem:
        raise _refused(path, problem) from problem
    try:
        if write is not None:
            _write(write, rig.data)
        if not quiet:
            _say(rig)
        while not ended.wait(3600.0):
            pass
    finally:
        rig.stop()


def built(path: Path, *, free_ports: bool) -> EmulatedRig:
    """The emulated rig of a file, not started.

    Raises:
        InputError: the file is wrong.
    """
    from simulators.emulators.rig import EmulatedRig

    file, data = read_rig(path)
    try:
        return EmulatedRig(data, free_ports=free_ports, concentrations=_concentrations(file))
    except SimulatorsError as problem:
        raise _refused(path, problem) from problem


def _refused(path: Path, problem: SimulatorsError) -> InputError:
    document = document_of(path)
    return refuse(document, [own_problem(problem, document)])


def _concentrations(file: Any) -> dict[str, dict[str, float]]:
    """What the precursors' vessels hold: place, element, mol L-1."""
    from instruments.rig.stock import Stock

    stock = file.stock if isinstance(file.stock, Stock) else Stock(**file.stock)
    found: dict[str, dict[str, float]] = {}
    for one in stock.precursors.values():
        if one.place is not None:
            found[one.place] = {one.element: one.concentration.value * 1e-3}
    for liquid in (stock.solvent, stock.rinse):
        if liquid is not None and liquid.place is not None:
            found[liquid.place] = {}
    return found


def _write(path: Path, data: dict[str, Any]) -> None:
    """Write the rig file whole or not at all: whoever waits for it reads it at once."""
    from ruamel.yaml import YAML

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8") as file:
        yaml = YAML(typ="safe", pure=True)
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # as the file had it
        yaml.dump(data, file)
    draft.replace(path)


def _say(rig: EmulatedRig) -> None:
    console = Terminal(soft_wrap=True)
    blocks = rig.data["devices"]
    width = max(len(name) for name in rig.addresses)
    for name, address in rig.addresses.items():
        console.print(f"{name:<{width}}  {blocks[name]['kind']:<15}  {address}", markup=False, highlight=False)
    console.print(f"{'control desk':<{width}}  {'':<15}  {rig.control.address}", markup=False, highlight=False)
    console.print("stop with Ctrl-C", markup=False, highlight=False)
