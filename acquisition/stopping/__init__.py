"""When a campaign is over: rules, and their combinations by "and" and "or"."""

from acquisition.stopping.budgets import CatalystMass, CostBudget, Experiments, Hours
from acquisition.stopping.combine import AllOf, AnyOf
from acquisition.stopping.progress import Progress, Reserve, Standing, StoppingRule
from acquisition.stopping.rules import ExpectedGain, Plateau, RegretBound, Target

__all__ = [
    "AllOf",
    "AnyOf",
    "CatalystMass",
    "CostBudget",
    "ExpectedGain",
    "Experiments",
    "Hours",
    "Plateau",
    "Progress",
    "RegretBound",
    "Reserve",
    "Standing",
    "StoppingRule",
    "Target",
]
