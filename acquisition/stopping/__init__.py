"""When a campaign is over: rules, and their combinations by "and" and "or"."""

from acquisition.stopping.combine import AllOf, AnyOf
from acquisition.stopping.progress import Progress, Standing, StoppingRule
from acquisition.stopping.rules import CostBudget, ExpectedGain, Experiments, Hours, Plateau, RegretBound, Target

__all__ = [
    "AllOf",
    "AnyOf",
    "CostBudget",
    "ExpectedGain",
    "Experiments",
    "Hours",
    "Plateau",
    "Progress",
    "RegretBound",
    "Standing",
    "StoppingRule",
    "Target",
]
