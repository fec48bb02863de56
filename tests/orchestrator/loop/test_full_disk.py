"""The disk is full: nothing is half, the laboratory is safe, and the next sitting goes on once there is space."""

import resource
import subprocess
from pathlib import Path

import pytest
from loop_bench import SPACE, RawBench, campaign_of, loop_of

from acquisition import Objective
from orchestrator import Campaign
from orchestrator.campaign.places import MANIFEST
from orchestrator.errors import StoreError
from orchestrator.loop.keeping import Files
from orchestrator.store.opening import open_store


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems may not be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Limit:
    """No file may grow any more."""

    def __init__(self, folder: Path) -> None:
        self.soft, self.hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self.hard))

    def free(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.soft, self.hard))


class Filler:
    """A file that takes all the space there is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "filler"

    def fill(self):
        with self.path.open("ab", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self):
        self.path.unlink()


class Filling(RawBench):
    """The disk is full from a moment of the third experiment on."""

    def __init__(self, disk, when):
        super().__init__(repeat_is_safe=False)
        self.disk, self.when, self.safe_when_full = disk, when, 0

    def measure(self, job, context):
        if job.experiment == 3 and self.when == "before it is measured":
            self.disk.fill()
        outcome = super().measure(job, context)
        if job.experiment == 3 and self.when == "after its signals are kept":
            self.disk.fill()
        return outcome

    def make_safe(self):
        super().make_safe()


def _campaign(store):
    return Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, initial=4, strategy="random")


@pytest.mark.parametrize("when", ["before it is measured", "after its signals are kept"])
@pytest.mark.parametrize("kind", [Limit, Filler])
def test_on_a_full_disk_nothing_is_half_and_nothing_is_lost(request, tmp_path, kind, when):
    folder = request.getfixturevalue("small_disk") if kind is Filler else tmp_path
    disk, store = kind(folder), open_store(folder / "s.db")
    files, lab = Files(folder / "files", folder / "spool"), Filling(disk, when)
    campaign_of(store, strategy="random")
    try:
        with pytest.raises((OSError, StoreError)):
            loop_of(_campaign(store), lab, files, 4).run()
        assert lab.made_safe
    finally:
        disk.free()
        store.close()
    store = open_store(folder / "s.db")
    if (holder := store.holder("c")) is not None:  # it could not be given back: found dead by whoever comes next
        store.release(holder)
    assert [store.experiment("c", id).state for id in (1, 2)] == ["completed"] * 2
    for attempt in store.attempts("c"):
        if attempt.state == "finished":
            files.read(attempt)
    lab = RawBench(repeat_is_safe=False)
    state = loop_of(_campaign(store), lab, files, 4).run()
    if when == "after its signals are kept":
        assert state == "completed"
        assert lab.executed == [4]
        assert [store.experiment("c", id).values["y"].value for id in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.3])
    else:
        assert (state, lab.executed) == ("halted", [])
        assert store.experiment("c", 3).state == "needs_inspection"
        assert not (files.local(files.location("c", 3, 1)) / MANIFEST).exists()
    store.close()
