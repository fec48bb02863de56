"""Commands that look, and change no campaign."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.campaign import bottleneck, forecast, text
from orchestrator.campaign.confirmation import confirmation, confirming, in_words
from orchestrator.campaign.history import given_up
from orchestrator.campaign.line import turn_of
from orchestrator.campaign.links import links
from orchestrator.campaign.merit import leaders
from orchestrator.campaign.places import spool_of, unsent
from orchestrator.campaign.progress import LATEST, Spent
from orchestrator.campaign.words import CELL, DEPLOY
from orchestrator.cli.ends import standing, words
from orchestrator.cli.orders import to_do, work_orders
from orchestrator.errors import InputError
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store
from orchestrator.store.records import AttemptRecord, CampaignRecord, Owner

NO_SEARCH: Final[dict[str, Any]] = {"rule": "experiments", "left": 0.0, "parts": []}
"""The stopping rules where nothing more will be proposed."""
MOST_LOST: Final = 5
"""So many samples that are not to be used again are named for people."""


def show_status(name: str | None, *, store: str | None, as_json: bool) -> None:
    """Print the state of one campaign or of all."""
    kept = open_store(store, durable=False, create=False)
    try:
        records = [kept.campaign(name)] if name else kept.campaigns()
        shown = [summary(kept, record) for record in records]
    finally:
        kept.close()
    if as_json:
        answer = shown[0] if name else {"schema": 1, "campaigns": shown}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    elif not shown:
        sys.stdout.write("The store holds no campaign.\n")
    else:
        sys.stdout.write("\n\n".join(_words(one) for one in shown) + "\n")


def summary(store: Store, record: CampaignRecord) -> dict[str, Any]:
    """A campaign's state as JSON values. Keys are never removed."""
    definition = record.definition
    objectives = [Objective(**o) for o in definition.get("objectives", [])]
    constraints = [OutcomeConstraint(**c) for c in definition.get("outcome_constraints", [])]
    state, reason = record.state, record.reason
    holder = store.holder(record.name)
    if state in ("running", "stopping") and holder is None:
        deployed = bool(store.events(record.name, kinds=(DEPLOY,), limit=1))
        who = "a worker's next look" if deployed else "`sabatier resume`"
        state, reason = "interrupted", f"its process ended without a word; {who} continues it"
    more = definition.get("metrics", [])
    wanted = list(dict.fromkeys([*(o.metric for o in objectives), *(c.metric for c in constraints)]))
    tally, measured = store.tally(record.name), store.values(record.name, wanted, {"completed"})
    best = store.experiments(record.name, ids=leaders(measured, objectives, constraints)) if objectives else []
    partly = store.values(record.name, wanted, {"awaiting_analysis"})
    known = {m: len(measured[m]) + len(partly[m]) for m in wanted}
    attempts, out = _latest(store, record.name), _out_of_service(store, record.name)
    used, counts = Spent.of(tally), store.counts(record.name)
    stop = standing(store, record, used)
    verdicts = dict.fromkeys(("valid", "suspect", "invalid"), 0)
    for kind, count in tally.items():
        if kind.state == "completed" and kind.verdict in verdicts:
            verdicts[kind.verdict] += count
    linked = links(store, record.name)
    confirmed = confirmation(store, record.name)
    return {
        "schema": 1,
        "name": record.name,
        "version": record.version,
        "after": linked.after,
        "followed_by": list(linked.followed_by),
        "state": state,
        "reason": reason,
        "controller": None if holder is None else _controller(holder.owner),
        "experiments": counts,
        "turn": None if holder is None else turn_of(store, record.name),
        "awaits_approval": counts["proposed"] if definition.get("approval", "none") != "none" else 0,
        "work_orders": work_orders(store, record.name) if counts["running"] else [],
        "verdicts": verdicts,
        "files_waiting": sum(1 for _ in unsent(spool_of(store), record.name)),
        "results": len(set[int]().union(*measured.values(), *partly.values())),
        "observed": known,
        "budget": definition.get("stop", {}).get("experiments"),
        "stop": stop,
        "finish": _finish(record, used, attempts, out, NO_SEARCH if confirming(store, record) else stop),
        "loads": [load.plain() for load in bottleneck.loads(attempts, out)],
        "samples": {"out": given_up(store, record.name)},
        "cost": {"spent": used.cost, "unit": definition["costs"]["unit"]} if definition.get("costs") else None,
        "objectives": [{"metric": o.metric, "goal": o.goal, "target": o.target} for o in objectives],
        "metrics": list(dict.fromkeys([*wanted, *more])),
        "best": [
            {
                "experiment": r.id,
                "parameters": {**(r.asked or {}), **(r.executed or {}), **r.measured},
                "metrics": {m: v.value for m, v in r.values.items()},
                "sem": {m: v.sem for m, v in r.values.items()},
            }
            for r in best
        ],
        "confirmation": None if confirmed is None else [point.plain() for point in confirmed],
        "created": record.created.isoformat(),
        "started": None if record.started is None else record.started.isoformat(),
        "updated": record.updated.isoformat(),
        "finished": None if record.finished is None else record.finished.isoformat(),
    }


