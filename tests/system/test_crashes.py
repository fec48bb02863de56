"""Real processes, killed in the middle: nothing recorded is lost or measured again, and the campaign goes on as if nothing was."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from orchestrator.loop.assembly import assemble
from orchestrator.store.opening import open_store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL and SIGTERM are POSIX signals")

FULL = Path("/dev/full")
COLUMNS = ["ni", "fe", "co", "ce", "overpotential_V", "reason", "sample"]


def _result(bench, name="plate"):
    """What the store holds at the end: the experiments, and how often each was measured to its end."""
    store = open_store(bench.store, durable=False, create=False)
    try:
        frame = assemble(store, name).campaign.to_dataframe()
        attempts = store.attempts(name)
        return frame, attempts
    finally:
        store.close()


def _kill_after(process, lines, delay):
    """Let a process print some lines, then kill it a moment later; whether it was still running."""
    for _ in range(lines):
        if not process.stdout.readline():
            break
    try:
        process.wait(timeout=delay)  # a random moment within the next steps, not one tied to the printing
    except subprocess.TimeoutExpired:
        process.kill()
    process.stdout.close()
    return process.wait() == -signal.SIGKILL


def _kill_often(bench, kills, engine, seed, most_lines):
    rng = random.Random(seed)
    killed, command = 0, ("run", "campaign.yaml")
    while killed < kills:
        process = bench.start(*command, "--engine", engine)
        struck = _kill_after(process, rng.randint(1, most_lines), rng.random() * 0.1)
        if not struck:
            break
        killed += 1
        if open_store_has_campaign(bench):
            command = ("resume", "plate")
    done = bench.run(*command, "--engine", engine)
    assert "is completed" in done.stdout
    return killed


def open_store_has_campaign(bench):
    path = bench.folder / "data" / "sabatier.db"
    if not path.exists():
        return False
    store = open_store(bench.store, durable=False, create=False)
    try:
        return any(record.name == "plate" for record in store.campaigns())
    finally:
        store.close()


def _check_against_undisturbed(bench, tmp_path_factory, text, cells):
    frame, attempts = _result(bench)
    assert (frame["state"] == "completed").all()
    finished = [a.experiment for a in attempts if a.state == "finished"]
    assert sorted(finished) == list(frame.index), "an experiment was measured twice, or not at all"
    calm = type(bench)(tmp_path_factory.mktemp("calm"))
    (calm.folder / "plate.csv").write_bytes((bench.folder / "plate.csv").read_bytes())
    calm.write(text)
    calm.run("run", "campaign.yaml", "--engine", "threads", "-q")
    undisturbed, _ = _result(calm)
    pd.testing.assert_frame_equal(frame[COLUMNS], undisturbed[COLUMNS])


@pytest.mark.soak
@pytest.mark.parametrize("cells", [1, 3])
def test_killed_at_random_moments(bench, tmp_path_factory, campaign_text, cells):
    text = campaign_text(cells=cells, experiments=24)
    bench.write(text)
    assert _kill_often(bench, 5, "threads", seed=cells, most_lines=12) >= 3
    _check_against_undisturbed(bench, tmp_path_factory, text, cells)


@pytest.mark.soak
def test_killed_twenty_times_under_prefect(bench, tmp_path_factory, campaign_text):
    text = campaign_text(experiments=60)
    bench.write(text)
    assert _kill_often(bench, 20, "prefect", seed=1, most_lines=7) >= 15
    _check_against_undisturbed(bench, tmp_path_factory, text, 1)
    ours = [p for p in psutil.process_iter(["cmdline"]) if "orchestrator.flows.serve" in (p.info["cmdline"] or [])]
    _, alive = psutil.wait_procs(ours, timeout=30)
    assert not alive, "a killed command left its server behind"


@pytest.mark.soak
def test_a_database_and_commands_that_die_in_turn(
    bench, tmp_path_factory, campaign_text, postgres_server, postgres_url
):
    """The server comes back while a command waits for it; whoever continues begins in another folder."""
    text = campaign_text(experiments=18)
    bench.write(text)
    first = type(bench)(bench.folder, postgres_url)
    second = type(bench)(tmp_path_factory.mktemp("elsewhere"), postgres_url)
    with first.start("run", "campaign.yaml", "--engine", "threads") as process:
        for lines in (7, 9):
            for _ in range(lines):
                assert process.stdout.readline()
            postgres_server.kill()
            postgres_server.start()
        assert process.stdout.readline()
        assert _kill_after(process, 3, 0.05)
    with second.start("resume", "plate", "--engine", "threads") as process:
        for _ in range(5):
            assert process.stdout.readline()
        postgres_server.kill()
        postgres_server.start()
        assert "is completed" in process.communicate(timeout=200)[0]
    _check_against_undisturbed(first, tmp_path_factory, text, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_in_good_order(bench, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever started the tests ignores this signal, and so does what they start")
    bench.write((bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 300"))
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    for line in process.stdout:
        if "measured" in line:
            break
    process.send_signal(number)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 130
    assert "Traceback" not in rest
    assert "sabatier resume plate" in rest
    state = json.loads(bench.run("status", "plate", "--json").stdout)
    assert state["state"] == "interrupted"
    counts = state["experiments"]
    assert counts["running"] == 0
    assert counts["completed"] >= 1


@pytest.mark.skipif(shutil.which("nohup") is None, reason="needs nohup")
def test_nohup_outlives_its_terminal(bench):
    process = subprocess.Popen(
        ["nohup", *bench.command("run", "campaign.yaml", "--engine", "threads")],
        cwd=bench.folder,
        env=bench.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout:
        if "measured" in line:
            break
    process.send_signal(signal.SIGHUP)
    assert "is completed" in process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def test_a_second_command_on_a_running_campaign_is_refused(bench):
    bench.write((bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 300"))
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    for line in process.stdout:
        if "measured" in line:
            break
    done = bench.run("resume", "plate", "--engine", "threads", status=2)
    assert f"process {process.pid}" in done.stderr
    process.kill()
    process.stdout.close()
    process.wait()


def test_a_full_disk_is_a_clear_error_and_loses_nothing(bench):
    """The file-size limit of the process stands in for a full disk: writes beyond it fail."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY)); "
        "import sys; sys.argv = ['sabatier', 'run', 'campaign.yaml', '--engine', 'threads']; "
        "from orchestrator.cli import main; main()"
    )
    text = (bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 200")
    bench.write(text)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=bench.folder,
        env=bench.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr
    assert "Traceback" not in done.stderr
    assert "the store" in done.stderr
    assert "sabatier resume plate" in done.stderr
    before, _ = _result(bench)
    known = before["overpotential_V"].dropna()
    assert len(known) >= 1
    done = bench.run("resume", "plate", "--engine", "threads", "-q")
    after, _ = _result(bench)
    assert len(after) == 200
    assert after["overpotential_V"].loc[known.index].equals(known)


def test_status_is_not_fooled_by_a_dead_process(bench):
    """A killed command cannot say that it ended; looking finds out."""
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    for line in process.stdout:
        if "measured" in line:
            break
    process.kill()
    process.stdout.close()
    process.wait()
    state = json.loads(bench.run("status", "plate", "--json").stdout)
    assert state["state"] == "interrupted"
    assert "resume" in state["reason"]


def test_a_closed_pipe_does_not_stop_a_campaign(bench):
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert json.loads(bench.run("status", "plate", "--json").stdout)["experiments"]["completed"] == 20


def test_a_signal_without_a_terminal_ends_in_good_order(bench):
    """The reader of the output is gone when the signal comes, as when a connection drops."""
    bench.write((bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 300"))
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    for line in process.stdout:
        if "measured" in line:
            break
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    state = json.loads(bench.run("status", "plate", "--json").stdout)
    assert (state["state"], state["experiments"]["running"]) == ("interrupted", 0)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_output_does_not_stop_a_campaign(bench):
    with FULL.open("w") as full:
        done = subprocess.run(
            bench.command("run", "campaign.yaml", "--engine", "threads"),
            cwd=bench.folder,
            env=bench.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
