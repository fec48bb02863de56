"""A laboratory whose behaviour a test says, and loops in it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from acquisition import Continuous, Objective, SearchSpace
from instruments import Figure, Measurement, Observation, Outcome, Verdict
from instruments.errors import InstrumentsError, SignalError
from instruments.rig.controls import ControlBlock, ControlResult
from orchestrator import Campaign
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.store.opening import open_store
from orchestrator.store.records import CampaignRecord

SPACE = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])


class Bench:
    """A laboratory whose behaviour is a function of job and context."""

    metrics: Mapping[str, str] = {"y": "1"}

    def __init__(self, behaviour=None, cells=1, repeat_is_safe=True, virtual_time=False):
        self.cells = tuple(f"cell-{i + 1}" for i in range(cells))
        self.repeat_is_safe, self.virtual_time = repeat_is_safe, virtual_time
        self.behaviour = behaviour or (lambda job, _: answer(job))
        self.executed: list[int] = []
        self.made_safe = 0

    def check(self, parameters):
        pass

    def execute(self, job, context):
        self.executed.append(job.experiment)
        return self.behaviour(job, context)

    def make_safe(self):
        self.made_safe += 1


class SelfTesting(Bench):
    """A laboratory that tests itself; the verdicts of its controls are given."""

    def __init__(self, verdicts, cells=1, **block):
        super().__init__(cells=cells, repeat_is_safe=False)
        self.controls = (ControlBlock(kind="check_gas", gas="mixture", **block),)
        self.verdicts, self.done, self.calibrated = list(verdicts), [], 0

    def control(self, name, context):
        self.done.append((name, context.cell, len(self.executed)))
        verdict = self.verdicts.pop(0) if self.verdicts else "good"
        if verdict == "broken":
            raise InstrumentsError("the valve is stuck.")
        off = 0.0 if verdict == "good" else 0.2
        return ControlResult(name, "check_gas", "", off, "1", 0.01, verdict, () if not off else ("off by 20 %",))

    def recalibrate(self, context):
        self.calibrated += 1

    def take_controls(self, controls):
        self.controls = tuple(controls)


class Dead(BaseException):
    """The process is no more."""


class Mortal:
    """A store as one process sees it, which dies around one of its writes and reaches nothing afterwards.

    Args:
        store: that outlives it.
        dies_at: at which write; ``None``: never.
        written: whether that write is still made.
    """

    def __init__(self, store, dies_at=None, written=False):
        self._store, self.dies_at, self.written = store, dies_at, written
        self.writes, self.dead = 0, False

    def __getattr__(self, name):
        value = getattr(self._store, name)
        if not callable(value):
            return value

        def reached(*args, **kwargs):
            if self.dead:
                raise Dead
            return value(*args, **kwargs)

        return reached

    def apply(self, *args, **kwargs):
        if self.dead:
            raise Dead
        self.writes += 1
        if self.writes == self.dies_at:
            self.dead = True
            if self.written:
                self._store.apply(*args, **kwargs)
            raise Dead
        return self._store.apply(*args, **kwargs)


class RawBench(Bench):
    """A laboratory that keeps a raw signal, and computes its figure from nothing else."""

    def __init__(self, behaviour=None, factor=1.0, verdict=None, **options):
        super().__init__(behaviour or self.measure, **options)
        self.factor, self.verdict = factor, verdict or Verdict()

    def measure(self, job, context):
        measurement = Measurement({"trace": pd.DataFrame({"y": [0.1 * job.experiment]})}, {"sample": context.sample})
        context.keep(measurement)
        outcome = self.reduce(measurement, job, context.sample)
        return replace(outcome, measurement=measurement, duration=60.0)

    def reduce(self, measurement, job, sample):
        assert measurement.metadata["sample"] == sample
        if self.factor is None:
            raise SignalError("the trace has no steady part.")
        value = self.factor * float(measurement.signals["trace"]["y"][0])
        return Outcome(Observation({"y": Figure(value, 0.01)}, self.verdict, report={"factor": self.factor}))


def answer(job, duration=60.0, **more):
    value = float(np.exp(-4 * (job.parameters["a"] - 0.3) ** 2))
    return Outcome(Observation({"y": Figure(value, 0.01)}), duration=duration, **more)


def campaign_of(store=None, space=SPACE, name="c", **options):
    store = store or open_store("memory:")
    store.create(CampaignRecord(name=name, definition={}, definition_hash=""))
    return Campaign(space, [Objective("y")], store=store, name=name, definition={}, **{"initial": 4, **options})


def loop_of(campaign, lab, tmp_path, experiments=10, **options):
    return Loop(campaign, lab, experiments=experiments, engine=ThreadEngine(len(lab.cells)), files=tmp_path, **options)


def states(campaign):
    return campaign.to_dataframe()["state"].value_counts().to_dict()
