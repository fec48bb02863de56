"""A campaign that goes on from another one takes over what was measured there, where it means the same.

What is taken is written into the new campaign once, as prior data, in the order in which it was told. From then on it
is the new one's own, so that proposals stay a pure function of what its own records hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from acquisition.parameters import Categorical, Composition
from instruments.lab import Lab, Referred, Scalar
from orchestrator.campaign.defining import stored
from orchestrator.campaign.ledger import Ledger, inexpressible, seed_of
from orchestrator.campaign.links import links
from orchestrator.campaign.progress import measured
from orchestrator.campaign.words import LINK
from orchestrator.config.spaces import units_of
from orchestrator.errors import CampaignError, InputError, StaleWrite, UnknownCampaign
from orchestrator.store.changes import Note, PutExperiment
from orchestrator.store.records import CampaignRecord, ExperimentRecord

if TYPE_CHECKING:
    from acquisition.space import SearchSpace
    from orchestrator.config.definition import Definition
    from orchestrator.store.protocol import Store

TEACHING: Final = ("material", "condition")
"""Causes of failure that say something about the experiment, in any laboratory."""


NAME: Final = "a name"
"""The kind of a column of categories."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What a campaign takes over from another one.

    Attributes:
        source: the other campaign.
        pairs: an experiment there, and what it becomes here.
        left_out: why others that ended are not taken, with how many.
        outside: how many lie outside the space here; they teach all the same.
    """

    source: CampaignRecord
    pairs: tuple[tuple[int, ExperimentRecord], ...]
    left_out: Mapping[str, int]
    outside: int

    @property
    def text(self) -> str:
        """The same in a sentence."""
        said = f"takes {len(self.pairs)} results of campaign {self.source.name} as prior data"
        if self.outside:
            said += f", {self.outside} of them outside its own space"
        if self.left_out:
            said += f"; left out: {', '.join(f'{count} {why}' for why, count in self.left_out.items())}"
        return said


def prior_of(store: Store, definition: Definition) -> Prior | None:
    """What a campaign takes over by its key ``after``; ``None`` without the key.

    Args:
        store: of both campaigns.
        definition: of the new one.

    Raises:
        InputError: there is no such campaign, or what was measured there does not mean the same, or nothing was.
    """
    file = definition.file
    if file.after is None:
        return None
    try:
        source = store.campaign(file.after)
        former = stored(source, store)
    except (UnknownCampaign, CampaignError) as problem:
        raise InputError(str(problem.args[0]), field="after", mend=problem.mend) from problem
    labs = former.build_lab(), definition.build_lab()
    _same_columns(source.name, former.space, definition.space, labs)
    metrics = _metrics(source.name, definition, labs)
    left_out: Counter[str] = Counter()
    pairs, ledger = list[tuple[int, ExperimentRecord]](), Ledger(definition.space, ())
    known = _Known(definition.space)
    for record in sorted(store.experiments(source.name), key=lambda r: r.told or 0):
        if record.told is None or record.origin == "control":
            continue
        found = _taken(record, len(pairs) + 1, source.name, metrics, file.seed)
        why = _unusable(record, found, metrics)
        if why := why or ("" if known.has(found) else "with a category that is unknown here"):
            left_out[why] += 1
        else:
            pairs.append((record.id, found))
    if not pairs:
        raise InputError(
            f"campaign {source.name!r} has no result that could be taken over{_because(left_out)}.",
            field="after",
            mend="Leave `after` out, or wait until it has one.",
        )
    points = ledger.array([record for _, record in pairs])
    outside = sum(bool(why) for why in definition.space.violations(points, tolerance=2e-3))
    return Prior(source, tuple(pairs), left_out, outside)


def _because(left_out: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count} {why}' for why, count in left_out.items())})" if left_out else ""


def link(store: Store, name: str, definition: Definition | None = None, *, token: int | None = None) -> None:
    """Take over what a stored campaign begins with, and write the link into both logs; what is done already stays.

    Args:
        store: of both campaigns.
        name: of the new one.
        definition: of the new one; by default as stored.
        token: of the caller's lease.

    Raises:
        InputError: see :func:`prior_of`.
    """
    record = store.campaign(name)
    after = record.definition.get("after")
    if after is None:
        return
    if links(store, name).after is None:
        _take(store, record, stored(record, store) if definition is None else definition, token)
    if name not in links(store, after).followed_by:
        data = {"followed_by": name, "experiments": links(store, name).experiments}
        store.apply(after, [Note(LINK, f"campaign {name} goes on from here", data=data)], who="campaign")


def _take(store: Store, record: CampaignRecord, definition: Definition, token: int | None) -> None:
    prior = prior_of(store, definition)
    if prior is None:
        return
    data = {
        "after": prior.source.name,
        "definition_hash": prior.source.definition_hash,
        "last_event": store.last_event(prior.source.name),
        "experiments": [[there, here.id] for there, here in prior.pairs],
        "left_out": dict(prior.left_out),
    }
    note = Note(LINK, f"it {prior.text}", data=data)
    changes = [PutExperiment(here, None) for _, here in prior.pairs]
    try:
        store.apply(record.name, [*changes, note], who="campaign", token=token)
    except StaleWrite:
        if links(store, record.name).after is None:  # else another process was faster
            raise


def _same_columns(name: str, there: SearchSpace, here: SearchSpace, labs: tuple[Lab, Lab]) -> None:
    """Check that the columns of two spaces mean the same.

    Raises:
        InputError: names the first column that does not.
    """
    for column in (*here.columns, *there.columns):
        if column not in here.columns or column not in there.columns:
            has = f"campaign {name!r} does not have" if column in here.columns else f"only campaign {name!r} has"
            raise _unlike(f"{has} the column {column!r}")
    kinds, units = [_kinds(space) for space in (there, here)], [units_of(space) for space in (there, here)]
    references = [lab.references if isinstance(lab, Referred) else {} for lab in labs]
    for column in here.columns:
        for what, (was, now) in (
            ("is", (kinds[0][column], kinds[1][column])),
            ("has the unit", (units[0].get(column), units[1].get(column))),
            ("means", (references[0].get(column), references[1].get(column))),
        ):
            if was != now:
                shown = " and here ".join("nothing said" if one is None else repr(one) for one in (was, now))
                raise _unlike(f"{column!r} {what} {shown} (campaign {name!r} first)")


def _kinds(space: SearchSpace) -> dict[str, str]:
    """What the numbers of each column are."""
    names = {Composition: "a fraction", Categorical: NAME}
    return {c: names.get(type(p), "a number") for p in space.parameters for c in p.columns}


def _unlike(why: str) -> InputError:
    return InputError(
        f"its results cannot be taken over: {why}.",
        field="after",
        mend="Leave `after` out, and tell what is comparable as prior data: `sabatier tell NAME FILE.csv --prior`.",
    )


def _metrics(name: str, definition: Definition, labs: tuple[Lab, Lab]) -> dict[str, bool]:
    """The metrics of both laboratories, and whether each is wanted by an objective or an outcome constraint here.

    Raises:
        InputError: one is measured in another unit here.
    """
    file = definition.file
    wanted = {o.metric for o in file.objectives} | {c.metric for c in file.outcome_constraints}
    there, here = labs[0].metrics, labs[1].metrics
    for metric in sorted(wanted & set(there)):
        if there[metric] != here[metric]:
            units = f"{there[metric]!r} in campaign {name!r}, and {here[metric]!r} here"
            raise _unlike(f"{metric} is measured in {units}")
    return {metric: metric in wanted for metric in here if there.get(metric) == here[metric]}


def _taken(record: ExperimentRecord, id: int, source: str, metrics: Mapping[str, bool], seed: int) -> ExperimentRecord:
    """What an experiment of another campaign becomes in this one."""
    return ExperimentRecord(
        id=id,
        state="failed" if record.state == "failed" else "completed",
        origin="prior",
        executed={**(record.asked or {}), **(record.executed or {})},
        measured=dict(record.measured),
        measured_sem=dict(record.measured_sem),
        values={metric: value for metric, value in record.values.items() if metric in metrics},
        reason=f"experiment {record.id} of campaign {source}",
        seed=seed_of(seed, id),
        sample=record.sample,
        verdict=record.verdict,
        verdict_reasons=record.verdict_reasons,
        calibrations=record.calibrations,
        failure_cause=record.failure_cause,
        failure_reason=record.failure_reason,
        told=id,
    )


def _unusable(record: ExperimentRecord, taken: ExperimentRecord, metrics: Mapping[str, bool]) -> str:
    """Why a result is not taken over; empty where it is."""
    if record.state == "failed":
        if record.failure_cause not in TEACHING:
            return "failed by no fault of its own"
    elif record.state != "completed":
        return f"{record.state.replace('_', ' ')}"
    elif record.verdict == "invalid":
        return "invalid"
    elif not measured(taken, [metric for metric, wanted in metrics.items() if wanted]):
        return "without a metric that is wanted here"
    return ""


class _Known:
    """Whether a space knows the categories of experiments; each combination is looked up once.

    Args:
        space: with all columns of the experiments.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._ledger = Ledger(space, ())
        self._columns = [column for column, kind in _kinds(space).items() if kind == NAME]
        self._seen: dict[tuple[Scalar, ...], bool] = {}

    def has(self, record: ExperimentRecord) -> bool:
        """Whether it knows those of an experiment."""
        inputs = self._ledger.inputs(record)
        key = tuple(inputs[column] for column in self._columns)
        if key not in self._seen:
            self._seen[key] = inexpressible(self._ledger, [record]) is None
        return self._seen[key]
