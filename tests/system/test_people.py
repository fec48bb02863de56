"""People steer a campaign that another process runs, by commands."""

import json
import signal

import pytest


def _status(bench):
    return json.loads(bench.run("status", "plate", "--json").stdout)


@pytest.fixture
def running(bench):
    """A campaign under approval, in a process of its own, that has proposed."""
    text = (bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 5")
    bench.write(text + "approval: all\n")
    process = bench.start("run", "campaign.yaml", "--engine", "threads")
    for line in process.stdout:
        if "proposed" in line:
            break
    yield process
    process.kill()
    process.stdout.close()
    process.wait()


def test_a_day_with_a_campaign(bench, running):
    """Approved, edited, rejected, added, paused, continued and stopped, while it runs elsewhere."""
    status = _status(bench)
    assert status["experiments"]["proposed"] == 1
    assert status["controller"]["pid"] == running.pid
    assert "sabatier approve plate" in bench.run("status", "plate").stdout
    assert "1: approved" in bench.run("approve", "plate", "1", "--who", "marie").stdout
    for line in running.stdout:
        if "measured" in line:
            break
    for line in running.stdout:
        if "proposed" in line:
            break
    assert "2: rejected" in bench.run("reject", "plate", "2", "--who", "paul", "--why", "too dear").stdout
    late = bench.run("approve", "plate", "2", status=2)
    assert "by paul (too dear)" in late.stderr
    assert "is paused" in bench.run("pause", "plate", "--who", "marie", "--why", "lunch").stdout
    assert _status(bench)["state"] == "paused"
    assert "goes on" in bench.run("continue", "plate").stdout
    assert "is invalid now" in bench.run("mark", "plate", "1", "wrong", "--why", "the valve was shut").stdout
    assert "stops when" in bench.run("stop", "plate", "--why", "enough").stdout
    rest = running.stdout.read()
    assert running.wait(timeout=60) == 0
    assert "campaign plate is stopped: enough" in rest
    log = bench.run("log", "plate").stdout
    for said in ("marie", "paul", "too dear", "lunch", "the valve was shut", "enough"):
        assert said in log


def test_a_signal_to_a_paused_campaign_says_how_to_go_on(bench, running):
    bench.run("pause", "plate")
    for line in running.stdout:
        if "paused" in line:
            break
    running.send_signal(signal.SIGTERM)
    rest = running.stdout.read()
    assert running.wait(timeout=60) == 130
    assert "sabatier resume plate" in rest
    assert _status(bench)["state"] == "paused"
