"""The campaign file's schema, composed of the models of the packages that own its parts.

Everything here is checked when it is built and frozen afterwards. What needs other files (pools, tables) or a built
laboratory is checked in :mod:`orchestrator.config.definition`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    Strict,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from acquisition.constraints import Constraint
from acquisition.costs import Costs
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.parameters import Parameter, Stage
from acquisition.stopping import StoppingRule
from instruments.lab import LabOptions
from orchestrator.config.approval import Approval
from orchestrator.config.block import Block
from orchestrator.config.breakers import Breakers
from orchestrator.config.confirm import ConfirmBlock, reserve_of
from orchestrator.config.hints import listed
from orchestrator.config.notify import Notify
from orchestrator.config.plugins import check_strategy, lab_class, lab_types
from orchestrator.config.samples import SamplesBlock
from orchestrator.config.stop import StopBlock
from orchestrator.config.turns import TurnsBlock
from orchestrator.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_DEVICE_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST_NAME = 100

Count: TypeAlias = Annotated[int, Strict(), Field(ge=1)]
"""A whole number from 1; no truth value, no text."""

Label: TypeAlias = bool | int | float | str
"""A value to select rows by."""


class ParameterSpace(Block):
    """A search space made of parameters and constraints between them."""

    parameters: tuple[Parameter, ...] = Field(min_length=1)
    """What may be varied."""

    constraints: tuple[Constraint, ...] = ()
    """Constraints between the columns of the parameters."""


class PoolSpace(Block):
    """A search space made of the rows of a file: only these are proposed."""

    pool: str = Field(min_length=1)
    """CSV or Parquet file, relative to the campaign file; each of its rows is a candidate."""

    parameters: tuple[str, ...] = Field(min_length=1)
    """The columns that make a candidate; `t_*` stands for all columns that begin with `t_`."""

    categorical: tuple[str, ...] = ()
    """Those of the columns whose numbers are only names; columns of text are names anyway."""

    compositions: dict[str, tuple[str, ...]] | None = None
    """Groups of columns that are mole fractions: name of the composition to its columns. Without it, columns of one
    prefix whose rows all sum to 1 are found to be one; `{}` says that there is none."""

    stages: dict[str, Stage] = Field(default_factory=dict)
    """Columns or compositions that fix the sample (`preparation`); others are set for each experiment."""

    where: dict[str, Label] = Field(default_factory=dict)
    """Only rows with these values are candidates. If the laboratory replays the same file, its `where` counts too."""

    constraints: tuple[Constraint, ...] = ()
    """Only rows that meet these constraints between the pool's columns are candidates."""


