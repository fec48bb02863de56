"""People are told by a campaign in a process of its own, which shows no address anywhere."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "orchestrator" / "notify"))

from post_office import HttpPost


@pytest.fixture
def http():
    with HttpPost() as post:
        yield post


def _shown(bench, *done):
    """All that a run leaves behind."""
    files = [path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()]
    return b"".join([*files, *(f"{one.stdout}{one.stderr}".encode() for one in done)])


def _five(bench):
    text = (bench.folder / "campaign.yaml").read_text().replace("experiments: 20", "experiments: 5")
    bench.write(text + "notify: {to: [oncall], on: [completed, failed]}\n")


@pytest.mark.parametrize("engine", ["threads", pytest.param("prefect", marks=pytest.mark.soak)])
def test_a_run_tells_its_people_and_leaves_no_address_anywhere(bench, http, engine):
    _five(bench)
    unknown = bench.run("run", "campaign.yaml", "--engine", engine, status=2)
    assert "SABATIER_NOTIFY_ONCALL" in unknown.stderr
    assert not (bench.folder / "data").exists()  # nothing has begun
    done = bench.run("run", "campaign.yaml", "--engine", engine, SABATIER_NOTIFY_ONCALL=http.url)
    got = http.next()
    assert got["title"] == "plate: completed"
    assert "Best so far: experiment" in got["message"]
    assert "overpotential_V" in got["message"]
    log = bench.run("log", "plate")
    assert "oncall was told of completed" in log.stdout
    shown = _shown(bench, unknown, done, log)
    assert b"S3CRET" not in shown
    assert str(http.port).encode() + b"/" not in shown


@pytest.mark.soak
def test_a_resumed_campaign_tells_nothing_twice(bench, http):
    _five(bench)
    bench.run("run", "campaign.yaml", "--engine", "threads", SABATIER_NOTIFY_ONCALL=http.url)
    http.next()
    bench.run("resume", "plate", "--engine", "threads", SABATIER_NOTIFY_ONCALL=http.url)
    assert http.tried.qsize() == 1


@pytest.mark.soak
def test_a_service_that_refuses_is_shown_in_the_output(bench, http):
    _five(bench)
    http.answer = 401
    done = bench.run("run", "campaign.yaml", "--engine", "threads", SABATIER_NOTIFY_ONCALL=http.url)
    assert "oncall was not told of completed: the service answered with status 401 (Unauthorized)" in done.stdout
    lines = (bench.folder / "data" / "logs" / "plate.jsonl").read_text().splitlines()
    assert any(json.loads(line).get("event") == "notified" for line in lines)
    assert b"S3CRET" not in _shown(bench, done)


def test_a_test_message(bench, http):
    nobody = bench.run("notify", XDG_CONFIG_HOME=str(bench.folder))
    assert "No address is known" in nobody.stdout
    names = bench.run("notify", SABATIER_NOTIFY_ONCALL=http.url)
    assert "oncall  (from SABATIER_NOTIFY_ONCALL)" in names.stdout
    sent = bench.run("notify", "oncall", SABATIER_NOTIFY_ONCALL=http.url)
    assert "took the message" in sent.stdout
    assert http.next()["title"] == "Sabatier: a test"
    http.answer = 404
    lost = bench.run("notify", "oncall", status=1, SABATIER_NOTIFY_ONCALL=http.url)
    assert "oncall was not told: the service answered with status 404 (Not Found)." in lost.stderr
    unknown = bench.run("notify", "onkall", status=2, SABATIER_NOTIFY_ONCALL=http.url)
    assert "Did you mean 'oncall'?" in unknown.stderr
    for done in (names, sent, lost, unknown):
        assert "S3CRET" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
