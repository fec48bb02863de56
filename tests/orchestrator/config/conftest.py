"""A laboratory installed for the tests as any plug-in would be: by an entry point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config.definition import Definition

PLUGIN = '''
from collections.abc import Mapping, Sequence
from typing import Literal
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from instruments.errors import LabError


class Bench:
    cells = ("cell-1",)
    metrics = {"fe_co": "1", "fe_c2h4": "1", "fe_h2": "1", "j_total": "mA cm-2"}
    repeat_is_safe = True

    def __init__(self, coldest):
        self.coldest = coldest

    def check(self, parameters):
        if parameters.get("temperature", 25.0) < self.coldest:
            raise LabError("the thermostat does not reach that temperature.", field="temperature", mend="Heat more.")

    def execute(self, job, context):
        raise NotImplementedError

    def make_safe(self):
        pass


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BenchOptions:
    """A bench.

    Attributes:
        coldest: the lowest temperature that
            it reaches.
    """

    coldest: float = -100.0
    cells: int = Field(default=1, ge=1)
    type: Literal["bench"] = Field(default="bench", kw_only=True)

    def __post_init__(self):
        if self.coldest < -273.15:
            raise LabError("colder than cold.", field="coldest", mend="Raise it.")

    def tables(self) -> Mapping[str, str]:
        return {}

    def build(self, parameters: Sequence[str], tables: Mapping):
        if "forbidden" in parameters:
            raise LabError("this bench knows no 'forbidden'.", field="parameters")
        return Bench(self.coldest)
'''

ENTRY_POINTS = """
[sabatier.labs]
bench = sabatier_test_bench:BenchOptions
"""

CAMPAIGN = """\
name: test
space:
  parameters:
    - {type: continuous, name: potential, low: -1.5, high: -0.5}
    - {type: composition, name: x, components: [Cu, Ag], step: 0.01}
objectives:
  - {metric: fe_c2h4, goal: maximize}
lab: {type: bench}
stop: {experiments: 40}
"""


@pytest.fixture
def install(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str, str], None]:
    """Install a distribution of one module with entry points."""

    def installed(name: str, code: str, entry_points: str) -> None:
        site = tmp_path_factory.mktemp("site")
        (site / f"{name}.py").write_text(code)
        metadata = site / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(site)

    return installed


@pytest.fixture(autouse=True)
def bench(install: Callable[[str, str, str], None]) -> None:
    """Install a laboratory of type ``bench``."""
    install("sabatier_test_bench", PLUGIN, ENTRY_POINTS)


@pytest.fixture
def campaign() -> str:
    """A campaign file that is right."""
    return CAMPAIGN


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Definition]:
    """Load a campaign file with this text, and data files beside it, from their folder."""
    from orchestrator.config.load import load

    monkeypatch.chdir(tmp_path)

    def loaded(text: str, table: Path | None = None, **files: str | bytes) -> Definition:
        Path("campaign.yaml").write_text(text, encoding="utf-8")
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            Path(name.replace("_csv", ".csv").replace("_parquet", ".parquet")).write_bytes(data)
        return load(Path("campaign.yaml"), table)

    return loaded


@pytest.fixture
def shared() -> Path:
    """The folder of real data."""
    folder = Path(__file__).parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data are not here")
    return folder
