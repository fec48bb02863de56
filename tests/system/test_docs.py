"""The documentation is true: its programs run, its links lead somewhere, its references are complete."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer.main

from instruments.metrics import METRICS
from orchestrator.cli.app import app
from orchestrator.config.schema import json_schema
from orchestrator.store.states import CAMPAIGN_STATES, EXPERIMENT_STATES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCE = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    file: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    content = page.read_text(encoding="utf-8")
    return [
        Block(page, content.count("\n", 0, m.start("text")) + 1, m["language"], m["file"], m["text"])
        for m in FENCE.finditer(content)
    ]


def anchors(page: Path) -> set[str]:
    """The fragments that links may name: headings as the common renderers slug them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


# Programs


def install(project: str, site: Path) -> None:
    """What `pip install -e` would leave behind: metadata with the entry points."""
    data = tomllib.loads(project)["project"]
    info = site / f"{data['name'].replace('-', '_')}-{data['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {data['name']}\nVersion: {data['version']}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in data["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


def command(line: str, folder: Path) -> None:
    """Run a line of a console block, in plain threads, which start faster."""
    words = line.removeprefix("$ ").split()
    if words[0] == "pip":
        return  # installed already, see `install`
    assert words[0] == "sabatier", line
    if words[1] in ("run", "resume"):
        words += ["--engine", "threads"]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "error::DeprecationWarning:__main__"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{line}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


RUNNABLE = [page for page in PAGES if any(block.language in ("python", "console") for block in blocks(page))]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to follow a page in; modules imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_what_a_page_shows_works(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files are written, commands and programs run, in the order of the page; programs share their names."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.file is not None:
            (desk / block.file).write_text(block.text, encoding="utf-8")
            if block.file == "pyproject.toml":
                install(block.text, desk)
        elif block.language == "console":
            for line in block.text.splitlines():
                command(line, desk)
        elif block.language == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            exec(code, names)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_the_word_of_a_person_after_a_crash(desk: Path) -> None:
    """A laboratory that touches matter, killed in the middle: its page says how to go on."""
    page = blocks(DOCS / "how-to" / "own-laboratory.md")
    for block in page:
        if block.file is not None:
            (desk / block.file).write_text(block.text.replace("hold: 0.1", "hold: 600"), encoding="utf-8")
    install((desk / "pyproject.toml").read_text(), desk)
    words = [sys.executable, "-m", "orchestrator.cli"]
    environment = {**os.environ, "PYTHONPATH": str(desk)}
    run = [*words, "run", "first-light.yaml", "--engine", "threads"]
    with subprocess.Popen(run, cwd=desk, env=environment, stdout=subprocess.PIPE, text=True) as process:
        journal = desk / "sabatier-data" / "files" / "first-light" / "00001" / "1" / "journal.log"
        assert "runs" in process.stdout.readline()
        assert "proposed" in process.stdout.readline()
        while not (journal.exists() and "begin non-repeatable electrolysis" in journal.read_text()):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
        process.kill()

    resume = [*words, "resume", "first-light", "--engine", "threads"]
    halted = subprocess.run(resume, cwd=desk, env=environment, capture_output=True, text=True, check=False)
    assert halted.returncode == 1
    assert "is halted: a person must say what became of experiment 1" in halted.stdout
    (settle,) = [block for block in page if block.language == "python" and block.file is None]
    exec(compile(settle.text, "settle", "exec"), {"__name__": "__main__"})
    shown = subprocess.run(
        [*words, "status", "first-light", "--json"], cwd=desk, env=environment, capture_output=True, check=True
    )
    counts = json.loads(shown.stdout)["experiments"]
    assert (counts["failed"], counts["needs_inspection"]) == (1, 0)


def test_the_campaign_file_of_the_reference_is_valid(tmp_path: Path) -> None:
    from orchestrator.config.load import load

    (block,) = blocks(DOCS / "reference" / "campaign-file.md")
    path = tmp_path / "campaign.yaml"
    path.write_text(block.text, encoding="utf-8")
    definition = load(path)
    assert definition.file.stop.experiments == 40
    assert definition.notices == ()


def test_the_plug_ins_are_as_short_as_promised() -> None:
    for page in ("own-laboratory.md", "own-strategy.md"):
        code = [block for block in blocks(DOCS / "how-to" / page) if str(block.file).endswith(".py")]
        assert len(code) == 1
        assert code[0].text.count("\n") < 100


# Links and pictures


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_are_there(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name_of(page)}: {target}"
        assert found.is_relative_to(ROOT), f"{name_of(page)}: {target} is outside the project"
        if fragment:
            assert fragment in anchors(found), f"{name_of(page)}: {target}"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / target).resolve() for target in LINK.findall(index)}
    assert {page for page in DOCS.rglob("*.md") if page.name != "README.md"} <= linked


