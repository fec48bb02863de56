"""The rules of quality control: their names, what each looks at, and thresholds that a campaign file may change.

A rule finds for each experiment a number and whether it is fine, suspect or invalid. Where the evidence is absent it
finds nothing: the rule is *not assessed*, which is told and is not a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import GetJsonSchemaHandler, model_validator

from instruments.electrochemistry._schema import Record
from instruments.electrochemistry.limits import (
    Above,
    Agreement,
    Below,
    Closure,
    Conversion,
    Outside,
    Quantified,
    Range,
    Required,
    Sigmas,
    Thermodynamic,
    Told,
)
from instruments.electrochemistry.looks import (
    Look,
    agreement,
    calibrated_range,
    closure,
    conversion,
    excessive,
    negative,
    quantified,
    required,
    simple,
    thermodynamics,
    transport,
    yes_or_no,
)
from instruments.errors import SignalError

VERSION: Final = "1"
"""Of the rules; stored with every verdict. A change of what a rule does makes a new one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of quality control.

    Attributes:
        name: in campaign files and reasons.
        id: of the rule in the catalogue; several named rules may share one.
        unit: of the number it looks at.
        says: what the number is, or what is wrong where it is broken.
        look: from evidence and thresholds to a finding, ``None`` where the evidence is absent.
        source: of the thresholds.
    """

    name: str
    id: str
    unit: str
    says: str
    look: Look
    source: str


_PRACTICE: Final = "usual practice"
_OURS: Final = "this project"
_PHYSICS: Final = "physics"
_PITFALLS: Final = "pitfalls of gas-diffusion testing, ACS Energy Lett. 2022; numbers: this project"

_ROWS: Final = (
    Rule(
        "closure",
        "Q01",
        "1",
        "sum of the Faradaic efficiencies",
        closure,
        "usual practice and a Monte Carlo of a healthy rig",
    ),
    Rule("negative_efficiency", "Q02", "1", "a Faradaic efficiency is negative: baseline or blank", negative, _OURS),
    Rule("excessive_efficiency", "Q03", "1", "a Faradaic efficiency is more than 1", excessive, _PHYSICS),
    Rule("ohmic_uncertainty", "Q04", "V", "uncertainty of the corrected ohmic drop", simple("ohmic_sem"), _OURS),
    Rule("ohmic_share", "Q05", "1", "ohmic drop over the distance from open circuit", simple("ohmic_share"), _OURS),
    Rule(
        "resistance_change",
        "Q06",
        "1",
        "change of the resistance, after against before",
        simple("resistance_change"),
        _PITFALLS,
    ),
    Rule(
        "current_drift",
        "Q07",
        "1",
        "drift of the current while an injection's gas was made",
        simple("current_drift"),
        _OURS,
    ),
    Rule(
        "potential_drift",
        "Q07",
        "V",
        "drift of the potential while an injection's gas was made",
        simple("potential_drift"),
        _OURS,
    ),
    Rule("spikes", "Q08", "1", "share of points that are spikes: bubbles", simple("spikes"), _OURS),
    Rule("overload", "Q09", "1", "share of the time in overload", simple("overload"), "the instrument"),
    Rule(
        "set_point",
        "Q09",
        "1",
        "share of the time more than 2 mV off the set potential",
        simple("off_set_point"),
        "the instrument",
    ),
    Rule("flow_balance", "Q10", "1", "measured against balanced outlet flow", simple("flow_mismatch"), _OURS),
    Rule("oxygen", "Q11", "1", "oxygen in the product gas: a leak, and it is reduced", simple("oxygen"), _OURS),
    Rule("nitrogen", "Q11", "1", "nitrogen in the product gas: a leak", simple("nitrogen"), _OURS),
    Rule("leak_test", "Q12", "1", "difference of inlet and outlet flow at rest", simple("leak"), _OURS),
    Rule("calibration_range", "Q13", "1", "mole fraction, the largest standard being 1", calibrated_range, _PRACTICE),
    Rule("check_gas", "Q14", "1", "deviation of the check gas from its certificate", simple("check_gas"), _PRACTICE),
    Rule("calibration_age", "Q15", "d", "age of the oldest calibration", simple("calibration_age"), _OURS),
    Rule(
        "calibration_expired",
        "Q15",
        "1",
        "the validity of a calibration had ended",
        yes_or_no("calibration_expired"),
        _OURS,
    ),
    Rule("calibration_fit", "Q15", "1", "R squared of the worst calibration", simple("calibration_fit"), _OURS),
    Rule(
        "retention_shift",
        "Q15",
        "1",
        "shift of the retention times: a wrong peak may be meant",
        simple("retention_shift"),
        _OURS,
    ),
    Rule(
        "injections",
        "Q16",
        "1",
        "difference of consecutive injections for a major product, or too few of them",
        agreement,
        _OURS,
    ),
    Rule(
        "slot",
        "Q16",
        "s",
        "an injection came after its slot: others had the chromatograph",
        simple("injection_delay"),
        _OURS,
    ),
    Rule("carbon_balance", "Q17", "1", "carbon found over carbon fed", simple("carbon_balance"), _PRACTICE),
    Rule(
        "conversion_limit",
        "Q18",
        "1",
        "conversion of CO2 near or above what stoichiometry allows",
        conversion,
        _PHYSICS,
    ),
    Rule(
        "signal_to_noise",
        "Q19",
        "1",
        "signal to noise of the worst liquid analysis",
        simple("signal_to_noise"),
        _PRACTICE,
    ),
    Rule(
        "standard_recovery",
        "Q19",
        "1",
        "recovery of the liquid analysis' internal standard, off 1 by",
        simple("standard_recovery"),
        _PRACTICE,
    ),
    Rule(
        "reference_drift",
        "Q20",
        "V",
        "drift of the reference electrode, or distance from what it is taken for",
        simple("reference_drift"),
        _OURS,
    ),
    Rule("ph", "Q21", "1", "bulk pH off that of the electrolyte saturated with CO2", simple("ph_deviation"), _OURS),
    Rule("temperature", "Q22", "K", "temperature off what was set", simple("temperature_deviation"), _OURS),
    Rule(
        "thermodynamics",
        "Q23",
        "V",
        "a product was found above its equilibrium potential",
        thermodynamics,
        "thermodynamics",
    ),
    Rule("blank", "Q24", "1", "efficiency of carbon products without CO2", simple("blank"), _OURS),
    Rule(
        "transport",
        "Q25",
        "1",
        "current of CO2 reduction over its limit by transport",
        transport,
        "Burdyny and Smith, Energy Environ. Sci. 2019, 12, 1442",
    ),
    Rule("flooding", "Q27", "h-1", "slope of the efficiency of hydrogen: flooding", simple("hydrogen_slope"), _OURS),
    Rule("hydrogen_growth", "Q27", "1", "hydrogen at the end over its start", simple("hydrogen_ratio"), _OURS),
    Rule("back_pressure", "Q27", "1", "change of the back pressure", simple("back_pressure"), _OURS),
    Rule("liquid_in_gas_line", "Q27", "1", "there was liquid in the gas line", yes_or_no("liquid_in_gas_line"), _OURS),
    Rule("pressure_rise", "Q28", "1", "rise of the pressure drop: salt", simple("pressure_rise"), _OURS),
    Rule(
        "pressure_oscillates", "Q28", "1", "the pressure drop oscillates: salt", yes_or_no("pressure_oscillates"), _OURS
    ),
    Rule("blocked", "Q28", "1", "what is left of the flow", simple("flow_left"), _OURS),
    Rule(
        "clock", "Q29", "s", "clocks of potentiostat and chromatograph apart", simple("clock_offset"), "data integrity"
    ),
    Rule("metadata", "Q29", "1", "mandatory metadata are missing", required, "data integrity"),
    Rule(
        "liquid_charge",
        "Q30",
        "1",
        "concentration over the least that can be quantified: too little charge",
        quantified,
        "planning",
    ),
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _ROWS})
"""Rules about one experiment by name. Q26, outliers among replicates, looks at several: see ``replicate_outliers``."""


class QualityRules(Record):
    """Thresholds by the rule's name; ``None`` for a rule that is off.

    ``QualityRules(closure={"suspect": [0.85, 1.15]}, spikes="off")``: what a rule's block leaves out stays as it is by
    default; ``off`` (also ``false`` or ``null``) leaves the rule out.

    Raises:
        SignalError: there is no such rule, or its thresholds contradict each other.
    """

    closure: Closure | None = Closure(suspect=(0.90, 1.10), invalid=(0.80, 1.20))
    negative_efficiency: Sigmas | None = Sigmas(sigmas=2.0, invalid=0.05)
    excessive_efficiency: Sigmas | None = Sigmas(sigmas=2.0, invalid=0.10)
    ohmic_uncertainty: Above | None = Above(suspect=0.020, invalid=0.060)
    ohmic_share: Above | None = Above(suspect=0.25, invalid=0.6)
    resistance_change: Above | None = Above(suspect=0.10, invalid=0.30)
    current_drift: Above | None = Above(suspect=0.05, invalid=0.20)
    potential_drift: Above | None = Above(suspect=0.020, invalid=0.080)
    spikes: Above | None = Above(suspect=0.01, invalid=0.10)
    overload: Above | None = Above(suspect=0.01, invalid=0.05)
    set_point: Above | None = Above(suspect=0.01, invalid=0.05)
    flow_balance: Above | None = Above(suspect=0.05, invalid=0.15)
    oxygen: Above | None = Above(suspect=0.001, invalid=0.005)
    nitrogen: Above | None = Above(suspect=0.004, invalid=0.02)
    leak_test: Above | None = Above(suspect=0.01, invalid=0.03)
    calibration_range: Range | None = Range(suspect=1.2, invalid=3.0)
    check_gas: Above | None = Above(suspect=0.05, invalid=0.10)
    calibration_age: Above | None = Above(suspect=30.0)
    calibration_expired: Above | None = Above(suspect=0.5)
    calibration_fit: Below | None = Below(suspect=0.995)
    retention_shift: Above | None = Above(suspect=0.02, invalid=0.05)
    injections: Agreement | None = Agreement(suspect=0.05, invalid=0.15)
    slot: Above | None = Above(suspect=60.0)
    carbon_balance: Outside | None = Outside(suspect=(0.90, 1.10), invalid=(0.80, 1.20))
    conversion_limit: Conversion | None = Conversion(suspect=0.02, sigmas=2.0)
    signal_to_noise: Below | None = Below(suspect=10.0)
    standard_recovery: Above | None = Above(suspect=0.10, invalid=0.25)
    reference_drift: Above | None = Above(suspect=0.005, invalid=0.020)
    ph: Above | None = Above(suspect=0.2, invalid=0.5)
    temperature: Above | None = Above(suspect=1.0, invalid=5.0)
    thermodynamics: Thermodynamic | None = Thermodynamic(margin=0.050, invalid=0.05)
    blank: Above | None = Above(suspect=0.005, invalid=0.02)
    transport: Told | None = Told(info=0.8)
    flooding: Above | None = Above(suspect=0.05)
    hydrogen_growth: Above | None = Above(suspect=None, invalid=2.0)
    back_pressure: Above | None = Above(suspect=0.20)
    liquid_in_gas_line: Above | None = Above(suspect=0.5)
    pressure_rise: Above | None = Above(suspect=0.5)
    pressure_oscillates: Above | None = Above(suspect=0.5)
    blocked: Below | None = Below(suspect=None, invalid=0.5)
    clock: Above | None = Above(suspect=5.0)
    metadata: Required | None = Required()
    liquid_charge: Quantified | None = Quantified(suspect=3.0)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Thresholds may be ``off``."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for rule in schema["properties"].values():
            rule["anyOf"] = [*rule["anyOf"], {"enum": ["off", False]}]
        return schema

    @model_validator(mode="before")
    @classmethod
    def _merged(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: cls._thresholds(name, given) for name, given in data.items()}

    @classmethod
    def _thresholds(cls, name: str, given: Any) -> Any:
        """``off`` and partial thresholds of one rule."""
        if name not in cls.model_fields:
            return given
        if given is None or given is False or (isinstance(given, str) and given.lower() == "off"):
            return None
        if not isinstance(given, Mapping):
            return given
        default = cls.model_fields[name].default
        try:
            return type(default)(**{**default.model_dump(), **given})
        except SignalError as problem:
            field = f"{name}.{problem.field}" if problem.field else name
            raise SignalError(f"rule {name!r}: {problem.args[0]}", field=field, mend=problem.mend) from None


def as_markdown() -> str:
    """The rules with their default thresholds as a table."""
    rows = ["| rule | id | looks at | unit | thresholds | source |", "| --- | --- | --- | --- | --- | --- |"]
    for rule in RULES.values():
        limits = QualityRules.model_fields[rule.name].default.model_dump()
        told = ", ".join(f"`{name}: {_written(value)}`" for name, value in limits.items() if value is not None)
        unit = "" if rule.unit == "1" else rule.unit
        rows.append(f"| `{rule.name}` | {rule.id} | {rule.says} | {unit} | {told} | {rule.source} |")
    return "\n".join(rows)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(f'{each:g}' for each in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    import sys

    sys.stdout.write(as_markdown() + "\n")
