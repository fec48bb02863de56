"""A controller process for the tests of the guardian: takes a rig, switches cells on, and goes on setting the current.

Prints what happens, a word a line: on, refused, tripped, fenced, closed. Told `stuck`, its watch over readings hangs.
"""

import json
import logging
import signal
import sys
import time
from pathlib import Path
from threading import Event, Thread

from instruments.errors import DeviceError, Interlocked
from instruments.rig.file import RigFile
from instruments.rig.rig import Rig


def say(word: str) -> None:
    print(word, flush=True)


def listen(rig: Rig, end: Event) -> None:
    for line in sys.stdin:
        if line.strip() == "stuck":
            rig._conditions.overdue = Event().wait
    end.set()


def main(path: str, folder: str) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    end = Event()
    with Rig(RigFile.parse(json.loads(Path(path).read_text())), Path(folder)) as rig:
        Thread(target=listen, args=(rig, end), daemon=True).start()
        for cell in ("1", "2"):
            rig.device(f"co2-{cell}").set("flow", 20.0)
            rig.device(f"pump-{cell}").set("rate", 5.0)
        rig.device("relay").set("cell-1", "closed")
        said = set()
        while not end.wait(0.02):
            try:
                for cell in ("1", "2"):
                    rig.device(f"potentiostat-{cell}").set("current", -0.2)
                word = "on"
            except Interlocked:
                word = "fenced" if rig.is_fenced else "tripped" if rig.tripped.is_set() else "refused"
            except DeviceError as problem:
                word = type(problem).__name__
            if word not in said:
                said.add(word)
                say(word)
    say(f"closed {time.monotonic()}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    main(*sys.argv[1:])