def test_pictures_are_of_the_demonstration_as_it_is() -> None:
    from orchestrator.config.load import load

    file = load(ROOT / "examples" / "demo.yaml").file
    svg = ElementTree.parse(DOCS / "pictures" / "progress.svg").getroot()
    text = "".join(svg.itertext())
    assert f"{file.stop.experiments} experiments" in text
    assert file.objectives[0].metric in text
    assert (DOCS / "pictures" / "report.png").stat().st_size < 300_000


# References


def test_every_command_and_option_is_described() -> None:
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands
    for name, one in commands.items():
        for path, leaf in [(f"{name} {k}", v) for k, v in getattr(one, "commands", {}).items()] or [(name, one)]:
            found = re.search(rf"^### {path}$(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
            assert found, f"`sabatier {path}` has no section"
            assert f"sabatier {path}" in found[1]
            for parameter in leaf.params:
                for option in parameter.opts:
                    if option.startswith("-"):
                        assert f"`{option}" in found[1], f"sabatier {path} {option}"


def test_no_command_or_option_is_described_that_is_not_there() -> None:
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands
    leaves = [leaf for one in commands.values() for leaf in (getattr(one, "commands", {}) or {"": one}).values()]
    known = {option for leaf in leaves for parameter in leaf.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]*", page)) <= known | {"--help", "--version"}
    for name in re.findall(r"`sabatier ([a-z]+)", page):
        assert name in commands


def test_the_json_of_status_is_described() -> None:
    from datetime import UTC, datetime

    from orchestrator.cli.looking import summary
    from orchestrator.store import CampaignRecord, MemoryStore

    store = MemoryStore()
    store.create(CampaignRecord(name="c", definition={}, definition_hash="", created=datetime.now(UTC)))
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    for key in summary(store, store.campaign("c")):
        assert f"`{key}`" in page, key
    loop = (DOCS / "explanation" / "loop.md").read_text(encoding="utf-8")
    for state in (*EXPERIMENT_STATES, *CAMPAIGN_STATES):
        assert f"`{state}`" in loop, state


def described_keys(schema: dict) -> Iterator[tuple[str, str]]:
    """Every key of a campaign file with its block; plug-ins that tests install are none of the page's business."""
    yield from (("campaign", key) for key in schema["properties"])
    for block in ("ParameterSpace", "PoolSpace", "Continuous", "Integer", "Discrete", "Categorical", "Composition",
                  "LinearConstraint", "Objective", "OutcomeConstraint", "StrategyBlock", "StopBlock", "ConfirmBlock",
                  "Target", "ExpectedGain", "RegretBound", "Plateau", "Costs",
                  "ManualOptions", "ReplayOptions", "RigOptions", "SimulatedOptions"):  # fmt: skip
        yield from ((block, key) for key in schema["$defs"][block]["properties"])


def test_every_key_of_a_campaign_file_is_described() -> None:
    page = (DOCS / "reference" / "campaign-file.md").read_text(encoding="utf-8")
    keys = list(described_keys(json.loads(json.dumps(json_schema()))))
    assert len(keys) > 60
    for block, key in keys:
        assert f"`{key}`" in page, f"{block}.{key}"
    for name in METRICS:
        stem = name.split("_")[0]
        assert f"`{name}`" in page or f"`{stem}_` with each" in page, name


def test_every_strategy_and_option_is_described() -> None:
    page = (DOCS / "reference" / "strategies.md").read_text(encoding="utf-8")
    for entry in entry_points(group="sabatier.strategies"):
        if entry.value.startswith("acquisition."):  # plug-ins describe themselves
            assert f"| `{entry.name}` |" in page, entry.name
            for option in inspect.signature(entry.load()).parameters:
                assert f"`{option}`" in page, f"{entry.name}.{option}"


@pytest.mark.parametrize("package", ["acquisition", "surrogates", "instruments", "simulators", "orchestrator"])
def test_every_error_is_described(package: str) -> None:
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    errors = import_module(f"{package}.errors")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__:
            assert re.search(rf"\b{name}\b", page), name


def test_every_column_of_tell_is_described() -> None:
    from orchestrator.campaign.told import CENSORED, CHOICES

    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    for word in (*CHOICES, *(choice for choices in CHOICES.values() for choice in choices), *CENSORED):
        assert f"`{word}`" in page, word


def test_every_reserved_name_is_described() -> None:
    from orchestrator.config.names import RESERVED

    page = (DOCS / "reference" / "campaign-file.md").read_text(encoding="utf-8")
    for name in RESERVED:
        assert f"`{name}`" in page, name


def test_every_benchmark_is_described() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for program in (ROOT / "benchmarks").glob("*.py"):
        assert f"benchmarks/{program.name}" in page, program.name
