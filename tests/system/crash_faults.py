"""What happens to computers, beside the death of a process: clocks that jump, disks that are full, leads that are pulled."""

from __future__ import annotations

import os
import select
import shutil
import socket
import struct
import subprocess
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

CLOCK: Final = """\
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t offset(void) {
    static volatile int64_t *seconds;
    if (!seconds) {
        int file = open(getenv("WALL_CLOCK"), O_RDONLY);
        seconds = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"""
COMPILER: Final = shutil.which("cc")


class WallClock:
    """The wall clock as some programs see it, which can be set while they run.

    Args:
        folder: for what is compiled.
    """

    def __init__(self, folder: Path) -> None:
        assert COMPILER is not None, "a C compiler is needed"
        folder.mkdir(parents=True, exist_ok=True)
        source, self._library, self._offset = folder / "clock.c", folder / "clock.so", folder / "offset"
        source.write_text(CLOCK, encoding="ascii")
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", self._library, source], check=True)
        self.set(0)

    def set(self, seconds: int) -> None:
        """Let it be so far ahead of the true time, s."""
        if not self._offset.exists():
            self._offset.write_bytes(bytes(8))
        with self._offset.open("r+b") as file:
            file.write(struct.pack("=q", seconds))

    @property
    def environment(self) -> dict[str, str]:
        """Of programs that see it."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK": str(self._offset)}


class Disk:
    """A small disk that can be filled.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Give it back."""
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int = 32) -> Iterator[Disk | None]:
    """A file system of its own; ``None`` where none may be mounted."""
    folder.mkdir(parents=True)
    size = f"size={megabytes}m"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


class Lead:
    """A serial lead between a computer and an instrument, which can be pulled and plugged in again.

    Args:
        path: of the port, as a driver opens it.
        address: of the instrument, ``socket://host:port``.
    """

    def __init__(self, path: Path, address: str) -> None:
        host, _, port = address.removeprefix("socket://").rpartition(":")
        self._path, self._address = path, (host, int(port))
        self._pulled, self._thread = Event(), Thread()
        self.plug()

    def plug(self) -> None:
        """Let the port appear, joined to the instrument."""
        self._pulled.clear()
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        self._path.symlink_to(os.ttyname(theirs))
        wire = socket.create_connection(self._address)
        self._thread = Thread(target=self._join, args=(ours, theirs, wire), name=str(self._path), daemon=True)
        self._thread.start()

    def pull(self) -> None:
        """Let the port vanish, as that of a USB converter does."""
        self._path.unlink()
        self._pulled.set()
        self._thread.join()

    def _join(self, ours: int, theirs: int, wire: socket.socket) -> None:
        """Carry bytes both ways. The far end of the port is held, too: it outlives who opens it."""
        with wire:
            while not self._pulled.is_set():
                ready, _, _ = select.select([ours, wire], [], [], 0.02)
                if ours in ready:
                    wire.sendall(os.read(ours, 65536))
                if wire in ready:
                    if not (data := wire.recv(65536)):
                        break
                    os.write(ours, data)
            os.close(theirs)
            os.close(ours)