def _no_truth_values(value: Any, path: tuple[str, ...]) -> None:
    """Refuse true and false where numbers and names belong: they would pass silently as 1 and 0."""
    if isinstance(value, bool) and path[-1] != "log":
        raise InputError(
            f"{str(value).lower()} is a truth value, neither a number nor a name.",
            field=".".join(path),
            mend="Put it in quotes if it is a name.",
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _no_truth_values(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _no_truth_values(item, (*path, str(index)))


def _space(value: Any) -> Any:
    """Tell the two kinds of search space apart, so that messages speak of one of them only."""
    if not isinstance(value, dict):
        return value
    if "pool" in value:
        return PoolSpace.model_validate(value)
    _no_truth_values(value.get("parameters"), ("parameters",))
    _no_truth_values(value.get("constraints"), ("constraints",))
    return ParameterSpace.model_validate(value)


Space: TypeAlias = Annotated[ParameterSpace | PoolSpace, BeforeValidator(_space)]


class StrategyBlock(Block):
    """How the next experiments are chosen."""

    name: str = "auto"
    """An installed strategy."""

    initial: Count | None = None
    """So many experiments fill the space evenly before a model proposes; without it 4 to 10 do, one for each number
    that can be chosen freely, and 10 from a pool."""

    batch: Count | None = None
    """So many experiments are proposed together; without it as many as the laboratory has free cells."""

    replicates: Literal["none", "auto"] | Count = "none"
    """Whether a point may be proposed again: never, where noise makes it worthwhile, or each so many times."""

    conditions_per_sample: Literal["auto"] | Count | None = None
    """So many experiments are done on each sample, or as many as pay (`auto`); without it each has its own sample."""

    fixed_within_batch: tuple[str, ...] = ()
    """Parameters or columns that are equal in all experiments that are proposed together."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Further options of the strategy."""

    @field_validator("name")
    @classmethod
    def _installed(cls, name: str) -> str:
        return check_strategy(name)

    @field_validator("options")
    @classmethod
    def _plain(cls, options: dict[str, Any]) -> dict[str, Any]:
        try:  # as the store keeps them, so that a resumed strategy is handed the same
            plain: dict[str, Any] = json.loads(json.dumps(options, allow_nan=False))
        except ValueError:
            raise InputError("options must be finite.") from None
        return plain


def _lab(value: Any) -> Any:
    """Build the options of the laboratory that ``type`` names."""
    if not isinstance(value, dict):
        return value
    if "type" not in value:
        raise InputError("the laboratory's `type` is missing.", mend=f"Installed: {listed(lab_types())}.")
    options = lab_class(value["type"])
    if "type" not in fields_of(options):
        value = {key: item for key, item in value.items() if key != "type"}
    return TypeAdapter(options).validate_python(value)


def fields_of(model: type) -> tuple[str, ...]:
    """The keys of a pydantic model or pydantic dataclass."""
    fields = getattr(model, "model_fields", None) or getattr(model, "__pydantic_fields__", {})
    return tuple(fields)


def _dump_lab(options: LabOptions) -> dict[str, Any]:
    dumped: dict[str, Any] = TypeAdapter(type(options)).dump_python(options, mode="json")
    return {"type": options.type, **dumped}


Lab: TypeAlias = Annotated[
    InstanceOf[LabOptions], BeforeValidator(_lab), PlainSerializer(_dump_lab), WithJsonSchema({"type": "object"})
]


def _strategy(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class CampaignFile(Block):
    """A campaign: what to vary, what to reach, how to choose, where to execute, and when to stop."""

    version: Literal[1] = 1
    """Version of this format."""

    name: str
    """The campaign's name: letters, digits and `. _ -`."""

    after: str | None = None
    """A campaign of the same store whose results this one begins with, as prior data."""

    seed: int = Field(default=0, ge=0, strict=True)
    """The same seed and the same results make the same proposals."""

    space: Space
    """What may be varied: parameters, or a pool of candidates."""

    objectives: tuple[Objective, ...] = Field(min_length=1)
    """What to reach; with several, the campaign looks for the best compromises."""

    outcome_constraints: tuple[OutcomeConstraint, ...] = ()
    """Bounds that a result must keep."""

    metrics: tuple[str, ...] = ()
    """Further metrics to record beside those of objectives and constraints."""

    strategy: Annotated[StrategyBlock, BeforeValidator(_strategy)] = Field(default_factory=StrategyBlock)
    """How the next experiments are chosen; a name alone takes its usual options."""

    costs: Costs | None = None
    """What experiments, samples and changes of settings cost; without it all experiments cost the same."""

    lab: Lab
    """The laboratory that executes the experiments."""

    controls: tuple[dict[str, Any], ...] = ()
    """Experiments that test the laboratory: which, how often, and what is done where one fails. They never count."""

    stop: StopBlock
    """When the campaign is over."""

    confirm: ConfirmBlock | None = None
    """The best are confirmed with fresh samples once the search is over; budgets keep something for that."""

    samples: SamplesBlock | None = None
    """What a sample needs, and how long it may be used."""

    approval: Approval = "none"
    """Which proposals wait for a person's word: none, all, or those outside a trusted region."""

    breakers: Breakers = Breakers()
    """When a cell is taken out of service by itself, and when the campaign waits for a person since too many are."""

    turns: TurnsBlock = TurnsBlock()
    """When this campaign has the devices that other campaigns want as well."""

    notify: Notify | None = None
    """Who is told of what happens, by names of addresses."""

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or _DEVICE_NAMES.fullmatch(name):
            raise InputError(
                f"{name!r} cannot name a campaign: the name becomes a part of file names and addresses.",
                mend=f"Use at most {_LONGEST_NAME} letters, digits and . _ - , with a letter or digit first.",
            )
        return name

    @model_validator(mode="after")
    def _no_metric_twice(self) -> CampaignFile:
        _distinct("objectives", [objective.metric for objective in self.objectives], ".metric")
        _distinct("metrics", self.metrics, "")
        if self.after == self.name:
            raise InputError("a campaign cannot go on from itself.", field="after", mend="Give it another `name`.")
        return self

    def search(self) -> StoppingRule:
        """When the search is over: `stop`, less what confirming the best takes of the budgets.

        Raises:
            StoppingError: that leaves nothing.
        """
        return self.stop.rule().reserving(reserve_of(self.confirm, self.costs))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Every metric that is recorded, objectives first."""
        goals = [objective.metric for objective in self.objectives]
        bounds = [constraint.metric for constraint in self.outcome_constraints]
        return tuple(dict.fromkeys([*goals, *bounds, *self.metrics]))


def _distinct(key: str, names: Iterable[str], tail: str) -> None:
    listed = list(names)
    again = next((name for name, count in Counter(listed).items() if count > 1), None)
    if again is not None:
        second = listed.index(again, listed.index(again) + 1)
        raise InputError(
            f"metric {again!r} is there twice.", field=f"{key}.{second}{tail}", mend="Keep one of the two."
        )
