"""What `sabatier rig check` does: looks at everything that a start looks at, and moves nothing.

Devices are built with a permit that refuses every command, so that whatever a driver does while it connects and
identifies, nothing that changes the world can be sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final, Literal, TypeAlias

from instruments.device import Attribute, Band, Device, Identity, Value, Wiring
from instruments.errors import InstrumentsError, Interlocked
from instruments.rig.attributes import check_attributes
from instruments.rig.claim import Claim
from instruments.rig.file import RigFile
from instruments.rig.halting import Halting
from instruments.rig.identifying import LONGEST, identify_all
from instruments.rig.interlocks import Interlock

Level: TypeAlias = Literal["error", "notice"]

READS_WITHIN: Final = 10.0
"""s, for all readings that interlocks need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check has found.

    Attributes:
        level: an ``error`` keeps the rig from starting.
        field: dotted name in the rig file.
        text: in words.
        mend: how to put it right.
    """

    level: Level
    field: str
    text: str
    mend: str | None = None

    @classmethod
    def of(cls, problem: InstrumentsError, field: str) -> Finding:
        """An exception as an error."""
        return cls("error", problem.field or field, str(problem.args[0]), problem.mend)


@dataclass(frozen=True)
class CheckReport:
    """What a check has found.

    Attributes:
        rig: its name.
        devices: what each says that it is; ``None`` where it did not.
        findings: errors and notices, in the order of the file.
    """

    rig: str
    devices: Mapping[str, Identity | None]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the rig could start."""
        return not any(finding.level == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "schema": 1,
            "rig": self.rig,
            "ok": self.ok,
            "devices": {
                name: None
                if found is None
                else {"maker": found.maker, "model": found.model, "serial": found.serial, "firmware": found.firmware}
                for name, found in self.devices.items()
            },
            "findings": [
                {"level": one.level, "field": one.field, "text": one.text, "mend": one.mend} for one in self.findings
            ],
        }


def check_rig(
    file: RigFile, folder: Path, more: Iterable[Callable[[], object]] = (), longest: float = LONGEST
) -> CheckReport:
    """Identify every device, check limits and interlocks against what the devices are, and whatever else is given.

    Args:
        file: of the rig.
        folder: of the rig.
        more: further checks, such as of calibrations and stock: they raise what is wrong.
        longest: s, for identifying all devices.
    """
    claim, findings = Claim(folder / f"{file.name}.lock"), list[Finding]()
    if not claim.take():
        text = "the rig is in use, and its devices cannot be asked."
        return CheckReport(
            file.name, dict.fromkeys(file.devices), (Finding("error", "name", text, "Check it when it is at rest."),)
        )
    devices: dict[str, Device] = {}
    try:
        halt = Halting(folder, file.name).read()
        if halt is not None:
            findings.append(Finding("error", "name", f"the rig is halted: {halt}.", "Run `sabatier rig reset`."))
        wiring = Wiring(_nothing, None, file.pace)
        devices.update({name: options.build(name, wiring) for name, options in file.options.items()})
        try:
            check_attributes(file, devices)
        except InstrumentsError as problem:
            findings.append(Finding.of(problem, "devices"))
            return CheckReport(file.name, dict.fromkeys(devices), tuple(findings))
        found = identify_all(devices, longest)
        findings += [Finding.of(p, f"devices.{n}") for n, p in found.items() if isinstance(p, InstrumentsError)]
        there = {name: one for name, one in found.items() if isinstance(one, Identity)}
        findings += _limits(file, {name: devices[name] for name in there})
        findings += _readings(file, {name: devices[name] for name in there})
        findings += _others(more)
        return CheckReport(file.name, {name: there.get(name) for name in devices}, tuple(findings))
    finally:
        for device in devices.values():
            device.close()
        claim.release()


def _nothing(device: str, attribute: str, value: Value) -> None:
    raise Interlocked(f"a check sets nothing, not {value!r}.", device=device, field=attribute)


def _limits(file: RigFile, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Limits of the rig against the ranges of the devices, as they know them once connected."""
    for name, device in devices.items():
        for attribute, band in file.options[name].limits.items():
            field = f"devices.{name}.limits.{attribute}"
            found = _compared(device.attributes[attribute], band)
            if found is not None:
                yield Finding(found[0], field, f"{name}: {attribute}: {found[1]}.", None)


def _compared(attribute: Attribute, band: Band) -> tuple[Level, str] | None:
    """What is odd about a limit, or ``None``."""
    low, high, unit = attribute.low, attribute.high, attribute.unit
    takes = f"the device takes {low:g} to {high:g} {unit}".rstrip()
    if (band.low is not None and band.low > high) or (band.high is not None and band.high < low):
        return "error", f"nothing is within the limits, since {takes}"
    wide = [f"{value:g}" for value in (band.low, band.high) if value is not None and not low <= value <= high]
    return ("notice", f"the limit {' and '.join(wide)} is wider than the device, since {takes}") if wide else None


def _readings(file: RigFile, devices: Mapping[str, Device]) -> list[Finding]:
    """Each reading that an interlock needs, read once."""
    findings: dict[int, Finding] = {}
    threads = []
    for number, interlock in enumerate(file.safety.interlocks):
        if interlock.device in devices:
            field = f"safety.interlocks.{number}"
            late = f"{interlock.name}: {interlock.device} was not read within {READS_WITHIN:g} s."
            findings[number] = Finding("error", field, late)
            task = (devices[interlock.device], interlock, field, number, findings)
            threads.append(Thread(target=_read, args=task, daemon=True))
    for thread in threads:
        thread.start()
    end = time.monotonic() + READS_WITHIN
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    done = dict(findings)  # threads that are late change it still
    return [done[number] for number in sorted(done)]


def _read(device: Device, interlock: Interlock, field: str, number: int, findings: dict[int, Finding]) -> None:
    try:
        wrong = interlock.violation(device.read(interlock.attribute).value)
    except InstrumentsError as problem:
        findings[number] = Finding("error", field, f"{interlock.name}: {problem.args[0]}", problem.mend)
    except Exception as problem:  # noqa: BLE001  a driver's mistake is told like any other
        findings[number] = Finding("error", field, f"{interlock.name}: the driver failed: {problem!r}.")
    else:
        level: Level = "error" if interlock.when == "always" and interlock.action == "trip" else "notice"
        if wrong is None:
            findings.pop(number)
        else:
            findings[number] = Finding(level, field, f"{interlock.name}: {wrong}.")


def _others(more: Iterable[Callable[[], object]]) -> Iterator[Finding]:
    for check in more:
        try:
            check()
        except InstrumentsError as problem:
            yield Finding.of(problem, "name")
