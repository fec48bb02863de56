"""Campaigns under Prefect: a laboratory's own server sees flow, tasks and artifacts by names that people can read."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from orchestrator.flows.server import wait_for
from orchestrator.flows.settings import DEFAULTS, apply_defaults

pytestmark = pytest.mark.xdist_group("prefect")  # one embedded server at a time


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """A server as a laboratory would run it, with a database of its own; gives the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **DEFAULTS, "PREFECT_HOME": str(tmp_path_factory.mktemp("server"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.flows.serve", str(port)], stdin=subprocess.PIPE, env=environment
    )
    url = f"http://127.0.0.1:{port}/api"
    wait_for(url, process, "above")
    yield url
    process.stdin.close()
    assert process.wait(timeout=30) == 0


def _all(server, what):
    answer = httpx.post(f"{server}/{what}/filter", json={"limit": 200}, timeout=30, trust_env=False)
    answer.raise_for_status()
    return answer.json()


def test_a_laboratorys_server_shows_the_campaign(bench, server):
    done = bench.run("run", "campaign.yaml", PREFECT_API_URL=server)
    assert done.stderr == ""
    assert "is completed" in done.stdout

    (flow,) = [run for run in _all(server, "flow_runs") if run["name"] == "plate"]
    assert flow["state_type"] == "COMPLETED"
    assert flow["parameters"] == {"campaign": "plate", "store": bench.store, "files": None}
    tasks = [task["name"] for task in _all(server, "task_runs") if task["flow_run_id"] == flow["id"]]
    assert len(tasks) == 60
    assert {"propose experiment 7", "execute experiment 7 on cell-1", "learn from experiment 7"} <= set(tasks)

    artifacts = {artifact["key"]: artifact for artifact in _all(server, "artifacts/latest")}
    assert artifacts["progress-plate"]["data"] == 100.0
    assert "20 of 20 experiments" in artifacts["progress-plate"]["description"]
    best = json.loads(bench.run("status", "plate", "--json").stdout)["best"][0]
    assert f"| experiment | {best['experiment']} |" in artifacts["best-plate"]["data"]
    assert f"{best['metrics']['overpotential_V']:.5g}" in artifacts["best-plate"]["data"]
    assert len(_all(server, "artifacts")) <= 8, "artifacts come at most every five seconds"


def test_the_embedded_server_is_started_and_gone_with_the_command(bench):
    done = bench.run("run", "campaign.yaml")
    assert done.stderr == ""
    assert "is completed" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_signal_ends_in_good_order_under_prefect(bench, server, number):
    bench.write((bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 300"))
    environment = bench.environment() | {"PREFECT_API_URL": server}
    with (bench.folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            bench.command("run", "campaign.yaml"),
            cwd=bench.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            bufsize=1,
        )
    for line in process.stdout:
        if "measured" in line:
            break
    process.send_signal(number)
    rest = process.stdout.read()
    process.stdout.close()
    process.wait(timeout=60)
    assert process.returncode == 130
    assert "sabatier resume plate" in rest
    assert (bench.folder / "stderr").read_text() == ""
    counts = json.loads(bench.run("status", "plate", "--json").stdout)["experiments"]
    assert counts["running"] == 0
    assert counts["completed"] >= 1


def test_a_server_that_does_not_answer_is_named(bench):
    done = bench.run("run", "campaign.yaml", status=1, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "http://127.0.0.1:9/api does not answer" in done.stderr
    assert "PREFECT_API_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_of_the_user_are_kept(monkeypatch):
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    apply_defaults()
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_the_death_of_prefects_server_does_not_touch_the_campaign(bench):
    import psutil

    bench.write((bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 60"))
    with (bench.folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            bench.command("run", "campaign.yaml"),
            cwd=bench.folder,
            env=bench.environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            bufsize=1,
        )
    for line in process.stdout:
        if "measured" in line:
            break
    (child,) = [p for p in psutil.Process(process.pid).children() if "orchestrator.flows.serve" in p.cmdline()]
    child.kill()
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert "campaign plate is completed" in rest
    assert "report:" in rest
    said = (bench.folder / "stderr").read_text()
    assert "Prefect's server went away; the campaign is not affected" in said
    assert "Traceback" not in said
    assert json.loads(bench.run("status", "plate", "--json").stdout)["experiments"]["completed"] == 60
