"""What ``sabatier rig`` prints: one sentence first, then a line for each thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from instruments.rig.brief import WIDTH, brief

if TYPE_CHECKING:
    from instruments.rig.check import CheckReport
    from instruments.rig.halting import Halt
    from instruments.rig.ledger import Level


def found_lines(report: CheckReport) -> Iterator[str]:
    """A check: whether the rig can start, what each device is, and what else was found."""
    errors = [one for one in report.findings if one.level == "error"]
    silent = {}
    for name, identity in report.devices.items():
        mine = [one for one in errors if identity is None and one.text.startswith(f"{name}: ")]
        if mine:
            silent[name] = mine[0]
    others = [one for one in report.findings if one not in silent.values()]
    wrong = sum(one.level == "error" for one in others)
    why = [f"{len(silent)} of {len(report.devices)} devices are not there, or not what they should be"] * bool(silent)
    why += [f"{wrong} error{'s' * (wrong > 1)}"] * bool(wrong)
    yield f"{report.rig} cannot start: {', '.join(why)}" if errors else f"{report.rig} can start"
    width = max(len(name) for name in report.devices)
    for name, identity in report.devices.items():
        if name in silent:
            yield f"{name:<{width}}  {brief(name, silent[name].text, WIDTH - width).removeprefix(f'{name}: ')}"
        elif identity is not None:
            words = ", ".join(filter(None, (identity.maker, identity.model, identity.serial)))
            yield f"{name:<{width}}  {words}"
    yield from dict.fromkeys(one.mend for one in silent.values() if one.mend)
    for one in others:
        yield f"{one.level}: {one.text}" + (f" {one.mend}" if one.mend else "")


def halt_lines(rig: str, halt: Halt) -> Iterator[str]:
    """A halted rig: whether it is safe, and what each device said."""
    devices = {} if halt.report is None else halt.report["devices"]
    if halt.unconfirmed is None:
        yield f"{rig} is halted; whether it is safe is NOT known: nothing has been reported yet. Look at it now."
    elif halt.unconfirmed:
        number = f"{len(halt.unconfirmed)} of {len(devices)} devices"
        yield f"{rig} is halted, and NOT safe for all that is known: {number} did not confirm it. Look at them now."
    else:
        yield f"{rig} is halted, and all {len(devices)} devices confirmed that they are safe"
    width = max((len(name) for name in devices), default=0)
    for name, found in devices.items():
        state = {"unsafe_unconfirmed": "NOT CONFIRMED"}.get(found["state"], found["state"])
        text = brief(name, str(found["detail"]), WIDTH - width).removeprefix(f"{name}: ")
        yield f"{name:<{width}}  {state:<13}  {text}"
    yield f"why: {halt.reason} ({halt.source}, {halt.time})"


def level_line(name: str, level: Level) -> str:
    """What is there of something in stock."""
    unit = "" if level.unit == "1" else f" {level.unit}"
    promised = f", {level.promised:g}{unit} of it promised" if level.promised else ""
    lot = f", lot {level.lot}" if level.lot else ""
    expiry = f", until {level.expires}" if level.expires else ""
    return f"{name}: {level.amount:g}{unit}{promised}{lot}{expiry}{' (low)' if level.low else ''}"
