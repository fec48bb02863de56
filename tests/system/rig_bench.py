"""A rig in software in a process of its own, and campaigns on it in others."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST = 120.0


class RigBench:
    """The example rig, with some changes, at free ports.

    Args:
        folder: for its files.
        pace: laboratory seconds a real second.
        procedure: changes of the block.
        experiments: budget of the campaign.
        changes: of the whole file, made by a function.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pace: float = 240.0,
        procedure: dict[str, Any] | None = None,
        experiments: int = 4,
        changes: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.folder = folder
        self.rig, self.wanted = folder / "rig" / "rig.yaml", folder / "rig" / "wanted.yaml"
        self.rig.parent.mkdir(parents=True)
        yaml = YAML(typ="safe", pure=True)
        data = yaml.load((EXAMPLES / "rig" / "rig.yaml").read_text())
        data["pace"] = pace
        data["procedure"] |= procedure or {}
        if changes is not None:
            changes(data)
        yaml.dump(data, self.wanted)
        campaign = yaml.load((EXAMPLES / "rig_emulated.yaml").read_text())
        campaign["stop"] = {"experiments": experiments}
        yaml.dump(campaign, folder / "campaign.yaml")
        self.control = ""

    @contextmanager
    def emulated(self, *, again: bool = False) -> Iterator[subprocess.Popen[str]]:
        """All instruments, in a process of their own; ``again``: at the addresses where they were before."""
        free = ["emulate", str(self.wanted), "--free-ports", "--write", str(self.rig)]
        words = ["emulate", str(self.rig)] if again else free
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            for line in process.stdout:
                if line.startswith("control desk"):
                    self.control = line.split()[-1]
                    break
            assert self.control, process.stdout.read()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)

    def cells(self) -> dict[str, Any]:
        """What truly is in each cell."""
        return httpx.get(f"{self.control}/truth", trust_env=False).json()

    def device(self, name: str) -> dict[str, Any]:
        """What an instrument is in truth."""
        return httpx.get(f"{self.control}/devices", trust_env=False).json()[name]["state"]

    def arm(self, device: str, fault: str, **more: Any) -> None:
        """Let something go wrong."""
        body = {"device": device, "fault": fault, **more}
        httpx.post(f"{self.control}/faults", json=body, trust_env=False).raise_for_status()

    def until(self, what: Callable[[dict[str, Any]], bool], longest: float = LONGEST) -> dict[str, Any]:
        """The cells, once they are so."""
        end, pause = time.monotonic() + longest, Event()
        while time.monotonic() < end:
            cells = self.cells()
            if what(cells):
                return cells
            pause.wait(0.05)  # leave the processor to the processes that are watched
        raise AssertionError(f"not within {longest} s: {self.cells()}")


def drawing(cells: dict[str, Any]) -> list[str]:
    """Cells through which a current flows."""
    return [name for name, cell in cells.items() if cell["current"] < -1e-3]


def gas_on(cells: dict[str, Any]) -> list[str]:
    """Cells into which gas flows, by their last change."""
    flows = {name: [value for _, what, value in cell["changes"] if what == "gas"] for name, cell in cells.items()}
    return [name for name, values in flows.items() if values and values[-1] > 0.1]


def last(cell: dict[str, Any], what: str) -> float:
    """Laboratory time of the last change of a kind."""
    return max(time for time, kind, _ in cell["changes"] if kind == what)
