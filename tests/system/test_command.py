"""The command as its user meets it: what it prints, what it writes, and how it ends."""

import json
import re
import sqlite3
import subprocess
import sys

import pandas as pd
import pytest

from orchestrator.cli.guard import PACKAGES


def test_help_names_all_commands_and_loads_nothing_heavy(bench):
    done = bench.run("--help")
    for command in ("run", "resume", "status", "validate", "report", "export", "init", "schema", "store"):
        assert command in done.stdout
    code = (
        "import sys, orchestrator.cli.app as a; "
        "print([m for m in ('torch', 'prefect', 'pandas', 'numpy', 'sqlalchemy', 'plotly') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_looking_at_campaigns_waits_for_no_tables_or_models():
    code = (
        "import sys, orchestrator.cli.looking; "
        "print([m for m in ('torch', 'prefect', 'pandas', 'plotly', 'scipy') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_version(bench):
    assert re.fullmatch(r"sabatier \d+\.\d+\.\d+", bench.run("--version").stdout.strip())


def test_a_campaign_from_file_to_report(bench):
    done = bench.run("run", "campaign.yaml", "--engine", "threads")
    assert done.stderr == ""
    assert done.stdout.count("proposed") == 20
    assert done.stdout.count("measured") == 20
    assert "expects overpotential_V" in done.stdout
    assert "campaign plate is completed: the budget of 20 experiments is used" in done.stdout
    assert re.search(r"best: experiment \d+: ni 0\.\d+", done.stdout)
    report = re.search(r"^report: (.*)$", done.stdout, re.MULTILINE).group(1)
    assert report.endswith("plate.html")
    assert "plotly" in (bench.folder / report).read_text()

    state = json.loads(bench.run("status", "plate", "--json").stdout)
    assert state["schema"] == 1
    assert (state["name"], state["state"]) == ("plate", "completed")
    assert state["experiments"]["completed"] == 20
    assert len(state["experiments"]) == 10
    table = pd.read_csv(bench.folder / "plate.csv")
    best = state["best"][0]
    match = table[(table[["ni", "fe", "co", "ce"]].round(3) == pd.Series(best["parameters"]).round(3)).all(axis=1)]
    assert best["metrics"]["overpotential_V"] in match["overpotential_V"].tolist()
    for key in ("started", "updated", "finished"):
        assert pd.Timestamp(state[key]).tzinfo is not None
    assert "plate: completed" in bench.run("status").stdout
    assert json.loads(bench.run("status", "--json").stdout)["campaigns"][0] == state

    assert "report:" in bench.run("report", "plate", "-o", "other.html").stdout
    assert (bench.folder / "other.html").stat().st_size > 1e6
    bench.run("export", "plate", "-o", "out")
    assert len(pd.read_csv(bench.folder / "out" / "experiments.csv")) == 20

    log = [json.loads(line) for line in (bench.folder / "data" / "logs" / "plate.jsonl").read_text().splitlines()]
    assert sum(line.get("event") == "learned" for line in log) == 20
    assert {line["campaign"] for line in log} == {"plate"}


def test_running_again_does_nothing_more(bench):
    bench.run("run", "campaign.yaml", "--engine", "threads", "-q")
    done = bench.run("run", "campaign.yaml", "--engine", "threads")
    assert "continues" in done.stdout
    assert "measured" not in done.stdout
    assert json.loads(bench.run("status", "plate", "--json").stdout)["experiments"]["completed"] == 20


def test_a_name_that_exists_with_another_definition(bench):
    bench.run("run", "campaign.yaml", "--engine", "threads", "-q")
    text = (bench.folder / "campaign.yaml").read_text()
    bench.write(text.replace("experiments: 20", "experiments: 21"))
    done = bench.run("run", "campaign.yaml", "--engine", "threads", status=2)
    assert "exists in" in done.stderr
    assert "sabatier resume plate" in done.stderr
    assert "sabatier amend plate FILE`, or rename this one" in done.stderr
    assert "Traceback" not in done.stderr
    done = bench.run("run", "campaign.yaml", "--engine", "threads", "--name", "plate-2", "-q")
    assert json.loads(bench.run("status", "plate-2", "--json").stdout)["experiments"]["completed"] == 21


def test_resume_needs_no_file(bench):
    done = bench.run("run", "campaign.yaml", "--engine", "threads", "-q")
    for name in ("campaign.yaml", "plate.csv"):
        (bench.folder / name).unlink()
    done = bench.run("resume", "plate", "--engine", "threads")
    assert "is completed" in done.stdout
    assert "report:" in bench.run("report", "plate").stdout


BAD = {
    "unknown key": ("objectives:", "objectve:", "did you mean 'objectives'"),
    "unknown metric": ("overpotential_V", "overpotental_V", "overpotential_V"),
    "unknown strategy": ("name: auto", "name: atuo", "did you mean 'auto'"),
    "no budget": ("experiments: 20", "experiments: 0", "budget"),
    "missing table": ("pool: plate.csv", "pool: plaet.csv", "plaet.csv"),
    "unknown column": ("[ni, fe, co, ce]", "[ni, fe, co, cee]", "'ce'"),
    "low above high": (
        "{pool: plate.csv, parameters: [ni, fe, co, ce]}",
        "{parameters: [{type: continuous, name: ni, low: 2, high: 1}]}",
        "low",
    ),
    "bounds that cannot sum to 1": (
        "{pool: plate.csv, parameters: [ni, fe, co, ce]}",
        "{parameters: [{type: composition, name: x, components: [Cu, Ag], bounds: {Cu: [0, 0.2], Ag: [0, 0.3]}}]}",
        "cannot sum to 1",
    ),
    "infeasible constraints": (
        "{pool: plate.csv, parameters: [ni, fe, co, ce]}",
        "{parameters: [{type: continuous, name: ni, low: 0, high: 1}, {type: continuous, name: fe, low: 0, high: 1}],"
        " constraints: [{type: linear, coefficients: {ni: 1, fe: 1}, lower: 3}]}",
        "constraint",
    ),
}


@pytest.mark.parametrize(("old", "new", "says"), BAD.values(), ids=BAD)
def test_wrong_input_gives_one_clear_message_and_writes_nothing(bench, old, new, says):
    bench.write((bench.folder / "campaign.yaml").read_text().replace(old, new))
    before = sorted(bench.folder.rglob("*"))
    for command in ("run", "validate"):
        done = bench.run(command, "campaign.yaml", status=2)
        assert says in done.stderr
        assert "campaign.yaml:" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert sorted(bench.folder.rglob("*")) == before


TABLES = {
    "empty": ("", "empty"),
    "header only": ("ni,fe,co,ce,overpotential_V\n", "no row"),
    "duplicate columns": ("ni,fe,co,ce,ni,overpotential_V\n1,0,0,0,1,0.4\n", "'ni'"),
    "text in a number": ("ni,fe,co,ce,overpotential_V\n1,0,0,0,0.4\n0,1,x,0,0.4\n0,0,1,0,0.4\n", "'x'"),
    "gap in the objective": ("ni,fe,co,ce,overpotential_V\n1,0,0,0,0.4\n0,1,0,0,\n", "overpotential_V"),
}


@pytest.mark.parametrize(("content", "says"), TABLES.values(), ids=TABLES)
def test_wrong_tables(bench, content, says):
    (bench.folder / "plate.csv").write_text(content)
    done = bench.run("run", "campaign.yaml", status=2)
    assert says in done.stderr
    assert "plate.csv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (bench.folder / "data").exists()


def test_wrong_words_on_the_command_line(bench):
    assert "does not exist" in bench.run("run", "nothing.yaml", status=2).stderr
    assert bench.run("status", "plate", status=2).stderr
    bench.run("run", "campaign.yaml", "--engine", "threads", "-q")
    assert "plate" in bench.run("status", "plaet", status=2).stderr
    assert "plate" in bench.run("resume", "plaet", status=2).stderr
    assert bench.run("run", "campaign.yaml", "--engine", "warp", status=2).stderr


def test_a_locked_store_is_a_clear_error(bench):
    bench.run("run", "campaign.yaml", "--engine", "threads", "-q")
    path = bench.folder / "data" / "sabatier.db"
    with sqlite3.connect(path, isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        done = bench.run("run", "campaign.yaml", "--name", "other", "--engine", "threads", status=1)
        lock.execute("ROLLBACK")
    assert "Traceback" not in done.stderr
    assert "lock" in done.stderr
    with sqlite3.connect(path) as look:
        assert look.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_init_writes_a_file_that_runs(bench):
    bench.run("init", "mine.yaml")
    assert "is valid" in bench.run("validate", "mine.yaml").stdout
    assert "exists" in bench.run("init", "mine.yaml", status=2).stderr


def test_schema_is_json(bench):
    assert json.loads(bench.run("schema").stdout)["type"] == "object"


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_a_package_of_the_same_name_is_refused(bench, package):
    """InstrumentKit also installs a package `instruments`."""
    other = bench.folder / "other"
    (other / package).mkdir(parents=True)
    (other / package / "__init__.py").write_text("")
    info = other / "instrumentkit-0.7.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: instrumentkit\nVersion: 0.7.0\n")
    (info / "top_level.txt").write_text(f"{package}\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n")
    done = bench.run("--help", status=2, PYTHONPATH=str(other))
    assert "instrumentkit" in done.stderr
    assert "sabatier" in done.stderr
    assert f"`{package}`" in done.stderr
    assert "environment of its own" in done.stderr
