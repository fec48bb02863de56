"""What experiments and changes of settings cost, so that gains are weighed against them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import ObjectiveError


@speaks(ObjectiveError)
@dataclass(frozen=True, config=CONFIG)
class Costs:
    """Costs in one unit of the user's choice: minutes, euros.

    Attributes:
        experiment: of each experiment, its condition stage.
        preparation: of each new sample, on top.
        change: by parameter, of setting it to another value than the one in place (switching the electrolyte).
        slope: by numeric column, of one unit of it in each experiment (an hour of electrolysis, a gram of gold).
        unit: what they are in, for messages.

    Raises:
        ObjectiveError: a cost that is negative, or none above zero.
    """

    experiment: float = 1.0
    preparation: float = 0.0
    change: dict[str, float] = Field(default_factory=dict)
    slope: dict[str, float] = Field(default_factory=dict)
    unit: str = "experiments"
    type: Literal["costs"] = Field(default="costs", kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (
            ("experiment", self.experiment),
            ("preparation", self.preparation),
            *((f"change.{k}", v) for k, v in self.change.items()),
        ):
            if value < 0:
                raise ObjectiveError(
                    f"the cost {name} is negative ({value:g}).", field=name, mend="Costs are 0 or more."
                )
        if self.experiment == 0 and self.preparation == 0:
            raise ObjectiveError(
                "an experiment must cost something.", field="experiment", mend="Give `experiment` or `preparation`."
            )
