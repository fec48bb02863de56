"""Whether the parts of a campaign fit together: metrics, laboratory, data files, budget. Nothing is moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from acquisition.errors import ObjectiveError, StoppingError
from acquisition.parameters import Categorical, Composition, Continuous, Discrete, Integer, Label
from acquisition.stopping import CatalystMass, CostBudget
from acquisition.stopping.progress import check_rule
from acquisition.strategies.registry import make_strategy
from instruments.errors import LabError
from instruments.lab import Lab
from orchestrator.config.confirm import reserve_of
from orchestrator.config.hints import unknown
from orchestrator.config.model import CampaignFile, PoolSpace, StrategyBlock
from orchestrator.config.names import RESERVED
from orchestrator.config.stages import check_stages
from orchestrator.config.tables import Table
from orchestrator.errors import CampaignError, InputError
from simulators.replay import ReplayOptions

if TYPE_CHECKING:
    from acquisition.problem import Problem
    from acquisition.space import SearchSpace

MOST_PROBES = 2_000
"""Finite spaces of at most so many points are shown to the laboratory whole before anything moves."""

PROBES = 32
"""So many points inside other spaces, and the ends of their parameters."""


def lab_tables(file: CampaignFile, space: SearchSpace, sources: Mapping[str, Table]) -> dict[str, Table]:
    """The replayed table with numbers where numbers are needed; nothing for other laboratories.

    Raises:
        InputError: a used value of a parameter or metric is a text, or is missing from a parameter or an objective.
    """
    options = file.lab
    if not isinstance(options, ReplayOptions):
        return {}
    table = sources["lab.table"]
    rows = table.select(options.where, "lab.where")
    labels = {parameter.name for parameter in space.parameters if isinstance(parameter, Categorical)}
    if isinstance(file.space, PoolSpace):
        labels |= {*file.space.categorical}
    settings = [name for name in space.columns if name not in labels and name in table.frame]
    table = table.numbers(settings, rows, field="lab.table", gaps=False)
    goals = {objective.metric for objective in file.objectives}
    for metric in file.metric_names:
        column = options.columns.get(metric, metric)
        if column in table.frame and column not in space.columns:
            field = f"lab.columns.{metric}" if metric in options.columns else "lab.table"
            table = table.numbers([column], rows, field=field, gaps=metric not in goals)
    return {"lab.table": table}


def _named_metrics(file: CampaignFile) -> Iterator[tuple[str, str]]:
    for index, objective in enumerate(file.objectives):
        yield f"objectives.{index}.metric", objective.metric
    for index, constraint in enumerate(file.outcome_constraints):
        yield f"outcome_constraints.{index}.metric", constraint.metric
    for index, metric in enumerate(file.metrics):
        yield f"metrics.{index}", metric


def check_metrics(file: CampaignFile, space: SearchSpace, lab: Lab) -> None:
    """Check that the laboratory measures every named metric.

    Raises:
        InputError: it does not, or the name is a parameter's.
    """
    for column in space.columns:
        if column in RESERVED:
            raise InputError(
                f"a parameter cannot be called {column!r}: the name means something else in tables of results.",
                field="space.parameters",
                mend="Rename it.",
            )
    for field, metric in _named_metrics(file):
        if metric in RESERVED:
            raise InputError(
                f"a metric cannot be called {metric!r}: the name means something else in tables of results.",
                field=field,
                mend="Rename it; a replayed table is renamed by `columns`.",
            )
        if metric in space.columns:
            raise InputError(
                f"{metric!r} is a parameter of the search space, so it cannot be a metric too.",
                field=field,
                mend="Name a result.",
            )
        if metric not in lab.metrics:
            raise InputError(unknown("metric", metric, lab.metrics), field=field)


def check_executable(file: CampaignFile, space: SearchSpace, lab: Lab) -> None:
    """Show the laboratory every candidate of a pool, or some points of another space.

    Raises:
        InputError: it cannot execute one of them.
    """
    records = [{str(name): value for name, value in row.items()} for row in _probes(space).to_dict("records")]
    refused: list[LabError] = []
    for record in records:
        try:
            lab.check(record)
        except LabError as problem:
            refused.append(problem)
    if not refused:
        return
    first = refused[0]
    if isinstance(file.space, PoolSpace):
        raise InputError(
            f"the laboratory cannot execute {len(refused)} of the pool's {len(records)} candidates; of the first it "
            f"says: {first.args[0]}",
            field="space.pool",
            mend=first.mend if len(refused) == len(records) else "Leave these rows out of the pool.",
        )
    raise InputError(
        f"the laboratory cannot execute this space: {first.args[0]}", field="space.parameters", mend=first.mend
    )


def check_strategy(file: CampaignFile, space: SearchSpace) -> None:
    """Build the strategy once, and let it refuse what it cannot work on if it has a method ``check``.

    Raises:
        StrategyError: it does not take its options, or not this problem.
    """
    block = file.strategy
    if block.name == "auto" and not block.options:
        return  # takes everything, and takes its time to import
    strategy = make_strategy(block.name, block.options)
    check = getattr(strategy, "check", None)
    if callable(check):
        check(_asked(file, space))


def check_plan(file: CampaignFile, space: SearchSpace) -> None:
    """Check that costs, shared samples and settings fit the space, and that the campaign ends.

    Raises:
        InputError: they do not, or it may never end.
    """
    block = file.strategy
    try:
        check_stages(space, block.replicates, file.costs, block.fixed_within_batch, block.conditions_per_sample)
    except CampaignError as problem:
        raise InputError(str(problem.args[0]), field=f"strategy.{problem.field}", mend=problem.mend) from None
    except ObjectiveError as problem:
        raise InputError(str(problem.args[0]), field=f"costs.{problem.field}", mend=problem.mend) from None
    _check_stop(file, _asked(file, space))


def _check_stop(file: CampaignFile, problem: Problem) -> None:
    """Check every stopping rule where it stands, and that together they end the campaign.

    Raises:
        InputError: one means nothing for the campaign, or pays no experiment, or the campaign may never end.
    """
    for path, rule in file.stop.parts():
        try:
            rule.check(problem)
        except StoppingError as wrong:
            raise InputError(str(wrong.args[0]), field=f"stop.{path}{wrong.field}", mend=wrong.mend) from None
    _check_samples(file)
    try:
        search = file.search()
    except StoppingError as wrong:
        raise InputError(str(wrong.args[0]), field="confirm", mend=wrong.mend) from None
    try:
        check_rule(search, problem, instant=isinstance(file.lab, ReplayOptions))
    except StoppingError as wrong:
        raise InputError(str(wrong.args[0]), field="stop", mend=wrong.mend) from None
    if file.costs is None or file.costs.slope:
        return
    first = file.costs.experiment + file.costs.preparation  # it has no sample yet
    kept = reserve_of(file.confirm, file.costs).cost
    for path, rule in file.stop.parts():
        if isinstance(rule, CostBudget) and rule.cost - kept < first and "all." not in path:
            less = f", less {kept:g} to confirm the best," if kept else ""
            raise InputError(
                f"a cost of {rule.cost:g}{less} pays not even one experiment, which costs {first:g}.",
                field=f"stop.{path}cost",
                mend="Raise it.",
            )


def _check_samples(file: CampaignFile) -> None:
    """Check that samples live for what is wanted of them, and that a budget of catalyst makes one and is used up.

    Raises:
        InputError: more conditions than uses; nothing is known of the mass of a sample, there is less than that, or
            samples take no end of experiments.
    """
    limits, wanted = file.samples, file.strategy.conditions_per_sample
    if limits is not None and limits.uses is not None and isinstance(wanted, int) and wanted > limits.uses:
        raise InputError(
            f"{wanted} conditions are to be measured on each sample, which may be used {limits.uses} times.",
            field="samples.uses",
            mend="Raise it, or lower `strategy.conditions_per_sample`.",
        )
    each = None if limits is None else limits.catalyst_mass
    kept = 0 if file.confirm is None else file.confirm.experiments
    for path, rule in file.stop.parts():
        if not isinstance(rule, CatalystMass):
            continue
        field = f"stop.{path}catalyst_mass"
        if each is None:
            raise InputError(
                "a mass of catalyst is to end the campaign, but nothing is known of the mass of a sample.",
                field=field,
                mend="Say it: `samples: {catalyst_mass: 0.5}`, in mg.",
            )
        if rule.catalyst_mass - kept * each < each:
            less = f", less {kept} samples to confirm the best," if kept else ""
            raise InputError(
                f"{rule.catalyst_mass:g} mg catalyst{less} make not even one sample, which takes {each:g} mg.",
                field=field,
                mend="Raise it.",
            )
        if wanted == "auto" and limits is not None and limits.uses is None:
            raise InputError(
                "with `conditions_per_sample: auto` a mass of catalyst may never be used up.",
                field=field,
                mend="Say how often a sample may be used: `samples: {uses: 10}`.",
            )


def _asked(file: CampaignFile, space: SearchSpace) -> Problem:
    """What the strategy is asked before anything is known."""
    from acquisition.problem import Observations, Problem

    nothing = np.empty((0, len(space.columns)))
    return Problem(
        space=space,
        objectives=file.objectives,
        outcome_constraints=file.outcome_constraints,
        observations=Observations(nothing, {}, {}, np.empty(0)),
        pending=nothing,
        failed=nothing,
        taken=nothing,
        initial=1,
        seed=file.seed,
        ask=1,
        replicates="auto" if file.strategy.replicates == "auto" else "none",
        costs=file.costs,
    )


def _probes(space: SearchSpace) -> pd.DataFrame:
    """Points to show to the laboratory: all where they are few, else some, and the ends of every parameter."""
    if space.pool is not None:
        return space.pool
    points = space.enumerate(MOST_PROBES)
    if points is not None:
        return space.to_frame(points)
    points = space.sample(PROBES, np.random.default_rng(0))
    inner = space.to_frame(points)
    probes = [inner]
    for parameter in space.parameters:
        if not isinstance(parameter, Composition):
            probes += [inner.head(1).assign(**{parameter.name: [end]}) for end in _ends(parameter)]
    ends = pd.concat(probes, ignore_index=True)
    return ends[space.contains(space.to_array(ends))]


def _ends(parameter: Continuous | Integer | Discrete | Categorical) -> tuple[Label, ...]:
    if isinstance(parameter, Categorical | Discrete):
        return parameter.values
    return parameter.low, parameter.high


def notices(file: CampaignFile, space: SearchSpace) -> tuple[str, ...]:
    """What the user should know, but need not mend."""
    found = list(space.notices)
    search = file.search()
    most = search.most
    if file.strategy.replicates == "none" and space.size is not None and most is not None and most > space.size:
        found.append(
            f"the space has {space.size} points and no replicates are wanted: the campaign will end after "
            f"{space.size} experiments, before its budget of {most}."
        )
    found += _no_model(file, space, most)
    if search.needs_gains and not _says_gains(file.strategy):
        found.append(
            f"the strategy {file.strategy.name} does not say what it expects to gain in the objective's unit: the rule "
            "expected_gain is never met. auto, expected_improvement, hypervolume, additive and saas say it."
        )
    if file.confirm is not None and isinstance(file.lab, ReplayOptions):
        found.append(
            "a replayed table holds no fresh samples: what confirms a point is answered from the same rows again, so "
            "that the scatter between samples is not seen."
        )
    return tuple(found)


def _no_model(file: CampaignFile, space: SearchSpace, most: int | None) -> list[str]:
    """What to say where the initial design uses the whole budget up; nothing where a model gets its turn."""
    from acquisition.design import usual_initial

    block = file.strategy
    if block.replicates == "none" and space.size is not None:
        most = space.size if most is None else min(most, space.size)
    conditions = block.conditions_per_sample if isinstance(block.conditions_per_sample, int) else None
    initial = usual_initial(space, conditions) if block.initial is None else block.initial
    if most is None or initial < most or not _has_model(block):
        return []
    return [
        f"the initial design takes {initial} experiments, and there will be no more than {most}: no model will ever "
        "be used, unless earlier results are told before. Lower `strategy.initial`, or raise the budget."
    ]


def _has_model(block: StrategyBlock) -> bool:
    """Whether a strategy is known to have a model that takes over after an initial design."""
    if block.name == "auto":
        return True
    strategy = make_strategy(block.name, block.options)
    from acquisition.strategies.model_based import ModelBased

    return isinstance(strategy, ModelBased)


def _says_gains(block: StrategyBlock) -> bool:
    """Whether a strategy states expected gains; of a plug-in that does not tell, it is not known that it does not."""
    if block.name == "auto":
        return True
    strategy = make_strategy(block.name, block.options)
    return bool(getattr(strategy, "in_unit", not type(strategy).__module__.startswith("acquisition.")))
