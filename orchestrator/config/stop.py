"""The block of a campaign file that says when the campaign is over. Light to import: ``status`` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, Strict, field_validator, model_serializer, model_validator

from acquisition.stopping import (
    AllOf,
    AnyOf,
    CatalystMass,
    CostBudget,
    ExpectedGain,
    Experiments,
    Hours,
    Plateau,
    RegretBound,
    StoppingRule,
    Target,
)
from orchestrator.config.block import Block
from orchestrator.errors import InputError


class StopBlock(Block):
    """The rules that end a campaign: of several keys, the first that is met."""

    experiments: Annotated[int, Strict()] | None = None
    """The budget: so many experiments."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """So much time by the laboratory's clock; afterwards no experiment is started."""

    cost: Annotated[float, Field(gt=0)] | None = None
    """So much in the unit of `costs`, never more."""

    catalyst_mass: Annotated[float, Field(gt=0)] | None = None
    """So much catalyst on all samples, mg; see `samples`."""

    target: Target | None = None
    """A goal is reached in the model's eyes."""

    expected_gain: ExpectedGain | None = None
    """The model expects little of what it proposes."""

    regret: RegretBound | None = None
    """What could still be gained is bounded."""

    plateau: Plateau | None = None
    """The best has not improved for some experiments."""

    any: tuple[StopBlock, ...] | None = Field(default=None, min_length=1)
    """Blocks of rules of which one must be met."""

    all: tuple[StopBlock, ...] | None = Field(default=None, min_length=1)
    """Blocks of rules which must all be met."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if not data:
                raise InputError("no rule says when the campaign is over.", mend="Give `experiments: 40`.")
            for key, value in data.items():
                if value is None:
                    raise InputError("is empty.", field=str(key), mend="Fill it in, or leave the key out.")
        return data

    @field_validator("experiments")
    @classmethod
    def _enough(cls, experiments: int | None) -> int | None:
        if experiments is not None and experiments < 1:
            raise InputError(f"a budget of {experiments} experiments learns nothing.", mend="Give at least 1.")
        return experiments

    @model_serializer(mode="wrap")
    def _given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}

    def rule(self) -> StoppingRule:
        """The block as one stopping rule."""
        rules = (
            *self._own(),
            *(block.rule() for block in self.any or ()),
            *(() if self.all is None else (_together(self.all),)),
        )
        return rules[0] if len(rules) == 1 else AnyOf(rules)

    def parts(self) -> Iterator[tuple[str, StoppingRule]]:
        """Every single rule, with the dotted path of the block that it stands in: empty, or such as ``any.0.all.1.``"""
        yield from (("", rule) for rule in self._own())
        for key, blocks in (("any", self.any), ("all", self.all)):
            for index, block in enumerate(blocks or ()):
                yield from ((f"{key}.{index}.{path}", rule) for path, rule in block.parts())

    def _own(self) -> tuple[StoppingRule, ...]:
        """The rules of this block itself."""
        found = (
            None if self.experiments is None else Experiments(self.experiments),
            None if self.hours is None else Hours(self.hours),
            None if self.cost is None else CostBudget(self.cost),
            None if self.catalyst_mass is None else CatalystMass(self.catalyst_mass),
            self.target,
            self.expected_gain,
            self.regret,
            self.plateau,
        )
        return tuple(rule for rule in found if rule is not None)


def _together(blocks: tuple[StopBlock, ...]) -> StoppingRule:
    return blocks[0].rule() if len(blocks) == 1 else AllOf(tuple(block.rule() for block in blocks))
