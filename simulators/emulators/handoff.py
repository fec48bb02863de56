"""An emulated analyst, who finds labelled vials in a folder and puts a file with the results into it some time later.

Files are CSV with the columns ``Sample``, ``Compartment``, and for each species ``<species> (mM)``, ``<species> SD``
and ``<species> LOD``; what is below the limit is written ``n.d.``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar

from simulators.emulators.emulator import Emulator
from simulators.emulators.pace import Pace

TICK = 0.02
"""Between looks at the folder of labels, s."""


def nothing_found(label: str) -> Mapping[str, float]:  # noqa: ARG001  the same for all
    """What a stand-in finds: formate, and no ethanol."""
    return {"formate": 1.5, "ethanol": 0.0}


class HandoffEmulator(Emulator):
    """An analyst.

    Args:
        name: of the device.
        analyse: the true concentrations of a vial by species, mM, from its label.
        pace: of laboratory time.
        folder: in which labels are found and results are put.
        delay: from a label to its result, laboratory seconds.
        limit: of detection, mM.
        spread: standard deviation that is reported, relative.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "partial": "the file is written in two halves, `seconds` apart",
        "wrong_check": "the label's last character is misread",
        "unknown": "the label is of another laboratory",
        "missing_column": "the column of labels has another name",
        "letters": "a concentration is no number",
        "twice": "the same file is put there twice under two names",
    }

    def __init__(
        self,
        name: str,
        *,
        analyse: Callable[[str], Mapping[str, float]] = nothing_found,
        pace: Pace | None = None,
        folder: Path,
        delay: float = 3600.0,
        limit: float = 0.02,
        spread: float = 0.02,
    ) -> None:
        super().__init__(name)
        self._analyse, self._pace, self._folder = analyse, pace or Pace(), folder
        self._delay, self._limit, self._spread = delay, limit, spread
        self._stopping = Event()
        self._thread: Thread | None = None
        self._due: dict[str, float] = {}
        self._written: list[str] = []

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    def state(self) -> Mapping[str, object]:
        """Labels that wait for their analysis, and files that were written."""
        return {"waiting": sorted(set(self._due) - set(self._written)), "written": list(self._written)}

    def start(self) -> None:
        """Begin to look."""
        self._stopping.clear()
        self._thread = Thread(target=self._work, name=f"emulator-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go home."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(TICK):
            labels = self._folder / "labels"
            for card in sorted(labels.glob("[!.]*.txt")) if labels.is_dir() else ():
                self._due.setdefault(card.read_text(encoding="utf-8").split("\n")[0], self._pace.now() + self._delay)
            for label, due in list(self._due.items()):
                if label not in self._written and self._pace.now() >= due:
                    self._report(label)
                    self._written.append(label)

    def _report(self, label: str) -> None:
        text = self._table(label)
        path = self._folder / f"{label}.csv"
        if partial := self.faults.take("partial"):
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(text[: len(text) // 2])
                file.flush()
                self._stopping.wait(partial.values.get("seconds", 0.2))
                file.write(text[len(text) // 2 :])
            return
        names = [path, path.with_stem(f"{path.stem} (1)")] if self.faults.take("twice") else [path]
        for one in names:
            part = one.with_suffix(".csv.part")
            part.write_text(text, encoding="utf-8", newline="")
            part.replace(one)

    def _table(self, label: str) -> str:
        found = self._analyse(label)
        shown = label
        if self.faults.take("wrong_check"):
            shown = label[:-1] + ("A" if label[-1] != "A" else "B")
        if self.faults.take("unknown"):
            shown = "vial 7"
        letters = self.faults.take("letters") is not None
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        titles = ["Probe" if self.faults.take("missing_column") else "Sample", "Compartment"]
        row = [shown, "catholyte"]
        for species, value in found.items():
            titles += [f"{species} (mM)", f"{species} SD", f"{species} LOD"]
            number = "n.d." if value < self._limit else f"{value:.6g}"
            row += ["much" if letters else number, f"{self._spread * value:.3g}", f"{self._limit:g}"]
        writer.writerow(titles)
        writer.writerow(row)
        return out.getvalue()
