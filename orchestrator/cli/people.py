"""Commands by which people steer a campaign, whichever process runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from instruments.lab import Lab, Resuming
from orchestrator.campaign import words
from orchestrator.errors import InputError
from orchestrator.steering import experiments, lifecycle
from orchestrator.steering.saying import account
from orchestrator.store.changes import Note
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store

if TYPE_CHECKING:
    from orchestrator.loop.assembly import Assembly
    from orchestrator.loop.keeping import Files

PATIENCE: Final = 60.0
"""Seconds that `stop --now` waits for the campaign's process."""


@contextmanager
def opened(store: str | None) -> Iterator[Store]:
    """An existing store for the block; what people say is on the disk when a command ends."""
    kept = open_store(store, durable=True, create=False)
    try:
        yield kept
    finally:
        kept.close()


def say(sentence: str) -> None:
    """Print what happened."""
    sys.stdout.write(sentence[:1].upper() + sentence[1:] + "\n")


def steer(what: str, name: str, *, store: str | None, who: str | None, why: str, now: bool = False) -> None:
    """Pause, continue or stop."""
    with opened(store) as kept:
        by = who or account()
        if what == "pause":
            say(lifecycle.pause(kept, name, who=by, why=why))
        elif what == "continue":
            say(lifecycle.go_on(kept, name, who=by, why=why))
        else:
            controlled = kept.holder(name) is not None
            say(lifecycle.stop(kept, name, now=now, who=by, why=why))
            if now and controlled:
                say(lifecycle.stopped(kept, name, PATIENCE))


def decide(
    what: str, name: str, ids: Sequence[int], *, every: bool, store: str | None, who: str | None, why: str
) -> None:
    """Approve, reject or call off."""
    if bool(ids) == every:
        raise InputError(
            "say which experiments.", field="ID", mend="Give their ids" + (", or --all." if every else ".")
        )
    with opened(store) as kept:
        by = who or account()
        if what == "approve":
            say(experiments.approve(kept, name, None if every else ids, who=by, why=why))
        elif what == "reject":
            say(experiments.reject(kept, name, ids, who=by, why=why))
        else:
            say(experiments.cancel(kept, name, ids, running=_by_people(kept, name, ids), who=by, why=why))


def _by_people(store: Store, name: str, ids: Sequence[int]) -> bool:
    """Whether some of these experiments run, and it is people who run them."""
    if all(store.experiment(name, id).state != "running" for id in ids):
        return False
    return _people_run(assembled(store, name).lab)


def _people_run(lab: Lab) -> bool:
    return isinstance(lab, Resuming) and lab.resumes


def pairs(values: Sequence[str]) -> dict[str, str]:
    """``column=value`` words as a dict.

    Raises:
        InputError: one has no ``=``.
    """
    found = {}
    for word in values:
        column, equals, value = word.partition("=")
        if not equals or not column or not value:
            raise InputError(f"{word!r} is no COLUMN=VALUE.", field="COLUMN=VALUE", mend="Write potential=-0.9.")
        found[column] = value
    return found


def assembled(store: Store, name: str) -> Assembly:
    """Campaign and laboratory of a stored campaign."""
    from orchestrator.loop.assembly import assemble

    return assemble(store, name)


def edit(name: str, id: int, values: Sequence[str], *, store: str | None, who: str | None, why: str) -> None:
    """Change what has not begun."""
    wanted = pairs(values)
    with opened(store) as kept:
        parts = assembled(kept, name)
        say(experiments.edit(parts.campaign, parts.lab, id, wanted, who=who or account(), why=why))


def add(name: str, values: Sequence[str], *, priority: int, store: str | None, who: str | None, why: str) -> None:
    """Add an experiment."""
    wanted = pairs(values)
    with opened(store) as kept:
        parts = assembled(kept, name)
        by = who or account()
        say(experiments.add(parts.campaign, parts.lab, wanted, priority=priority, who=by, why=why))


def mark(name: str, id: int, how: experiments.Mark, *, store: str | None, who: str | None, why: str) -> None:
    """Judge a result anew."""
    with opened(store) as kept:
        say(experiments.mark(kept, name, id, how, who=who or account(), why=why))


def comment(name: str, text: str, id: int | None, *, store: str | None, who: str | None) -> None:
    """Write a remark."""
    with opened(store) as kept:
        say(experiments.comment(kept, name, text, id, who=who or account()))


def resolve(
    name: str,
    id: int,
    decision: experiments.Decision | Literal["accept"],
    *,
    store: str | None,
    who: str | None,
    why: str,
) -> None:
    """Say what is to become of an experiment of unknown outcome."""
    with opened(store) as kept:
        if decision == "accept":
            from orchestrator.steering.reducing import accept

            parts = assembled(kept, name)
            say(accept(parts.campaign, parts.lab, _files(kept, parts), id, who=who or account(), why=why))
            return
        say(experiments.resolve(kept, name, id, decision, who=who or account(), why=why))


def reduce(name: str, ids: Sequence[int], *, store: str | None, who: str | None, why: str) -> None:
    """Reduce raw signals again."""
    from orchestrator.steering.reducing import reduce as again

    with opened(store) as kept:
        parts = assembled(kept, name)
        files = _files(kept, parts)
        for id in dict.fromkeys(ids):  # one after the other: what was done before a refusal is said
            say(again(parts.campaign, parts.lab, files, [id], who=who or account(), why=why))


def _files(store: Store, parts: Assembly) -> Files:
    """Where raw signals are kept: each attempt says for itself where its own are."""
    from orchestrator.loop.assembly import kept_by

    return kept_by(store, parts.lab)


def cell(name: str, which: str, in_service: bool, *, store: str | None, who: str | None, why: str) -> None:
    """Take a cell out of service, or put it back."""
    with opened(store) as kept:
        cells = assembled(kept, name).lab.cells
        if which not in cells:
            raise InputError(
                f"{which!r} is no cell of this campaign.", field="CELL", mend=f"It has {', '.join(cells)}."
            )
        data = {"cell": which, "in_service": in_service}
        kept.apply(name, [Note(words.CELL, why or "a person's word", data=data)], who=who or account())
        say(f"{which} is {'in' if in_service else 'out of'} service for campaign {name}.")


def sample(name: str, which: str, usable: bool, *, store: str | None, who: str | None, why: str) -> None:
    """Take a sample out of use, or put it back."""
    from orchestrator.steering.samples import put

    with opened(store) as kept:
        say(put(kept, name, which, usable=usable, who=who or account(), why=why))


def tell(name: str, file: Path, *, prior: bool, amend: bool, store: str | None, who: str | None) -> None:
    """Enter results."""
    from orchestrator.steering import telling

    with opened(store) as kept:
        campaign = assembled(kept, name).campaign
        say(telling.tell(campaign, file, prior=prior, amend=amend, who=who or account()))


def sheet(name: str, output: Path | None, *, store: str | None) -> None:
    """Write what waits for results as a table to fill in."""
    from orchestrator.steering import telling

    with opened(store) as kept:
        parts = assembled(kept, name)
        entered = parts.lab.metrics if _people_run(parts.lab) else parts.definition.file.metrics
        frame = telling.sheet(parts.campaign, tuple(entered))
    if output is None:
        sys.stdout.write(frame.to_csv(index=False))
        return
    frame.to_csv(output, index=False)
    sys.stdout.write(f"{output}: {len(frame)} experiments; fill it in, then `sabatier tell {name} {output}`.\n")
