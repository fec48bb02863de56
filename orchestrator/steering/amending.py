"""Give a campaign another definition while it goes on: what may change, what becomes of its proposals, who is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import pandas as pd

from instruments.errors import LabError
from instruments.lab import Lab, Recontrolled
from orchestrator.campaign.defining import stored
from orchestrator.campaign.ledger import Ledger, inexpressible
from orchestrator.campaign.versions import Version, history
from orchestrator.campaign.words import AMENDMENT
from orchestrator.config.approval import needs_approval
from orchestrator.config.changes import Difference, check_amendment, differences, lab_changes
from orchestrator.config.definition import Definition
from orchestrator.errors import CampaignError, InputError, StaleWrite
from orchestrator.store.changes import Amend, Change, PutAsk, PutExperiment
from orchestrator.store.protocol import Store
from orchestrator.store.records import AskRecord, CampaignRecord, ExperimentRecord, ExperimentState

MOST_TRIES: Final = 10
NOT_STARTED: Final[tuple[ExperimentState, ...]] = ("proposed", "approved", "queued")
REMEMBERS: Final = ("space", "outcome_constraints", "strategy", "metrics")
"""Blocks of which a strategy remembers something: where one changes, it begins anew, with all that is known."""
QUIET: Final = ("stop", "confirm", "breakers", "turns", "notify", "controls", "lab")
"""Blocks that no proposal depends on: where only these change, what would have been proposed is proposed."""
FROM_START: Final = ("notify",)
"""Blocks that a running process reads at its start alone."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """What an amendment does.

    Attributes:
        name: of the campaign.
        version: of the definition from then on.
        changes: what differs.
        experiments: proposals that go another way by it: as they are from then on, and why.
        notes: what a person should know.
        done: whether it was written, or only looked at.
    """

    name: str
    version: int
    changes: tuple[Difference, ...]
    experiments: tuple[tuple[ExperimentRecord, str], ...] = ()
    notes: tuple[str, ...] = ()
    done: bool = False


def amend(
    store: Store,
    name: str,
    definition: Definition,
    *,
    who: str,
    why: str = "",
    version: int | None = None,
    dry_run: bool = False,
) -> Amendment:
    """Let a campaign go on by another definition, whichever process runs it.

    Everything is written in one transaction: the definition, what becomes of proposals that no longer fit, and where
    proposals depend on what changes, an ask of no experiments, behind which a strategy begins anew: a proposal that a
    model thinks of meanwhile under the former definition is not accepted, and made again.

    Args:
        store: where the campaign is.
        name: of the campaign.
        definition: of the same name, columns, objectives, seed and laboratory.
        who: amends.
        why: for the log.
        version: of the definition that this one was made from; ``None``: whichever there is.
        dry_run: write nothing.

    Returns:
        What changes. Without any change, nothing is written.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: somebody else amended it, or a process runs it that cannot follow; nothing was written.
        InputError: the definition is that of another campaign, or does not fit what is known.
    """
    record = store.campaign(name)
    if version is not None and record.version != version:
        raise _too_late(store, name, version)
    before = stored(record, store)
    changes = tuple(differences(before.resolved(), definition.resolved()))
    if not changes:
        return Amendment(name, record.version, ())
    check_amendment(before, definition)
    lab = definition.build_lab()
    held = store.holder(name) is not None
    if held:
        _check_running(name, before, definition, lab)
    notes = (*_taken_back(changes, history(store, name)), *_later(changes, held=held))
    for _ in range(MOST_TRIES):
        moved = tuple(_moved(store, name, before, definition, lab))
        result = Amendment(name, record.version + 1, changes, tuple((r, w) for r, _, w in moved), notes)
        if dry_run:
            return result
        try:
            store.apply(name, _written(store, record, definition, changes, moved, why), who=who)
        except StaleWrite:  # an experiment began meanwhile, something was proposed, or somebody else amended
            if store.campaign(name).version != record.version:
                raise _too_late(store, name, record.version) from None
            continue
        return replace(result, done=True)
    raise CampaignError(f"campaign {name!r} changes too fast to amend it.", field="name", mend="Pause it before.")


def _written(
    store: Store,
    record: CampaignRecord,
    definition: Definition,
    changes: Sequence[Difference],
    moved: Sequence[tuple[ExperimentRecord, ExperimentRecord, str]],
    why: str,
) -> list[Change]:
    """All that an amendment writes."""
    blocks = {change.field.split(".")[0] for change in changes}
    amend = Amend(definition.resolved(), definition.hash, record.definition_hash, why, definition.blobs())
    puts = [PutExperiment(after, former.state, reason, former) for after, former, reason in moved]
    if blocks <= set(QUIET):
        return [amend, *puts]
    asks = store.asks(record.name)
    state: dict[str, Any] = {} if blocks & set(REMEMBERS) or not asks else dict(asks[-1].state)
    ask = AskRecord(len(asks) + 1, 0, state)
    return [amend, PutAsk(ask, f"version {record.version + 1} of the definition"), *puts]


def _moved(
    store: Store, name: str, before: Definition, definition: Definition, lab: Lab
) -> Iterator[tuple[ExperimentRecord, ExperimentRecord, str]]:
    """Which experiments go another way by a definition: afterwards, before, and why.

    Where nothing waited for approval, what is ``proposed`` was asked in Python, and stays there.

    Raises:
        InputError: something that is known cannot be said in the definition's space.
    """
    records, now = store.experiments(name), datetime.now(UTC)
    _check_known(definition, records)
    waiting, approval = before.file.approval != "none", definition.file.approval
    for record in records:
        if record.state not in NOT_STARTED:
            continue
        if reason := _unfit(definition, lab, record):
            after: ExperimentState = "cancelled" if record.state == "queued" else "rejected"
            yield replace(record, state=after, updated=now), record, f"it does not fit any more: {reason}"
        elif waiting and record.state == "proposed" and not needs_approval(approval, record.asked or {}):
            yield replace(record, state="queued", updated=now), record, "it needs no approval any more"


def _check_known(definition: Definition, records: Sequence[ExperimentRecord]) -> None:
    """Check that every experiment can be said in the definition's space; it may well lie outside its bounds.

    Raises:
        InputError: one cannot, such as for a category that a pool has lost.
    """
    ledger = Ledger(definition.space, (), records)
    if not inexpressible(ledger, records):
        return
    for record in records:
        if problem := inexpressible(ledger, [record]):
            raise InputError(
                f"experiment {record.id} cannot be said in this space: {problem}",
                field=f"space.{problem.field or 'parameters'}",
                mend="Keep what was measured already, and exclude it by a constraint.",
            ) from problem


def _unfit(definition: Definition, lab: Lab, record: ExperimentRecord) -> str:
    """Why an experiment cannot be started under a definition; empty where it can."""
    asked = record.asked or {}
    why = definition.space.violations(definition.space.to_array(pd.DataFrame([asked])))[0]
    if why:
        return why
    try:
        lab.check(asked)
    except LabError as problem:
        return str(problem.args[0])
    return ""


def _check_running(name: str, before: Definition, after: Definition, lab: Lab) -> None:
    """Check that a process which runs the campaign can follow: its laboratory stands already.

    Raises:
        CampaignError: it cannot.
    """
    mend = f"`sabatier stop {name}`, amend, then `sabatier resume {name}`."
    if changed := lab_changes(before, after):
        raise CampaignError(
            f"{changed[0].field} cannot change while a process runs the campaign.", field=changed[0].field, mend=mend
        )
    if before.file.controls != after.file.controls and not isinstance(lab, Recontrolled):
        raise CampaignError(
            "this laboratory cannot change its controls while a process runs the campaign.", field="controls", mend=mend
        )


def _taken_back(changes: Sequence[Difference], versions: Sequence[Version]) -> Iterator[str]:
    """Which earlier amendments a person takes back by these changes, perhaps unknowingly."""
    for change in changes:
        for version in reversed(versions):
            former = next((c for c in version.changes if c.field == change.field), None)
            if former is not None and former.was == change.now:
                said = f"{change.field}: takes back what {version.who} changed {version.time:%Y-%m-%d %H:%M} UTC"
                yield said + (f" ({version.why})" if version.why else "")
                break


def _later(changes: Sequence[Difference], *, held: bool) -> Iterator[str]:
    """What a running process does not follow at once."""
    blocks = dict.fromkeys(change.field.split(".")[0] for change in changes)
    for block in blocks if held else ():
        if block in FROM_START:
            yield f"{block}: heeded from the next `sabatier resume` on"


def _too_late(store: Store, name: str, version: int) -> CampaignError:
    """The error for somebody who amended another version than there is."""
    events = store.events(name, kinds=(AMENDMENT,))
    said = ""
    if events:
        last = events[-1]
        said = f", amended {last.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC by {last.who}"
        said += f" ({last.why})" if last.why else ""
    return CampaignError(
        f"campaign {name!r} has version {store.campaign(name).version} of its definition{said}, not {version}; "
        "nothing was changed.",
        field="version",
        mend=f"Look at `sabatier log {name}`, put that into your file, and amend again.",
    )