def _latest(store: Store, name: str) -> list[AttemptRecord]:
    """The last attempts, which tell how long one takes now, and all that run."""
    found = [*store.attempts(name, newest=LATEST), *store.attempts(name, states={"running"})]
    return list({(a.experiment, a.number): a for a in found}.values())


def _out_of_service(store: Store, name: str) -> list[str]:
    cells: dict[str, bool] = {}
    for event in store.events(name, kinds=(CELL,)):
        cells[event.data["cell"]] = event.data["in_service"]
    return [cell for cell, there in cells.items() if not there]


def _finish(
    record: CampaignRecord,
    used: Spent,
    attempts: Sequence[AttemptRecord],
    out: Sequence[str],
    stop: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """When the campaign will have used its budget up; nothing where it has ended or that cannot be said yet."""
    if stop is None or record.state not in ("running", "paused", "holding", "halted", "interrupted"):
        return None
    budgets = stop["parts"] if stop["rule"] == "any" else [stop]
    left = {one["rule"]: one["left"] for one in budgets if one.get("left") is not None}
    masses = [one for one in budgets if one["rule"] == "catalyst_mass" and one["now"]]
    left |= {one["rule"]: one["left"] / one["now"] for one in masses}
    expected = forecast.finish(attempts, used, left, out, datetime.now(UTC))
    return None if expected is None else expected.plain()


def _words(one: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in one["experiments"].items() if count)
    lines = [f"{one['name']}: {one['state']}" + (f" ({one['reason']})" if one["reason"] else "")]
    lines.append(f"  experiments  {counts or 'none'}" + (f"; budget {one['budget']}" if one["budget"] else ""))
    if one["version"] > 1:
        lines.append(f"  definition   version {one['version']}, see `sabatier log {one['name']}`")
    if one["after"] is not None:
        lines.append(f"  began with   results of campaign {one['after']}")
    if one["followed_by"]:
        lines.append(f"  followed by  {', '.join(one['followed_by'])}")
    lines += [f"  waits for    {line}" for line in _wanted(one)]
    if one["cost"] is not None:
        lines.append(f"  cost         {one['cost']['spent']:g} {one['cost']['unit']}")
    lines += [f"  samples      {line}" for line in _lost(one["samples"]["out"])]
    lines += [f"  ends         {line}" for line in words(one["stop"])]
    if one["finish"] is not None:
        lines.append(f"  expected     {_expected(one['finish'])}")
    if len(one["loads"]) > 1:
        lines.append(f"  limited by   {_limit(one['loads'])}")
    missing = [metric for metric, count in one["observed"].items() if not count]
    if one["results"] and missing:
        have = "has" if len(missing) == 1 else "have"
        lines.append(f"  no model     {' and '.join(missing)} {have} not been observed in {one['results']} results")
    doubted = [
        f"{one['verdicts'][verdict]} {verdict}" for verdict in ("suspect", "invalid") if one["verdicts"][verdict]
    ]
    if doubted:
        lines.append(f"  verdicts     {', '.join(doubted)} of {one['experiments']['completed']} completed")
    for best in one["best"][:5]:
        known = [m for m in one["metrics"] if best["metrics"].get(m) is not None]
        values = ", ".join(text.quantity(m, best["metrics"][m], best["sem"][m]) for m in known)
        lines.append(f"  best so far  experiment {best['experiment']}, as measured: {values}")
        lines.append(f"               {text.settings(best['parameters'])}")
    lines += [f"  checked      {line}" for line in in_words(one["confirmation"] or ())]
    lines.append(f"  updated      {one['updated']}")
    return "\n".join(lines)


def _lost(out: dict[str, str]) -> list[str]:
    """The last samples that are not to be used again, for people."""
    more = len(out) - MOST_LOST
    lines = [f"{sample} is not used again: {why}" for sample, why in list(out.items())[-MOST_LOST:]]
    return [*lines, f"and {more} before them: `--json` names all"] if more > 0 else lines


def _expected(finish: dict[str, Any]) -> str:
    """When the budget is used up, for people."""
    in_cells = f"{finish['experiments']} experiments in {finish['cells']} cell{'s' if finish['cells'] > 1 else ''}"
    when = f"in {finish['hours']:.3g} ± {finish['sem']:.2g} h"
    clock = "of the laboratory's clock" if finish["at"] is None else f"if it runs on now, at {finish['at']}"
    return f"end {when}, {clock}: {in_cells}"


def _turn(turn: dict[str, Any]) -> str:
    """Whom a campaign waits for that has not its turn."""
    behind = f"behind {', '.join(turn['behind'])}" if turn["behind"] else "the next in line"
    users = f"; {' and '.join(turn['used_by'])} {'has' if len(turn['used_by']) == 1 else 'have'} its devices"
    return f"its turn since {turn['since'][:19]} UTC, {behind}{users if turn['used_by'] else ''}"


def _limit(loads: list[dict[str, Any]]) -> str:
    """The bottleneck and the next one, for people."""
    first, second = loads[:2]
    waited = f"; an experiment waits {first['waited'] / 60:.3g} min for it" if first["waited"] >= 1.0 else ""
    time = f"{first['seconds'] / 60:.3g} ± {first['sem'] / 60:.2g} min an experiment"
    then = f"the next limit is {second['resource']} ({second['most_per_hour']:.3g} an hour)"
    return f"{first['resource']}: {time}, at most {first['most_per_hour']:.3g} an hour{waited}; {then}"


def _controller(owner: Owner) -> dict[str, Any]:
    """The process that runs a campaign."""
    return {"host": owner.host, "pid": owner.pid, "user": owner.user}


def _wanted(one: dict[str, Any]) -> list[str]:
    """What a person should do."""
    name, counts = one["name"], one["experiments"]
    found = []
    if one["turn"] is not None:
        found.append(_turn(one["turn"]))
    if one["awaits_approval"]:
        found.append(f"approval of {one['awaits_approval']} proposals: sabatier approve {name} ID, or reject, or edit")
    found += to_do(name, one["work_orders"])
    if counts["needs_inspection"]:
        found.append(
            f"a look at {counts['needs_inspection']} experiments: sabatier resolve {name} ID accept, rerun or discard"
        )
    if one["files_waiting"]:
        found.append(f"storage to answer: raw signals of {one['files_waiting']} attempts are still to be sent there")
    return found


def validate_file(file: Path, *, table: Path | None) -> None:
    """Say what a campaign file defines."""
    from orchestrator.config.load import load

    definition = load(file, table)
    size = definition.space.size
    for notice in definition.notices:
        sys.stderr.write(f"note: {notice}\n")
    sys.stdout.write(
        f"{file}: campaign {definition.file.name!r} is valid: {len(definition.space.columns)} parameter columns"
        f"{'' if size is None else f', {size} points'}, laboratory {definition.file.lab.type}, "
        f"{definition.file.search().text()}.\n"
    )


def make_report(name: str, *, output: Path | None, store: str | None) -> None:
    """Write a campaign's HTML report."""
    from orchestrator.export.report import write_report
    from orchestrator.loop.assembly import assemble

    kept = open_store(store, durable=False, create=False)
    try:
        parts = assemble(kept, name)
        path = write_report(
            parts.campaign, kept.campaign(name), output or Path(f"{name}.html"), notices=parts.definition.notices
        )
    finally:
        kept.close()
    sys.stdout.write(f"report: {path}\n")


def make_export(name: str, *, output: Path | None, store: str | None) -> None:
    """Write a campaign's tables."""
    from orchestrator.export.tables import export
    from orchestrator.loop.assembly import assemble

    kept = open_store(store, durable=False, create=False)
    try:
        paths = export(assemble(kept, name).campaign, kept.campaign(name), output or Path(name))
    finally:
        kept.close()
    sys.stdout.write("".join(f"{path}\n" for path in paths))


def write_template(file: Path) -> None:
    """Write the starter campaign file."""
    from orchestrator.config.template import template

    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file.stem) is None:
        raise InputError(
            f"{file.stem!r} cannot name a campaign.",
            field="file",
            mend="Use letters, digits and . _ - in the file's name.",
        )
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(template(file.stem))
    except FileExistsError:
        raise InputError(f"{file} exists.", mend="Name another file.") from None
    except OSError as problem:
        raise InputError(f"{file} cannot be written: {problem.strerror}.") from problem
    sys.stdout.write(f"{file} is written; run it with `sabatier run {file}`.\n")
