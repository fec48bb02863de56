"""A laboratory that cannot execute everything: what it cannot is never a candidate, and files that stay are found."""

from dataclasses import replace as changed
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from pydantic.dataclasses import dataclass

from orchestrator.config.load import load
from orchestrator.errors import InputError

FILE = """
name: selective
space:
  parameters:
    - {type: composition, name: x, components: [Cu, Ag]}
objectives: [{metric: y}]
lab: {type: selective, file: rig.txt}
stop: {experiments: 5}
"""


@dataclass(frozen=True)
class Options:
    file: str
    type: str = "selective"

    def tables(self):
        return {}

    def located(self, folder: Path):
        return changed(self, file=str(folder / self.file))

    def build(self, parameters, tables):
        return Lab(float(Path(self.file).read_text()))


class Lab:
    cells = ("cell-1",)
    metrics = MappingProxyType({"y": "1"})
    repeat_is_safe = True

    def __init__(self, least):
        self.least = least

    def check(self, parameters):
        assert self.feasible_one(parameters)

    def feasible_one(self, parameters):
        return all(value == 0.0 or value >= self.least for value in parameters.values())

    def feasible(self, points):
        return [self.feasible_one(row) for row in points.to_dict("records")]

    def execute(self, job, context):
        raise NotImplementedError

    def make_safe(self):
        pass


@pytest.fixture
def campaign_file(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.config.model.lab_class", lambda name: Options)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "campaign.yaml").write_text(FILE)
    (folder / "rig.txt").write_text("0.3")
    return folder / "campaign.yaml"


def test_what_a_laboratory_cannot_execute_is_no_candidate(campaign_file):
    definition = load(campaign_file)
    points = definition.space.sample(200, np.random.default_rng(0))
    assert ((points == 0.0) | (points >= 0.3)).all()
    assert not definition.space.contains(np.array([[0.9, 0.1]]))[0]


def test_files_that_stay_where_they_are_are_found_from_everywhere(campaign_file, monkeypatch, tmp_path):
    definition = load(campaign_file)
    monkeypatch.chdir(tmp_path)
    assert definition.file.lab.file == str(campaign_file.parent / "rig.txt")
    again = type(definition).from_resolved(definition.resolved(), dict(definition.blobs()).__getitem__)
    assert again.hash == definition.hash
    assert not again.space.contains(np.array([[0.9, 0.1]]))[0]


def test_a_laboratory_that_can_execute_nothing_is_refused(campaign_file):
    (campaign_file.parent / "rig.txt").write_text("1.1")
    with pytest.raises(InputError, match="what the laboratory can execute"):
        load(campaign_file)
