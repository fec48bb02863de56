"""Electrochemical data reduction: raw signals become figures of merit by the field's rules."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instruments.electrochemistry.calibration import Calibration, Calibrations, fit_calibration
    from instruments.electrochemistry.potentials import REFERENCE_ELECTRODES
    from instruments.electrochemistry.products import PRODUCTS, Product
    from instruments.electrochemistry.quality import Check, Reduced, judge_table, replicate_outliers
    from instruments.electrochemistry.reduction import Failed, Reduction, reduce, reduce_all, shared_covariance
    from instruments.electrochemistry.rules import RULES, QualityRules
    from instruments.electrochemistry.setup import Setup
    from instruments.electrochemistry.uncertain import Uncertain

_HOMES = {
    "Calibration": "calibration",
    "Calibrations": "calibration",
    "Check": "quality",
    "Failed": "reduction",
    "PRODUCTS": "products",
    "Product": "products",
    "QualityRules": "rules",
    "REFERENCE_ELECTRODES": "potentials",
    "RULES": "rules",
    "Reduced": "quality",
    "Reduction": "reduction",
    "Setup": "setup",
    "Uncertain": "uncertain",
    "fit_calibration": "calibration",
    "judge_table": "quality",
    "reduce": "reduction",
    "reduce_all": "reduction",
    "replicate_outliers": "quality",
    "shared_covariance": "reduction",
}

__all__ = [
    "PRODUCTS",
    "REFERENCE_ELECTRODES",
    "RULES",
    "Calibration",
    "Calibrations",
    "Check",
    "Failed",
    "Product",
    "QualityRules",
    "Reduced",
    "Reduction",
    "Setup",
    "Uncertain",
    "fit_calibration",
    "judge_table",
    "reduce",
    "reduce_all",
    "replicate_outliers",
    "shared_covariance",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that the package itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"instruments.electrochemistry.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
