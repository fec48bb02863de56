"""What to do next: search spaces, objectives and strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acquisition.constraints import ExpressionConstraint as ExpressionConstraint
    from acquisition.constraints import LinearConstraint as LinearConstraint
    from acquisition.constraints import NonlinearConstraint as NonlinearConstraint
    from acquisition.costs import Costs as Costs
    from acquisition.errors import AcquisitionError as AcquisitionError
    from acquisition.errors import InfeasibleSpaceError as InfeasibleSpaceError
    from acquisition.errors import ObjectiveError as ObjectiveError
    from acquisition.errors import SpaceError as SpaceError
    from acquisition.errors import SpaceExhaustedError as SpaceExhaustedError
    from acquisition.errors import StoppingError as StoppingError
    from acquisition.errors import StrategyError as StrategyError
    from acquisition.objectives import Objective as Objective
    from acquisition.objectives import OutcomeConstraint as OutcomeConstraint
    from acquisition.parameters import Categorical as Categorical
    from acquisition.parameters import Composition as Composition
    from acquisition.parameters import Continuous as Continuous
    from acquisition.parameters import Discrete as Discrete
    from acquisition.parameters import Integer as Integer
    from acquisition.space import SearchSpace as SearchSpace
    from acquisition.stopping import AllOf as AllOf
    from acquisition.stopping import AnyOf as AnyOf
    from acquisition.stopping import CatalystMass as CatalystMass
    from acquisition.stopping import CostBudget as CostBudget
    from acquisition.stopping import ExpectedGain as ExpectedGain
    from acquisition.stopping import Experiments as Experiments
    from acquisition.stopping import Hours as Hours
    from acquisition.stopping import Plateau as Plateau
    from acquisition.stopping import RegretBound as RegretBound
    from acquisition.stopping import StoppingRule as StoppingRule
    from acquisition.stopping import Target as Target

_HOMES = {
    "Costs": "costs",
    "AllOf": "stopping",
    "AnyOf": "stopping",
    "CatalystMass": "stopping",
    "CostBudget": "stopping",
    "ExpectedGain": "stopping",
    "Experiments": "stopping",
    "Hours": "stopping",
    "Plateau": "stopping",
    "RegretBound": "stopping",
    "StoppingRule": "stopping",
    "Target": "stopping",
    "StoppingError": "errors",
    "ExpressionConstraint": "constraints",
    "LinearConstraint": "constraints",
    "NonlinearConstraint": "constraints",
    "AcquisitionError": "errors",
    "InfeasibleSpaceError": "errors",
    "ObjectiveError": "errors",
    "SpaceError": "errors",
    "SpaceExhaustedError": "errors",
    "StrategyError": "errors",
    "Objective": "objectives",
    "OutcomeConstraint": "objectives",
    "Categorical": "parameters",
    "Composition": "parameters",
    "Continuous": "parameters",
    "Discrete": "parameters",
    "Integer": "parameters",
    "SearchSpace": "space",
}
"""Where each public name lives; modules are imported when first asked for, since pandas takes its time."""

__all__ = sorted(_HOMES)  # noqa: PLE0605 - sorted gives a list


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__part_of__ = "sabatier"  # tells this package from others of its name
