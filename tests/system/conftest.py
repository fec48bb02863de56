"""A campaign over a made-up plate, and the command in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)  # for what tests of this folder share

CAMPAIGN = """\
name: plate
seed: 3
space: {{pool: plate.csv, parameters: [ni, fe, co, ce]}}
objectives: [{{metric: overpotential_V, goal: minimize}}]
strategy: {{name: auto, initial: 8}}
lab: {{type: replay, table: plate.csv, cells: {cells}}}
stop: {{experiments: {experiments}}}
"""


def plate(rows: int = 400) -> pd.DataFrame:
    """Compositions of four metals, and a smooth function of them with some scatter between replicates."""
    rng = np.random.default_rng(11)
    x = np.round(rng.dirichlet(np.ones(4), rows), 3)
    x[:, 3] = np.round(1.0 - x[:, :3].sum(1), 3)
    frame = pd.DataFrame(np.abs(x), columns=["ni", "fe", "co", "ce"])
    y = 0.34 + 0.3 * (frame["ni"] - 0.6) ** 2 + 0.4 * (frame["fe"] - 0.25) ** 2 + 0.1 * frame["ce"]
    frame["overpotential_V"] = (y + 0.002 * rng.normal(size=rows)).round(5)
    return frame


@dataclass(frozen=True)
class Bench:
    """A folder with a campaign file, a table and a store."""

    folder: Path
    address: str = ""

    @property
    def store(self) -> str:
        return self.address or f"sqlite:///{self.folder / 'data' / 'sabatier.db'}"

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "orchestrator.cli", *map(str, words)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SABATIER_STORE": self.store, "COLUMNS": "200", "PYTHONWARNINGS": "default"}

    def run(
        self, *words: object, status: int = 0, timeout: float = 240.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end and check its exit status."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env={**self.environment(), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def write(self, text: str, name: str = "campaign.yaml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A folder with the plate and a campaign of 20 experiments on one cell."""
    plate().to_csv(tmp_path / "plate.csv", index=False)
    made = Bench(tmp_path)
    made.write(CAMPAIGN.format(cells=1, experiments=20))
    return made


@pytest.fixture
def campaign_text() -> Callable[..., str]:
    """The campaign file with other numbers."""

    def text(cells: int = 1, experiments: int = 20) -> str:
        return CAMPAIGN.format(cells=cells, experiments=experiments)

    return text
