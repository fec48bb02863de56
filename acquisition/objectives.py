"""What a campaign is after: objectives, and outcomes that must keep within bounds."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import ObjectiveError

Goal: TypeAlias = Literal["maximize", "minimize", "target"]


@speaks(ObjectiveError)
@dataclass(frozen=True, config=CONFIG)
class Objective:
    """A metric with a goal.

    Attributes:
        metric: its name, such as ``"fe_c2h4"``.
        goal: ``maximize``, ``minimize`` or ``target``.
        target: with goal ``target``: a value, or a (low, high) window inside which all values are equally good.
        reference: the worst value that still counts, for hypervolumes of several objectives.

    Raises:
        ObjectiveError: a target without its goal or the other way round, or a window in the wrong order.
    """

    metric: str
    goal: Goal = "maximize"
    target: float | tuple[float, float] | None = None
    reference: float | None = None

    def __post_init__(self) -> None:
        if not self.metric:
            raise ObjectiveError("an objective needs a metric.", field="metric")
        if (self.goal == "target") != (self.target is not None):
            raise ObjectiveError(
                f"objective {self.metric!r}: goal {self.goal!r} with target {self.target!r}.",
                field="target",
                mend="`target` goes with goal `target`, and only with it.",
            )
        if isinstance(self.target, tuple) and self.target[0] > self.target[1]:
            raise ObjectiveError(f"objective {self.metric!r}: the target window falls.", field="target")

    @property
    def window(self) -> tuple[float, float]:
        """The target window; a single target value is a window of no width.

        Raises:
            ObjectiveError: the goal is no target.
        """
        if self.target is None:
            raise ObjectiveError(f"objective {self.metric!r} has no target.", field="target")
        return self.target if isinstance(self.target, tuple) else (self.target, self.target)


@speaks(ObjectiveError)
@dataclass(frozen=True, config=CONFIG)
class OutcomeConstraint:
    """A metric that must keep within bounds.

    Raises:
        ObjectiveError: no bound, or bounds in the wrong order.
    """

    metric: str
    lower: float | None = None
    upper: float | None = Field(default=None)

    def __post_init__(self) -> None:
        if self.lower is None and self.upper is None:
            raise ObjectiveError(f"outcome constraint {self.metric!r} has no bound.", field="lower")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ObjectiveError(f"outcome constraint {self.metric!r}: lower is above upper.", field="lower")
