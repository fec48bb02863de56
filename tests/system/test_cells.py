"""Sixty-four cells at once: in one process, and in two that share a store in PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.store import open_store

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "cells.py"
pytestmark = pytest.mark.soak


def played(store: str, *, experiments: int, processes: int = 1) -> list[float]:
    """Let the benchmark run; how busy the cells of each process were. What is in the store is judged here, too."""
    command = [sys.executable, str(PROGRAM), f"--store={store}", f"--processes={processes}", "--stages=1"]
    done = subprocess.run(
        [*command, f"--experiments={experiments}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = open_store(store, create=False)
    names = [record.name for record in kept.campaigns()]
    assert len(names) == processes
    for name in names:
        records, attempts = kept.experiments(name), kept.attempts(name)
        assert [record.id for record in records] == list(range(1, experiments + 1))
        assert {record.state for record in records} == {"completed"}
        assert len({tuple(record.asked.items()) for record in records}) == experiments
        assert [(one.experiment, one.number) for one in attempts] == [(record.id, 1) for record in records]
        assert len({one.cell for one in attempts}) == 64
        numbers = [event.sequence for event in kept.events(name)]
        assert numbers == list(range(1, len(numbers) + 1))
    kept.close()
    return [float(share) for share in re.findall(r"cells are busy ([\d.]+)%", done.stdout)]


def test_in_one_process(tmp_path):
    (busy,) = played(f"sqlite:///{tmp_path}/store.db", experiments=200)
    assert busy >= 95


def test_two_processes_share_a_store_in_postgres(postgres_url):
    busy = played(postgres_url, experiments=150, processes=2)
    assert len(busy) == 2
    assert min(busy) >= 95
